// A plain client of the socket: it joins, subscribes, keeps every update in the order it came, and
// notes what no client may ever see: the two pushes of a batch differing, an order that goes back.

import { createHash, createHmac, randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import WebSocket from 'ws';
import { SIGNING_KEY } from './server.mjs';

export const EVENTS = 'runtime.codex_worker_events';
export const SUMMARIES = 'runtime.codex_worker_summaries';

const b64 = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

export function token(claims = {}, { key = SIGNING_KEY, header = {} } = {}) {
  const now = Math.floor(Date.now() / 1_000);
  const signed = `${b64({ alg: 'HS256', typ: 'JWT', kid: 'sync-auth-v1', ...header })}.${b64({
    iss: 'https://openagents.test', aud: 'openagents-sync', sub: 'user:7', iat: now, nbf: now,
    exp: now + 600, jti: randomUUID(), oa_claims_version: 'oa_sync_claims_v1', oa_user_id: 7,
    oa_org_id: 'org:7', oa_session_id: randomUUID(), oa_device_id: randomUUID(),
    oa_client_surface: 'desktop', oa_sync_scopes: [EVENTS, SUMMARIES], ...claims,
  })}`;
  return `${signed}.${createHmac('sha256', key).update(signed).digest('base64url')}`;
}

export const canonical = (value) => {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  return `{${Object.keys(value).sort()
    .map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`).join(',')}}`;
};

const hashOf = (payload) => createHash('sha256').update(canonical(payload)).digest('base64');

export class Client {
  constructor(url, claims, query = 'vsn=2.0.0') {
    // A light client checks order only; many of them would otherwise cost more than the server.
    this.isLight = false;
    this.joinRef = '1';
    this.ref = 10;
    this.updates = [];
    this.pushes = [];
    this.faults = [];
    this.lastSeq = new Map();
    this.replies = new Map();
    this.ws = new WebSocket(
      `${url.replace('http', 'ws')}/socket/websocket?${query}&token=${token(claims)}`,
      { perMessageDeflate: false },
    );
    this.ws.on('message', (data) => this.receive(data.toString()));
    this.ws.on('error', () => {});
    this.closed = new Promise((resolve) => { this.ws.on('close', resolve); });
    this.opened = new Promise((resolve, reject) => {
      this.ws.on('open', resolve);
      this.closed.then(() => reject(new Error('the socket did not open')));
    });
    this.opened.catch(() => {});
  }

  receive(text) {
    const [joinRef, ref, topic, event, payload] = JSON.parse(text);
    const waiting = event === 'phx_reply' && this.replies.get(ref);
    if (waiting) {
      this.replies.delete(ref);
      waiting({ joinRef, topic, ...payload });
    } else if (event === 'sync:update_batch') {
      this.batch = payload;
    } else if (event === 'sync:frame' && payload.kind.endsWith('UPDATE_BATCH')) {
      this.apply(payload);
    } else {
      this.pushes.push({ joinRef, ref, event, payload });
    }
  }

  apply(frame) {
    const batch = JSON.parse(Buffer.from(frame.payload_bytes, 'base64').toString());
    if (!this.isLight && !isDeepStrictEqual(batch, this.batch)) this.faults.push(`pushes differ at ${frame.seq}`);
    for (const update of batch.updates) {
      const last = this.lastSeq.get(update.topic) ?? 0;
      if (update.watermark <= last) this.faults.push(`${update.watermark} after ${last} on ${update.topic}`);
      this.lastSeq.set(update.topic, update.watermark);
      if (!this.isLight && hashOf(update.payload) !== update.payload_hash) this.faults.push(`hash of ${update.doc_key}`);
      this.updates.push({ ...update, at: Date.now() });
      this.onUpdate?.(update);
    }
    if (frame.seq !== this.lastSeq.get(frame.topic)) this.faults.push(`seq of frame ${frame.seq}`);
  }

  send(joinRef, ref, topic, event, payload) {
    this.ws.send(JSON.stringify([joinRef, ref, topic, event, payload]));
  }

  // Resolves with the reply, or with null when none came in time.
  call(event, payload, { topic = 'sync:v1', joinRef = this.joinRef, ms = 10_000 } = {}) {
    this.ref += 1;
    const ref = String(this.ref);
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms, null);
      this.replies.set(ref, (reply) => {
        clearTimeout(timer);
        resolve(reply);
      });
      this.send(joinRef, ref, topic, event, payload);
    });
  }

  async join() {
    await this.opened;
    return this.call('phx_join', {});
  }

  subscribe(topics, resumeAfter, size = 200) {
    for (const topic of topics) {
      if (resumeAfter?.[topic] !== undefined) this.lastSeq.set(topic, resumeAfter[topic]);
    }
    return this.call('sync:subscribe', {
      topics, replay_batch_size: size, ...(resumeAfter && { resume_after: resumeAfter }),
    });
  }

  of(topic) {
    return this.updates.filter((update) => update.topic === topic);
  }
}

// The status with which an upgrade is refused, or 101.
export function upgradeStatus(url, path) {
  return new Promise((resolve) => {
    const ws = new WebSocket(`${url.replace('http', 'ws')}${path}`);
    ws.on('open', () => {
      resolve(101);
      ws.terminate();
    });
    ws.on('unexpected-response', (request, response) => {
      resolve(response.statusCode);
      request.destroy();
    });
    ws.on('error', () => {});
  });
}
