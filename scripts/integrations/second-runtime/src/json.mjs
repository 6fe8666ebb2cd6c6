// Canonical JSON (keys sorted, no spaces) is what payload hashes are taken over, and what goes
// on the wire, so that two processes encode one batch to the same bytes.

import { createHash } from 'node:crypto';
import { broken } from './defects.mjs';

export function canonicalJson(value) {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  const members = Object.keys(value).sort()
    .map((key) => `${JSON.stringify(key)}:${canonicalJson(value[key])}`);
  return `{${members.join(',')}}`;
}

export function payloadHash(payload) {
  const text = broken('hash-order') ? JSON.stringify(payload) : canonicalJson(payload);
  return createHash('sha256').update(text).digest('base64');
}
