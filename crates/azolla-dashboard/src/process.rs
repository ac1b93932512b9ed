//! What this process takes of the machine: memory and processor time, from `/proc`; and what its worker processes take.

use azolla::watch::{ProcessInfo, Processes};
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

/// The worker processes.
#[derive(Serialize)]
pub(crate) struct Workers {
    each: Vec<Worker>,
    /// Bytes of results and arguments that have moved to a disk.
    on_disk: u64,
}

/// A worker process.
#[derive(Serialize)]
struct Worker {
    /// As users call it.
    name: u16,
    /// The number by which the system knows it; null while it starts.
    pid: Option<u32>,
    starts: u32,
    /// Bytes of memory that it takes itself.
    memory: u64,
    /// How many it may take; null if any number.
    limit: Option<u64>,
    /// Bytes of results that it has stored, and that are still needed.
    stored: u64,
}

impl From<Processes> for Workers {
    fn from(processes: Processes) -> Self {
        let each = processes.each.into_iter();
        let worker = |ProcessInfo { number, id, starts, memory, limit, stored }| Worker {
            name: number,
            pid: id,
            starts,
            memory,
            limit,
            stored,
        };
        Self { each: each.map(worker).collect(), on_disk: processes.on_disk }
    }
}
