//! Models of waiting and waking: every interleaving with few enough preemptions, every value the orderings allow.

use std::sync::Arc;

use loom::sync::atomic::Ordering::Relaxed;
use loom::sync::atomic::{AtomicBool, AtomicU32};
use loom::thread;

use super::bucket::Entry;
use super::*;
use crate::addr::UserAddr;
use crate::sched::fake::{HostSwitch, NOW_NS};
use crate::sched::{Switch, unpark};

/// A word of a program, and those who wait for it.
struct Shared {
    futexes: Futexes<HostSwitch>,
    word: AtomicU32,
    signalled: AtomicBool,
}

impl Shared {
    fn new() -> Arc<Self> {
        Arc::new(Self { futexes: Futexes::new(), word: AtomicU32::new(0), signalled: AtomicBool::new(false) })
    }

    /// Waits at `key` as long as the word is 0.
    fn wait(&self, key: Key, deadline_ns: Option<u64>) -> WaitEnd {
        let look = || if self.word.load(Relaxed) == 0 { Look::Same } else { Look::Different };
        let interrupted = || self.signalled.load(Relaxed);
        self.futexes.wait(&Arc::new(Seat::new()), key, EVERY_BIT, deadline_ns, look, interrupted)
    }

    /// A waiter that stands at `key` and is about to sleep. Three threads at one lock are more than loom can follow, so it
    /// is none of its own.
    fn stand(&self, key: Key) -> Arc<Seat> {
        let seat = Arc::new(Seat::new());
        let (thread, bits) = (HostSwitch::current(), EVERY_BIT.get());
        let here = key.bucket(BUCKETS);
        self.futexes.buckets[here].lock().push(Entry { key, bits, thread, seat: Arc::clone(&seat) }, here);
        seat
    }

    fn change_and_wake(&self, key: Key) -> usize {
        self.word.store(1, Relaxed);
        self.futexes.wake(key, 1, EVERY_BIT)
    }

    fn nobody_waits(&self) -> bool {
        [key(0), key(1)].iter().all(|&key| self.futexes.waiting(key) == 0)
    }
}

/// A word whose key falls into this bucket.
fn key(bucket: usize) -> Key {
    (0..)
        .map(|address| Key::Private { space: 1, address: UserAddr::new(4 * address) })
        .find(|key| key.bucket(BUCKETS) == bucket)
        .unwrap()
}

#[test]
fn loom_a_waiter_misses_no_change_and_is_counted_if_it_waited() {
    loom::model(|| {
        let shared = Shared::new();
        let other = Arc::clone(&shared);
        let waker = thread::spawn(move || other.change_and_wake(key(0)));
        let end = shared.wait(key(0), None);
        let woken = waker.join().unwrap();
        assert_eq!(woken, usize::from(end == WaitEnd::Woken));
        assert!(matches!(end, WaitEnd::Woken | WaitEnd::Different), "{end:?}");
        assert!(shared.nobody_waits());
    });
}

#[test]
fn loom_a_waiter_that_times_out_was_not_counted() {
    loom::model(|| {
        let shared = Shared::new();
        let other = Arc::clone(&shared);
        let waker = thread::spawn(move || other.change_and_wake(key(0)));
        let end = shared.wait(key(0), Some(NOW_NS));
        let woken = waker.join().unwrap();
        assert_eq!(woken, usize::from(end == WaitEnd::Woken), "{end:?}");
        assert!(shared.nobody_waits());
    });
}

#[test]
fn loom_a_signal_ends_a_wait_or_a_wake_up_does() {
    loom::model(|| {
        let shared = Shared::new();
        let waiter = HostSwitch::current();
        let other = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            other.signalled.store(true, Relaxed);
            let _outcome = unpark::<HostSwitch>(waiter);
            other.futexes.wake(key(0), 1, EVERY_BIT)
        });
        let end = shared.wait(key(0), None);
        let woken = thread.join().unwrap();
        assert_eq!(woken, usize::from(end == WaitEnd::Woken), "{end:?}");
        assert!(shared.nobody_waits());
    });
}

