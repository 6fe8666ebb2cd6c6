// The pruner keeps the last K seqs of the event topic. The floor is the last seq before the oldest
// event that is left, so a cursor at the floor has lost nothing and one below it has.

import { broken } from '../defects.mjs';
import { WORKER_EVENTS } from '../topics.mjs';

const PRUNE_EVERY_MS = 500;
const PRUNER_LOCK = 4601;

export const deletedThrough = (cut) => (broken('prune-rounds-up') ? Math.ceil(cut / 50) * 50 : cut);

export async function prune(pool, keep) {
  const client = await pool.connect();
  try {
    await client.query('begin');
    const { rows: [lock] } = await client.query(
      'select pg_try_advisory_xact_lock($1) as held', [PRUNER_LOCK]);
    const { rows: [{ head }] } = await client.query(
      'select settled_head($1) as head', [WORKER_EVENTS]);
    const cut = head - keep;
    if (lock.held && cut > 0) {
      await client.query('delete from events where topic = $1 and seq <= $2',
        [WORKER_EVENTS, deletedThrough(cut)]);
      await client.query(
        `update retention_floors set floor = greatest(floor, least($3, coalesce(
           (select min(seq) - 1 from events where topic = $1 and seq <= $2), $2)))
         where topic = $1`,
        [WORKER_EVENTS, head, broken('prune-rounds-up') ? cut : head]);
    }
    await client.query('commit');
    client.release();
  } catch (error) {
    client.release(error);
    throw error;
  }
}

export const startPruner = (pool, keep) => setInterval(() => prune(pool, keep).catch(
  (error) => console.error(`pruning failed: ${error.message}`)), PRUNE_EVERY_MS);
