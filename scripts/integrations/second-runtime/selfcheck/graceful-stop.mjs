// A graceful stop closes joined sockets with 1012 and unjoined ones with 1000, after all that was
// acknowledged has gone out.

import { Client, EVENTS } from './client.mjs';
import { Publisher } from './publisher.mjs';

export async function gracefulStop(server, expect) {
  const joined = Array.from({ length: 4 }, () => new Client(server.url));
  for (const client of joined) {
    await client.join();
    await client.subscribe([EVENTS]);
  }
  const unjoined = Array.from({ length: 2 }, () => new Client(server.url));
  await Promise.all(unjoined.map((client) => client.opened));
  const publisher = new Publisher(server.url);
  while (await publisher.createWorker('last') !== 202);
  const last = publisher.publish('last', { last: true });
  await new Promise((resolve) => { setTimeout(resolve, 3); });
  const stopped = server.stop();
  const status = await last.catch(() => 0);
  const codes = await Promise.all(joined.map((client) => client.closed));
  expect('joined sockets close with 1012', codes.every((code) => code === 1012), codes.join());
  const others = await Promise.all(unjoined.map((client) => client.closed));
  expect('unjoined sockets close with 1000', others.every((code) => code === 1000), others.join());
  const has = (client) => client.of(EVENTS).some((update) => update.doc_key.endsWith(':last:2'));
  expect('an acknowledged event goes out before', status !== 202 || joined.every(has));
  expect('the server ends with 0', await stopped === 0);
}
