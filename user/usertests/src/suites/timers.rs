//! Timers that signal: the three of each process, and those that it makes.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sys::limit::{self, Resource};
use sys::process::{self, Signal, block_signals, spawn, wait};
use sys::signal::{Handler, caught, handle, wait_for};
use sys::timer::{Clock, Interval, Notice, Setting, Timer, interval, set_interval, set_raw_interval};
use sys::{Errno, process::Which, time};

use crate::expect::{Checked, as_root, dies, ensure, equal, exited, in_child, known, refused};
use crate::helper::become_helper;

super::tests!("timer":
    an_alarm_ends_a_sleep, an_alarm_ends_a_process, an_interval_comes_again, what_is_left_is_told, bad_times_are_refused,
    processor_time_is_counted, children_have_none_and_exec_keeps_the_alarm, a_signal_says_which_timer_sent_it,
    what_is_missed_is_told, a_thread_can_be_meant, a_thread_has_its_own_time, a_time_that_is_past_is_now,
    who_sets_the_clock_sets_the_timers, one_that_tells_nobody_can_be_asked, there_is_a_limit,
    a_number_that_cannot_be_stored_leaves_no_timer, one_that_is_deleted_is_silent, they_end_with_their_process);

const MS: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_secs(1000);
/// `SI_TIMER`, `SI_KERNEL`.
const TIMER: i32 = -2;
const KERNEL: i32 = 0x80;

const fn bit(signal: Signal) -> u64 {
    1 << (signal.0 - 1)
}

/// Blocks a signal, to wait for it.
fn block(signal: Signal) -> Checked {
    block_signals(bit(signal))?;
    Ok(())
}

fn an_alarm_ends_a_sleep() -> Checked {
    in_child(|| {
        handle(Signal::ALRM, Handler::Count)?;
        let start = time::monotonic()?;
        // Should the first come before the sleep has begun, the next one ends it.
        equal(known(set_interval(Interval::Real, Setting::every(5 * MS)))?, Setting::default())?;
        let mut left = Duration::ZERO;
        refused(time::sleep_and_tell(LONG, &mut left), Errno::INTR)?;
        ensure(time::monotonic()? - start >= 5 * MS, "too early")?;
        ensure(left > Duration::ZERO && left < LONG, "what is left of the sleep")?;
        ensure(caught() > 0, "no handler ran")?;
        equal(set_interval(Interval::Real, Setting::default())?.interval, 5 * MS)?;
        equal(interval(Interval::Real)?, Setting::default())
    })
}

fn an_alarm_ends_a_process() -> Checked {
    dies(Signal::ALRM, || {
        let _ = set_interval(Interval::Real, Setting::once(MS));
        i32::from(time::sleep(LONG).is_err())
    })?;
    dies(Signal::ALRM, || {
        let _ = set_interval(Interval::Real, Setting::once(MS));
        loop {
            std::hint::spin_loop();
        }
    })
}

fn an_interval_comes_again() -> Checked {
    in_child(|| {
        block(Signal::ALRM)?;
        let start = time::monotonic()?;
        known(set_interval(Interval::Real, Setting::every(2 * MS)))?;
        for _ in 0..5 {
            let info = wait_for(bit(Signal::ALRM), None)?;
            equal((info.signal, info.code, info.first), (Signal::ALRM.0, KERNEL, 0))?;
        }
        ensure(time::monotonic()? - start >= 10 * MS, "too early")?;
        let last = set_interval(Interval::Real, Setting::default())?;
        ensure(last.interval == 2 * MS && last.value <= 2 * MS, "what is left")
    })
}

fn what_is_left_is_told() -> Checked {
    in_child(|| {
        let setting = Setting { value: LONG, interval: 3 * MS };
        for which in [Interval::Real, Interval::Virtual, Interval::Profiling] {
            known(set_interval(which, setting))?;
            let left = interval(which)?;
            ensure(left.interval == 3 * MS && left.value <= LONG && left.value > LONG / 2, &format!("{left:?}"))?;
            let left = set_interval(which, Setting { value: Duration::ZERO, interval: 5 * MS })?;
            ensure(left.value <= LONG && left.value > LONG / 2, &format!("{left:?}"))?;
            equal(interval(which)?, Setting::default())?;
        }
        Ok(())
    })
}

