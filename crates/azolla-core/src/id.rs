//! Ids and other small newtypes, so that a task is never mistaken for a worker.

use core::fmt;
use core::num::{NonZeroU32, NonZeroU64};

/// A task: a place in the slab and the generation of that place. So the id of a task that is gone
/// never names another one. An id is never zero, so `Option<TaskId>` takes no more room.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId {
    generation: NonZeroU32,
    index: u32,
}

impl TaskId {
    /// An id that names no task, as if the task were gone.
    pub(crate) const GONE: Self = Self { generation: NonZeroU32::MIN, index: u32::MAX };

    pub(crate) fn new(index: u32, generation: NonZeroU32) -> Self {
        Self { generation, index }
    }

    pub(crate) fn index(self) -> usize {
        self.index as usize
    }

    pub(crate) fn generation(self) -> NonZeroU32 {
        self.generation
    }

    /// Returns the id as one number, to keep in an atomic.
    #[must_use]
    pub fn to_bits(self) -> u64 {
        u64::from(self.generation.get()) << 32 | u64::from(self.index)
    }

    /// Returns the id that [`to_bits`](Self::to_bits) was called on, or `None` for zero, which is
    /// no id.
    #[must_use]
    pub fn from_bits(bits: u64) -> Option<Self> {
        Some(Self { generation: NonZeroU32::new((bits >> 32) as u32)?, index: bits as u32 })
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "t{}.{}", self.index(), self.generation())
    }
}

/// A worker: one thread, or what a runner uses in its place, that can hold a slot.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkerId(pub u32);

impl fmt::Debug for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "w{}", self.0)
    }
}

/// The kind of a task: tasks of one function take about equally long. Kinds are small dense
/// numbers. The caller assigns one to each function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Kind(pub u32);

/// A key under which a task can be found again, as a 128-bit digest of the key's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(NonZeroU64, u64);

impl Key {
    /// Returns the key with this digest.
    #[must_use]
    pub fn from_digest(digest: u128) -> Self {
        // Two of 2⁶⁴ upper halves become one, so that an optional key takes no more room.
        Self(NonZeroU64::new((digest >> 64) as u64).unwrap_or(NonZeroU64::MIN), digest as u64)
    }

    /// Returns a digest whose key this is.
    #[must_use]
    pub fn to_digest(self) -> u128 {
        u128::from(self.0.get()) << 64 | u128::from(self.1)
    }
}

/// How urgent a task is: the higher priority goes first. A priority is made from a number that is
/// not NaN, and is ordered as the numbers are. The default is the priority of 0.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Priority(i64);

impl Priority {
    /// Below every priority that a number can give.
    pub const MIN: Self = Self(i64::MIN);
    /// Above every priority that a number can give.
    pub const MAX: Self = Self(i64::MAX);

    /// Returns the priority of `number`, or `None` if it is NaN. Integers beyond 2⁵³ are rounded as
    /// `f64` rounds them.
    #[must_use]
    pub fn new(number: f64) -> Option<Self> {
        if number.is_nan() {
            return None;
        }
        // Adding zero turns -0.0 into 0.0. The bits of a float, taken as an integer and with the
        // negative half reversed, are then ordered as the floats are (IEEE 754, totalOrder).
        let bits = (number + 0.0).to_bits() as i64;
        Some(Self(bits ^ (((bits >> 63) as u64) >> 1) as i64))
    }

    /// Returns the number that this priority was made from.
    #[must_use]
    pub fn number(self) -> f64 {
        f64::from_bits((self.0 ^ (((self.0 >> 63) as u64) >> 1) as i64) as u64)
    }

    /// Returns the priority as one number with the same order, to keep in an atomic.
    #[must_use]
    pub fn to_bits(self) -> i64 {
        self.0
    }

    /// Returns the priority that [`to_bits`](Self::to_bits) was called on.
    #[must_use]
    pub fn from_bits(bits: i64) -> Self {
        Self(bits)
    }
}

impl From<i32> for Priority {
    fn from(number: i32) -> Self {
        Self::new(f64::from(number)).unwrap_or_default()
    }
}

impl fmt::Debug for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{}", self.number())
    }
}
