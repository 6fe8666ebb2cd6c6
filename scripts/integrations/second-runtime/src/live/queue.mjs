// A socket's queue counts the batches that the kernel has not taken yet. It is bounded: a live
// batch that finds it full is not sent but counts as a strike, and is read from the log later.

import { broken } from '../defects.mjs';

export const QUEUE_LIMIT = 64;
export const STRIKES_MAX = 3;
// A replay fills only a part of the queue, so that it never makes a strike by itself.
const REPLAY_WINDOW = 8;
// A client that takes nothing for this long in a replay is as slow as one with a full queue.
const STALL_MS = 5_000;
// Strikes are spaced, so that one burst is one strike.
const STRIKE_SPACING_MS = 500;

export class Queue {
  constructor() {
    this.depth = 0;
    this.strikes = 0;
    this.struckAt = 0;
    this.waiters = new Set();
    this.gone = false;
    this.onDrain = () => {};
  }

  get isFull() {
    return !broken('slow-unbounded') && this.depth >= QUEUE_LIMIT;
  }

  get hasReplayRoom() {
    return broken('slow-unbounded') || this.depth < REPLAY_WINDOW;
  }

  enter(batch) {
    this.depth += broken('depth-accounting') ? 1 + batch.rows - batch.updates : 1;
  }

  left() {
    this.depth -= 1;
    // A client that has taken everything keeps up again.
    if (this.depth === 0) this.strikes = 0;
    if (this.hasReplayRoom) this.release();
    if (this.depth === REPLAY_WINDOW || this.depth === 0) this.onDrain();
  }

  // Whether this counts as a new strike; the count is then one higher.
  strike(now) {
    if (now - this.struckAt < STRIKE_SPACING_MS) return false;
    this.struckAt = now;
    this.strikes += 1;
    return true;
  }

  // Resolves true when a replay may send, false when nothing was taken for the time given.
  roomWithin(ms) {
    if (this.gone || this.hasReplayRoom) return Promise.resolve(true);
    return new Promise((resolve) => {
      const waiter = (room) => {
        clearTimeout(timer);
        this.waiters.delete(waiter);
        resolve(room);
      };
      const timer = setTimeout(waiter, ms, false);
      this.waiters.add(waiter);
    });
  }

  // Waits for room; `onStall` is told of every stall and returns whether to wait on.
  async room(onStall) {
    while (!(await this.roomWithin(STALL_MS))) {
      if (!onStall()) return;
    }
  }

  release() {
    for (const waiter of this.waiters) waiter(true);
  }

  end() {
    this.gone = true;
    this.release();
  }
}
