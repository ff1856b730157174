//! Moving waiters to another word.

use super::*;
use crate::sched::fake::NOW_NS;

#[test]
fn some_are_woken_and_others_wait_for_the_other_word() {
    let world = World::new();
    let waiters = world.waiters(0, 5);
    let outcome = world.futexes.requeue(key(0), key(1), 1, 2);
    assert_eq!(outcome, Ok(Requeued { woken: 1, moved: 2 }));
    assert_eq!((world.futexes.waiting(key(0)), world.futexes.waiting(key(1))), (2, 2));
    assert_eq!(world.wake(1, usize::MAX), 2);
    assert_eq!(world.wake(0, usize::MAX), 2);
    assert_eq!(joined(waiters), [WaitEnd::Woken; 5]);
}

#[test]
fn the_order_is_kept() {
    let world = World::new();
    let mut waiters = world.waiters(0, 4);
    assert_eq!(world.futexes.requeue(key(0), key(1), 0, usize::MAX), Ok(Requeued { woken: 0, moved: 4 }));
    for _ in 0..4 {
        assert_eq!(world.wake(1, 1), 1);
        assert_eq!(waiters.remove(0).join().unwrap(), WaitEnd::Woken);
    }
}

#[test]
fn a_word_with_another_value_moves_nobody() {
    let world = World::new();
    let waiters = world.waiters(0, 1);
    let requeue = |look| world.futexes.compare_requeue(key(0), key(1), 1, 1, || look);
    assert_eq!(requeue(Look::Different), Err(RequeueError::Different));
    assert_eq!(requeue(Look::Fault), Err(RequeueError::Fault));
    assert_eq!(world.futexes.waiting(key(0)), 1);
    assert_eq!(requeue(Look::Same), Ok(Requeued { woken: 1, moved: 0 }));
    assert_eq!(joined(waiters), [WaitEnd::Woken]);
}

#[test]
fn words_in_one_bucket_and_one_word_are_moved_between_too() {
    let near = (2..)
        .map(|n| Key::Private { space: 1, address: UserAddr::new(0x1000 + 4 * n) })
        .find(|near| near.bucket(BUCKETS) == key(0).bucket(BUCKETS))
        .unwrap();
    let world = World::new();
    let waiters = world.waiters(0, 3);
    assert_eq!(world.futexes.requeue(key(0), near, 0, 2), Ok(Requeued { woken: 0, moved: 2 }));
    assert_eq!((world.futexes.waiting(key(0)), world.futexes.waiting(near)), (1, 2));
    assert_eq!(world.futexes.requeue(near, near, 1, 5), Ok(Requeued { woken: 1, moved: 1 }));
    assert_eq!(world.futexes.wake(near, usize::MAX, EVERY_BIT), 1);
    assert_eq!(world.wake(0, usize::MAX), 1);
    assert_eq!(joined(waiters), [WaitEnd::Woken; 3]);
}

#[test]
fn more_are_woken_and_moved_than_are_taken_out_at_a_time() {
    let (wake, rest) = (BATCH + 1, BATCH + 2);
    let world = World::new();
    let waiters = world.waiters(0, wake + rest);
    let outcome = world.futexes.requeue(key(0), key(1), wake, usize::MAX);
    assert_eq!(outcome, Ok(Requeued { woken: wake, moved: rest }));
    assert_eq!(world.wake(1, usize::MAX), rest);
    assert!(joined(waiters).iter().all(|&end| end == WaitEnd::Woken));
}

#[test]
fn a_moved_waiter_that_is_signalled_leaves_its_new_word() {
    let world = World::new();
    let (tell, told) = std::sync::mpsc::channel();
    let other = Arc::clone(&world);
    let waiter = thread::spawn(move || {
        tell.send(<HostSwitch as crate::sched::Switch>::current()).unwrap();
        other.wait(0, 0)
    });
    let sleeper = told.recv().unwrap();
    world.until_waiting(0, 1);
    assert_eq!(world.futexes.requeue(key(0), key(1), 0, 1), Ok(Requeued { woken: 0, moved: 1 }));
    world.signalled.store(true, Ordering::Relaxed);
    let _outcome = crate::sched::unpark::<HostSwitch>(sleeper);
    assert_eq!(waiter.join().unwrap(), WaitEnd::Interrupted);
    assert_eq!((world.futexes.waiting(key(0)), world.futexes.waiting(key(1))), (0, 0));
}

#[test]
fn every_waiter_is_counted_once_whoever_ends_its_wait() {
    let rounds = if cfg!(miri) { 3 } else { 3_000 };
    let world = World::new();
    let done = Arc::new(AtomicBool::new(false));
    let waiters: Vec<_> = (0..4_usize)
        .map(|n| {
            let world = Arc::clone(&world);
            thread::spawn(move || {
                let mut woken = 0;
                for round in 0..rounds {
                    // Half of the waits give up at once.
                    let deadline = ((round + n) % 2 == 0).then_some(NOW_NS);
                    woken += usize::from(world.wait_for(n % 2, 0, 1, deadline) == WaitEnd::Woken);
                }
                woken
            })
        })
        .collect();
    let wakers: Vec<_> = (0..3_usize)
        .map(|n| {
            let (world, done) = (Arc::clone(&world), Arc::clone(&done));
            thread::spawn(move || {
                let mut counted = 0;
                while !done.load(Ordering::Relaxed) {
                    counted += match n {
                        0 => world.wake(0, 1) + world.wake(1, 2),
                        1 => world.futexes.requeue(key(0), key(1), 1, 1).unwrap().woken,
                        _ => world.futexes.requeue(key(1), key(0), 0, 2).unwrap().woken,
                    };
                    FakeCpu::relax();
                }
                counted
            })
        })
        .collect();
    let woken: usize = waiters.into_iter().map(|waiter| waiter.join().unwrap()).sum();
    done.store(true, Ordering::Relaxed);
    let counted: usize = wakers.into_iter().map(|waker| waker.join().unwrap()).sum();
    assert_eq!(woken, counted);
    assert_eq!((world.futexes.waiting(key(0)), world.futexes.waiting(key(1))), (0, 0));
}
