// The page of a replay: connects the player, the views and the plots.
"use strict";
const PLAYER = { index: 0, timer: null };

function isChecked(id) {
  return byId(id).checked;
}

function bevLayers() {
  return {
    sweep: isChecked("show-sweep"), obstacles: isChecked("show-obstacles"),
    accepted: isChecked("show-accepted"), rejected: isChecked("show-rejected"),
    driven: isChecked("show-driven"),
  };
}

function cameraLayers() {
  return { lidar: isChecked("show-lidar"), plan: isChecked("show-plan"), driven: isChecked("show-driven") };
}

const bev = new BevView(byId("bev"), byId("tip"), bevLayers);
const wall = new CameraWall(byId("pictures"), DATA.cameras, cameraLayers);
const plots = drawTimePlots(DATA.timeline, (t) => showFrame(nearestFrame(t)));

function nearestFrame(t) {
  let best = 0;
  DATA.frames.forEach((frame, i) => {
    if (Math.abs(frame.t_s - t) < Math.abs(DATA.frames[best].t_s - t)) best = i;
  });
  return best;
}

async function showFrame(index) {
  PLAYER.index = Math.max(0, Math.min(DATA.frames.length - 1, index));
  const frame = DATA.frames[PLAYER.index];
  byId("slider").value = PLAYER.index;
  byId("position").textContent =
    `cycle ${frame.index}, ${frame.t_s.toFixed(2)} s (${PLAYER.index + 1} of ${DATA.frames.length})`;
  byId("slider").setAttribute("aria-valuetext", `cycle ${frame.index} at ${frame.t_s.toFixed(2)} seconds`);
  bev.show(frame);
  showFacts(frame);
  showCandidates(frame);
  plots.forEach((plot) => plot.moveCursor(frame.t_s));
  await wall.show(frame);
  if (PLAYER.index + 1 < DATA.frames.length) wall.preload(DATA.frames[PLAYER.index + 1]);
}

function showFacts(frame) {
  const ends = frame.plan.speed_mps;
  const badge = element("span", { class: "badge", style: `color: ${SOURCE_COLORS[frame.source]}` }, frame.source);
  const rows = [
    ["source", [badge, " " + DATA.source_words[frame.source]]],
    ["speed", [`${format(frame.speed_mps, 1, " m/s")} measured; ` +
      `the plan ends at ${format(ends[ends.length - 1], 1, " m/s")}`]],
    ["candidates", [candidateCounts(frame.candidates)]],
  ];
  if (frame.distance_m.length) {
    const parts = frame.distance_m.map((d) => `${d.distance_m.toFixed(1)} m after ${d.at_s} s`);
    rows.push(["plan and drive", ["apart by " + parts.join(", ") + "; a difference, not a fault"]]);
  }
  if (frame.reason) rows.push(["reason", [frame.reason]]);
  if (frame.faults.length) rows.push(["faults", [frame.faults.join("; ")]]);
  if (frame.missing.length) rows.push(["missing inputs", [frame.missing.join(", ")]]);
  rows.push(["stamp", [frame.stamp_ns + " ns"]]);
  const table = byId("facts");
  table.replaceChildren(...rows.map(([name, content]) => {
    const row = element("tr");
    const cell = element("td");
    cell.append(...content);
    row.append(element("th", { scope: "row" }, name), cell);
    return row;
  }));
}

function candidateCounts(candidates) {
  if (!candidates) return "none: the network was not asked or failed";
  const passed = candidates.rank.filter((_, m) => !candidates.rejects[m].length);
  const sentence = `${passed.length} of ${candidates.rank.length} pass every safety rule`;
  if (candidates.selected >= 0 || !passed.length) return sentence;
  return `${sentence}; the best of them ranks ${Math.min(...passed)}, only the first ${DATA.max_tries} are tried`;
}

function showCandidates(frame) {
  const body = byId("candidates");
  if (!frame.candidates) { body.replaceChildren(); return; }
  const { rank, score, end_speed_mps } = frame.candidates;
  const order = rank.map((_, m) => m).sort((a, b) => rank[a] - rank[b]);
  body.replaceChildren(...order.map((m) => {
    const row = element("tr");
    row.append(element("td", { class: "n" }, String(rank[m])), element("td", { class: "n" }, String(m)),
      element("td", { class: "n" }, format(score[m], 3)),
      element("td", { class: "n" }, format(end_speed_mps[m], 1)),
      element("td", {}, candidateVerdict(frame.candidates, m)));
    return row;
  }));
}

function setPlaying(isPlaying) {
  clearInterval(PLAYER.timer);
  PLAYER.timer = null;
  byId("play").textContent = isPlaying ? "Pause" : "Play";
  byId("play").setAttribute("aria-pressed", String(isPlaying));
  if (!isPlaying) return;
  if (PLAYER.index >= DATA.frames.length - 1) showFrame(0);
  PLAYER.timer = setInterval(() => {
    if (PLAYER.index >= DATA.frames.length - 1) setPlaying(false);
    else showFrame(PLAYER.index + 1);
  }, 1000 / Number(byId("speed").value));
}

function step(count) {
  setPlaying(false);
  showFrame(PLAYER.index + count);
}

function connect() {
  byId("slider").max = DATA.frames.length - 1;
  byId("slider").addEventListener("input", (event) => { setPlaying(false); showFrame(Number(event.target.value)); });
  byId("play").addEventListener("click", () => setPlaying(PLAYER.timer === null));
  byId("back").addEventListener("click", () => step(-1));
  byId("forward").addEventListener("click", () => step(1));
  byId("speed").addEventListener("change", () => { if (PLAYER.timer !== null) setPlaying(true); });
  byId("range").addEventListener("change", (event) => {
    bev.ahead_m = Number(event.target.value);
    showFrame(PLAYER.index);
  });
  for (const box of document.querySelectorAll(".scene input[type=checkbox]")) {
    box.addEventListener("change", () => showFrame(PLAYER.index));
  }
  window.addEventListener("resize", () => showFrame(PLAYER.index));
  document.addEventListener("keydown", onKey);
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (["SELECT", "INPUT", "TEXTAREA"].includes(event.target.tagName)) return; // they use the arrows
  const steps = { ArrowLeft: -1, ArrowRight: 1, Home: -DATA.frames.length, End: DATA.frames.length };
  if (event.key in steps) step(steps[event.key]);
  else if (event.key === " " && event.target.tagName !== "BUTTON" && event.target.tagName !== "SUMMARY") {
    setPlaying(PLAYER.timer === null);
  } else return;
  event.preventDefault();
}

/** Write down what is on the page, for whoever checks it, then call it ready. */
function declareReady() {
  const state = document.body.dataset;
  state.frames = DATA.frames.length;
  state.bevColors = colorCount(byId("bev"));
  state.pictures = document.querySelectorAll("#pictures canvas[data-is-drawn]").length;
  state.plotPaths = document.querySelectorAll("svg.plot path").length;
  if (state.status === "loading") state.status = "ready";
}

/** The frame that the address asks for (#frame=12), else the first with pictures. */
function firstFrame() {
  const asked = new URLSearchParams(location.hash.slice(1)).get("frame");
  if (asked !== null && Number.isInteger(Number(asked))) return Number(asked);
  return Math.max(0, DATA.frames.findIndex((frame) => Object.keys(frame.cameras).length));
}

connect();
showFrame(firstFrame()).then(declareReady);
