// The npm package `phoenix`, as browsers load it, against the reference runtime: joins, subscribes,
// receives, and survives a restart of the runtime. Whatever the harness' own codec believes, this is
// the client that real surfaces use.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { test } from "node:test";

import { Socket } from "phoenix";
import WebSocket from "ws";

const HARNESS = process.env.KHALA_HARNESS ?? "../../../target/release/khala-harness";
const KEY = "phoenix-client-test-key";
const TOPIC = "runtime.codex_worker_events";
// Generous: a slow machine must not fail the test, and nothing waits for it in vain.
const PATIENCE_MS = 30_000;

async function startReference(listen) {
  const child = spawn(HARNESS, ["reference", "--listen", listen], {
    env: { ...process.env, RUNTIME_SYNC_TOKEN_SIGNING_KEY: KEY },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = await once(createInterface(child.stdout), "line");
  return { child, address: JSON.parse(line).listening };
}

async function kill(child) {
  child.kill("SIGKILL");
  await once(child, "exit");
}

function token() {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const now = Math.floor(Date.now() / 1000);
  const body = `${part({ alg: "HS256", typ: "JWT", kid: "sync-auth-v1" })}.${part({
    iss: "https://openagents.test",
    aud: "openagents-sync",
    sub: "user:1",
    iat: now,
    nbf: now,
    exp: now + 300,
    jti: `phoenix-${now}`,
    oa_claims_version: "oa_sync_claims_v1",
    oa_session_id: "phoenix-session",
    oa_device_id: "phoenix-device",
    oa_sync_scopes: [TOPIC],
  })}`;
  return `${body}.${createHmac("sha256", KEY).update(body).digest("base64url")}`;
}

async function publish(address, worker, step) {
  const post = async (path, body) => {
    const response = await fetch(`http://${address}/internal/v1/codex/workers${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-oa-user-id": "1" },
      body: JSON.stringify(body),
    });
    assert.equal(response.status, 202, `POST ${path}`);
  };
  await post("", { worker_id: worker });
  await post(`/${worker}/events`, { event: { event_type: "worker.progress", payload: { step } } });
}

function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: nothing within ${PATIENCE_MS} ms`)), PATIENCE_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

test("a real Phoenix client joins, subscribes, receives, and survives a restart", async () => {
  let { child, address } = await startReference("127.0.0.1:0");
  const socket = new Socket(`ws://${address}/sync/socket`, {
    transport: WebSocket,
    params: () => ({ token: token() }),
    reconnectAfterMs: () => 100,
    rejoinAfterMs: () => 100,
  });
  const steps = [];
  let onStep = () => {};
  const sees = (step) =>
    within(
      new Promise((resolve) => {
        onStep = () => steps.includes(step) && resolve();
        onStep();
      }),
      `step ${step}`,
    );
  try {
    socket.connect();
    const channel = socket.channel("sync:v1", {});
    channel.on("sync:update_batch", ({ updates }) => {
      for (const update of updates) steps.push(update.payload?.payload?.step);
      onStep();
    });
    // The join's ok callback runs again at every rejoin: a real surface resubscribes in it.
    let subscriptions = 0;
    let onSubscribed = () => {};
    channel.join().receive("ok", ({ allowed_topics: allowed }) => {
      assert.deepEqual(allowed, [TOPIC]);
      channel.push("sync:subscribe", { topics: [TOPIC] }).receive("ok", (reply) => {
        assert.deepEqual(reply.topics, [TOPIC]);
        subscriptions += 1;
        onSubscribed();
      });
    });
    const subscribed = (count) =>
      within(
        new Promise((resolve) => {
          onSubscribed = () => subscriptions >= count && resolve();
          onSubscribed();
        }),
        `subscription ${count}`,
      );

    await subscribed(1);
    await publish(address, "before", 1);
    await sees(1);

    await kill(child);
    ({ child, address } = await startReference(address));
    await subscribed(2);
    await publish(address, "after", 2);
    await sees(2);
  } finally {
    socket.disconnect();
    await kill(child);
  }
});
