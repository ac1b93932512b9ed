// The page: listens to the server, keeps what it is told, and draws it.

import { h, render } from "preact";
import htm from "htm";
import { Card, Errors, Groups, Progress, Queue, Slots, Workers, Workflow } from "cards";
import { Chart } from "charts";
import { Details, Search } from "details";
import { learn } from "format";
import { SEQUENCE, Stream } from "stream";
import { Tree } from "tree";

const html = htm.bind(h);

const MOST_RUNS = 20000, MOST_MOMENTS = 1200;
const report = JSON.parse(document.getElementById("data").textContent);
const token = new URLSearchParams(location.search).get("token");

const state = { connection: report ? "report" : "connecting", snapshot: null, runs: [], open: [], moments: [], errors: [], shown: null, task: null };

function take(message) {
  const { snapshot, runs, open, moments, errors } = message;
  // A server that begins anew has nothing to do with what was seen before.
  if (moments) { state.moments = moments; state.runs = []; }
  else if (snapshot.now) state.moments = [...state.moments.slice(-MOST_MOMENTS), snapshot.now];
  const last = state.runs.length ? state.runs[state.runs.length - 1][SEQUENCE] : 0;
  const fresh = runs.filter((run) => run[SEQUENCE] > last);
  if (fresh.length) state.runs = [...state.runs, ...fresh].slice(-MOST_RUNS);
  if (errors) state.errors = errors;
  state.snapshot = snapshot;
  learn(snapshot.branches.map((branch) => branch.name), !!moments);
  state.open = open;
  draw();
}

let drawing = false;
function draw() {
  if (drawing) return;
  drawing = true;
  const now = () => { drawing = false; document.body.className = state.connection; render(html`<${Page} />`, root); };
  if (document.hidden) setTimeout(now, 0); else requestAnimationFrame(now);
}

function url(path) {
  return token ? `${path}${path.includes("?") ? "&" : "?"}token=${encodeURIComponent(token)}` : path;
}

async function load(path) {
  try {
    const answer = await fetch(url(path));
    return answer.ok ? await answer.json() : null;
  } catch {
    return null; // the page says already that it is disconnected
  }
}

async function show(task) {
  state.shown = task;
  state.task = (await load(`json/task/${task}`)) || { gone: "This task is gone: nobody wants its result any more." };
  draw();
}

function close() {
  state.shown = state.task = null;
  draw();
}

async function stop(task, subtree) {
  try {
    const answer = await fetch(`json/cancel/${task}?subtree=${subtree}`, { method: "POST", headers: { "x-azolla-token": token || "" } });
    return answer.ok ? `Asked to cancel: ${(await answer.json()).cancelled} tasks.` : await answer.text();
  } catch {
    return "The server does not answer.";
  }
}

async function act(task, subtree) {
  const message = await stop(task.task, subtree);
  await show(task.task);
  state.task = { ...state.task, message };
  draw();
}

const CONNECTION = {
  connecting: "connecting …",
  open: "live",
  lost: "disconnected: this is how it was. Trying again …",
  report: "report",
};

const TASKS = [["live", "live", "leaf"], ["ready", "ready", "ready"], ["busy", "busy", "running"], ["parked", "parked", "parked"]];

const MARK = html`<svg viewBox="0 0 16 16" aria-hidden="true"><g fill="currentColor"><circle cx="8" cy="3" r="2.5" /><circle cx="3.5" cy="8" r="2.5" /><circle cx="12.5" cy="8" r="2.5" /><circle cx="8" cy="13" r="2.5" /></g></svg>`;

function Head({ snapshot, connection, live }) {
  return html`<header><h1>${MARK} azolla <small>${snapshot ? snapshot.client : ""}</small></h1>
    <span id="connection" class=${connection} role="status">${snapshot && snapshot.closing && connection === "open" ? "the client is closed" : CONNECTION[connection]}</span>
    ${live && snapshot && html`<${Search} load=${load} show=${show} />
      <nav aria-label="files"><a href=${url("json/trace")} download="azolla-trace.json" title="for Perfetto or chrome://tracing">trace</a> <a href=${url("report")} download="azolla-report.html" title="this page as one file">report</a> <a href=${url("metrics")} title="for Prometheus">metrics</a></nav>`}</header>`;
}

