//! A mutex whose waiters sleep.

use alloc::sync::Arc;
use core::ops::{Deref, DerefMut};

use lock_api::{Mutex, MutexGuard};

use super::switch::Switch;
use super::thread::Thread;
use super::wait_queue::WaitQueue;
use crate::sync::rank::{Band, RankNote};
use crate::sync::{Rank, RawSleepMutex, assert_none_held};

/// A mutex whose waiters sleep: for what is held while a disk turns. Not for interrupt handlers.
///
/// Its rank is checked against the other sleeping locks of the *thread*, in debug builds, and no spin or irq lock may be
/// held when it is taken.
pub struct SleepMutex<T, S: Switch> {
    rank: RankNote,
    inner: Mutex<RawSleepMutex<WaitQueue<S>>, T>,
}

impl<T, S: Switch> SleepMutex<T, S> {
    /// An open mutex around `value`.
    ///
    /// # Panics
    ///
    /// When `rank` is not that of a sleeping lock; in a `static` that is a compile-time error.
    #[cfg(not(loom))]
    pub const fn new(rank: Rank, value: T) -> Self {
        assert!(matches!(rank.band(), Band::Sleeping), "a SleepMutex needs a rank of its band");
        Self { rank: RankNote::new(rank), inner: Mutex::from_raw(RawSleepMutex::new(WaitQueue::new()), value) }
    }

    /// An open mutex around `value`.
    #[cfg(loom)]
    pub fn new(rank: Rank, value: T) -> Self {
        assert!(matches!(rank.band(), Band::Sleeping), "a SleepMutex needs a rank of its band");
        Self { rank: RankNote::new(rank), inner: Mutex::from_raw(RawSleepMutex::new(WaitQueue::new()), value) }
    }

    /// Sleeps until the mutex is open, and takes it.
    ///
    /// # Panics
    ///
    /// In a debug build, when this breaks the lock order or the caller holds a spin or irq lock.
    pub fn lock(&self) -> SleepGuard<'_, T, S> {
        assert_none_held::<S::Cpu>(None);
        let held = HeldSleeping::note(self.rank);
        SleepGuard { value: self.inner.lock(), _held: held }
    }

    /// Takes the mutex if it is open.
    ///
    /// # Panics
    ///
    /// In a debug build, when this breaks the lock order.
    pub fn try_lock(&self) -> Option<SleepGuard<'_, T, S>> {
        let held = HeldSleeping::note(self.rank);
        Some(SleepGuard { value: self.inner.try_lock()?, _held: held })
    }

    /// The value; exclusive access needs no lock.
    pub fn get_mut(&mut self) -> &mut T {
        self.inner.get_mut()
    }

    /// The value, taken out of its mutex.
    pub fn into_inner(self) -> T {
        self.inner.into_inner()
    }
}

/// The right to a [`SleepMutex`]'s value. Dropping it gives the mutex back and wakes one waiter.
#[must_use = "the mutex is given back when the guard is dropped"]
pub struct SleepGuard<'a, T, S: Switch> {
    // Fields are dropped in this order.
    value: MutexGuard<'a, RawSleepMutex<WaitQueue<S>>, T>,
    _held: HeldSleeping<S>,
}

impl<T, S: Switch> Deref for SleepGuard<'_, T, S> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T, S: Switch> DerefMut for SleepGuard<'_, T, S> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

/// The note, in a debug build, that a thread holds a sleeping lock of some rank.
struct HeldSleeping<S: Switch> {
    noted: Option<(Rank, Arc<Thread<S::Payload>>)>,
}

impl<S: Switch> HeldSleeping<S> {
    fn note(rank: RankNote) -> Self {
        let noted = rank.get().map(|rank| (rank, S::current()));
        if let Some((rank, thread)) = &noted {
            thread.note_sleeping_lock(*rank);
        }
        Self { noted }
    }
}

impl<S: Switch> Drop for HeldSleeping<S> {
    fn drop(&mut self) {
        if let Some((rank, thread)) = &self.noted {
            thread.forget_sleeping_lock(*rank);
        }
    }
}
