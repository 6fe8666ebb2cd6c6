// The self-check starts the server and plays clients against it. `node selfcheck.mjs [--long]
// [options of ./start]`: exit code 0 when every expectation held. With --long it also waits for
// the time-outs of a minute. It wants half a core to itself: what comes late because the machine is
// busy counts as late.

import { bounds } from './selfcheck/bounds.mjs';
import { channelRules } from './selfcheck/channel-rules.mjs';
import { load } from './selfcheck/load.mjs';
import { quiet } from './selfcheck/quiet.mjs';
import { refusals } from './selfcheck/refusals.mjs';
import { revocation } from './selfcheck/revocation.mjs';
import { slowReader } from './selfcheck/slow-reader.mjs';
import { startServer } from './selfcheck/server.mjs';
import { gracefulRestart, gracefulStop } from './selfcheck/graceful-stop.mjs';
import { timeouts } from './selfcheck/timeouts.mjs';

const args = process.argv.slice(2);
const isLong = args.includes('--long');
const options = args.filter((arg) => arg !== '--long');
// No multiple of anything a pruner might round to.
const RETAINED = 877;

let failures = 0;
function expect(what, holds, detail = '') {
  if (!holds) failures += 1;
  console.log(`${holds ? 'ok  ' : 'FAIL'} ${what}${holds || detail === '' ? '' : `: ${detail}`}`);
}

const retained = await startServer(['--retention-events', String(RETAINED), ...options]);
const long = await startServer(['--past-events', '3600', ...options]);
try {
  const waiting = isLong ? timeouts(long.url, expect) : null;
  await refusals(long.url, expect);
  await channelRules(long.url, expect);
  await bounds(retained.url, long.url, RETAINED, expect);
  await load(long.url, expect);
  await quiet(long.url, expect);
  await revocation(long.url, expect);
  await slowReader(long.url, expect);
  await waiting;
  await gracefulRestart(retained, expect);
  await gracefulStop(retained, expect);
} finally {
  await Promise.all([retained.stop(), long.stop()]);
}
console.log(failures === 0 ? 'all expectations held' : `${failures} expectations failed`);
process.exit(failures === 0 ? 0 : 1);
