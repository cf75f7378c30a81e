// The cameras' pictures with what the planner and the LiDAR say drawn into them.
"use strict";
const RANGE_MAX_M = 50;
// From near (bright mint) to far (dark violet), far from the plan's yellow and the drive's pink;
// brightness falls all the way, so that no hue has to be told apart.
const RANGE_COLORS = [[196, 255, 236], [64, 216, 230], [30, 150, 240], [52, 84, 220], [56, 24, 140]];

function rangeColor(range_m) {
  const share = Math.sqrt(Math.max(0, range_m) / RANGE_MAX_M); // more colours for what is near
  const at = Math.min(0.9999, share) * (RANGE_COLORS.length - 1);
  const low = RANGE_COLORS[Math.floor(at)];
  const high = RANGE_COLORS[Math.floor(at) + 1];
  const mixed = low.map((v, i) => Math.round(v + (high[i] - v) * (at % 1)));
  return `rgb(${mixed.join(",")})`;
}

class CameraWall {
  /** One picture for each camera; `layers()` says what to draw into them. */
  constructor(host, names, layers) {
    this.layers = layers;
    this.images = new Map();
    this.frame = null;
    this.canvases = new Map(names.map((name) => [name, this.addFigure(host, name)]));
    host.style.setProperty("--per-row", { 1: 1, 2: 1, 3: 2, 5: 2 }[names.length] || 3);
    if (names.length > 2) host.firstChild.classList.add("large");
    if (!names.length) host.append(element("p", { class: "quiet" }, "No camera is configured."));
  }

  addFigure(host, name) {
    const figure = element("figure");
    const button = element("button", { type: "button", title: "enlarge or shrink" });
    const canvas = element("canvas", { role: "img", width: 480, height: 270 });
    button.append(canvas);
    button.addEventListener("click", () => figure.classList.toggle("large"));
    figure.append(button, element("figcaption", {}, name));
    host.append(figure);
    return canvas;
  }

  /** Draw a frame; resolves when every picture is on the page. */
  show(frame) {
    this.frame = frame;
    const drawn = [...this.canvases].map(([name, canvas]) => this.draw(frame, name, canvas));
    return Promise.all(drawn);
  }

  async draw(frame, name, canvas) {
    const camera = frame.cameras[name];
    if (!camera) {
      this.drawNothing(canvas, name);
      return;
    }
    const image = await this.image(camera.jpeg);
    if (this.frame !== frame) return; // the slider moved on meanwhile
    canvas.width = camera.width * 2; // twice the picture: lines and points stay sharp
    canvas.height = camera.height * 2;
    const context = canvas.getContext("2d");
    context.setTransform(2, 0, 0, 2, 0, 0);
    context.drawImage(image, 0, 0, camera.width, camera.height);
    const layers = this.layers();
    if (layers.lidar) drawRanges(context, unpacked(camera.lidar));
    if (layers.plan) camera.plan.forEach((edges) => drawRibbon(context, edges));
    if (layers.driven) camera.driven.forEach(([line]) => drawPath(context, line));
    canvas.dataset.isDrawn = "true";
    canvas.setAttribute("aria-label",
      `Camera ${name} at ${frame.t_s.toFixed(2)} s, with the plan, the driven path and LiDAR points`);
  }

  drawNothing(canvas, name) {
    const context = canvas.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = "#0f1317";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.fillStyle = "#9fb0c0";
    context.font = `${Math.round(canvas.width / 24)}px sans-serif`;
    context.textAlign = "center";
    context.fillText("no picture in this cycle", canvas.width / 2, canvas.height / 2);
    canvas.setAttribute("aria-label", `Camera ${name}: no picture in this cycle`);
  }

  /** Decode a picture once; only the last few are remembered. */
  image(jpeg) {
    if (!this.images.has(jpeg)) {
      const image = new Image();
      image.src = "data:image/jpeg;base64," + jpeg;
      this.images.set(jpeg, image.decode().then(() => image));
      if (this.images.size > 48) this.images.delete(this.images.keys().next().value);
    }
    return this.images.get(jpeg);
  }

  preload(frame) {
    for (const camera of Object.values(frame.cameras)) this.image(camera.jpeg);
  }
}

function drawRanges(context, points) {
  for (let i = 0; i < points.length; i += 3) {
    context.fillStyle = rangeColor(points[i + 2] / 100);
    context.fillRect(points[i] / 4 - 0.8, points[i + 1] / 4 - 0.8, 1.6, 1.6);
  }
}

function tracePoints(context, flat, isReversed = false) {
  const count = flat.length / 2;
  for (let k = 0; k < count; k++) {
    const i = isReversed ? count - 1 - k : k;
    if (k === 0 && !isReversed) context.moveTo(flat[0], flat[1]);
    else context.lineTo(flat[2 * i], flat[2 * i + 1]);
  }
}

function drawRibbon(context, [left, right]) {
  context.beginPath();
  tracePoints(context, left);
  tracePoints(context, right, true);
  context.closePath();
  context.fillStyle = "rgba(240, 228, 66, 0.33)";
  context.fill();
  for (const edge of [left, right]) {
    context.beginPath();
    tracePoints(context, edge);
    context.strokeStyle = BEV_COLORS.plan;
    context.lineWidth = 1.5;
    context.stroke();
  }
}

function drawPath(context, line) {
  for (const [color, width] of [["#2b0b1f", 4.5], [BEV_COLORS.driven, 2.5]]) {
    context.beginPath();
    tracePoints(context, line);
    context.strokeStyle = color;
    context.lineWidth = width;
    context.lineJoin = "round";
    context.stroke();
  }
}
