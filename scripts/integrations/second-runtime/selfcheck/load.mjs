// The load: publishers on several connections write to shared workers while followers stay, come
// and go, unsubscribe, and join late. Afterwards every acknowledged event must be with everyone.

import { Client, EVENTS, SUMMARIES } from './client.mjs';
import { Publisher } from './publisher.mjs';

const LOAD_MS = Number(process.env.SELFCHECK_LOAD_MS || 15_000);
const STEADY = Number(process.env.SELFCHECK_STEADY || 12);
const ROVERS = Number(process.env.SELFCHECK_ROVERS || 24);
const PUBLISHERS = 8;
const IDLE = 70;
const WORKERS = ['w-1', 'w-2', 'w-3', 'w-4', 'w-5'];
const LATE_MS = 2_000;
const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

const keyOf = (update) => `${update.payload.workerId}:${update.payload.seq}`;

async function steady(url) {
  const client = new Client(url);
  await client.join();
  await client.subscribe([EVENTS, SUMMARIES]);
  client.since = Date.now();
  return client;
}

// An idle client only has to be served; it neither replays the past nor checks hashes.
async function idleAt(url, head) {
  const client = new Client(url);
  client.isLight = true;
  await client.join();
  await client.subscribe([EVENTS], { [EVENTS]: head });
  return client;
}

// A rover reconnects with the cursor of what it has applied, as real clients do.
async function rove(url, until, rover) {
  const device = { oa_device_id: `rover-${rover.number}`, oa_session_id: `rover-${rover.number}` };
  while (Date.now() < until || !rover.isHome) {
    rover.isHome = Date.now() >= until;
    const client = new Client(url, device);
    const { cursor } = rover;
    client.onUpdate = (update) => {
      if (update.topic === EVENTS) rover.seen.set(update.watermark, update);
      cursor[update.topic] = Math.max(cursor[update.topic] ?? 0, update.watermark);
    };
    await client.join();
    const reply = await client.subscribe([EVENTS, SUMMARIES], { ...rover.cursor });
    if (reply?.status !== 'ok') rover.faults.push(`resume refused: ${reply?.response.code}`);
    await sleep(rover.isHome ? LATE_MS : 200 + Math.random() * 900);
    rover.faults.push(...client.faults);
    if (Math.random() < 0.5) client.ws.terminate();
    else client.ws.close();
    client.onUpdate = null;
    await sleep(Math.random() * 400);
  }
}

async function publishFor(publisher, number, until) {
  for (let n = 0; Date.now() < until; n += 1) {
    const worker = WORKERS[(number + n) % WORKERS.length];
    await publisher.publish(worker, { z: n, a: { y: 'ü', b: number } });
    // Mostly spread, at times in a burst.
    if (n % 10 < 7) await sleep(40 + Math.random() * 160);
  }
}

// A latecomer bootstraps while the load runs and then follows it.
async function comeLate(url, followers) {
  await sleep(LOAD_MS * 0.7);
  followers.push(await steady(url));
}

async function unsubscribeUnderLoad(url, expect) {
  const client = await steady(url);
  await sleep(1_000);
  const reply = await client.call('sync:unsubscribe', { topics: [EVENTS] });
  expect('unsubscribe tells what remains', reply.response.topics.join() === SUMMARIES);
  const before = client.of(EVENTS).length;
  await sleep(1_500);
  expect('nothing follows an unsubscribe', client.of(EVENTS).length === before);
  client.ws.terminate();
}

function checkStates(name, client, finals, expect) {
  const versions = new Map();
  for (const update of client.of(SUMMARIES)) {
    const last = versions.get(update.payload.worker_id);
    if (last && update.doc_version < last.doc_version) client.faults.push(`${update.doc_key} went back`);
    versions.set(update.payload.worker_id, update);
  }
  const wrong = finals.filter((document) => {
    const { payload, doc_version: version } = versions.get(document.worker_id) ?? {};
    return version !== document.latest_seq || JSON.stringify(payload) !== JSON.stringify(document);
  });
  expect(`${name} holds the latest states`, wrong.length === 0, wrong.map((d) => d.worker_id).join());
}

