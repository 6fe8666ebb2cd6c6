// The guard owns the scratch cluster: it creates the directory, runs PostgreSQL in it, and removes
// both when its standard input ends. That input is a pipe held by the supervisor alone, so it ends
// however the supervisor does, a kill included. Nothing else may make the guard leave.

import { spawn } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { postgresPrograms } from './install.mjs';

const READY_POLL_MS = 25;
const STOP_MS = 3_000;

const SETTINGS = {
  listen_addresses: '', fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off',
  wal_level: 'minimal', max_wal_senders: '0', max_connections: '200', shared_buffers: '64MB',
  jit: 'off', autovacuum_naptime: '10s',
};

// PostgreSQL refuses to run as root; its package brings a user for it.
function unprivilegedUser() {
  if (process.getuid() !== 0) return {};
  const entry = /^postgres:[^:]*:(\d+):(\d+):/m.exec(readFileSync('/etc/passwd', 'utf8'));
  return { uid: Number(entry[1]), gid: Number(entry[2]) };
}

const user = unprivilegedUser();
const programs = postgresPrograms();
// Another user must be able to reach the directory, which a private TMPDIR would prevent.
const directory = mkdtempSync(`${user.uid === undefined ? tmpdir() : '/tmp'}/second-runtime-`);
if (user.uid !== undefined) chownSync(directory, user.uid, user.gid);

let current = null;
let leaving = false;

function begin(program, args) {
  const child = spawn(`${programs}/${program}`, args, {
    ...user, cwd: directory, stdio: ['ignore', 'ignore', 'ignore'],
    env: { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' },
  });
  child.ended = new Promise((resolve) => {
    child.on('exit', resolve);
    child.on('error', resolve);
  });
  current = child;
  return child;
}

async function leave(code) {
  if (leaving) return;
  leaving = true;
  if (current && current.exitCode === null && current.signalCode === null) {
    // SIGQUIT stops PostgreSQL at once; nothing in a scratch cluster is worth a checkpoint.
    current.kill('SIGQUIT');
    const timer = setTimeout(() => current.kill('SIGKILL'), STOP_MS);
    await current.ended;
    clearTimeout(timer);
  }
  rmSync(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
  process.exit(code);
}

function isReady() {
  const file = `${directory}/data/postmaster.pid`;
  return existsSync(file) && /^ready\s*$/m.test(readFileSync(file, 'utf8'));
}

async function run() {
  const made = await begin('initdb', ['-D', `${directory}/data`, '-U', 'runtime', '-A', 'trust',
    '-E', 'UTF8', '--locale=C', '--no-sync']).ended;
  if (leaving) return;
  if (made !== 0) throw new Error('initdb failed');
  const settings = Object.entries(SETTINGS).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const postgres = begin('postgres', ['-D', `${directory}/data`, '-k', directory, ...settings]);
  postgres.ended.then(() => leave(1));
  while (!isReady() && !leaving) {
    await new Promise((resolve) => { setTimeout(resolve, READY_POLL_MS); });
  }
  process.stdout.write(`${JSON.stringify({ socketDirectory: directory, pid: postgres.pid })}\n`);
}

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => {});
process.stdin.on('end', () => leave(0)).on('error', () => leave(0)).resume();
// A reader that is gone is told by the input's end; writing to it must not end the guard first.
process.stdout.on('error', () => {});
run().catch((error) => {
  console.error(`the scratch cluster could not be started: ${error.message}`);
  leave(1);
});
