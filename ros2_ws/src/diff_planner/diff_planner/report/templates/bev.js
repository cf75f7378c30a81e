// The view from above: x of base_link up, y to the left, in metres.
"use strict";
const BEV_COLORS = {
  paper: "#0f1317", grid: "#26303b", label: "#9fb0c0", obstacle: "#ff7a1a",
  accepted: "#56b4e9", rejected: "#8b95a1", plan: "#f0e442", driven: "#e58fc0", vehicle: "#ffffff",
};

class BevView {
  constructor(canvas, tip, layers) {
    this.canvas = canvas;
    this.tip = tip;
    this.layers = layers; // () => {sweep, obstacles, accepted, rejected, driven}: what to show
    this.ahead_m = 40;
    this.frame = null;
    canvas.addEventListener("mousemove", (event) => this.hover(event));
    canvas.addEventListener("mouseleave", () => { this.tip.hidden = true; });
  }

  show(frame) {
    this.frame = frame;
    this.tip.hidden = true;
    const { context, width, height } = fitCanvas(this.canvas);
    this.scale = height / (1.35 * this.ahead_m);
    this.originX = width / 2;
    this.originY = this.ahead_m * this.scale;
    context.fillStyle = BEV_COLORS.paper;
    context.fillRect(0, 0, width, height);
    this.drawGrid(context, width, height);
    const layers = this.layers();
    this.drawPoints(context, frame, layers);
    this.drawVehicle(context);
    if (frame.candidates) this.drawCandidates(context, frame.candidates, layers);
    this.polyline(context, unpacked(frame.plan.xy), 0, frame.plan.speed_mps.length, BEV_COLORS.plan, 6);
    if (layers.driven) this.drawDriven(context, frame.driven); // thinner, so that both show
    this.drawScale(context, width, height);
  }

  px(x_m, y_m) {
    return [this.originX - y_m * this.scale, this.originY - x_m * this.scale];
  }

  drawGrid(context, width, height) {
    const step = this.ahead_m > 50 ? 20 : this.ahead_m > 25 ? 10 : 5;
    context.lineWidth = 1;
    context.font = "12px sans-serif";
    const side = Math.ceil(width / 2 / this.scale / step) * step;
    for (let x = -step * 4; x <= this.ahead_m; x += step) {
      const y = this.px(x, 0)[1];
      if (y > height) continue;
      this.stroke(context, BEV_COLORS.grid, [[0, y], [width, y]]);
      context.fillStyle = BEV_COLORS.label;
      if (x !== 0) context.fillText(x + " m", 4, y - 3);
    }
    for (let y = -side; y <= side; y += step) {
      const x = this.px(0, y)[0];
      this.stroke(context, BEV_COLORS.grid, [[x, 0], [x, height]]);
    }
  }

  stroke(context, color, points) {
    context.strokeStyle = color;
    context.beginPath();
    points.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
    context.stroke();
  }

  drawPoints(context, frame, layers) {
    const points = unpacked(frame.points);
    const count = points.length / 3;
    const sweep = count - frame.obstacle_count;
    const size = Math.max(1.5, this.scale * 0.12);
    for (let i = 0; i < count; i++) {
      const isObstacle = i >= sweep;
      if (isObstacle ? !layers.obstacles : !layers.sweep) continue;
      const [x, y] = this.px(points[3 * i] / 100, points[3 * i + 1] / 100);
      context.fillStyle = isObstacle ? BEV_COLORS.obstacle : heightColor(points[3 * i + 2] / 100);
      const side = isObstacle ? size * 1.3 : size;
      context.fillRect(x - side / 2, y - side / 2, side, side);
    }
  }

  drawVehicle(context) {
    const { front_m, rear_m, width_m } = DATA.vehicle;
    const corners = [[front_m, width_m / 2], [-rear_m, width_m / 2], [-rear_m, -width_m / 2], [front_m, -width_m / 2]];
    context.lineWidth = 2;
    this.stroke(context, BEV_COLORS.vehicle, [...corners, corners[0]].map(([x, y]) => this.px(x, y)));
    const nose = [this.px(front_m - 1.2, width_m / 2), this.px(front_m, 0), this.px(front_m - 1.2, -width_m / 2)];
    this.stroke(context, BEV_COLORS.vehicle, nose);
  }

  drawCandidates(context, candidates, layers) {
    const xy = unpacked(candidates.xy);
    candidates.rejects.forEach((rejects, m) => {
      const isRejected = rejects.length > 0;
      if (isRejected ? !layers.rejected : !layers.accepted) return;
      context.setLineDash(isRejected ? [3, 3] : []);
      const color = isRejected ? BEV_COLORS.rejected : BEV_COLORS.accepted;
      this.polyline(context, xy, m * candidates.steps, candidates.steps, color, isRejected ? 1 : 1.8);
    });
    context.setLineDash([]);
  }

