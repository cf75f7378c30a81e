// Plots over time as SVG: lines, stacked areas and a strip with one lane for each label.
"use strict";
const PLOT = { width: 1200, left: 130, right: 16, top: 10, bottom: 30 };

function svg(name, attributes = {}, text = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text) made.textContent = text;
  return made;
}

/** Round steps of 1, 2 or 5 times a power of ten. */
function ticks(low, high, wanted) {
  const raw = (high - low) / wanted || 1;
  const power = Math.pow(10, Math.floor(Math.log10(raw)));
  const step = [1, 2, 5, 10].map((k) => k * power).find((s) => s >= raw);
  const marks = [];
  for (let v = Math.ceil(low / step) * step; v <= high + 1e-9 * step; v += step) marks.push(v);
  return marks.map((v) => Number(v.toPrecision(10)));
}

class TimePlot {
  /** An empty plot with a time axis; `onPick(t)` is called where it is clicked. */
  constructor(host, { label, height, times, low = 0, high = 1, onPick }) {
    this.height = height;
    this.t0 = times[0];
    this.t1 = Math.max(times[times.length - 1], times[0] + 1e-3);
    this.low = low;
    this.high = high > low ? high : low + 1;
    this.root = svg("svg", {
      class: "plot", viewBox: `0 0 ${PLOT.width} ${height}`, role: "img", "aria-label": label,
    });
    for (const t of ticks(this.t0, this.t1, 10)) {
      const x = this.x(t);
      this.root.append(svg("line", { class: "grid", x1: x, x2: x, y1: PLOT.top, y2: height - PLOT.bottom }));
      this.root.append(svg("text", { x, y: height - 10, "text-anchor": "middle" }, t + " s"));
    }
    this.root.addEventListener("click", (event) => onPick(this.timeAt(event)));
    host.append(this.root);
  }

  x(t) {
    return PLOT.left + ((t - this.t0) / (this.t1 - this.t0)) * (PLOT.width - PLOT.left - PLOT.right);
  }

  y(value) {
    const inner = this.height - PLOT.top - PLOT.bottom;
    return this.height - PLOT.bottom - ((value - this.low) / (this.high - this.low)) * inner;
  }

  timeAt(event) {
    const box = this.root.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * PLOT.width;
    return this.t0 + ((x - PLOT.left) / (PLOT.width - PLOT.left - PLOT.right)) * (this.t1 - this.t0);
  }

  axis(unit) {
    for (const value of ticks(this.low, this.high, 4)) {
      const y = this.y(value);
      this.root.append(svg("line", { class: "grid", x1: PLOT.left, x2: PLOT.width - PLOT.right, y1: y, y2: y }));
      this.root.append(svg("text", { x: PLOT.left - 6, y: y + 4, "text-anchor": "end" }, value + unit));
    }
  }

  /** A line that breaks where a value is missing; a lone value becomes a dot. */
  line(times, values, { color, dash = "", width = 2 }) {
    let path = "";
    let isOpen = false;
    values.forEach((value, i) => {
      if (value === null) { isOpen = false; return; }
      path += (isOpen ? "L" : "M") + this.x(times[i]).toFixed(1) + " " + this.y(value).toFixed(1);
      if (!isOpen) path += "h0.01";
      isOpen = true;
    });
    this.root.append(svg("path", {
      d: path, fill: "none", stroke: color, "stroke-width": width, "stroke-dasharray": dash,
      "stroke-linejoin": "round", "stroke-linecap": dash ? "butt" : "round",
    }));
  }

  area(times, below, above, color) {
    const up = above.map((v, i) => this.x(times[i]).toFixed(1) + " " + this.y(v).toFixed(1));
    const down = below.map((v, i) => this.x(times[i]).toFixed(1) + " " + this.y(v).toFixed(1)).reverse();
    this.root.append(svg("path", { d: "M" + [...up, ...down].join("L") + "Z", fill: color }));
  }

  /** Put the cursor that marks the frame on show; call once, after everything else is drawn. */
  addCursor() {
    this.cursor = svg("line", { class: "cursor", y1: PLOT.top, y2: this.height - PLOT.bottom });
    this.root.append(this.cursor);
  }

  moveCursor(t) {
    this.cursor.setAttribute("x1", this.x(t));
    this.cursor.setAttribute("x2", this.x(t));
  }
}

function legend(host, entries) {
  const box = element("div", { class: "legend" });
  for (const { name, color, dash } of entries) {
    const item = element("span");
    const key = svg("svg", { width: 34, height: 12, "aria-hidden": "true" });
    if (dash === undefined) key.append(svg("rect", { width: 34, height: 12, rx: 2, fill: color }));
    else key.append(svg("line", { x1: 0, x2: 34, y1: 6, y2: 6, stroke: color, "stroke-width": 3, "stroke-dasharray": dash }));
    item.append(key, element("span", {}, name));
    box.append(item);
  }
  host.append(box);
}

