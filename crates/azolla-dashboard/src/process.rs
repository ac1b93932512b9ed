//! What this process takes of the machine: memory and processor time, from `/proc`.

use serde::Serialize;
use std::fs;
use std::time::{Duration, Instant};

/// What the process takes. Where there is no `/proc` nothing is known.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Usage {
    /// Bytes of memory in use.
    pub(crate) memory: Option<u64>,
    /// Processors kept busy since the last time this was asked.
    pub(crate) cpu: Option<f64>,
}

/// Asks again and again.
#[derive(Default)]
pub(crate) struct Process {
    last: Option<(Instant, Duration)>,
}

impl Process {
    pub(crate) fn usage(&mut self) -> Usage {
        let (now, busy) = (Instant::now(), busy());
        let cpu = busy.zip(self.last).and_then(|(busy, (then, before))| {
            let elapsed = now.duration_since(then).as_secs_f64();
            (elapsed > 0.0).then(|| busy.saturating_sub(before).as_secs_f64() / elapsed)
        });
        self.last = busy.map(|busy| (now, busy));
        Usage { memory: memory(), cpu }
    }
}

fn memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// The processor time of all threads, to the nanosecond.
fn busy() -> Option<Duration> {
    let threads = fs::read_dir("/proc/self/task").ok()?;
    let of_thread = |thread: fs::DirEntry| -> Option<u64> {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse().ok()
    };
    Some(Duration::from_nanos(threads.flatten().filter_map(of_thread).sum()))
}
