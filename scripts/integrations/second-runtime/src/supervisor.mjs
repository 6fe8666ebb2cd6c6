// The supervisor is the one command: it installs what is missing, starts the guard of the scratch
// cluster and the runtime processes, and stops all of them however it is asked to, at any moment.

import cluster from 'node:cluster';
import { spawn } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { installMissing } from './install.mjs';
import { readOptions, UsageError } from './options.mjs';

const PARENT_POLL_MS = 500;
const STEP_MS = 4_000;

const path = (name) => fileURLToPath(new URL(name, import.meta.url));
const within = (promise, ms) => Promise.race([
  promise, new Promise((resolve) => { setTimeout(resolve, ms).unref(); }),
]);

const children = new Set();
let guard = null;
let store = null;
let stopping = false;
let restarting = false;

function track(child) {
  children.add(child);
  child.ended = new Promise((resolve) => {
    child.on('exit', (code) => resolve(code ?? 1));
    child.on('error', () => resolve(1));
  }).finally(() => children.delete(child));
  return child;
}

async function run(program, args, options) {
  // Standard output belongs to the one line that tells the address.
  const child = track(spawn(program, args, { stdio: ['ignore', 2, 2], ...options }));
  if (await child.ended !== 0) throw new Error(`${program} ${args[0]} failed`);
}

// The guard gets a session of its own: a signal to our process group is not for it.
function startGuard() {
  guard = track(spawn(process.execPath, [path('./guard.mjs')], {
    stdio: ['pipe', 'pipe', 'inherit'], detached: true,
  }));
  guard.stdin.on('error', () => {});
  return new Promise((resolve, reject) => {
    let text = '';
    guard.stdout.on('data', (chunk) => {
      text += chunk;
      if (text.includes('\n')) resolve(JSON.parse(text));
    });
    guard.ended.then(() => {
      reject(new Error('the scratch cluster ended'));
      stop(1);
    });
  });
}

function startProcess(config) {
  const worker = cluster.fork({
    SECOND_RUNTIME: JSON.stringify({ config, store }), SECOND_RUNTIME_DEFECT: config.defect ?? '',
  });
  return new Promise((resolve, reject) => {
    worker.on('message', (message) => message.listening && resolve(message.listening));
    worker.on('exit', (code) => {
      reject(new Error(`a runtime process ended with ${code}`));
      // A process that dies later is replaced; what it had reserved, the others reap.
      if (!stopping && worker.isServing) {
        startProcess(config).catch(() => stop(1));
      }
    });
  }).then((port) => {
    worker.isServing = true;
    return port;
  });
}

const inStep = (step) => within(Promise.all(Object.values(cluster.workers).map(
  (worker) => new Promise((resolve) => {
    worker.on('message', (message) => message.done === step && resolve());
    worker.on('exit', resolve);
    worker.send({ step }, () => {});
  }),
)), STEP_MS);

async function stopProcesses() {
  const workers = Object.values(cluster.workers);
  if (workers.every((worker) => worker.isServing)) {
    await inStep('drain');
    await inStep('close');
  }
  // Whoever is stopped is replaced by whoever stopped it, if at all.
  for (const worker of workers) worker.isServing = false;
  await Promise.all(workers.map((worker) => new Promise((resolve) => {
    worker.on('exit', resolve);
    worker.process.kill('SIGKILL');
  })));
}

// A guard that was killed has left its cluster behind, which then falls to the supervisor.
function sweepAfterGuard() {
  if (!store) return;
  try {
    const command = readFileSync(`/proc/${store.pid}/cmdline`, 'utf8');
    if (command.includes(store.socketDirectory)) process.kill(store.pid, 'SIGQUIT');
  } catch {
    // No such process: the guard has done its work.
  }
  rmSync(store.socketDirectory, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
}

async function startProcesses(config) {
  // The first process settles the port when it is to be chosen by the kernel.
  const port = await startProcess(config);
  for (let n = 1; n < config.processes && !stopping; n += 1) await startProcess(config);
  return port;
}

// Other processes on the same port and cluster, as a deployment does it.
async function restart(config) {
  if (stopping || restarting) return;
  restarting = true;
  await stopProcesses();
  if (!stopping) await startProcesses(config);
  restarting = false;
}

async function stop(code) {
  if (stopping) return;
  stopping = true;
  await stopProcesses();
  guard?.stdin.end();
  for (const child of children) {
    if (child !== guard) child.kill('SIGTERM');
  }
  await Promise.all([...children].map((child) => child.ended));
  sweepAfterGuard();
  process.exit(code);
}

// A parent that was killed cannot stop us, so its going is looked for.
function watchParent() {
  const parent = process.ppid;
  setInterval(() => {
    if (process.ppid !== parent) stop(0);
  }, PARENT_POLL_MS).unref();
}

async function start() {
  const config = readOptions(process.argv.slice(2), process.env);
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => stop(0));
  watchParent();
  await installMissing(run);
  if (stopping) return;
  store = await startGuard();
  if (stopping) return;
  // Loaded here, as the packages it imports may only just have been installed.
  const { prepareStore } = await import('./store/prepare.mjs');
  await prepareStore(store, config.pastEvents);
  cluster.setupPrimary({ exec: path('./runtime.mjs'), args: [] });
  if (stopping) return;
  const port = await startProcesses(config);
  process.on('SIGUSR2', () => restart({ ...config, port }).catch(() => stop(1)));
  if (!stopping) process.stdout.write(`listening on http://127.0.0.1:${port}\n`);
}

start().catch((error) => {
  if (!stopping) console.error(error instanceof UsageError ? error.message : error.stack);
  if (error instanceof UsageError) process.exit(2);
  stop(1);
});
