// How many scenes have which value: one small plot per metric, a bar per run in each bin.
"use strict";
const RUN_COLORS = ["var(--blue)", "var(--orange)", "var(--green)", "var(--pink)", "var(--red)", "var(--sky)"];
const HISTOGRAM = { width: 420, height: 170, left: 40, right: 22, top: 8, bottom: 26, bins: 10 };

function runColor(index) {
  return RUN_COLORS[index % RUN_COLORS.length];
}

function binCounts(values, low, high) {
  const counts = new Array(HISTOGRAM.bins).fill(0);
  for (const value of values) {
    const bin = Math.floor(((value - low) / (high - low)) * HISTOGRAM.bins);
    counts[Math.max(0, Math.min(HISTOGRAM.bins - 1, bin))] += 1;
  }
  return counts;
}

function drawHistogram(host, { title, unit, low, high, values }) {
  const { width, height, left, right, top, bottom, bins } = HISTOGRAM;
  const counts = values.map((list) => binCounts(list, low, high));
  const tallest = Math.max(1, ...counts.flat());
  const x = (value) => left + ((value - low) / (high - low)) * (width - left - right);
  const y = (count) => height - bottom - (count / tallest) * (height - top - bottom);
  const root = svg("svg", { class: "plot", viewBox: `0 0 ${width} ${height}`, role: "img",
    "aria-label": `Number of scenes by ${title}` });
  for (const mark of ticks(0, tallest, 4).filter(Number.isInteger)) {
    root.append(svg("line", { class: "grid", x1: left, x2: width - right, y1: y(mark), y2: y(mark) }));
    root.append(svg("text", { x: left - 6, y: y(mark) + 4, "text-anchor": "end" }, String(mark)));
  }
  for (const mark of ticks(low, high, 5))
    root.append(svg("text", { x: x(mark), y: height - 8, "text-anchor": "middle" }, mark + (unit ? " " + unit : "")));
  const bin = (high - low) / bins;
  const bar = ((x(low + bin) - x(low)) * 0.86) / values.length;
  counts.forEach((list, run) => list.forEach((count, k) => {
    if (!count) return;
    const at = x(low + k * bin) + (x(low + bin) - x(low)) * 0.07 + run * bar;
    root.append(svg("rect", { x: at, y: y(count), width: bar, height: height - bottom - y(count), fill: runColor(run) }));
  }));
  const item = element("div");
  item.append(element("h3", {}, title), root);
  host.append(item);
}

function drawHistograms() {
  legend(byId("histogram-legend"), DATA.runs.map((name, i) => ({ name, color: runColor(i) })));
  DATA.histograms.forEach((histogram) => drawHistogram(byId("histograms"), histogram));
}
