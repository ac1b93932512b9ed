//! What is answered where. docs/dashboard.md tells users.

use crate::connections::Seat;
use crate::server::{Recording, Shared};
use crate::snapshot::{Details, Task, details, listed, parse_id, rows};
use crate::{assets, gate, metrics, report, trace};
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Extension, Router, middleware};
use azolla::watch::BranchId;
use azolla::watch::{Filter, TaskInfo};
use futures_util::stream::{StreamExt, unfold};
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

type Dashboard = State<Arc<Shared>>;

pub(crate) fn routes(shared: &Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(|| async { Redirect::temporary("status") }))
        .route("/status", get(assets::page))
        .route("/assets/{name}", get(assets::asset))
        .route("/events", get(events))
        .route("/health", get(health))
        .route("/metrics", get(metrics_text))
        .route("/report", get(report_page))
        .route("/json/overview", get(overview))
        .route("/json/errors", get(errors))
        .route("/json/runs", get(runs))
        .route("/json/trace", get(trace_file))
        .route("/json/tasks", get(tasks))
        .route("/json/task/{id}", get(task))
        .route("/json/cancel/{id}", post(cancel))
        .layer(middleware::from_fn_with_state(Arc::clone(shared), gate::gate))
        .with_state(Arc::clone(shared))
}

