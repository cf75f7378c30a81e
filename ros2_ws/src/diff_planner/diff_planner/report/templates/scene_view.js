// A scene from above: x of the ego at 0 s up, y to the left, in metres.
"use strict";
const SCENE_COLORS = {
  paper: "#0f1317", grid: "#26303b", label: "#9fb0c0", agent: "#ff7a1a", thing: "#c9a26b",
  proposal: "#56b4e9", bad: "#8b95a1", plan: "#f0e442", human: "#e58fc0", reference: "#2fc39a",
  vehicle: "#ffffff", centerline: "#5d7186",
};
const MAP_FILLS = {
  drivable: "#1c242d", roadblock: "#1c242d", car_park: "#2a2636", intersection: "#252b33",
  lane: "#222c36", lane_connector: "#222c36", crosswalk: "#39424c",
};
const ROUTE_FILL = "#2f4356";
const RED_FILL = "rgba(213, 60, 40, .55)";
const THINGS = ["traffic_cone", "barrier", "sign", "generic"];
const YAW_SCALE = 1e4;

class SceneView {
  /** One canvas of one scene with the plans of one run. */
  constructor(canvas, tip, scene, run, layers) {
    this.canvas = canvas;
    this.tip = tip;
    this.scene = scene;
    this.plan = scene.plans[run];
    this.layers = layers; // () => {proposals, human, reference, agents, map}: what to show
    canvas.addEventListener("mousemove", (event) => this.hover(event));
    canvas.addEventListener("mouseleave", () => { this.tip.hidden = true; });
  }

  /** Draw the moment `step` x 0.1 s with so many metres to see ahead. */
  show(step, ahead_m) {
    this.step = step;
    this.tip.hidden = true;
    const { context, width, height } = fitCanvas(this.canvas);
    this.scale = height / (1.4 * ahead_m);
    this.originX = width / 2;
    this.originY = (1.4 - 0.32) * ahead_m * this.scale;
    this.ahead_m = ahead_m;
    context.fillStyle = SCENE_COLORS.paper;
    context.fillRect(0, 0, width, height);
    const layers = this.layers();
    if (layers.map) this.drawMap(context, step);
    this.drawScale(context, width, height);
    if (layers.agents) this.drawAgents(context, step);
    if (this.plan && layers.proposals) this.drawProposals(context);
    if (layers.reference && this.scene.reference)
      this.path(context, [0, 0, ...unpacked(this.scene.reference)], SCENE_COLORS.reference, 2, [2, 4]);
    if (this.plan) this.drawChosen(context);
    if (layers.human && this.scene.human)
      this.path(context, unpacked(this.scene.human), SCENE_COLORS.human, 2, [8, 4]);
    this.drawEgo(context, step);
  }

  px(x_m, y_m) {
    return [this.originX - y_m * this.scale, this.originY - x_m * this.scale];
  }

  drawMap(context, step) {
    for (const polygon of this.scene.polygons) {
      const isLane = polygon.type === "lane" || polygon.type === "lane_connector";
      this.ring(context, polygon.xy, isLane && polygon.on_route ? ROUTE_FILL : MAP_FILLS[polygon.type]);
      if (!isLane) continue;
      context.strokeStyle = "#3d4f61";
      context.lineWidth = 0.8;
      context.stroke();
    }
    for (const light of this.scene.red_lights) {
      const t = step / 10;
      if (light.on_s - 1e-9 <= t && t <= light.off_s + 1e-9) this.ring(context, light.xy, RED_FILL);
    }
    if (this.scene.centerline)
      this.path(context, unpacked(this.scene.centerline), SCENE_COLORS.centerline, 1, [1, 5]);
  }

  ring(context, packed, fill) {
    const xy = unpacked(packed);
    context.beginPath();
    for (let i = 0; i < xy.length; i += 2) {
      const [x, y] = this.px(xy[i] / 10, xy[i + 1] / 10);
      if (i) context.lineTo(x, y);
      else context.moveTo(x, y);
    }
    context.closePath();
    context.fillStyle = fill;
    context.fill();
  }

