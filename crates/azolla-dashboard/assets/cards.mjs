// The numbers, the progress of each function, the queue and the errors.

import { h } from "preact";
import htm from "htm";
import { bytes, colour, count, duration } from "format";

const html = htm.bind(h);

export function Card({ title, note, wide, id, children }) {
  return html`<section class=${wide ? "card wide" : "card"} id=${id} aria-labelledby=${`${id}-title`}>
    <h2 id=${`${id}-title`}>${title}${note && html` <small>${note}</small>`}</h2>${children}</section>`;
}

export function Numbers({ snapshot }) {
  const c = snapshot.counts;
  const number = (label, value, kind) => html`<div class="number"><dt>${label}</dt><dd class=${kind}>${value}</dd></div>`;
  const now = snapshot.now || {};
  return html`<dl class="numbers" id="numbers">
    ${number("tasks", count(c.submitted))}
    ${number("live", count(c.live))}
    ${number("finished", count(c.finished))}
    ${number("failed", count(c.failed), c.failed ? "bad" : "")}
    ${number("cancelled", count(c.cancelled))}
    ${number("slots busy", `${c.busy} / ${snapshot.slots}`)}
    ${number("slots idle", c.idle)}
    ${number("parked", count(c.parked))}
    ${number("async", count(c.detached))}
    ${number("results held", count(c.held))}
    ${number("memory", bytes(now.memory))}
    ${number("processors", now.cpu === null || now.cpu === undefined ? "–" : now.cpu.toFixed(2))}
  </dl>`;
}

// One row a name: a function may have grown in many places.
export function byName(branches) {
  const names = new Map();
  for (const branch of branches) {
    const row = names.get(branch.name)
      || { name: branch.name, submitted: 0, finished: 0, failed: 0, cancelled: 0, mean: branch.mean };
    for (const what of ["submitted", "finished", "failed", "cancelled"]) row[what] += branch[what];
    names.set(branch.name, row);
  }
  return [...names.values()];
}

const SHOWN = 50;

export function Progress({ snapshot }) {
  const rows = byName(snapshot.branches);
  if (rows.length === 0) return html`<p class="empty">No task has been submitted yet.</p>`;
  rows.sort((a, b) => b.submitted - a.submitted);
  return html`<${Estimate} estimate=${snapshot.estimate} live=${snapshot.counts.live} />
    <ul class="progress">${rows.slice(0, SHOWN).map((row) => html`<${Bar} key=${row.name} ...${row} />`)}</ul>
    ${rows.length > SHOWN && html`<p class="note">and ${count(rows.length - SHOWN)} functions more</p>`}`;
}

function Estimate({ estimate, live }) {
  if (live === 0) return html`<p class="estimate" id="estimate">All that was submitted has ended.</p>`;
  const { tasks, seconds, unknown } = estimate;
  const about = tasks && (tasks.low === tasks.high ? `${count(tasks.high)} tasks in all`
    : `${count(tasks.low)} to ${count(tasks.high)} tasks in all`);
  const left = seconds ? `${duration(seconds.low)} to ${duration(seconds.high)} left` : `time left: unknown (${unknown})`;
  return html`<p class="estimate" id="estimate"
    title="From: nothing more grows. To: what has not ended grows as what has ended did. Provided that nothing is submitted from outside."
    >${about ? `${about}, ` : ""}${left}</p>`;
}

function Bar({ name, submitted, finished, failed, cancelled, mean }) {
  const part = (kind, n) => n > 0 && html`<i class=${kind} style=${{ width: `${100 * n / submitted}%`, background: kind === "done" ? colour(name) : undefined }}></i>`;
  const ended = finished + failed + cancelled;
  return html`<li data-name=${name}>
    <span class="name" title=${name}>${name}</span>
    <span class="of">${count(ended)} / ${count(submitted)}${failed > 0 && html` <b class="bad">${count(failed)} failed</b>`}</span>
    <span class="mean">${duration(mean)}</span>
    <span class="bar" role="progressbar" aria-valuemin="0" aria-valuemax=${submitted} aria-valuenow=${ended} aria-label=${name}>
      ${part("done", finished)}${part("failed", failed)}${part("cancelled", cancelled)}</span></li>`;
}

export function Queue({ snapshot }) {
  const { queue, counts } = snapshot;
  return html`<table class="queue"><thead><tr><th scope="col">priority</th><th scope="col">ready</th></tr></thead><tbody>
    ${queue.map(([priority, tasks]) => html`<tr key=${priority}><td>${priority}</td><td>${count(tasks)}</td></tr>`)}
    ${queue.length === 0 && html`<tr><td colspan="2" class="empty">Nothing waits for a slot.</td></tr>`}
    <tr class="sum"><td>wait for inputs</td><td>${count(counts.waiting)}</td></tr></tbody></table>`;
}

export function Errors({ errors, failed, show }) {
  if (errors.length === 0) {
    return html`<p class="empty">${failed ? "Their errors come with the next look, unless they are gone with their futures." : "No task has failed."}</p>`;
  }
  return html`<ul class="errors">${[...errors].reverse().map((error) => html`<li key=${error.task}>
    <details><summary><b class="bad">${error.name}</b> <span>${lastLine(error.text)}</span></summary>
    <button type="button" onClick=${() => show(error.task)}>${error.key}</button>
    <pre tabindex="0">${error.text}</pre></details></li>`)}</ul>`;
}

// What the exception says: the last line that is none of the notes below it.
function lastLine(text) {
  const lines = text.trimEnd().split("\n").filter((line) => !line.startsWith("in the azolla task"));
  const line = lines[lines.length - 1] || "";
  return line.length > 300 ? `${line.slice(0, 300)}…` : line;
}
