// The known topics with the numbers the contract gives them.

export const WORKER_EVENTS = 'runtime.codex_worker_events';
export const WORKER_SUMMARIES = 'runtime.codex_worker_summaries';

const SNAPSHOT_FORMAT = 'openagents.sync.snapshot.v1';

const snapshot = (topic, cadenceSeconds, sourceTable) => ({
  topic, format: SNAPSHOT_FORMAT, schema_version: 1,
  cadence_seconds: cadenceSeconds, source_table: sourceTable,
});

export const TOPICS = new Map([
  ['runtime.run_summaries', {
    qosTier: 'warm', replayBudget: 20_000,
    snapshot: snapshot('runtime.run_summaries', 300, 'runtime.sync_run_summaries'),
  }],
  [WORKER_SUMMARIES, {
    qosTier: 'warm', replayBudget: 10_000, isState: true,
    snapshot: snapshot(WORKER_SUMMARIES, 120, 'runtime.sync_codex_worker_summaries'),
  }],
  [WORKER_EVENTS, { qosTier: 'hot', replayBudget: 3_000 }],
  ['runtime.notifications', { qosTier: 'cold', replayBudget: 500 }],
]);

export { SNAPSHOT_FORMAT };
