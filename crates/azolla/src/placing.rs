//! Workers with names and resources, and tasks that say where they may run and what they take.

use crate::client::{Builder, TaskBuilder};
use crate::error::Error;
use crate::runtime::Groups;
use azolla_core::{Constraint, GroupId};
use std::sync::Arc;

/// A worker to be: so many threads, and what the tasks on them share.
#[derive(Clone, Debug)]
pub(crate) struct Described {
    pub(crate) name: String,
    pub(crate) threads: usize,
    pub(crate) resources: Vec<(String, f64)>,
}

/// Where a task may run, and what it takes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Placing {
    workers: Option<Vec<String>>,
    others: bool,
    resources: Vec<(String, f64)>,
}

impl Builder {
    /// Adds a worker: so many threads of their own, and amounts of resources, by names, that the tasks
    /// on them share. Without any, a client has one worker, called "0".
    ///
    /// ```
    /// let client = azolla::Client::builder()
    ///     .worker("plain", 2, [])
    ///     .worker("with a GPU", 2, [("GPU", 1.0)])
    ///     .build()?;
    /// // Two threads, but one GPU: one after the other.
    /// let trained = client.task().resource("GPU", 1.0).map(|n: u32| n * n, 0..10);
    /// assert_eq!(client.gather(&trained)?.len(), 10);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn worker<'a>(
        mut self,
        name: impl Into<String>,
        threads: usize,
        resources: impl IntoIterator<Item = (&'a str, f64)>,
    ) -> Self {
        let resources = resources.into_iter().map(|(name, amount)| (name.to_owned(), amount));
        let (name, resources) = (name.into(), resources.collect());
        self.workers.push(Described { name, threads, resources });
        self
    }
}

impl TaskBuilder<'_> {
    /// The workers that may run it, by their names. A task that none of them could ever run fails with
    /// [`Error::NoWorker`]. No names are as if this were not called: any worker may run it.
    ///
    /// ```
    /// let client = azolla::Client::builder().worker("left", 1, []).worker("right", 1, []).build()?;
    /// let place = client.task().workers(["right"]).submit(|| {
    ///     azolla::current_task().map(|task| task.worker_name())
    /// });
    /// assert_eq!(place.result()?.as_deref(), Some("right"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn workers<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        self.placing.get_or_insert_default().workers =
            Some(names).filter(|names| !names.is_empty());
        self
    }

    /// The workers named by [`workers`](Self::workers) are only a wish: others run the task while none
    /// of those has a thread and the resources to spare.
    #[must_use]
    pub fn allow_other_workers(mut self) -> Self {
        self.placing.get_or_insert_default().others = true;
        self
    }

    /// How much it takes of a resource of its worker while it runs. It keeps that while it waits, for
    /// it will go on using it; one that secedes gives it up, and needs it again to rejoin. A wait that
    /// could never end for that is [`Error::WaitCycle`].
    ///
    /// # Panics
    /// If the amount is negative or NaN.
    ///
    /// ```
    /// let client = azolla::Client::builder().worker("one", 4, [("GPU", 2.0)]).build()?;
    /// let task = client.task().resource("TPU", 1.0).submit(|| "never runs");
    /// assert!(matches!(task.result(), Err(azolla::Error::NoWorker { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn resource(mut self, name: impl Into<String>, amount: f64) -> Self {
        assert!(amount >= 0.0, "there is no such amount of a resource as {amount}");
        self.placing.get_or_insert_default().resources.push((name.into(), amount));
        self
    }

    /// What was said, as the engine knows it.
    // Mostly nothing was: then nothing but that is looked at.
    #[inline]
    pub(crate) fn constraint(&self) -> Result<Option<Arc<Constraint>>, Box<Error>> {
        match &self.placing {
            None => Ok(None),
            Some(placing) => self.constraint_of(placing),
        }
    }

    #[cold]
    fn constraint_of(&self, placing: &Placing) -> Result<Option<Arc<Constraint>>, Box<Error>> {
        let shared = &self.client.0;
        let named = |names: &Vec<String>| -> Vec<GroupId> {
            let places = shared.threads.workers().iter().zip(0..);
            let named = places.filter(|(name, _)| names.contains(name));
            named.map(|(_, number)| GroupId(number)).collect()
        };
        let groups = placing.workers.as_ref().map(named);
        let takes = placing.resources.iter().map(|(name, amount)| (name.as_str(), *amount));
        let all: Arc<Groups> = shared.engine.groups();
        let constraint = all.constraint(groups, placing.others && placing.workers.is_some(), takes);
        let constraint = constraint.expect("an amount is looked at when it is given");
        match &constraint {
            Some(constraint) if !all.can_run(constraint) => {
                Err(Box::new(Error::NoWorker { wanted: placing.told() }))
            }
            _ => Ok(constraint),
        }
    }
}

impl Placing {
    fn told(&self) -> String {
        let workers = self.workers.iter().map(|names| format!("of the workers {names:?}"));
        let takes = self.resources.iter().map(|(name, amount)| format!("{amount} of {name:?}"));
        workers.chain(takes).collect::<Vec<_>>().join(", ")
    }
}
