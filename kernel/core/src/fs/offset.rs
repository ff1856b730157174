//! An open file's offset and the lock around it.
//!
//! POSIX wants reads and writes through one open file to be atomic with respect to its offset, whoever shares it: two
//! threads that read at once get different bytes. The copy to the program may fault and so may sleep, therefore a
//! sleeping lock is held meanwhile. Its waiters stand in one of a few queues of the kernel's ([`Parking`]): an open file
//! brings no queue of its own, so it is small, and knows nothing of threads.

use lock_api::{Mutex, MutexGuard};

use crate::sched::{Switch, WaitQueue};
use crate::sync::atomic::{AtomicU32, Ordering, fence};
use crate::sync::{RawSleepMutex, Waiters};

/// How threads wait for each other at a *place*: a number that one object has while it lives.
pub trait Parking: Sync {
    /// Sleeps until `condition` is false. It is evaluated at least once, and again after each
    /// [`wake_all`](Self::wake_all) for this place.
    fn wait_while(&self, place: usize, condition: &mut dyn FnMut() -> bool);

    /// Lets all who wait at this place look again.
    fn wake_all(&self, place: usize);
}

/// How many queues a [`ParkingLot`] has.
const QUEUES: usize = 8;

/// A few wait queues for any number of places. Two places may share a queue: then somebody looks again in vain.
pub struct ParkingLot<S: Switch> {
    queues: [WaitQueue<S>; QUEUES],
}

impl<S: Switch> ParkingLot<S> {
    /// Empty.
    #[cfg(not(loom))]
    #[must_use]
    pub const fn new() -> Self {
        Self { queues: [const { WaitQueue::new() }; QUEUES] }
    }

    /// Empty.
    #[cfg(loom)]
    #[must_use]
    pub fn new() -> Self {
        Self { queues: core::array::from_fn(|_| WaitQueue::new()) }
    }

    fn queue(&self, place: usize) -> &WaitQueue<S> {
        let [first, ..] = &self.queues;
        // Objects are multiples of 16 bytes apart.
        self.queues.get((place >> 4 ^ place >> 9) % QUEUES).unwrap_or(first)
    }
}

impl<S: Switch> Default for ParkingLot<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: Switch> Parking for ParkingLot<S> {
    fn wait_while(&self, place: usize, condition: &mut dyn FnMut() -> bool) {
        self.queue(place).wait_while(condition);
    }

    fn wake_all(&self, place: usize) {
        self.queue(place).wake_all();
    }
}

/// An open file's offset.
pub(super) type Offset = Parked<u64>;

/// Something behind a lock whose holder may sleep and whose waiters stand in a [`Parking`].
pub(super) struct Parked<T> {
    inner: Mutex<RawSleepMutex<Waiting>, T>,
}

/// The right to what is behind a [`Parked`].
pub(super) type ParkedGuard<'a, T> = MutexGuard<'a, RawSleepMutex<Waiting>, T>;

impl<T> Parked<T> {
    pub(super) fn new(parking: &'static dyn Parking, value: T) -> Self {
        let waiting = Waiting { parking, count: AtomicU32::new(0) };
        Self { inner: Mutex::from_raw(RawSleepMutex::new(waiting), value) }
    }

    /// Waits until nobody else has it. Not with any spin lock held.
    pub(super) fn lock(&self) -> ParkedGuard<'_, T> {
        self.inner.lock()
    }
}

/// Those who wait for one lock. They are counted, so that giving back a lock that nobody waits for, which is nearly
/// every time, costs no more than a look.
pub(super) struct Waiting {
    parking: &'static dyn Parking,
    count: AtomicU32,
}

impl Waiting {
    fn place(&self) -> usize {
        core::ptr::from_ref(self).addr()
    }
}

impl Waiters for Waiting {
    fn wait_while(&self, mut condition: impl FnMut() -> bool) {
        if !condition() {
            return;
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        // The waiter counts itself and then looks at the lock; its holder opens the lock and then looks at the count.
        // With a fence between both steps of both, one sees the other.
        fence(Ordering::SeqCst);
        self.parking.wait_while(self.place(), &mut condition);
        self.count.fetch_sub(1, Ordering::Relaxed);
    }

    fn wake_one(&self) {
        fence(Ordering::SeqCst);
        if self.count.load(Ordering::Relaxed) != 0 {
            self.parking.wake_all(self.place());
        }
    }
}
