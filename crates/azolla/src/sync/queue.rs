//! `Queue`: values on their way from producers to consumers.

use super::{after, block};
use crate::error::Error;
use crate::lending::lending;
use crate::runtime::{IsClosed, Named, Names, OtherType, Resource, Turn};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A queue of values, first in, first out. Futures may be among them: a future in a queue keeps its
/// task.
///
/// ```
/// use azolla::sync::Queue;
///
/// let client = azolla::Client::builder().threads_per_worker(1).build()?;
/// let queue = Queue::named(&client, "numbers", 2)?;
/// client.submit(|| {
///     let client = azolla::current_client().expect("this is a task");
///     let queue = Queue::named(&client, "numbers", 2)?; // the same
///     (0..10).try_for_each(|n| queue.put(n)) // waits while there are two, and lends its slot
/// }).forget();
/// let numbers: Result<Vec<i32>, _> = (0..10).map(|_| queue.get()).collect();
/// assert_eq!(numbers?, (0..10).collect::<Vec<_>>());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Queue<T: Send + 'static>(Named<Items<T>>);

/// What a queue holds.
pub struct Items<T> {
    /// The values and their numbers, which rise.
    items: VecDeque<(u64, T)>,
    /// How many values were put in so far.
    numbers: u64,
    /// 0: any number.
    maxsize: usize,
}

/// A request to put one value in, or to take a number of values out.
pub enum Want<T> {
    Put(Option<T>),
    Get { number: usize, got: Vec<(u64, T)> },
}

/// What has come of such a request. It can be [taken back](Queue::take_back).
pub enum Gift<T> {
    /// The number of the value that was put in. The value too, once it was taken back.
    Put(u64, Option<T>),
    /// What was taken out, with its numbers: values that go back go to where they were.
    Got(Vec<(u64, T)>),
}

impl<T> Gift<T> {
    /// The values that were taken out.
    pub fn values(self) -> impl Iterator<Item = T> {
        let got = match self {
            Self::Put(..) => Vec::new(),
            Self::Got(got) => got,
        };
        got.into_iter().map(|(_, item)| item)
    }

    /// A look at the values that were taken out.
    pub fn each(&self) -> impl Iterator<Item = &T> {
        let got = match self {
            Self::Put(..) => &[],
            Self::Got(got) => &got[..],
        };
        got.iter().map(|(_, item)| item)
    }
}

impl<T: Send + 'static> Resource for Items<T> {
    type Want = Want<T>;
    type Gift = Gift<T>;
    const KIND: &'static str = "queue";

    fn give(&mut self, want: &mut Want<T>) -> Option<Gift<T>> {
        match want {
            Want::Put(item) => {
                if self.maxsize > 0 && self.items.len() >= self.maxsize {
                    return None;
                }
                self.numbers += 1;
                self.items.extend(item.take().map(|item| (self.numbers, item)));
                Some(Gift::Put(self.numbers, None))
            }
            // The values are taken bit by bit, since the queue may not have room for all at once.
            Want::Get { number, got } => {
                let more = (*number - got.len()).min(self.items.len());
                got.extend(self.items.drain(..more));
                (got.len() == *number).then(|| Gift::Got(std::mem::take(got)))
            }
        }
    }

    fn line(want: &Want<T>) -> usize {
        usize::from(matches!(want, Want::Put(_)))
    }

    fn take_back(&mut self, gift: &mut Gift<T>) -> bool {
        match gift {
            Gift::Put(number, back) => match self.place(*number) {
                Ok(at) => *back = self.items.remove(at).map(|(_, item)| item),
                Err(_) => return false,
            },
            Gift::Got(got) => self.put_back(got),
        }
        true
    }

    fn give_up(&mut self, want: &mut Want<T>) {
        if let Want::Get { got, .. } = want {
            self.put_back(got);
        }
    }

    fn is_new(&self) -> bool {
        self.items.is_empty()
    }
}

impl<T> Items<T> {
    fn new(maxsize: usize) -> Self {
        Self { items: VecDeque::new(), numbers: 0, maxsize }
    }

    /// Where the value of this number is, or would be.
    fn place(&self, number: u64) -> Result<usize, usize> {
        self.items.binary_search_by_key(&number, |(number, _)| *number)
    }

    /// Puts values back to where they were, whatever has gone back before.
    fn put_back(&mut self, got: &mut Vec<(u64, T)>) {
        for (number, item) in got.drain(..).rev() {
            let (Ok(at) | Err(at)) = self.place(number);
            self.items.insert(at, (number, item));
        }
    }
}

