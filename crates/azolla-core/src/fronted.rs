//! An ordered map that keeps its first entry outside the tree, because most look-ups want that
//! entry.

use alloc::collections::BTreeMap;

pub(crate) struct Fronted<K, V> {
    /// Comes before all the others. `None` only if the map is empty.
    front: Option<(K, V)>,
    others: BTreeMap<K, V>,
}

impl<K: Ord, V> Fronted<K, V> {
    pub(crate) const fn new() -> Self {
        Self { front: None, others: BTreeMap::new() }
    }

    #[inline]
    pub(crate) fn first(&self) -> Option<(&K, &V)> {
        self.front.as_ref().map(|(key, value)| (key, value))
    }

    #[inline]
    pub(crate) fn first_mut(&mut self) -> Option<(&K, &mut V)> {
        self.front.as_mut().map(|(key, value)| (&*key, value))
    }

    pub(crate) fn remove_first(&mut self) -> Option<V> {
        let (_, value) = core::mem::replace(&mut self.front, self.others.pop_first())?;
        Some(value)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        match &mut self.front {
            Some((first, value)) if *first == *key => Some(value),
            _ => self.others.get_mut(key),
        }
    }

    /// Returns the value of this key, which `new` makes if there is none.
    #[inline]
    pub(crate) fn get_or_insert_with(&mut self, key: K, new: impl FnOnce() -> V) -> &mut V {
        match &mut self.front {
            Some((first, _)) if key > *first => return self.others.entry(key).or_insert_with(new),
            Some((first, _)) if key == *first => {}
            front => {
                if let Some((first, value)) = front.replace((key, new())) {
                    self.others.insert(first, value);
                }
            }
        }
        match &mut self.front {
            Some((_, value)) => value,
            None => unreachable!("one was put there"),
        }
    }

    pub(crate) fn remove(&mut self, key: &K) {
        if self.front.as_ref().is_some_and(|(first, _)| first == key) {
            self.remove_first();
        } else {
            self.others.remove(key);
        }
    }

    /// Iterates in the order of the keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.first().into_iter().chain(&self.others)
    }

    pub(crate) fn retain(&mut self, mut keeps: impl FnMut(&mut V) -> bool) {
        self.others.retain(|_, value| keeps(value));
        if self.front.as_mut().is_some_and(|(_, value)| !keeps(value)) {
            self.remove_first();
        }
    }

    pub(crate) fn clear(&mut self) {
        self.front = None;
        self.others.clear();
    }
}
