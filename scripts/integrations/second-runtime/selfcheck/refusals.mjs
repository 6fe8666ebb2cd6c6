// What must be refused: bad tokens, foreign paths, unsigned or foreign commands.

import { EVENTS, token, upgradeStatus } from './client.mjs';
import { Publisher } from './publisher.mjs';

export async function refusals(url, expect) {
  const now = Math.floor(Date.now() / 1_000);
  const bad = {
    missing: '', garbage: 'a.b.c', signature: token({}, { key: 'other' }),
    kid: token({}, { header: { kid: 'nobody' } }), alg: token({}, { header: { alg: 'none' } }),
    audience: token({ aud: 'other' }), issuer: token({ iss: 'other' }),
    'expired 3 s ago': token({ exp: now - 3 }), 'not yet valid': token({ nbf: now + 90 }),
    'no session': token({ oa_session_id: undefined }), 'no jti': token({ jti: undefined }),
    'no scopes': token({ oa_sync_scopes: [] }), subject: token({ oa_user_id: 8 }),
  };
  for (const [name, text] of Object.entries(bad)) {
    const status = await upgradeStatus(url, `/socket/websocket?vsn=2.0.0&token=${text}`);
    expect(`token refused: ${name}`, status === 403, status);
  }
  const skewed = await upgradeStatus(url, `/socket/websocket?vsn=2.0.0&token=${token({ nbf: now + 20 })}`);
  expect('a clock 20 s off is accepted', skewed === 101, skewed);
  const vsn = await upgradeStatus(url, `/socket/websocket?vsn=9.0.0&token=${token()}`);
  expect('vsn 9 refused', vsn === 403, vsn);
  const path = await upgradeStatus(url, `/sync/socket/websocket?vsn=2.0.0&token=${token()}`);
  expect('public edge path not served', path === 404, path);

  const publisher = new Publisher(url);
  const paths = ['/internal/v1/khala/fanout/metrics?topic_limit=20',
    `/internal/v1/khala/topics/${EVENTS}/snapshot`];
  for (const path of paths) {
    const { status } = await publisher.call('GET', path);
    expect(`404 at ${path}`, status === 404, status);
  }
  const create = (options, id = 'refused') => publisher.call('POST', '/internal/v1/codex/workers', { worker_id: id }, options);
  expect('user id must be an integer', (await create({ userId: 'user-7' })).status === 400);
  expect('user id must be positive', (await create({ userId: 0 })).status === 400);
  expect('commands are signed', (await create({ signed: false })).status === 401);
  await publisher.createWorker('mine');
  const again = await create({}, 'mine');
  expect('create is idempotent', again.body.data?.idempotentReplay === true && again.body.data.latestSeq === 1,
    JSON.stringify(again.body));
  expect('another user is refused', (await create({ userId: 8 }, 'mine')).status === 403);
  const large = await publisher.publish('mine', { pad: 'x'.repeat(140_000) });
  expect('a large payload is refused', large === 413, large);
  for (const probe of ['/healthz', '/readyz']) {
    expect(`${probe} answers`, (await publisher.call('GET', probe)).status === 200);
  }
}
