// One runtime process of several behind the same port: it takes commands, and serves sockets from
// its own logs. What it must never do is answer a command, or move a log, ahead of the database.

import { CommandServer } from './http/server.mjs';
import { broken } from './defects.mjs';
import { BatchMaker } from './live/batch.mjs';
import { Hub } from './live/hub.mjs';
import { Listener } from './live/listener.mjs';
import { Tail } from './live/tail.mjs';
import { TopicLog } from './live/topic-log.mjs';
import { Ledger } from './store/ledger.mjs';
import { openPools } from './store/pools.mjs';
import { startPruner } from './store/pruner.mjs';
import { Revocations } from './store/revocations.mjs';
import { Sequencer } from './store/sequencer.mjs';
import { TOPICS } from './topics.mjs';
import { Gate } from './ws/gate.mjs';

const REVOCATION_POLL_MS = 1_000;
const CLOSE_MS = 2_000;

const { config, store } = JSON.parse(process.env.SECOND_RUNTIME);

function buildServices() {
  const pools = openPools(store);
  const sequencer = new Sequencer(pools, config.publishPerSecond);
  const logs = new Map([...TOPICS].map(([topic, { isState }]) => [topic, new TopicLog(topic, isState)]));
  const hub = new Hub([...TOPICS.keys()]);
  const services = {
    config, pools, sequencer, logs, hub, ledger: new Ledger(pools, sequencer, config),
    makers: new Map([...logs].map(([topic, log]) => [topic, new BatchMaker(log)])),
    tail: new Tail(pools.readers, logs, (topic) => hub.advance(topic)),
    revocations: new Revocations(pools),
  };
  services.gate = new Gate(services);
  return services;
}

const services = buildServices();
const commands = new CommandServer(services);
const evict = () => services.gate.evictRevoked().catch(
  (error) => console.error(`revocations could not be read: ${error.message}`));
const listener = new Listener(store, () => services.tail.wake(), evict);

// The supervisor stops all processes in step, so that what one has acknowledged last still
// reaches the sockets of the others.
const steps = {
  drain: () => (broken('stop-abrupt') ? undefined : commands.drain()),
  async close() {
    if (broken('stop-abrupt')) return services.gate.abort();
    await services.tail.refresh().catch(() => {});
    return services.gate.close(CLOSE_MS);
  },
};

process.on('message', async ({ step }) => {
  await steps[step]();
  process.send({ done: step });
});
// Signals reach a terminal's whole group; only the supervisor acts on them.
process.on('SIGTERM', () => {});
process.on('SIGINT', () => {});
// Without a supervisor there is no one to stop this process later.
process.on('disconnect', () => process.exit(0));

await services.tail.start();
await listener.start();
services.sequencer.startReaper();
setInterval(evict, REVOCATION_POLL_MS);
if (config.retentionEvents) startPruner(services.pools.readers, config.retentionEvents);
process.send({ listening: await commands.listen(config.port) });
