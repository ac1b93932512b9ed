//! One walk over a value: how much it may cost, how deep it may go, what it has met already, and why it may end without
//! a digest.

use std::collections::HashMap;

use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use rustc_hash::FxBuildHasher;

use super::FutureKey;
use super::cache::address;
use super::hasher::{Tag, Writer};
use super::known::Known;
use crate::interpreter::gil::Steps;

/// Why there is no digest.
#[derive(Debug)]
pub(super) enum Miss {
    /// One of the rules here refuses the value.
    Refused(&'static str),
    /// Python code raised this, mostly the object's own code.
    Raised(PyErr),
    /// A signal handler raised this. The exception must reach the caller.
    Interrupted(PyErr),
}

impl From<PyErr> for Miss {
    fn from(error: PyErr) -> Self {
        Miss::Raised(error)
    }
}

impl Miss {
    /// Returns an error if the exception must reach the user (Ctrl-C), and otherwise the miss, which is no error.
    pub(super) fn or_interrupt(self, py: Python<'_>) -> PyResult<Miss> {
        match self {
            Miss::Interrupted(error) => Err(error),
            Miss::Raised(error) if !error.is_instance_of::<PyException>(py) => Err(error),
            miss => Ok(miss),
        }
    }
}

/// What hashing gives: a value, or the reason why there is no digest.
pub(super) type Hashed<T = ()> = Result<T, Miss>;

/// The greatest depth of nesting. A value that is nested deeper is taken to contain itself.
const MAX_DEPTH: u32 = 100;

/// What looking at one object costs, in the unit of a byte hashed (about a tenth of a nanosecond).
pub(super) const OBJECT: u64 = 128;

/// What the arguments of a call may cost: some seconds. A value that costs more is probably a small graph with a very
/// large number of paths.
const ARGUMENTS: u64 = 1 << 34;

/// What the values that a function closes over, defaults to or names may cost at each submit. That is about a tenth of
/// a millisecond for arrays, and a millisecond for small objects. A notebook's function that names a large table gets
/// impure keys: hashing the table again and again would take minutes.
const ENVIRONMENT: u64 = 1 << 20;

/// What of that is so much that the time it takes is looked at.
const COSTLY: u64 = 1 << 17;

/// A walk over one value. It writes as it goes.
pub(super) struct Walk<'a, 'py> {
    pub(super) py: Python<'py>,
    pub(super) known: &'static Known,
    pub(super) future_key: FutureKey<'a>,
    pub(super) out: Writer,
    pub(super) mode: Mode,
    /// True if functions are hashed with their names, docs and annotations. These may matter if a call gets the
    /// function as a value. They do not matter for the function that is called, nor for the functions that it calls.
    pub(super) describes: bool,
    /// True if something was written by its name only, because the mode is `SortKey`.
    pub(super) abridged: bool,
    /// True if the budget is that of a function's environment.
    in_environment: bool,
    depth: u32,
    budget: u64,
    steps: Steps,
    met: HashMap<usize, u64, FxBuildHasher>,
    /// Keeps alive the objects whose addresses are in `met`.
    kept: Vec<Bound<'py, PyAny>>,
    /// The digests of frozensets, by their addresses. Each mode has its own.
    digests: HashMap<(usize, Mode), Remembered<'py>, FxBuildHasher>,
}

/// An object, which is kept alive, its digest, and whether that digest says all about it.
type Remembered<'py> = (Bound<'py, PyAny>, u128, bool);

/// A place in a walk to which it can go back.
pub(super) struct Mark {
    out: Writer,
    budget: u64,
    met: usize,
}

/// What a walk is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Mode {
    /// The digest of a value.
    Whole,
    /// A sort key for a member of something unordered. Functions and classes are written by name. Members with the same
    /// names keep the order in which they come, which can only cause a miss.
    SortKey,
    /// The digest of a code object, which is remembered: constants only.
    Constants,
}

impl<'a, 'py> Walk<'a, 'py> {
    pub(super) fn new(py: Python<'py>, future_key: FutureKey<'a>, out: Writer) -> Hashed<Self> {
        Ok(Walk {
            py,
            known: Known::of(py)?,
            future_key,
            out,
            mode: Mode::Whole,
            describes: true,
            in_environment: false,
            abridged: false,
            depth: 0,
            budget: ARGUMENTS,
            steps: Steps::default(),
            met: HashMap::default(),
            kept: Vec::new(),
            digests: HashMap::default(),
        })
    }

    /// Marks this place.
    pub(super) fn mark(&self) -> Mark {
        Mark { out: self.out.clone(), budget: self.budget, met: self.kept.len() }
    }

    /// Goes back to a place, and forgets what was met since. Returns what was written up to here.
    pub(super) fn back_to(&mut self, mark: &Mark) -> Writer {
        for object in self.kept.drain(mark.met..) {
            self.met.remove(&address(&object));
        }
        // What is in a frozenset may change before the next call.
        self.digests.clear();
        self.budget = mark.budget;
        std::mem::replace(&mut self.out, mark.out.clone())
    }