  /** A line through x0, y0, x1, y1, ... in centimetres; it breaks where a point is missing. */
  path(context, xy, color, width, dash = []) {
    context.strokeStyle = color;
    context.lineWidth = width;
    context.lineJoin = "round";
    context.setLineDash(dash);
    context.beginPath();
    let isOpen = false;
    for (let i = 0; i < xy.length; i += 2) {
      if (xy[i] === NOTHING || xy[i + 1] === NOTHING) { isOpen = false; continue; }
      const [x, y] = this.px(xy[i] / 100, xy[i + 1] / 100);
      if (isOpen) context.lineTo(x, y);
      else context.moveTo(x, y);
      isOpen = true;
    }
    context.stroke();
    context.setLineDash([]);
  }

  drawAgents(context, step) {
    for (const agent of this.scene.agents) {
      const color = THINGS.includes(agent.class) ? SCENE_COLORS.thing : SCENE_COLORS.agent;
      context.globalAlpha = 0.6;
      this.path(context, unpacked(agent.xy), color, 1.2);
      context.globalAlpha = 1;
      const at = this.agentAt(agent, step);
      if (!at) continue;
      this.box(context, at, agent.length_m / 2, agent.length_m / 2, agent.width_m);
      context.fillStyle = color;
      context.globalAlpha = 0.35;
      context.fill();
      context.globalAlpha = 1;
      context.strokeStyle = color;
      context.lineWidth = 1.5;
      context.stroke();
    }
  }

  agentAt(agent, step) {
    const xy = unpacked(agent.xy);
    const yaw = unpacked(agent.yaw);
    if (step >= yaw.length || xy[2 * step] === NOTHING) return null;
    return [xy[2 * step] / 100, xy[2 * step + 1] / 100, yaw[step] / YAW_SCALE];
  }

  box(context, [x, y, yaw], front, rear, width) {
    const [cos, sin] = [Math.cos(yaw), Math.sin(yaw)];
    const corners = [[front, width / 2], [-rear, width / 2], [-rear, -width / 2], [front, -width / 2]];
    context.beginPath();
    corners.forEach(([a, b], i) => {
      const at = this.px(x + cos * a - sin * b, y + sin * a + cos * b);
      if (i) context.lineTo(...at);
      else context.moveTo(...at);
    });
    context.closePath();
  }

  proposal(index) {
    const xy = unpacked(this.plan.xy);
    return [0, 0, ...xy.subarray(16 * index, 16 * (index + 1))];
  }

  drawProposals(context) {
    const count = unpacked(this.plan.xy).length / 16;
    for (let k = 0; k < count; k++) {
      if (k === this.plan.chosen) continue;
      const isGood = this.plan.scores !== null && this.plan.scores[k] > 0;
      this.path(context, this.proposal(k), isGood ? SCENE_COLORS.proposal : SCENE_COLORS.bad,
        isGood ? 1.6 : 1, isGood ? [] : [3, 3]);
    }
  }

  drawChosen(context) {
    this.path(context, this.proposal(this.plan.chosen), SCENE_COLORS.plan, 4);
    if (this.plan.is_simulated) this.path(context, unpacked(this.plan.driven_xy), SCENE_COLORS.vehicle, 1.2);
  }

