// Settled reads return events only up to the settled head. Head, floor and events come from one
// statement and so from one snapshot: what it shows below the head is all there will ever be.

import { broken } from '../defects.mjs';

const head = () => (broken('seq-block-cache') || broken('visible-max')
  ? 'coalesce((select max(seq) from events where topic = t.topic), 0)'
  : 'settled_head(t.topic)');

const query = () => `
  with wanted as (
    select t.topic, w.after, f.floor, ${head()} as head
    from unnest($1::text[], $2::bigint[]) as w (topic, after)
    join topics t on t.topic = w.topic
    join retention_floors f on f.topic = w.topic)
  select w.topic, w.floor, w.head, e.*
  from wanted w left join lateral (
    select seq, doc_key, doc_version, payload, payload_hash from events
    where topic = w.topic and seq > w.after and seq <= w.head order by seq limit $3) e on true
  order by w.topic, e.seq`;

// One row in the shape of the wire, its JSON written once for all batches that will carry it.
function entryOf(row) {
  const version = `"doc_key":${JSON.stringify(row.doc_key)},"doc_version":${row.doc_version}`;
  return {
    seq: row.seq,
    docKey: row.doc_key,
    json: `{${version},"hydration_required":false,"payload":${row.payload},`
      + `"payload_hash":"${row.payload_hash}","topic":"${row.topic}","watermark":${row.seq}}`,
  };
}

// A page ends at its last row when it is full, else at the head: a hole at the end is passed over.
export async function readSettled(pool, afterByTopic, limit) {
  const { rows } = await pool.query({
    name: 'settled', text: query(), values: [[...afterByTopic.keys()], [...afterByTopic.values()], limit],
  });
  const pages = new Map();
  for (const row of rows) {
    if (!pages.has(row.topic)) {
      pages.set(row.topic, { entries: [], floor: row.floor, head: row.head, through: row.head });
    }
    if (row.seq !== null) pages.get(row.topic).entries.push(entryOf(row));
  }
  for (const page of pages.values()) {
    if (page.entries.length === limit) page.through = page.entries.at(-1).seq;
  }
  return pages;
}
