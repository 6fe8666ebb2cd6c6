// Defects are named faults that a start option turns on, one at a time, to examine test tools.
// Every one lives where its bug would live, behind `broken(name)`; without the option none is on.

const NAMES = new Set([
  'seq-block-cache', 'visible-max', 'debounce-starve', 'notify-before-commit',
  'live-joins-at-head', 'page-boundary', 'parallel-pages', 'state-cache', 'state-throttle',
  'summary-one-behind', 'revoke-local', 'revoke-ttl', 'exp-skew', 'kid-fallback', 'scope-cache',
  'prune-rounds-up', 'budget-bound', 'session-linger', 'replay-quota', 'channel-grace',
  'slow-blocks', 'slow-unbounded', 'depth-accounting', 'acked-lost', 'seq-recycle', 'stop-abrupt',
  'unsubscribe-lazy', 'frame-cache-key', 'hash-order', 'coalesce-cap', 'fanout-shard',
  'mixed-list',
]);

// The supervisor sets this for the processes it starts; it is read once, as constants depend on it.
const active = process.env.SECOND_RUNTIME_DEFECT || null;

export const isDefect = (name) => NAMES.has(name);

export const broken = (name) => name === active;
