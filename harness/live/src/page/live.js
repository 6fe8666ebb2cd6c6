"use strict";
// The live view. Text is only ever set as text; what is kept is bounded, however long the run is.
const POINTS_MAX = 1200;
const $ = (id) => document.getElementById(id);
// The token is in the address's fragment, which no request carries; it is kept for a reload of this tab alone.
const given = fragment(location.hash);
if (given) {
  sessionStorage.setItem("token", given);
  history.replaceState(null, "", location.pathname);
}
const token = given || sessionStorage.getItem("token") || "";
// The token of a fragment, which is no form: a `+` is one.
function fragment(hash) {
  const value = hash.startsWith("#token=") ? hash.slice("#token=".length) : "";
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}

let points = [];
let every = 1;
let seen = 0;
let over = false;
let reportUrl = null;

// Text nodes are kept and changed: a day of new ones is a lot of garbage.
function put(node, text, cls) {
  const value = String(text);
  const old = node.firstChild;
  if (!old || old.nodeType !== Node.TEXT_NODE) node.textContent = value;
  else if (old.data !== value) old.data = value;
  if (cls !== undefined) node.className = cls;
}

// Rows are used again, so that a day of frames leaves no more than one page's nodes.
function rows(id, all) {
  const body = $(id).tBodies[0];
  while (body.rows.length > all.length) body.deleteRow(-1);
  all.forEach((cells, at) => {
    const row = body.rows[at] || body.insertRow();
    while (row.cells.length < cells.length) row.insertCell();
    cells.forEach((cell, n) => {
      const [text, cls] = Array.isArray(cell) ? cell : [cell, ""];
      // A cell with a button is its button's.
      if (!row.cells[n].firstElementChild) put(row.cells[n], text, cls);
    });
  });
}

function seconds(s) {
  const m = Math.floor(s / 60);
  const h = Math.floor(m / 60);
  if (h) return `${h} h ${m % 60} min`;
  return m ? `${m} min ${s % 60} s` : `${s} s`;
}

function figure(value, unit) {
  if (value === null || value === undefined) return "–";
  if (unit === "us") return value >= 1e6 ? `${(value / 1e6).toPrecision(3)} s` : `${(value / 1e3).toPrecision(3)} ms`;
  if (unit === "share") return `${(100 * value).toPrecision(3)} %`;
  if (unit === "per_s") return `${value.toPrecision(3)}/s`;
  return Number.isInteger(value) ? value.toLocaleString("en") : value.toPrecision(3);
}

// Every point at first; every second one once there are too many, then every fourth.
function keep(point) {
  // The history may have this second already.
  if (points.length && points[points.length - 1][0] >= point[0]) return;
  if (seen % every === 0) points.push(point);
  seen += 1;
  if (points.length >= POINTS_MAX) {
    points = points.filter((_, n) => n % 2 === 0);
    every *= 2;
  }
}

function slopes(column) {
  return points.map((point, n) => {
    if (!n) return 0;
    const before = points[n - 1];
    return Math.max(0, point[column] - before[column]) / Math.max(1, point[0] - before[0]);
  });
}

function draw(id, series) {
  const canvas = $(id);
  const context = canvas.getContext("2d");
  const { width, height } = canvas;
  context.clearRect(0, 0, width, height);
  const most = Math.max(1, ...series.map((values) => values.reduce((a, b) => Math.max(a, b), 0)));
  const first = points.length ? points[0][0] : 0;
  const span = Math.max(1, points.length ? points[points.length - 1][0] - first : 1);
  const ink = getComputedStyle(document.body).color;
  series.forEach((values, n) => {
    context.strokeStyle = ink;
    context.setLineDash(n ? [4, 4] : []);
    context.lineWidth = 1.5;
    context.beginPath();
    values.forEach((value, at) => {
      const x = ((points[at][0] - first) / span) * (width - 4) + 2;
      const y = height - 2 - (value / most) * (height - 18);
      if (at) context.lineTo(x, y); else context.moveTo(x, y);
    });
    context.stroke();
  });
  context.fillStyle = ink;
  context.fillText(most >= 10 ? Math.round(most).toLocaleString("en") : most.toPrecision(2), 4, 10);
}

function charts() {
  draw("chart-clients", [points.map((p) => p[1]), points.map((p) => p[2])]);
  draw("chart-rates", [slopes(4), slopes(3)]);
  draw("chart-violations", [points.map((p) => p[5])]);
}

function numbers(all) {
  const list = $("numbers");
  all.forEach(([name, value, cls], n) => {
    let pair = list.children[n];
    if (!pair) {
      pair = document.createElement("div");
      pair.append(document.createElement("dt"), document.createElement("dd"));
      list.append(pair);
    }
    put(pair.children[0], name);
    put(pair.children[1], value, cls || "");
  });
}

