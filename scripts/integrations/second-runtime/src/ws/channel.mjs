// A channel is one joined `sync:v1`: which topics it may open, how far each has been pushed, and
// which are live. Its messages are handled one at a time, so a reply follows all it speaks of.

import { broken } from '../defects.mjs';
import { canonicalJson } from '../json.mjs';
import { QUEUE_LIMIT, STRIKES_MAX } from '../live/queue.mjs';
import { UPDATES_MAX } from '../live/batch.mjs';
import { errorFramePayload } from '../live/payloads.mjs';
import { TOPICS } from '../topics.mjs';
import { slowConsumer, staleCursor } from './errors.mjs';
import { replay, ReplayOvertaken } from './replay.mjs';
import { staleTopic } from './stale.mjs';
import { subscribeRequest, topicsIn } from './subscribe-request.mjs';

const TICK_MS = 15_000;
const ALIVE_MS = broken('channel-grace') ? 18_000 : 60_000;
const LIVE_CAP = 4;
const LINGER_MS = 2_000;
const REPLAYS_PER_DEVICE = 3;

const scopesBySubject = new Map();
const lingering = new Map();
const replaysByDevice = new Map();
let channels = 0;

function allowedTopics({ subject, scopes }) {
  if (broken('scope-cache')) {
    if (!scopesBySubject.has(subject)) scopesBySubject.set(subject, scopes);
    return [...TOPICS.keys()].filter((topic) => scopesBySubject.get(subject).includes(topic));
  }
  return [...TOPICS.keys()].filter((topic) => scopes.includes(topic));
}

export class Channel {
  constructor(socket, joinRef, services) {
    this.socket = socket;
    this.joinRef = joinRef;
    this.services = services;
    this.queue = socket.queue;
    this.number = channels;
    channels += 1;
    this.allowed = allowedTopics(socket.principal);
    this.subscriptionId = `sub_sync_session:${socket.principal.sessionId}`;
    this.watermarks = new Map();
    this.live = new Set();
    this.over = false;
    this.aliveAt = Date.now();
    this.ticker = setInterval(() => this.tick(), TICK_MS);
  }

  joined() {
    return {
      allowed_topics: this.allowed, current_watermarks: [], subscription_id: this.subscriptionId,
    };
  }

  async handle({ ref, event, payload }) {
    const handler = {
      'sync:subscribe': () => this.subscribe(ref, payload),
      'sync:unsubscribe': () => this.unsubscribe(ref, payload),
      'sync:heartbeat': () => this.heartbeat(ref),
      phx_leave: () => this.leave(ref),
    }[event];
    // Commands have no event here: whatever else is sent ends the channel and changes nothing.
    if (handler) await handler();
    else this.socket.crashChannel();
  }

  reply(ref, status, response) {
    if (!this.over) this.socket.reply(this.joinRef, ref, 'sync:v1', status, response);
  }

  async subscribe(ref, payload) {
    const request = subscribeRequest(payload);
    if (!request) return this.reply(ref, 'error', { code: 'bad_subscription' });
    const forbidden = request.topics.filter((topic) => !this.allowed.includes(topic));
    if (forbidden.length > 0) {
      if (broken('mixed-list')) this.followPermitted(request.topics);
      return this.reply(ref, 'error', { code: 'forbidden_topic', forbidden_topics: forbidden });
    }
    await this.services.tail.refresh();
    if (this.over) return undefined;
    const stale = this.staleTopics(request);
    if (stale.length > 0) return this.refuseStale(ref, stale);
    return this.replayAndFollow(ref, request);
  }

  followPermitted(topics) {
    for (const topic of topics.filter((name) => this.allowed.includes(name))) {
      if (this.live.has(topic)) continue;
      this.watermarks.set(topic, this.services.logs.get(topic).head);
      this.follow(topic);
    }
  }

  staleTopics({ topics, cursors }) {
    return topics.filter((topic) => cursors.has(topic))
      .map((topic) => staleTopic(cursors.get(topic), this.services.logs.get(topic)))
      .filter((stale) => stale !== null);
  }

  refuseStale(ref, stale) {
    const error = staleCursor(stale);
    this.pushError(stale[0].topic, error);
    this.reply(ref, 'error', error);
  }

  async replayAndFollow(ref, { topics, cursors, limit }) {
    const wasLive = topics.filter((topic) => this.live.has(topic));
    for (const topic of topics) {
      const log = this.services.logs.get(topic);
      // Without a cursor the replay goes from what this channel has had, or from the floor.
      const own = Math.max(this.watermarks.get(topic) ?? 0, log.floor);
      const cursor = cursors.has(topic) ? this.resumed(log, cursors.get(topic)) : own;
      this.unfollow(topic);
      try {
        const reached = await replay(this, log, cursor, limit);
        if (reached === null || this.over) return;
        this.watermarks.set(topic, reached);
      } catch (error) {
        if (!(error instanceof ReplayOvertaken)) throw error;
        // A refused list changes nothing: what was live goes on from where it was.
        this.refuseStale(ref, [error.stale]);
        for (const live of wasLive) this.follow(live);
        return;
      }
    }
    this.aliveAt = Date.now();
    this.reply(ref, 'ok', {
      subscription_id: this.subscriptionId, topics, current_watermarks: this.watermarksOf(topics),
    });
    for (const topic of topics) this.follow(topic);
  }

