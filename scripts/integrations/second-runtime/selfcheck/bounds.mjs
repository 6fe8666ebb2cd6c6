// Cursors at their bounds, on a server that keeps few events and on one that keeps many.

import { Client, EVENTS } from './client.mjs';

const BUDGET = 3_000;
const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

async function resume(url, cursor) {
  const client = new Client(url);
  await client.join();
  const reply = await client.subscribe([EVENTS], cursor === null ? undefined : { [EVENTS]: cursor });
  client.ws.terminate();
  return { ...reply.response, client, seqs: client.of(EVENTS).map((update) => update.watermark) };
}

const isDense = (seqs, from, to) => seqs.length === to - from + 1
  && seqs.every((seq, n) => seq === from + n);

async function staleAt(name, url, cursor, reason, expect) {
  const { code, stale_topics: stale, client } = await resume(url, cursor);
  expect(`${name} is stale`, code === 'stale_cursor' && stale[0].reason === reason, `${code} at ${cursor}`);
  expect(`${name} is told as a push`, client.pushes.some((push) => push.payload.code === 'stale_cursor'));
  expect(`${name} replays nothing`, client.updates.length === 0);
  return stale?.[0];
}

async function freshAt(name, url, cursor, head, expect) {
  const { code, seqs } = await resume(url, cursor);
  expect(`${name} replays all after it`, code === undefined && isDense(seqs, cursor + 1, head),
    `${code ?? `${seqs.length} from ${seqs[0]}`}`);
}

export async function bounds(retained, long, keep, expect) {
  // The pruner has its turn every half second.
  await sleep(1_500);
  const found = await staleAt('cursor 0 below the floor', retained, 0, 'retention_floor_breach', expect);
  const floor = found?.retention_floor ?? 0;
  const head = found?.head_watermark ?? 0;
  expect('the floor is where the retention ends', floor === head - keep, `${floor} of ${head}`);
  await staleAt('one below the floor', retained, floor - 1, 'retention_floor_breach', expect);
  await freshAt('exactly the floor', retained, floor, head, expect);
  await freshAt('one above the floor', retained, floor + 1, head, expect);
  const bootstrap = await resume(retained, null);
  expect('without a cursor replays from the floor', isDense(bootstrap.seqs, floor + 1, head));

  const past = await resume(long, null);
  const end = past.current_watermarks[0].watermark;
  expect('a long past replays whole', isDense(past.seqs, 1, end), past.seqs.length);
  expect('a long past is in order', past.client.faults.length === 0, past.client.faults[0]);
  await freshAt('a lag of the budget', long, end - BUDGET, end, expect);
  await staleAt('a lag of one more', long, end - BUDGET - 1, 'replay_budget_exceeded', expect);
}
