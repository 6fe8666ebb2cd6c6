// The storm: many light clients that follow, and all reconnect at once again and again, while
// events come at a steady rate. It tells what the server's processes cost, and checks order and
// completeness by watermarks alone. `node selfcheck/storm.mjs [CLIENTS] [SECONDS] [EVENTS_PER_S]`.

import { readFileSync, readdirSync } from 'node:fs';
import WebSocket from 'ws';
import { EVENTS, SUMMARIES, token } from './client.mjs';
import { Publisher } from './publisher.mjs';
import { startServer } from './server.mjs';

const [CLIENTS, SECONDS, RATE] = [[2, 300], [3, 20], [4, 10]]
  .map(([n, otherwise]) => Number(process.argv[n] || otherwise));
const STORMS = 2;
const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

let faults = 0;
const fault = (text) => {
  faults += 1;
  if (faults < 10) console.log(`FAIL ${text}`);
};

class Light {
  constructor(number) {
    this.number = number;
    this.cursor = { [EVENTS]: 0, [SUMMARIES]: 0 };
    this.delays = [];
  }

  connect(url) {
    const ws = new WebSocket(`${url.replace('http', 'ws')}/socket/websocket?vsn=2.0.0&token=${token()}`,
      { perMessageDeflate: false, skipUTF8Validation: true });
    this.ws = ws;
    ws.on('error', (error) => fault(`client ${this.number}: ${error.message}`));
    ws.on('open', () => ws.send('["1","1","sync:v1","phx_join",{}]'));
    return new Promise((resolve) => {
      ws.on('message', (data) => this.receive(data.toString(), resolve));
    });
  }

  receive(text, onSubscribed) {
    if (text.startsWith('["1","1"')) {
      const resume = Object.values(this.cursor).some((seq) => seq > 0);
      this.ws.send(JSON.stringify(['1', '2', 'sync:v1', 'sync:subscribe',
        { topics: [EVENTS, SUMMARIES], ...(resume && { resume_after: this.cursor }) }]));
    } else if (text.startsWith('["1","2"')) {
      if (!text.endsWith('"status":"ok"}]')) fault(`subscribe refused: ${text}`);
      onSubscribed();
    } else if (text.includes('"sync:update_batch"')) this.apply(text);
    else if (text.includes('"sync:error"')) fault(text);
  }

  apply(text) {
    const topic = text.includes(`"topic":"${EVENTS}"`) ? EVENTS : SUMMARIES;
    const seqs = [...text.matchAll(/","topic":"[^"]+","watermark":(\d+)\}/g)].map((m) => Number(m[1]));
    for (const seq of seqs) {
      const last = this.cursor[topic];
      if (seq <= last) fault(`client ${this.number}: ${seq} after ${last} on ${topic}`);
      if (topic === EVENTS && last > 0 && seq !== last + 1) fault(`client ${this.number}: ${seq} follows ${last}`);
      this.cursor[topic] = seq;
    }
    const sent = /"sentAt":(\d+)/.exec(text);
    if (sent && seqs.length === 1) this.delays.push(Date.now() - Number(sent[1]));
  }
}

// CPU seconds of our server's processes, all of which descend from ours.
function cpuSeconds() {
  const parents = new Map();
  const ticks = new Map();
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ');
      parents.set(pid, fields[1]);
      ticks.set(pid, Number(fields[11]) + Number(fields[12]));
    } catch {
      // A process that has just ended costs nothing any more.
    }
  }
  const isOurs = (pid) => pid !== undefined && (pid === String(process.pid) || isOurs(parents.get(pid)));
  return [...ticks].filter(([pid]) => pid !== String(process.pid) && isOurs(pid))
    .reduce((sum, [, n]) => sum + n, 0) / 100;
}

const server = await startServer(['--past-events', '1500']);
const lights = Array.from({ length: CLIENTS }, (_, number) => new Light(number));
const publishers = [new Publisher(server.url), new Publisher(server.url)];
await publishers[0].createWorker('storm-0');
await publishers[1].createWorker('storm-1');

const startedAt = Date.now();
await Promise.all(lights.map((light) => light.connect(server.url)));
console.log(`${CLIENTS} first subscribes took ${Date.now() - startedAt} ms`);

const publishing = (async () => {
  const end = Date.now() + SECONDS * 1_000;
  const sent = [];
  for (let n = 0; Date.now() < end; n += 1) {
    sent.push(publishers[n % 2].publish(`storm-${n % 2}`, { sentAt: Date.now(), pad: 'x'.repeat(200) }));
    await sleep(1_000 / RATE);
  }
  await Promise.all(sent);
})();
const before = cpuSeconds();
const steadyFrom = Date.now();
await sleep(SECONDS * 500);
const cost = (cpuSeconds() - before) / ((Date.now() - steadyFrom) / 1_000);
console.log(`steady: ${cost.toFixed(2)} cores`);
const delays = lights.flatMap((light) => light.delays).sort((a, b) => a - b);
console.log(`delay p50 ${delays[delays.length >> 1]} ms, max ${delays.at(-1)} ms`);
for (let storm = 0; storm < STORMS; storm += 1) {
  const from = Date.now();
  for (const light of lights) light.ws.terminate();
  await Promise.all(lights.map((light) => light.connect(server.url)));
  console.log(`storm ${storm + 1}: ${Date.now() - from} ms`);
}
await publishing;
await sleep(1_500);
const heads = new Set(lights.map((light) => JSON.stringify(light.cursor)));
if (heads.size !== 1) fault(`clients end at ${[...heads].slice(0, 4)}`);
console.log(`ended at ${[...heads][0]}, ${publishers[0].acknowledged.length + publishers[1].acknowledged.length} acknowledged`);
for (const light of lights) light.ws.terminate();
await server.stop();
console.log(faults === 0 ? 'no fault' : `${faults} faults`);
process.exit(faults === 0 ? 0 : 1);
