// The page: listens to the server, keeps what it is told, and draws it.

import { h, render } from "preact";
import htm from "htm";
import { Card, Errors, Numbers, Progress, Queue } from "cards";
import { Chart } from "charts";
import { Details, Search } from "details";
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
  state.open = open;
  draw();
}

let drawing = false;
function draw() {
  if (drawing) return;
  drawing = true;
  const now = () => { drawing = false; render(html`<${Page} />`, root); };
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

async function act(task, subtree) {
  let message = "The server does not answer.";
  try {
    const answer = await fetch(`json/cancel/${task.task}?subtree=${subtree}`, { method: "POST", headers: { "x-azolla-token": token || "" } });
    message = answer.ok ? `Asked to cancel: ${(await answer.json()).cancelled} tasks.` : await answer.text();
  } catch { /* it says so */ }
  await show(task.task);
  state.task = { ...state.task, message };
  draw();
}

const CONNECTION = {
  connecting: "connecting …",
  open: "live",
  lost: "disconnected: this is how it was; trying again",
  report: "report",
};

function Page() {
  const { snapshot, connection, runs, open, moments, errors, task } = state;
  const live = connection !== "report";
  const head = html`<header><h1>azolla <small>${snapshot ? snapshot.client : ""}</small></h1>
    <span id="connection" class=${connection} role="status">${CONNECTION[connection]}</span>
    ${live && snapshot && html`<nav><a href=${url("json/trace")} download="azolla-trace.json">trace</a> <a href=${url("report")} download="azolla-report.html">report</a> <a href=${url("metrics")}>metrics</a></nav>`}</header>`;
  if (!snapshot) return html`${head}<p class="empty">${connection === "lost" ? "The client does not answer: it may have been closed, or its program ended." : "Waiting for the first numbers …"}</p>`;
  const names = {};
  for (const branch of snapshot.branches) names[branch.id] = branch.name;
  const last = moments.length && moments[moments.length - 1].at;
  const failed = snapshot.counts.failed;
  return html`${head}<main>
    ${snapshot.closing && html`<p class="empty">The client is closed.</p>`}
    <${Numbers} snapshot=${snapshot} />
    <${Card} id="progress" title="Progress" note="by function"><${Progress} snapshot=${snapshot} /><//>
    <${Card} id="growth" title="Growth" note="what has grown from what"><${Tree} snapshot=${snapshot} load=${live && load} show=${show} /><//>
    <${Card} id="stream" wide title="Task stream" note="ctrl or shift and wheel, + and − zoom; drag or arrows pan">
      <${Stream} runs=${runs} open=${open} names=${names} slots=${snapshot.slots} now=${snapshot.at * 1e6} live=${live}
        dropped=${snapshot.runs.dropped} leftOut=${snapshot.runs.left_out} seen=${snapshot.runs.seen} show=${live && show} /><//>
    <${Card} id="tasks" title="Tasks over time"><${Chart} label="tasks over time" moments=${moments} last=${last}
      series=${{ live: "live", ready: "ready", busy: "busy", parked: "parked" }} value=${(m, key) => m[key]} /><//>
    <${Card} id="process" title="Process" note="memory in MiB, processors busy"><${Chart} label="memory" moments=${moments} last=${last}
      series=${{ MiB: "memory" }} value=${(m, key) => m[key] === null ? null : m[key] / 1048576} />
      <${Chart} label="processors" moments=${moments} last=${last} series=${{ processors: "cpu" }} value=${(m, key) => m[key]} /><//>
    <${Card} id="queue" title="Queue" note="by priority"><${Queue} snapshot=${snapshot} /><//>
    <${Card} id="errors" title="Errors" note=${failed ? `${failed} failed` : ""}><${Errors} errors=${errors} failed=${failed} show=${live ? show : () => {}} /><//>
    ${live && html`<${Card} id="search" title="Find a task"><${Search} load=${load} show=${show} /><//>`}
    ${task && html`<${Details} task=${task} show=${show} close=${close} load=${load} act=${token ? act : null} />`}
  </main>`;
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

addEventListener("keydown", (event) => { if (event.key === "Escape") close(); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
if (report) take(report); else { draw(); listen(); }