  drawEgo(context, step) {
    const { front_m, rear_m, width_m } = this.scene.vehicle;
    let at = [0, 0, 0];
    if (this.plan) {
      const xy = unpacked(this.plan.driven_xy);
      const yaw = unpacked(this.plan.driven_yaw);
      at = [xy[2 * step] / 100, xy[2 * step + 1] / 100, yaw[step] / YAW_SCALE];
    }
    this.box(context, at, front_m, rear_m, width_m);
    context.strokeStyle = SCENE_COLORS.vehicle;
    context.lineWidth = 2;
    context.stroke();
    const [cos, sin] = [Math.cos(at[2]), Math.sin(at[2])];
    const corner = (a, b) => this.px(at[0] + cos * a - sin * b, at[1] + sin * a + cos * b);
    context.beginPath();
    context.moveTo(...corner(front_m - 1.2, width_m / 2));
    context.lineTo(...corner(front_m, 0));
    context.lineTo(...corner(front_m - 1.2, -width_m / 2));
    context.stroke();
  }

  drawScale(context, width, height) {
    const length_m = this.ahead_m > 30 ? 10 : 5;
    const left = width - 12 - length_m * this.scale;
    context.strokeStyle = SCENE_COLORS.label;
    context.lineWidth = 3;
    context.beginPath();
    context.moveTo(left, height - 14);
    context.lineTo(left + length_m * this.scale, height - 14);
    context.stroke();
    context.fillStyle = SCENE_COLORS.label;
    context.font = "12px sans-serif";
    context.fillText(length_m + " m", left, height - 22);
  }

  /** Say what is under the pointer. */
  hover(event) {
    const box = this.canvas.getBoundingClientRect();
    const at = [event.clientX - box.left, event.clientY - box.top];
    const sentence = this.agentUnder(at) || this.proposalUnder(at);
    this.tip.hidden = !sentence;
    if (!sentence) return;
    this.tip.textContent = sentence;
    this.tip.style.left = Math.max(0, Math.min(at[0] + 14, box.width - 200)) + "px";
    this.tip.style.top = at[1] + 14 + "px";
  }

  agentUnder([atX, atY]) {
    if (!this.layers().agents) return "";
    for (const agent of this.scene.agents) {
      const at = this.agentAt(agent, this.step);
      if (!at) continue;
      const [x, y] = [(this.originY - atY) / this.scale - at[0], (this.originX - atX) / this.scale - at[1]];
      const along = Math.cos(at[2]) * x + Math.sin(at[2]) * y;
      const across = -Math.sin(at[2]) * x + Math.cos(at[2]) * y;
      if (Math.abs(along) <= agent.length_m / 2 && Math.abs(across) <= agent.width_m / 2) {
        const speed = agent.speed_mps === null ? "not seen at 0 s" : `${agent.speed_mps.toFixed(1)} m/s at 0 s`;
        return `${agent.class.replace("_", " ")} ${agent.id}, ${speed}`;
      }
    }
    return "";
  }

  proposalUnder([atX, atY]) {
    if (!this.plan) return "";
    const count = this.layers().proposals ? unpacked(this.plan.xy).length / 16 : 0;
    let best = -1;
    let bestDistance = 7;
    for (let k = 0; k < count; k++) {
      const xy = this.proposal(k);
      for (let i = 2; i < xy.length; i += 2) {
        const a = this.px(xy[i - 2] / 100, xy[i - 1] / 100);
        const b = this.px(xy[i] / 100, xy[i + 1] / 100);
        const distance = pointToSegment([atX, atY], a, b);
        if (distance < bestDistance) { best = k; bestDistance = distance; }
      }
    }
    if (best < 0) return "";
    const score = this.plan.scores === null ? "score not evaluated" : `score ${(100 * this.plan.scores[best]).toFixed(1)}`;
    return `proposal, ${score}${best === this.plan.chosen ? ", chosen" : ""}`;
  }
}

function pointToSegment(p, a, b) {
  const [dx, dy] = [b[0] - a[0], b[1] - a[1]];
  const square = dx * dx + dy * dy;
  const along = square ? Math.max(0, Math.min(1, ((p[0] - a[0]) * dx + (p[1] - a[1]) * dy) / square)) : 0;
  return Math.hypot(p[0] - a[0] - along * dx, p[1] - a[1] - along * dy);
}