function Page() {
  const { snapshot, connection, runs, open, moments, errors, task } = state;
  const live = connection !== "report", head = html`<${Head} ...${{ snapshot, connection, live }} />`;
  if (!snapshot) return html`${head}<p class="empty">${connection === "lost" ? "The client does not answer: it may have been closed, or its program has ended. This page goes on trying." : "Waiting for the first numbers …"}</p>`;
  const names = {};
  for (const branch of snapshot.branches) names[branch.id] = branch.name;
  const last = moments.length && moments[moments.length - 1].at;
  const failed = snapshot.counts.failed, asks = live ? { load, show } : {};
  return html`${head}<main>
    <${Workflow} snapshot=${snapshot} />
    <${Slots} snapshot=${snapshot} />
    <${Card} id="growth" title="Growth" note="what has grown from what"><${Tree} snapshot=${snapshot} ...${asks} /><//>
    <${Card} id="progress" title="Progress" note="by function"><${Progress} snapshot=${snapshot} /><//>
    ${snapshot.groups.all > 0 && html`<${Card} id="groups" title="Groups" note="what ends and is cancelled together"><${Groups} groups=${snapshot.groups} cancel=${live && stop} /><//>`}
    <${Card} id="stream" title="Task stream" note="which task held which slot">
      <${Stream} runs=${runs} open=${open} names=${names} slots=${snapshot.slots} now=${snapshot.at * 1e6} live=${live} told=${snapshot.runs} ...${asks} /><//>
    <${Card} id="tasks" title="Tasks"><${Chart} label="tasks over time: live, ready, busy and parked" moments=${moments} last=${last} series=${TASKS} /><//>
    <${Card} id="memory" title="Memory" note="of the process, in MiB"><${Chart} label="memory over time" moments=${moments} last=${last} series=${[["MiB", "memory", "leaf"]]} scale=${1048576} /><//>
    <${Card} id="processors" title="Processors" note="kept busy by the process"><${Chart} label="processors over time" moments=${moments} last=${last} series=${[["busy", "cpu", "running"]]} /><//>
    <${Card} id="queue" title="Queue" note="by priority"><${Queue} snapshot=${snapshot} /><//>
    ${snapshot.workers.each.length > 0 && html`<${Card} id="workers" title="Worker processes"><${Workers} workers=${snapshot.workers} /><//>`}
    <${Card} id="errors" title="Errors" note=${failed ? `${failed.toLocaleString("en")} failed` : ""}><${Errors} errors=${errors} failed=${failed} show=${live && show} /><//>
  </main>
  <footer class="note">azolla ${snapshot.version}${live && html` · <kbd>/</kbd> find · <kbd>Esc</kbd> close · on the stream <kbd>←</kbd> <kbd>→</kbd> pan, <kbd>+</kbd> <kbd>−</kbd> or <kbd>Ctrl</kbd> and wheel zoom, <kbd>Home</kbd> follow`}</footer>
  ${task && html`<${Details} key=${state.shown} task=${task} show=${show} close=${close} load=${load} act=${token ? act : null} />`}`;
}

const root = document.getElementById("root");
root.textContent = "";

function listen() {
  const source = new EventSource(url("events"));
  source.onmessage = (event) => {
    state.connection = "open";
    take(JSON.parse(event.data));
    if (state.shown && !(state.task && state.task.message)) refresh();
  };
  source.onerror = () => {
    state.connection = "lost";
    draw();
    // Some browsers give up for good where nothing answers: begin anew.
    source.close();
    setTimeout(listen, 1000);
  };
}

let refreshed = 0;
async function refresh() {
  if (Date.now() - refreshed < 1000) return;
  refreshed = Date.now();
  const shown = state.shown, task = await load(`json/task/${shown}`);
  if (task && state.shown === shown) { state.task = { ...task, message: state.task && state.task.message }; draw(); }
}

addEventListener("keydown", (event) => {
  if (event.key === "Escape") close();
  const input = document.querySelector("#search input");
  if (event.key === "/" && input && !/^(INPUT|TEXTAREA)$/.test(event.target.tagName)) { event.preventDefault(); input.focus(); }
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
if (report) take(report); else { draw(); listen(); }
