//! What can be found by name in an engine: queues, locks and the like.
//!
//! A name is kept while there is a handle on what it names, or while that differs from a new one.
//! So an event that was set stays set without a handle, and a million locks leave nothing behind.
//! What was made without a name goes with its last handle in any case, since it could not be found
//! again.

use super::locked::caught;
use super::monitor::{Monitor, Resource};
use crate::primitives::Mutex;
use rustc_hash::FxHashMap;
use std::any::Any;
use std::collections::hash_map::Entry as MapEntry;
use std::sync::Arc;

/// The names of one engine.
#[derive(Clone)]
pub struct Names {
    map: Arc<Mutex<Map>>,
    /// What is made through this goes with its last handle.
    own: bool,
}

#[derive(Default)]
struct Map {
    entries: FxHashMap<String, Entry>,
    unnamed: u64,
    closed: bool,
}

struct Entry {
    object: Arc<dyn Object>,
    handles: usize,
    /// It goes with its last handle.
    own: bool,
}

/// A monitor of any kind.
trait Object: Any + Send + Sync {
    fn close(&self);
    fn is_new(&self) -> bool;
}

impl<R: Resource> Object for Monitor<R> {
    fn close(&self) {
        drop(Monitor::close(self));
    }

    fn is_new(&self) -> bool {
        Monitor::is_new(self)
    }
}

/// The error for a name that belongs to something with values of another type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name {name:?} belongs to a {kind} that holds values of another type")]
pub struct OtherType {
    /// The name.
    pub name: String,
    /// The kind of thing that it names.
    pub kind: &'static str,
}

impl AsRef<Names> for Names {
    fn as_ref(&self) -> &Names {
        self
    }
}

impl Names {
    pub(super) fn new() -> Self {
        Self { map: Arc::default(), own: false }
    }

    /// The same names. What is made through them goes with its last handle, as if it had no name: the caller has made up
    /// the name.
    #[must_use]
    pub fn own(&self) -> Self {
        Self { map: Arc::clone(&self.map), own: true }
    }

    /// Finds what has this name, and makes it if nothing has. Without a name, makes something new.
    /// If the engine is closed, returns something that is closed.
    ///
    /// If the name belongs to something of the same kind that holds values of another type.
    pub fn find<R: Resource>(
        &self,
        name: Option<&str>,
        make: impl FnOnce() -> R,
    ) -> Result<Named<R>, OtherType> {
        let mut made = Some(Arc::new(Monitor::new(Some(make()))));
        let own = self.own || name.is_none();
        let mut map = self.map.lock();
        let name = match name {
            Some(name) => name.to_owned(),
            None => {
                map.unnamed += 1;
                format!("{}-{}", R::KIND, map.unnamed)
            }
        };
        if map.closed {
            let monitor = Arc::new(Monitor::new(None));
            return Ok(Named { monitor, name: name.into(), names: self.clone() });
        }
        let monitor = match map.entries.entry(format!("{} {name}", R::KIND)) {
            MapEntry::Occupied(mut entry) => {
                let entry = entry.get_mut();
                let object: Arc<dyn Any + Send + Sync> = Arc::<dyn Object>::clone(&entry.object);
                let Ok(monitor) = object.downcast::<Monitor<R>>() else {
                    return Err(OtherType { name, kind: R::KIND });
                };
                entry.handles += 1;
                Some(monitor)
            }
            MapEntry::Vacant(entry) => {
                let monitor = made.take();
                if let Some(monitor) = &monitor {
                    let object: Arc<dyn Object> = Arc::<Monitor<R>>::clone(monitor);
                    entry.insert(Entry { object, handles: 1, own });
                }
                monitor
            }
        };
        drop(map);
        drop(made); // with nothing locked
        let monitor = monitor.unwrap_or_else(|| Arc::new(Monitor::new(None)));
        Ok(Named { monitor, name: name.into(), names: self.clone() })
    }

    /// Closes everything that has a name here, now and later.
    pub(super) fn close(&self) {
        let entries = {
            let mut map = self.map.lock();
            map.closed = true;
            std::mem::take(&mut map.entries)
        };
        for entry in entries.into_values() {
            // This drops values of the user's.
            caught(|| entry.object.close());
        }
    }
}

/// A handle on something by its name.
pub struct Named<R: Resource> {
    monitor: Arc<Monitor<R>>,
    name: Arc<str>,
    names: Names,
}

impl<R: Resource> Named<R> {
    /// The monitor behind this handle.
    #[must_use]
    pub fn monitor(&self) -> &Monitor<R> {
        &self.monitor
    }

    /// Its name. Something that was made without a name has one too.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns true if there is no other handle on the same thing.
    #[must_use]
    pub fn is_only_handle(&self) -> bool {
        let mut handles = 0;
        self.with_entry(|entry| {
            handles = entry.handles;
            false
        });
        handles <= 1
    }

    /// Returns true if what this is a handle on goes with it.
    pub(crate) fn takes_all_along(&self) -> bool {
        let mut alone = false;
        self.with_entry(|entry| {
            alone = entry.own && entry.handles == 1;
            false
        });
        alone
    }

    /// Closes the monitor and frees the name. Returns what it guarded.
    pub fn close(&self) -> Option<R> {
        let gone = self.with_entry(|_| true);
        drop(gone);
        self.monitor.close()
    }

    /// Calls `f` with the handle's own entry, and removes the entry if `f` returns true.
    fn with_entry(&self, f: impl FnOnce(&mut Entry) -> bool) -> Option<Entry> {
        let mut map = self.names.map.lock();
        let MapEntry::Occupied(mut entry) = map.entries.entry(format!("{} {}", R::KIND, self.name))
        else {
            return None;
        };
        let own = std::ptr::addr_eq(Arc::as_ptr(&entry.get().object), Arc::as_ptr(&self.monitor));
        (own && f(entry.get_mut())).then(|| entry.remove())
    }
}

impl<R: Resource> Clone for Named<R> {
    fn clone(&self) -> Self {
        self.with_entry(|entry| {
            entry.handles += 1;
            false
        });
        let (monitor, name) = (Arc::clone(&self.monitor), Arc::clone(&self.name));
        Self { monitor, name, names: self.names.clone() }
    }
}

impl<R: Resource> Drop for Named<R> {
    fn drop(&mut self) {
        let gone = self.with_entry(|entry| {
            entry.handles -= 1;
            entry.handles == 0 && (entry.own || entry.object.is_new())
        });
        drop(gone);
    }
}
