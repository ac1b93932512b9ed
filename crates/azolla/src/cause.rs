//! What a task returned as its error. Such an error may hold that of another task, and so on: a chain of any
//! length is dropped in a loop.

use crate::runtime::dropping;
use std::error::Error as StdError;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// What a task returned as its error. Reads as a `dyn Error`; cheap to clone.
#[derive(Clone)]
pub struct Cause(Option<Arc<dyn StdError + Send + Sync>>);

impl Cause {
    pub(crate) fn new(error: Arc<dyn StdError + Send + Sync>) -> Self {
        Self(Some(error))
    }
}

impl Deref for Cause {
    type Target = dyn StdError + Send + Sync;

    fn deref(&self) -> &Self::Target {
        self.0.as_deref().expect("only its destructor takes the error out")
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}

impl Drop for Cause {
    fn drop(&mut self) {
        let error = self.0.take();
        dropping(move || drop(error));
    }
}