const SOURCE_COLORS = {
  DIFFUSION: "var(--blue)", HOLD_LAST: "var(--orange)", FALLBACK_STOP: "var(--pink)",
  EMERGENCY_STOP: "var(--red)", REPLAY: "var(--green)", UNKNOWN: "var(--quiet)",
};
const STAGE_COLORS = ["#0072b2", "#56b4e9", "#009e73", "#e69f00", "#cc79a7", "#d55e00"];
const REST_COLOR = "#9a9a9a";

/** Speed, source and latency over time; returns the plots for their cursors. */
function drawTimePlots(timeline, onPick) {
  const times = timeline.t_s;
  if (!times.length) throw new Error("the timeline is empty");
  return [
    speedPlot(byId("plot-speed"), timeline, times, onPick),
    sourcePlot(byId("plot-source"), timeline, times, onPick),
    latencyPlot(byId("plot-latency"), timeline, times, onPick),
  ];
}

function speedPlot(host, timeline, times, onPick) {
  const known = [...timeline.speed_mps, ...timeline.planned_mps].filter((v) => v !== null);
  const plot = new TimePlot(host, {
    label: "Driven and planned speed over time", height: 230, times, onPick,
    low: Math.min(0, ...known), high: 1.1 * Math.max(1, ...known),
  });
  plot.axis(" m/s");
  const later = times.map((t) => t + timeline.ahead_s);
  const isInside = later.map((t) => t <= plot.t1);
  const planned = timeline.planned_mps.map((v, i) => (isInside[i] ? v : null));
  plot.line(times, timeline.speed_mps, { color: "var(--pink)", width: 3 });
  plot.line(later, planned, { color: "var(--blue)", dash: "7 4" });
  plot.addCursor();
  legend(host, [
    { name: "driven", color: "var(--pink)", dash: "" },
    { name: `planned ${timeline.ahead_s} s before, for this moment`, color: "var(--blue)", dash: "7 4" },
  ]);
  return plot;
}

function sourcePlot(host, timeline, times, onPick) {
  const order = Object.keys(SOURCE_COLORS).filter((name) => timeline.source.includes(name));
  const lane = 24;
  const height = PLOT.top + PLOT.bottom + lane * order.length;
  const plot = new TimePlot(host, { label: "Source of each plan over time", height, times, onPick });
  order.forEach((name, row) => {
    const top = PLOT.top + lane * row + 3;
    const middle = top + (lane - 6) / 2 + 4;
    plot.root.append(svg("text", { x: PLOT.left - 6, y: middle, "text-anchor": "end" }, name));
    const stretches = [];
    times.forEach((t, i) => {
      if (timeline.source[i] !== name) return;
      const end = i + 1 < times.length ? times[i + 1] : plot.t1;
      const last = stretches[stretches.length - 1];
      if (last && last.index === i - 1) { last.end = end; last.index = i; }
      else stretches.push({ begin: t, end, index: i });
    });
    for (const { begin, end } of stretches) {
      plot.root.append(svg("rect", {
        x: plot.x(begin), width: Math.max(plot.x(end) - plot.x(begin), 2), y: top, height: lane - 6,
        fill: SOURCE_COLORS[name],
      }));
    }
  });
  plot.addCursor();
  legend(host, order.map((name) => ({
    name: `${name}: ${DATA.source_words[name]}`, color: SOURCE_COLORS[name],
  })));
  return plot;
}

function latencyPlot(host, timeline, times, onPick) {
  const names = Object.keys(timeline.stages).filter((name) => name !== "total");
  const sums = times.map((_, i) => names.reduce((sum, n) => sum + (timeline.stages[n][i] || 0), 0));
  const totals = timeline.stages.total || [];
  const plot = new TimePlot(host, {
    label: "Milliseconds of each stage over time, stacked", height: 230, times, onPick,
    high: 1.1 * Math.max(1, ...sums, ...totals.filter((v) => v !== null)),
  });
  plot.axis(" ms");
  let below = times.map(() => 0);
  const keys = names.map((name, k) => ({ name, color: STAGE_COLORS[k % STAGE_COLORS.length] }));
  names.forEach((name, k) => {
    const above = below.map((v, i) => v + (timeline.stages[name][i] || 0));
    plot.area(times, below, above, STAGE_COLORS[k % STAGE_COLORS.length]);
    below = above;
  });
  if (totals.length) {
    plot.area(times, below, below.map((v, i) => Math.max(v, totals[i] || 0)), REST_COLOR);
    plot.line(times, totals, { color: "var(--ink)", width: 1.5 });
    keys.push({ name: "the rest", color: REST_COLOR }, { name: "total", color: "var(--ink)", dash: "" });
  }
  plot.addCursor();
  legend(host, keys);
  return plot;
}
