//! What can go wrong between a task and the thread that wants its result.

use crate::cause::Cause;
use std::error::Error as StdError;
use std::fmt::{self, Write};
use std::sync::Arc;

/// Why there is no result. Cheap to clone: all who wait for a failed task share its error.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The task returned an error (`try_submit`), or a task that it depended on did.
    #[error("task {key} failed: {source}")]
    Failed {
        /// The key of the task that returned it.
        key: String,
        /// What it returned.
        source: Cause,
    },
    /// The task panicked, or a task that it depended on did.
    #[error("task {key} panicked: {message}")]
    Panicked {
        /// The key of the task that panicked.
        key: String,
        /// What it panicked with, if that was text.
        message: Arc<str>,
    },
    /// The task was cancelled, or a task that it depended on was, or the client was closed before
    /// it ended.
    #[error("task {key} was cancelled")]
    Cancelled {
        /// The key of the task.
        key: String,
    },
    /// Waiting would never end: each of these tasks waits for the next, and the last for the first.
    #[error("{}", in_a_cycle(.keys))]
    WaitCycle {
        /// The keys of the tasks; the first is the one that was about to wait. None if a task was refused because a wait for
        /// all that has grown somewhere would wait for it without end.
        keys: Vec<String>,
    },
    /// The key belongs to a task with a result of another type.
    #[error("the key {key} belongs to a task whose result is not a {expected}")]
    KeyType {
        /// The key.
        key: String,
        /// The type that was expected.
        expected: &'static str,
    },
    /// An input belongs to another client.
    #[error("the input {key} belongs to another client")]
    OtherClient {
        /// The input's key.
        key: String,
    },
    /// No worker of the client could ever run the task.
    #[error("no worker can ever run a task that wants {wanted}")]
    NoWorker {
        /// The workers and resources that it wants.
        wanted: String,
    },
    /// Tasks of a group have failed.
    #[error("{} of the tasks of {name} failed, first: {}", .errors.len(), first(.errors))]
    Group {
        /// The name of the group.
        name: Arc<str>,
        /// The errors of the tasks, in the order in which they failed.
        errors: Arc<[Error]>,
    },
    /// The time was up before the result was there. The task goes on.
    #[error("the time was up before the result was there")]
    TimedOut,
    /// The client is closed, or what was waited for is.
    #[error("the client is closed")]
    Closed,
    /// The name belongs to something else: to a queue of another type, or to a semaphore with another
    /// number of leases.
    #[error("{0}")]
    Name(Arc<str>),
    /// The system has no thread to give, so that a waiting task could not lend its slot.
    #[error("no thread could be started: {0}")]
    NoThread(Arc<std::io::Error>),
    /// The engine itself has broken down.
    #[error("{0}")]
    Engine(Arc<str>),
}

impl Error {
    /// The key of the task that it tells of, if it is one: of the first, where it is a cycle of waits.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::Failed { key, .. }
            | Self::Panicked { key, .. }
            | Self::Cancelled { key }
            | Self::KeyType { key, .. }
            | Self::OtherClient { key } => Some(key),
            Self::WaitCycle { keys } => keys.first().map(String::as_str),
            _ => None,
        }
    }

    /// What the task returned as its error, if it is of this type.
    ///
    /// ```
    /// let client = azolla::Client::builder().threads_per_worker(1).build()?;
    /// let bad = client.try_submit(|| "seven".parse::<i32>());
    /// let error = bad.result().unwrap_err();
    /// assert!(error.downcast_ref::<std::num::ParseIntError>().is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn downcast_ref<E: StdError + 'static>(&self) -> Option<&E> {
        match self {
            Self::Failed { source, .. } => source.downcast_ref(),
            _ => None,
        }
    }
}

impl Error {
    /// Returns the error with its causes, cut where it is longer than a reader can use. What is cut is never
    /// put together.
    pub(crate) fn in_words(&self) -> String {
        let mut words = Words::default();
        let mut source = StdError::source(self);
        // It fails once the words are cut.
        let mut written = write!(words, "{self}");
        while let (Ok(()), Some(cause)) = (written, source) {
            written = write!(words, "\ncaused by: {cause}");
            source = cause.source();
        }
        words.text
    }
}

/// A text that takes no more once it is long enough.
#[derive(Default)]
struct Words {
    text: String,
    is_cut: bool,
}

/// The most bytes of an error in words.
const WORDS: usize = 20_000;

impl Write for Words {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = WORDS.saturating_sub(self.text.len());
        if text.len() <= room {
            self.text.push_str(text);
            return Ok(());
        }
        if !self.is_cut {
            self.is_cut = true;
            self.text.push_str(&text[..text.floor_char_boundary(room)]);
            self.text.push_str("\n… cut here");
        }
        Err(fmt::Error)
    }
}

impl<E> From<crate::runtime::WaitError<E>> for Error {
    fn from(error: crate::runtime::WaitError<E>) -> Self {
        use crate::runtime::WaitError;
        match error {
            WaitError::TimedOut | WaitError::Interrupted(_) => Self::TimedOut,
            WaitError::Cycle(keys) => Self::WaitCycle { keys },
            WaitError::Cancelled(key) => Self::Cancelled { key },
            WaitError::Closed => Self::Closed,
            WaitError::NoThread(error) => Self::NoThread(Arc::new(error)),
        }
    }
}

fn first(errors: &[Error]) -> String {
    errors.first().map(ToString::to_string).unwrap_or_default()
}

fn in_a_cycle(keys: &[String]) -> String {
    if keys.is_empty() { ENDLESS.into() } else { CYCLE.to_owned() + &keys.join(" -> ") }
}

/// What the error of a wait for tasks that wait for each other says before their keys.
const CYCLE: &str = "these tasks would wait for each other for ever: ";

/// What the error says of a task that would be waited for without end.
pub const ENDLESS: &str = "a task that waits for all that has grown here, as a group does, would wait for this one \
without end: this one needs its result, or what it keeps";

#[cfg(all(test, not(azolla_shuttle)))]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// An error with a long text, which counts the parts of it that it was asked for.
    #[derive(Debug)]
    struct Long(AtomicUsize);

    impl fmt::Display for Long {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            for _ in 0..1_000_000 {
                self.0.fetch_add(1, Ordering::Relaxed);
                f.write_str("ä long line ")?;
            }
            Ok(())
        }
    }

    impl StdError for Long {}

    #[test]
    fn words_end_where_they_are_cut() {
        let long = Arc::new(Long(AtomicUsize::new(0)));
        let source = Cause::new(long.clone());
        let text = Error::Failed { key: "moss".into(), source }.in_words();
        assert!(text.starts_with("task moss failed: ä long line") && text.ends_with("… cut here"));
        assert!(text.len() < WORDS + 100 && long.0.load(Ordering::Relaxed) < WORDS);
        let key = "moss".into();
        let short = Error::Failed { key, source: Cause::new(Arc::new(fmt::Error)) }.in_words();
        assert!(short.contains("\ncaused by: "), "{short}");
    }

    #[test]
    fn words_that_are_cut_where_there_is_no_room_left_say_so() {
        #[derive(Debug, thiserror::Error)]
        #[error("{0}")]
        struct Fills(String, #[source] fmt::Error);
        let words = |length| {
            let source = Cause::new(Arc::new(Fills("x".repeat(length), fmt::Error)));
            Error::Failed { key: "moss".into(), source }.in_words()
        };
        let rest = words(0).split("caused by").next().map_or(0, str::len) - 1;
        let full = words(WORDS - rest);
        assert!(full.ends_with("x\n… cut here"), "{}", &full[WORDS - 10..]);
    }
}
