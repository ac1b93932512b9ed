// One task: found by a part of its key, and what is known of it.

import { Component, h } from "preact";
import htm from "htm";
import { Tasks } from "tree";
import { duration } from "format";

const html = htm.bind(h);

export class Search extends Component {
  constructor() {
    super();
    this.state = { found: null };
  }

  render({ show }, { found }) {
    return html`<form class="search" role="search" onSubmit=${(event) => { event.preventDefault(); this.search(event.target.elements.key.value); }}>
      <input name="key" type="search" placeholder="a key, or a part of one" aria-label="search for a task by its key" autocomplete="off" />
      <button type="submit">search</button></form>
      ${found && (found.tasks.length === 0
        ? html`<p class="empty">No task that is kept has that in its key${found.next === null ? "" : ", as far as one has looked"}.</p>`
        : html`<${Tasks} tasks=${found.tasks} more=${found.next !== null} show=${show} />`)}`;
  }

  async search(key) {
    if (!key) return this.setState({ found: null });
    let found = await this.props.load(`json/tasks?key=${encodeURIComponent(key)}`);
    // Among a million tasks one looks for a while.
    for (let more = 0; found && found.tasks.length === 0 && found.next !== null && more < 20; more += 1) {
      found = await this.props.load(`json/tasks?key=${encodeURIComponent(key)}&from=${found.next}`);
    }
    if (found) this.setState({ found });
  }
}

export function Details({ task, act, show, close, load }) {
  if (task.gone) {
    return html`<aside class="details" role="dialog" aria-label="task"><${Close} close=${close} /><p class="empty">${task.gone}</p></aside>`;
  }
  const ended = ["finished", "error", "cancelled"].includes(task.state);
  return html`<aside class="details" role="dialog" aria-label=${`task ${task.key}`}>
    <${Close} close=${close} />
    <h2 class="key">${task.key}</h2>
    <dl>
      <dt>function</dt><dd>${task.name}</dd>
      <dt>state</dt><dd id="state" class=${task.state === "error" ? "bad" : ""}>${task.state}</dd>
      <dt>number</dt><dd>${task.number}${task.parent ? `, submitted by ${task.parent}` : ", submitted from outside"}</dd>
      <dt>priority</dt><dd>${task.priority}</dd>
      <dt>held a slot</dt><dd>${task.runs.length === 0 ? "not seen" : task.runs.map(([begun, end, how]) =>
        html`<div>${how === "running" ? `since ${duration(begun)}` : `${duration(end - begun)}, from ${duration(begun)} (${how})`}</div>`)}</dd>
    </dl>
    ${act && html`<p class="actions">
      <button type="button" id="cancel" disabled=${ended} onClick=${() => act(task, false)}>cancel</button>
      <button type="button" id="cancel-subtree" onClick=${() => act(task, true)}>cancel all that grew from it</button></p>`}
    ${task.message && html`<p class="note" role="status">${task.message}</p>`}
    ${task.error && html`<pre tabindex="0" class="bad">${task.error}</pre>`}
    ${task.inputs.length > 0 && html`<h3>inputs</h3><${Tasks} tasks=${task.inputs} show=${show} />`}
    ${task.dependents.length > 0 && html`<h3>dependents</h3><${Tasks} tasks=${task.dependents} show=${show} />`}
    ${load && html`<${Children} key=${task.number} number=${task.number} load=${load} show=${show} />`}
  </aside>`;
}

function Close({ close }) {
  return html`<button type="button" class="close" aria-label="close" onClick=${close}>✕</button>`;
}

class Children extends Component {
  render({ show }, { found }) {
    if (!found) return html`<p><button type="button" onClick=${() => this.load()}>what it has submitted</button></p>`;
    return html`<h3>submitted by it</h3><${Tasks} tasks=${found.tasks} more=${found.next !== null} show=${show} />`;
  }

  async load() {
    const found = await this.props.load(`json/tasks?parent=${this.props.number}`);
    if (found) this.setState({ found });
  }
}
