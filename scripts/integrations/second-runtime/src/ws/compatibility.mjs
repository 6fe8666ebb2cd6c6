// Compatibility of a client build, checked at join where it is enforced.

const PROTOCOL_VERSION = 'khala.ws.v1';
const SCHEMA_VERSION = 1;

const MESSAGES = {
  invalid_client_build: 'client build id is missing or malformed',
  unsupported_protocol_version: 'protocol version is not supported',
  unsupported_schema_version: 'schema version is not supported',
  upgrade_required: 'client build is below the minimum',
  unsupported_client_build: 'client build is above the maximum',
};

// Build ids are dates or counters: numbers compare as numbers, all else as text.
function compareBuilds(a, b) {
  if (/^\d+$/.test(a) && /^\d+$/.test(b)) return Number(a) - Number(b);
  return a < b ? -1 : Number(a > b);
}

function failure({ build, protocol, schema }, { minBuild, maxBuild }) {
  if (!/^[\w.:-]+$/.test(build ?? '')) return 'invalid_client_build';
  if (protocol !== PROTOCOL_VERSION) return 'unsupported_protocol_version';
  if (Number(schema) !== SCHEMA_VERSION) return 'unsupported_schema_version';
  if (minBuild && compareBuilds(build, minBuild) < 0) return 'upgrade_required';
  if (maxBuild && compareBuilds(build, maxBuild) > 0) return 'unsupported_client_build';
  return null;
}

// The join's error, or null. Query parameters go before the token's claims.
export function compatibilityError(query, principal, limits) {
  if (!limits.enforced) return null;
  const code = failure({
    build: query.get('client_build_id') ?? principal.clientBuild,
    protocol: query.get('protocol_version') ?? principal.protocolVersion,
    schema: query.get('schema_version') ?? principal.schemaVersion,
  }, limits);
  return code && {
    code, message: MESSAGES[code], retryable: false, upgrade_required: true,
    surface: 'khala_websocket', min_client_build_id: limits.minBuild,
    max_client_build_id: limits.maxBuild, min_schema_version: SCHEMA_VERSION,
    max_schema_version: SCHEMA_VERSION, protocol_version: PROTOCOL_VERSION,
  };
}
