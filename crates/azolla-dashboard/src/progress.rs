//! Bars in a console: how far each function's tasks have come, the total as it moves, and what may
//! still come.

use crate::estimate::{Estimate, Range, estimate};
use azolla::watch::Overview;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often one looks.
const INTERVAL: Duration = Duration::from_millis(100);
/// The most functions that have a bar of their own.
const BARS: usize = 12;
/// The most characters of a name.
const NAME: usize = 24;

/// Shows on the standard error output how far a client has come, until what this returns is dropped or
/// the client is closed. Where that is no terminal, nothing is shown.
///
/// Each function has a bar, with how many of its tasks have ended and how many there are by now; one
/// for all of them says how many tasks there may be in the end and how long it may take, from what has
/// been measured so far, or why that cannot be told.
///
/// ```
/// let client = azolla::Client::builder().threads_per_worker(2).build()?;
/// let bars = azolla_dashboard::progress(&client)?;
/// let squares = client.map(|n: u64| n * n, 0..1_000);
/// client.gather(&squares)?;
/// drop(bars); // they stay as they are
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If there is no thread to be had.
pub fn progress(client: &azolla::Client) -> io::Result<Progress> {
    progress_to(client, ProgressDrawTarget::stderr())
}

/// As [`progress()`], wherever `indicatif` can draw.
///
/// # Errors
/// If there is no thread to be had.
pub fn progress_to(client: &azolla::Client, target: ProgressDrawTarget) -> io::Result<Progress> {
    let watch = client.watch();
    let (stop, stopped) = mpsc::channel();
    let draw = move || {
        let mut bars = Bars::new(target);
        loop {
            // Asked before one looks: what was last is seen.
            let last = watch.is_closing()
                || stopped.recv_timeout(INTERVAL) != Err(RecvTimeoutError::Timeout);
            bars.show(&watch.overview());
            if last {
                return bars.leave();
            }
        }
    };
    let thread = std::thread::Builder::new().name("azolla-progress".into()).spawn(draw)?;
    Ok(Progress { stop, thread: Some(thread) })
}

