// The task stream: which task held which slot, when. Drag to pan, wheel or + and - to zoom.

import { Component, h } from "preact";
import htm from "htm";
import { colour, count, duration } from "format";

const html = htm.bind(h);

const ROW = 18, AXIS = 20;
const [SEQUENCE, SLOT, BEGUN, ENDED, BRANCH, END, NUMBER, PARENT, STANDS, TASK] = Array(10).keys();
export { SEQUENCE };

export class Stream extends Component {
  constructor() {
    super();
    this.state = { span: null, right: null, hover: null };
  }

  componentDidMount() {
    this.canvas = this.box.querySelector("canvas");
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.box);
    // Not passive: the page must not scroll meanwhile.
    this.canvas.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey && !event.shiftKey) return;
      event.preventDefault();
      this.zoom(event.deltaY > 0 ? 1.25 : 0.8, event.offsetX / this.canvas.clientWidth);
    }, { passive: false });
    this.draw();
  }

  componentDidUpdate() { this.draw(); }

  componentWillUnmount() { this.observer.disconnect(); }

  // What is shown, in µs: the latest minute unless the user has chosen.
  range() {
    const { now, runs, open } = this.props;
    const first = runs.length ? runs[0][BEGUN] : open.length ? open[0][BEGUN] : 0;
    const right = this.state.right ?? now;
    const span = this.state.span ?? Math.max(1e5, Math.min(6e7, now - first) * 1.02);
    return [right - span, right];
  }

  zoom(by, at = 0.5) {
    const [left, right] = this.range(), middle = left + (right - left) * at;
    const span = Math.max(50, (right - left) * by);
    this.setState({ span, right: middle + span * (1 - at) });
  }

  pan(by) {
    const [left, right] = this.range();
    this.setState({ span: right - left, right: right + (right - left) * by });
  }

  rows() {
    const used = [...this.props.runs, ...this.props.open].reduce((most, run) => Math.max(most, run[SLOT] + 1), 0);
    return Math.max(used, Math.min(this.props.slots, 64));
  }

  draw() {
    const { runs, open, names, now } = this.props;
    const ratio = devicePixelRatio || 1, width = this.box.clientWidth, height = this.rows() * ROW + AXIS;
    const { canvas } = this, [left, right] = this.range(), scale = width / (right - left);
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
      canvas.style.height = `${height}px`;
    }
    const context = canvas.getContext("2d"), style = getComputedStyle(this.box);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    context.fillStyle = style.getPropertyValue("--lane");
    for (let row = 0; row < this.rows(); row += 1) context.fillRect(0, row * ROW + 1, width, ROW - 2);
    const bad = style.getPropertyValue("--bad"), dim = style.getPropertyValue("--dim"), colours = new Map();
    const bar = (run, ended) => {
      if (ended < left || run[BEGUN] > right) return;
      const name = names[run[BRANCH]] || "?";
      if (!colours.has(name)) colours.set(name, colour(name));
      const x = (run[BEGUN] - left) * scale, y = run[SLOT] * ROW + 1, wide = Math.max(1, (ended - run[BEGUN]) * scale);
      context.fillStyle = run[END] === "failed" || run[END] === "retried" ? bad : colours.get(name);
      context.globalAlpha = run[END] === "running" ? 0.55 : 1;
      context.fillRect(x, y, wide, ROW - 2);
      context.globalAlpha = 1;
      if (run[END] === "cancelled" || run[END] === "waiting" || run[END] === "failed") {
        context.fillStyle = run[END] === "failed" ? "#0008" : dim;
        context.fillRect(x + wide - Math.min(3, wide), y, Math.min(3, wide), ROW - 2);
      }
      if (run[END] === "cancelled") context.fillRect(x, y + ROW / 2 - 2, wide, 2);
    };
    for (const run of runs) bar(run, run[ENDED]);
    for (const run of open) bar(run, now);
    this.axis(context, left, right, width, height, style.getPropertyValue("--dim"));
  }

  axis(context, left, right, width, height, ink) {
    context.fillStyle = ink;
    context.font = "11px system-ui, sans-serif";
    const rough = (right - left) / Math.max(2, width / 120), power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough);
    for (let at = Math.ceil(left / step) * step; at < right; at += step) {
      const x = (at - left) * width / (right - left);
      context.fillRect(x, height - AXIS, 1, 4);
      if (at >= 0) context.fillText(duration(at / 1e6), x + 3, height - 5);
    }
  }

  at(event) {
    const { runs, open, now } = this.props, [left, right] = this.range();
    const time = left + (event.offsetX / this.canvas.clientWidth) * (right - left), slack = 2 * (right - left) / this.canvas.clientWidth;
    const slot = Math.floor(event.offsetY / ROW);
    const hit = (ended) => (run) => run[SLOT] === slot && run[BEGUN] - slack <= time && ended(run) + slack >= time;
    return open.find(hit(() => now)) || runs.findLast(hit((run) => run[ENDED]));
  }

  moved(event) {
    if (this.drag !== undefined && event.buttons) {
      this.dragged = true;
      this.pan((this.drag - event.offsetX) / this.canvas.clientWidth);
      this.drag = event.offsetX;
      return;
    }
    const run = this.at(event), before = this.state.hover;
    if (run || before) this.setState({ hover: run ? { run, x: event.offsetX, y: event.offsetY } : null });
  }

  key(event) {
    const action = { ArrowLeft: () => this.pan(-0.2), ArrowRight: () => this.pan(0.2), "+": () => this.zoom(0.5), "-": () => this.zoom(2), Home: () => this.setState({ span: null, right: null }) }[event.key];
    if (action) { event.preventDefault(); action(); }
  }

  render({ show, runs, open, dropped, leftOut, seen, live, names, now }, { span, hover }) {
    return html`<div class="stream" ref=${(box) => { this.box = box; }}>
      <p class="controls">
        <button type="button" aria-label="zoom in" onClick=${() => this.zoom(0.5)}>+</button>
        <button type="button" aria-label="zoom out" onClick=${() => this.zoom(2)}>−</button>
        <button type="button" aria-label="earlier" onClick=${() => this.pan(-0.5)}>←</button>
        <button type="button" aria-label="later" onClick=${() => this.pan(0.5)}>→</button>
        ${span !== null && html`<button type="button" onClick=${() => this.setState({ span: null, right: null })}>${live ? "follow" : "all"}</button>`}
        <span class="note" id="sampling">${count(seen)} runs seen${leftOut > 0 ? `; of short tasks one in 64 is shown, ${count(leftOut)} were left out` : ""}${dropped > 0 ? `; ${count(dropped)} observations did not fit and were dropped` : ""}</span>
      </p>
      <canvas tabindex="0" role="img" aria-label="task stream: which task held which slot; arrow keys pan, plus and minus zoom"
        onPointerDown=${(event) => { this.drag = event.offsetX; this.dragged = false; }}
        onPointerUp=${(event) => { this.drag = undefined; const run = !this.dragged && this.at(event); if (run && show) show(run[TASK]); }}
        onPointerMove=${(event) => this.moved(event)} onPointerLeave=${() => this.setState({ hover: null })}
        onKeyDown=${(event) => this.key(event)}></canvas>
      ${runs.length + open.length === 0 && html`<p class="empty">Nothing has run while this page was open.</p>`}
      ${hover && html`<${Tip} ...${hover} names=${names} now=${now} width=${this.box ? this.box.clientWidth : 400} />`}</div>`;
  }
}

function Tip({ run, x, y, names, now, width }) {
  const ended = run[END] === "running" ? now : run[ENDED];
  return html`<div class="tip" role="status" style=${{ left: `${Math.max(0, Math.min(x + 12, width - 230))}px`, top: `${y + 48}px` }}>
    <b>${names[run[BRANCH]]}</b><br />${duration((ended - run[BEGUN]) / 1e6)}, ${run[END]}<br />
    number ${run[NUMBER]}${run[PARENT] ? `, grown by ${run[PARENT]}` : ""}${run[STANDS] > 1 ? html`<br />one of ${run[STANDS]}` : ""}</div>`;
}
