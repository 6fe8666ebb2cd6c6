// The ledger writes commands: it locks the worker, has seqs reserved, inserts the event and the
// worker's new state, and commits. The worker's lock is taken before the seqs are, so that one
// worker's events stand in the topic in the order of their own seqs, whoever publishes them.

import { broken } from '../defects.mjs';
import { eventUpdate, newDocument, nextDocument, summaryUpdate } from '../worker-documents.mjs';
import { WORKER_EVENTS, WORKER_SUMMARIES } from '../topics.mjs';

export class UnknownWorker extends Error {}
export class ForeignWorker extends Error {}
export class PayloadTooLarge extends Error {}

const INSERT = `insert into events (topic, seq, doc_key, doc_version, payload, payload_hash)
  values ($1, $2, $3, $4, $5, $6)`;

const insertUpdate = (client, topic, seq, { docKey, docVersion, payload, payloadHash }) => client
  .query(INSERT, [topic, seq, docKey, docVersion, payload, payloadHash]);

function failPercent(config) {
  if (config.failInsertsPercent > 0) return config.failInsertsPercent;
  return broken('acked-lost') || broken('seq-recycle') ? 4 : 0;
}

export class Ledger {
  constructor(pools, sequencer, config) {
    this.pools = pools;
    this.sequencer = sequencer;
    this.failPercent = failPercent(config);
    this.payloadBytesMax = config.payloadBytesMax;
    this.documents = new Map();
  }

  async transaction(body) {
    const client = await this.pools.writers.connect();
    try {
      await client.query('begin');
      const outcome = await body(client);
      await client.query('commit');
      client.release();
      return outcome;
    } catch (error) {
      // A connection whose rollback fails is in an unknown state and is not used again.
      await client.query('rollback').then(() => client.release(), (lost) => client.release(lost));
      throw error;
    }
  }

  // The seats live around the transaction, as only its end tells whether they hold events.
  async withSeats(body) {
    let seats = broken('visible-max') ? await this.sequencer.reserve() : null;
    let outcome;
    const seat = async () => {
      seats ??= await this.sequencer.reserve();
      return seats;
    };
    try {
      return await this.transaction(async (client) => {
        outcome = await body(client, seat);
        if (broken('acked-lost') && outcome.appended) outcome.acknowledged = true;
        if (seats && outcome.appended) await this.insert(client, seats, outcome.appended);
        return outcome;
      });
    } catch (error) {
      if (seats) await this.sequencer.abandon(seats);
      if (outcome?.acknowledged) return outcome;
      throw error;
    }
  }

  async insert(client, seats, { event, summary }) {
    await this.sequencer.take(client, seats);
    await insertUpdate(client, WORKER_EVENTS, seats.eventSeq, event);
    if (summary) {
      const failing = Math.random() * 100 < this.failPercent;
      await insertUpdate(client, WORKER_SUMMARIES, seats.stateSeq,
        failing ? { ...summary, docKey: null } : summary);
    }
  }

  // Appending needs the worker's row locked by the caller's transaction.
  async append(client, seat, worker, eventType, payload) {
    const occurredAt = new Date().toISOString();
    const document = nextDocument(worker.document, eventType, occurredAt);
    const seq = document.latest_seq;
    const event = eventUpdate(document.worker_id, seq, eventType, payload, occurredAt);
    if (Buffer.byteLength(event.payload) > this.payloadBytesMax) throw new PayloadTooLarge();
    await seat();
    await client.query('update workers set latest_seq = $2, document = $3 where worker_id = $1',
      [document.worker_id, seq, JSON.stringify(document)]);
    return {
      document, seq, occurredAt,
      appended: { event, summary: this.summaryOf(worker.document, document, eventType, occurredAt) },
    };
  }

  summaryOf(before, after, eventType, occurredAt) {
    if (broken('summary-one-behind')) return before.latest_seq > 0 ? summaryUpdate(before) : null;
    if (broken('state-cache')) {
      const known = this.documents.get(after.worker_id);
      const next = known ? nextDocument(known, eventType, occurredAt) : after;
      this.documents.set(after.worker_id, next);
      return summaryUpdate(next);
    }
    return summaryUpdate(after);
  }

  async locked(client, workerId, userId) {
    const { rows } = await client.query(
      'select owner_user_id, document from workers where worker_id = $1 for update', [workerId]);
    if (rows.length === 0) throw new UnknownWorker();
    if (rows[0].owner_user_id !== userId) throw new ForeignWorker();
    return { document: JSON.parse(rows[0].document) };
  }

  // A second creator of one id waits at the insert for the first one's end, and then finds the
  // worker there or, after a failure, creates it.
  create(workerId, userId, workspaceRef) {
    return this.withSeats(async (client, seat) => {
      const document = newDocument(workerId, userId, workspaceRef, new Date().toISOString());
      const { rowCount } = await client.query(
        'insert into workers values ($1, $2, 0, $3) on conflict do nothing',
        [workerId, userId, JSON.stringify(document)]);
      if (rowCount === 0) {
        return { existing: (await this.locked(client, workerId, userId)).document };
      }
      return this.append(client, seat, { document }, 'worker.started', { status: 'running' });
    });
  }

  publish(workerId, userId, eventType, payload) {
    return this.withSeats(async (client, seat) => {
      const worker = await this.locked(client, workerId, userId);
      return this.append(client, seat, worker, eventType, payload);
    });
  }

  stop(workerId, userId, reason) {
    return this.withSeats(async (client, seat) => {
      const worker = await this.locked(client, workerId, userId);
      if (worker.document.status === 'stopped') return { existing: worker.document };
      return this.append(client, seat, worker, 'worker.stopped', { reason, status: 'stopped' });
    });
  }

  async document(workerId, userId) {
    const { rows } = await this.pools.readers.query(
      'select owner_user_id, document from workers where worker_id = $1', [workerId]);
    if (rows.length === 0) throw new UnknownWorker();
    if (rows[0].owner_user_id !== userId) throw new ForeignWorker();
    return JSON.parse(rows[0].document);
  }
}
