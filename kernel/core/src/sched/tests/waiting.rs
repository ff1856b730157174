//! Wait queues and sleeping mutexes with the host's threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::vec::Vec;

use crate::hal::Cpu;
use crate::hal::fake::FakeCpu;
use crate::sched::fake::{HostSwitch, NOW_NS};
use crate::sched::{ParkState, SleepMutex, Switch, Unparked, WaitQueue, Waited, unpark};
use crate::sync::{IrqLock, Rank};

type Queue = WaitQueue<HostSwitch>;

/// Spins until so many threads wait; a waiter that never comes hangs the test, which is a failure too.
fn until_waiting(queue: &Queue, threads: usize) {
    while queue.waiting() < threads {
        FakeCpu::relax();
    }
}

#[test]
fn a_false_condition_does_not_wait() {
    let queue = Queue::new();
    queue.wait_while(|| false);
    assert_eq!(queue.wait_while_until(0, || false), Waited::Satisfied);
    assert_eq!(queue.waiting(), 0);
}

#[test]
fn a_waiter_is_woken_after_its_condition_has_changed() {
    let shared = Arc::new((Queue::new(), AtomicBool::new(false)));
    let other = Arc::clone(&shared);
    let waiter = thread::spawn(move || other.0.wait_while(|| !other.1.load(Ordering::Relaxed)));
    until_waiting(&shared.0, 1);
    shared.1.store(true, Ordering::Relaxed);
    shared.0.wake_one();
    waiter.join().unwrap();
    assert_eq!(shared.0.waiting(), 0);
}

#[test]
fn waiters_are_woken_in_the_order_they_came() {
    let shared = Arc::new((Queue::new(), AtomicUsize::new(0), std::sync::Mutex::new(Vec::new())));
    let mut waiters = Vec::new();
    for name in 0..3 {
        let other = Arc::clone(&shared);
        waiters.push(thread::spawn(move || {
            let (queue, tokens, order) = &*other;
            let take = |n: usize| n.checked_sub(1);
            queue.wait_while(|| tokens.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_err());
            order.lock().unwrap().push(name);
        }));
        until_waiting(&shared.0, name + 1);
    }
    for (woken, waiter) in waiters.into_iter().enumerate() {
        shared.1.store(1, Ordering::Relaxed);
        assert!(shared.0.wake_one());
        waiter.join().unwrap();
        assert_eq!(shared.2.lock().unwrap().len(), woken + 1);
    }
    assert_eq!(*shared.2.lock().unwrap(), [0, 1, 2]);
    assert!(!shared.0.wake_one(), "nobody is left");
}

#[test]
fn wake_all_wakes_all() {
    let shared = Arc::new((Queue::new(), AtomicBool::new(false)));
    let waiters: Vec<_> = (0..3)
        .map(|_| {
            let other = Arc::clone(&shared);
            thread::spawn(move || other.0.wait_while(|| !other.1.load(Ordering::Relaxed)))
        })
        .collect();
    until_waiting(&shared.0, 3);
    shared.1.store(true, Ordering::Relaxed);
    shared.0.wake_all();
    waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
    assert_eq!(shared.0.waiting(), 0);
}

#[test]
fn a_wait_ends_at_its_deadline_and_leaves_no_trace() {
    let queue = Queue::new();
    assert_eq!(queue.wait_while_until(NOW_NS, || true), Waited::TimedOut);
    assert_eq!(queue.waiting(), 0);
    assert_eq!(HostSwitch::current().park().state(), ParkState::Running);
}

#[test]
fn a_condition_that_ends_with_the_deadline_counts_as_met() {
    let queue = Queue::new();
    let mut looks = 0;
    let outcome = queue.wait_while_until(NOW_NS, || {
        looks += 1;
        looks < 2
    });
    assert_eq!(outcome, Waited::Satisfied);
}

#[test]
fn a_spurious_wake_up_keeps_the_place_in_the_queue() {
    let shared = Arc::new((Queue::new(), AtomicBool::new(false), AtomicUsize::new(0)));
    let other = Arc::clone(&shared);
    let waiter = thread::spawn(move || {
        other.0.wait_while(|| {
            other.2.fetch_add(1, Ordering::Relaxed);
            !other.1.load(Ordering::Relaxed)
        });
    });
    until_waiting(&shared.0, 1);
    let looks = shared.2.load(Ordering::Relaxed);
    let sleeper = shared.0.first().expect("one waits");
    while unpark::<HostSwitch>(Arc::clone(&sleeper)) == Unparked::Awake {
        FakeCpu::relax();
    }
    while shared.2.load(Ordering::Relaxed) == looks {
        FakeCpu::relax();
    }
    assert_eq!(shared.0.waiting(), 1);
    shared.1.store(true, Ordering::Relaxed);
    shared.0.wake_one();
    waiter.join().unwrap();
}

#[test]
#[cfg_attr(debug_assertions, should_panic(expected = "lock console is held across a sleep"))]
fn a_wait_with_a_spin_lock_held_is_a_panic_with_its_name() {
    let lock = IrqLock::<_, FakeCpu>::new(Rank::Console, ());
    let _guard = lock.lock();
    Queue::new().wait_while(|| false);
}

#[test]
#[should_panic(expected = "a thread that is about to sleep waits for something else")]
fn a_condition_that_waits_itself_is_caught() {
    let (outer, inner) = (Queue::new(), Queue::new());
    let mut looks = 0;
    outer.wait_while(|| {
        looks += 1;
        if looks == 2 {
            inner.wait_while(|| true);
        }
        true
    });
}

#[test]
fn no_addition_under_a_sleeping_mutex_is_lost() {
    let rounds = if cfg!(miri) { 20 } else { 2_000 };
    let mutex = Arc::new(SleepMutex::<_, HostSwitch>::new(Rank::TestSleepOuter, 0));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let mutex = Arc::clone(&mutex);
            thread::spawn(move || (0..rounds).for_each(|_| *mutex.lock() += 1))
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(*mutex.lock(), 4 * rounds);
}

#[test]
fn a_sleeping_mutex_may_be_held_across_a_wait() {
    let mutex = SleepMutex::<_, HostSwitch>::new(Rank::TestSleepOuter, ());
    let _guard = mutex.lock();
    assert_eq!(Queue::new().wait_while_until(NOW_NS, || true), Waited::TimedOut);
}

#[test]
#[cfg_attr(
    debug_assertions,
    should_panic(expected = "lock order: test sleep outer taken while test sleep inner is held")
)]
fn sleeping_mutexes_have_an_order_too() {
    let outer = SleepMutex::<_, HostSwitch>::new(Rank::TestSleepOuter, ());
    let inner = SleepMutex::<_, HostSwitch>::new(Rank::TestSleepInner, ());
    let _inner = inner.lock();
    let _outer = outer.lock();
}

#[test]
fn a_failed_try_lock_of_a_sleeping_mutex_leaves_no_trace() {
    let mutex = Arc::new(SleepMutex::<_, HostSwitch>::new(Rank::TestSleepInner, ()));
    let guard = mutex.lock();
    let other = Arc::clone(&mutex);
    thread::spawn(move || {
        assert!(other.try_lock().is_none());
        let outer = SleepMutex::<_, HostSwitch>::new(Rank::TestSleepOuter, 1);
        assert_eq!(*outer.lock(), 1);
    })
    .join()
    .unwrap();
    drop(guard);
}
