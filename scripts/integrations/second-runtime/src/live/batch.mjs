// A batch is encoded once and shared: its JSON and base64 once per batch, its two pushes once per
// batch and join_ref. Sockets write the shared bytes and copy nothing.

import { broken } from '../defects.mjs';
import { batchPayload, framePayload } from './payloads.mjs';

export const UPDATES_MAX = 200;
const BYTES_MAX = 2 * 1024 * 1024;
const PUSHES_KEPT_MAX = 64;
const BATCHES_KEPT_MAX = 64;

// The first entries that fit into a batch; one larger than the limit still goes, alone.
function fitting(entries, from, limit) {
  let bytes = 0;
  let end = from;
  while (end < entries.length && end - from < limit) {
    bytes += entries[end].json.length;
    if (bytes > BYTES_MAX && end > from) break;
    end += 1;
  }
  return entries.slice(from, end);
}

// A state topic tells each document once a batch, at its latest version.
function latestPerDocument(entries) {
  const lastOf = new Map(entries.map((entry) => [entry.docKey, entry]));
  return entries.filter((entry) => lastOf.get(entry.docKey) === entry);
}

class Batch {
  constructor(log, entries, through, head, frameOf) {
    this.rows = entries.length;
    this.through = through;
    const updates = log.isState ? latestPerDocument(entries) : entries;
    this.updates = updates.length;
    this.seq = updates.at(-1).seq;
    this.payload = batchPayload(log.topic, head, through >= head, updates);
    this.frame = frameOf?.(this) ?? framePayload(log.topic, this.seq, this.payload);
    this.pushes = new Map();
  }

  // The pair of encoded pushes, in the order in which they go out.
  pushesFor(codec, joinRef) {
    const key = codec.pushKey(joinRef);
    const kept = this.pushes.get(key);
    if (kept) return kept;
    const pair = [['sync:update_batch', this.payload], ['sync:frame', this.frame]]
      .map(([event, payload]) => Buffer.from(codec.push(joinRef, null, event, payload)));
    // A client chooses its join_refs, so what is kept for them is bounded.
    if (this.pushes.size < PUSHES_KEPT_MAX) this.pushes.set(key, pair);
    return pair;
  }
}

export class BatchMaker {
  constructor(log) {
    this.log = log;
    this.kept = new Map();
    this.frames = new Map();
  }

  // The batch that starts at `from` in `entries`; `cursor` is the seq before it. Batches of one
  // cursor, limit and head are equal, so they are kept for the next socket that needs them.
  make(entries, from, through, cursor, limit) {
    const { head } = this.log;
    const key = `${cursor}:${limit}:${through}:${head}`;
    const kept = this.kept.get(key);
    if (kept) return kept;
    const part = fitting(entries, from, limit);
    const isLast = from + part.length === entries.length;
    const batch = new Batch(this.log, part, isLast ? through : part.at(-1).seq, head,
      broken('frame-cache-key') ? (made) => this.frameOnce(made) : null);
    if (this.kept.size >= BATCHES_KEPT_MAX) this.kept.delete(this.kept.keys().next().value);
    this.kept.set(key, batch);
    return batch;
  }

  frameOnce(batch) {
    if (!this.frames.has(batch.seq)) {
      this.frames.set(batch.seq, framePayload(this.log.topic, batch.seq, batch.payload));
    }
    return this.frames.get(batch.seq);
  }
}
