//! The lock word of a sleeping mutex. How to sleep is not known here: `sched` brings the wait queue.

use lock_api::{GuardNoSend, RawMutex};

use super::atomic::{AtomicU32, Ordering};

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
/// The word says whether somebody may wait, so that who gives back a lock that nobody waits for leaves the queue alone.
///
/// It is not fair: who runs may take it before the thread that was just woken for it. Handing it over would make each
/// contended release a context switch.
pub struct RawSleepMutex<W> {
    state: AtomicU32,
    waiters: W,
}

/// Nobody holds the lock.
const OPEN: u32 = 0;
/// Somebody holds it, and nobody waits.
const HELD: u32 = 1;
/// Somebody holds it, and whoever gives it back wakes one who may wait.
const WANTED: u32 = 2;

impl<W> RawSleepMutex<W> {
    /// An open mutex.
    #[cfg(not(loom))]
    pub const fn new(waiters: W) -> Self {
        Self { state: AtomicU32::new(OPEN), waiters }
    }

    /// An open mutex.
    #[cfg(loom)]
    pub fn new(waiters: W) -> Self {
        Self { state: AtomicU32::new(OPEN), waiters }
    }
}

impl<W> RawSleepMutex<W> {
    /// Takes the lock if it is open, and says that it is wanted if not. Who takes it in this way wakes another when he
    /// gives it back: he cannot know whether he was the only one who waited.
    fn want(&self) -> bool {
        self.state.swap(WANTED, Ordering::Acquire) == OPEN
    }
}

// SAFETY: `lock` returns and `try_lock` says true only after an exchange of `state` from `OPEN` to something else, which
// one taker wins; back to `OPEN` it goes only in `unlock`, whose caller holds the lock. The exchange acquires what that one
// released. None of this relies on what `W` does.
unsafe impl<W: Waiters> RawMutex for RawSleepMutex<W> {
    const INIT: Self = panic!("a lock is made with its rank: SleepMutex::new");

    type GuardMarker = GuardNoSend;

    fn lock(&self) {
        let mut taken = self.try_lock();
        while !taken {
            self.waiters.wait_while(|| {
                taken = taken || self.want();
                !taken
            });
        }
    }

    fn try_lock(&self) -> bool {
        self.state.compare_exchange(OPEN, HELD, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    unsafe fn unlock(&self) {
        if self.state.swap(OPEN, Ordering::Release) == WANTED {
            self.waiters.wake_one();
        }
    }
}
