// Whether a cursor can still be resumed from: not below the floor, and within the replay budget.

import { broken } from '../defects.mjs';
import { TOPICS } from '../topics.mjs';

function reasonFor(cursor, log, budget) {
  if (cursor < log.floor) return 'retention_floor_breach';
  const lag = log.head - cursor;
  if (lag > budget || (broken('budget-bound') && lag === budget)) return 'replay_budget_exceeded';
  return null;
}

// The topic's entry in a stale_cursor error, or null when the cursor is fresh.
export function staleTopic(cursor, log) {
  const { replayBudget, qosTier } = TOPICS.get(log.topic);
  const reason = reasonFor(cursor, log, replayBudget);
  return reason && {
    topic: log.topic, reason, qos_tier: qosTier, resume_after: cursor, retention_floor: log.floor,
    head_watermark: log.head, replay_lag: log.head - cursor, replay_budget_events: replayBudget,
  };
}
