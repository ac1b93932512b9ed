// The task stream: which task held which slot, when; below the slots, what runs without one. Drag to pan, wheel
// with ctrl or shift to zoom; with the keyboard arrows pan, + and - zoom, Home follows again.

import { Component, h } from "preact";
import htm from "htm";
import { draw, HEAD, lanes, MARKS, paint, ROW } from "drawing";
import { colour, count, duration } from "format";

const html = htm.bind(h);

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
      const by = event.deltaY || event.deltaX;
      this.zoom(by > 0 ? 1.25 : 0.8, (event.offsetX - HEAD) / this.wide());
    }, { passive: false });
    this.draw();
  }

  componentDidUpdate() { this.draw(); }

  componentWillUnmount() { this.observer.disconnect(); }

  wide() { return Math.max(1, this.box.clientWidth - HEAD); }

  // What is shown, in µs: the latest minute unless the user has chosen.
  range() {
    const { now, runs, open } = this.props;
    const first = Math.min(runs.length ? runs[0][BEGUN] : now, ...open.map((run) => run[BEGUN]));
    const right = this.state.right ?? now;
    const span = this.state.span ?? Math.max(1e5, Math.min(6e7, now - first) * 1.01);
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

  follow() { this.setState({ span: null, right: null }); }

  draw() {
    const { runs, open, names, now, slots } = this.props;
    this.rows = lanes(runs, open, slots);
    draw(this.canvas, { runs, open, names, now, rows: this.rows, range: this.range(), width: this.box.clientWidth });
  }

  at(event) {
    const { runs, open, now } = this.props, [left, right] = this.range(), wide = this.wide();
    const time = left + ((event.offsetX - HEAD) / wide) * (right - left), slack = 2 * (right - left) / wide;
    const slot = this.rows.slots[Math.floor(event.offsetY / ROW)];
    const hit = (ended) => (run) => run[SLOT] === slot && run[BEGUN] - slack <= time && ended(run) + slack >= time;
    return open.find(hit(() => now)) || runs.findLast(hit((run) => run[ENDED]));
  }

  moved(event) {
    if (this.drag !== undefined && event.buttons) {
      this.dragged = this.dragged || Math.abs(this.drag - event.offsetX) > 2;
      this.pan((this.drag - event.offsetX) / this.wide());
      this.drag = event.offsetX;
      return;
    }
    const run = this.at(event), before = this.state.hover;
    if (!run && !before) return;
    this.setState({ hover: run ? { run, x: event.offsetX, y: event.offsetY } : null });
    if (run && (!before || before.run[TASK] !== run[TASK])) this.name(run);
  }

  // Keys are asked for only when somebody wants to know.
  name(run) {
    clearTimeout(this.asking);
    this.setState({ known: null });
    if (!this.props.load) return;
    this.asking = setTimeout(async () => {
      const known = await this.props.load(`json/task/${run[TASK]}`);
      const { hover } = this.state;
      if (hover && hover.run[TASK] === run[TASK]) this.setState({ known: known || { gone: true } });
    }, 80);
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const action = { ArrowLeft: () => this.pan(-0.2), ArrowRight: () => this.pan(0.2), "+": () => this.zoom(0.5), "=": () => this.zoom(0.5), "-": () => this.zoom(2), Home: () => this.follow() }[event.key];
    if (action) { event.preventDefault(); action(); }
  }

  render({ show, runs, open, told, live, names, now }, { span, hover, known }) {
    const notes = [`${count(told.seen)} runs seen`];
    if (told.left_out > 0) notes.push(`of short tasks one in 64 is shown, ${count(told.left_out)} were left out`);
    if (told.no_lane > 0) notes.push(`${count(told.no_lane)} tasks without a slot had no lane`);
    if (told.dropped > 0) notes.push(`${count(told.dropped)} observations did not fit and were dropped`);
    return html`<div class="stream" ref=${(box) => { this.box = box; }}>
      <p class="controls">
        <button type="button" aria-label="zoom in" onClick=${() => this.zoom(0.5)}>+</button>
        <button type="button" aria-label="zoom out" onClick=${() => this.zoom(2)}>−</button>
        <button type="button" aria-label="earlier" onClick=${() => this.pan(-0.5)}>←</button>
        <button type="button" aria-label="later" onClick=${() => this.pan(0.5)}>→</button>
        <button type="button" disabled=${span === null} onClick=${() => this.follow()}>${live ? "follow" : "all"}</button>
        <span class="note" id="sampling">${notes.join("; ")}</span>
      </p>
      <canvas tabindex="0" role="img" aria-label="task stream: which task held which slot; arrow keys pan, plus and minus zoom, Home follows"
        onPointerDown=${(event) => { this.drag = event.offsetX; this.dragged = false; }}
        onPointerUp=${(event) => { this.drag = undefined; const run = !this.dragged && this.at(event); if (run && show) show(run[TASK]); }}
        onPointerMove=${(event) => this.moved(event)} onPointerLeave=${() => { this.drag = undefined; this.setState({ hover: null }); }}
        onKeyDown=${(event) => this.key(event)}></canvas>
      ${runs.length + open.length === 0 ? html`<p class="legend">${live ? "Nothing has run since this page was opened: it shows what runs while somebody looks." : "Nothing was recorded."}</p>`
        : html`<${Legend} names=${names} runs=${runs} open=${open} />`}
      ${hover && html`<${Tip} ...${hover} known=${known} names=${names} now=${now} width=${this.box ? this.box.clientWidth : 400} />`}</div>`;
  }
}