fn bad_times_are_refused() -> Checked {
    in_child(|| {
        known(set_raw_interval(0, [0; 4]))?;
        for which in [-1, 3, i32::MAX] {
            refused(set_raw_interval(which, [0; 4]), Errno::INVAL)?;
        }
        for bad in [[0, 1_000_000, 1, 0], [0, 0, 0, -1], [0, 0, -1, 0], [-1, 0, 0, 0], [i64::MIN; 4]] {
            refused(set_raw_interval(0, bad), Errno::INVAL)?;
        }
        set_raw_interval(0, [i64::MAX, 999_999, i64::MAX, 999_999])?;
        ensure(interval(Interval::Real)?.value > LONG, "the end of time is far")?;
        for clock in [Clock::Bad, Clock::Raw] {
            let error = if clock == Clock::Raw { Errno::OPNOTSUPP } else { Errno::INVAL };
            refused(Timer::new(clock, Notice::None), error)?;
        }
        refused(Timer::new(Clock::Monotonic, Notice::Signal(Signal(65), 0)), Errno::INVAL)?;
        refused(Timer::new(Clock::Monotonic, Notice::Signal(Signal(0), 0)), Errno::INVAL)?;
        refused(Timer::new(Clock::Monotonic, Notice::Thread(sys::Tid(1), Signal::USR1, 0)), Errno::INVAL)
    })
}

/// Works until `done`.
fn work_until(done: impl Fn() -> bool) {
    while !done() {
        std::hint::spin_loop();
    }
}

fn processor_time_is_counted() -> Checked {
    for (which, signal) in [(Interval::Virtual, Signal::VTALRM), (Interval::Profiling, Signal::PROF)] {
        in_child(|| {
            handle(signal, Handler::Count)?;
            let start = time::monotonic()?;
            known(set_interval(which, Setting::every(10 * MS)))?;
            let seen = AtomicU32::new(0);
            work_until(|| seen.fetch_add(caught(), Ordering::Relaxed) >= 3);
            ensure(time::monotonic()? - start >= 30 * MS, "too early")
        })?;
    }
    in_child(|| {
        let timer = known(Timer::new(Clock::Process, Notice::Signal(Signal::USR1, 4)))?;
        handle(Signal::USR1, Handler::Count)?;
        let start = time::monotonic()?;
        timer.set(Setting::once(20 * MS))?;
        work_until(|| caught() > 0);
        ensure(time::monotonic()? - start >= 20 * MS, "too early")?;
        equal(timer.left()?, Setting::default())
    })
}

fn children_have_none_and_exec_keeps_the_alarm() -> Checked {
    in_child(|| {
        let timer = known(Timer::new(Clock::Monotonic, Notice::None))?;
        set_interval(Interval::Real, Setting::once(LONG))?;
        in_child(|| {
            equal(interval(Interval::Real)?, Setting::default())?;
            refused(timer.left().map(drop), Errno::INVAL)
        })?;
        let pid = spawn(|| {
            let _ = set_interval(Interval::Real, Setting::once(LONG));
            become_helper(&[c"alarm-left"], &[]);
            127
        })?;
        exited(wait(Which::Pid(pid))?.1, 0)?;
        // One that is signalled only in its new program ends there.
        let pid = spawn(|| {
            let _ = set_interval(Interval::Real, Setting::once(20 * MS));
            become_helper(&[c"sleep"], &[]);
            127
        })?;
        crate::expect::ended_by(wait(Which::Pid(pid))?.1, Signal::ALRM)
    })
}