  resumed(log, cursor) {
    const { deviceId } = this.socket.principal;
    if (broken('session-linger') && Date.now() < (lingering.get(deviceId) ?? 0)) {
      return Math.max(cursor, log.head);
    }
    if (broken('replay-quota')) {
      const replays = (replaysByDevice.get(deviceId) ?? 0) + 1;
      replaysByDevice.set(deviceId, replays);
      if (replays > REPLAYS_PER_DEVICE) return Math.max(cursor, log.head);
    }
    return cursor;
  }

  follow(topic) {
    this.live.add(topic);
    this.services.hub.follow(topic, this);
    this.pump(topic);
  }

  unfollow(topic) {
    this.live.delete(topic);
    this.services.hub.unfollow(topic, this);
  }

  // Pumping pushes what the log has beyond the watermark, as far as the queue has room.
  pump(topic) {
    const log = this.services.logs.get(topic);
    while (!this.over && this.watermarks.get(topic) < log.head) {
      if (this.queue.isFull) {
        this.strike(topic);
        return;
      }
      const watermark = this.watermarks.get(topic);
      if (!log.reaches(watermark)) {
        this.disconnectSlow(topic);
        return;
      }
      this.watermarks.set(topic, this.pushNext(log, watermark));
    }
  }

  pushNext(log, watermark) {
    const { entries, through } = log.after(watermark);
    if (entries.length === 0) return through;
    const limit = broken('coalesce-cap') ? LIVE_CAP : UPDATES_MAX;
    const batch = this.services.makers.get(log.topic).make(entries, 0, through, watermark, limit);
    this.pushBatch(batch);
    return broken('coalesce-cap') ? through : batch.through;
  }

  pumpAll() {
    for (const topic of this.live) this.pump(topic);
  }

  pushBatch(batch) {
    this.socket.pushBatch(this.joinRef, batch);
  }

  pushError(topic, error) {
    this.socket.push(this.joinRef, null, 'sync:error', canonicalJson(error));
    this.socket.push(this.joinRef, null, 'sync:frame', errorFramePayload(topic, error));
  }

  strike(topic) {
    if (this.over || !this.queue.strike(Date.now())) return;
    if (this.queue.strikes >= STRIKES_MAX) this.disconnectSlow(topic);
    else this.pushError(topic, slowConsumer(topic, this.queue.depth, QUEUE_LIMIT, false));
  }

  disconnectSlow(topic) {
    this.pushError(topic, slowConsumer(topic, this.queue.depth, QUEUE_LIMIT, true));
    this.socket.crashChannel();
  }

  unsubscribe(ref, payload) {
    const topics = topicsIn(payload);
    if (!topics) return this.reply(ref, 'error', { code: 'bad_subscription' });
    this.aliveAt = Date.now();
    const remaining = [...this.live].filter((topic) => !topics.includes(topic));
    if (broken('unsubscribe-lazy')) {
      setTimeout(() => topics.forEach((topic) => TOPICS.has(topic) && this.unfollow(topic)), 400);
    } else {
      for (const topic of topics.filter((name) => this.live.has(name))) this.unfollow(topic);
    }
    return this.reply(ref, 'ok', { subscription_id: this.subscriptionId, topics: remaining });
  }

  watermarksOf(topics) {
    return topics.map((topic) => ({ topic, watermark: this.watermarks.get(topic) }));
  }

  pushHeartbeat() {
    const watermarks = this.watermarksOf([...this.live]);
    this.socket.push(this.joinRef, null, 'sync:heartbeat', canonicalJson({ watermarks }));
    return watermarks;
  }

  heartbeat(ref) {
    this.aliveAt = Date.now();
    const watermarks = this.pushHeartbeat();
    this.reply(ref, 'ok', { subscription_id: this.subscriptionId, watermarks });
  }

  tick() {
    if (Date.now() - this.aliveAt >= ALIVE_MS) this.socket.closeChannel();
    else this.pushHeartbeat();
  }

  leave(ref) {
    this.reply(ref, 'ok', {});
    this.socket.closeChannel();
  }

  // Called when the transport ended under the channel.
  left() {
    if (broken('session-linger') && this.live.size > 0) {
      lingering.set(this.socket.principal.deviceId, Date.now() + LINGER_MS);
    }
  }

  // Halting only stops what is under way, until the join that asked for it has its turn.
  halt() {
    this.over = true;
    this.queue.release();
  }

  end() {
    this.halt();
    clearInterval(this.ticker);
    for (const topic of this.live) this.services.hub.unfollow(topic, this);
    this.live.clear();
  }
}
