// Installing brings in what a fresh checkout or machine lacks: npm packages and PostgreSQL.

import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const VERSIONS = '/usr/lib/postgresql';

// The directory of the newest PostgreSQL's programs, or null.
export function postgresPrograms() {
  const versions = existsSync(VERSIONS) ? readdirSync(VERSIONS) : [];
  return versions.sort((a, b) => Number(b) - Number(a)).map((version) => `${VERSIONS}/${version}/bin`)
    .find((path) => existsSync(`${path}/initdb`) && existsSync(`${path}/postgres`)) ?? null;
}

async function installPostgres(run) {
  if (process.getuid() !== 0) {
    throw new Error('PostgreSQL is missing and only root can install it: apt-get install postgresql');
  }
  const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  await run('apt-get', ['update'], { env: environment });
  await run('apt-get', ['install', '-y', '--no-install-recommends', 'postgresql'], { env: environment });
}

// `run` starts a program and resolves when it has succeeded.
export async function installMissing(run) {
  // npm writes this file last, so an interrupted installation is done again.
  if (!existsSync(`${ROOT}node_modules/.package-lock.json`)) {
    await run('npm', ['ci', '--no-audit', '--no-fund'], { cwd: ROOT });
  }
  if (postgresPrograms() === null) await installPostgres(run);
}

// Run by itself it only installs, for whoever starts several runtimes beside one another.
if (realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  await installMissing((program, words, options) => execFileSync(program, words, { stdio: 'inherit', ...options }));
}
