// A socket owns the transport: framing, the one channel, the queue of what the kernel has not
// taken, and the end. It never looks into a topic.

import { Queue } from '../live/queue.mjs';
import { broken } from '../defects.mjs';
import { Channel } from './channel.mjs';
import { compatibilityError } from './compatibility.mjs';
import { reauthRequired } from './errors.mjs';

const CHANNEL_TOPIC = 'sync:v1';
const IDLE_MS = 60_000;
// A client that asks on without reading the answers is not read either until it does.
const REPLIES_PENDING_MAX = 256;
const TEXT = { binary: false };

export class Socket {
  constructor(ws, { principal, query, serializer }, services) {
    this.ws = ws;
    this.principal = principal;
    this.query = query;
    this.serializer = serializer;
    this.services = services;
    this.channel = null;
    this.queue = new Queue();
    this.queue.onDrain = () => this.channel?.pumpAll();
    this.work = Promise.resolve();
    this.repliesPending = 0;
    this.touched();
    ws.on('message', (data, isBinary) => this.receive(data, isBinary));
    ws.on('ping', () => this.touched());
    ws.on('pong', () => this.touched());
    ws.on('error', () => {});
    ws.on('close', () => this.ended());
  }

  touched() {
    this.touchedAt = Date.now();
  }

  receive(data, isBinary) {
    this.touched();
    if (this.closing) return;
    let message;
    try {
      message = this.serializer.decode(data, isBinary);
    } catch {
      this.close(1011);
      return;
    }
    if (message.topic === 'phoenix' && message.event === 'heartbeat') {
      this.reply(null, message.ref, 'phoenix', 'ok', {});
    } else {
      // A join ends the old channel at once, also one that is in the middle of a replay.
      if (message.topic === CHANNEL_TOPIC && message.event === 'phx_join') this.channel?.halt();
      this.work = this.work.then(() => this.handle(message)).catch((error) => {
        console.error(`a message failed: ${error.stack}`);
        this.crashChannel();
      });
    }
  }

  async handle(message) {
    if (this.closing || this.gone) return;
    const { joinRef, ref, topic, event } = message;
    if (topic === CHANNEL_TOPIC && event === 'phx_join') return this.join(message);
    if (event === 'phx_leave' && (topic !== CHANNEL_TOPIC || !this.channel)) {
      return this.reply(joinRef, ref, topic, 'ok', {});
    }
    if (topic !== CHANNEL_TOPIC || !this.channel) {
      return this.reply(null, ref, topic, 'error', { reason: 'unmatched topic' });
    }
    // Messages to a channel that a rejoin has replaced are dropped.
    if (joinRef !== null && joinRef !== this.channel.joinRef) return undefined;
    return this.channel.handle(message);
  }

  async join({ joinRef, ref }) {
    const old = this.channel;
    this.channel = null;
    old?.end();
    const refusal = await this.joinRefusal();
    if (this.closing || this.gone) return;
    if (refusal) {
      this.reply(joinRef, ref, CHANNEL_TOPIC, 'error', refusal);
    } else {
      this.queue.strikes = 0;
      this.channel = new Channel(this, joinRef, this.services);
      this.reply(joinRef, ref, CHANNEL_TOPIC, 'ok', this.channel.joined());
    }
    if (old) this.push(old.joinRef, old.joinRef, 'phx_close', '{}');
  }

  async joinRefusal() {
    if (this.hasExpired(Date.now())) return reauthRequired('token_expired');
    const reason = await this.services.revocations.reasonFor(this.principal);
    if (reason !== null) return reauthRequired(reason);
    return compatibilityError(this.query, this.principal, this.services.config.compatibility);
  }

  hasExpired(now) {
    return !broken('exp-skew') && now >= this.principal.expiresAtMs;
  }

  reply(joinRef, ref, topic, status, response) {
    this.repliesPending += 1;
    if (this.repliesPending > REPLIES_PENDING_MAX) this.ws.pause();
    this.write(this.serializer.reply(joinRef, ref, topic, status, response), () => {
      this.repliesPending -= 1;
      if (this.repliesPending === 0 && this.ws.isPaused) this.ws.resume();
    });
  }

  push(joinRef, ref, event, payloadText) {
    this.write(this.serializer.push(joinRef, ref, event, payloadText));
  }

  // The pair counts as one batch, from here until the kernel has taken its second half.
  pushBatch(joinRef, batch) {
    const [legacy, canonical] = batch.pushesFor(this.serializer, joinRef);
    this.queue.enter(batch);
    this.ws.send(legacy, TEXT);
    this.ws.send(canonical, TEXT, () => {
      this.touched();
      this.queue.left();
    });
  }

  write(text, onTaken) {
    this.ws.send(text, TEXT, () => {
      this.touched();
      onTaken?.();
    });
  }

  // The channel ends as a crashed one does; the socket stays and may join again.
  crashChannel() {
    const { channel } = this;
    if (!channel) return;
    this.channel = null;
    channel.end();
    this.push(channel.joinRef, channel.joinRef, 'phx_error', '{}');
  }

  closeChannel() {
    const { channel } = this;
    this.channel = null;
    channel.end();
    this.push(channel.joinRef, channel.joinRef, 'phx_close', '{}');
  }

  evict(reason) {
    this.channel?.pushError('sync.auth', reauthRequired(reason));
    this.close(1011);
  }

  closeIfIdle(now) {
    if (now - this.touchedAt >= IDLE_MS) this.close(1002);
  }

  close(code) {
    if (this.closing) return;
    this.closing = true;
    this.channel?.end();
    this.ws.close(code);
  }

  ended() {
    this.gone = true;
    this.channel?.left();
    this.channel?.end();
    this.queue.end();
  }
}
