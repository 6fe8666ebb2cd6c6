// Payloads of the pushes that carry topics, as JSON text with sorted keys.

import { canonicalJson } from '../json.mjs';

export const batchPayload = (topic, head, complete, entries) => `{"head_watermarks":`
  + `[{"topic":"${topic}","watermark":${head}}],"replay_complete":${complete},`
  + `"updates":[${entries.map((entry) => entry.json).join(',')}]}`;

const frame = (topic, kind, seq, text) => `{"kind":"${kind}",`
  + `"payload_bytes":"${Buffer.from(text).toString('base64')}","schema_version":1,`
  + `"seq":${seq},"topic":${JSON.stringify(topic)}}`;

export const framePayload = (topic, seq, batchText) => frame(
  topic, 'KHALA_FRAME_KIND_UPDATE_BATCH', seq, batchText,
);

export const errorFramePayload = (topic, error) => frame(
  topic, 'KHALA_FRAME_KIND_ERROR', 0, canonicalJson(error),
);
