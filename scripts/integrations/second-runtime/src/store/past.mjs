// The past is what a runtime that has been up for a while holds: events of other users' workers,
// which a first subscribe without a cursor replays.

import { WORKER_EVENTS, WORKER_SUMMARIES } from '../topics.mjs';
import { eventUpdate, nextDocument, newDocument, summaryUpdate } from '../worker-documents.mjs';

const WORKERS = 30;
const FIRST_USER_ID = 900_001;
const SPACING_MS = 2_000;

function* pastEvents(count) {
  const workers = Array.from({ length: WORKERS }, (_, n) => ({
    id: `past-worker-${n + 1}`, userId: FIRST_USER_ID + n, document: null,
  }));
  const startedAt = Date.now() - count * SPACING_MS;
  for (let n = 0; n < count; n += 1) {
    const worker = workers[n % WORKERS];
    const occurredAt = new Date(startedAt + n * SPACING_MS).toISOString();
    const isFirst = worker.document === null;
    worker.document ??= newDocument(worker.id, worker.userId, 'past', occurredAt);
    const type = isFirst ? 'worker.started' : 'worker.progress';
    const payload = isFirst ? { status: 'running' } : { note: 'past', step: n };
    worker.document = nextDocument(worker.document, type, occurredAt);
    yield { worker, update: eventUpdate(worker.id, worker.document.latest_seq, type, payload, occurredAt) };
  }
}

const insertUpdates = (client, topic, updates) => client.query(
  `insert into events (topic, seq, doc_key, doc_version, payload, payload_hash)
   select $1, n, key, version, payload, hash
   from unnest($2::text[], $3::bigint[], $4::text[], $5::text[])
     with ordinality as u (key, version, payload, hash, n)`,
  [topic, updates.map((u) => u.docKey), updates.map((u) => u.docVersion),
    updates.map((u) => u.payload), updates.map((u) => u.payloadHash)],
);

export async function insertPast(client, count) {
  const events = [...pastEvents(count)];
  const workers = [...new Set(events.map((event) => event.worker))];
  await client.query('begin');
  await insertUpdates(client, WORKER_EVENTS, events.map((event) => event.update));
  await insertUpdates(client, WORKER_SUMMARIES, workers.map((w) => summaryUpdate(w.document)));
  for (const { id, userId, document } of workers) {
    await client.query('insert into workers values ($1, $2, $3, $4)',
      [id, userId, document.latest_seq, JSON.stringify(document)]);
  }
  const moveCounter = 'update topics set last_seq = $2 where topic = $1';
  await client.query(moveCounter, [WORKER_EVENTS, events.length]);
  await client.query(moveCounter, [WORKER_SUMMARIES, workers.length]);
  await client.query('commit');
}
