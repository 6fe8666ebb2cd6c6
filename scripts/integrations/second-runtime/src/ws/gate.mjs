// The gate decides on upgrades. A refusal is told by its status alone; the reason is only logged.

import { WebSocketServer } from 'ws';
import { Socket } from './socket.mjs';
import { serializerFor } from './serializer.mjs';
import { TokenRefused, verifyToken } from './token.mjs';

const SOCKET_PATH = '/socket/websocket';
const MESSAGE_BYTES_MAX = 1024 * 1024;
const SWEEP_MS = 1_000;
const CACHE_CONTROL = 'cache-control: max-age=0, private, must-revalidate';
const NOT_FOUND = '{"errors":{"detail":"Not Found"}}';

function refuse(stream, status, body = '') {
  const type = body ? 'content-type: application/json; charset=utf-8\r\n' : '';
  stream.end(`HTTP/1.1 ${status}\r\n${type}content-length: ${body.length}\r\n`
    + `${CACHE_CONTROL}\r\nconnection: close\r\n\r\n${body}`);
}

export class Gate {
  constructor(services) {
    this.services = services;
    this.sockets = new Set();
    this.server = new WebSocketServer({
      noServer: true, perMessageDeflate: false, maxPayload: MESSAGE_BYTES_MAX,
      handleProtocols: () => false,
    });
    this.server.on('headers', (headers) => headers.push(CACHE_CONTROL));
    this.sweptAt = Date.now();
    this.sweeper = setInterval(() => this.sweep(Date.now()), SWEEP_MS);
  }

  upgrade(request, stream, head) {
    stream.on('error', () => {});
    const url = new URL(request.url, 'http://runtime');
    if (url.pathname !== SOCKET_PATH) return refuse(stream, '404 Not Found', NOT_FOUND);
    const session = this.admitted(url.searchParams);
    if (!session || this.isClosed) return refuse(stream, '403 Forbidden');
    return this.server.handleUpgrade(request, stream, head, (ws) => {
      const socket = new Socket(ws, session, this.services);
      this.sockets.add(socket);
      ws.on('close', () => this.sockets.delete(socket));
    });
  }

  admitted(query) {
    const serializer = serializerFor(query.get('vsn') ?? undefined);
    try {
      if (!serializer) throw new TokenRefused('unsupported_vsn');
      return { query, serializer, principal: verifyToken(query.get('token'), this.services.config) };
    } catch (error) {
      if (!(error instanceof TokenRefused)) throw error;
      console.error(`upgrade refused: ${error.code}`);
      return null;
    }
  }

  // A process that was itself held up has not read yet what came meanwhile, and judges nobody by it.
  wasHeldUp(now) {
    const late = now - this.sweptAt > 2 * SWEEP_MS;
    this.sweptAt = now;
    return late;
  }

  // A token opens topics only until it expires, so a live socket ends with its token.
  sweep(now) {
    const heldUp = this.wasHeldUp(now);
    for (const socket of this.sockets) {
      if (socket.hasExpired(now)) socket.evict('token_expired');
      else if (!heldUp) socket.closeIfIdle(now);
    }
  }

  // A socket that has not joined stays: its join is refused, and is to be told why.
  async evictRevoked() {
    const revoked = await this.services.revocations.current();
    for (const socket of [...this.sockets].filter((each) => each.channel)) {
      const { sessionId, deviceId } = socket.principal;
      const reason = revoked.get(`session:${sessionId}`) ?? revoked.get(`device:${deviceId}`);
      if (reason !== undefined) socket.evict(reason);
    }
  }

  abort() {
    for (const socket of this.sockets) socket.ws.terminate();
  }

  // Resolves when every socket has ended or the time is up; what is queued goes out first.
  async close(ms) {
    this.isClosed = true;
    clearInterval(this.sweeper);
    for (const socket of this.sockets) socket.close(socket.channel ? 1012 : 1000);
    const deadline = Date.now() + ms;
    while (this.sockets.size > 0 && Date.now() < deadline) {
      await new Promise((resolve) => { setTimeout(resolve, 20); });
    }
    this.abort();
  }
}
