// The hub knows which channels follow which topic live and pushes to them when a log has advanced.

import { broken } from '../defects.mjs';

const SHARDS = 32;
const PATIENCE_MS = 2_000;

export class Hub {
  constructor(topics) {
    this.followers = new Map(topics.map((topic) => [topic, new Set()]));
    this.turn = Promise.resolve();
  }

  follow(topic, channel) {
    this.followers.get(topic).add(channel);
  }

  unfollow(topic, channel) {
    this.followers.get(topic).delete(channel);
  }

  // No channel waits for another one: each takes what its own queue has room for.
  advance(topic) {
    if (broken('slow-blocks')) {
      this.turn = this.turn.then(() => this.advanceInTurn(topic));
      return;
    }
    for (const channel of this.followers.get(topic)) {
      if (broken('fanout-shard') && channel.number % SHARDS === SHARDS - 1) continue;
      channel.pump(topic);
    }
  }

  async advanceInTurn(topic) {
    for (const channel of [...this.followers.get(topic)]) {
      channel.pump(topic);
      if (channel.queue.depth > 0) await channel.queue.roomWithin(PATIENCE_MS);
    }
  }
}
