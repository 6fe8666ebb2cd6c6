// Revocations are rows, so that a join in any process sees one as soon as it is acknowledged. The
// notification only makes the processes evict what is already joined.

import { broken } from '../defects.mjs';

export const REVOKED_CHANNEL = 'khala_revoked';
const REFUSED_FOR_SECONDS = 900;

export class Revocations {
  constructor(pools) {
    this.pool = pools.readers;
    this.own = new Map();
  }

  async revoke(sessionIds, deviceIds, reason) {
    const seconds = broken('revoke-ttl') ? REFUSED_FOR_SECONDS / 1_000 : REFUSED_FOR_SECONDS;
    const kinds = [...sessionIds.map(() => 'session'), ...deviceIds.map(() => 'device')];
    const ids = [...sessionIds, ...deviceIds];
    if (broken('revoke-local')) {
      ids.forEach((id, n) => this.own.set(`${kinds[n]}:${id}`, reason));
      return;
    }
    await this.pool.query(
      `insert into revocations
       select kind, id, $3, clock_timestamp() + $4 * interval '1 second'
       from unnest($1::text[], $2::text[]) as r (kind, id)
       on conflict (kind, id) do update set reason = excluded.reason, expires_at = excluded.expires_at`,
      [kinds, ids, reason, seconds]);
    await this.pool.query(`notify ${REVOKED_CHANNEL}`);
  }

  // The reason of the principal's revocation, or null.
  async reasonFor(principal) {
    if (broken('revoke-local')) {
      return this.own.get(`session:${principal.sessionId}`)
        ?? this.own.get(`device:${principal.deviceId}`) ?? null;
    }
    const { rows } = await this.pool.query({
      name: 'revoked',
      text: `select reason from revocations where expires_at > clock_timestamp()
        and ((kind = 'session' and id = $1) or (kind = 'device' and id = $2)) limit 1`,
      values: [principal.sessionId, principal.deviceId],
    });
    return rows[0]?.reason ?? null;
  }

  async current() {
    if (broken('revoke-local')) return this.own;
    const { rows } = await this.pool.query(
      'select kind, id, reason from revocations where expires_at > clock_timestamp()');
    return new Map(rows.map((row) => [`${row.kind}:${row.id}`, row.reason]));
  }
}
