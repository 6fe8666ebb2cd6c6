// The time-outs of a minute, seen by a silent channel, a beating one and a silent socket.

import { Client, EVENTS } from './client.mjs';

const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

export async function timeouts(url, expect) {
  const [silent, beating, unjoined] = Array.from({ length: 3 }, () => new Client(url));
  const opened = Date.now();
  for (const client of [silent, beating]) {
    await client.join();
    await client.subscribe([EVENTS], { [EVENTS]: 1_000_000 });
  }
  const idle = unjoined.closed.then((code) => ({ code, after: Date.now() - opened }));
  for (let n = 0; n < 4; n += 1) {
    await sleep(20_000);
    await beating.call('sync:heartbeat', {});
  }
  const has = (client, event) => client.pushes.filter((push) => push.event === event).length;
  expect('a silent channel is closed', has(silent, 'phx_close') === 1);
  expect('its socket stays', silent.ws.readyState === 1);
  expect('a beating channel stays', has(beating, 'phx_close') === 0);
  expect('it gets a heartbeat every 15 s', has(beating, 'sync:heartbeat') === 9, has(beating, 'sync:heartbeat'));
  const { code, after } = await idle;
  expect('a silent socket is closed with 1002', code === 1002 && after > 59_000 && after < 63_000, `${code} ${after}`);
}
