// Preparing the store happens once, before any runtime process starts: tables, topics, the past.

import { readFileSync } from 'node:fs';
import { TOPICS } from '../topics.mjs';
import { openClient } from './pools.mjs';
import { insertPast } from './past.mjs';

export async function prepareStore(store, pastEvents) {
  const client = openClient(store);
  await client.connect();
  try {
    await client.query(readFileSync(new URL('./schema.sql', import.meta.url), 'utf8'));
    for (const topic of TOPICS.keys()) {
      await client.query('insert into topics (topic) values ($1)', [topic]);
      await client.query('insert into retention_floors (topic) values ($1)', [topic]);
    }
    await insertPast(client, pastEvents);
  } finally {
    await client.end();
  }
}