// The names among the latest runs, and what the marks mean.
function Legend({ names, runs, open }) {
  const shown = new Set([...open, ...runs.slice(-2000)].map((run) => names[run[BRANCH]]));
  const known = [...new Set(Object.values(names))].filter((name) => shown.has(name));
  return html`<ul class="legend">${known.slice(0, 10).map((name) => html`<li key=${name}><i class="swatch" style=${{ background: colour(name) }}></i><span class="name">${name}</span></li>`)}
    ${known.length > 10 && html`<li>and ${count(known.length - 10)} more</li>`}
    <li class="gap"></li>${Object.entries(MARKS).map(([end, text]) => html`<li key=${end}><${Mark} end=${end} />${text}</li>`)}</ul>`;
}

class Mark extends Component {
  componentDidMount() { this.componentDidUpdate(); }

  componentDidUpdate() { paint(this.canvas, this.props.end); }

  render() { return html`<canvas class="mark" aria-hidden="true" width="44" height="24" ref=${(canvas) => { this.canvas = canvas; }}></canvas>`; }
}

const ENDS = { waiting: "until it waited, its slot lent", detached: "until it went on without a slot", woken: "until it went on with a slot", retried: "failed, and was run again", unknown: "how it ended was not seen" };

function Tip({ run, x, y, known, names, now, width }) {
  const ended = run[END] === "running" ? now : run[ENDED], async = run[SLOT] < 0 && run[END] !== "detached";
  const parent = known && known.parent_task ? known.parent_task.key : run[PARENT] ? `task ${run[PARENT]}` : "the program";
  const left = Math.max(0, Math.min(x + 14, width - 292)), below = x + 14 > width - 292;
  return html`<div class="tip" role="status" style=${{ left: `${left}px`, top: `${y + (below ? 72 : 54)}px` }}>
    <b>${names[run[BRANCH]] || "?"}</b> ${duration((ended - run[BEGUN]) / 1e6)}
    <span class="key">${known ? known.key || "gone: nobody wants its result" : " "}</span>
    <span class=${run[END] === "failed" ? "bad" : ""}>${ENDS[run[END]] || run[END]}</span>${async ? ", without a slot" : ""}<br />
    <span class="dim">number ${run[NUMBER]}, submitted by ${parent}${run[STANDS] > 1 ? html`<br />one of ${run[STANDS]} short ones` : ""}</span></div>`;
}
