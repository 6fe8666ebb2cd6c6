// The rules of the channel: framing, errors, heartbeats, rejoins, leaving.

import WebSocket from 'ws';
import { Client, EVENTS, SUMMARIES, token } from './client.mjs';

const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

async function closeCode(url, text) {
  const client = new Client(url);
  await client.opened;
  client.ws.send(text);
  return client.closed;
}

async function version1(url, expect) {
  const ws = new WebSocket(`${url.replace('http', 'ws')}/socket/websocket?token=${token()}`);
  await new Promise((resolve) => { ws.on('open', resolve); });
  const reply = new Promise((resolve) => { ws.on('message', (data) => resolve(JSON.parse(data))); });
  ws.send(JSON.stringify({ topic: 'sync:v1', event: 'phx_join', payload: {}, ref: '1' }));
  const { event, ref, payload } = await reply;
  expect('version 1 joins', event === 'phx_reply' && ref === '1' && payload.status === 'ok');
  ws.terminate();
}

async function authority(url, expect) {
  // The same subject has been here with wider scopes; they are not this token's.
  const client = new Client(url, { oa_sync_scopes: [SUMMARIES] });
  const joined = await client.join();
  expect('a token opens its scopes only', joined.response.allowed_topics.join() === SUMMARIES);
  const mixed = await client.subscribe([SUMMARIES, EVENTS]);
  expect('a mixed list is forbidden', mixed.response.code === 'forbidden_topic'
    && mixed.response.forbidden_topics.join() === EVENTS);
  await client.call('sync:heartbeat', {});
  const followed = client.pushes.findLast((push) => push.event === 'sync:heartbeat').payload.watermarks;
  expect('a mixed list subscribes nothing', followed.length === 0, JSON.stringify(followed));
  client.ws.terminate();
}

export async function channelRules(url, expect) {
  expect('bad JSON closes with 1011', await closeCode(url, '{nope') === 1011);
  expect('a short array closes with 1011', await closeCode(url, '["1","1","sync:v1","x"]') === 1011);
  await version1(url, expect);

  const client = new Client(url);
  await client.opened;
  const unjoined = await client.call('sync:heartbeat', {});
  expect('unjoined is unmatched', unjoined.response.reason === 'unmatched topic' && unjoined.joinRef === null);
  expect('phoenix heartbeat', (await client.call('heartbeat', {}, { topic: 'phoenix', joinRef: null })).status === 'ok');
  const joined = await client.join();
  expect('join', joined.status === 'ok' && joined.response.allowed_topics.length === 2);
  for (const payload of [{}, { topics: [] }, { topics: 'x' }, [], { topics: [EVENTS], resume_after: 5 },
    { topics: [EVENTS], resume_after: { [EVENTS]: -1 } }, { topics: [EVENTS], resume_after: { [EVENTS]: '5' } }]) {
    const reply = await client.call('sync:subscribe', payload);
    expect(`bad subscription ${JSON.stringify(payload)}`, reply.response.code === 'bad_subscription');
  }
  const ahead = await client.subscribe([EVENTS], { [EVENTS]: 1_000_000 });
  expect('a cursor beyond head is taken', ahead.response.current_watermarks[0].watermark === 1_000_000);
  const beat = await client.call('sync:heartbeat', {});
  expect('heartbeat', beat.response.watermarks[0].watermark === 1_000_000
    && client.pushes.some((push) => push.event === 'sync:heartbeat'));
  client.joinRef = '2';
  await client.join();
  await sleep(50);
  expect('a rejoin closes the old channel', client.pushes.some((push) => push.event === 'phx_close' && push.ref === '1'));
  expect('a stale join_ref is dropped', await client.call('sync:heartbeat', {}, { joinRef: '1', ms: 300 }) === null);
  client.send('2', '9', 'sync:v1', 'runtime:command', { event: 'worker.progress' });
  await sleep(100);
  expect('a command ends the channel', client.pushes.some((push) => push.event === 'phx_error' && push.joinRef === '2'));
  expect('and a rejoin works', (await client.join()).status === 'ok');
  expect('leave', (await client.call('phx_leave', {})).status === 'ok');
  client.ws.close();
  await authority(url, expect);
}
