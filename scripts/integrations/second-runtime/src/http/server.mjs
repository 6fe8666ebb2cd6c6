// The HTTP side: a table of routes, one place that answers, and the count of what is under way.

import { createServer } from 'node:http';
import { readJsonObject } from './body.mjs';
import { HttpError } from './errors.mjs';
import { revokeHandler } from './revoke.mjs';
import { workerHandlers } from './workers.mjs';

// Longer than clients keep idle connections, so that it is they who close them.
const KEEP_ALIVE_MS = 75_000;
const NOT_FOUND = { errors: { detail: 'Not Found' } };

function routesOf(services) {
  const workers = workerHandlers(services);
  const base = '/internal/v1/codex/workers';
  return [
    ['POST', new RegExp(`^${base}$`), workers.create],
    ['POST', new RegExp(`^${base}/([^/]+)/events$`), workers.publish],
    ['POST', new RegExp(`^${base}/([^/]+)/stop$`), workers.stop],
    ['GET', new RegExp(`^${base}/([^/]+)/snapshot$`), workers.snapshot],
    ['POST', /^\/internal\/v1\/sync\/sessions\/revoke$/, revokeHandler(services)],
  ];
}

function answer(response, status, body) {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8', 'content-length': Buffer.byteLength(text),
    'cache-control': 'max-age=0, private, must-revalidate',
  });
  response.end(text);
}

export class CommandServer {
  constructor(services) {
    this.routes = routesOf(services);
    this.underWay = new Set();
    this.isDraining = false;
    this.http = createServer((request, response) => {
      const work = this.serve(request, response);
      this.underWay.add(work);
      work.finally(() => this.underWay.delete(work));
    });
    this.http.keepAliveTimeout = KEEP_ALIVE_MS;
    this.http.on('upgrade', (request, stream, head) => services.gate.upgrade(request, stream, head));
  }

  async serve(request, response) {
    try {
      answer(response, ...await this.handle(request));
    } catch (error) {
      if (error instanceof HttpError) answer(response, error.status, error.body);
      else {
        console.error(`a command failed: ${error.message}`);
        answer(response, 500, { error: 'internal_error' });
      }
    }
  }

  async handle(request) {
    const { pathname } = new URL(request.url, 'http://runtime');
    if (pathname === '/healthz') return [200, { status: 'ok' }];
    if (pathname === '/readyz') {
      return this.isDraining ? [503, { status: 'draining' }] : [200, { status: 'ready' }];
    }
    for (const [method, pattern, handler] of this.routes) {
      const match = request.method === method && pattern.exec(pathname);
      if (!match) continue;
      if (this.isDraining) throw new HttpError(503, 'shutting_down');
      const body = method === 'POST' ? await readJsonObject(request) : {};
      const [status, data] = await handler({ request, body, id: decoded(match[1]) });
      return [status, { data }];
    }
    return [404, NOT_FOUND];
  }

  listen(port) {
    return new Promise((resolve, reject) => {
      this.http.once('error', reject);
      this.http.listen(port, '127.0.0.1', 1_024, () => resolve(this.http.address().port));
    });
  }

  // Resolves when every command that was accepted has been answered.
  async drain() {
    this.isDraining = true;
    await Promise.allSettled(this.underWay);
  }
}

function decoded(segment) {
  try {
    return segment && decodeURIComponent(segment);
  } catch {
    throw new HttpError(400, 'invalid_worker_id');
  }
}
