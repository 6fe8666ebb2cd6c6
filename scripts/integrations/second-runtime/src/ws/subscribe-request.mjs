// A subscribe's payload, checked for its shape. Null stands for a bad subscription.

import { UPDATES_MAX } from '../live/batch.mjs';

const isCursor = (value) => Number.isSafeInteger(value) && value >= 0;

export function topicsIn(payload) {
  const topics = payload?.topics;
  if (!Array.isArray(topics) || topics.length === 0) return null;
  if (!topics.every((topic) => typeof topic === 'string' && topic !== '')) return null;
  return [...new Set(topics)];
}

function cursorsIn(resumeAfter) {
  if (resumeAfter === undefined || resumeAfter === null) return new Map();
  if (typeof resumeAfter !== 'object') return null;
  const pairs = Array.isArray(resumeAfter)
    ? resumeAfter.map((item) => [item?.topic, item?.watermark])
    : Object.entries(resumeAfter);
  const isValid = ([topic, cursor]) => typeof topic === 'string' && isCursor(cursor);
  return pairs.every(isValid) ? new Map(pairs) : null;
}

export function subscribeRequest(payload) {
  const topics = topicsIn(payload);
  const cursors = topics && cursorsIn(payload.resume_after);
  if (!cursors) return null;
  const size = payload.replay_batch_size;
  const limit = Number.isSafeInteger(size) && size > 0 ? Math.min(size, UPDATES_MAX) : UPDATES_MAX;
  return { topics, cursors, limit };
}
