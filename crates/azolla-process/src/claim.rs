//! The claim of one thread of a worker process: how many tasks of the frame at hand it may begin, and has begun.
//!
//! It is one word in memory that both processes see. The client opens a frame of so many tasks; the thread begins one
//! after the other, each by a compare-and-swap; and the client takes back all that has not begun by another. Both are
//! final at once, whatever the other process does meanwhile. Frames are numbered, since a thread may still hold a frame
//! of which everything was taken back when the next one is open.

use crate::primitives::{AtomicU64, Ordering};

/// The most tasks in one frame.
pub const MOST: u16 = u16::MAX;

/// What a claim's word says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Claimed {
    /// The number of the frame. It wraps around.
    pub frame: u32,
    /// How many of the frame's tasks may begin.
    pub limit: u16,
    /// How many of them have begun. Only the last of these may be running.
    pub begun: u16,
}

impl Claimed {
    fn of(word: u64) -> Self {
        Self { frame: (word >> 32) as u32, limit: (word >> 16) as u16, begun: word as u16 }
    }

    fn word(self) -> u64 {
        u64::from(self.frame) << 32 | u64::from(self.limit) << 16 | u64::from(self.begun)
    }
}

/// A claim: a view of the word in shared memory. All bits of a new word are 0.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a>(&'a AtomicU64);

impl<'a> Claim<'a> {
    /// The claim whose word this is.
    #[must_use]
    pub fn new(word: &'a AtomicU64) -> Self {
        Self(word)
    }

    /// What the word says now.
    #[must_use]
    pub fn now(self) -> Claimed {
        Claimed::of(self.0.load(Ordering::Acquire))
    }

    /// For the client: opens the next frame, of so many tasks, and returns its number. Every task of the last frame has
    /// ended or was taken back.
    #[must_use]
    pub fn open(self, tasks: u16) -> u32 {
        let before = self.now();
        let frame = before.frame.wrapping_add(1);
        // The thread changes the word only while a task of the last frame is left to begin, and none is.
        debug_assert_eq!(before.limit, before.begun, "a task of the last frame may still begin");
        self.0.store(Claimed { frame, limit: tasks, begun: 0 }.word(), Ordering::Release);
        frame
    }

    /// For the thread: begins the next task of this frame. Returns false if it was taken back; then so were those behind
    /// it.
    #[must_use]
    pub fn begin(self, frame: u32) -> bool {
        let begun = |word| {
            let claimed = Claimed::of(word);
            let may_begin = claimed.frame == frame && claimed.begun < claimed.limit;
            may_begin.then(|| Claimed { begun: claimed.begun + 1, ..claimed }.word())
        };
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, begun).is_ok()
    }

    /// For the client: takes back all tasks that have not begun. Returns how many have.
    pub fn take_back(self) -> u16 {
        let mut begun = 0;
        let none_left = |word| {
            let claimed = Claimed::of(word);
            begun = claimed.begun;
            (claimed.limit != begun).then(|| Claimed { limit: begun, ..claimed }.word())
        };
        let _ = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, none_left);
        begun
    }
}

#[cfg(all(test, not(azolla_shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_begun_task_by_task_up_to_its_limit() {
        let word = AtomicU64::new(0);
        let claim = Claim::new(&word);
        assert!(!claim.begin(0), "no frame is open");
        let frame = claim.open(2);
        assert!(claim.begin(frame) && claim.begin(frame) && !claim.begin(frame));
        assert_eq!(claim.now(), Claimed { frame, limit: 2, begun: 2 });
        assert_eq!(claim.take_back(), 2);
    }

    #[test]
    fn what_was_taken_back_does_not_begin_nor_does_a_task_of_an_older_frame() {
        let word = AtomicU64::new(0);
        let claim = Claim::new(&word);
        let old = claim.open(3);
        assert!(claim.begin(old));
        assert_eq!((claim.take_back(), claim.take_back()), (1, 1));
        assert!(!claim.begin(old));
        let new = claim.open(3);
        assert!(!claim.begin(old) && claim.begin(new));
        assert_eq!(claim.now().begun, 1);
    }

    #[test]
    fn the_numbers_of_frames_wrap_around_and_the_largest_frame_fits() {
        let word = AtomicU64::new(Claimed { frame: u32::MAX, limit: 0, begun: 0 }.word());
        let claim = Claim::new(&word);
        assert_eq!(claim.open(MOST), 0);
        assert!((0..MOST).all(|_| claim.begin(0)) && !claim.begin(0));
        assert_eq!(claim.now(), Claimed { frame: 0, limit: MOST, begun: MOST });
    }
}
