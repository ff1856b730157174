//! The lock for data that no interrupt handler touches.

use lock_api::Mutex;

use super::cpu_state::NoPreempt;
use super::guard::Guard;
use super::rank::{Band, Held, Rank, RankNote};
use super::ticket::RawTicketLock;
use crate::hal::Cpu;

/// A spin lock; the holder is not preempted, so the wait is as short as the section. Interrupts still come while it is
/// held, hence an interrupt handler that took it could wait for the thread that it interrupted: handlers use
/// [`IrqLock`](super::IrqLock).
pub struct SpinLock<T, C: Cpu> {
    rank: RankNote,
    pub(super) inner: Mutex<RawTicketLock<C>, T>,
}

impl<T, C: Cpu> SpinLock<T, C> {
    /// An open lock around `value`.
    ///
    /// # Panics
    ///
    /// When `rank` is not of the band for this kind of lock; in a `static` that is a compile-time error.
    #[cfg(not(loom))]
    pub const fn new(rank: Rank, value: T) -> Self {
        assert!(matches!(rank.band(), Band::Spin), "a SpinLock needs a rank of its band");
        Self { rank: RankNote::new(rank), inner: Mutex::from_raw(RawTicketLock::new(), value) }
    }

    /// An open lock around `value`.
    #[cfg(loom)]
    pub fn new(rank: Rank, value: T) -> Self {
        assert!(matches!(rank.band(), Band::Spin), "a SpinLock needs a rank of its band");
        Self { rank: RankNote::new(rank), inner: Mutex::from_raw(RawTicketLock::new(), value) }
    }

    /// The lock's place in the order, in a debug build.
    #[must_use]
    pub const fn rank(&self) -> RankNote {
        self.rank
    }

    /// Waits for its turn and takes the lock.
    ///
    /// # Panics
    ///
    /// In a debug build, when this breaks the lock order.
    #[track_caller]
    pub fn lock(&self) -> SpinGuard<'_, T, C> {
        let preempt = NoPreempt::new();
        let held = Held::note(self.rank);
        Guard::new(self.inner.lock(), held, preempt)
    }

    /// Takes the lock if it is open.
    ///
    /// # Panics
    ///
    /// In a debug build, when this breaks the lock order.
    #[track_caller]
    pub fn try_lock(&self) -> Option<SpinGuard<'_, T, C>> {
        let preempt = NoPreempt::new();
        let held = Held::note(self.rank);
        Some(Guard::new(self.inner.try_lock()?, held, preempt))
    }

    /// The value; exclusive access needs no lock.
    pub fn get_mut(&mut self) -> &mut T {
        self.inner.get_mut()
    }

    /// The value, taken out of its lock.
    pub fn into_inner(self) -> T {
        self.inner.into_inner()
    }
}

/// The right to a [`SpinLock`]'s value. Dropping it gives the lock back, then lets the thread be preempted.
pub type SpinGuard<'a, T, C> = Guard<'a, T, RawTicketLock<C>, C, NoPreempt<C>>;
