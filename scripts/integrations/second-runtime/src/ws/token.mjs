// Sync tokens are verified here; a refusal is one of the contract's deny codes.

import { createHmac, timingSafeEqual } from 'node:crypto';
import { broken } from '../defects.mjs';

const CLOCK_SKEW_SECONDS = 30;
const CLAIMS_VERSION = 'oa_sync_claims_v1';

export class TokenRefused extends Error {
  constructor(code) {
    super(code);
    this.code = code;
  }
}

const refuseUnless = (condition, code) => {
  if (!condition) throw new TokenRefused(code);
};

function decoded(part) {
  try {
    const value = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
    if (value !== null && typeof value === 'object' && !Array.isArray(value)) return value;
  } catch {
    // Text that is no JSON is refused like JSON that is no object.
  }
  throw new TokenRefused('invalid_token_format');
}

const scopesIn = (claim) => (typeof claim === 'string' ? claim.split(',') : Array.isArray(claim) ? claim : [])
  .filter((scope) => typeof scope === 'string').map((scope) => scope.trim()).filter(Boolean);

function keyFor(header, keys) {
  refuseUnless(header.alg === 'HS256', 'unsupported_alg');
  refuseUnless(typeof header.kid === 'string' && header.kid !== '', 'missing_kid');
  const key = keys[header.kid] ?? (broken('kid-fallback') ? Object.values(keys)[0] : undefined);
  refuseUnless(key, 'unknown_kid');
  return key;
}

function checkSignature(parts, key) {
  const expected = createHmac('sha256', key).update(`${parts[0]}.${parts[1]}`).digest();
  const given = Buffer.from(parts[2], 'base64url');
  refuseUnless(given.length === expected.length && timingSafeEqual(given, expected), 'invalid_signature');
}

function checkTimes({ iat, nbf, exp }, now) {
  refuseUnless([iat, nbf, exp].every(Number.isFinite), 'invalid_claims');
  refuseUnless(now < exp + (broken('exp-skew') ? CLOCK_SKEW_SECONDS : 0), 'token_expired');
  refuseUnless(Math.max(iat, nbf) <= now + CLOCK_SKEW_SECONDS, 'token_not_yet_valid');
}

function checkClaims(claims, { issuer, audience }) {
  const text = (value) => typeof value === 'string' && value !== '';
  refuseUnless(claims.iss === issuer, 'claim_mismatch');
  refuseUnless([claims.aud].flat().includes(audience), 'claim_mismatch');
  refuseUnless(claims.oa_claims_version === CLAIMS_VERSION, 'claim_mismatch');
  refuseUnless(text(claims.jti) && text(claims.sub), 'invalid_claims');
  refuseUnless(text(claims.oa_session_id) && text(claims.oa_device_id), 'invalid_claims');
  const { oa_user_id: userId } = claims;
  refuseUnless(/^user:.+$/.test(claims.sub), 'invalid_claims');
  refuseUnless(userId === undefined || claims.sub === `user:${userId}`, 'claim_mismatch');
}

export function verifyToken(token, config, now = Date.now() / 1_000) {
  refuseUnless(token, 'missing_token');
  const parts = token.split('.');
  refuseUnless(parts.length === 3, 'invalid_token_format');
  const header = decoded(parts[0]);
  const claims = decoded(parts[1]);
  checkSignature(parts, keyFor(header, config.keys));
  checkTimes(claims, now);
  checkClaims(claims, config);
  const scopes = scopesIn(claims.oa_sync_scopes);
  refuseUnless(scopes.length > 0, 'invalid_claims');
  return {
    subject: claims.sub, sessionId: claims.oa_session_id, deviceId: claims.oa_device_id,
    expiresAtMs: claims.exp * 1_000, scopes,
    clientBuild: claims.oa_client_build_id, protocolVersion: claims.oa_protocol_version,
    schemaVersion: claims.oa_schema_version,
  };
}
