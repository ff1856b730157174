//! Signals that come with a value, waiting for them, and what their handlers interrupt.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sys::limit::{self, Resource};
use sys::process::{
    self, Disposition, Signal, Which, block_signals, kill, option, set_disposition, spawn, wait, wait_for,
};
use sys::signal::{self, Handler, Info, caught, flag, handle_with, queue, queue_to_thread};
use sys::sync::{self, Scope};
use sys::timer::{Interval, Setting, set_interval};
use sys::{Errno, time};

use crate::expect::{Checked, Failure, ensure, equal, exited, in_child, known, refused};
use crate::meeting::Meeting;

super::tests!("queue":
    values_come_in_their_order, the_limit_is_told, nobody_claims_to_be_the_kernel, a_thread_is_sent_a_value,
    a_wait_has_an_end, a_wait_is_ended_by_another_signal, a_wait_takes_what_would_be_ignored, one_waiting_thread_is_woken,
    a_wait_goes_on_after_a_stop, a_stop_does_not_end_a_wait, who_ignores_children_has_no_zombies_and_no_signals, no_zombies_but_signals,
    stops_are_told_to_who_wants, a_handler_runs_once, a_handler_is_interrupted_by_its_own_signal,
    calls_without_a_time_are_made_again, calls_with_a_time_are_not, nothing_is_restarted_by_hand);

const MS: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_secs(1000);
/// `SI_QUEUE`, `SI_TKILL`.
const QUEUE: i32 = -1;
const TKILL: i32 = -6;

const fn bit(signal: Signal) -> u64 {
    1 << (signal.0 - 1)
}

fn values_come_in_their_order() -> Checked {
    in_child(|| {
        let (low, high) = (Signal(36), Signal(50));
        block_signals(bit(low) | bit(high) | bit(Signal::USR1))?;
        let own = process::pid();
        for value in 0..20 {
            let signal = if value % 2 == 0 { high } else { low };
            known(queue(own, signal, &Info::new(QUEUE, 77, value)))?;
            queue(own, Signal::USR1, &Info::new(QUEUE, 78, value))?;
        }
        let all = bit(low) | bit(high) | bit(Signal::USR1);
        let mut expected = vec![(Signal::USR1.0, 78, 0)];
        expected.extend((0..10).map(|n| (low.0, 77, 2 * n + 1)));
        expected.extend((0..10).map(|n| (high.0, 77, 2 * n)));
        for expected in expected {
            let info = signal::wait_for(all, Some(Duration::ZERO))?;
            equal(info.code, QUEUE)?;
            equal((info.signal, info.first, info.value), expected)?;
        }
        refused(signal::wait_for(all, Some(Duration::ZERO)), Errno::AGAIN)
    })
}

fn the_limit_is_told() -> Checked {
    in_child(|| {
        let signal = Signal(40);
        block_signals(bit(signal))?;
        limit::set(Resource::SIGNALS, limit::Limit { soft: 5, hard: 5 })?;
        let own = process::pid();
        for value in 0..5 {
            known(queue(own, signal, &Info::new(QUEUE, 1, value)))?;
        }
        refused(queue(own, signal, &Info::new(QUEUE, 1, 5)), Errno::AGAIN)?;
        // `kill` promises nothing, and so never fails.
        kill(own.0, signal)?;
        signal::wait_for(bit(signal), None)?;
        queue(own, signal, &Info::new(QUEUE, 1, 5))?;
        Ok(())
    })
}

