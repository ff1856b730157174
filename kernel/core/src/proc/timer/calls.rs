//! What programs ask of their timers.

use alloc::boxed::Box;
use alloc::sync::Arc;

use super::schedule::{Schedule, TimerSetting};
use super::set::{Clock, Created, Locked, Recipient, Timers};
use crate::proc::body::Body;
use crate::proc::limit::Resource;
use crate::proc::process::Process;
use crate::proc::system::System;
use crate::proc::thread::Thread;
use crate::sched::Tid;
use crate::signal::Signal;

/// A timer that every process has: `getitimer`(2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Interval {
    /// `ITIMER_REAL`: time, `SIGALRM`.
    Real,
    /// `ITIMER_VIRTUAL`: processor time in user mode, `SIGVTALRM`.
    Virtual,
    /// `ITIMER_PROF`: processor time, `SIGPROF`.
    Profiling,
}

impl Interval {
    /// All three, by Linux's numbers.
    pub const ALL: [Self; 3] = [Self::Real, Self::Virtual, Self::Profiling];

    pub(super) const fn clock(self) -> Clock {
        match self {
            Self::Real => Clock::Monotonic,
            Self::Virtual => Clock::User,
            Self::Profiling => Clock::Process,
        }
    }

    pub(super) const fn signal(self) -> Signal {
        match self {
            Self::Real => Signal::ALRM,
            Self::Virtual => Signal::VTALRM,
            Self::Profiling => Signal::PROF,
        }
    }
}

/// By which clock a timer of `timer_create` goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TimerClock {
    /// `CLOCK_REALTIME`
    Wall,
    /// `CLOCK_MONOTONIC`, `CLOCK_BOOTTIME`: nothing ever sleeps here.
    Monotonic,
    /// `CLOCK_PROCESS_CPUTIME_ID`
    Process,
    /// `CLOCK_THREAD_CPUTIME_ID`, of the thread that makes the timer.
    Thread,
}

/// What happens when a timer of `timer_create` goes off: `struct sigevent`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Notice {
    /// Nothing.
    None,
    /// The process gets a signal; without a value, the timer's number comes with it.
    Signal(Signal, Option<u64>),
    /// A thread gets it.
    Thread(Tid, Signal, u64),
}

/// Why a timer cannot be had.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TimerError {
    /// The process has none of that number, or no such thread.
    None,
    /// It has as many as signals may be pending for it (`RLIMIT_SIGPENDING`).
    TooMany,
    /// There is no memory.
    OutOfMemory,
}

/// What is left of one of the three, and its interval.
pub fn get_interval<S: System>(thread: &Arc<Thread<S>>, which: Interval) -> TimerSetting {
    let body = thread.process().body();
    interval_left(&body, which)
}

fn interval_left<S: System>(body: &Body<S>, which: Interval) -> TimerSetting {
    let Some(timers) = &body.timers else { return TimerSetting::default() };
    timers.intervals[which as usize].left(body.reading(&body.readings(), which.clock()))
}

/// Sets one of the three, relative to now, and returns what was left of it.
///
/// # Errors
///
/// [`TimerError::OutOfMemory`]
pub fn set_interval<S: System>(
    thread: &Arc<Thread<S>>,
    which: Interval,
    setting: TimerSetting,
) -> Result<TimerSetting, TimerError> {
    let process = thread.process();
    if setting.value_ns == 0 && process.body().timers.is_none() {
        return Ok(TimerSetting::default());
    }
    let mut body = with_timers(process)?;
    let before = interval_left(&body, which);
    let now_ns = body.reading(&body.readings(), which.clock());
    let expiry_ns = (setting.value_ns != 0).then(|| now_ns.saturating_add(setting.value_ns));
    if let Some(timers) = &mut body.timers {
        let interval_ns = if expiry_ns.is_some() { setting.interval_ns } else { 0 };
        timers.intervals[which as usize] = Schedule::set(expiry_ns, interval_ns);
        if which == Interval::Real {
            timers.set_alarm();
        }
    }
    body.look_by(which.clock());
    Ok(before)
}

/// Makes a timer, which is not set, and returns its number.
///
/// # Errors
///
/// [`TimerError`]
pub fn create_timer<S: System>(thread: &Arc<Thread<S>>, clock: TimerClock, notice: Notice) -> Result<i32, TimerError> {
    if !S::has_room() {
        return Err(TimerError::OutOfMemory);
    }
    let mut body = with_timers(thread.process())?;
    let most = body.limits.soft(Resource::SignalsPending);
    let (recipient, signal, value) = match notice {
        Notice::None => (Recipient::Nobody, Signal::ALRM, None),
        Notice::Signal(signal, value) => (Recipient::Process, signal, value),
        Notice::Thread(tid, signal, value) => {
            let found = body.threads.iter().find(|thread| thread.tid() == tid).ok_or(TimerError::None)?;
            (Recipient::Thread(found.number()), signal, Some(value))
        }
    };
    let Some(timers) = &mut body.timers else { return Err(TimerError::OutOfMemory) };
    if u64::try_from(timers.created.len()).unwrap_or(u64::MAX) >= most {
        return Err(TimerError::TooMany);
    }
    timers.created.try_reserve(1).map_err(|_| TimerError::OutOfMemory)?;
    let id = free_id(timers);
    timers.last_id = id;
    timers.created.push(Created {
        id,
        clock: match clock {
            TimerClock::Wall | TimerClock::Monotonic => Clock::Monotonic,
            TimerClock::Process => Clock::Process,
            TimerClock::Thread => Clock::Thread(thread.number()),
        },
        of_wall: clock == TimerClock::Wall,
        recipient,
        signal,
        value: value.unwrap_or_else(|| u64::from(id.unsigned_abs())),
        schedule: Schedule::default(),
        overrun: 0,
    });
    Ok(id)
}

