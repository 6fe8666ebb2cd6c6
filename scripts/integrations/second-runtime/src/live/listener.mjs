// The listener holds the connection that PostgreSQL notifies. It comes back by itself when that is
// lost; until then the polls carry on.

import { WAKE_CHANNEL } from '../store/sequencer.mjs';
import { REVOKED_CHANNEL } from '../store/revocations.mjs';
import { openClient } from '../store/pools.mjs';

const RETRY_MS = 200;

export class Listener {
  constructor(store, onSettled, onRevoked) {
    this.store = store;
    this.handlers = new Map([[WAKE_CHANNEL, onSettled], [REVOKED_CHANNEL, onRevoked]]);
    this.stopped = false;
  }

  async start() {
    const client = openClient(this.store);
    this.client = client;
    let over = false;
    const again = () => {
      if (over || this.stopped) return;
      over = true;
      setTimeout(() => this.start(), RETRY_MS);
    };
    client.on('error', again);
    client.on('end', again);
    client.on('notification', ({ channel }) => this.handlers.get(channel)());
    try {
      await client.connect();
      for (const channel of this.handlers.keys()) await client.query(`listen ${channel}`);
      // Notifications of the time without a listener are gone, so both sides look once.
      for (const handler of this.handlers.values()) handler();
    } catch {
      again();
    }
  }

  async stop() {
    this.stopped = true;
    await this.client.end().catch(() => {});
  }
}
