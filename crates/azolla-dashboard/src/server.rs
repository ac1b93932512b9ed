//! The server. It listens, looks at the engine four times a second while a page or a recording watches, and otherwise
//! sleeps.
//!
//! It runs on whatever thread calls [`Server::run`], which comes back now and then: so a front end
//! whose errors take foreign code to put into words can do that in between.

use crate::recorder::Recorder;
use crate::snapshot::{Snapshot, snapshot};
use crate::{address, connections, gate, report, routes, trace};
use azolla::watch::{Filter, Held, Overview, TaskInfo, Watch};
use std::io;
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::sync::{Notify, watch};

/// How often the server looks.
const INTERVAL: Duration = Duration::from_millis(250);

/// A dashboard's server, to be run on a thread of the caller's.
pub struct Server {
    shared: Arc<Shared>,
    listener: Option<TcpListener>,
    runtime: Option<Runtime>,
}

/// What other threads may do with a dashboard.
#[derive(Clone)]
pub struct Handle(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) watch: Arc<dyn Watch>,
    pub(crate) client: String,
    pub(crate) token: gate::Token,
    link: String,
    recorder: Mutex<Recorder>,
    /// The latest sample of the results that are held: when it was taken, and which it was.
    held: Mutex<Option<(Instant, usize, Held)>>,
    /// How many look: pages and recordings.
    watchers: AtomicUsize,
    /// How many event streams are open.
    pub(crate) streams: AtomicUsize,
    /// What is only read needs the token too.
    pub(crate) reading_needs_token: AtomicBool,
    changed: Notify,
    turn: Notify,
    closed: AtomicBool,
    /// The latest snapshot as JSON, with the number of times that one has looked.
    pub(crate) latest: watch::Sender<(u64, Arc<str>)>,
}

impl Server {
    /// Listens there, or on the next port that is free; answers once it [runs](Self::run).
    ///
    /// # Errors
    /// If the address is none, or none of this machine's.
    pub fn bind(address: &str, watch: Arc<dyn Watch>, client: &str) -> io::Result<Self> {
        let listener = address::listen(address)?;
        let mut at = listener.local_addr()?;
        if at.ip().is_unspecified() {
            at.set_ip([127, 0, 0, 1].into());
        }
        let token = gate::Token::new()?;
        let link = format!("http://{at}/status?token={}", token.text());
        Ok(Self::new(Some(listener), token, link, watch, client))
    }

    /// Listens nowhere: this server records, and gives traces and reports to its [handles](Self::handle) alone.
    ///
    /// # Errors
    /// If the system gives no random numbers.
    pub fn without_page(watch: Arc<dyn Watch>, client: &str) -> io::Result<Self> {
        Ok(Self::new(None, gate::Token::new()?, String::new(), watch, client))
    }

    fn new(
        listener: Option<TcpListener>,
        token: gate::Token,
        link: String,
        watch: Arc<dyn Watch>,
        client: &str,
    ) -> Self {
        let shared = Shared {
            watch,
            client: client.to_owned(),
            token,
            link,
            recorder: Mutex::default(),
            held: Mutex::default(),
            watchers: AtomicUsize::new(0),
            streams: AtomicUsize::new(0),
            reading_needs_token: AtomicBool::new(false),
            changed: Notify::new(),
            turn: Notify::new(),
            closed: AtomicBool::new(false),
            latest: watch::Sender::new((0, "".into())),
        };
        Self { shared: Arc::new(shared), listener, runtime: None }
    }

    /// For other threads.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle(Arc::clone(&self.shared))
    }

    /// Serves for a while; false: it is closed. Call it again and again, always on one thread.
    pub fn run(&mut self) -> bool {
        if self.runtime.is_none() && self.start().is_err() {
            self.shared.closed.store(true, Ordering::Release);
        }
        if let Some(runtime) = &self.runtime
            && !self.shared.is_closed()
        {
            runtime.block_on(self.shared.turn.notified());
        }
        let goes_on = !self.shared.is_closed();
        if !goes_on && let Some(runtime) = self.runtime.take() {
            // With it go all connections, however long they would have lasted.
            drop(runtime);
            self.shared.recorder().look_away();
        }
        goes_on
    }

    /// Takes up what has failed, where it takes no foreign code to put it into words.
    pub fn describe_failures(&self) {
        for (info, text) in self.shared.watch.failures() {
            if let Some(text) = text {
                self.shared.recorder().add_error(&info, &text);
            }
        }
    }

    fn start(&mut self) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        if let Some(listener) = self.listener.take() {
            let routes = routes::routes(&self.shared);
            let listener = {
                let _context = runtime.enter();
                tokio::net::TcpListener::from_std(listener)?
            };
            runtime.spawn(connections::serve(listener, routes));
        }
        runtime.spawn(Arc::clone(&self.shared).look_while_watched());
        self.runtime = Some(runtime);
        Ok(())
    }
}