fn json(value: &impl Serialize) -> Response {
    match serde_json::to_string(value) {
        Ok(text) => ([(header::CONTENT_TYPE, "application/json")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

fn missing(what: &str) -> Response {
    (StatusCode::NOT_FOUND, format!("{what}\n")).into_response()
}

/// The most runs that one message brings.
const MOST_RUNS: usize = 2_000;

/// The most event streams at once. A page has one.
const MOST_STREAMS: usize = 32;

/// One of the event streams.
struct Place(Arc<Shared>);

impl Place {
    fn take(shared: &Arc<Shared>) -> Option<Self> {
        let place = Self(Arc::clone(shared));
        let before = shared.streams.fetch_add(1, Ordering::AcqRel);
        (before < MOST_STREAMS).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Ordering::AcqRel);
    }
}

/// What a page has been told.
struct Told {
    shared: Arc<Shared>,
    _place: Place,
    seat: Seat,
    /// While this lives one looks.
    _watching: Recording,
    snapshots: tokio::sync::watch::Receiver<(u64, Arc<str>)>,
    runs: u64,
    errors: usize,
    first: bool,
}

/// First what is remembered, then what is new, four times a second.
async fn events(State(shared): Dashboard, Extension(seat): Extension<Seat>) -> Response {
    let Some(_place) = Place::take(&shared) else {
        let why = "too many pages are open: close one\n";
        return (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "5")], why)
            .into_response();
    };
    let told = Told {
        _place,
        seat,
        _watching: Recording::new(&shared),
        snapshots: shared.latest.subscribe(),
        shared,
        runs: 0,
        errors: usize::MAX,
        first: true,
    };
    let stream = unfold(told, |mut told| async move {
        told.snapshots.changed().await.ok()?;
        // A reader that takes nothing in is not asked for more, and loses its connection.
        told.seat.touch();
        let event = Event::default().data(told.next());
        Some((event, told))
    });
    let stream = stream.map(Ok::<_, Infallible>);
    Sse::new(stream).keep_alive(KeepAlive::default()).into_response()
}

impl Told {
    fn next(&mut self) -> String {
        let snapshot = Arc::clone(&self.snapshots.borrow_and_update().1);
        let recorder = self.shared.recorder();
        // What a page cannot take in at this pace it is not told: the runs are a sample anyway.
        let newest = recorder.seen();
        let after = self.runs.max(newest.saturating_sub(MOST_RUNS as u64));
        let (runs, open) = rows(&recorder, after, MOST_RUNS);
        self.runs = newest;
        let mut message = format!(r#"{{"snapshot":{snapshot},"#);
        let mut add = |name: &str, value: Result<String, serde_json::Error>| {
            message.push_str(&format!(r#""{name}":{},"#, value.unwrap_or("null".into())));
        };
        add("runs", serde_json::to_string(&runs));
        if std::mem::take(&mut self.first) {
            add("moments", serde_json::to_string(&recorder.moments));
        }
        let errors = recorder.errors_seen();
        if self.errors != errors {
            self.errors = errors;
            add("errors", serde_json::to_string(&recorder.errors));
        }
        add("open", serde_json::to_string(&open));
        message.pop();
        message.push('}');
        message
    }
}

async fn health(State(shared): Dashboard) -> Response {
    let closing = shared.watch.is_closing();
    let (code, status) = match closing {
        false => (StatusCode::OK, "ok"),
        true => (StatusCode::SERVICE_UNAVAILABLE, "closed"),
    };
    (code, json(&serde_json::json!({ "status": status }))).into_response()
}

async fn metrics_text(State(shared): Dashboard) -> Response {
    match metrics::metrics(&shared.watch.overview()) {
        Ok(text) => ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn report_page(State(shared): Dashboard) -> Response {
    let disposition = "attachment; filename=\"azolla-report.html\"";
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    (headers, report::report(&shared)).into_response()
}

async fn overview(State(shared): Dashboard) -> Response {
    let overview = shared.look();
    json(&shared.snapshot(&overview))
}

async fn errors(State(shared): Dashboard) -> Response {
    json(&shared.recorder().errors)
}

#[derive(Deserialize)]
struct After {
    #[serde(default)]
    after: u64,
}

async fn runs(State(shared): Dashboard, Query(query): Query<After>) -> Response {
    json(&rows(&shared.recorder(), query.after, usize::MAX))
}

async fn trace_file(State(shared): Dashboard) -> Response {
    let overview = shared.look();
    let text = trace::trace(&shared.recorder(), &overview, &shared.client);
    let disposition = "attachment; filename=\"azolla-trace.json\"";
    let headers =
        [(header::CONTENT_TYPE, "application/json"), (header::CONTENT_DISPOSITION, disposition)];
    (headers, text).into_response()
}

/// Which tasks; the first of these that is given.
#[derive(Deserialize)]
struct Which {
    key: Option<String>,
    branch: Option<u32>,
    parent: Option<u64>,
    #[serde(default)]
    from: usize,
}

#[derive(Serialize)]
struct Found {
    tasks: Vec<Task>,
    /// Where to go on; null when that was all.
    next: Option<usize>,
}

/// The most tasks in one answer, and how long one looks for them.
const MOST_TASKS: usize = 100;
const PATIENCE: Duration = Duration::from_secs(1);

async fn tasks(State(shared): Dashboard, Query(which): Query<Which>) -> Response {
    let filter = match which {
        Which { key: Some(key), .. } => Filter::Key(key),
        Which { branch: Some(branch), .. } => Filter::Branch(BranchId(branch)),
        Which { parent: Some(number), .. } => Filter::Parent(number),
        _ => {
            let wanted = "say which tasks: ?key=, ?branch= or ?parent=";
            return (StatusCode::BAD_REQUEST, wanted).into_response();
        }
    };
    let until = Instant::now() + PATIENCE;
    let (mut tasks, mut next) = (Vec::new(), Some(which.from));
    while let Some(from) = next
        && tasks.len() < MOST_TASKS
        && Instant::now() < until
    {
        let found = shared.watch.tasks(&filter, from);
        tasks.extend(found.tasks);
        next = found.next;
        // Others are answered in between.
        tokio::task::yield_now().await;
    }
    json(&Found { tasks: listed(&tasks, &shared.recorder()), next })
}

async fn task(State(shared): Dashboard, Path(id): Path<String>) -> Response {
    let Some(task) = parse_id(&id) else { return missing("this is no task's id") };
    // That a task is gone is no error: pages ask for those that they have seen.
    let Some(info) = shared.watch.task(task) else { return json(&None::<Details>) };
    let parent = by_number(&shared, info.view.lineage.parent).await;
    let kin = shared.watch.kin(task);
    let details = details(&info, parent.as_ref(), &kin, &shared.recorder());
    if details.lacks_error() {
        shared.watch.show_failure(task);
        shared.give_turn();
    }
    json(&details)
}

/// The task that has this number, if it is kept.
async fn by_number(shared: &Shared, number: u64) -> Option<TaskInfo> {
    let seen = shared.recorder().seen_as(number);
    if let Some(info) = seen.and_then(|task| shared.watch.task(task)) {
        return Some(info);
    }
    let (filter, mut from) = (Filter::Number(number), Some(0).filter(|_| number > 0));
    while let Some(place) = from {
        let mut found = shared.watch.tasks(&filter, place);
        if let Some(info) = found.tasks.pop() {
            return Some(info);
        }
        from = found.next;
        tokio::task::yield_now().await;
    }
    None
}

#[derive(Deserialize)]
struct How {
    #[serde(default)]
    subtree: bool,
}

async fn cancel(
    State(shared): Dashboard,
    Path(id): Path<String>,
    Query(how): Query<How>,
) -> Response {
    let Some(task) = parse_id(&id) else { return missing("this is no task's id") };
    json(&serde_json::json!({ "cancelled": shared.watch.cancel(task, how.subtree) }))
}
