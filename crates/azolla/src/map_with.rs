//! One closure for the results of many futures, each in a task of its own.

use crate::cell::{Failure, Once};
use crate::client::{Client, TaskBuilder, failure};
use crate::future::Future;
use crate::inputs::Inputs;
use std::error::Error as StdError;
use std::sync::Arc;

impl Client {
    /// Submits a closure once for every future, or every tuple or slice of futures: it is given their
    /// results, once they are there.
    ///
    /// ```
    /// let client = azolla::Client::builder().threads_per_worker(2).build()?;
    /// let words = client.map(|n: usize| "fern".repeat(n), 1..4);
    /// let lengths = client.map_with(|word: &String| word.len(), &words);
    /// assert_eq!(client.gather(&lengths)?, [&4, &8, &12]);
    /// let pairs = client.map_with(|(word, length)| word.len() - length, words.iter().zip(&lengths));
    /// assert_eq!(client.gather(&pairs)?, [&0, &0, &0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn map_with<I, T, F>(
        &self,
        function: F,
        inputs: impl IntoIterator<Item = I>,
    ) -> Vec<Future<T>>
    where
        I: Inputs,
        T: Send + Sync + 'static,
        F: for<'a> Fn(I::Values<'a>) -> T + Send + Sync + 'static,
    {
        self.task().map_with(function, inputs)
    }

    /// As [`map_with`](Self::map_with), with a closure that may fail.
    pub fn try_map_with<I, T, E, F>(
        &self,
        function: F,
        inputs: impl IntoIterator<Item = I>,
    ) -> Vec<Future<T>>
    where
        I: Inputs,
        T: Send + Sync + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
        F: for<'a> Fn(I::Values<'a>) -> Result<T, E> + Send + Sync + 'static,
    {
        self.task().try_map_with(function, inputs)
    }
}

impl TaskBuilder<'_> {
    /// As [`Client::map_with`]. A key that was given is what their keys begin with.
    pub fn map_with<I, T, F>(
        self,
        function: F,
        inputs: impl IntoIterator<Item = I>,
    ) -> Vec<Future<T>>
    where
        I: Inputs,
        T: Send + Sync + 'static,
        F: for<'a> Fn(I::Values<'a>) -> T + Send + Sync + 'static,
    {
        self.map_each_with::<F, _, _>(move |values| Ok(function(values)), inputs)
    }

    /// As [`Client::try_map_with`]. A key that was given is what their keys begin with.
    pub fn try_map_with<I, T, E, F>(
        self,
        function: F,
        inputs: impl IntoIterator<Item = I>,
    ) -> Vec<Future<T>>
    where
        I: Inputs,
        T: Send + Sync + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
        F: for<'a> Fn(I::Values<'a>) -> Result<T, E> + Send + Sync + 'static,
    {
        self.map_each_with::<F, _, _>(move |values| function(values).map_err(failure), inputs)
    }

    /// Submits `function` once for each of `inputs`. The tasks are named after `F`.
    fn map_each_with<F, I, T>(
        self,
        function: impl for<'a> Fn(I::Values<'a>) -> Result<T, Failure> + Send + Sync + 'static,
        inputs: impl IntoIterator<Item = I>,
    ) -> Vec<Future<T>>
    where
        I: Inputs,
        T: Send + Sync + 'static,
        F: 'static,
    {
        let function = Arc::new(function);
        let submit = |(number, inputs): (usize, I)| {
            let (function, held) = (Arc::clone(&function), inputs.hold());
            let work = Once(Some(move || function(I::values(&held))));
            self.numbered(number).submit_work::<T, _, F>(work, 0, inputs)
        };
        inputs.into_iter().enumerate().map(submit).collect()
    }

    /// This one of several that are described alike.
    fn numbered(&self, number: usize) -> Self {
        let key = self.key.as_ref().map(|prefix| format!("{prefix}-{number}"));
        let mut task = self.clone();
        task.key = key;
        task
    }
}
