// A reader that stops reading: it is told so and evicted, and no other client notices.

import { Client, EVENTS } from './client.mjs';
import { Publisher } from './publisher.mjs';

const EVENTS_SENT = 180;
// Wider than the server's coalescing, so that each event is a batch of its own.
const SPACING_MS = 25;
const LATE_MS = 2_000;
const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

async function follower(url) {
  const client = new Client(url);
  await client.join();
  await client.subscribe([EVENTS]);
  return client;
}

export async function slowReader(url, expect) {
  const slow = await follower(url);
  const others = await Promise.all(Array.from({ length: 4 }, () => follower(url)));
  slow.ws.pause();
  const publishers = Array.from({ length: 4 }, () => new Publisher(url));
  while (await publishers[0].createWorker('heavy') !== 202);
  const pad = 'x'.repeat(90_000);
  for (let n = 0; n < EVENTS_SENT; n += 1) {
    await publishers[n % publishers.length].publish('heavy', { n, pad });
    await sleep(SPACING_MS);
  }
  await sleep(LATE_MS);
  const acknowledged = publishers.flatMap((publisher) => publisher.acknowledged);
  for (const [n, client] of others.entries()) {
    const at = new Map(client.of(EVENTS).map((u) => [`${u.payload.workerId}:${u.payload.seq}`, u.at]));
    const delays = acknowledged.map((ack) => (at.get(`heavy:${ack.seq}`) ?? Infinity) - ack.at);
    expect(`client ${n} beside a slow one is not late`, Math.max(...delays) < LATE_MS, `${Math.max(...delays)} ms`);
    expect(`client ${n} beside a slow one is in order`, client.faults.length === 0, client.faults[0]);
    client.ws.terminate();
  }
  slow.ws.resume();
  await sleep(3_000);
  const actions = slow.pushes.filter((push) => push.payload.code === 'slow_consumer')
    .map((push) => push.payload.action);
  expect('a slow reader is told twice and disconnected', actions.join() === 'throttle,throttle,disconnect', actions.join());
  expect('its channel ends', slow.pushes.some((push) => push.event === 'phx_error'));
  const fresh = await Promise.race([slow.join(), slow.closed.then(() => null)]);
  expect('it may join again', fresh === null || fresh.status === 'ok');
  slow.ws.terminate();
}