fn a_signal_says_which_timer_sent_it() -> Checked {
    in_child(|| {
        block_signals(bit(Signal::USR1) | bit(Signal::ALRM) | bit(Signal(40)))?;
        for clock in [Clock::Wall, Clock::Monotonic, Clock::Boot] {
            let plain = known(Timer::new(clock, Notice::Default))?;
            let classic = Timer::new(clock, Notice::Signal(Signal::USR1, 0x1234_5678_9abc_def0))?;
            let queued = Timer::new(clock, Notice::Signal(Signal(40), 17))?;
            let expected = [
                (&plain, Signal::ALRM, u64::from(plain.id().unsigned_abs())),
                (&classic, Signal::USR1, 0x1234_5678_9abc_def0),
                (&queued, Signal(40), 17),
            ];
            for (timer, signal, value) in expected {
                timer.set(Setting::once(MS))?;
                let info = wait_for(bit(signal), None)?;
                let found = (info.signal, info.errno, info.code, info.first, info.second, info.value);
                equal(found, (signal.0, 0, TIMER, timer.id(), 0, value))?;
                equal(timer.left()?, Setting::default())?;
            }
        }
        Ok(())
    })
}

fn what_is_missed_is_told() -> Checked {
    in_child(|| {
        block(Signal::USR1)?;
        let timer = known(Timer::new(Clock::Monotonic, Notice::Signal(Signal::USR1, 1)))?;
        timer.set(Setting::every(MS))?;
        time::sleep(20 * MS)?;
        let info = wait_for(bit(Signal::USR1), None)?;
        ensure(info.second >= 15, &format!("{} missed in 20 ms", info.second))?;
        equal(timer.overrun()?, info.second)?;
        // One signal at a time, whatever is missed.
        time::sleep(5 * MS)?;
        wait_for(bit(Signal::USR1), None)?;
        timer.set(Setting::default())?;
        refused(wait_for(bit(Signal::USR1), Some(Duration::ZERO)), Errno::AGAIN)
    })
}

fn a_thread_can_be_meant() -> Checked {
    in_child(|| {
        block(Signal::USR2)?;
        let number = AtomicU32::new(0);
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                sys::sync::set(&number, process::tid().0.unsigned_abs(), sys::sync::Scope::Private);
                wait_for(bit(Signal::USR2), None).map(|info| (info, process::tid()))
            });
            sys::sync::wait_while(&number, 0, sys::sync::Scope::Private);
            let tid = sys::Tid(number.load(Ordering::SeqCst).cast_signed());
            let timer = known(Timer::new(Clock::Monotonic, Notice::Thread(tid, Signal::USR2, 9)))?;
            timer.set(Setting::once(MS))?;
            let taken = waiter.join().map_err(|_| crate::expect::Failure::new("the thread died"))?;
            let (info, by) = taken?;
            equal((info.code, info.first, info.value, by), (TIMER, timer.id(), 9, tid))?;
            // The thread is gone: nobody gets the signal.
            timer.set(Setting::once(MS))?;
            refused(wait_for(bit(Signal::USR2), Some(5 * MS)), Errno::AGAIN)
        })
    })
}

fn a_thread_has_its_own_time() -> Checked {
    in_child(|| {
        handle(Signal::USR1, Handler::Count)?;
        let timer = known(Timer::new(Clock::Thread, Notice::Signal(Signal::USR1, 4)))?;
        // Another one's work does not count, whose time is not this one's.
        timer.set(Setting::once(LONG))?;
        let other = std::thread::scope(|scope| {
            let other = scope.spawn(|| {
                let timer = Timer::new(Clock::Thread, Notice::Signal(Signal::USR1, 4))?;
                timer.set(Setting::once(10 * MS))?;
                work_until(|| caught() > 0);
                Ok::<_, Errno>(())
            });
            other.join()
        });
        other.map_err(|_| crate::expect::Failure::new("the thread died"))??;
        ensure(timer.left()?.value > LONG / 2, "somebody else's time")?;
        timer.set(Setting::once(10 * MS))?;
        work_until(|| caught() > 0);
        equal(timer.left()?, Setting::default())
    })
}

fn a_time_that_is_past_is_now() -> Checked {
    in_child(|| {
        block(Signal::USR1)?;
        for (clock, now) in [(Clock::Monotonic, time::monotonic()?), (Clock::Wall, known(time::wall())?)] {
            let timer = known(Timer::new(clock, Notice::Signal(Signal::USR1, 1)))?;
            timer.set_absolute(Setting::once(Duration::from_nanos(1)))?;
            wait_for(bit(Signal::USR1), None)?;
            timer.set_absolute(Setting::once(now + LONG))?;
            let left = timer.left()?.value;
            ensure(left <= LONG && left > LONG / 2, &format!("{left:?}"))?;
        }
        Ok(())
    })
}

