"use strict";
// Makes the page's pictures live: zoom, a cursor that reads values, lines that can be hidden. The pictures stay, for
// print and for whoever has no script. The page of a run that goes on gives it the same data bit by bit.
globalThis.khalaCharts = (data) => {
  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const started = Date.parse(data.started);
  const live = new Map();
  const group = (n) => Math.round(n).toLocaleString("en-US");
  const two = (n) => String(n).padStart(2, "0");

  function shown(unit, v) {
    if (v == null) return "–";
    if (unit === "us") return v < 1e3 ? `${Math.round(v)} µs` : v < 1e6 ? `${(v / 1e3).toFixed(v < 1e5 ? 1 : 0)} ms` : `${(v / 1e6).toFixed(2)} s`;
    if (unit === "cores") return (v / 1e6).toFixed(2);
    if (unit === "share") return `${(v * 100).toFixed(1).replace(/\.0$/, "")} %`;
    return group(v);
  }
  const SECONDS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600];
  const short = (unit, v) => shown(unit, v).replace(/\.0+(?= )/, "");
  // What times are told in: those of a run that goes on grow, and whoever has zoomed in sees seconds.
  function moments(whole, step) {
    if (whole < 300) return "s";
    if (whole < 7200) return "min:s";
    return step < 60 ? "h:min:s" : "h:min";
  }
  function time(s, told) {
    const n = Math.round(s);
    const [h, min] = [Math.floor(n / 3600), two(Math.floor((n % 3600) / 60))];
    return { "h:min:s": `${h}:${min}:${two(n % 60)}`, "h:min": `${h}:${min}`, "min:s": `${Math.floor(n / 60)}:${two(n % 60)}` }[told] ?? `${+s.toFixed(2)}`;
  }
  const beyond = (q) => -Math.log10(1 - Math.min(q, 0.9999999));
  const quantile = (x) => `${+((1 - 10 ** -x) * 100).toFixed(4)} %`;

  // Phases and faults, under and over the lines.
  function under(u, chart) {
    const { ctx } = u;
    const { top, height, left, width } = u.bbox;
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, top, width, height);
    ctx.clip();
    ctx.fillStyle = style("--fg");
    ctx.globalAlpha = 0.06;
    chart.bands.filter((band) => !band[3]).forEach(([from, to], n) => {
      if (n % 2) return;
      const x = u.valToPos(from, "x", true);
      ctx.fillRect(x, top, u.valToPos(to, "x", true) - x, height);
    });
    ctx.restore();
  }
  function over(u, chart) {
    const { ctx } = u;
    const { top, height, left, width } = u.bbox;
    const px = devicePixelRatio || 1;
    ctx.save();
    ctx.font = `${12 * px}px system-ui, sans-serif`;
    ctx.textBaseline = "alphabetic";
    ctx.textAlign = "left";
    let taken = -Infinity;
    // A fault's name as far as the next one's line; where there is no room for all of it, its number alone.
    const faults = chart.bands.filter((band) => band[3]).map(([from]) => u.valToPos(from, "x", true));
    let nth = 0;
    for (const [from, to, name, fault] of chart.bands) {
      const next = fault ? faults[(nth += 1)] ?? Infinity : 0;
      const x = u.valToPos(from, "x", true);
      const end = u.valToPos(to, "x", true);
      if (end < left || x > left + width) continue;
      const start = Math.max(x, left);
      if (!fault) {
        ctx.fillStyle = style("--soft");
        if (Math.min(end, left + width) - start > ctx.measureText(name).width + 6 * px) ctx.fillText(name, start + 4 * px, top - 20 * px);
        continue;
      }
      ctx.fillStyle = ctx.strokeStyle = style("--fault");
      ctx.globalAlpha = 0.13;
      ctx.fillRect(start, top, Math.max(0, Math.min(end, left + width) - start), height);
      ctx.globalAlpha = 1;
      if (x < left) continue;
      ctx.setLineDash([3 * px, 3 * px]);
      ctx.beginPath();
      ctx.moveTo(x, top - 6 * px);
      ctx.lineTo(x, top + height);
      ctx.stroke();
      ctx.fillStyle = style("--fg");
      for (const shown of [name, name.split(" ")[0]]) {
        const long = ctx.measureText(shown).width;
        const fits = x + long + 8 * px <= Math.min(next, left + width);
        const at = fits ? x + 4 * px : x - long - 4 * px;
        if ((!fits && next < left + width) || at < taken) continue;
        taken = at + long + 4 * px;
        ctx.fillText(shown, at, top - 6 * px);
        break;
      }
    }
    for (const [x, y, name] of chart.claims) {
      const [cx, cy, r] = [u.valToPos(x, "x", true), u.valToPos(y, "y", true), 6 * px];
      ctx.strokeStyle = ctx.fillStyle = style("--fg");
      ctx.setLineDash([]);
      ctx.lineWidth = 1.5 * px;
      ctx.beginPath();
      [[0, -r], [r, 0], [0, r], [-r, 0], [0, -r]].forEach(([dx, dy]) => ctx.lineTo(cx + dx, cy + dy));
      ctx.stroke();
      ctx.textAlign = cx > left + width * 0.75 ? "right" : "left";
      ctx.fillText(name, cx + (ctx.textAlign === "right" ? -10 : 10) * px, cy + 18 * px);
    }
    ctx.restore();
  }

  // Powers of ten, and between them where there are few.
  function decades(u) {
    const { min, max } = u.scales.y;
    const all = [];
    const between = Math.log10(max / min) <= 2.1 ? [1, 2, 5] : [1];
    for (let ten = 10 ** Math.floor(Math.log10(min)); ten <= max; ten *= 10) all.push(...between.map((n) => n * ten));
    return all.filter((v) => v >= min * 0.999 && v <= max * 1.001);
  }

  function options(id, chart, holder, x) {
    const pen = (n) => style(`--c${n % 6}`);
    const grid = { stroke: style("--line"), width: 1 };
    const axis = { stroke: style("--soft"), grid, ticks: grid, font: "12px system-ui, sans-serif", labelFont: "12px system-ui, sans-serif" };
    const bySecond = chart.x === null;
    return {
      width: Math.max(300, holder.clientWidth),
      height: chart.height + (chart.bands.length ? 84 : 60),
      // Half of the last time, which is longer in a long run, stands beyond the axis.
      padding: [chart.bands.length ? 34 : 10, (u) => (bySecond && (u.data?.[0]?.at(-1) ?? 0) >= 7200 ? 32 : 12), 0, 0],
      legend: { show: false },
      cursor: {
        sync: bySecond ? { key: "seconds", setSeries: false } : undefined,
        drag: { x: true, y: false, uni: 20 },
        points: { size: 7 },
      },
      scales: {
        // A second's figures stand at its end, and what befell the first one began at 0.
        x: { time: false, range: (u, lo, hi) => [bySecond && lo != null && lo <= u.data[0][0] ? 0 : lo, hi] },
        y: { distr: chart.log ? 3 : 1, range: chart.log ? undefined : (_u, _lo, hi) => (chart.unit === "share" ? [0, 1] : [0, Math.max(hi * 1.05, chart.unit === "count" ? 1 : 1e-9)]) },
      },
      axes: [
        { ...axis, incrs: bySecond ? SECONDS : undefined, label: bySecond ? (u, _axis, step) => `time of the run, ${moments(u.data[0].at(-1) ?? 0, step)}` : chart.xTitle, labelSize: 20, size: 34,
          values: (u, all, _axis, _room, step) => all.map((v) => (v == null ? "" : chart.quantiles ? quantile(v) : time(v, moments(u.data[0].at(-1) ?? 0, step)))),
          splits: chart.quantiles ? (u) => [0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999].map(beyond).filter((v) => v >= u.scales.x.min && v <= u.scales.x.max) : undefined },
        { ...axis, label: chart.yTitle, labelSize: 20, size: 64, splits: chart.log ? decades : undefined, filter: chart.log ? (_u, all) => all : undefined, values: (_u, all) => all.map((v) => (v == null || (chart.unit === "count" && v % 1) ? "" : short(chart.unit, v))) },
      ],
      series: [{}, ...chart.lines.map((line) => ({
        label: line.name,
        stroke: pen(line.pen),
        width: line.thin ? 1.2 : 1.8,
        dash: line.dash.length ? line.dash : undefined,
        spanGaps: !bySecond,
        paths: chart.steps ? uPlot.paths.stepped({ align: 1 }) : undefined,
        points: { show: bySecond && x.length < 2 ? true : undefined },
      }))],
      hooks: {
        drawClear: [(u) => under(u, chart)],
        draw: [(u) => over(u, chart)],
        setCursor: [(u) => read(id, u)],
        setScale: [(u, key) => { if (key === "x") zoomed(id, u); }],
      },
    };
  }

  // What stands under the cursor, beside each line's name.
  function read(id, u) {
    const it = live.get(id);
    if (!it) return;
    const at = u.cursor.idx;
    it.buttons.forEach((button, n) => {
      const value = at == null ? null : u.data[n + 1][at];
      button.querySelector(".value").textContent = at == null ? "" : ` ${shown(it.chart.unit, value)}`;
    });
    if (at == null) { it.where.textContent = ""; return; }
    const x = u.data[0][at];
    if (it.chart.quantiles) it.where.textContent = `at ${quantile(x)}`;
    else if (it.chart.x !== null) it.where.textContent = `${x.toFixed(2)} s after the cut`;
    else it.where.textContent = `up to ${+x.toFixed(1)} s, ${new Date(started + x * 1000).toISOString().slice(11, 19)} UTC`;
  }

  // A zoom of one chart over the run's seconds is one of all of them.
  let zooming = false;
  function zoomed(id, u) {
    const it = live.get(id);
    if (!it) return;
    const { min, max } = u.scales.x;
    const x = u.data[0];
    it.reset.hidden = !x.length || (min <= x[0] && max >= x[x.length - 1]);
    if (it.chart.x !== null || zooming) return;
    zooming = true;
    for (const other of live.values()) {
      if (other !== it && other.chart.x === null) other.plot.setScale("x", { min, max });
    }
    zooming = false;
  }
  const whole = (u) => u.setScale("x", { min: u.data[0][0], max: u.data[0][u.data[0].length - 1] });

  function keys(event, u) {
    const { min, max } = u.scales.x;
    const x = u.data[0];
    const first = x.findIndex((v) => v >= min);
    const last = x.findLastIndex((v) => v <= max);
    const at = u.cursor.idx ?? first - 1;
    const go = (to) => {
      const left = u.valToPos(x[Math.max(first, Math.min(last, to))], "x");
      u.setCursor({ left, top: u.bbox.height / 2 / (devicePixelRatio || 1) });
    };
    const zoom = (by) => {
      const middle = u.cursor.idx == null ? (min + max) / 2 : x[at];
      const half = ((max - min) * by) / 2;
      u.setScale("x", { min: Math.max(x[0], middle - half), max: Math.min(x[x.length - 1], middle + half) });
    };
    const step = event.shiftKey ? 10 : 1;
    const act = {
      ArrowLeft: () => go(at - step), ArrowRight: () => go(at + step), Home: () => go(first), End: () => go(last),
      "+": () => zoom(0.5), "=": () => zoom(0.5), "-": () => zoom(2), Escape: () => whole(u),
    }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  function legend(list, chart, toggle) {
    return [...list.children].map((item, n) => {
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("aria-pressed", "true");
      button.append(...item.childNodes);
      const value = document.createElement("span");
      value.className = "value";
      button.append(value);
      button.addEventListener("click", () => {
        const on = button.getAttribute("aria-pressed") !== "true";
        button.setAttribute("aria-pressed", String(on));
        toggle(n, on);
      });
      item.append(button);
      return button;
    });
  }

  const drawn = (chart) => [(chart.x ?? data.seconds).map((v) => (chart.quantiles ? beyond(v) : v)), ...chart.lines.map((line) => line.y)];

  function build(holder) {
    const id = holder.dataset.chart;
    const chart = data.charts[id];
    const values = drawn(chart);
    const known = live.get(id);
    holder.classList.add("live");
    const plot = new uPlot(options(id, chart, holder, values[0]), values, holder);
    if (known) {
      known.plot.destroy();
      known.plot = plot;
      known.buttons.forEach((button, n) => { if (button.getAttribute("aria-pressed") === "false") plot.setSeries(n + 1, { show: false }); });
      return;
    }
    const it = { chart, plot, holder };
    it.buttons = legend(document.querySelector(`.legend[data-of="${id}"]`), chart, (n, on) => it.plot.setSeries(n + 1, { show: on }));
    const tools = document.createElement("div");
    tools.className = "tools";
    it.where = document.createElement("output");
    it.reset = document.createElement("button");
    Object.assign(it.reset, { type: "button", textContent: "Show all", hidden: true });
    it.reset.addEventListener("click", () => whole(it.plot));
    // The button last: what is read beside it comes and goes, and must not move it.
    tools.append(it.where, it.reset);
    holder.before(tools);
    holder.setAttribute("aria-describedby", "how");
    holder.addEventListener("keydown", (event) => keys(event, it.plot));
    live.set(id, it);
  }

  const how = document.createElement("p");
  how.id = "how";
  how.className = "note how";
  how.textContent = "Charts are live: drag to zoom, a line's name hides it. With the keyboard: ← and → read, + and − zoom, Esc shows all.";
  document.querySelector("#time-line h2")?.after(how);

  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      seen.unobserve(entry.target);
      build(entry.target);
    }
  }, { rootMargin: "200px" });
  // Charts whose places came since, and those whose places are gone.
  const watched = new WeakSet();
  function adopt() {
    for (const [id, it] of live) {
      if (it.holder.isConnected) continue;
      it.plot.destroy();
      live.delete(id);
    }
    for (const holder of document.querySelectorAll("[data-chart]")) {
      if (!data.charts[holder.dataset.chart] || watched.has(holder)) continue;
      watched.add(holder);
      seen.observe(holder);
    }
  }
  adopt();
  const ending = new AbortController();
  const { signal } = ending;
  const again = () => { for (const it of live.values()) build(it.holder); };
  dark.addEventListener("change", again, { signal });
  let later;
  addEventListener("resize", () => {
    clearTimeout(later);
    later = setTimeout(() => { for (const it of live.values()) it.plot.setSize({ width: Math.max(300, it.holder.clientWidth), height: it.plot.height }); }, 120);
  }, { signal });
  document.documentElement.dataset.live = "yes";

  return {
    // Takes the latest seconds in place of those that it has from there on.
    take(part) {
      const from = part.seconds[0] ?? Infinity;
      let keep = data.seconds.length;
      while (keep > 0 && data.seconds[keep - 1] >= from) keep -= 1;
      const onto = (values, more) => { values.length = Math.min(values.length, keep); for (const value of more) values.push(value); };
      onto(data.seconds, part.seconds);
      for (const [id, { bands, lines }] of Object.entries(part.charts)) {
        data.charts[id].bands = bands;
        lines.forEach((line, n) => onto(data.charts[id].lines[n].y, line.y));
      }
    },
    // Begins again with what another one would be made of.
    again(fresh) {
      data.seconds.length = 0;
      for (const { x, lines } of Object.values(data.charts)) if (x === null) for (const line of lines) line.y.length = 0;
      this.take(fresh);
    },
    // Takes charts that are none over the run's seconds, each whole.
    curves(fresh) {
      for (const [id, chart] of Object.entries(fresh)) data.charts[id] = Object.assign(data.charts[id] ?? {}, chart);
      adopt();
    },
    // Draws what it has; who has zoomed in stays where they are.
    draw() {
      for (const { plot, chart, reset } of live.values()) plot.setData(drawn(chart), reset.hidden);
    },
    // Points that it has, and the last second of them.
    held: () => ({ points: data.seconds.length, last: data.seconds.at(-1) ?? -1 }),
    end() {
      ending.abort();
      seen.disconnect();
      for (const { plot } of live.values()) plot.destroy();
    },
  };
};
{
  const held = document.getElementById("report-data");
  if (held) globalThis.khalaCharts(JSON.parse(held.textContent));
}