    /// Makes a walk that goes on from here under the same limits, but writes a digest of its own. It does not know what
    /// was met before, so its digest means the same wherever it is written.
    pub(super) fn aside(&mut self, root: Tag, mode: Mode) -> Self {
        let digests = std::mem::take(&mut self.digests);
        Walk { digests, ..self.apart(Writer::new(root, self.out.is_secret), mode) }
    }

    fn apart(&self, out: Writer, mode: Mode) -> Self {
        Walk {
            py: self.py,
            known: self.known,
            future_key: self.future_key,
            out,
            mode,
            describes: self.describes,
            in_environment: self.in_environment,
            abridged: false,
            depth: self.depth,
            budget: self.budget,
            steps: self.steps,
            met: HashMap::default(),
            kept: Vec::new(),
            digests: HashMap::default(),
        }
    }

    /// Makes a walk for a digest that will be remembered. Its cost does not count, but its depth does.
    pub(super) fn for_constants(&self, root: Tag) -> Self {
        let mut walk = self.apart(Writer::new(root, false), Mode::Constants);
        (walk.budget, walk.in_environment) = (ARGUMENTS, false);
        walk
    }

    /// Ends a walk that `aside` began. Its cost is added to this walk's.
    pub(super) fn join(&mut self, other: Self) -> (u128, bool) {
        self.budget = other.budget;
        self.steps = other.steps;
        self.digests = other.digests;
        (other.out.finish(), !other.abridged)
    }

    /// Turns an exception into `None`: something is not there. An exception that must reach the user stays one.
    pub(super) fn absent<T>(&self, error: PyErr) -> Hashed<Option<T>> {
        Miss::Raised(error).or_interrupt(self.py).map(|_| None).map_err(Miss::Interrupted)
    }

    /// Goes one level down.
    pub(super) fn nested(&mut self, body: impl FnOnce(&mut Self) -> Hashed) -> Hashed {
        if self.depth == MAX_DEPTH {
            return Err(Miss::Refused("it is nested too deeply, or contains itself"));
        }
        self.depth += 1;
        let done = body(self);
        self.depth -= 1;
        done
    }

    /// Hashes what a function depends on besides its arguments. This must not cost much.
    pub(super) fn environment(&mut self, body: impl FnOnce(&mut Self) -> Hashed) -> Hashed {
        let outside = (self.budget, self.describes, self.in_environment);
        let granted = self.budget.min(ENVIRONMENT);
        (self.budget, self.describes, self.in_environment) = (granted, false, true);
        let done = body(self);
        let spent = granted - self.budget;
        (self.budget, self.describes, self.in_environment) =
            (outside.0 - spent, outside.1, outside.2);
        done
    }

    /// Returns true if what was hashed cost about as much as ten short tasks.
    pub(super) fn is_costly(&self) -> bool {
        self.budget < ARGUMENTS - COSTLY
    }

    /// Takes the cost of hashed bytes from the budget.
    #[inline]
    pub(super) fn spend(&mut self, cost: u64) -> Hashed {
        match self.budget.checked_sub(cost) {
            Some(rest) => {
                self.budget = rest;
                Ok(())
            }
            None if self.in_environment => Err(Miss::Refused(
                "a function depends on values that are too large to be hashed at each call",
            )),
            None => Err(Miss::Refused("it is too large")),
        }
    }

    /// Takes the cost of a container or an object and of its members from the budget.
    pub(super) fn spend_objects(&mut self, members: usize) -> Hashed {
        self.spend(OBJECT * (members as u64 + 1))?;
        self.step()
    }

    /// Takes a step of a loop that may be long.
    pub(super) fn step(&mut self) -> Hashed {
        self.steps.step(self.py).map_err(Miss::Interrupted)
    }

    /// Returns true if this same object was met before. It then writes the object's number in the order of meeting.
    pub(super) fn met(&mut self, object: &Bound<'py, PyAny>) -> bool {
        let number = self.kept.len() as u64;
        if let Some(&first) = self.met.get(&address(object)) {
            self.out.tag(Tag::Again);
            self.out.number(first);
            return true;
        }
        self.met.insert(address(object), number);
        self.kept.push(object.clone());
        false
    }

    /// Returns true if this very container was met before, and then writes that. It makes a key: functions can tell a
    /// container twice from two that are equal. Tokens are the same for both, so there each path is walked.
    pub(super) fn met_container(&mut self, container: &Bound<'py, PyAny>) -> bool {
        self.out.is_secret && self.mode != Mode::Constants && self.met(container)
    }

    /// Writes what `body` writes about a frozenset. For a key it is written as a digest, which is found only once.
    pub(super) fn frozen(
        &mut self,
        set: &Bound<'py, PyAny>,
        body: impl FnOnce(&mut Self) -> Hashed,
    ) -> Hashed {
        if !self.out.is_secret {
            return body(self);
        }
        let place = (address(set), self.mode);
        let (digest, whole) = match self.digests.get(&place) {
            Some((_, digest, whole)) => (*digest, *whole),
            None => {
                let mut walk = self.aside(Tag::FrozenSet, self.mode);
                body(&mut walk)?;
                let (digest, whole) = self.join(walk);
                self.digests.insert(place, (set.clone(), digest, whole));
                (digest, whole)
            }
        };
        self.abridged |= !whole;
        self.out.tag(Tag::Digest);
        self.out.digest(digest);
        Ok(())
    }
}
