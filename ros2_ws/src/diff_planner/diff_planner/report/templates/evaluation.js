// The page of an evaluation: scene cards, one clock for all pictures, histograms.
"use strict";
const CLOCK = { step: 0, timer: null, last: 40 };
const VIEWS = [];

function isChecked(id) {
  return byId(id).checked;
}

function sceneLayers() {
  return {
    proposals: isChecked("show-proposals"), human: isChecked("show-human"),
    reference: isChecked("show-reference"), agents: isChecked("show-agents"), map: isChecked("show-map"),
  };
}

function chip({ short, value, reason }) {
  const kind = value === null ? "chip none" : value < 50 ? "chip low" : "chip";
  const made = element("span", { class: kind }, `${short} ${value === null ? "not evaluated" : Number(value.toFixed(1))}`);
  if (reason) made.title = reason;
  return made;
}

function sceneFigure(view, run, index) {
  const figure = element("figure");
  const canvas = element("canvas", { role: "img", "aria-label": `${view.name} from above, plans of ${run}` });
  const tip = element("div", { class: "tip", role: "status" });
  tip.hidden = true;
  const caption = element("figcaption");
  const name = element("strong");
  name.append(element("span", { class: "swatch", style: `background: ${runColor(index)}` }), " " + run);
  caption.append(name);
  const plan = view.plans[run];
  if (!plan) caption.append(element("p", { class: "quiet" }, "This run has no plan to draw here."));
  else if (plan.count > 1) caption.append(element("span", { class: "quiet" }, ` ${plan.count} proposals`));
  const chips = element("div", { class: "chips" });
  DATA.scores[view.name][run].forEach((score) => chips.append(chip(score)));
  caption.append(chips);
  for (const finding of plan ? plan.findings : []) caption.append(element("div", {}, finding));
  figure.append(canvas, tip, caption);
  VIEWS.push(new SceneView(canvas, tip, view, run, sceneLayers));
  return figure;
}

function buildScenes() {
  DATA.views.forEach((view) => {
    const card = element("article", { class: "scene-card" });
    card.append(element("h3", {}, `${view.name}, ${view.speed_mps.toFixed(1)} m/s at the start`));
    const views = element("div", { class: "views" });
    DATA.runs.forEach((run, i) => {
      if (view.plans[run] || DATA.scores[view.name][run].some((s) => s.value !== null))
        views.append(sceneFigure(view, run, i));
    });
    card.append(views);
    byId("scenes").append(card);
  });
}

function showStep(step) {
  CLOCK.step = Math.max(0, Math.min(CLOCK.last, step));
  byId("slider").value = CLOCK.step;
  byId("position").textContent = `${(CLOCK.step / 10).toFixed(1)} s after the moment of the plan`;
  const ahead_m = Number(byId("range").value);
  VIEWS.forEach((view) => view.show(CLOCK.step, ahead_m));
}

function setPlaying(isPlaying) {
  clearInterval(CLOCK.timer);
  CLOCK.timer = null;
  byId("play").textContent = isPlaying ? "Pause" : "Play";
  byId("play").setAttribute("aria-pressed", String(isPlaying));
  if (!isPlaying) return;
  if (CLOCK.step >= CLOCK.last) showStep(0);
  CLOCK.timer = setInterval(() => {
    showStep(CLOCK.step + 1);
    if (CLOCK.step >= CLOCK.last) setPlaying(false);
  }, 100);
}

function connectPlayer() {
  byId("slider").addEventListener("input", (event) => { setPlaying(false); showStep(Number(event.target.value)); });
  byId("back").addEventListener("click", () => { setPlaying(false); showStep(CLOCK.step - 1); });
  byId("forward").addEventListener("click", () => { setPlaying(false); showStep(CLOCK.step + 1); });
  byId("play").addEventListener("click", () => setPlaying(CLOCK.timer === null));
  for (const id of ["range", "show-proposals", "show-human", "show-reference", "show-agents", "show-map"])
    byId(id).addEventListener("change", () => showStep(CLOCK.step));
  window.addEventListener("resize", () => showStep(CLOCK.step));
  document.addEventListener("keydown", (event) => {
    if (["INPUT", "SELECT", "BUTTON", "SUMMARY"].includes(event.target.tagName)) return;
    if (event.key === "ArrowLeft") { setPlaying(false); showStep(CLOCK.step - 1); }
    else if (event.key === "ArrowRight") { setPlaying(false); showStep(CLOCK.step + 1); }
    else if (event.key === " ") { event.preventDefault(); setPlaying(CLOCK.timer === null); }
  });
}

if (DATA.views.length) {
  buildScenes();
  connectPlayer();
  const asked = new URLSearchParams(location.hash.slice(1)).get("t");
  showStep(asked === null ? 0 : Math.round(10 * Number(asked)));
}
drawHistograms();

/** Write down what is on the page, for whoever checks it, then call it ready. */
const state = document.body.dataset;
state.views = VIEWS.length;
state.sceneColors = VIEWS.length ? Math.min(...VIEWS.map((view) => colorCount(view.canvas))) : 0;
state.histograms = document.querySelectorAll("#histograms svg").length;
state.bars = document.querySelectorAll("#histograms rect").length;
if (state.status === "loading") state.status = "ready";
