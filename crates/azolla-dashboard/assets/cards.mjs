// The numbers, the slots, the progress of each function and each group, the queue and the errors.

import { Component, h } from "preact";
import htm from "htm";
import { bytes, colour, count, duration } from "format";

const html = htm.bind(h);

export function Card({ title, note, id, children }) {
  return html`<section class="card" id=${id} aria-labelledby=${`${id}-title`}>
    <h2 id=${`${id}-title`}>${title}${note && html` <small>${note}</small>`}</h2>${children}</section>`;
}

const STATES = [
  ["finished", "finished", "var(--leaf)"], ["failed", "failed", "var(--bad)"], ["cancelled", "cancelled", "var(--cancelled)"],
  ["busy", "running", "var(--running)"], ["detached", "async", "var(--async)"], ["parked", "parked", "var(--parked)"],
  ["ready", "ready", "var(--ready)"], ["waiting", "waiting", "var(--waiting)"],
];
const MEANING = {
  running: "hold a slot", async: "run on an event loop, and hold no slot", parked: "wait for other tasks, and have lent their slot",
  ready: "have all their inputs, and wait for a slot", waiting: "wait for their inputs",
};

export function Workflow({ snapshot }) {
  const { counts, estimate } = snapshot, all = Math.max(1, counts.submitted);
  const numbers = { ...counts, busy: counts.busy + counts.seceded };
  return html`<section class="card" id="workflow" aria-label="the whole workflow">
    <p class="headline"><span><b id="ended">${count(counts.settled)}</b> of <b id="submitted">${count(counts.submitted)}</b> tasks have ended</span>
      <${Estimate} estimate=${estimate} counts=${counts} /></p>
    <div class="bar total" role="progressbar" aria-label="all tasks" aria-valuemin="0" aria-valuemax=${counts.submitted} aria-valuenow=${counts.settled}>
      ${STATES.map(([key, name, shade]) => numbers[key] > 0 && html`<i key=${key} title=${`${name}: ${count(numbers[key])}`} style=${{ width: `${100 * numbers[key] / all}%`, background: shade }}></i>`)}</div>
    <dl class="numbers" id="numbers">${STATES.map(([key, name, shade]) => html`<div key=${key} title=${MEANING[name]}>
      <dt><i class="swatch" style=${{ background: shade }}></i>${name}</dt><dd class=${name === "failed" && numbers[key] > 0 ? "bad" : ""}>${count(numbers[key])}</dd></div>`)}</dl></section>`;
}

function Estimate({ estimate, counts }) {
  if (counts.submitted === 0) return html`<span id="estimate">Nothing has been submitted yet.</span>`;
  if (counts.live === 0) return html`<span id="estimate">All that was submitted has ended.</span>`;
  const { tasks, seconds, unknown } = estimate;
  const about = tasks && (tasks.low === tasks.high ? `${count(tasks.high)} in all` : `${count(tasks.low)} to ${count(tasks.high)} in all`);
  const left = seconds ? `${duration(seconds.low)} to ${duration(seconds.high)} left` : `time left: unknown (${unknown})`;
  return html`<span id="estimate"
    title="From: nothing more grows. To: what has not ended grows as what has ended did. Provided that nothing is submitted from outside."
    >${about ? `${about} · ` : ""}${left}</span>`;
}

// The most slots that are drawn one by one.
const CELLS = 64;

export function Slots({ snapshot }) {
  const { counts: c, slots, results, now } = snapshot;
  const cells = Math.min(slots, CELLS), filled = Math.round(cells * Math.min(1, c.busy / Math.max(1, slots)));
  const usage = now || {};
  const share = results.known < 1 && results.looked_at > 0 ? `, unknown for ${Math.max(1, Math.round(100 * (1 - results.known)))} %` : "";
  const held = c.held === 0 ? "–" : results.bytes === null ? "unknown" : `${results.all ? "" : "≈ "}${bytes(results.bytes)}`;
  const how = results.all ? `All ${count(results.looked_at)} were looked at${share}.` : `From a sample of ${count(results.looked_at)}${share}.`;
  return html`<section class="card" id="slots" aria-labelledby="slots-title"><h2 id="slots-title">Slots <small class="slots">${count(c.busy)} of ${count(slots)} busy, ${count(c.idle)} idle, ${count(c.parked)} parked</small></h2>
    <div class="cells" aria-hidden="true">${Array.from({ length: cells }, (_, i) => html`<i key=${i} class=${i < filled ? "busy" : ""} style=${i < filled ? { background: "var(--running)" } : {}}></i>`)}</div>
    <dl class="numbers">
      <div title="results and errors that somebody may still ask for"><dt>results held</dt><dd>${count(c.held)}</dd></div>
      <div title=${how} id="held"><dt>their bytes${share && c.held > 0 ? " *" : ""}</dt><dd>${held}</dd></div>
      <div title="of this process"><dt>memory</dt><dd>${bytes(usage.memory)}</dd></div>
      <div title="how many this process keeps busy"><dt>processors</dt><dd>${usage.cpu === null || usage.cpu === undefined ? "–" : usage.cpu.toFixed(2)}</dd></div>
    </dl></section>`;
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
  return html`<ul class="progress">${rows.slice(0, SHOWN).map((row) => html`<${Row} key=${row.name} ...${row} />`)}</ul>
    ${rows.length > SHOWN && html`<p class="note">and ${count(rows.length - SHOWN)} functions more</p>`}`;
}