impl<T: Send + 'static> Queue<T> {
    /// A queue of its own, for any number of values.
    #[must_use]
    pub fn new(client: impl AsRef<Names>) -> Self {
        Self::bounded(client, 0)
    }

    /// A queue of its own. While it holds `maxsize` values, a `put` waits; 0 is no limit.
    #[must_use]
    pub fn bounded(client: impl AsRef<Names>, maxsize: usize) -> Self {
        let found = client.as_ref().find(None, || Items::new(maxsize));
        Self(found.expect("a new name names nothing else"))
    }

    /// The queue of this name, made with `maxsize` if there is none yet.
    ///
    /// # Errors
    /// That queue holds values of another type.
    pub fn named(client: impl AsRef<Names>, name: &str, maxsize: usize) -> Result<Self, OtherType> {
        client.as_ref().find(Some(name), || Items::new(maxsize)).map(Self)
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// Returns true if there is no other handle on this queue.
    #[must_use]
    pub fn is_only_handle(&self) -> bool {
        self.0.is_only_handle()
    }

    /// Calls `f` with each value that goes when this handle goes, until a call fails. `f` must not use the queue. For
    /// garbage collectors.
    #[doc(hidden)]
    pub fn each<X>(&self, mut f: impl FnMut(&T) -> Result<(), X>) -> Result<(), X> {
        if !self.0.takes_all_along() {
            return Ok(());
        }
        self.0
            .monitor()
            .with(|items| items.items.iter().try_for_each(|(_, item)| f(item)))
            .unwrap_or(Ok(()))
    }

    /// Puts a value in, once there is room.
    ///
    /// # Errors
    /// [`Error::Closed`], or what else can end a wait in a task.
    pub fn put(&self, value: T) -> Result<(), Error> {
        block(self.turn_to_put(value), None).map(drop)
    }

    /// As [`put`](Self::put), for at most as long as this. What is not put in is dropped.
    ///
    /// # Errors
    /// [`Error::TimedOut`] too.
    pub fn put_timeout(&self, value: T, timeout: Duration) -> Result<(), Error> {
        block(self.turn_to_put(value), after(timeout)).map(drop)
    }

    /// As [`put`](Self::put), to be awaited. If that is given up, the value is taken out again, unless others have it by
    /// then.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub async fn put_async(&self, value: T) -> Result<(), Error> {
        Ok(lending(self.turn_to_put(value)).await.map(drop)?)
    }

    /// The oldest value, once there is one.
    ///
    /// # Errors
    /// [`Error::Closed`], or what else can end a wait in a task.
    pub fn get(&self) -> Result<T, Error> {
        self.get_by(None)
    }

    /// As [`get`](Self::get), for at most as long as this.
    ///
    /// # Errors
    /// [`Error::TimedOut`] too.
    pub fn get_timeout(&self, timeout: Duration) -> Result<T, Error> {
        self.get_by(after(timeout))
    }

    fn get_by(&self, deadline: Option<Instant>) -> Result<T, Error> {
        block(self.turn_to_get(1), deadline)?.values().next().ok_or(Error::Closed)
    }

    /// As [`get`](Self::get), to be awaited. If that is given up, the value goes to the next.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub async fn get_async(&self) -> Result<T, Error> {
        lending(self.turn_to_get(1)).await?.values().next().ok_or(Error::Closed)
    }

    /// The oldest values, once there are so many.
    ///
    /// # Errors
    /// As for [`get`](Self::get).
    pub fn get_many(&self, number: usize) -> Result<Vec<T>, Error> {
        block(self.turn_to_get(number), None).map(|got| got.values().collect())
    }

    /// Takes all values that are there now.
    ///
    /// # Errors
    /// The client is closed.
    pub fn take_all(&self) -> Result<Vec<T>, IsClosed> {
        self.take().map(|got| got.values().collect())
    }

    /// As [`take_all`](Self::take_all), for callers that may have to [take it back](Self::take_back).
    ///
    /// # Errors
    /// The client is closed.
    pub fn take(&self) -> Result<Gift<T>, IsClosed> {
        self.0.monitor().with(|items| Gift::Got(items.items.drain(..).collect()))
    }

    /// Takes back what a [wait](Self::turn_to_get) has given: what was taken out goes to where it was, and what was put
    /// in is taken out. Returns false if others have taken that out.
    pub fn take_back(&self, mut gift: Gift<T>) -> bool {
        // What is left of it is dropped once the queue is not locked any more.
        self.0.monitor().with(|items| items.take_back(&mut gift)).unwrap_or(true)
    }

    /// The number of values that are there now.
    ///
    /// # Errors
    /// The client is closed.
    pub fn len(&self) -> Result<usize, IsClosed> {
        self.0.monitor().with(|items| items.items.len())
    }

    /// Returns true if no value is there now.
    ///
    /// # Errors
    /// The client is closed.
    pub fn is_empty(&self) -> Result<bool, IsClosed> {
        self.len().map(|number| number == 0)
    }

    /// A wait to put a value in, for callers that wait in their own way.
    pub fn turn_to_put(&self, value: T) -> Turn<Items<T>> {
        Turn::new(self.0.clone(), Want::Put(Some(value)))
    }

    /// A wait for `number` values, for callers that wait in their own way.
    pub fn turn_to_get(&self, number: usize) -> Turn<Items<T>> {
        Turn::new(self.0.clone(), Want::Get { number, got: Vec::new() })
    }
}

impl<T: Send + 'static> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}
