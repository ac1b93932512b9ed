//! `Variable`: one value that all can see and set.

use super::{after, block};
use crate::error::Error;
use crate::lending::lending;
use crate::runtime::{IsClosed, Named, Names, OtherType, Resource, Turn};
use std::sync::Arc;
use std::time::Duration;

/// One value that all can see and set. A future in it keeps its task.
///
/// ```
/// use azolla::sync::Variable;
///
/// let client = azolla::Client::builder().threads_per_worker(1).build()?;
/// let best = Variable::new(&client);
/// let sees = best.clone();
/// let task = client.submit(move || sees.get().map(|best: std::sync::Arc<u32>| *best + 1));
/// best.set(41)?;
/// assert_eq!(task.result()?.clone()?, 42);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Variable<T: Send + Sync + 'static>(Named<Setting<T>>);

/// What a variable is set to.
pub struct Setting<T>(Option<Arc<T>>);

impl<T: Send + Sync + 'static> Resource for Setting<T> {
    type Want = ();
    type Gift = Arc<T>;
    const KIND: &'static str = "variable";

    fn give(&mut self, (): &mut ()) -> Option<Arc<T>> {
        self.0.clone()
    }

    fn is_new(&self) -> bool {
        self.0.is_none()
    }
}

impl<T: Send + Sync + 'static> Variable<T> {
    /// A variable of its own.
    #[must_use]
    pub fn new(client: impl AsRef<Names>) -> Self {
        let found = client.as_ref().find(None, || Setting(None));
        Self(found.expect("a new name names nothing else"))
    }

    /// The variable of this name.
    ///
    /// # Errors
    /// It holds a value of another type.
    pub fn named(client: impl AsRef<Names>, name: &str) -> Result<Self, OtherType> {
        client.as_ref().find(Some(name), || Setting(None)).map(Self)
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// Calls `f` with the value, if the value goes when this handle goes. `f` must not use the variable. For garbage
    /// collectors.
    #[doc(hidden)]
    pub fn each<X>(&self, f: impl FnMut(&T) -> Result<(), X>) -> Result<(), X> {
        if !self.0.takes_all_along() {
            return Ok(());
        }
        let each = |setting: &mut Setting<T>| setting.0.iter().map(AsRef::as_ref).try_for_each(f);
        self.0.monitor().with(each).unwrap_or(Ok(()))
    }

    /// Sets it.
    ///
    /// # Errors
    /// The client is closed.
    pub fn set(&self, value: T) -> Result<(), IsClosed> {
        let value = Arc::new(value);
        self.0.monitor().with(|setting| setting.0.replace(value)).map(drop)
    }

    /// Waits until the variable is set, and returns its value.
    ///
    /// # Errors
    /// [`Error::Closed`], or what else can end a wait in a task.
    pub fn get(&self) -> Result<Arc<T>, Error> {
        block(self.turn_to_get(), None)
    }

    /// As [`get`](Self::get), for at most as long as this.
    ///
    /// # Errors
    /// [`Error::TimedOut`] too.
    pub fn get_timeout(&self, timeout: Duration) -> Result<Arc<T>, Error> {
        block(self.turn_to_get(), after(timeout))
    }

    /// As [`get`](Self::get), to be awaited.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub async fn get_async(&self) -> Result<Arc<T>, Error> {
        Ok(lending(self.turn_to_get()).await?)
    }

    /// Clears the variable, as if it had never been set.
    ///
    /// # Errors
    /// The client is closed.
    pub fn delete(&self) -> Result<(), IsClosed> {
        self.0.monitor().with(|setting| setting.0.take()).map(drop)
    }

    /// A wait for the value, for callers that wait in their own way.
    pub fn turn_to_get(&self) -> Turn<Setting<T>> {
        Turn::new(self.0.clone(), ())
    }
}

impl<T: Send + Sync + 'static> Clone for Variable<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}