function show(frame) {
  put($("scenario"), frame.scenario);
  put($("run"), frame.run_id);
  document.title = `${frame.phase} · ${frame.scenario}`;
  const left = frame.planned_s - frame.elapsed_s;
  put($("state"), left > 0
    ? `phase ${frame.phase}: ${seconds(left)} left, then a drain of at most ${seconds(frame.drain_s)}`
    : `${frame.phase}: at most ${seconds(Math.max(0, left + frame.drain_s))} left`);
  $("progress").max = Math.max(1, frame.planned_s);
  $("progress").value = Math.min(frame.elapsed_s, frame.planned_s);
  const phases = $("phases");
  while (phases.children.length > frame.phases.length) phases.lastChild.remove();
  frame.phases.forEach((phase, n) => {
    const span = phases.children[n] || phases.appendChild(document.createElement("span"));
    put(span, phase.name, phase.name === frame.phase ? "now" : "");
  });
  const { planned, online, live } = frame.clients;
  numbers([
    ["clients connected", `${online} of ${planned}`], ["clients live", live],
    ["publishes", frame.published.toLocaleString("en")], ["publishes a second", figure(frame.published_per_s)],
    ["updates", frame.deliveries.toLocaleString("en")], ["updates a second", figure(frame.deliveries_per_s)],
    ["connects", frame.connects.toLocaleString("en")],
    ["violations", frame.violations.toLocaleString("en"), frame.violations ? "bad" : ""],
  ]);
  rows("gates", frame.gates.flatMap((gate) => gate.claims.map((claim) => [
    gate.name + (gate.advisory ? " (advisory)" : ""),
    `${claim.metric} ${claim.selector} ${claim.require}`, figure(claim.estimate, claim.unit),
    claim.n.toLocaleString("en"), [claim.state, claim.state],
  ])));
  rows("faults", frame.faults.map((fault) => [
    `${fault.at_s.toFixed(1)} s`, fault.kind, fault.planned, fault.effective === null ? "–" : fault.effective,
    [fault.owed ? `${fault.state}; to be taken back: ${fault.owed}` : fault.state, fault.state], "",
  ]));
  frame.faults.forEach((fault, n) => hand($("faults").tBodies[0].rows[n].cells[5], fault));
  rows("rules", frame.rules.map((rule) => [rule.rule, [rule.violations.toLocaleString("en"), "bad"]]));
  rows("figures", frame.figures.map((row) => [
    row.metric, row.surface || "", figure(row.p50, row.unit), figure(row.p95, row.unit),
    figure(row.p99, row.unit), figure(row.max, row.unit), row.n.toLocaleString("en"),
  ]));
  const lines = $("lines");
  while (lines.children.length > frame.lines.length) lines.lastChild.remove();
  frame.lines.slice().reverse().forEach((line, n) => {
    put(lines.children[n] || lines.appendChild(document.createElement("li")), line);
  });
  charts();
}

// A frame is painted when the browser paints: what came meanwhile is the latest, and a tab that nobody sees paints none.
let latest = null;
function take(frame) {
  keep([
    frame.elapsed_s, frame.clients.online, frame.clients.live, frame.published, frame.deliveries, frame.violations,
  ]);
  if (!latest) {
    requestAnimationFrame(() => {
      const now = latest;
      latest = null;
      if (!over) show(now);
    });
  }
  latest = frame;
}

// A fault that waits for a hand has a switch until it is due; what it shows is what the run has taken.
function hand(cell, fault) {
  let button = cell.querySelector("button");
  if (fault.switch === null || fault.state !== "planned") {
    if (button) button.remove();
    return;
  }
  if (!button) {
    button = cell.appendChild(document.createElement("button"));
    button.type = "button";
    button.addEventListener("click", async () => {
      const way = button.dataset.on === "true" ? "off" : "on";
      const headers = { Authorization: `Bearer ${token}` };
      const answer = await fetch(`faults/${button.dataset.id}/${way}`, { method: "POST", headers }).catch(() => null);
      put($("abort-said"), answer ? await answer.text() : "it could not be switched from here");
    });
  }
  button.dataset.id = fault.id;
  button.dataset.on = fault.switch;
  put(button, fault.switch ? "on: switch off" : "off: switch on");
}

function report(text) {
  over = true;
  source.close();
  $("abort").disabled = true;
  const run = JSON.parse(text);
  put($("state"), "the run is over");
  $("progress").value = $("progress").max;
  $("decision").hidden = false;
  put($("decision-word"), run.decision, run.decision === "GO" ? "holding" : run.decision === "HOLD" ? "open" : "breaking");
  put($("decision-why"), (run.reasons || []).slice(0, 5).join(" · "));
  rows("gates", (run.gates || []).flatMap((gate) => (gate.objectives || []).map((one) => [
    gate.name, `${one.metric} ${one.selector} ${one.require}`, figure(one.estimate, one.unit), one.n,
    [one.verdict, one.verdict === "PASS" ? "holding" : one.verdict === "FAIL" ? "breaking" : "open"],
  ])));
  if (reportUrl) URL.revokeObjectURL(reportUrl);
  reportUrl = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  $("report").href = reportUrl;
}

const source = new EventSource(`events?token=${encodeURIComponent(token)}`);
source.addEventListener("open", () => { $("abort").disabled = false; });
source.addEventListener("history", (event) => {
  const past = JSON.parse(event.data);
  points = past.points;
  every = past.every;
  seen = 0;
});
source.addEventListener("frame", (event) => take(JSON.parse(event.data)));
source.addEventListener("report", (event) => report(event.data));
source.addEventListener("error", () => {
  if (over) return;
  $("abort").disabled = true;
  put($("state"), token ? "the connection is lost: the run may be over" : "open the address that the run has printed, with its token");
});

$("abort").addEventListener("click", async () => {
  if (!confirm("End the run now? Its evidence is written; it ends as interrupted.")) return;
  $("abort").disabled = true;
  const answer = await fetch("abort", { method: "POST", headers: { Authorization: `Bearer ${token}` } }).catch(() => null);
  put($("abort-said"), answer && answer.ok ? "the run ends; its evidence is written" : "it could not be aborted from here");
});
