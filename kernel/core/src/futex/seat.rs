//! What a thread keeps for waiting.

use crate::sync::atomic::{AtomicUsize, Ordering};

/// Where a thread's entry is. A thread has one of its own, made once, and at most one wait at a time uses it.
#[derive(Debug)]
pub struct Seat {
    /// 0: nowhere; else the number of the bucket, from 1. Changed under that bucket's lock.
    place: AtomicUsize,
}

impl Seat {
    /// Of a thread that does not wait.
    #[cfg(not(loom))]
    #[must_use]
    pub const fn new() -> Self {
        Self { place: AtomicUsize::new(0) }
    }

    /// Of a thread that does not wait.
    #[cfg(loom)]
    #[must_use]
    pub fn new() -> Self {
        Self { place: AtomicUsize::new(0) }
    }

    /// The bucket that holds the entry, unless the wait was ended.
    pub(super) fn bucket(&self) -> Option<usize> {
        // Acquire: what the waker did before is seen by whom it woke.
        self.place.load(Ordering::Acquire).checked_sub(1)
    }

    /// The entry is in `bucket` now, whose lock the caller holds.
    pub(super) fn move_to(&self, bucket: usize) {
        self.place.store(bucket + 1, Ordering::Release);
    }

    /// The entry is out of its bucket, whose lock the caller holds: the wait has ended.
    pub(super) fn clear(&self) {
        self.place.store(0, Ordering::Release);
    }
}

impl Default for Seat {
    fn default() -> Self {
        Self::new()
    }
}