export function Bar({ name, submitted, finished, failed, cancelled }) {
  const part = (n, shade) => n > 0 && html`<i style=${{ width: `${100 * n / submitted}%`, background: shade }}></i>`;
  return html`<span class="bar" role="progressbar" aria-valuemin="0" aria-valuemax=${submitted} aria-valuenow=${finished + failed + cancelled} aria-label=${name}>
    ${part(finished, colour(name))}${part(failed, "var(--bad)")}${part(cancelled, "var(--cancelled)")}</span>`;
}

function Row(row) {
  const { name, submitted, finished, failed, cancelled, mean } = row;
  return html`<li data-name=${name}>
    <span class="name" title=${name}>${name}</span>
    <span class="of">${count(finished + failed + cancelled)} / ${count(submitted)}${failed > 0 && html` · <b class="bad">${count(failed)} failed</b>`}</span>
    <span class="mean" title="how long one takes, in the mean">${duration(mean)}</span>
    <${Bar} ...${row} /></li>`;
}

export function Queue({ snapshot }) {
  const { queue, counts } = snapshot, most = Math.max(1, ...queue.map(([, tasks]) => tasks));
  return html`<div class="scroll"><table class="queue"><thead><tr><th scope="col">priority</th><th></th><th scope="col">ready</th></tr></thead><tbody>
    ${queue.map(([priority, tasks]) => html`<tr key=${priority}><td>${priority}</td>
      <td><span class="bar"><i style=${{ width: `${100 * tasks / most}%`, background: "var(--ready)" }}></i></span></td><td>${count(tasks)}</td></tr>`)}
    ${queue.length === 0 && html`<tr><td colspan="3" class="empty">Nothing waits for a slot.</td></tr>`}
    <tr class="sum"><td colspan="2">wait for inputs</td><td>${count(counts.waiting)}</td></tr></tbody></table></div>`;
}

export function Workers({ workers }) {
  return html`<div class="scroll"><table class="queue"><thead><tr><th scope="col">process</th><th></th><th scope="col">memory of its own</th><th scope="col">results</th><th scope="col">starts</th></tr></thead><tbody>
    ${workers.each.map(({ pid, memory, limit, stored, starts }, i) => html`<tr key=${i}><td>${pid === null ? "starts" : pid}</td>
      <td title=${limit ? `of ${bytes(limit)}` : "without a limit"}><span class="bar"><i style=${{ width: `${limit ? Math.min(100, 100 * memory / limit) : 0}%`, background: "var(--running)" }}></i></span></td><td>${bytes(memory)}</td>
      <td>${bytes(stored)}</td><td>${count(starts)}</td></tr>`)}
    ${workers.on_disk > 0 && html`<tr class="sum"><td colspan="4">moved to a disk</td><td>${bytes(workers.on_disk)}</td></tr>`}</tbody></table></div>`;
}

export class Groups extends Component {
  render({ groups, cancel }, { message }) {
    const stop = async ({ task, name }) => this.setState({ message: `${name}: ${await cancel(task, true)}` });
    return html`<ul class="progress">${groups.each.map((group) => {
      const { task, name, depth, live, finished, failed, cancelled, closed } = group, all = live + finished + failed + cancelled;
      return html`<li key=${task} data-name=${name} style=${{ marginLeft: `${Math.min(depth, 8)}rem` }}>
        <span class="name" title=${name}>${name}${closed && html` <small class="dim">waits for its end</small>`}</span>
        <span class="of">${count(live)} live of ${count(all)}${failed > 0 && html` · <b class="bad">${count(failed)} failed</b>`}${cancelled > 0 && ` · ${count(cancelled)} cancelled`}</span>
        <span class="mean">${cancel && html`<button type="button" aria-label=${`cancel the group ${name}`} onClick=${() => stop(group)}>cancel</button>`}</span>
        <${Bar} name=${name} submitted=${Math.max(1, all)} finished=${finished} failed=${failed} cancelled=${cancelled} /></li>`;
    })}</ul>
    ${groups.all > groups.each.length && html`<p class="note">and ${count(groups.all - groups.each.length)} groups more, with fewer live tasks</p>`}
    ${message && html`<p class="note" role="status">${message}</p>`}`;
  }
}

export function Errors({ errors, failed, show }) {
  if (errors.length === 0) {
    return html`<p class="empty">${failed ? "Their errors come with the next look, unless they are gone with their futures." : "No task has failed."}</p>`;
  }
  return html`<ul class="errors">${[...errors].reverse().map((error) => html`<li key=${error.task}>
    <details><summary><b class="bad">${error.name}</b> <span>${lastLine(error.text)}</span></summary>
    ${show ? html`<button type="button" class="key" onClick=${() => show(error.task)}>${error.key}</button>` : html`<span class="key">${error.key}</span>`}
    <pre tabindex="0">${error.text}</pre></details></li>`)}</ul>`;
}

// What the exception says: the last line that is none of the notes below it.
function lastLine(text) {
  const lines = text.trimEnd().split("\n").filter((line) => !line.startsWith("in the azolla task"));
  const line = lines[lines.length - 1] || "";
  return line.length > 300 ? `${line.slice(0, 300)}…` : line;
}
