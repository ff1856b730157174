//! Sets that watch sets.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use super::{Epoll, MOST_NESTED};
use crate::fs::error::FileError;
use crate::fs::surroundings::Surroundings;
use crate::sched::{SleepGuard, SleepMutex};
use crate::sync::Rank;

/// The lock under which a set comes into a set: one for all.
pub struct Nesting<S: Surroundings> {
    lock: SleepMutex<(), S>,
}

impl<S: Surroundings> Nesting<S> {
    /// Open.
    #[cfg(not(loom))]
    #[must_use]
    pub const fn new() -> Self {
        Self { lock: SleepMutex::new(Rank::Nesting, ()) }
    }

    /// Open.
    #[cfg(loom)]
    #[must_use]
    pub fn new() -> Self {
        Self { lock: SleepMutex::new(Rank::Nesting, ()) }
    }

    /// Takes the lock for as long as `inner` is being put into `outer`, if it may be.
    pub(super) fn enter(
        &self,
        outer: &Arc<Epoll<S>>,
        inner: &Arc<Epoll<S>>,
    ) -> Result<SleepGuard<'_, (), S>, FileError> {
        let guard = self.lock.lock();
        let below = depth(inner, outer, MOST_NESTED)?;
        let above = height(outer, MOST_NESTED)?;
        if above.saturating_add(below) > MOST_NESTED {
            return Err(FileError::TooManyLinks);
        }
        let mut parents = inner.above.lock();
        parents.retain(|parent| parent.strong_count() > 0);
        parents.try_reserve(1).map_err(|_| FileError::OutOfMemory)?;
        parents.push(Arc::downgrade(outer));
        drop(parents);
        Ok(guard)
    }
}

impl<S: Surroundings> Default for Nesting<S> {
    fn default() -> Self {
        Self::new()
    }
}

/// How many sets stand below each other from `set` on, which is one of them; at most `most`, and none of them is `not`.
fn depth<S: Surroundings>(set: &Arc<Epoll<S>>, not: &Arc<Epoll<S>>, most: usize) -> Result<usize, FileError> {
    let left = most.checked_sub(1).ok_or(FileError::TooManyLinks)?;
    if Arc::ptr_eq(set, not) {
        return Err(FileError::TooManyLinks);
    }
    let files: Vec<_> = set.items.lock().values().filter_map(|item| item.file()).collect();
    let mut deepest = 0;
    for inner in files.iter().filter_map(|file| super::set_of::<S>(file)) {
        deepest = depth(&inner, not, left)?.max(deepest);
    }
    Ok(deepest.saturating_add(1))
}

/// How many sets stand above each other from `set` on, which is one of them; at most `most`.
fn height<S: Surroundings>(set: &Arc<Epoll<S>>, most: usize) -> Result<usize, FileError> {
    let left = most.checked_sub(1).ok_or(FileError::TooManyLinks)?;
    let parents: Vec<_> = set.above.lock().iter().filter_map(Weak::upgrade).collect();
    let mut highest = 0;
    for parent in parents.iter().filter(|parent| watches(parent, set)) {
        highest = height(parent, left)?.max(highest);
    }
    Ok(highest.saturating_add(1))
}

/// Whether `outer` still watches `inner`.
fn watches<S: Surroundings>(outer: &Arc<Epoll<S>>, inner: &Arc<Epoll<S>>) -> bool {
    let files: Vec<_> = outer.items.lock().values().filter_map(|item| item.file()).collect();
    files.iter().filter_map(|file| super::set_of::<S>(file)).any(|set| Arc::ptr_eq(&set, inner))
}
