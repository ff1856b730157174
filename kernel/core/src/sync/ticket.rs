//! The raw ticket lock: a counter of tickets drawn and one of tickets served.

use core::marker::PhantomData;

use lock_api::{GuardNoSend, RawMutex};

use super::atomic::{AtomicU32, Ordering};
use super::contention::note_wait;
use crate::hal::Cpu;

/// A lock without data that serves its takers in the order in which they came: with four cores at one lock an
/// unordered spin lock lets the core that last had the cache line win again.
///
/// A plain read loop waits for the turn; the exclusive pair is executed once a lock (the A53 and the A72 have no LSE
/// atomics, so `fetch_add` is an `ldxr`/`stxr` loop).
pub struct RawTicketLock<C> {
    /// The ticket that the next taker draws. Wraps; at most a few takers wait at a time.
    next: AtomicU32,
    /// The ticket whose holder has the lock. Only the holder writes it.
    serving: AtomicU32,
    cpu: PhantomData<fn() -> C>,
}

impl<C> RawTicketLock<C> {
    #[cfg(not(loom))]
    pub(super) const fn new() -> Self {
        Self { next: AtomicU32::new(0), serving: AtomicU32::new(0), cpu: PhantomData }
    }

    #[cfg(loom)]
    pub(super) fn new() -> Self {
        Self { next: AtomicU32::new(0), serving: AtomicU32::new(0), cpu: PhantomData }
    }
}

impl<C: Cpu> RawTicketLock<C> {
    /// Waits for the ticket's turn.
    #[cold]
    #[inline(never)]
    fn wait(&self, ticket: u32) {
        let mut spins = 0;
        while self.serving.load(Ordering::Acquire) != ticket {
            C::relax();
            spins += 1;
        }
        note_wait(spins);
    }
}

// SAFETY: the lock is held by the one taker whose ticket equals `serving`. Tickets are drawn by atomic additions or a
// compare-exchange on `next`, so no two takers have the same one (2^32 of them would have to wait at a time), and
// `serving` moves on only in `unlock`, whose caller holds the lock. Taking it reads `serving` with Acquire, giving it
// back writes it with Release: what one holder wrote, the next sees.
unsafe impl<C: Cpu> RawMutex for RawTicketLock<C> {
    const INIT: Self = panic!("a lock is made with its rank: SpinLock::new, IrqLock::new");

    type GuardMarker = GuardNoSend;

    fn lock(&self) {
        let ticket = self.next.fetch_add(1, Ordering::Relaxed);
        if self.serving.load(Ordering::Acquire) != ticket {
            self.wait(ticket);
        }
    }

    fn try_lock(&self) -> bool {
        // Acquire here, not at the exchange: it is `serving` that the last holder released.
        let ticket = self.serving.load(Ordering::Acquire);
        self.next.compare_exchange(ticket, ticket.wrapping_add(1), Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    unsafe fn unlock(&self) {
        let ticket = self.serving.load(Ordering::Relaxed);
        self.serving.store(ticket.wrapping_add(1), Ordering::Release);
    }
}
