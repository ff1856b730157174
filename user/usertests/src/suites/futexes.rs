//! Futexes.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use sys::memory::PAGE;
use sys::process::{Signal, Which, kill, spawn, wait};
use sys::sacrifice::{Attempt, sacrifice};
use sys::sync::{self, Scope};
use sys::{Errno, Mapping, machine};

use crate::expect::{Checked, child, ended_by, ensure, equal, in_child, passes, refused};
use crate::meeting::Meeting;

super::tests!("futex":
    another_value_does_not_wait, a_timeout_ends_the_wait, nobody_to_wake, one_of_three_is_woken, ping_pong,
    a_shared_word_wakes_over_a_fork, a_private_word_does_not_wake_a_copy, shared_words_at_different_addresses,
    sleepers_move_to_another_word, bits_choose_who_wakes, addresses_are_checked, a_sleeper_can_be_killed,
    a_copied_page_keeps_its_sleepers);

/// The kernel's patience for things that should not happen.
const SHORT: Duration = Duration::from_millis(20);

fn another_value_does_not_wait() -> Checked {
    let word = AtomicU32::new(1);
    refused(sync::wait(&word, 0, None, Scope::Private), Errno::AGAIN)?;
    refused(sync::wait(&word, 0, None, Scope::Shared), Errno::AGAIN)
}

fn a_timeout_ends_the_wait() -> Checked {
    let word = AtomicU32::new(1);
    for scope in [Scope::Private, Scope::Shared] {
        let start = Instant::now();
        refused(sync::wait(&word, 1, Some(SHORT), scope), Errno::TIMEDOUT)?;
        ensure(start.elapsed() >= SHORT, "too early")?;
    }
    refused(sync::wait(&word, 1, Some(Duration::ZERO), Scope::Private), Errno::TIMEDOUT)
}

fn nobody_to_wake() -> Checked {
    let word = AtomicU32::new(0);
    equal(sync::wake(&word, 1, Scope::Private)?, 0)?;
    equal(sync::wake(&word, u32::MAX >> 1, Scope::Shared)?, 0)
}

/// Wakes until so many were woken.
fn wake_until(word: &AtomicU32, count: usize, scope: Scope) -> Checked {
    let mut woken = 0;
    while woken < count {
        woken += sync::wake(word, 1, scope)?;
        machine::yield_now()?;
    }
    equal(woken, count)
}

fn one_of_three_is_woken() -> Checked {
    let word = AtomicU32::new(0);
    let woken = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                // A wake-up without a reason is allowed, but does not happen.
                let _ = sync::wait(&word, 0, None, Scope::Private);
                woken.fetch_add(1, Ordering::SeqCst);
            });
        }
        wake_until(&word, 1, Scope::Private)?;
        while woken.load(Ordering::SeqCst) == 0 {
            machine::yield_now()?;
        }
        wake_until(&word, 2, Scope::Private)
    })?;
    equal(woken.load(Ordering::SeqCst), 3)
}

fn ping_pong() -> Checked {
    let word = AtomicU32::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..1000 {
                sync::wait_while(&word, 0, Scope::Private);
                sync::set(&word, 0, Scope::Private);
            }
        });
        for _ in 0..1000 {
            sync::set(&word, 1, Scope::Private);
            sync::wait_while(&word, 1, Scope::Private);
        }
    });
    equal(word.load(Ordering::SeqCst), 0)
}

fn a_shared_word_wakes_over_a_fork() -> Checked {
    let memory = Mapping::shared(PAGE)?;
    let pid = child(|| {
        for turn in 0..200 {
            sync::wait_while(memory.word(0), 2 * turn, Scope::Shared);
            sync::set(memory.word(0), 2 * turn + 2, Scope::Shared);
        }
        Ok(())
    })?;
    for turn in 0..200 {
        sync::set(memory.word(0), 2 * turn + 1, Scope::Shared);
        sync::wait_while(memory.word(0), 2 * turn + 1, Scope::Shared);
    }
    passes(pid)?;
    equal(memory.word(0).load(Ordering::SeqCst), 400)
}

fn a_private_word_does_not_wake_a_copy() -> Checked {
    let memory = Mapping::private(PAGE)?;
    memory.write(0, 0);
    let meeting = Meeting::new()?;
    let pid = child(|| {
        meeting.set(0, 1);
        refused(sync::wait(memory.word(0), 0, Some(5 * SHORT), Scope::Private), Errno::TIMEDOUT)
    })?;
    meeting.wait(0, 1);
    let start = Instant::now();
    while start.elapsed() < 3 * SHORT {
        equal(sync::wake(memory.word(0), 1, Scope::Private)?, 0)?;
        // Not even as shared: after the fork these are two words.
        equal(sync::wake(memory.word(0), 1, Scope::Shared)?, 0)?;
        machine::yield_now()?;
    }
    passes(pid)
}