/// Bars that are kept up to date. Dropping it leaves them as they are.
#[derive(Debug)]
#[must_use = "bars are kept up to date until this is dropped"]
pub struct Progress {
    stop: Sender<()>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Progress {
    fn drop(&mut self) {
        // Gone already if the client was closed.
        let _ = self.stop.send(());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Bars {
    area: MultiProgress,
    named: Vec<(String, ProgressBar)>,
    all: ProgressBar,
}

impl Bars {
    fn new(target: ProgressDrawTarget) -> Self {
        let area = MultiProgress::with_draw_target(target);
        let all = area.add(bar("all"));
        Self { area, named: Vec::new(), all }
    }

    fn show(&mut self, overview: &Overview) {
        let counted = by_name(overview);
        for (name, counts) in &counted {
            let at = self.named.iter().position(|(known, _)| known == name);
            let at = at.unwrap_or_else(|| {
                self.named.push((name.clone(), self.area.insert_before(&self.all, bar(name))));
                self.named.len() - 1
            });
            set(&self.named[at].1, counts);
            self.named[at].1.set_message(counts.words());
        }
        let mut all = Counts::default();
        for (_, counts) in &counted {
            all.add(counts);
        }
        set(&self.all, &all);
        let what = [all.words(), words(&estimate(overview), all.submitted - all.settled)];
        let what: Vec<_> = what.into_iter().filter(|words| !words.is_empty()).collect();
        self.all.set_message(what.join(", "));
    }

    fn leave(self) {
        for (_, bar) in &self.named {
            bar.abandon();
        }
        self.all.abandon();
    }
}

fn bar(name: &str) -> ProgressBar {
    let form = "{prefix:>24} [{bar:30}] {pos}/{len} {msg}";
    let style = ProgressStyle::with_template(form).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(0).with_style(style.progress_chars("=> ")).with_prefix(name.to_owned())
}

fn set(bar: &ProgressBar, counts: &Counts) {
    bar.set_length(counts.submitted);
    bar.set_position(counts.settled);
}

#[derive(Default)]
struct Counts {
    submitted: u64,
    settled: u64,
    failed: u64,
    cancelled: u64,
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.submitted += other.submitted;
        self.settled += other.settled;
        self.failed += other.failed;
        self.cancelled += other.cancelled;
    }

    /// What is not as it should be.
    fn words(&self) -> String {
        let all = [(self.failed, "failed"), (self.cancelled, "cancelled")];
        let some = all.iter().filter(|(count, _)| *count > 0);
        some.map(|(count, what)| format!("{count} {what}")).collect::<Vec<_>>().join(", ")
    }
}

/// By names, in the order in which they came up; those that have no room for a bar are one.
fn by_name(overview: &Overview) -> Vec<(String, Counts)> {
    let mut counted: Vec<(String, Counts)> = Vec::new();
    for branch in overview.branches.iter().filter(|branch| branch.submitted() > 0) {
        let counts = Counts {
            submitted: branch.submitted(),
            settled: branch.settled(),
            failed: branch.failed,
            cancelled: branch.cancelled,
        };
        let name = shown(&branch.name);
        match counted.iter().position(|(known, _)| *known == name) {
            Some(at) => counted[at].1.add(&counts),
            None if counted.len() < BARS => counted.push((name, counts)),
            None => {
                let (name, last) = &mut counted[BARS - 1];
                *name = "(the others)".into();
                last.add(&counts);
            }
        }
    }
    counted
}

/// A name as it can be shown in a line of a terminal.
fn shown(name: &str) -> String {
    let printable = |c: char| if c.is_control() { '?' } else { c };
    let mut short: String = name.chars().take(NAME).map(printable).collect();
    if name.chars().nth(NAME).is_some() {
        short.pop();
        short.push('…');
    }
    short
}

/// What is to be expected, as far as it is not there to see.
fn words(estimate: &Estimate, left: u64) -> String {
    if left == 0 {
        return String::new();
    }
    let mut words = Vec::new();
    if let Some(tasks) = estimate.tasks
        && tasks.high > tasks.low
    {
        words.push(format!("up to {} in the end", tasks.high));
    }
    match (&estimate.seconds, &estimate.unknown) {
        (Some(seconds), _) => words.push(format!("{} left", duration(*seconds))),
        (None, Some(why)) => words.push(format!("time left unknown: {}", shown_whole(why))),
        (None, None) => {}
    }
    words.join(", ")
}

fn shown_whole(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

fn duration(Range { low, high }: Range) -> String {
    let (low, high) = (one_duration(low), one_duration(high));
    if low == high { low } else { format!("{low} to {high}") }
}

fn one_duration(seconds: f64) -> String {
    match seconds {
        s if s < 0.95 => format!("{:.1} s", s),
        s if s < 90.0 => format!("{s:.0} s"),
        s if s < 5400.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use indicatif::{InMemoryTerm, TermLike};
    use std::sync::{Arc, Condvar, Mutex};
    use std::time::Instant;

    /// A terminal that can be read, and a gate that its tasks wait at.
    fn terminal() -> (InMemoryTerm, ProgressDrawTarget) {
        let terminal = InMemoryTerm::new(24, 200);
        let boxed: Box<dyn TermLike> = Box::new(terminal.clone());
        (terminal, ProgressDrawTarget::term_like(boxed))
    }

    fn shows(terminal: &InMemoryTerm, words: &[&str]) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !words.iter().all(|words| terminal.contents().contains(words)) {
            assert!(Instant::now() < deadline, "{words:?} not in\n{}", terminal.contents());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn bars_show_the_counts_by_name_a_total_that_moves_and_what_cannot_be_told() {
        let client = azolla::Client::builder().threads_per_worker(1).build().unwrap();
        let (terminal, target) = terminal();
        let bars = progress_to(&client, target).unwrap();
        let gate = Arc::new((Mutex::new(false), Condvar::new()));
        let passes = Arc::clone(&gate);
        let first = client.task().key("fern").map(|n: u32| n, 0..3);
        client.gather(&first).unwrap();
        let (begins, begun) = mpsc::channel();
        let held = client.task().key("moss").submit(move || {
            begins.send(()).unwrap();
            let open = passes.0.lock().unwrap();
            drop(passes.1.wait_while(open, |open| !*open).unwrap());
        });
        begun.recv().unwrap();
        let bad = client.task().key("duckweed").priority(1).try_submit(|| Err::<(), _>("dry"));
        shows(&terminal, &["fern", "3/3", "moss", "0/1", "all", "3/5", "time left unknown"]);
        *gate.0.lock().unwrap() = true;
        gate.1.notify_all();
        assert!(held.result().is_ok() && bad.result().is_err());
        drop(bars);
        let text = terminal.contents();
        assert!(text.contains("5/5 1 failed") && text.contains("1/1"), "{text}");
        assert!(!text.contains("left"), "{text}");
    }

    #[test]
    fn they_end_with_their_client_and_hold_up_nobody() {
        let client = azolla::Client::builder().threads_per_worker(1).build().unwrap();
        let (terminal, target) = terminal();
        let bars = progress_to(&client, target).unwrap();
        client.task().key("bell\x1b[31m").submit(|| ()).result().unwrap();
        client.close();
        drop(bars);
        let text = terminal.contents();
        assert!(text.contains("bell?[31m"), "{text:?}");
    }

    #[test]
    fn what_is_too_much_for_bars_is_one() {
        let branch = |name: String| azolla::watch::BranchInfo {
            parent: 0,
            name: name.into(),
            grown_from: vec![azolla::watch::Grown { from: 0, count: 2, lately: 2 }],
            lately: 1,
            finished: 1,
            failed: 0,
            cancelled: 0,
            durations: azolla::watch::Durations::default(),
        };
        let overview = Overview {
            at: Duration::ZERO,
            slots: 1,
            left_out: 0,
            counts: azolla::watch::Counts::default(),
            queue: Vec::new(),
            branches: (0..20).map(|n| branch(format!("f{}", n % 15))).collect(),
        };
        let counted = by_name(&overview);
        assert_eq!(counted.len(), BARS);
        assert_eq!(counted.iter().map(|(_, counts)| counts.submitted).sum::<u64>(), 40);
        assert_eq!((counted[0].1.submitted, counted[11].0.as_str()), (4, "(the others)"));
        assert_eq!(duration(Range { low: 0.2, high: 7200.0 }), "0.2 s to 2.0 h");
    }
}