fn nobody_claims_to_be_the_kernel() -> Checked {
    let meeting = Meeting::new()?;
    let other = spawn(|| {
        meeting.wait(0, 1);
        0
    })?;
    let checked = in_child(|| {
        for code in [0, 1, 0x80, TKILL] {
            refused(queue(other, Signal::CONT, &Info::new(code, 1, 1)), Errno::PERM)?;
            refused(queue_to_thread(other, sys::Tid(other.0), Signal::CONT, &Info::new(code, 1, 1)), Errno::PERM)?;
        }
        queue(other, Signal::CONT, &Info::new(QUEUE, 1, 1))?;
        queue(other, Signal::NONE, &Info::new(QUEUE, 1, 1))?;
        refused(queue(other, Signal(65), &Info::new(QUEUE, 1, 1)), Errno::INVAL)?;
        refused(queue(sys::Pid(-1), Signal::CONT, &Info::new(QUEUE, 1, 1)), Errno::SRCH)?;
        refused(queue(sys::Pid(99_999_999), Signal::NONE, &Info::new(QUEUE, 1, 1)), Errno::SRCH)?;
        // To oneself anything.
        block_signals(bit(Signal::USR1))?;
        queue(process::pid(), Signal::USR1, &Info::new(0x80, 3, 4))?;
        let info = signal::wait_for(bit(Signal::USR1), None)?;
        equal((info.code, info.first, info.value), (0x80, 3, 4))
    });
    meeting.set(0, 1);
    exited(wait(Which::Pid(other))?.1, 0)?;
    checked
}

fn a_thread_is_sent_a_value() -> Checked {
    in_child(|| {
        block_signals(bit(Signal::USR1))?;
        let (own, tid) = (process::pid(), process::tid());
        known(queue_to_thread(own, tid, Signal::USR1, &Info::new(QUEUE, 5, 6)))?;
        refused(queue_to_thread(own, sys::Tid(99_999_999), Signal::USR1, &Info::new(QUEUE, 5, 6)), Errno::SRCH)?;
        refused(queue_to_thread(sys::Pid(0), tid, Signal::USR1, &Info::new(QUEUE, 5, 6)), Errno::INVAL)?;
        let info = signal::wait_for(bit(Signal::USR1), None)?;
        equal((info.code, info.first, info.value), (QUEUE, 5, 6))
    })
}

fn a_wait_has_an_end() -> Checked {
    in_child(|| {
        let start = time::monotonic()?;
        refused(known_wait(bit(Signal::USR1), Some(5 * MS))?, Errno::AGAIN)?;
        ensure(time::monotonic()? - start >= 5 * MS, "too early")?;
        refused(signal::wait_for_a_bad_time(bit(Signal::USR1)), Errno::INVAL)?;
        // What cannot be blocked cannot be waited for.
        refused(signal::wait_for(bit(Signal::KILL) | bit(Signal::STOP), Some(MS)), Errno::AGAIN)
    })
}

/// What a wait says, on kernels that know it.
fn known_wait(mask: u64, timeout: Option<Duration>) -> Result<Result<Info, Errno>, Failure> {
    match signal::wait_for(mask, timeout) {
        Err(Errno::NOSYS) => known(Err(Errno::NOSYS)),
        outcome => Ok(outcome),
    }
}

fn a_wait_is_ended_by_another_signal() -> Checked {
    in_child(|| {
        handle_with(Signal::ALRM, Handler::Count, flag::RESTART)?;
        set_interval(Interval::Real, Setting::every(3 * MS))?;
        refused(known_wait(bit(Signal::USR1), Some(LONG))?, Errno::INTR)?;
        refused(signal::wait_for(bit(Signal::USR1), None), Errno::INTR)?;
        ensure(caught() >= 2, "no handler")
    })
}

fn a_wait_takes_what_would_be_ignored() -> Checked {
    in_child(|| {
        block_signals(bit(Signal::CHLD) | bit(Signal::WINCH))?;
        let pid = spawn(|| 3)?;
        let info = known_wait(bit(Signal::CHLD), None)??;
        equal((info.signal, info.code, info.first), (Signal::CHLD.0, 1, pid.0))?;
        exited(wait(Which::Pid(pid))?.1, 3)?;
        kill(process::pid().0, Signal::WINCH)?;
        equal(signal::wait_for(bit(Signal::WINCH), None)?.signal, Signal::WINCH.0)
    })
}

