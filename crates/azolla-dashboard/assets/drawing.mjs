// How the task stream is drawn on its canvas.

import { colour, duration, isDark } from "format";

export const ROW = 20, HEAD = 56;
const AXIS = 22, SLOTS = 64;
const [, SLOT, BEGUN, ENDED, BRANCH, END] = Array(6).keys();

// What the marks on bars mean, by how the run ended.
export const MARKS = { failed: "failed", cancelled: "cancelled", waiting: "waits, slot lent", retried: "run again" };

// Which slot or lane without a slot each row shows: those that were used, and at least the client's own.
export function lanes(runs, open, slots) {
  let most = Math.min(slots, SLOTS) - 1, least = 0;
  for (const list of [runs, open]) {
    for (const run of list) {
      if (run[SLOT] > most) most = run[SLOT];
      if (run[SLOT] < least) least = run[SLOT];
    }
  }
  const rows = Array.from({ length: most + 1 }, (_, slot) => slot);
  for (let lane = -1; lane >= least; lane -= 1) rows.push(lane);
  return { slots: rows, at: new Map(rows.map((slot, row) => [slot, row])) };
}

export function draw(canvas, { runs, open, names, now, rows, range: [left, right], width }) {
  const height = rows.slots.length * ROW + AXIS, context = sized(canvas, width, height);
  const ink = inks(canvas), scale = (width - HEAD) / (right - left), colours = new Map();
  context.font = "11px system-ui, sans-serif";
  context.textBaseline = "middle";
  rows.slots.forEach((slot, row) => {
    context.fillStyle = ink.lane;
    context.fillRect(HEAD, row * ROW + 1, width - HEAD, ROW - 2);
    context.fillStyle = ink.dim;
    context.fillText(slot < 0 ? `off slot ${-slot}` : `slot ${slot}`, 0, row * ROW + ROW / 2);
  });
  context.save();
  context.beginPath();
  context.rect(HEAD, 0, width - HEAD, height);
  context.clip();
  const patterns = ["failed", "retried", "cancelled"].reduce((all, end) => ({ ...all, [end]: stripes(context, end, ink) }), {});
  const bar = (run, ended) => {
    if (ended < left || run[BEGUN] > right) return;
    const name = names[run[BRANCH]] || "?";
    if (!colours.has(name)) colours.set(name, colour(name));
    const x = HEAD + (run[BEGUN] - left) * scale, y = rows.at.get(run[SLOT]) * ROW + 1;
    const wide = Math.max(1, (ended - run[BEGUN]) * scale - (scale * (ended - run[BEGUN]) > 4 ? 0.5 : 0));
    mark(context, run[END], colours.get(name), patterns, ink, x, y, wide);
  };
  for (const run of runs) bar(run, run[ENDED]);
  for (const run of open) bar(run, now);
  context.restore();
  axis(context, left, right, width, height, ink);
}

// One bar with what tells how it ended: by form, not by colour alone.
function mark(context, end, shade, patterns, ink, x, y, wide) {
  context.fillStyle = end === "failed" ? ink.bad : shade;
  context.globalAlpha = end === "running" ? 0.6 : 1;
  context.fillRect(x, y, wide, ROW - 2);
  context.globalAlpha = 1;
  if (patterns[end]) {
    context.fillStyle = patterns[end];
    context.fillRect(x, y, wide, ROW - 2);
  }
  if (end === "failed" && wide >= 12) cross(context, ink.card, x + wide / 2, y + ROW / 2 - 1);
  if (end === "waiting" || end === "detached") {
    // Cut at a slant: it goes on elsewhere.
    const cut = Math.min(6, wide / 2);
    context.fillStyle = ink.lane;
    context.beginPath();
    context.moveTo(x + wide, y);
    context.lineTo(x + wide, y + ROW - 2);
    context.lineTo(x + wide - cut, y + ROW - 2);
    context.fill();
  }
}

function cross(context, ink, x, y) {
  context.strokeStyle = ink;
  context.lineWidth = 2;
  context.beginPath();
  for (const way of [1, -1]) { context.moveTo(x - 3.5, y - 3.5 * way); context.lineTo(x + 3.5, y + 3.5 * way); }
  context.stroke();
}

function stripes(context, end, ink) {
  const tile = document.createElement("canvas");
  tile.width = tile.height = 8;
  const lines = tile.getContext("2d");
  lines.strokeStyle = { failed: "#0000", retried: ink.bad, cancelled: ink.card }[end];
  lines.lineWidth = 3;
  for (const shift of [-8, 0, 8]) { lines.moveTo(shift - 1, 9); lines.lineTo(shift + 9, -1); }
  lines.stroke();
  return context.createPattern(tile, "repeat");
}

// A sample of one mark, for the legend.
export function paint(canvas, end) {
  const context = canvas.getContext("2d"), ink = inks(canvas), shade = isDark() ? "#7d8f84" : "#8b9a90";
  context.setTransform(2, 0, 0, 2, 0, 0);
  context.clearRect(0, 0, 22, 12);
  context.translate(0, -3);
  const patterns = end === "waiting" ? {} : { [end]: stripes(context, end, ink) };
  mark(context, end, shade, patterns, ink, 0, 0, 22);
}

function sized(canvas, width, height) {
  const ratio = devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.height = `${height}px`;
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

function inks(canvas) {
  const style = getComputedStyle(canvas), ink = {};
  for (const name of ["lane", "bad", "dim", "card", "line"]) ink[name] = style.getPropertyValue(`--${name}`).trim();
  return ink;
}

function axis(context, left, right, width, height, ink) {
  context.fillStyle = ink.dim;
  const rough = (right - left) / Math.max(2, (width - HEAD) / 110), power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough);
  for (let at = Math.max(0, Math.ceil(left / step) * step); at < right; at += step) {
    const x = HEAD + (at - left) * (width - HEAD) / (right - left), text = moment(at / 1e6, step / 1e6);
    context.fillRect(x, height - AXIS, 1, 4);
    const room = context.measureText(text).width;
    if (x + 4 + room < width) context.fillText(text, x + 4, height - AXIS / 2 + 1);
  }
}

// A time since the client began, as finely as the steps are.
function moment(seconds, step) {
  if (seconds === 0) return "0";
  if (step >= 60) return duration(seconds);
  return `${seconds.toFixed(Math.max(0, Math.min(6, -Math.floor(Math.log10(step)))))} s`;
}
