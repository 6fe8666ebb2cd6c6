// Options turn the command line and the environment into one plain object, which the supervisor
// hands to every process it starts. A wrong option stops the start before anything is created.

import { isDefect } from './defects.mjs';

const USAGE = `usage: ./start --port N [--processes N] [--past-events N] [--retention-events K]
               [--fail-inserts PERCENT] [--defect NAME]`;

export class UsageError extends Error {}

const integer = (low, high) => (name, text) => {
  const value = Number(text);
  if (!/^\d+$/.test(text ?? '') || value < low || value > high) {
    throw new UsageError(`${name} takes an integer from ${low} to ${high}\n${USAGE}`);
  }
  return value;
};

const defectName = (name, text) => {
  if (!isDefect(text)) throw new UsageError(`${name} does not know ${text}`);
  return text;
};

const FLAGS = {
  '--port': ['port', integer(0, 65535)],
  '--processes': ['processes', integer(2, 16)],
  '--past-events': ['pastEvents', integer(0, 100_000)],
  '--retention-events': ['retentionEvents', integer(1, 1_000_000)],
  '--fail-inserts': ['failInsertsPercent', integer(0, 100)],
  '--defect': ['defect', defectName],
};

// The previous keys are written `kid:key,kid:key`; they verify and nothing more.
function keyRing(env) {
  const ring = { [env.RUNTIME_SYNC_TOKEN_KID || 'sync-auth-v1']: env.RUNTIME_SYNC_TOKEN_SIGNING_KEY };
  for (const pair of (env.RUNTIME_SYNC_TOKEN_PREVIOUS_KEYS || '').split(',').filter(Boolean)) {
    const colon = pair.indexOf(':');
    ring[pair.slice(0, colon)] = pair.slice(colon + 1);
  }
  return ring;
}

function fromEnvironment(env) {
  if (!env.RUNTIME_SYNC_TOKEN_SIGNING_KEY) {
    throw new UsageError('RUNTIME_SYNC_TOKEN_SIGNING_KEY is not set: no token could be verified');
  }
  return {
    keys: keyRing(env),
    issuer: env.RUNTIME_SYNC_TOKEN_ISSUER || 'https://openagents.test',
    audience: env.RUNTIME_SYNC_TOKEN_AUDIENCE || 'openagents-sync',
    signatureSecret: env.RUNTIME_SIGNATURE_SECRET || null,
    publishPerSecond: Number(env.RUNTIME_KHALA_CODEX_WORKER_EVENTS_PUBLISH_RATE_PER_SECOND || 240),
    payloadBytesMax: Number(env.RUNTIME_KHALA_CODEX_WORKER_EVENTS_MAX_PAYLOAD_BYTES || 128 * 1024),
    compatibility: {
      enforced: env.RUNTIME_COMPATIBILITY_ENFORCED === 'true',
      minBuild: env.RUNTIME_COMPATIBILITY_MIN_CLIENT_BUILD_ID || null,
      maxBuild: env.RUNTIME_COMPATIBILITY_MAX_CLIENT_BUILD_ID || null,
    },
  };
}

export function readOptions(argv, env) {
  const options = {
    port: 4600, processes: 2, pastEvents: 1500, retentionEvents: null,
    failInsertsPercent: 0, defect: null, ...fromEnvironment(env),
  };
  for (let i = 0; i < argv.length; i += 2) {
    const flag = FLAGS[argv[i]];
    if (!flag) throw new UsageError(`unknown option ${argv[i]}\n${USAGE}`);
    const [key, parse] = flag;
    options[key] = parse(argv[i], argv[i + 1]);
  }
  return options;
}
