//! The lock for data that interrupt handlers share.

use lock_api::Mutex;

use super::cpu_state::{IrqMasked, QuietlyMasked};
use super::guard::Guard;
use super::rank::{Band, Held, Rank, RankNote};
use super::ticket::RawTicketLock;
use crate::hal::Cpu;

/// A spin lock; interrupts are masked on the holder's CPU, so a handler there cannot wait for the thread that it
/// interrupted. With interrupts masked nothing preempts either.
pub struct IrqLock<T, C: Cpu> {
    rank: RankNote,
    inner: Mutex<RawTicketLock<C>, T>,
}

impl<T, C: Cpu> IrqLock<T, C> {
    /// An open lock around `value`.
    ///
    /// # Panics
    ///
    /// When `rank` is not of the band for this kind of lock; in a `static` that is a compile-time error.
    #[cfg(not(loom))]
    pub const fn new(rank: Rank, value: T) -> Self {
        assert!(matches!(rank.band(), Band::Irq), "an IrqLock needs a rank of its band");
        Self { rank: RankNote::new(rank), inner: Mutex::from_raw(RawTicketLock::new(), value) }
    }

    /// An open lock around `value`.
    #[cfg(loom)]
    pub fn new(rank: Rank, value: T) -> Self {
        assert!(matches!(rank.band(), Band::Irq), "an IrqLock needs a rank of its band");
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
    pub fn lock(&self) -> IrqGuard<'_, T, C> {
        let masked = IrqMasked::new();
        let held = Held::note(self.rank);
        Guard::new(self.inner.lock(), held, masked)
    }

    /// As [`lock`](Self::lock), for a section that **wakes no thread**: at its end nobody asks whether a preemption has come due.
    /// What an interrupt asked for meanwhile comes with the interrupt, as soon as the mask is gone.
    ///
    /// # Panics
    ///
    /// In a debug build, when this breaks the lock order.
    #[inline]
    #[track_caller]
    pub fn lock_quietly(&self) -> QuietIrqGuard<'_, T, C> {
        let masked = QuietlyMasked::new();
        let held = Held::note(self.rank);
        Guard::new(self.inner.lock(), held, masked)
    }

    /// Takes the lock if it is open.
    ///
    /// # Panics
    ///
    /// In a debug build, when this breaks the lock order.
    #[track_caller]
    pub fn try_lock(&self) -> Option<IrqGuard<'_, T, C>> {
        let masked = IrqMasked::new();
        let held = Held::note(self.rank);
        Some(Guard::new(self.inner.try_lock()?, held, masked))
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

/// The right to an [`IrqLock`]'s value. Dropping it gives the lock back, then puts the interrupt mask back.
pub type IrqGuard<'a, T, C> = Guard<'a, T, RawTicketLock<C>, C, IrqMasked<C>>;

/// The same from [`lock_quietly`](IrqLock::lock_quietly).
pub type QuietIrqGuard<'a, T, C> = Guard<'a, T, RawTicketLock<C>, C, QuietlyMasked<C>>;