function checkEvents(name, updates, acknowledged, isDense, expect) {
  const found = new Set(updates.map(keyOf));
  const missing = acknowledged.filter(({ worker, seq }) => !found.has(`${worker}:${seq}`));
  expect(`${name} has every acknowledged event`, missing.length === 0,
    `${missing.length} missing, first ${missing[0]?.worker}:${missing[0]?.seq}`);
  const seqs = updates.map((update) => update.watermark);
  const holes = seqs.filter((seq, n) => n > 0 && seq !== seqs[n - 1] + 1);
  if (isDense) expect(`${name} is dense`, holes.length === 0, `before ${holes[0]}`);
}

// How long after its acknowledgement the latest of the client's live events came.
function latest(client, acknowledged) {
  const at = new Map(client.of(EVENTS).map((update) => [keyOf(update), update.at]));
  const live = acknowledged.filter((ack) => ack.at > client.since);
  return Math.max(...live.map((ack) => (at.get(`${ack.worker}:${ack.seq}`) ?? Infinity) - ack.at));
}

export async function load(url, expect) {
  const publishers = Array.from({ length: PUBLISHERS }, () => new Publisher(url));
  const followers = await Promise.all(Array.from({ length: STEADY }, () => steady(url)));
  const start = followers[0].lastSeq.get(EVENTS);
  const idle = await Promise.all(Array.from({ length: IDLE }, () => idleAt(url, start)));
  const startStates = followers[0].lastSeq.get(SUMMARIES);
  for (const worker of WORKERS) {
    while (await publishers[0].createWorker(worker) !== 202);
  }
  const until = Date.now() + LOAD_MS;
  const rovers = Array.from({ length: ROVERS }, (_, number) => ({
    number, seen: new Map(), faults: [], cursor: { [EVENTS]: start, [SUMMARIES]: startStates },
  }));
  const roving = rovers.map((rover) => rove(url, until + 1_000, rover));
  await Promise.all([
    ...publishers.map((publisher, number) => publishFor(publisher, number, until)),
    unsubscribeUnderLoad(url, expect), comeLate(url, followers),
  ]);
  await sleep(LATE_MS);

  const acknowledged = publishers.flatMap((publisher) => publisher.acknowledged);
  const failed = publishers.reduce((sum, publisher) => sum + publisher.failed, 0);
  const isDense = failed === 0;
  const states = await Promise.all(WORKERS.map((worker) => publishers[0]
    .call('GET', `/internal/v1/codex/workers/${worker}/snapshot`)));
  const finals = states.map(({ body }) => body.data);
  expect(`load of ${acknowledged.length} events, ${failed} failed`, acknowledged.length > 0);
  for (const [n, client] of followers.entries()) {
    checkEvents(`follower ${n}`, client.of(EVENTS), acknowledged, isDense, expect);
    checkStates(`follower ${n}`, client, finals, expect);
    const late = latest(client, acknowledged);
    expect(`follower ${n} is never late`, late < LATE_MS, `${late} ms`);
  }
  const silent = idle.filter((client) => !client.of(EVENTS).some((u) => u.watermark > start + 1));
  expect('every live socket is served', silent.length === 0, silent.length);

  const late = await steady(url);
  checkEvents('a late subscriber', late.of(EVENTS), acknowledged, isDense, expect);
  checkStates('a late subscriber', late, finals, expect);
  const resumed = new Client(url);
  await resumed.join();
  await resumed.subscribe([EVENTS], { [EVENTS]: start });
  checkEvents('a resumed subscriber', resumed.of(EVENTS), acknowledged, isDense, expect);
  await Promise.all(roving);
  for (const rover of rovers) {
    const updates = [...rover.seen.values()].sort((a, b) => a.watermark - b.watermark);
    checkEvents(`rover ${rover.number}`, updates, acknowledged, isDense, expect);
  }
  const faults = [...[...followers, ...idle, late, resumed].flatMap((client) => client.faults),
    ...rovers.flatMap((rover) => rover.faults)];
  expect('no fault on any wire', faults.length === 0, `${faults.length}, first ${faults[0]}`);
  const told = followers.flatMap((client) => client.pushes.filter((push) => push.event.endsWith('error')));
  expect('no healthy client is told off', told.length === 0, JSON.stringify(told[0]));
  for (const client of [...followers, ...idle, late, resumed]) client.ws.terminate();
}
