// Errors that go to a client as `sync:error`, as an error frame or as the reply to a join.

import { SNAPSHOT_FORMAT, TOPICS } from '../topics.mjs';

const RECONNECT_AFTER_MS = 2_000;

export const reauthRequired = (reason) => ({
  code: 'reauth_required', message: 'session access was revoked; sign in again',
  reauth_required: true, reason,
});

export const slowConsumer = (topic, depth, limit, isLast) => ({
  code: 'slow_consumer', message: 'client cannot keep up with live fanout',
  action: isLast ? 'disconnect' : 'throttle', topic, queue_depth: depth, queue_limit: limit,
  reconnect_after_ms: RECONNECT_AFTER_MS, full_resync_required: isLast,
});

const STALE_MESSAGES = {
  retention_floor_breach: 'cursor is older than retention floor',
  replay_budget_exceeded: 'replay budget exceeded for topic qos tier; full resync required',
};

export const staleCursor = (staleTopics) => ({
  code: 'stale_cursor', message: STALE_MESSAGES[staleTopics[0].reason], full_resync_required: true,
  reason_codes: [...new Set(staleTopics.map((stale) => stale.reason))],
  stale_topics: staleTopics,
  snapshot_plan: {
    format: SNAPSHOT_FORMAT,
    topics: staleTopics.filter(({ topic }) => TOPICS.get(topic).snapshot).map((stale) => ({
      topic: stale.topic, head_watermark: stale.head_watermark,
      snapshot: TOPICS.get(stale.topic).snapshot,
    })),
  },
});
