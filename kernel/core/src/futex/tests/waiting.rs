//! How waits begin and end.

use super::*;
use crate::sched::fake::NOW_NS;
use crate::sched::{Switch, unpark};
use crate::sync::{Rank, SpinLock};

#[test]
fn the_two_words_of_these_tests_are_in_different_buckets() {
    assert_ne!(key(0).bucket(BUCKETS), key(1).bucket(BUCKETS));
}

#[test]
fn a_word_with_another_value_is_not_waited_for() {
    let world = World::new();
    assert_eq!(world.wait(0, 1), WaitEnd::Different);
    assert_eq!(world.futexes.waiting(key(0)), 0);
}

#[test]
fn a_word_that_cannot_be_read_is_not_waited_for() {
    let world = World::new();
    let end = world.futexes.wait(&Arc::default(), key(0), EVERY_BIT, None, || Look::Fault, || false);
    assert_eq!(end, WaitEnd::Fault);
    assert_eq!(world.futexes.waiting(key(0)), 0);
}

#[test]
fn a_waiter_is_woken() {
    let world = World::new();
    let waiters = world.waiters(0, 1);
    assert_eq!(world.wake(1, 1), 0, "another word");
    assert_eq!(world.wake(0, 1), 1);
    assert_eq!(joined(waiters), [WaitEnd::Woken]);
    assert_eq!(world.wake(0, 1), 0, "nobody is left");
}

#[test]
fn as_many_are_woken_as_asked_for_and_who_came_first_first() {
    let world = World::new();
    let mut waiters = world.waiters(0, 3);
    assert_eq!(world.wake(0, 0), 0);
    assert_eq!(world.wake(0, 1), 1);
    assert_eq!(waiters.remove(0).join().unwrap(), WaitEnd::Woken);
    assert_eq!(world.futexes.waiting(key(0)), 2);
    assert_eq!(world.wake(0, usize::MAX), 2);
    assert_eq!(joined(waiters), [WaitEnd::Woken; 2]);
}

#[test]
fn more_are_woken_than_are_taken_out_at_a_time() {
    let count = 2 * BATCH + 1;
    let world = World::new();
    let waiters = world.waiters(0, count);
    assert_eq!(world.wake(0, count - 1), count - 1);
    assert_eq!(world.wake(0, usize::MAX), 1);
    assert!(joined(waiters).iter().all(|&end| end == WaitEnd::Woken));
}

#[test]
fn only_those_with_a_common_bit_are_woken() {
    let world = World::new();
    let start = |bits| {
        let other = Arc::clone(&world);
        thread::spawn(move || other.wait_for(0, 0, bits, None))
    };
    let (first, second) = (start(0b01), start(0b10));
    world.until_waiting(0, 2);
    let wake = |bits| world.futexes.wake(key(0), usize::MAX, core::num::NonZeroU32::new(bits).unwrap());
    assert_eq!(wake(0b100), 0);
    assert_eq!(wake(0b110), 1);
    assert_eq!(second.join().unwrap(), WaitEnd::Woken);
    assert_eq!(wake(EVERY_BIT.get()), 1);
    assert_eq!(first.join().unwrap(), WaitEnd::Woken);
}

#[test]
fn private_words_of_two_programs_and_shared_words_are_apart() {
    let address = UserAddr::new(0x1000);
    let keys = [
        Key::Private { space: 1, address },
        Key::Private { space: 2, address },
        Key::Shared { object: 1, offset: 0x1000 },
        Key::Shared { object: 1, offset: 0x1004 },
    ];
    for (n, one) in keys.iter().enumerate() {
        for (m, other) in keys.iter().enumerate() {
            assert_eq!(one == other, n == m);
        }
    }
}

#[test]
fn a_wait_ends_at_its_deadline() {
    let world = World::new();
    assert_eq!(world.wait_for(0, 0, 1, Some(NOW_NS)), WaitEnd::TimedOut);
    assert_eq!(world.futexes.waiting(key(0)), 0);
    assert_eq!(world.wake(0, 1), 0);
    // The seat is good for the next wait.
    assert_eq!(world.wait_for(0, 0, 1, Some(0)), WaitEnd::TimedOut);
}

#[test]
fn a_wait_before_its_deadline_is_woken() {
    let world = World::new();
    let other = Arc::clone(&world);
    let waiter = thread::spawn(move || other.wait_for(0, 0, 1, Some(NOW_NS + 1)));
    world.until_waiting(0, 1);
    assert_eq!(world.wake(0, 1), 1);
    assert_eq!(waiter.join().unwrap(), WaitEnd::Woken);
}

#[test]
fn a_signal_ends_a_wait_and_an_unpark_without_one_does_not() {
    let world = World::new();
    let (tell, told) = std::sync::mpsc::channel();
    let other = Arc::clone(&world);
    let waiter = thread::spawn(move || {
        tell.send(HostSwitch::current()).unwrap();
        other.wait(0, 0)
    });
    let sleeper = told.recv().unwrap();
    world.until_waiting(0, 1);
    for _ in 0..3 {
        let _outcome = unpark::<HostSwitch>(Arc::clone(&sleeper));
    }
    assert_eq!(world.futexes.waiting(key(0)), 1, "it came back for nothing");
    world.signalled.store(true, Ordering::Relaxed);
    let _outcome = unpark::<HostSwitch>(sleeper);
    assert_eq!(waiter.join().unwrap(), WaitEnd::Interrupted);
    assert_eq!(world.wake(0, 1), 0);
}

#[test]
fn the_deadline_comes_before_a_signal() {
    let world = World::new();
    world.signalled.store(true, Ordering::Relaxed);
    assert_eq!(world.wait(0, 0), WaitEnd::Interrupted);
    assert_eq!(world.wait_for(0, 0, 1, Some(NOW_NS)), WaitEnd::TimedOut);
}

#[test]
#[cfg_attr(debug_assertions, should_panic(expected = "lock process tree is held across a sleep"))]
fn a_wait_with_a_spin_lock_held_is_a_panic_with_its_name() {
    let lock = SpinLock::<_, FakeCpu>::new(Rank::ProcessTree, ());
    let _guard = lock.lock();
    assert_eq!(World::new().wait(0, 1), WaitEnd::Different);
}

#[test]
fn neighbouring_words_spread_over_the_buckets() {
    // 4 KiB of words, words a page apart, programs that differ in their number only: no bucket gets much more than its
    // share.
    let private = |space, address| Key::Private { space, address: UserAddr::new(address) };
    let fair = |keys: &mut dyn Iterator<Item = Key>| {
        let mut filled = [0; BUCKETS];
        keys.take(1024).for_each(|key| filled[key.bucket(BUCKETS)] += 1);
        let fullest = filled.iter().max().copied().unwrap_or_default();
        assert!(fullest <= 4 * 1024 / BUCKETS, "{filled:?}");
    };
    fair(&mut (0..).map(|n| private(1, 0x7f_0000_0000 + 4 * n)));
    fair(&mut (0..).map(|n| private(1, 0x7f_0000_0000 + 4096 * n)));
    fair(&mut (0..).map(|n| private(n, 0x7f_0000_0010)));
    fair(&mut (0..).map(|n| Key::Shared { object: n, offset: 0 }));
}
