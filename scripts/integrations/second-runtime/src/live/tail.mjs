// The tail of a process follows all topics: woken by a notification, and by a poll in case one was
// lost, it reads what has settled into the logs and tells the hub.

import { broken } from '../defects.mjs';
import { readSettled } from '../store/settled.mjs';

const POLL_MS = broken('debounce-starve') || broken('notify-before-commit') ? 10_000 : 250;
// Reads are spaced, so that a burst of events becomes a few batches rather than many.
const SPACING_MS = broken('coalesce-cap') ? 250 : 20;
const DEBOUNCE_MS = 120;
const PAGE = 1_000;

const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

export class Tail {
  constructor(pool, logs, onAdvance) {
    this.pool = pool;
    this.logs = logs;
    this.onAdvance = onAdvance;
    this.waiting = [];
    this.running = false;
    this.stopped = false;
  }

  start() {
    this.poll = setInterval(() => this.wake(), POLL_MS);
    return this.refresh();
  }

  stop() {
    this.stopped = true;
    clearInterval(this.poll);
  }

  wake() {
    if (broken('debounce-starve')) {
      clearTimeout(this.debounce);
      this.debounce = setTimeout(() => this.refresh().catch(() => {}), DEBOUNCE_MS);
      return;
    }
    this.refresh().catch(() => {});
  }

  // Resolves after a read that began after this call, so what was acknowledged before is in it.
  // Callers that come while a read is on its way share the next one.
  refresh() {
    return new Promise((resolve, reject) => {
      this.waiting.push({ resolve, reject });
      if (!this.running) this.run();
    });
  }

  async run() {
    this.running = true;
    while (this.waiting.length > 0) {
      const served = this.waiting;
      this.waiting = [];
      try {
        await this.readToHead();
        for (const { resolve } of served) resolve();
      } catch (error) {
        if (!this.stopped) console.error(`the tail could not read: ${error.message}`);
        for (const { reject } of served) reject(error);
      }
      await pause(SPACING_MS);
    }
    this.running = false;
  }

  async readToHead() {
    let behind = [...this.logs.values()];
    while (behind.length > 0) {
      const pages = await readSettled(
        this.pool, new Map(behind.map((log) => [log.topic, log.head])), PAGE,
      );
      behind = behind.filter((log) => {
        const page = pages.get(log.topic);
        const before = log.head;
        log.append(page);
        if (log.head > before) this.onAdvance(log.topic);
        return log.head < page.head;
      });
    }
  }
}