fn who_sets_the_clock_sets_the_timers() -> Checked {
    as_root()?;
    in_child(|| {
        block(Signal::USR1)?;
        let before = known(time::wall())?;
        let far = before + LONG;
        let by_time = known(Timer::new(Clock::Wall, Notice::Signal(Signal::USR1, 1)))?;
        let by_length = Timer::new(Clock::Wall, Notice::Signal(Signal::USR1, 2))?;
        by_time.set_absolute(Setting::once(far))?;
        by_length.set(Setting::once(LONG))?;
        time::set_wall(far + LONG)?;
        let taken = wait_for(bit(Signal::USR1), None);
        time::set_wall(before)?;
        equal(taken?.value, 1)?;
        ensure(by_length.left()?.value > LONG / 2, "a length of time is no time")?;
        refused(wait_for(bit(Signal::USR1), Some(Duration::ZERO)), Errno::AGAIN)
    })
}

fn one_that_tells_nobody_can_be_asked() -> Checked {
    in_child(|| {
        let timer = known(Timer::new(Clock::Monotonic, Notice::None))?;
        timer.set(Setting::every(3 * MS))?;
        time::sleep(10 * MS)?;
        let left = timer.left()?;
        ensure(left.value > Duration::ZERO && left.value <= 3 * MS, &format!("{left:?}"))?;
        timer.set(Setting::once(MS))?;
        time::sleep(2 * MS)?;
        equal(timer.left()?, Setting::default())
    })
}

fn there_is_a_limit() -> Checked {
    in_child(|| {
        limit::set(Resource::SIGNALS, limit::Limit { soft: 4, hard: 4 })?;
        let timers: Result<Vec<_>, _> = (0..4).map(|_| Timer::new(Clock::Monotonic, Notice::None)).collect();
        let timers = known(timers)?;
        refused(Timer::new(Clock::Monotonic, Notice::None), Errno::AGAIN)?;
        drop(timers);
        Timer::new(Clock::Monotonic, Notice::None)?;
        Ok(())
    })
}

fn a_number_that_cannot_be_stored_leaves_no_timer() -> Checked {
    in_child(|| {
        limit::set(Resource::SIGNALS, limit::Limit { soft: 2, hard: 2 })?;
        for _ in 0..10 {
            refused(Timer::nowhere(), Errno::FAULT)?;
        }
        known(Timer::new(Clock::Monotonic, Notice::None)).map(drop)
    })
}

fn one_that_is_deleted_is_silent() -> Checked {
    in_child(|| {
        block(Signal::USR1)?;
        let timer = known(Timer::new(Clock::Monotonic, Notice::Signal(Signal::USR1, 1)))?;
        timer.set(Setting::once(Duration::from_nanos(1)))?;
        // It goes off by a thread of the kernel's, which may have to wait for a processor.
        while sys::signal::pending()? != bit(Signal::USR1) {
            time::sleep(MS)?;
        }
        timer.delete()?;
        equal(sys::signal::pending()?, 0)?;
        refused(timer.delete(), Errno::INVAL)?;
        refused(timer.set(Setting::once(MS)), Errno::INVAL)?;
        refused(timer.overrun(), Errno::INVAL)
    })
}

fn they_end_with_their_process() -> Checked {
    // Set, about to go off, going off, and with a signal that nobody takes, as their process ends.
    for round in 0..20 {
        in_child(|| {
            block_signals(u64::MAX)?;
            known(set_interval(Interval::Real, Setting::every(Duration::from_micros(100))))?;
            let mut timers = Vec::new();
            for value in 0..8 {
                let timer = Timer::new(Clock::Monotonic, Notice::Signal(Signal(40), value))?;
                timer.set(Setting::every(Duration::from_micros(50 * (value + 1))))?;
                timers.push(timer);
            }
            let start = std::time::Instant::now();
            work_until(|| start.elapsed() > Duration::from_micros(100 * round));
            // Before any of them is deleted.
            process::exit(0)
        })?;
    }
    Ok(())
}
