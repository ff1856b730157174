//! The reference count of a block, lock-free.
//!
//! The rule that makes it work is the usual one: only who holds a reference may make another, so a count that its
//! holder sees as 1 is the holder's alone and cannot grow behind his back. It cannot overflow either: each reference is
//! kept in some eight bytes of memory, and 2^32 of them are more than the boards have.

use crate::sync::atomic::{AtomicU32, Ordering, fence};

/// What giving up a reference meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Dropped {
    /// Others hold references still.
    Shared,
    /// It was the last one: the block is the caller's alone, and all that other holders did to it has happened.
    Last,
    /// There was none to give up. The count is 0 as before.
    Underflow,
}

/// A count of references.
#[derive(Debug)]
#[repr(transparent)]
pub struct ReferenceCount(AtomicU32);

impl ReferenceCount {
    /// No reference.
    pub fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// How many references there are. If it is 1 and the caller holds it, all that other holders did to the block has
    /// happened, and nobody can change the answer.
    pub fn get(&self) -> u32 {
        self.0.load(Ordering::Acquire)
    }

    /// Sets the count of a block that the caller has alone.
    pub fn set(&self, count: u32) {
        self.0.store(count, Ordering::Relaxed);
    }

    /// Makes one more reference. The caller holds one, so nothing needs to be ordered.
    pub fn increment(&self) {
        let before = self.0.fetch_add(1, Ordering::Relaxed);
        debug_assert!(before > 0, "a reference made from none");
    }

    /// Gives up one reference.
    #[inline]
    pub fn decrement(&self) -> Dropped {
        // The last holder need not write: nobody else may touch the count. Most blocks end here, and a store-exclusive
        // is saved; the count is then set anew when the block is.
        if self.get() == 1 {
            return Dropped::Last;
        }
        // Release: what we did to the block comes before whoever is last frees it.
        match self.0.fetch_sub(1, Ordering::Release) {
            0 => {
                self.0.fetch_add(1, Ordering::Relaxed);
                Dropped::Underflow
            }
            1 => {
                fence(Ordering::Acquire);
                Dropped::Last
            }
            _ => Dropped::Shared,
        }
    }
}

impl Default for ReferenceCount {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_three_references_is_the_last() {
        let count = ReferenceCount::new();
        count.set(1);
        count.increment();
        count.increment();
        assert_eq!(count.get(), 3);
        assert_eq!(count.decrement(), Dropped::Shared);
        assert_eq!(count.decrement(), Dropped::Shared);
        assert_eq!(count.decrement(), Dropped::Last);
    }

    #[test]
    fn a_reference_that_is_not_there_cannot_be_given_up() {
        let count = ReferenceCount::new();
        assert_eq!(count.decrement(), Dropped::Underflow);
        assert_eq!(count.get(), 0);
    }
}

#[cfg(test)]
#[cfg(loom)]
mod loom_tests {
    use super::*;

    use loom::cell::UnsafeCell;
    use loom::sync::Arc;

    struct Block {
        count: ReferenceCount,
        contents: [UnsafeCell<u32>; 2],
    }

    // SAFETY: each holder writes its own cell, and reads the other's only when it was told that it is the last.
    unsafe impl Sync for Block {}

    fn give_up(block: &Block, mine: usize) -> Dropped {
        // SAFETY: nobody else uses this cell before our reference is given up.
        block.contents[mine].with_mut(|cell| unsafe { *cell = 1 });
        let dropped = block.count.decrement();
        if dropped == Dropped::Last {
            for cell in &block.contents {
                // SAFETY: we are the last holder. Loom fails the model if the other's write has not happened yet.
                cell.with(|cell| assert_eq!(unsafe { *cell }, 1));
            }
        }
        dropped
    }

    #[test]
    fn exactly_one_holder_is_the_last_and_sees_what_the_other_did() {
        loom::model(|| {
            let block =
                Arc::new(Block { count: ReferenceCount::new(), contents: [UnsafeCell::new(0), UnsafeCell::new(0)] });
            block.count.set(1);
            block.count.increment();
            let far = block.clone();
            let other = loom::thread::spawn(move || give_up(&far, 1));
            let mut both = [give_up(&block, 0), other.join().unwrap()];
            both.sort_by_key(|dropped| *dropped == Dropped::Last);
            assert_eq!(both, [Dropped::Shared, Dropped::Last]);
        });
    }

    #[test]
    fn a_reference_made_while_another_goes_keeps_the_block() {
        loom::model(|| {
            let count = Arc::new(ReferenceCount::new());
            count.set(2);
            let far = count.clone();
            let other = loom::thread::spawn(move || far.decrement());
            count.increment();
            assert_eq!(other.join().unwrap(), Dropped::Shared);
            assert_eq!(count.decrement(), Dropped::Shared);
            assert_eq!(count.decrement(), Dropped::Last);
        });
    }
}
