//! Timers that are files: `timerfd_create` and its kin.

use std::fs;
use std::os::fd::AsRawFd as _;
use std::time::Duration;

use sys::file::{OnExec, on_exec};
use sys::identity::set_user;
use sys::process::Signal;
use sys::signal::{Handler, caught, handle};
use sys::stream::{self, CLOEXEC, Change, Epoll, NONBLOCK, PollFile, manner, ready};
use sys::timer::{Clock, Interval, Setting, TimerFile, file_left, set_file, set_interval, until};
use sys::{Errno, file, time};

use crate::expect::{Checked, as_root, ensure, equal, in_child, known, refused};

super::tests!("timerfd":
    a_read_waits_until_it_goes_off, what_is_missed_is_counted, who_does_not_wait_is_told_so, it_is_watched_as_any_file,
    what_is_left_is_told, a_time_of_the_clock_is_waited_for, who_sets_the_clock_sets_it, who_wants_to_know_learns_that_the_clock_was_set,
    a_signal_ends_the_wait, clocks_that_wake_are_for_root, what_is_not_known_is_refused, a_link_says_what_it_is);

const MS: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_secs(1000);

fn timer(clock: Clock, flags: usize) -> Result<TimerFile, crate::expect::Failure> {
    known(TimerFile::new(clock, flags))
}

fn a_read_waits_until_it_goes_off() -> Checked {
    for clock in [Clock::Wall, Clock::Monotonic, Clock::Boot] {
        let timer = timer(clock, 0)?;
        let start = time::monotonic()?;
        equal(timer.set(Setting::once(5 * MS), until::LENGTH)?, Setting::default())?;
        equal(timer.read()?, 1)?;
        ensure(time::monotonic()? - start >= 5 * MS, "too early")?;
        equal(timer.left()?, Setting::default())?;
    }
    Ok(())
}

fn what_is_missed_is_counted() -> Checked {
    let timer = timer(Clock::Monotonic, 0)?;
    let start = time::monotonic()?;
    timer.set(Setting::every(2 * MS), until::LENGTH)?;
    time::sleep(11 * MS)?;
    let mut count = timer.read()?;
    ensure(count >= 5, "too few")?;
    count += timer.read()?;
    let most = (time::monotonic()? - start).as_micros() / (2 * MS).as_micros();
    ensure(u128::from(count) <= most, "too many")?;
    equal(timer.set(Setting::default(), until::LENGTH)?.interval, 2 * MS)
}

fn who_does_not_wait_is_told_so() -> Checked {
    let timer = timer(Clock::Monotonic, NONBLOCK | CLOEXEC)?;
    equal(on_exec(&timer)?, OnExec::Close)?;
    refused(timer.read(), Errno::AGAIN)?;
    timer.set(Setting::once(LONG), until::LENGTH)?;
    refused(timer.read(), Errno::AGAIN)?;
    refused(file::read(&timer, &mut [0; 7]), Errno::INVAL)?;
    refused(file::write(&timer, &[0; 8]), Errno::INVAL)
}

fn it_is_watched_as_any_file() -> Checked {
    let timer = timer(Clock::Monotonic, NONBLOCK)?;
    let set = Epoll::new()?;
    set.control(Change::Add, &timer, u32::from(ready::IN) | manner::EDGE, 7)?;
    for _ in 0..3 {
        let mut files = [PollFile::new(&timer, ready::IN)];
        equal(stream::poll(&mut files, Some(Duration::ZERO), None).0?, 0)?;
        equal(set.wait(Some(Duration::ZERO))?, vec![])?;
        timer.set(Setting::once(2 * MS), until::LENGTH)?;
        let told = set.wait(None)?;
        equal(told.len(), 1)?;
        equal((told[0].events, told[0].data), (u32::from(ready::IN), 7))?;
        equal(stream::poll(&mut files, None, None).0?, 1)?;
        equal(files[0].found, ready::IN)?;
        equal(timer.read()?, 1)?;
    }
    Ok(())
}

fn what_is_left_is_told() -> Checked {
    let timer = timer(Clock::Monotonic, 0)?;
    let setting = Setting { value: LONG, interval: 3 * MS };
    timer.set(setting, until::LENGTH)?;
    let left = timer.left()?;
    ensure(left.value <= LONG && left.value > LONG / 2 && left.interval == 3 * MS, &format!("{left:?}"))?;
    let before = timer.set(Setting::once(MS), until::LENGTH)?;
    ensure(before.value <= left.value && before.interval == 3 * MS, &format!("{before:?}"))
}

