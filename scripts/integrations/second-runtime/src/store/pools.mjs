// Connections are pooled by purpose. A publisher holds a writer while it waits for an allocator,
// so the two never come from one pool: a full pool of waiting writers would wait for itself.

import pg from 'pg';

// Seqs and counts stay far below 2^53, so bigint columns are read as numbers.
pg.types.setTypeParser(pg.types.builtins.INT8, Number);

// Far above what a statement takes; a starved machine must not fail commands for its slowness.
const STATEMENT_TIMEOUT_MS = 30_000;

function quietPool(store, max) {
  const pool = new pg.Pool({
    host: store.socketDirectory, user: 'runtime', database: 'postgres', max,
    statement_timeout: STATEMENT_TIMEOUT_MS, idleTimeoutMillis: 0,
  });
  // An idle connection's loss is no event of its own: the next query opens another.
  pool.on('error', (error) => console.error(`idle connection lost: ${error.message}`));
  return pool;
}

export const openPools = (store) => ({
  writers: quietPool(store, 6),
  allocators: quietPool(store, 2),
  readers: quietPool(store, 4),
});

export const openClient = (store) => new pg.Client({
  host: store.socketDirectory, user: 'runtime', database: 'postgres',
});