fn one_waiting_thread_is_woken() -> Checked {
    in_child(|| {
        const THREADS: u32 = 4;
        block_signals(bit(Signal(41)))?;
        let (ready, sum) = (AtomicU32::new(0), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    ready.fetch_add(1, Ordering::SeqCst);
                    let _ = sync::wake(&ready, 1, Scope::Private);
                    let info = signal::wait_for(bit(Signal(41)), None);
                    sum.fetch_add(
                        info.map_or(1000, |info| u32::try_from(info.value).unwrap_or(1000)),
                        Ordering::SeqCst,
                    );
                });
            }
            loop {
                let now = ready.load(Ordering::SeqCst);
                if now == THREADS {
                    break;
                }
                let _ = sync::wait(&ready, now, None, Scope::Private);
            }
            for value in [1, 10, 100, 500] {
                known(queue(process::pid(), Signal(41), &Info::new(QUEUE, 0, value)))?;
            }
            Ok::<_, Failure>(())
        })?;
        equal(sum.load(Ordering::SeqCst), 611)
    })
}

fn a_wait_goes_on_after_a_stop() -> Checked {
    let meeting = Meeting::new()?;
    let pid = spawn(|| {
        let _ = block_signals(bit(Signal::USR1));
        meeting.set(0, 1);
        i32::from(signal::wait_for(bit(Signal::USR1), Some(LONG)).is_err())
    })?;
    meeting.wait(0, 1);
    for _ in 0..3 {
        kill(pid.0, Signal::STOP)?;
        wait_for(Which::Pid(pid), option::UNTRACED)?;
        kill(pid.0, Signal::CONT)?;
        wait_for(Which::Pid(pid), option::CONTINUED)?;
    }
    kill(pid.0, Signal::USR1)?;
    exited(wait(Which::Pid(pid))?.1, 0)
}

fn a_stop_does_not_end_a_wait() -> Checked {
    const TIME: Duration = Duration::from_millis(60);
    let waits: [fn() -> bool; 4] = [
        || time::sleep(TIME).is_ok(),
        || signal::poll_nothing(Some(TIME)).is_ok(),
        || sync::wait(&AtomicU32::new(0), 0, Some(TIME), Scope::Private) == Err(Errno::TIMEDOUT),
        || signal::wait_for(bit(Signal::USR1), Some(TIME)) == Err(Errno::AGAIN),
    ];
    for wait_long in waits {
        let meeting = Meeting::new()?;
        let pid = spawn(|| {
            // What is ignored does not end it either.
            let _ = set_disposition(Signal::USR2, Disposition::Ignore);
            let start = std::time::Instant::now();
            meeting.set(0, 1);
            if !wait_long() {
                return 1;
            }
            if start.elapsed() >= TIME { 0 } else { 2 }
        })?;
        meeting.wait(0, 1);
        for _ in 0..3 {
            kill(pid.0, Signal::USR2)?;
            kill(pid.0, Signal::WINCH)?;
            kill(pid.0, Signal::STOP)?;
            wait_for(Which::Pid(pid), option::UNTRACED)?;
            kill(pid.0, Signal::CONT)?;
        }
        exited(wait(Which::Pid(pid))?.1, 0)?;
    }
    Ok(())
}

fn who_ignores_children_has_no_zombies_and_no_signals() -> Checked {
    in_child(|| {
        set_disposition(Signal::CHLD, Disposition::Ignore)?;
        block_signals(bit(Signal::CHLD))?;
        let pid = spawn(|| 0)?;
        refused(wait(Which::Pid(pid)).map(drop), Errno::CHILD)?;
        equal(signal::pending()?, 0)?;
        let pid = spawn(|| i32::from(time::sleep(LONG).is_err()))?;
        kill(pid.0, Signal::STOP)?;
        wait_for(Which::Pid(pid), option::UNTRACED)?;
        equal(signal::pending()?, 0)?;
        kill(pid.0, Signal::KILL)?;
        refused(wait(Which::Pid(pid)).map(drop), Errno::CHILD)
    })
}

fn no_zombies_but_signals() -> Checked {
    in_child(|| {
        handle_with(Signal::CHLD, Handler::Count, flag::NOCLDWAIT)?;
        block_signals(bit(Signal::CHLD))?;
        let pid = spawn(|| 5)?;
        refused(wait(Which::Pid(pid)).map(drop), Errno::CHILD)?;
        let info = known_wait(bit(Signal::CHLD), None)??;
        // `si_status` shares a word with the value.
        equal((info.code, info.first, info.value & 0xff), (1, pid.0, 5))
    })
}