/// The number after the last one that nobody has; they come round once in 2³¹.
fn free_id<S: System>(timers: &Timers<S>) -> i32 {
    let mut id = timers.last_id;
    loop {
        id = id.checked_add(1).unwrap_or(0);
        if !timers.created.iter().any(|timer| timer.id == id) {
            return id;
        }
    }
}

/// What is left of a timer, and its interval.
///
/// # Errors
///
/// [`TimerError::None`]
pub fn get_timer<S: System>(thread: &Arc<Thread<S>>, id: i32) -> Result<TimerSetting, TimerError> {
    let body = thread.process().body();
    let timers = body.timers.as_ref().ok_or(TimerError::None)?;
    let timer = timers.created.iter().find(|timer| timer.id == id).ok_or(TimerError::None)?;
    Ok(timer_left(&body, timer))
}

fn timer_left<S: System>(body: &Body<S>, timer: &Created) -> TimerSetting {
    let now_ns = body.reading(&body.readings(), timer.clock);
    let mut schedule = timer.schedule;
    // Nobody looks at one that tells nobody but who asks.
    if timer.recipient == Recipient::Nobody && schedule.goes_off(now_ns) {
        let _missed = schedule.settle(now_ns, 0);
    }
    let left = schedule.left(now_ns);
    if timer.clock == Clock::Ended { TimerSetting { value_ns: 0, ..left } } else { left }
}

/// Sets a timer, by its clock or relative to now, and returns what was left of it. A signal of it that is pending is taken
/// back.
///
/// # Errors
///
/// [`TimerError::None`]
pub fn set_timer<S: System>(
    thread: &Arc<Thread<S>>,
    id: i32,
    setting: TimerSetting,
    absolute: bool,
) -> Result<TimerSetting, TimerError> {
    let mut body = thread.process().body();
    let readings = body.readings();
    let mut timers = body.timers.take().ok_or(TimerError::None)?;
    let before = timers.created.iter_mut().find(|timer| timer.id == id).map(|timer| {
        let before = timer_left(&body, timer);
        if timer.of_wall {
            timer.clock = if absolute { Clock::Wall } else { Clock::Monotonic };
        }
        let start_ns = if absolute { 0 } else { body.reading(&readings, timer.clock) };
        let expiry_ns = (setting.value_ns != 0).then(|| start_ns.saturating_add(setting.value_ns));
        let was_signalled = timer.schedule.is_signalled();
        timer.schedule = Schedule::set(expiry_ns, if expiry_ns.is_some() { setting.interval_ns } else { 0 });
        timer.overrun = 0;
        (before, timer.clock, was_signalled)
    });
    if before.is_some() {
        timers.set_alarm();
    }
    body.timers = Some(timers);
    let (before, clock, was_signalled) = before.ok_or(TimerError::None)?;
    if was_signalled {
        body.take_back(id);
    }
    body.look_by(clock);
    Ok(before)
}

/// How many times more a timer had gone off when its signal was taken last.
///
/// # Errors
///
/// [`TimerError::None`]
pub fn timer_overrun<S: System>(thread: &Arc<Thread<S>>, id: i32) -> Result<i32, TimerError> {
    let body = thread.process().body();
    let timers = body.timers.as_ref().ok_or(TimerError::None)?;
    timers.created.iter().find(|timer| timer.id == id).map(|timer| timer.overrun).ok_or(TimerError::None)
}

/// Deletes a timer, and takes back a signal of it that is pending.
///
/// # Errors
///
/// [`TimerError::None`]
pub fn delete_timer<S: System>(thread: &Arc<Thread<S>>, id: i32) -> Result<(), TimerError> {
    let mut body = thread.process().body();
    let timers = body.timers.as_mut().ok_or(TimerError::None)?;
    let at = timers.created.iter().position(|timer| timer.id == id).ok_or(TimerError::None)?;
    let timer = timers.created.swap_remove(at);
    timers.set_alarm();
    if timer.schedule.is_signalled() {
        body.take_back(id);
    }
    Ok(())
}

/// The wall clock was set: timers that wait for a time of it go off sooner or later than they would have.
pub fn clock_was_set<S: System>() {
    S::processes().each(|process| {
        if let Some(timers) = &process.body().timers {
            timers.set_alarm();
        }
    });
    S::processes().alarms.by_wall.clock_was_set();
}

/// Locks a process that has timers from now on.
fn with_timers<S: System>(process: &Arc<Process<S>>) -> Result<Locked<'_, S>, TimerError> {
    let body = process.body();
    if body.timers.is_some() {
        return Ok(body);
    }
    drop(body);
    if !S::has_room() {
        return Err(TimerError::OutOfMemory);
    }
    let timers = Box::new(Timers::new(process));
    let mut body = process.body();
    // Another thread may have been faster; one of a process that ends has no use for any.
    let unwanted = if body.timers.is_none() { body.timers.replace(timers) } else { Some(timers) };
    drop(unwanted);
    Ok(body)
}