#[test]
fn loom_one_waiter_is_counted_by_one_of_two_wakers() {
    loom::model(|| {
        let shared = Shared::new();
        let seat = shared.stand(key(0));
        let other = Arc::clone(&shared);
        let waker = thread::spawn(move || other.futexes.wake(key(0), 1, EVERY_BIT));
        let woken = shared.futexes.wake(key(0), 1, EVERY_BIT);
        assert_eq!(woken + waker.join().unwrap(), 1);
        assert_eq!(seat.bucket(), None);
    });
}

#[test]
fn loom_a_moved_waiter_is_woken_at_its_new_word() {
    loom::model(|| {
        let shared = Shared::new();
        let other = Arc::clone(&shared);
        let mover = thread::spawn(move || {
            other.word.store(1, Relaxed);
            let moved = other.futexes.requeue(key(0), key(1), 0, 1).unwrap().moved;
            (moved, other.futexes.wake(key(1), 1, EVERY_BIT))
        });
        let end = shared.wait(key(0), None);
        let (moved, woken) = mover.join().unwrap();
        assert_eq!((moved, woken), if end == WaitEnd::Woken { (1, 1) } else { (0, 0) });
        assert!(shared.nobody_waits());
    });
}

#[test]
fn loom_a_moved_waiter_that_times_out_leaves_no_trace() {
    loom::model(|| {
        let shared = Shared::new();
        let other = Arc::clone(&shared);
        let mover = thread::spawn(move || {
            let _moved = other.futexes.requeue(key(0), key(1), 0, 1).unwrap();
            other.futexes.wake(key(1), 1, EVERY_BIT)
        });
        let end = shared.wait(key(0), Some(NOW_NS));
        let woken = mover.join().unwrap();
        assert_eq!(woken, usize::from(end == WaitEnd::Woken), "{end:?}");
        assert!(shared.nobody_waits());
    });
}

#[test]
fn loom_a_wake_up_at_the_new_word_comes_before_the_move_or_finds_the_waiter() {
    loom::model(|| {
        let shared = Shared::new();
        let seat = shared.stand(key(0));
        let other = Arc::clone(&shared);
        let mover = thread::spawn(move || other.futexes.requeue(key(0), key(1), 0, 1).unwrap().moved);
        let old = shared.futexes.wake(key(0), 1, EVERY_BIT);
        let new = shared.futexes.wake(key(1), 1, EVERY_BIT);
        // If it was no longer at the old word, it was at the new one.
        assert_eq!((old + new, new), (1, mover.join().unwrap()));
        assert_eq!(seat.bucket(), None);
        assert!(shared.nobody_waits());
    });
}

#[test]
fn loom_a_waiter_that_gives_up_is_followed_to_its_new_word() {
    loom::model(|| {
        let shared = Shared::new();
        let seat = shared.stand(key(0));
        let other = Arc::clone(&shared);
        let mover = thread::spawn(move || other.futexes.requeue(key(0), key(1), 0, 1).unwrap().moved);
        assert!(shared.futexes.leave(&seat));
        let _moved = mover.join().unwrap();
        assert_eq!(seat.bucket(), None);
        assert!(shared.nobody_waits());
    });
}

#[test]
fn loom_moves_in_opposite_directions_do_not_wait_for_each_other() {
    loom::model(|| {
        let shared = Shared::new();
        let other = Arc::clone(&shared);
        let there = thread::spawn(move || other.futexes.requeue(key(0), key(1), 1, 1));
        let back = shared.futexes.requeue(key(1), key(0), 1, 1);
        assert_eq!(there.join().unwrap(), Ok(Requeued::default()));
        assert_eq!(back, Ok(Requeued::default()));
    });
}
