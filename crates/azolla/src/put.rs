//! Values that are there already, as futures.

use crate::cell::{Cell, Failure, Once};
use crate::client::{Client, TaskBuilder, digest, turn_away};
use crate::future::Future;
use crate::runtime::Job;
use std::sync::Arc;

impl Client {
    /// A future on a value that is there already: an input for many tasks, say, none of which has to
    /// copy it.
    ///
    /// ```
    /// let client = azolla::Client::builder().threads_per_worker(2).build()?;
    /// let words = client.put(vec!["fern", "moss", "duckweed"]);
    /// let lengths = (0..3).map(|i| client.submit_with(&words, move |words| words[i].len()));
    /// assert_eq!(client.gather(&lengths.collect::<Vec<_>>())?, [&4, &4, &8]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn put<T: Send + Sync + 'static>(&self, value: T) -> Future<T> {
        self.task().put(value)
    }
}

/// Of a task that there is nothing to do for.
type NoWork<T> = Once<fn() -> Result<T, Failure>>;

impl TaskBuilder<'_> {
    /// As [`Client::put`]. Where a task with the key that was given is kept already, its future
    /// results, and the value is dropped.
    pub fn put<T: Send + Sync + 'static>(mut self, value: T) -> Future<T> {
        let engine = &self.client.0.engine;
        let key = self.key.as_deref().map(digest);
        // It is called after its type.
        let cell = Arc::new(Cell::<T, NoWork<T>, T>::holding(value, self.key.take()));
        cell.header().set_client(self.client.0.membership.number);
        if self.client.0.membership.has_left() {
            turn_away(&*cell);
            return Future::new(cell, Arc::clone(engine));
        }
        match engine.put(Arc::<Cell<T, NoWork<T>, T>>::clone(&cell), key) {
            None => Future::new(cell, Arc::clone(engine)),
            Some(job) => self.existing(job),
        }
    }
}
