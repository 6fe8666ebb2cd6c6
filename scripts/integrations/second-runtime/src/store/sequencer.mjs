// The sequencer allocates seqs in a transaction of its own, before the insert that uses them. A
// seq is therefore visible as reserved before its event can be, and readers hold back at it.
//
// A publisher that dies in between leaves a reservation; the reaper takes it away. An insert must
// remove its reservation itself and fails when that is gone, so a reaped seq never appears late.

import { broken } from '../defects.mjs';
import { WORKER_EVENTS, WORKER_SUMMARIES } from '../topics.mjs';

const ABANDONED_AFTER_SECONDS = 10;
const REAP_EVERY_MS = 1_000;
const BLOCK_SIZE = 4;

export const WAKE_CHANNEL = 'khala_settled';

export class PublishRateLimited extends Error {
  constructor() {
    super('the topic takes no more events in this second');
    this.retryAfterMs = 1_000 - (Date.now() % 1_000);
  }
}

const SEATS_GONE = `delete from reservations
  where (topic = $1 and seq = $2) or (topic = $3 and seq = $4)`;

const seatArguments = (seats) => [WORKER_EVENTS, seats.eventSeq, WORKER_SUMMARIES, seats.stateSeq];

export class Sequencer {
  constructor(pools, publishPerSecond) {
    this.pool = pools.allocators;
    this.publishPerSecond = publishPerSecond;
    this.block = [];
    this.freed = [];
  }

  async reserve() {
    if (this.freed.length > 0) return this.freed.shift();
    if (broken('seq-block-cache')) return this.fromBlock();
    const { rows } = await this.pool.query('select * from reserve_pair($1, $2, $3)',
      [WORKER_EVENTS, WORKER_SUMMARIES, this.publishPerSecond]);
    if (rows.length === 0) throw new PublishRateLimited();
    if (broken('notify-before-commit')) await this.pool.query(`notify ${WAKE_CHANNEL}`);
    return { eventSeq: rows[0].event_seq, stateSeq: rows[0].state_seq };
  }

  async fromBlock() {
    if (this.block.length === 0) {
      const { rows } = await this.pool.query(
        `update topics set last_seq = last_seq + ${BLOCK_SIZE}
         where topic = any($1) returning topic, last_seq`, [[WORKER_EVENTS, WORKER_SUMMARIES]],
      );
      const last = new Map(rows.map((row) => [row.topic, row.last_seq]));
      for (let n = BLOCK_SIZE - 1; n >= 0; n -= 1) {
        this.block.push({
          eventSeq: last.get(WORKER_EVENTS) - n, stateSeq: last.get(WORKER_SUMMARIES) - n, loose: true,
        });
      }
    }
    return this.block.shift();
  }

  // Taking the seats is part of the insert's transaction: event and seat change places at once.
  async take(client, seats) {
    const { rowCount } = await client.query(SEATS_GONE, seatArguments(seats));
    if (rowCount !== 2 && !seats.loose) throw new Error('the reservation was reaped');
    if (!broken('notify-before-commit')) await client.query(`notify ${WAKE_CHANNEL}`);
  }

  // Abandoned seats are holes from here on. Without the wake-up, what waits behind them would
  // stay held back until the next poll.
  async abandon(seats) {
    if (broken('seq-recycle')) this.freed.push({ ...seats, loose: true });
    try {
      await this.pool.query(SEATS_GONE, seatArguments(seats));
      await this.pool.query(`notify ${WAKE_CHANNEL}`);
    } catch (error) {
      console.error(`seats are left to the reaper: ${error.message}`);
    }
  }

  startReaper() {
    this.reaper = setInterval(() => this.reap().catch(
      (error) => console.error(`reaping failed: ${error.message}`)), REAP_EVERY_MS);
  }

  // A row that an insert has locked is about to go by itself, so the reaper skips it.
  async reap() {
    await this.pool.query(`delete from reservations where (topic, seq) in (
      select topic, seq from reservations
      where reserved_at < clock_timestamp() - $1 * interval '1 second' for update skip locked)`,
    [ABANDONED_AFTER_SECONDS]);
  }

  stopReaper() {
    clearInterval(this.reaper);
  }
}
