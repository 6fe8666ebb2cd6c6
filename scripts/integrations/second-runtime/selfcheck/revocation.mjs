// A revoked session: its sockets end in every process, its joins are refused and stay refused.

import { Client, EVENTS } from './client.mjs';
import { Publisher } from './publisher.mjs';

const SOCKETS = 6;
const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

export async function revocation(url, expect) {
  const claims = { oa_session_id: 'revoked', oa_device_id: 'revoked-device' };
  const clients = Array.from({ length: SOCKETS }, () => new Client(url, claims));
  for (const client of clients) {
    await client.join();
    await client.subscribe([EVENTS], { [EVENTS]: 1_000_000 });
  }
  const bystander = new Client(url);
  await bystander.join();
  const { status, body } = await new Publisher(url).call('POST', '/internal/v1/sync/sessions/revoke',
    { session_ids: ['revoked'], reason: 'user_requested' });
  expect('revocation is answered', status === 200 && body.data.revoked_session_ids[0] === 'revoked');
  const codes = await Promise.all(clients.map((client) => Promise.race([client.closed, sleep(1_000)])));
  expect('every socket of the session ends with 1011', codes.every((code) => code === 1011), codes.join());
  for (const wait of [0, 1_500]) {
    await sleep(wait);
    const again = Array.from({ length: 4 }, () => new Client(url, claims));
    const replies = await Promise.all(again.map((client) => client.join()));
    expect(`its joins are refused ${wait} ms later`, replies.every((reply) => reply.status === 'error'
      && reply.response.code === 'reauth_required' && reply.response.reason === 'user_requested'));
    for (const client of again) client.ws.terminate();
  }
  expect('other sessions stay', (await bystander.call('sync:heartbeat', {})).status === 'ok');
  bystander.ws.terminate();

  const short = new Client(url, { exp: Math.floor(Date.now() / 1_000) + 2 });
  await short.join();
  expect('a socket ends with its token', await Promise.race([short.closed, sleep(5_000)]) === 1011);
}
