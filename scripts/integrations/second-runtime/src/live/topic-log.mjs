// A topic's log is the recent, settled part of the topic in memory: everything after `start` up to
// `head`, in order. All sockets of a process read from it, so the database is asked once per event
// and process, not once per client.

import { broken } from '../defects.mjs';
import { deletedThrough } from '../store/pruner.mjs';

const ENTRIES_MAX = 12_000;
const BYTES_MAX = 48 * 1024 * 1024;
// Trimming moves the array, so it waits until there is something worth moving for.
const SLACK = 1_000;
const STATE_SPACING_MS = 700;

export class TopicLog {
  constructor(topic, isState) {
    this.topic = topic;
    this.isState = isState;
    this.entries = [];
    this.bytes = 0;
    this.start = 0;
    this.head = 0;
    this.floor = 0;
    this.lastAppended = new Map();
  }

  append({ entries, through, floor }) {
    for (const entry of this.admitted(entries)) {
      this.entries.push(entry);
      this.bytes += entry.json.length;
    }
    this.head = Math.max(this.head, through);
    this.floor = floor;
    this.trim();
  }

  admitted(entries) {
    if (!(this.isState && broken('state-throttle'))) return entries;
    return entries.filter(({ docKey }) => {
      const now = Date.now();
      if (now - (this.lastAppended.get(docKey) ?? 0) < STATE_SPACING_MS) return false;
      this.lastAppended.set(docKey, now);
      return true;
    });
  }

  trim() {
    const floor = this.floor > 0 ? deletedThrough(this.floor) : 0;
    let drop = floor > this.start ? this.indexAfter(floor) : 0;
    if (floor > this.start) this.start = Math.min(floor, this.head);
    const tooMany = this.entries.length - ENTRIES_MAX;
    if (tooMany > SLACK) drop = Math.max(drop, tooMany);
    let bytes = this.bytes;
    for (let n = 0; n < drop; n += 1) bytes -= this.entries[n].json.length;
    while (bytes > BYTES_MAX) {
      bytes -= this.entries[drop].json.length;
      drop += 1;
    }
    if (drop === 0) return;
    this.start = Math.max(this.start, this.entries[drop - 1].seq);
    this.entries.splice(0, drop);
    this.bytes = bytes;
  }

  indexAfter(seq) {
    let low = 0;
    let high = this.entries.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.entries[middle].seq > seq) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  reaches(cursor) {
    return cursor >= this.start;
  }

  // A copy of references: a replay that takes a while is not overtaken by trimming.
  after(cursor) {
    return { entries: this.entries.slice(this.indexAfter(cursor)), through: this.head };
  }
}