fn shared_words_at_different_addresses() -> Checked {
    let mut memory = Mapping::shared(2 * PAGE)?;
    let pid = child(|| {
        // Elsewhere in the child: grown, so that it has to move, or stays where it is.
        let _ = memory.resize(3 * PAGE, true);
        sync::wait_while(memory.word(0), 0, Scope::Shared);
        Ok(())
    })?;
    sync::set(memory.word(0), 1, Scope::Shared);
    passes(pid)
}

fn sleepers_move_to_another_word() -> Checked {
    let (first, second) = (AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..3).map(|_| scope.spawn(|| sync::wait(&first, 0, None, Scope::Private))).collect();
        refused(sync::requeue(&first, &second, 1, 10, 7), Errno::AGAIN)?;
        let mut touched = 0;
        while touched < 3 {
            touched += sync::requeue(&first, &second, 0, 10, 0)?;
            machine::yield_now()?;
        }
        equal(sync::wake(&first, 10, Scope::Private)?, 0)?;
        equal(sync::wake(&second, 1, Scope::Private)?, 1)?;
        equal(sync::wake(&second, 10, Scope::Private)?, 2)?;
        for thread in threads {
            ensure(matches!(thread.join(), Ok(Ok(()))), "not woken")?;
        }
        Ok(())
    })
}

fn bits_choose_who_wakes() -> Checked {
    let word = AtomicU32::new(0);
    refused(sync::wait_bits(&word, 0, 0, Scope::Private), Errno::INVAL)?;
    std::thread::scope(|scope| {
        let one = scope.spawn(|| sync::wait_bits(&word, 0, 1, Scope::Private));
        let two = scope.spawn(|| sync::wait_bits(&word, 0, 2, Scope::Private));
        while sync::wake_bits(&word, 10, 2, Scope::Private)? == 0 {
            machine::yield_now()?;
        }
        ensure(matches!(two.join(), Ok(Ok(()))), "not woken")?;
        equal(sync::wake_bits(&word, 10, 6, Scope::Private)?, 0)?;
        while sync::wake_bits(&word, 10, 1, Scope::Private)? == 0 {
            machine::yield_now()?;
        }
        ensure(matches!(one.join(), Ok(Ok(()))), "not woken")
    })
}

fn addresses_are_checked() -> Checked {
    const FUTEX: usize = 98;
    let [invalid, fault] = [Errno::INVAL, Errno::FAULT].map(|errno| -i32::from(errno.0));
    let memory = Mapping::private(2 * PAGE)?;
    memory.protect(PAGE, PAGE, sys::memory::Protection::NONE)?;
    let call =
        |address: usize, operation: usize| Attempt { number: FUTEX, arguments: [address, operation, 1, 0, 0, 0] };
    let calls = [
        call(memory.address() + 1, 0),
        call(memory.address() + 2, 128),
        call(memory.address() + PAGE, 0),
        call(memory.address() + PAGE, 128),
        call(0xffff_ff80_0008_0000, 128),
        call(memory.address() + 1, 1),
    ];
    let outcome = sacrifice(&calls, Duration::from_secs(5), || (), || 0)?;
    equal(outcome.returned, vec![invalid, invalid, fault, fault, fault, invalid])
}

fn a_sleeper_can_be_killed() -> Checked {
    let memory = Mapping::shared(PAGE)?;
    let meeting = Meeting::new()?;
    for scope in [Scope::Private, Scope::Shared] {
        let pid = spawn(|| {
            meeting.arrive(0);
            i32::from(sync::wait(memory.word(0), 0, None, scope).is_ok())
        })?;
        meeting.wait(0, if scope == Scope::Private { 1 } else { 2 });
        kill(pid.0, Signal::KILL)?;
        ended_by(wait(Which::Pid(pid))?.1, Signal::KILL)?;
        // Nobody is left in the queue.
        equal(sync::wake(memory.word(0), 10, scope)?, 0)?;
    }
    Ok(())
}

fn a_copied_page_keeps_its_sleepers() -> Checked {
    // A thread sleeps on a private word; then the page is copied by a fork and a store: the word is still the same.
    let memory = Mapping::private(PAGE)?;
    let slept = AtomicU32::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            slept.store(1, Ordering::SeqCst);
            sync::wait_while(memory.word(0), 0, Scope::Private);
        });
        while slept.load(Ordering::SeqCst) == 0 {
            machine::yield_now()?;
        }
        in_child(|| {
            memory.word(0).store(5, Ordering::SeqCst);
            Ok(())
        })?;
        memory.word(1 << 2).store(1, Ordering::SeqCst);
        sync::set(memory.word(0), 1, Scope::Private);
        Ok(())
    })
}
