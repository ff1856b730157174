//! The lock word of a sleeping mutex. How to sleep is not known here: `sched` brings the wait queue.

use lock_api::{GuardNoSend, RawMutex};

use super::atomic::{AtomicBool, Ordering};

/// Where the threads stand that wait for a lock.
pub trait Waiters {
    /// Sleeps until `condition` is false. It is evaluated at least once, and again after each
    /// [`wake_one`](Self::wake_one) that chose the caller.
    fn wait_while(&self, condition: impl FnMut() -> bool);

    /// Wakes one of those who wait. A thread whose `wait_while` began to wait before this call, and is the only one, is
    /// woken or finds its condition false.
    fn wake_one(&self);
}

/// A mutex without data that puts its waiters to sleep.
///
/// It is not fair: who runs may take it before the thread that was just woken for it. Handing it over would make each
/// contended release a context switch.
pub struct RawSleepMutex<W> {
    locked: AtomicBool,
    waiters: W,
}

impl<W> RawSleepMutex<W> {
    /// An open mutex.
    #[cfg(not(loom))]
    pub const fn new(waiters: W) -> Self {
        Self { locked: AtomicBool::new(false), waiters }
    }

    /// An open mutex.
    #[cfg(loom)]
    pub fn new(waiters: W) -> Self {
        Self { locked: AtomicBool::new(false), waiters }
    }
}

// SAFETY: `lock` returns and `try_lock` says true only after an exchange of `locked` from false to true, which one taker
// wins; back to false it goes only in `unlock`, whose caller holds the lock. The exchange acquires what the store
// released. None of this relies on what `W` does.
unsafe impl<W: Waiters> RawMutex for RawSleepMutex<W> {
    const INIT: Self = panic!("a lock is made with its rank: SleepMutex::new");

    type GuardMarker = GuardNoSend;

    fn lock(&self) {
        let mut taken = false;
        while !taken {
            self.waiters.wait_while(|| {
                taken = taken || self.try_lock();
                !taken
            });
        }
    }

    fn try_lock(&self) -> bool {
        self.locked.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    unsafe fn unlock(&self) {
        self.locked.store(false, Ordering::Release);
        self.waiters.wake_one();
    }
}
