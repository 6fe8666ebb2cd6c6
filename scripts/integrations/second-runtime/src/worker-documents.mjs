// A worker's documents: the one that each event is, and the one that tells its latest state.

import { canonicalJson, payloadHash } from './json.mjs';

const summaryKey = (workerId) => `runtime/codex_worker_summary:${workerId}`;

export const newDocument = (workerId, userId, workspaceRef, startedAt) => ({
  adapter: 'in_memory', codex_home_ref: null, document_id: summaryKey(workerId), event_count: 0,
  kind: 'codex_worker_summary', last_heartbeat_at: startedAt, latest_event_at: null,
  latest_event_type: null, latest_seq: 0, metadata: {}, owner_guest_scope: null,
  owner_user_id: userId, projected_at: startedAt, projection_version: 'khala_summary_v1',
  runtime_source: { entity: 'codex_worker', seq: 0, worker_id: workerId },
  started_at: startedAt, status: 'running', stopped_at: null, updated_at: startedAt,
  worker_id: workerId, workspace_ref: workspaceRef,
});

export function nextDocument(document, eventType, occurredAt) {
  const seq = document.latest_seq + 1;
  const stopped = eventType === 'worker.stopped';
  return {
    ...document, event_count: document.event_count + 1, latest_event_at: occurredAt,
    latest_event_type: eventType, latest_seq: seq, projected_at: occurredAt,
    runtime_source: { ...document.runtime_source, seq },
    status: stopped ? 'stopped' : document.status,
    stopped_at: stopped ? occurredAt : document.stopped_at, updated_at: occurredAt,
  };
}

const update = (docKey, docVersion, payload) => ({
  docKey, docVersion, payload: canonicalJson(payload), payloadHash: payloadHash(payload),
});

export const eventUpdate = (workerId, seq, eventType, payload, occurredAt) => update(
  `runtime/codex_worker_event:${workerId}:${seq}`, seq, {
    eventType, event_type: eventType, occurredAt, occurred_at: occurredAt, payload, seq,
    workerId, worker_id: workerId,
  },
);

export const summaryUpdate = (document) => update(
  summaryKey(document.worker_id), document.latest_seq, document,
);
