// Signatures of commands: `v1.{base64url(json)}.{base64url(hmac-sha256)}`.
//
// The contract leaves open whether the HMAC is taken over the encoded payload, over it with its
// `v1.` before it, or over the JSON itself; each proves the secret, so each is accepted.

import { createHmac, timingSafeEqual } from 'node:crypto';
import { HttpError } from './errors.mjs';

const CLOCK_SKEW_SECONDS = 60;

const refusal = (reason) => new HttpError(401, 'invalid_signature', { reason });

function matches(secret, signed, given) {
  const expected = createHmac('sha256', secret).update(signed).digest();
  return given.length === expected.length && timingSafeEqual(given, expected);
}

function payloadOf(json) {
  try {
    return JSON.parse(json.toString('utf8')) ?? {};
  } catch {
    throw refusal('payload');
  }
}

// Checks the header where a secret is set. `userId` is null where no user acts.
export function checkSignature(header, secret, userId, now = Date.now() / 1_000) {
  if (secret === null) return;
  if (!header) throw refusal('missing');
  const [version, encoded, signature, ...rest] = header.split('.');
  if (version !== 'v1' || !encoded || !signature || rest.length > 0) throw refusal('format');
  const json = Buffer.from(encoded, 'base64url');
  const given = Buffer.from(signature, 'base64url');
  const forms = [encoded, `v1.${encoded}`, json];
  if (!forms.some((signed) => matches(secret, signed, given))) throw refusal('hmac');
  const payload = payloadOf(json);
  if (!Number.isFinite(payload.iat) || payload.iat > now + CLOCK_SKEW_SECONDS) throw refusal('iat');
  if (!Number.isFinite(payload.exp) || payload.exp <= now) throw refusal('exp');
  if (typeof payload.nonce !== 'string' || payload.nonce === '') throw refusal('nonce');
  if (userId !== null && String(payload.user_id) !== String(userId)) throw refusal('user_id');
}
