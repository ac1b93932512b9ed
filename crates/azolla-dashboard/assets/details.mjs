// One task: found by a part of its key, and what is known of it.

import { Component, h } from "preact";
import htm from "htm";
import { Listed, Task, call } from "tree";
import { duration } from "format";

const html = htm.bind(h);

export class Search extends Component {
  render({ load, show }, { key }) {
    const search = (event) => { event.preventDefault(); this.setState({ key: event.target.elements.key.value }); };
    const closed = (event) => { if (event.key === "Escape" && key) { event.stopPropagation(); this.setState({ key: "" }); } };
    return html`<div id="search" role="search" onKeyDown=${closed}><form onSubmit=${search}>
      <input name="key" type="search" placeholder="find a task by its key" aria-label="find a task by a part of its key" aria-keyshortcuts="/" autocomplete="off" onInput=${(event) => event.target.value || this.setState({ key: "" })} />
      <button type="submit">find</button></form>
      ${key && html`<div class="found"><${Listed} key=${key} query=${`key=${encodeURIComponent(key)}`} none="No task that is kept has that in its key" load=${load} show=${show} /></div>`}</div>`;
  }
}

export class Details extends Component {
  componentDidMount() {
    this.before = document.activeElement;
    this.box.focus();
  }

  // Back to where one was.
  componentWillUnmount() {
    if (this.before && this.before.isConnected) this.before.focus();
  }

  render({ task, act, show, close, load }) {
    return html`<aside class="details" role="dialog" tabindex="-1" aria-label=${task.gone ? "task" : `task ${task.key}`} ref=${(box) => { this.box = box; }}>
      <button type="button" class="close" aria-label="close" onClick=${close}>✕</button>
      ${task.gone ? html`<p class="empty">${task.gone}</p>` : html`<${What} ...${{ task, act, show, load }} />`}</aside>`;
  }
}

function What({ task, act, show, load }) {
  const ended = ["finished", "error", "cancelled"].includes(task.state);
  const parent = task.parent_task;
  return html`<h2>${task.key}</h2>
    <dl>
      <dt>function</dt><dd>${call(task)}</dd>
      ${task.span && html`<dt>span</dt><dd id="span">${task.span}</dd>`}
      <dt>state</dt><dd id="state" class=${task.state === "error" ? "bad" : ""}>${task.state}</dd>
      <dt>priority</dt><dd>${task.priority}</dd>
      <dt>number</dt><dd>${task.number}, ${task.depth === 0 ? "a root" : `in generation ${task.depth}`}</dd>
      <dt>submitted by</dt><dd id="parent">${parent ? html`<button type="button" class="key" onClick=${() => show(parent.task)}>${parent.key}</button>`
        : task.parent ? `task ${task.parent}, which is gone` : "the program, not by a task"}</dd>
      <dt>ran</dt><dd id="ran">${task.runs.length === 0 ? "not seen: it has not run yet, nobody looked, or it was one of many short ones" : task.runs.map(([begun, end, how]) =>
        html`<div>${how === "running" ? `since ${duration(begun)}` : `${duration(end - begun)}, from ${duration(begun)} on`} <span class="dim">${HOW[how] || how}</span></div>`)}</dd>
    </dl>
    ${act && html`<p class="actions">
      <button type="button" id="cancel" disabled=${ended} onClick=${() => act(task, false)}>cancel</button>
      <button type="button" id="cancel-subtree" onClick=${() => act(task, true)}>cancel it and all that grew from it</button></p>`}
    ${task.message && html`<p class="note" role="status">${task.message}</p>`}
    ${task.error && html`<pre tabindex="0" class="bad">${task.error}</pre>`}
    <${Kin} title="inputs" tasks=${task.inputs} ...${{ load, show }} />
    <${Kin} title="dependents" tasks=${task.dependents} ...${{ load, show }} />
    <h3>submitted by it</h3><${Listed} key=${task.number} query=${`parent=${task.number}`} none="Nothing that is kept" load=${load} show=${show} />`;
}

const HOW = { waiting: "then it waited, its slot lent", detached: "then it went on without a slot", woken: "then it went on with one", retried: "then it was run again", unknown: "how it ended was not seen" };

function Kin({ title, tasks, load, show }) {
  return tasks.length > 0 && html`<h3>${title}</h3><ul class="tasks">${tasks.map((task) => html`<${Task} key=${task.task} task=${task} load=${load} show=${show} />`)}</ul>`;
}
