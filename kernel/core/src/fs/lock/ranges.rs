//! The locks on ranges of one file, by their first byte. Those of one owner do not overlap, and where two of one kind touch
//! they are one.

use alloc::vec::Vec;

use super::{LockKind, LockOwner, LockRange, RangeLock};
use crate::fs::error::FileError;

#[derive(Default)]
pub(super) struct Ranges {
    locks: Vec<RangeLock>,
}

/// What one change adds at most: the lock itself, and what is left on both sides of it.
const ADDED: usize = 3;

impl Ranges {
    pub(super) fn is_empty(&self) -> bool {
        self.locks.is_empty()
    }

    /// The first lock of another owner that is in the way of `lock`.
    pub(super) fn conflict(&self, lock: &RangeLock) -> Option<RangeLock> {
        let in_the_way = |other: &&RangeLock| {
            let exclusive = lock.kind == LockKind::Exclusive || other.kind == LockKind::Exclusive;
            other.owner != lock.owner && exclusive && other.range.overlaps(lock.range)
        };
        self.locks.iter().find(in_the_way).copied()
    }

    /// Sets a lock that nothing is in the way of.
    pub(super) fn set(&mut self, lock: RangeLock) -> Result<(), FileError> {
        self.clear(lock.owner, lock.range)?;
        let mut whole = lock;
        self.locks.retain(|other| {
            let same = other.owner == lock.owner && other.kind == lock.kind && touch(other.range, lock.range);
            if same {
                whole.range.first = whole.range.first.min(other.range.first);
                whole.range.last = whole.range.last.max(other.range.last);
            }
            !same
        });
        self.insert(whole);
        Ok(())
    }

    /// Takes away what `owner` has of `range`.
    pub(super) fn clear(&mut self, owner: LockOwner, range: LockRange) -> Result<(), FileError> {
        self.locks.try_reserve(ADDED).map_err(|_| FileError::NoLocks)?;
        let mut left = [None; 2];
        self.locks.retain(|lock| {
            let concerned = lock.owner == owner && lock.range.overlaps(range);
            if concerned {
                let [before, after] = outside(lock, range);
                let [first, last] = &mut left;
                *first = before.or(*first);
                *last = after.or(*last);
            }
            !concerned
        });
        left.into_iter().flatten().for_each(|lock| self.insert(lock));
        Ok(())
    }

    /// Takes away all that `owner` has.
    pub(super) fn forget(&mut self, owner: LockOwner) {
        self.locks.retain(|lock| lock.owner != owner);
    }

    /// There is room for it.
    fn insert(&mut self, lock: RangeLock) {
        let place = self.locks.partition_point(|other| other.range.first <= lock.range.first);
        self.locks.insert(place, lock);
    }
}

/// What of a lock lies before and behind `range`.
fn outside(lock: &RangeLock, range: LockRange) -> [Option<RangeLock>; 2] {
    let part = |first, last| (first <= last).then_some(RangeLock { range: LockRange { first, last }, ..*lock });
    let before = range.first.checked_sub(1).and_then(|last| part(lock.range.first, last));
    let after = range.last.checked_add(1).and_then(|first| part(first, lock.range.last));
    [before, after]
}

/// Whether one begins where the other ends.
const fn touch(one: LockRange, other: LockRange) -> bool {
    one.last.saturating_add(1) == other.first || other.last.saturating_add(1) == one.first
}