  drawDriven(context, driven) {
    const future = unpacked(driven.future);
    const past = unpacked(driven.past);
    context.setLineDash([8, 4]);
    this.polyline(context, past, 0, past.length / 2, BEV_COLORS.driven, 2);
    context.setLineDash([]);
    this.polyline(context, future, 0, future.length / 2, BEV_COLORS.driven, 2.5);
  }

  polyline(context, xy, first, count, color, width) {
    context.strokeStyle = color;
    context.lineWidth = width;
    context.lineJoin = "round";
    context.beginPath();
    let isOpen = false;
    for (let i = first; i < first + count; i++) {
      if (xy[2 * i] === NOTHING || xy[2 * i + 1] === NOTHING) { isOpen = false; continue; }
      const [x, y] = this.px(xy[2 * i] / 100, xy[2 * i + 1] / 100);
      if (isOpen) context.lineTo(x, y);
      else context.moveTo(x, y);
      isOpen = true;
    }
    context.stroke();
  }

  drawScale(context, width, height) {
    const length_m = this.ahead_m > 25 ? 10 : 5;
    const left = width - 12 - length_m * this.scale;
    const y = height - 14;
    context.lineWidth = 3;
    this.stroke(context, BEV_COLORS.label, [[left, y], [left + length_m * this.scale, y]]);
    context.fillStyle = BEV_COLORS.label;
    context.font = "12px sans-serif";
    context.fillText(length_m + " m", left, y - 8);
  }

  /** Say what became of the candidate under the pointer. */
  hover(event) {
    const candidates = this.frame && this.frame.candidates;
    if (!candidates) return;
    const box = this.canvas.getBoundingClientRect();
    const at = [event.clientX - box.left, event.clientY - box.top];
    const found = this.nearestCandidate(candidates, at);
    this.tip.hidden = found < 0;
    if (found < 0) return;
    this.tip.textContent = candidateSentence(candidates, found);
    this.tip.style.left = Math.min(at[0] + 14, box.width - 220) + "px";
    this.tip.style.top = at[1] + 14 + "px";
  }

  nearestCandidate(candidates, [atX, atY]) {
    const xy = unpacked(candidates.xy);
    const layers = this.layers();
    let best = -1;
    let bestDistance = 8;
    candidates.rejects.forEach((rejects, m) => {
      if (rejects.length ? !layers.rejected : !layers.accepted) return;
      for (let i = m * candidates.steps + 1; i < (m + 1) * candidates.steps; i++) {
        if (xy[2 * i] === NOTHING || xy[2 * i - 2] === NOTHING) continue;
        const a = this.px(xy[2 * i - 2] / 100, xy[2 * i - 1] / 100);
        const b = this.px(xy[2 * i] / 100, xy[2 * i + 1] / 100);
        const distance = segmentDistance([atX, atY], a, b);
        if (distance < bestDistance) { best = m; bestDistance = distance; }
      }
    });
    return best;
  }
}

function segmentDistance(p, a, b) {
  const [dx, dy] = [b[0] - a[0], b[1] - a[1]];
  const square = dx * dx + dy * dy;
  const along = square ? Math.max(0, Math.min(1, ((p[0] - a[0]) * dx + (p[1] - a[1]) * dy) / square)) : 0;
  return Math.hypot(p[0] - a[0] - along * dx, p[1] - a[1] - along * dy);
}

function candidateVerdict(candidates, m) {
  if (m === candidates.selected) return "chosen";
  const rejects = candidates.rejects[m];
  if (!rejects.length) return "passed";
  return "refused: " + rejects.map((name) => DATA.reject_words[name]).join("; ");
}

function candidateSentence(candidates, m) {
  const speed = format(candidates.end_speed_mps[m], 1, " m/s");
  return `Candidate ${m}, rank ${candidates.rank[m]}, score ${format(candidates.score[m], 3)}, ` +
    `ends at ${speed}. ${candidateVerdict(candidates, m)}`;
}

/** Dark near the ground, bright above: brightness alone, so that no colour has to be told apart. */
function heightColor(z_m) {
  const share = Math.max(0, Math.min(1, (z_m + 0.2) / 3));
  const grey = Math.round(70 + 165 * share);
  return `rgb(${grey - 10},${grey},${Math.min(255, grey + 15)})`;
}