fn stops_are_told_to_who_wants() -> Checked {
    for (flags, told) in [(0, true), (flag::NOCLDSTOP, false)] {
        in_child(|| {
            handle_with(Signal::CHLD, Handler::Count, flags)?;
            block_signals(bit(Signal::CHLD))?;
            let pid = spawn(|| i32::from(time::sleep(LONG).is_err()))?;
            for (signal, option, code) in [(Signal::STOP, option::UNTRACED, 5), (Signal::CONT, option::CONTINUED, 6)] {
                kill(pid.0, signal)?;
                wait_for(Which::Pid(pid), option)?;
                equal(signal::pending()? != 0, told)?;
                if told {
                    equal(known_wait(bit(Signal::CHLD), None)??.code, code)?;
                }
            }
            kill(pid.0, Signal::KILL)?;
            wait(Which::Pid(pid))?;
            equal(signal::pending()?, bit(Signal::CHLD))
        })?;
    }
    Ok(())
}

fn a_handler_runs_once() -> Checked {
    crate::expect::dies(Signal::USR1, || {
        let _ = handle_with(Signal::USR1, Handler::Count, flag::RESETHAND);
        let _ = kill(process::pid().0, Signal::USR1);
        if caught() != 1 {
            return 1;
        }
        let _ = kill(process::pid().0, Signal::USR1);
        2
    })
}

fn a_handler_is_interrupted_by_its_own_signal() -> Checked {
    for (flags, nested) in [(0, 0), (flag::NODEFER, 1)] {
        in_child(|| {
            handle_with(Signal::USR1, Handler::Nest, flags)?;
            kill(process::pid().0, Signal::USR1)?;
            equal((caught(), signal::nested()), (2, nested))
        })?;
    }
    Ok(())
}

/// Sends this process `ALRM` again and again.
fn disturb() -> Checked {
    handle_with(Signal::ALRM, Handler::Count, flag::RESTART)?;
    known(set_interval(Interval::Real, Setting::every(2 * MS)))?;
    Ok(())
}

fn calls_without_a_time_are_made_again() -> Checked {
    // A child.
    in_child(|| {
        let pid = spawn(|| {
            let _ = time::sleep(20 * MS);
            9
        })?;
        disturb()?;
        exited(wait(Which::Pid(pid))?.1, 9)?;
        let pid = spawn(|| {
            let _ = time::sleep(20 * MS);
            8
        })?;
        equal(process::wait_id(Which::Pid(pid), option::EXITED)?.status, 8)?;
        ensure(caught() > 0, "no handler ran")
    })?;
    // A word.
    let meeting = Meeting::new()?;
    in_child(|| {
        let pid = spawn(|| {
            let _ = time::sleep(20 * MS);
            meeting.set(0, 1);
            0
        })?;
        disturb()?;
        let waited = sync::wait(meeting.word(0), 0, None, Scope::Shared);
        ensure(matches!(waited, Ok(()) | Err(Errno::AGAIN)), &format!("{waited:?}"))?;
        equal(meeting.get(0), 1)?;
        ensure(caught() > 0, "no handler ran")?;
        wait(Which::Pid(pid))?;
        Ok(())
    })
}

fn calls_with_a_time_are_not() -> Checked {
    in_child(|| {
        disturb()?;
        let word = AtomicU32::new(0);
        let mut left = Duration::ZERO;
        refused(time::sleep_and_tell(LONG, &mut left), Errno::INTR)?;
        ensure(left > LONG / 2 && left < LONG, &format!("{left:?} left"))?;
        refused(sync::wait(&word, 0, Some(LONG), Scope::Private), Errno::INTR)?;
        refused(signal::poll_nothing(Some(LONG)), Errno::INTR)?;
        refused(signal::poll_nothing(None), Errno::INTR)?;
        refused(signal::suspend(0), Errno::INTR)?;
        ensure(caught() >= 5, "no handler ran")
    })
}

fn nothing_is_restarted_by_hand() -> Checked {
    refused(known_restart()?, Errno::INTR)
}

fn known_restart() -> Result<Result<(), Errno>, Failure> {
    match signal::restart() {
        Err(Errno::NOSYS) => known(Err(Errno::NOSYS)),
        outcome => Ok(outcome),
    }
}