fn a_time_of_the_clock_is_waited_for() -> Checked {
    for (clock, now) in [(Clock::Wall, time::wall()?), (Clock::Monotonic, time::monotonic()?)] {
        let timer = timer(clock, 0)?;
        timer.set(Setting::once(now + 5 * MS), until::TIME)?;
        equal(timer.read()?, 1)?;
        let after = if clock == Clock::Wall { time::wall()? } else { time::monotonic()? };
        ensure(after >= now + 5 * MS, "too early")?;
        // What is past is now.
        timer.set(Setting::once(now), until::TIME)?;
        equal(timer.read()?, 1)?;
    }
    Ok(())
}

fn who_sets_the_clock_sets_it() -> Checked {
    as_root()?;
    let before = time::wall()?;
    let (by_time, by_length) = (timer(Clock::Wall, 0)?, timer(Clock::Wall, NONBLOCK)?);
    by_time.set(Setting::once(before + LONG), until::TIME)?;
    by_length.set(Setting::once(LONG), until::LENGTH)?;
    time::set_wall(before + 2 * LONG)?;
    let count = by_time.read();
    time::set_wall(before)?;
    equal(count?, 1)?;
    refused(by_length.read(), Errno::AGAIN)
}

fn who_wants_to_know_learns_that_the_clock_was_set() -> Checked {
    as_root()?;
    let timer = timer(Clock::Wall, NONBLOCK)?;
    let before = time::wall()?;
    let far = Setting::once(before + 9 * LONG);
    timer.set(far, until::TIME | until::UNLESS_SET)?;
    refused(timer.read(), Errno::AGAIN)?;
    time::set_wall(before + LONG)?;
    let mut files = [PollFile::new(&timer, ready::IN)];
    let ready = stream::poll(&mut files, None, None).0;
    let told = timer.read();
    time::set_wall(before)?;
    let again = timer.set(far, until::TIME | until::UNLESS_SET);
    equal(ready?, 1)?;
    refused(told, Errno::CANCELED)?;
    refused(again, Errno::CANCELED)?;
    refused(timer.read(), Errno::AGAIN)
}

fn a_signal_ends_the_wait() -> Checked {
    in_child(|| {
        let timer = timer(Clock::Monotonic, 0)?;
        handle(Signal::ALRM, Handler::Count)?;
        // Should the first come before the wait has begun, the next one ends it.
        set_interval(Interval::Real, Setting::every(5 * MS))?;
        refused(timer.read(), Errno::INTR)?;
        ensure(caught() > 0, "no handler ran")
    })
}

fn clocks_that_wake_are_for_root() -> Checked {
    as_root()?;
    in_child(|| {
        for clock in [Clock::WallAlarm, Clock::BootAlarm] {
            let timer = timer(clock, 0)?;
            timer.set(Setting::once(MS), until::LENGTH)?;
            equal(timer.read()?, 1)?;
        }
        set_user(1000)?;
        refused(TimerFile::new(Clock::WallAlarm, 0), Errno::PERM)?;
        refused(TimerFile::new(Clock::BootAlarm, 0), Errno::PERM)?;
        TimerFile::new(Clock::Wall, 0).map(drop)?;
        Ok(())
    })
}

fn what_is_not_known_is_refused() -> Checked {
    let timer = timer(Clock::Monotonic, NONBLOCK)?;
    refused(TimerFile::new(Clock::Monotonic, 1), Errno::INVAL)?;
    for clock in [Clock::Process, Clock::Thread, Clock::Raw, Clock::Bad] {
        refused(TimerFile::new(clock, 0), Errno::INVAL)?;
    }
    refused(timer.set(Setting::once(MS), 4), Errno::INVAL)?;
    let (reader, _writer) = file::pipe()?;
    refused(set_file(&reader, Setting::once(MS), 0), Errno::INVAL)?;
    refused(file_left(&reader), Errno::INVAL)?;
    equal(timer.left()?, Setting::default())
}

fn a_link_says_what_it_is() -> Checked {
    let (timer, set, counter) = (timer(Clock::Monotonic, 0)?, Epoll::new()?, stream::counter(0, 0)?);
    let link = |file: i32| fs::read_link(format!("/proc/self/fd/{file}"));
    equal(link(timer.as_raw_fd())?.to_str(), Some("anon_inode:[timerfd]"))?;
    equal(link(set.as_raw_fd())?.to_str(), Some("anon_inode:[eventpoll]"))?;
    equal(link(counter.as_raw_fd())?.to_str(), Some("anon_inode:[eventfd]"))
}
