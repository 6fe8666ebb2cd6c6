"use strict";
// The live view. What it draws comes in frames, whose data are a part of the report's; its charts are those of the
// report's own script. Text is only ever set as text, but for the rows of the gates, which the harness writes for the
// report too. What is kept is bounded, however long the run is.
(() => {
  // Points of the charts: beyond them the server's, which are thinned, are asked for again.
  const POINTS_MAX = 6000;
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

  let charts = null;
  let source = null;
  let over = false;
  let reportPage = "";

  // Text nodes are kept and changed: a day of new ones is a lot of garbage.
  function put(node, text, cls) {
    const value = String(text);
    const old = node.firstChild;
    if (!old || old.nodeType !== Node.TEXT_NODE) node.textContent = value;
    else if (old.data !== value) old.data = value;
    if (cls !== undefined && node.className !== cls) node.className = cls;
  }

  // So many elements, used again from frame to frame.
  function fit(parent, count, make) {
    while (parent.children.length > count) parent.lastElementChild.remove();
    while (parent.children.length < count) parent.append(make());
    return [...parent.children];
  }
  const element = (name) => () => document.createElement(name);

  // Rows of a table; a row's first cell is its name, and a cell is a text, or one with a class, or with a switch.
  function rows(id, all) {
    const table = document.querySelector(`#${id} table`);
    table.closest(".table").hidden = all.length === 0;
    const figures = [...table.tHead.rows[0].cells].map((head) => head.className === "n");
    fit(table.tBodies[0], all.length, element("tr")).forEach((row, at) => {
      all[at].forEach((cell, n) => {
        const [text, cls, fault] = Array.isArray(cell) ? cell : [cell, ""];
        const there = row.cells[n] || row.appendChild(Object.assign(document.createElement(n ? "td" : "th"), n ? {} : { scope: "row" }));
        if (fault) hand(there, fault);
        else put(there, text, `${figures[n] ? "n " : ""}${cls}`.trim());
      });
    });
  }

  // Makes one tree of nodes like another, and touches only what differs: whoever reads in it stays where they are.
  function become(old, fresh) {
    const had = [...old.childNodes];
    const wanted = [...fresh.childNodes];
    wanted.forEach((node, n) => {
      const there = had[n];
      if (!there) old.append(node);
      else if (there.nodeName !== node.nodeName) there.replaceWith(node);
      else if (node.nodeType === Node.TEXT_NODE) {
        if (there.data !== node.data) there.data = node.data;
      } else {
        for (const { name } of [...there.attributes]) if (!node.hasAttribute(name)) there.removeAttribute(name);
        for (const { name, value } of node.attributes) if (there.getAttribute(name) !== value) there.setAttribute(name, value);
        become(there, node);
      }
    });
    had.slice(wanted.length).forEach((node) => node.remove());
  }
  const template = document.createElement("template");
  let gatesShown = "";
  function gates(html) {
    if (html === gatesShown) return;
    gatesShown = html;
    template.innerHTML = html;
    become(document.querySelector("#gates tbody"), template.content);
    template.innerHTML = "";
  }

  // The charts that are none over the run's seconds: their places are made again only where there is something new.
  const partsShown = {};
  function curves({ charts: fresh, ...parts }) {
    for (const [id, html] of Object.entries(parts)) {
      if (html.trim() === "" || html === partsShown[id]) continue;
      partsShown[id] = html;
      template.innerHTML = html;
      $(`${id}-so-far`).replaceChildren(template.content);
    }
    charts?.curves(fresh);
  }

  function time(s) {
    const m = Math.floor(s / 60);
    const h = Math.floor(m / 60);
    if (h) return `${h} h ${m % 60} min`;
    return m ? `${m} min ${s % 60} s` : `${s} s`;
  }
  const count = (n) => Math.round(n).toLocaleString("en-US");
  const many = (n, one, more) => `${count(n)} ${n === 1 ? one : more}`;
  const rate = (n) => `${n >= 10 ? count(n) : n.toFixed(1)}/s`;
  function figure(value, unit) {
    if (value === null || value === undefined) return "–";
    if (unit !== "us") return count(value);
    if (value < 1e3) return `${Math.round(value)} µs`;
    return value < 1e6 ? `${(value / 1e3).toFixed(value < 1e5 ? 1 : 0)} ms` : `${(value / 1e6).toFixed(2)} s`;
  }

  // What is read aloud: a phase that begins, and that something is wrong that was not.
  let saidPhase = "";
  let saidWrong = 0;
  function headline(frame) {
    const left = frame.planned_s - frame.elapsed_s;
    const beyond = frame.gates.filter((gate) => gate.state === "breaking" && !gate.advisory).length;
    const wrong = [];
    if (frame.violations) wrong.push(`${many(frame.violations, "violation", "violations")} so far`);
    if (frame.skips) wrong.push(`updates were skipped ${many(frame.skips, "time", "times")}, which is judged at the end`);
    if (beyond) wrong.push(`${beyond} of ${many(frame.gates.length, "gate is", "gates are")} beyond a bound so far`);
    const when = left > 0
      ? `Phase ${frame.phase}: ${time(left)} left, then a drain of at most ${time(frame.drain_s)}.`
      : `${frame.phase}: at most ${time(Math.max(0, left + frame.drain_s))} left.`;
    put($("state"), `${when} ${wrong.length ? wrong.join("; ") : "No gate is beyond its bound so far"}.`);
    const [cls, sign] = frame.violations ? ["broken", "✗"] : beyond || frame.skips ? ["beyond", "!"] : ["running", "▶"];
    $("strip").className = `strip ${cls}`;
    put($("sign"), sign);
    document.title = `${frame.phase} · ${frame.scenario}`;
    if (frame.phase !== saidPhase || wrong.length > saidWrong) put($("told"), `Phase ${frame.phase}. ${wrong.join("; ")}`);
    saidPhase = frame.phase;
    saidWrong = wrong.length;
  }

  function phases(frame) {
    const { elapsed_s: now, planned_s: planned, drain_s: drain } = frame;
    const all = frame.phases.some(({ start_s: start }) => start >= planned)
      ? frame.phases : [...frame.phases, { name: "drain", start_s: planned, end_s: planned + drain }];
    fit($("phases"), all.length, element("li")).forEach((item, n) => {
      const { name, start_s: start, end_s: end } = all[n];
      put(item, name);
      // A drain may be long and mostly is not.
      const wide = start >= planned ? Math.min(end - start, planned * 0.1) : end - start;
      item.style.flexGrow = String(Math.max(wide, planned * 0.02));
      item.style.setProperty("--done", `${Math.max(0, Math.min(1, (now - start) / Math.max(1e-9, end - start))) * 100}%`);
      if (now >= start && (now < end || n === all.length - 1)) item.setAttribute("aria-current", "step");
      else item.removeAttribute("aria-current");
    });
  }

  function facts(frame) {
    const { planned, online, live } = frame.clients;
    const all = [
      ["Has taken", `${time(frame.elapsed_s)} of ${time(frame.planned_s)}`],
      ["Clients connected", `${count(online)} of ${count(planned)}`],
      ["Clients live", count(live)],
      ["Updates checked", `${count(frame.deliveries)} (${rate(frame.deliveries_per_s)})`],
      ["Publishes", `${count(frame.published)} (${rate(frame.published_per_s)})`],
      ["Connects", `${count(frame.connects)} (${rate(frame.connects_per_s)})`],
      ["Violations", count(frame.violations), frame.violations ? "fail" : ""],
    ];
    fit($("facts"), all.length, () => {
      const pair = document.createElement("div");
      pair.append(document.createElement("dt"), document.createElement("dd"));
      return pair;
    }).forEach((pair, n) => {
      put(pair.children[0], all[n][0]);
      put(pair.children[1], all[n][1], all[n][2] || "");
    });
  }

  const STATES = { planned: ["not due yet", "none"], due: ["due", "warn"], proven: ["✓ proven", "pass"], failed: ["? not proven", "warn"] };
  function show(frame) {
    put($("scenario"), frame.profile ? `${frame.scenario} (${frame.profile})` : frame.scenario);
    headline(frame);
    phases(frame);
    facts(frame);
    const began = frame.data.started.replace("T", " ").replace(/(\.\d+)?Z$/, " UTC");
    put($("where"), `Began ${began}. The report will be ${frame.evidence}/report.html.`);
    gates(frame.gate_rows);
    curves(frame.curves);
    $("no-rule").hidden = frame.rules.length > 0;
    rows("broken", frame.rules.map((rule) => [rule.rule, [count(rule.violations), "fail"]]));
    $("no-fault").hidden = frame.faults.length > 0;
    const far = frame.faults_planned - frame.faults.length;
    put($("more-faults"), far > 0 ? `${many(far, "more fault is", "more faults are")} planned or over.` : "");
    rows("disturbed", frame.faults.map((fault) => {
      const [word, cls] = STATES[fault.state];
      return [
        `#${fault.id} ${fault.kind}`, `${fault.at_s.toFixed(1)} s`, count(fault.planned), figure(fault.effective),
        [fault.owed ? `${word}; to be taken back: ${fault.owed}` : word, cls], ["", "", fault],
      ];
    }));
    rows("measured", frame.figures.map((row) => [
      row.metric, row.surface || "", count(row.n), figure(row.p50, row.unit), figure(row.p95, row.unit),
      figure(row.p99, row.unit), figure(row.max, row.unit),
    ]));
    fit($("lines"), frame.lines.length, element("li")).forEach((line, n) => put(line, frame.lines[frame.lines.length - 1 - n]));
    charts?.draw();
  }

  // A frame is painted when the browser paints: what came meanwhile is the latest, and a tab that nobody sees paints none.
  let latest = null;
  function take(frame) {
    const { points, last } = charts ? charts.held() : { points: 0, last: -1 };
    const [first] = frame.data.seconds;
    // What is missing between, or has become too much, the server has.
    if (charts && (points > POINTS_MAX || (last >= 0 && first > last + 1))) {
      open();
      return;
    }
    charts?.take(frame.data);
    if (!latest) {
      requestAnimationFrame(() => {
        const now = latest;
        latest = null;
        if (!over) show(now);
      });
    }
    latest = frame;
  }

  async function post(path, failed) {
    const headers = { Authorization: `Bearer ${token}` };
    const answer = await fetch(path, { method: "POST", headers }).catch(() => null);
    put($("said"), answer ? (await answer.text()).trim() : failed);
  }

  // A fault that waits for a hand has a switch until it is due; what it shows is what the run has taken.
  function hand(cell, fault) {
    let button = cell.querySelector("button");
    if (fault.switch === null || fault.state !== "planned") {
      put(cell, fault.switch === null ? "" : fault.switch ? "on" : "off");
      return;
    }
    if (!button) {
      cell.replaceChildren(document.createElement("button"));
      button = cell.firstElementChild;
      button.type = "button";
      button.addEventListener("click", () => {
        post(`faults/${button.dataset.id}/${button.getAttribute("aria-pressed") === "true" ? "off" : "on"}`, "it could not be switched from here");
      });
    }
    button.dataset.id = fault.id;
    button.setAttribute("aria-pressed", String(fault.switch));
    put(button, fault.switch ? `#${fault.id} is on: switch off` : `#${fault.id} is off: switch on`);
  }

  // The run is over: the page is its report from here on.
  function report(data) {
    over = true;
    source.close();
    charts?.end();
    // Its style is here already, and this page's policy takes none that stands in a page.
    const page = new DOMParser().parseFromString(reportPage.replace(/<style>[^]*?<\/style>/, ""), "text/html");
    document.title = page.title;
    document.body.replaceChildren(...page.body.childNodes);
    document.querySelector('link[href="live.css"]').remove();
    scrollTo(0, 0);
    globalThis.khalaCharts(JSON.parse(data));
  }

  function lost(text) {
    $("abort").disabled = true;
    $("strip").className = "strip lost";
    put($("sign"), "?");
    put($("state"), text);
    put($("told"), text);
  }

  function open() {
    source?.close();
    const own = new EventSource(`events?token=${encodeURIComponent(token)}`);
    source = own;
    own.addEventListener("open", () => { $("abort").disabled = false; });
    own.addEventListener("history", (event) => {
      const data = JSON.parse(event.data);
      if (charts) charts.again(data);
      else charts = globalThis.khalaCharts(data);
    });
    own.addEventListener("frame", (event) => take(JSON.parse(event.data)));
    own.addEventListener("page", (event) => { reportPage = event.data; });
    own.addEventListener("report", (event) => report(event.data));
    own.addEventListener("error", () => {
      if (over || own !== source) return;
      lost(token ? "The connection is lost: the run may be over, or its process gone. Its report lies where the command says." : "Open the address that the run has printed, with its token.");
    });
  }

  $("abort").addEventListener("click", async () => {
    if (!confirm("End the run now? Its evidence is written; it ends as interrupted.")) return;
    $("abort").disabled = true;
    await post("abort", "it could not be ended from here");
  });
  open();
})();
