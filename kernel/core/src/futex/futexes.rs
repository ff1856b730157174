//! All that wait, and how to wait.

use alloc::sync::Arc;
use core::num::NonZeroU32;

use super::bucket::{Bucket, Entry};
use super::key::Key;
use super::seat::Seat;
use crate::sched::Switch;
use crate::sync::{Padded, Rank, SpinLock, assert_none_held};

/// How many buckets there are: far more than threads that wait at a time on four cores.
#[cfg(not(loom))]
pub const BUCKETS: usize = 64;
/// How many buckets there are: two, so that models have keys in one and in different ones.
#[cfg(loom)]
pub const BUCKETS: usize = 2;

pub(super) type Locked<S> = Padded<SpinLock<Bucket<<S as Switch>::Payload>, <S as Switch>::Cpu>>;

/// What a look at the word showed.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Look {
    /// What the program expects there.
    Same,
    /// Something else.
    Different,
    /// It cannot be read without taking a fault, and a fault cannot be taken here.
    Fault,
}

/// How a wait ended.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WaitEnd {
    /// By a wake-up, which has counted this waiter.
    Woken,
    /// It did not begin: the word has another value.
    Different,
    /// It did not begin: the word cannot be read. The caller touches it, which resolves the fault, and tries again.
    Fault,
    /// The deadline passed.
    TimedOut,
    /// A signal came.
    Interrupted,
    /// It did not begin: there is no memory.
    OutOfMemory,
}

/// The threads that wait on words of programs' memory.
pub struct Futexes<S: Switch> {
    pub(super) buckets: [Locked<S>; BUCKETS],
}

impl<S: Switch> Futexes<S> {
    /// Nobody waits.
    #[cfg(not(loom))]
    #[must_use]
    pub const fn new() -> Self {
        Self { buckets: [const { Padded(SpinLock::new(Rank::FutexBucket, Bucket::new())) }; BUCKETS] }
    }

    /// Nobody waits.
    #[cfg(loom)]
    #[must_use]
    pub fn new() -> Self {
        Self { buckets: core::array::from_fn(|_| Padded(SpinLock::new(Rank::FutexBucket, Bucket::new()))) }
    }

    /// Waits at `key` until it is woken for one of `bits`, the clock shows `deadline_ns`, or `interrupted` says yes. It
    /// does not come back for anything else.
    ///
    /// `look` reads the word. It is called once, with a spin lock held: it neither sleeps nor takes a fault. Nor does
    /// `interrupted` sleep, which is asked while the thread is about to; whoever makes it true unparks the thread
    /// afterwards. `seat` is the thread's own.
    ///
    /// # Panics
    ///
    /// In a debug build, when the caller holds a spin or irq lock.
    pub fn wait(
        &self,
        seat: &Arc<Seat>,
        key: Key,
        bits: NonZeroU32,
        deadline_ns: Option<u64>,
        look: impl FnOnce() -> Look,
        interrupted: impl Fn() -> bool,
    ) -> WaitEnd {
        assert_none_held::<S::Cpu>(None);
        debug_assert!(seat.bucket().is_none(), "a seat is for one wait at a time");
        let me = S::current();
        let here = key.bucket(BUCKETS);
        {
            let mut bucket = self.buckets[here].lock();
            match look() {
                Look::Same => {}
                Look::Different => return WaitEnd::Different,
                Look::Fault => return WaitEnd::Fault,
            }
            if !bucket.reserve(1) {
                return WaitEnd::OutOfMemory;
            }
            let entry = Entry { key, bits: bits.get(), thread: Arc::clone(&me), seat: Arc::clone(seat) };
            bucket.push(entry, here);
        }
        while seat.bucket().is_some() {
            me.park().prepare();
            // The seat once more: who cleared it before `prepare` has woken a thread that did not sleep.
            let end = if seat.bucket().is_none() {
                Some(WaitEnd::Woken)
            } else if deadline_ns.is_some_and(|deadline_ns| S::now_ns() >= deadline_ns) {
                Some(WaitEnd::TimedOut)
            } else if interrupted() {
                Some(WaitEnd::Interrupted)
            } else {
                None
            };
            match (end, deadline_ns) {
                (Some(end), _) => {
                    me.park().cancel();
                    return if self.leave(seat) { end } else { WaitEnd::Woken };
                }
                (None, None) => S::block(),
                (None, Some(deadline_ns)) => S::block_until(deadline_ns),
            }
        }
        WaitEnd::Woken
    }

    /// How many threads wait for `key`, a moment ago.
    #[must_use]
    pub fn waiting(&self, key: Key) -> usize {
        self.buckets[key.bucket(BUCKETS)].lock().waiting(&key)
    }

    /// Ends the wait of `seat` from its own side. Says whether it did; else a waker had.
    pub(super) fn leave(&self, seat: &Arc<Seat>) -> bool {
        while let Some(place) = seat.bucket() {
            let mut bucket = self.buckets[place].lock();
            // A requeueing may have taken it elsewhere before the lock was ours.
            if seat.bucket() == Some(place) {
                bucket.remove(seat);
                return true;
            }
        }
        false
    }
}

impl<S: Switch> Default for Futexes<S> {
    fn default() -> Self {
        Self::new()
    }
}
