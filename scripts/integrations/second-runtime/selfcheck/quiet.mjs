// The quiet hours: single events with nothing else going on, so that no other read can hide a
// wake-up that went missing.

import { Client, EVENTS, SUMMARIES } from './client.mjs';
import { Publisher } from './publisher.mjs';

const EVENTS_SENT = 8;
const SPACING_MS = 700;
const LATE_MS = 600;
const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

export async function quiet(url, expect) {
  const clients = Array.from({ length: 4 }, () => new Client(url));
  for (const client of clients) {
    await client.join();
    await client.subscribe([EVENTS, SUMMARIES]);
  }
  const publisher = new Publisher(url);
  while (await publisher.createWorker('quiet') !== 202);
  for (let n = 0; n < EVENTS_SENT; n += 1) {
    await sleep(SPACING_MS);
    await publisher.publish('quiet', { n });
  }
  await sleep(2_000);
  for (const topic of [EVENTS, SUMMARIES]) {
    const delays = clients.flatMap((client) => publisher.acknowledged.map((ack) => {
      const update = client.of(topic)
        .find((u) => u.payload.worker_id === 'quiet' && u.doc_version >= ack.seq);
      return (update?.at ?? Infinity) - ack.at;
    }));
    expect(`single events are prompt on ${topic}`, Math.max(...delays) < LATE_MS, `${Math.max(...delays)} ms`);
  }
  for (const client of clients) client.ws.terminate();
}
