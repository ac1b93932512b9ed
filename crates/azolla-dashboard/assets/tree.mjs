// The growth tree: what has grown from what, by function with counts; unfolding leads to single tasks.

import { Component, h } from "preact";
import htm from "htm";
import { colour, count } from "format";

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
    const row = (branch, depth) => {
      const below = children.get(branch.id) || [];
      const live = branch.submitted - branch.finished - branch.failed - branch.cancelled;
      const open = !folded[branch.id];
      const toggle = () => this.setState({ folded: { ...folded, [branch.id]: open } });
      return html`<li key=${branch.id} data-name=${branch.name}>
        <div class="node">
          ${below.length > 0
            ? html`<button type="button" class="fold" aria-expanded=${open} aria-label=${`${open ? "fold" : "unfold"} ${branch.name}`} onClick=${toggle}>${open ? "▾" : "▸"}</button>`
            : html`<span class="fold"></span>`}
          <i class="dot" style=${{ background: colour(branch.name) }}></i>
          <span class="name" title=${branch.name}>${branch.name}</span>
          <b>${count(branch.submitted)}</b>
          ${live > 0 && html`<span class="live">${count(live)} live</span>`}
          ${branch.failed > 0 && html`<span class="bad">${count(branch.failed)} failed</span>`}
          ${branch.cancelled > 0 && html`<span class="dim">${count(branch.cancelled)} cancelled</span>`}
          ${branch.recursive > 0 && html`<span class="dim" title="grown from tasks of this function itself, directly or not">↻ ${count(branch.recursive)}</span>`}
          ${load && html`<button type="button" class="list" onClick=${() => this.list(branch.id)}>${listed[branch.id] ? "hide" : "tasks"}</button>`}
        </div>
        ${listed[branch.id] && html`<${Tasks} tasks=${listed[branch.id].tasks} more=${listed[branch.id].next !== null} show=${show} />`}
        ${open && below.length > 0 && html`<ul>${below.map((child) => row(child, depth + 1))}</ul>`}</li>`;
    };
    return html`<ul class="tree">${children.get(0).map((branch) => row(branch, 0))}</ul>`;
  }

  async list(branch) {
    const { listed } = this.state;
    if (listed[branch]) return this.setState({ listed: { ...listed, [branch]: null } });
    const found = await this.props.load(`json/tasks?branch=${branch}`);
    if (found) this.setState((state) => ({ listed: { ...state.listed, [branch]: found } }));
  }
}

export function Tasks({ tasks, more, show }) {
  if (tasks.length === 0) return html`<p class="empty">None of them is kept any more.</p>`;
  return html`<ul class="tasks">${tasks.map((task) => html`<li key=${task.task}>
    <button type="button" onClick=${() => show(task.task)}>${task.key}</button>
    <span class=${task.state === "error" ? "bad" : "dim"}>${task.state}</span></li>`)}
    ${more && html`<li class="note">and more; search for a key</li>`}</ul>`;
}
