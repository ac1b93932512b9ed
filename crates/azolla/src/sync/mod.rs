//! What tasks and others share and wait for: [`Queue`], [`Variable`], [`Lock`], [`MultiLock`],
//! [`Semaphore`] and [`Event`].
//!
//! All are handles, cheap to clone and to move into tasks. Handles made with the same name on the
//! same client refer to the same thing. A task that waits for one lends its slot meanwhile. Waits
//! are served in the order in which they came, and every wait ends when the client is closed.
//! Methods whose names end in `_async` are for `async` code, on any executor.
//!
//! ```
//! use azolla::sync::{Lock, Queue};
//!
//! let client = azolla::Client::builder().threads_per_worker(2).build()?;
//! let (found, tally) = (Queue::new(&client), Lock::new(&client));
//! let (puts, holds) = (found.clone(), tally.clone());
//! let task = client.submit(move || {
//!     let _lease = holds.acquire()?;
//!     puts.put(42)
//! });
//! assert_eq!(found.get()?, 42); // this thread waits for the task, if the task comes later
//! task.result()?.clone()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod event;
mod lock;
mod multi_lock;
mod queue;
mod semaphore;
mod variable;

pub use event::{Event, Flag};
pub use lock::Lock;
pub use multi_lock::{Holds, MultiLease, MultiLock};
pub use queue::{Gift, Items, Queue};
pub use semaphore::{Lease, Leases, OtherSize, Semaphore};
pub use variable::{Setting, Variable};

pub use crate::runtime::{IsClosed, Names, OtherType};

use crate::error::Error;
use crate::future::told;
use crate::primitives::now;
use crate::runner::threads::with_waiting_worker;
use crate::runtime::{Patience, Resource, Turn};
use std::convert::Infallible;
use std::time::{Duration, Instant};

/// Blocks until the turn is served.
fn block<R: Resource>(turn: Turn<R>, deadline: Option<Instant>) -> Result<R::Gift, Error> {
    with_waiting_worker(|mut worker| {
        let patience: Patience<'_, Infallible> = Patience { deadline, interrupt: None };
        turn.wait(worker.as_deref_mut(), patience).map_err(|error| told(worker, error))
    })
}

/// The time that is this far from now; `None`, which is never, if it is too far away to be
/// expressed.
fn after(timeout: Duration) -> Option<Instant> {
    now().checked_add(timeout)
}

impl From<IsClosed> for Error {
    fn from(_: IsClosed) -> Self {
        Self::Closed
    }
}

impl From<OtherType> for Error {
    fn from(error: OtherType) -> Self {
        Self::Name(error.to_string().into())
    }
}
