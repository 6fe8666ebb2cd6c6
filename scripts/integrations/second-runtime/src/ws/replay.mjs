// A replay pushes everything after a cursor up to the head, in order, at the pace at which the
// client takes it. It reads the log, or the database for what is older than the log.

import { broken } from '../defects.mjs';
import { readSettled } from '../store/settled.mjs';
import { staleTopic } from './stale.mjs';

// A replay goes on while this much has come in meanwhile; the rest is the live tail's.
const HANDOVER_EVENTS = 200;
const OLD_PAGE = 1_000;

export class ReplayOvertaken extends Error {
  constructor(stale) {
    super('the retention floor has passed the replay');
    this.stale = stale;
  }
}

async function nextPart(channel, log, cursor) {
  if (log.reaches(cursor)) return log.after(cursor);
  const { pools } = channel.services;
  const page = (await readSettled(pools.readers, new Map([[log.topic, cursor]]), OLD_PAGE))
    .get(log.topic);
  if (page.floor > cursor) throw new ReplayOvertaken(staleTopic(cursor, page));
  return page;
}

// Returns the seq that the replay has reached, or null when the channel ended meanwhile.
async function pushPart(channel, log, part, cursor, limit) {
  const maker = channel.services.makers.get(log.topic);
  let reached = cursor;
  const batches = [];
  for (let from = 0; from < part.entries.length;) {
    const skip = broken('page-boundary') && batches.length > 0 && from + 1 < part.entries.length;
    const batch = maker.make(part.entries, from + Number(skip), part.through, reached, limit);
    batches.push(batch);
    from += batch.rows + Number(skip);
    reached = batch.through;
    if (broken('parallel-pages')) continue;
    await channel.queue.room(() => {
      channel.strike(log.topic);
      return !channel.over;
    });
    if (channel.over) return null;
    channel.pushBatch(batch);
  }
  if (broken('parallel-pages')) pushUnordered(channel, batches);
  return part.through;
}

function pushUnordered(channel, batches) {
  if (batches.length > 2) batches.push(...batches.splice(-2).reverse());
  for (const batch of batches) channel.pushBatch(batch);
}

export async function replay(channel, log, cursor, limit) {
  // A cursor beyond the head has nothing to replay and stays where it is.
  let reached = cursor;
  const target = log.head;
  while (reached < target || log.head - reached > HANDOVER_EVENTS) {
    const part = await nextPart(channel, log, reached);
    if (channel.over) return null;
    reached = await pushPart(channel, log, part, reached, limit);
    if (reached === null) return null;
  }
  if (broken('live-joins-at-head') && reached > cursor) {
    await channel.services.tail.refresh();
    return Math.max(reached, log.head);
  }
  return reached;
}