impl Handle {
    /// The address of the page, with the token; empty without a page. Everyone who has the token may cancel tasks.
    #[must_use]
    pub fn link(&self) -> &str {
        &self.0.link
    }

    /// From now on the server answers what is only read, too, to those alone who bring the token of the
    /// [link](Self::link).
    ///
    /// ```
    /// let client = azolla::Client::builder().threads_per_worker(1).build()?;
    /// let dashboard = azolla_dashboard::serve(&client, ":0")?;
    /// dashboard.handle().require_token();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn require_token(&self) {
        self.0.reading_needs_token.store(true, Ordering::Release);
    }

    /// Ends the server at once. Its port is free when [`Server::run`] has returned false.
    pub fn close(&self) {
        self.0.closed.store(true, Ordering::Release);
        self.0.turn.notify_one();
    }

    /// Records what runs, for traces and reports, from now until the returned value is dropped. It records even while
    /// no page is open.
    #[must_use]
    pub fn record(&self) -> Recording {
        Recording::new(&self.0)
    }

    /// Adds an error to those that are shown. For front ends that put errors into words themselves: after each
    /// [`Server::run`] they take the tasks that have failed from their engine.
    pub fn add_error(&self, task: &TaskInfo, text: &str) {
        self.0.recorder().add_error(task, text);
    }

    /// What was remembered as a trace: JSON that Perfetto and chrome://tracing open.
    #[must_use]
    pub fn trace(&self) -> String {
        let overview = self.0.look();
        trace::trace(&self.0.recorder(), &overview, &self.0.client)
    }

    /// What was remembered as one page that needs nothing else.
    #[must_use]
    pub fn report(&self) -> String {
        report::report(&self.0)
    }
}

/// Has the dashboard remember what runs, as long as it is not dropped.
pub struct Recording(Arc<Shared>);

impl Recording {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        shared.watchers.fetch_add(1, Ordering::AcqRel);
        // From now, not from when the server next wakes up.
        drop(shared.recorder().look(&*shared.watch));
        shared.changed.notify_one();
        Self(Arc::clone(shared))
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.0.watchers.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Shared {
    pub(crate) fn recorder(&self) -> MutexGuard<'_, Recorder> {
        self.recorder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has [`Server::run`] come back.
    pub(crate) fn give_turn(&self) {
        self.turn.notify_one();
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn is_watched(&self) -> bool {
        self.watchers.load(Ordering::Acquire) > 0
    }

    /// Takes in what has happened, if it is being observed, and says how much there is.
    pub(crate) fn look(&self) -> Overview {
        if self.is_watched() { self.recorder().look(&*self.watch) } else { self.watch.overview() }
    }

    pub(crate) fn snapshot(&self, overview: &Overview) -> Snapshot {
        let (closing, held) = (self.watch.is_closing(), self.held());
        let (workers, groups) = (self.watch.processes().into(), self.watch.groups().into());
        snapshot(overview, held, workers, groups, &self.recorder(), &self.client, closing)
    }

    /// What a sample of the results shows that was taken within the last second.
    pub(crate) fn held(&self) -> Held {
        let latest = || self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let before = *latest();
        let turn = match before {
            Some((at, _, held)) if at.elapsed() < Duration::from_secs(1) => return held,
            Some((_, turn, _)) => turn + 1,
            None => 0,
        };
        // Foreign objects are looked at: not with anything locked.
        let held = self.watch.held(turn);
        *latest() = Some((Instant::now(), turn, held));
        held
    }

    async fn look_while_watched(self: Arc<Self>) {
        let mut looks = 0;
        loop {
            while !self.is_watched() {
                self.changed.notified().await;
            }
            // In this order: what fails in between is not missed.
            drop(self.look());
            self.recall_failures();
            while self.is_watched() {
                looks += 1;
                let overview = self.look();
                let json = serde_json::to_string(&self.snapshot(&overview)).unwrap_or_default();
                self.latest.send_replace((looks, json.into()));
                self.turn.notify_one();
                tokio::time::sleep(INTERVAL).await;
            }
            let mut recorder = self.recorder();
            // A watcher that has just come may have looked already.
            if !self.is_watched() {
                recorder.look_away();
            }
        }
    }

    /// Finds the errors from before a page was open: those of the failed tasks that are kept.
    fn recall_failures(&self) {
        let mut from = Some(0);
        if self.watch.overview().branches.iter().all(|branch| branch.failed == 0) {
            return;
        }
        while let Some(place) = from {
            let found = self.watch.tasks(&Filter::Failed, place);
            for info in found.tasks {
                self.watch.show_failure(info.task);
            }
            from = found.next;
        }
    }
}
