//! A map from numbers to values, for the tables of processes, groups, sessions and threads.
//!
//! Open addressing with linear probing; the keys, which are random or consecutive, are their own hash. What is removed
//! is closed up, so that nothing is left behind and no search grows longer. Room is made ahead of time
//! ([`NumberMap::reserve`]), where it may fail; an insertion into reserved room cannot.

use alloc::vec::Vec;

/// There is no memory for a larger table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct NoMemory;

/// The places of the first table.
const FIRST: usize = 64;

/// A map from numbers to values.
pub(super) struct NumberMap<V> {
    /// A power of two of places, none at first; at most half of them in use.
    places: Vec<Option<(u32, V)>>,
    used: usize,
}

impl<V> NumberMap<V> {
    pub(super) const fn new() -> Self {
        Self { places: Vec::new(), used: 0 }
    }

    /// How many values there are.
    pub(super) const fn len(&self) -> usize {
        self.used
    }

    /// Makes room, so that the map can have `total` values without asking for memory.
    #[inline]
    pub(super) fn reserve(&mut self, total: usize) -> Result<(), NoMemory> {
        if total <= self.places.len() / 2 { Ok(()) } else { self.grow(total) }
    }

    /// A larger table, for `total` values.
    #[cold]
    #[inline(never)]
    fn grow(&mut self, total: usize) -> Result<(), NoMemory> {
        let size = (total * 2).next_power_of_two().max(FIRST);
        let mut places = Vec::new();
        places.try_reserve_exact(size).map_err(|_| NoMemory)?;
        places.resize_with(size, || None);
        let old = core::mem::replace(&mut self.places, places);
        for (key, value) in old.into_iter().flatten() {
            let place = self.find(key);
            self.places[place] = Some((key, value));
        }
        Ok(())
    }

    /// The value at `key`.
    #[inline]
    pub(super) fn get(&self, key: u32) -> Option<&V> {
        if self.places.is_empty() {
            return None;
        }
        self.places[self.find(key)].as_ref().map(|(_, value)| value)
    }

    /// The value at `key`, to be changed.
    #[inline]
    pub(super) fn get_mut(&mut self, key: u32) -> Option<&mut V> {
        if self.places.is_empty() {
            return None;
        }
        let place = self.find(key);
        self.places[place].as_mut().map(|(_, value)| value)
    }

    /// Whether there is a value at `key`.
    #[inline]
    pub(super) fn contains(&self, key: u32) -> bool {
        self.get(key).is_some()
    }

    /// Puts `value` at `key`, where nothing is.
    ///
    /// # Panics
    ///
    /// When room was not reserved, or something is there: either breaks an invariant of the caller.
    pub(super) fn insert(&mut self, key: u32, value: V) {
        assert!(self.used < self.places.len() / 2, "room is reserved before a number is entered");
        let place = self.find(key);
        let was = self.places[place].replace((key, value));
        assert!(was.is_none(), "a number is entered once");
        self.used += 1;
    }

    /// Takes out the value at `key`.
    pub(super) fn remove(&mut self, key: u32) -> Option<V> {
        if self.places.is_empty() {
            return None;
        }
        let mut hole = self.find(key);
        let (_, value) = self.places[hole].take()?;
        self.used -= 1;
        // Whoever stands behind the hole and would be found at it or before it moves up.
        let mut next = self.after(hole);
        while let Some((key, _)) = &self.places[next] {
            let home = self.home(*key);
            if self.distance(home, next) >= self.distance(hole, next) {
                self.places[hole] = self.places[next].take();
                hole = next;
            }
            next = self.after(next);
        }
        Some(value)
    }

    /// All values, in no order.
    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.places.iter().flatten().map(|(_, value)| value)
    }

    /// The place of `key`, or the free one where it would go. There is a free one, since half of them are.
    #[inline]
    fn find(&self, key: u32) -> usize {
        let mut place = self.home(key);
        while self.places[place].as_ref().is_some_and(|(other, _)| *other != key) {
            place = self.after(place);
        }
        place
    }

    fn home(&self, key: u32) -> usize {
        key as usize & (self.places.len() - 1)
    }

    fn after(&self, place: usize) -> usize {
        (place + 1) & (self.places.len() - 1)
    }

    fn distance(&self, from: usize, to: usize) -> usize {
        to.wrapping_sub(from) & (self.places.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: if cfg!(miri) { 4 } else { 256 }, ..ProptestConfig::default() })]

        #[test]
        fn it_behaves_as_an_ordered_map_does(steps in prop::collection::vec((0u8..3, 0u32..200), 0..300)) {
            let (mut map, mut model) = (NumberMap::new(), BTreeMap::new());
            for (step, key) in steps {
                // Keys that share their low bits stand in each other's way.
                let key = (key % 20) + (key / 20) * 64;
                match step {
                    0 if !model.contains_key(&key) => {
                        map.reserve(map.len() + 1).unwrap();
                        map.insert(key, key * 3);
                        model.insert(key, key * 3);
                    }
                    1 => prop_assert_eq!(map.remove(key), model.remove(&key)),
                    _ => prop_assert_eq!(map.get(key), model.get(&key)),
                }
                prop_assert_eq!(map.len(), model.len());
            }
            for (key, value) in &model {
                prop_assert_eq!(map.get(*key), Some(value));
            }
            let mut values: Vec<_> = map.values().copied().collect();
            values.sort_unstable();
            // Values are the keys times three, so they have one order.
            prop_assert_eq!(values, model.into_values().collect::<Vec<_>>());
        }
    }

    #[test]
    fn an_empty_map_has_nothing_and_gives_nothing() {
        let mut map = NumberMap::<()>::new();
        assert_eq!((map.get(1), map.contains(1)), (None, false));
        assert_eq!(map.get_mut(1), None);
        assert_eq!(map.remove(1), None);
    }

    #[test]
    #[should_panic(expected = "room is reserved")]
    fn an_insertion_without_room_is_a_bug() {
        NumberMap::new().insert(1, ());
    }
}
