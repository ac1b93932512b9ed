//! The tree of growth by kind: how many tasks of each function grew from the tasks of each other
//! function, and how they ended. The counts are exact, and cheap enough to be kept always.
//!
//! A *branch* is all tasks of one kind that grew from the tasks of one other branch. A task grows
//! from the task that submitted it, or, if no task did, from its first input. A call of an actor
//! grows from the actor.
//!
//! A kind that comes up again further down its own line is the same branch again, so that a
//! function which submits itself does not make an endless tree. Hence a branch may be fed by
//! several branches and hangs on only one of them. The counts of what grew from which branch into
//! which are the *edges*.

use crate::id::Kind;
use crate::task::State;
use alloc::vec;
use alloc::vec::Vec;
use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;

/// A branch of the tree of growth: a small dense number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BranchId(pub u32);

impl BranchId {
    /// The root. It holds no task, and a task that grew from no task grew from here.
    pub const ROOT: Self = Self(0);
    /// The branch of all tasks that would need an edge beyond the limit.
    pub const REST: Self = Self(1);
}

/// All tasks of one kind that grew from the tasks of one branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    /// The branch that it hangs on. The root hangs on itself.
    pub parent: BranchId,
    /// Which function it is. Means nothing for the root and the rest.
    pub kind: Kind,
    /// Tasks that ended with a result.
    pub finished: u64,
    /// Tasks that ended with an error.
    pub failed: u64,
    /// Tasks that were cancelled.
    pub cancelled: u64,
    /// Tasks that ended lately: about the last eighth to quarter of all, and at least the last 32.
    pub lately: u64,
    /// When so many have ended lately, half of them are forgotten.
    forget_at: u64,
}

/// How many tasks have grown from one branch into another, or into itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The branch that they grew from.
    pub from: BranchId,
    /// Their kind.
    pub kind: Kind,
    /// The branch that they are in.
    pub to: BranchId,
    /// How many.
    pub count: u64,
    /// How many while those of [`Branch::lately`] ended in the branch that they grew from.
    pub lately: u64,
}

pub(crate) struct Growth {
    pub(crate) branches: Vec<Branch>,
    pub(crate) edges: Vec<Edge>,
    index: HashMap<(BranchId, Kind), u32, FxBuildHasher>,
    /// The edge that was used last. Tasks of one kind mostly come one after the other.
    last: usize,
}

/// The fewest tasks that are enough to be half forgotten.
const LATELY: u64 = 64;

/// The most edges, which also bounds the branches. A larger tree would be of no use to a reader.
const MOST: usize = 1000;
const _: () = assert!(MOST < 1 << 16, "a task keeps the number of its branch in 16 bits");

impl Growth {
    pub(crate) fn new() -> Self {
        let kind = Kind(u32::MAX);
        let branch = Branch::new(BranchId::ROOT, kind);
        let rest = Edge { from: BranchId::ROOT, kind, to: BranchId::REST, count: 0, lately: 0 };
        Self {
            branches: vec![branch.clone(), branch],
            edges: vec![rest],
            index: HashMap::default(),
            last: 0,
        }
    }

    /// Counts one more task of this kind that grew from that branch. Returns the task's branch.
    pub(crate) fn grow(&mut self, from: BranchId, kind: Kind) -> BranchId {
        let mut edge = &mut self.edges[self.last];
        if edge.from != from || edge.kind != kind {
            self.last = self.edge(from, kind);
            edge = &mut self.edges[self.last];
        }
        edge.count += 1;
        edge.lately += 1;
        edge.to
    }

    fn edge(&mut self, from: BranchId, kind: Kind) -> usize {
        if let Some(edge) = self.index.get(&(from, kind)) {
            return *edge as usize;
        }
        if self.edges.len() >= MOST {
            return 0;
        }
        let to = self.above(from, kind).unwrap_or_else(|| {
            self.branches.push(Branch::new(from, kind));
            BranchId(self.branches.len() as u32 - 1)
        });
        self.edges.push(Edge { from, kind, to, count: 0, lately: 0 });
        self.index.insert((from, kind), self.edges.len() as u32 - 1);
        self.edges.len() - 1
    }

    /// Returns the branch of this kind on the way from here to the root.
    fn above(&self, mut branch: BranchId, kind: Kind) -> Option<BranchId> {
        while branch != BranchId::ROOT {
            let Branch { parent, kind: own, .. } = self.branches[branch.0 as usize];
            if own == kind {
                return Some(branch);
            }
            branch = parent;
        }
        None
    }

    /// A task of this branch has ended.
    pub(crate) fn ended(&mut self, branch: BranchId, how: State) {
        *self.count(branch, how) += 1;
        let ended = &mut self.branches[branch.0 as usize];
        ended.lately += 1;
        if ended.lately == ended.forget_at {
            self.forget_half(branch);
        }
    }

    /// Forgets half of what has ended lately in this branch, and of what has grown from it meanwhile. So
    /// what is left shows whether it still grows.
    #[cold]
    fn forget_half(&mut self, from: BranchId) {
        let branch = &mut self.branches[from.0 as usize];
        branch.lately /= 2;
        // Above what is left, since a retry makes `settled` smaller.
        branch.forget_at = LATELY.max(branch.settled() / 4).max(branch.lately + 1);
        for edge in self.edges.iter_mut().filter(|edge| edge.from == from) {
            edge.lately /= 2;
        }
    }

    /// Takes back the count of a task that had ended so.
    pub(crate) fn not_ended(&mut self, branch: BranchId, how: State) {
        *self.count(branch, how) -= 1;
    }

    fn count(&mut self, branch: BranchId, how: State) -> &mut u64 {
        let branch = &mut self.branches[branch.0 as usize];
        match how {
            State::Done => &mut branch.finished,
            State::Failed => &mut branch.failed,
            _ => &mut branch.cancelled,
        }
    }

    /// Returns how many tasks have grown into this branch.
    pub(crate) fn grown(&self, branch: BranchId) -> u64 {
        self.edges.iter().filter(|edge| edge.to == branch).map(|edge| edge.count).sum()
    }
}

impl Branch {
    fn new(parent: BranchId, kind: Kind) -> Self {
        let (finished, failed, cancelled) = (0, 0, 0);
        Self { parent, kind, finished, failed, cancelled, lately: 0, forget_at: LATELY }
    }

    /// Returns true if it has too much in mind that ended lately, which must never be.
    pub(crate) fn is_to_forget(&self) -> bool {
        self.lately >= self.forget_at
    }

    /// Returns how many of its tasks have ended.
    #[must_use]
    pub fn settled(&self) -> u64 {
        self.finished + self.failed + self.cancelled
    }
}
