//! The lock around what one CPU keeps at hand.

use core::marker::PhantomData;

use lock_api::{GuardNoSend, Mutex, RawMutex};

use super::atomic::{AtomicU32, Ordering};
use super::contention::note_wait;
use super::cpu_state::QuietlyMasked;
use super::guard::Guard;
use super::rank::{Band, Held, Rank, RankNote};
use crate::hal::Cpu;

/// A spin lock for a CPU's own stock of something: its CPU takes it at every turn, the others when memory has run out or
/// somebody asks for statistics. Interrupts are masked on the holder's CPU, as with an [`IrqLock`](super::IrqLock).
///
/// Two things are left out of it that an `IrqLock` has, and with them half of what it costs:
///
/// * the queue: as good as nobody ever waits, so a flag is as fair as tickets;
/// * at the end, the question whether a preemption has come due. **Nothing that is done under it may wake a thread.** What an
///   interrupt asked for meanwhile comes with the interrupt, as soon as the mask is gone.
pub struct StockLock<T, C: Cpu> {
    rank: RankNote,
    inner: Mutex<RawFlagLock<C>, T>,
}

impl<T, C: Cpu> StockLock<T, C> {
    /// An open lock around `value`.
    ///
    /// # Panics
    ///
    /// When `rank` is not of the band for this kind of lock; in a `static` that is a compile-time error.
    #[cfg(not(loom))]
    pub const fn new(rank: Rank, value: T) -> Self {
        assert!(matches!(rank.band(), Band::Irq), "a StockLock needs a rank of the irq band");
        Self { rank: RankNote::new(rank), inner: Mutex::from_raw(RawFlagLock::new(), value) }
    }

    /// An open lock around `value`.
    #[cfg(loom)]
    pub fn new(rank: Rank, value: T) -> Self {
        assert!(matches!(rank.band(), Band::Irq), "a StockLock needs a rank of the irq band");
        Self { rank: RankNote::new(rank), inner: Mutex::from_raw(RawFlagLock::new(), value) }
    }

    /// Waits until the lock is open and takes it.
    ///
    /// # Panics
    ///
    /// In a debug build, when this breaks the lock order.
    #[inline]
    #[track_caller]
    pub fn lock(&self) -> StockGuard<'_, T, C> {
        let masked = QuietlyMasked::new();
        let held = Held::note(self.rank);
        Guard::new(self.inner.lock(), held, masked)
    }
}

/// The right to a [`StockLock`]'s value. Dropping it gives the lock back, then puts the interrupt mask back.
pub type StockGuard<'a, T, C> = Guard<'a, T, RawFlagLock<C>, C, QuietlyMasked<C>>;

/// A lock without data or order among those who wait.
pub struct RawFlagLock<C> {
    /// 1 while somebody has the lock.
    taken: AtomicU32,
    cpu: PhantomData<fn() -> C>,
}

impl<C> RawFlagLock<C> {
    #[cfg(not(loom))]
    const fn new() -> Self {
        Self { taken: AtomicU32::new(0), cpu: PhantomData }
    }

    #[cfg(loom)]
    fn new() -> Self {
        Self { taken: AtomicU32::new(0), cpu: PhantomData }
    }

    /// Sets the flag, unless it is set, or for no reason fails to.
    #[inline]
    fn take(&self) -> bool {
        self.taken.compare_exchange_weak(0, 1, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }
}

impl<C: Cpu> RawFlagLock<C> {
    #[cold]
    #[inline(never)]
    fn wait(&self) {
        let mut spins = 0;
        loop {
            // Only looking: the line stays shared until it is worth a store.
            while self.taken.load(Ordering::Relaxed) != 0 {
                C::relax();
                spins += 1;
            }
            if self.take() {
                // Or the exclusive store failed for no reason.
                if spins > 0 {
                    note_wait(spins);
                }
                return;
            }
        }
    }
}

// SAFETY: the lock is held by whoever changed `taken` from 0 to 1, and nobody can do so again until its holder has stored
// 0. Taking it is an Acquire that reads what giving it back wrote with Release: what one holder wrote, the next sees.
unsafe impl<C: Cpu> RawMutex for RawFlagLock<C> {
    const INIT: Self = panic!("a lock is made with its rank: StockLock::new");

    type GuardMarker = GuardNoSend;

    #[inline]
    fn lock(&self) {
        if !self.take() {
            self.wait();
        }
    }

    #[inline]
    fn try_lock(&self) -> bool {
        self.taken.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    #[inline]
    unsafe fn unlock(&self) {
        self.taken.store(0, Ordering::Release);
    }
}
