// The revocation of sessions and devices. It is answered when joins are refused everywhere.

import { HttpError } from './errors.mjs';
import { checkSignature } from './signature.mjs';

const REASON_DEFAULT = 'session_revoked';

function idsIn(value) {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value) || !value.every((id) => typeof id === 'string' && id !== '')) {
    throw new HttpError(400, 'invalid_revocation');
  }
  return [...new Set(value)];
}

export const revokeHandler = ({ revocations, gate, config }) => async ({ request, body }) => {
  // The contract signs worker commands only, so a signature is checked here but not demanded.
  const signature = request.headers['x-oa-runtime-signature'];
  if (signature) checkSignature(signature, config.signatureSecret, null);
  const sessions = idsIn(body.session_ids);
  const devices = idsIn(body.device_ids);
  if (sessions.length + devices.length === 0) throw new HttpError(400, 'invalid_revocation');
  const reason = typeof body.reason === 'string' && body.reason ? body.reason : REASON_DEFAULT;
  await revocations.revoke(sessions, devices, reason);
  await gate.evictRevoked();
  return [200, {
    reason, revoked_at: Math.floor(Date.now() / 1_000),
    revoked_device_ids: devices, revoked_session_ids: sessions,
  }];
};
