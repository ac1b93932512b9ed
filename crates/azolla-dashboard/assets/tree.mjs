// The growth tree: what has grown from what, by function with counts; unfolding leads to single tasks.

import { Component, h } from "preact";
import htm from "htm";
import { Bar } from "cards";
import { colour, count, duration } from "format";

const html = htm.bind(h);

export class Tree extends Component {
  constructor() {
    super();
    this.state = { folded: {}, listed: {} };
  }

  render({ snapshot, load, show }, { folded, listed }) {
    const children = new Map();
    for (const branch of snapshot.branches) {
      if (!children.has(branch.parent)) children.set(branch.parent, []);
      children.get(branch.parent).push(branch);
    }
    if (!children.has(0)) return html`<p class="empty">Nothing has grown yet.</p>`;
    const row = (branch) => {
      const below = children.get(branch.id) || [];
      const live = branch.submitted - branch.finished - branch.failed - branch.cancelled;
      const open = !folded[branch.id];
      const toggle = () => this.setState({ folded: { ...folded, [branch.id]: open } });
      const list = () => this.setState({ listed: { ...listed, [branch.id]: !listed[branch.id] } });
      return html`<li key=${branch.id} data-name=${branch.name}>
        <div class="node">
          ${below.length > 0
            ? html`<button type="button" class="fold" aria-expanded=${open} aria-label=${`${open ? "fold" : "unfold"} ${branch.name}`} onClick=${toggle}>${open ? "▾" : "▸"}</button>`
            : html`<span></span>`}
          <span class="what"><span class="name" title=${branch.name}><i class="swatch" style=${{ background: colour(branch.name) }}></i>${branch.name}</span>
            ${live > 0 && html`<small class="dim">${count(live)} live</small>`}
            ${branch.failed > 0 && html`<small class="bad">${count(branch.failed)} failed</small>`}
            ${branch.cancelled > 0 && html`<small class="dim">${count(branch.cancelled)} cancelled</small>`}
            ${branch.recursive > 0 && html`<small class="dim" title="grown from tasks of this function itself, directly or not">↻ ${count(branch.recursive)}</small>`}</span>
          <${Bar} ...${branch} />
          <b>${count(branch.submitted)}</b>
          ${load && html`<button type="button" class="list" aria-expanded=${!!listed[branch.id]} aria-label=${`tasks of ${branch.name}`} onClick=${list}>${listed[branch.id] ? "hide" : "tasks"}</button>`}
        </div>
        ${listed[branch.id] && html`<${Listed} query=${`branch=${branch.id}`} load=${load} show=${show} />`}
        ${open && below.length > 0 && html`<ul>${below.map(row)}</ul>`}</li>`;
    };
    return html`<ul class="tree">${children.get(0).map(row)}</ul>`;
  }
}

// Tasks that the server finds, a portion at a time.
export class Listed extends Component {
  constructor() {
    super();
    this.state = { tasks: [], next: 0, busy: false };
  }

  componentDidMount() { this.more(); }

  async more() {
    this.setState({ busy: true });
    let { tasks, next } = this.state;
    const before = tasks.length;
    // Among a million tasks one looks for a while.
    for (let looks = 0; next !== null && tasks.length === before && looks < 20; looks += 1) {
      const found = await this.props.load(`json/tasks?${this.props.query}&from=${next}`);
      if (!found) break;
      tasks = [...tasks, ...found.tasks];
      next = found.next;
    }
    this.setState({ tasks, next, busy: false });
  }

  render({ load, show, none }, { tasks, next, busy }) {
    if (tasks.length === 0) {
      return html`<p class="empty tasks" role="status">${busy ? "Looking …" : `${none || "None of them is kept any more"}${next === null ? "." : ", as far as one has looked."}`}</p>`;
    }
    return html`<ul class="tasks">${tasks.map((task) => html`<${Task} key=${task.task} task=${task} load=${load} show=${show} />`)}
      ${next !== null && html`<li><button type="button" disabled=${busy} onClick=${() => this.more()}>more</button></li>`}</ul>`;
  }
}

// Its function, and what that was called with as long as that is there.
export function call({ name, arguments: given }) {
  return given === null ? name : `${name}(${given})`;
}

// One task, and below it, when unfolded, those that it has submitted.
export class Task extends Component {
  render({ task, load, show }, { open }) {
    return html`<li><div class="task">
      ${load && html`<button type="button" class="fold" aria-expanded=${!!open} aria-label=${`${open ? "fold" : "unfold"} ${task.key}`} onClick=${() => this.setState({ open: !open })}>${open ? "▾" : "▸"}</button>`}
      <button type="button" class="key" onClick=${() => show(task.task)} title=${task.key}>${task.key}</button>
      <span class="call dim" title=${call(task)}>${call(task)}</span>
      ${task.seconds !== null && html`<span class="took dim" title="how long it has run">${duration(task.seconds)}</span>`}
      <span class=${task.state === "error" ? "bad" : "dim"}>${task.state}</span></div>
      ${open && html`<${Listed} query=${`parent=${task.number}`} none="Nothing that it has submitted is kept" load=${load} show=${show} />`}</li>`;
  }
}
