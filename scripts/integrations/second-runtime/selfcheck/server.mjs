// The server under check: started by its one command, stopped by a signal.

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export const SIGNING_KEY = 'selfcheck-signing-key';
export const SIGNATURE_SECRET = 'selfcheck-signature-secret';

const START = fileURLToPath(new URL('../start', import.meta.url));

export async function startServer(options) {
  const child = spawn(START, ['--port', '0', ...options], {
    stdio: ['ignore', 'pipe', process.env.SELFCHECK_VERBOSE ? 'inherit' : 'ignore'],
    env: {
      ...process.env, RUNTIME_SYNC_TOKEN_SIGNING_KEY: SIGNING_KEY,
      RUNTIME_SIGNATURE_SECRET: SIGNATURE_SECRET,
    },
  });
  const ended = new Promise((resolve) => { child.on('exit', resolve); });
  const url = await new Promise((resolve, reject) => {
    let text = '';
    child.stdout.on('data', (chunk) => {
      text += chunk;
      const match = /listening on (\S+)/.exec(text);
      if (match) resolve(match[1]);
    });
    ended.then((code) => reject(new Error(`the server ended with ${code}`)));
  });
  return {
    url,
    restart() {
      child.kill('SIGUSR2');
    },
    stop() {
      child.kill('SIGTERM');
      return ended;
    },
  };
}
