//! What can be seen of worker processes.

/// The worker processes of an engine, as they are now. There are none if its tasks run in this process.
#[derive(Clone, Debug, Default)]
pub struct Processes {
    /// Each of them, in the order of their numbers. Those that are retired are left out.
    pub each: Vec<ProcessInfo>,
    /// How many bytes of results and arguments have moved to a disk.
    pub on_disk: u64,
}

/// A worker process, as it is now.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessInfo {
    /// The number of its group of slots.
    pub number: u16,
    /// The number by which the system knows it. `None` while it starts, and if it cannot be started.
    pub id: Option<u32>,
    /// How many times it was started.
    pub starts: u32,
    /// How many bytes of memory it takes itself.
    pub memory: u64,
    /// How many bytes it may take, if that is limited.
    pub limit: Option<u64>,
    /// How many bytes of results it has stored that are still needed.
    pub stored: u64,
}
