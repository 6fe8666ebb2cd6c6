// Publishers send signed commands, each over a connection of its own, so that they reach all the
// processes behind the port. What was acknowledged is kept with the time of the acknowledgement.

import { createHmac, randomUUID } from 'node:crypto';
import { Agent, request } from 'node:http';
import { SIGNATURE_SECRET } from './server.mjs';

export const USER_ID = 7;

function signature(userId) {
  const now = Math.floor(Date.now() / 1_000);
  const payload = Buffer.from(JSON.stringify({
    iat: now, exp: now + 60, nonce: randomUUID(), user_id: userId,
  })).toString('base64url');
  const hmac = createHmac('sha256', SIGNATURE_SECRET).update(payload).digest('base64url');
  return `v1.${payload}.${hmac}`;
}

export class Publisher {
  constructor(url) {
    this.url = url;
    this.agent = new Agent({ keepAlive: true, maxSockets: 1 });
    this.acknowledged = [];
    this.failed = 0;
  }

  call(method, path, body, { userId = USER_ID, signed = true } = {}) {
    const headers = { 'content-type': 'application/json', 'x-oa-user-id': String(userId) };
    if (signed) headers['x-oa-runtime-signature'] = signature(userId);
    return new Promise((resolve, reject) => {
      const call = request(`${this.url}${path}`, { method, agent: this.agent, headers }, async (response) => {
        let text = '';
        for await (const chunk of response) text += chunk;
        resolve({ status: response.statusCode, body: JSON.parse(text) });
      });
      call.on('error', reject);
      call.end(body && JSON.stringify(body));
    });
  }

  async createWorker(id) {
    const { status } = await this.call('POST', '/internal/v1/codex/workers', { worker_id: id });
    if (status === 202) this.acknowledged.push({ worker: id, seq: 1, at: Date.now() });
    else this.failed += 1;
    return status;
  }

  async publish(worker, payload) {
    const { status, body } = await this.call('POST', `/internal/v1/codex/workers/${worker}/events`,
      { event: { event_type: 'worker.progress', payload } });
    if (status === 202) {
      this.acknowledged.push({ worker, seq: body.data.seq, at: Date.now(), payload });
    } else this.failed += 1;
    return status;
  }
}
