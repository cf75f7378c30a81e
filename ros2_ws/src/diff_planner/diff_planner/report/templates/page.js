// What every page needs: its data, unpacking, small DOM helpers.
"use strict";
const DATA = JSON.parse(document.getElementById("data").textContent);
const NOTHING = -32768;

/** Unpack base64 of little-endian int16. */
function unpackInt16(text) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  const values = new Int16Array(bytes.length / 2);
  for (let i = 0; i < values.length; i++) values[i] = view.getInt16(2 * i, true);
  return values;
}

/** Unpack lazily and remember: a frame is unpacked when it is first shown. */
const unpackedTexts = new Map();
function unpacked(text) {
  if (!unpackedTexts.has(text)) unpackedTexts.set(text, unpackInt16(text));
  return unpackedTexts.get(text);
}

function byId(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error("element #" + id + " is missing");
  return element;
}

function element(name, attributes = {}, text = "") {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text) made.textContent = text;
  return made;
}

/** Give a canvas as many pixels as the screen shows of it; return its context and size in CSS px. */
function fitCanvas(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const width = Math.max(canvas.clientWidth, 50);
  const height = Math.max(canvas.clientHeight, 50);
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return { context, width, height };
}

function format(value, digits = 2, unit = "") {
  return value === null || value === undefined ? "not known" : value.toFixed(digits) + unit;
}

/** Number of different colours on a canvas: tells an empty one from a drawn one. */
function colorCount(canvas) {
  const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  return new Set(new Uint32Array(pixels.buffer)).size;
}
