// A graceful stop closes joined sockets with 1012 and unjoined ones with 1000, after all that was
// acknowledged has gone out. A graceful restart does the same, and what was there is there again.

import { Client, EVENTS } from './client.mjs';
import { Publisher } from './publisher.mjs';

const AGAIN_WITHIN_MS = 10_000;

async function someClients(server) {
  const joined = Array.from({ length: 4 }, () => new Client(server.url));
  for (const client of joined) {
    await client.join();
    await client.subscribe([EVENTS]);
  }
  const unjoined = Array.from({ length: 2 }, () => new Client(server.url));
  await Promise.all(unjoined.map((client) => client.opened));
  return { joined, unjoined };
}

async function expectCloses({ joined, unjoined }, expect, when) {
  const codes = await Promise.all(joined.map((client) => client.closed));
  expect(`joined sockets close with 1012 at a ${when}`, codes.every((code) => code === 1012), codes.join());
  const others = await Promise.all(unjoined.map((client) => client.closed));
  expect(`unjoined sockets close with 1000 at a ${when}`, others.every((code) => code === 1000), others.join());
}

const has = (client, key) => client.of(EVENTS).some((update) => update.doc_key.endsWith(key));

export async function gracefulRestart(server, expect) {
  const publisher = new Publisher(server.url);
  while (await publisher.createWorker('before') !== 202);
  const clients = await someClients(server);
  server.restart();
  await expectCloses(clients, expect, 'restart');
  const until = Date.now() + AGAIN_WITHIN_MS;
  while (await publisher.publish('before', { again: true }).catch(() => 0) !== 202 && Date.now() < until) {
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
  const client = new Client(server.url);
  await client.join();
  await client.subscribe([EVENTS]);
  const both = [':before:1', ':before:2'].every((key) => has(client, key));
  expect('events from before and after a restart are replayed', both);
}

export async function gracefulStop(server, expect) {
  const clients = await someClients(server);
  const publisher = new Publisher(server.url);
  while (await publisher.createWorker('last') !== 202);
  const last = publisher.publish('last', { last: true });
  await new Promise((resolve) => { setTimeout(resolve, 3); });
  const stopped = server.stop();
  const status = await last.catch(() => 0);
  await expectCloses(clients, expect, 'stop');
  const told = clients.joined.every((client) => has(client, ':last:2'));
  expect('an acknowledged event goes out before', status !== 202 || told);
  expect('the server ends with 0', await stopped === 0);
}
