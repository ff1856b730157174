//! Timers: `setitimer(2)`, `getitimer(2)`, `timer_create(2)`, `timer_settime(2)`, `timer_gettime(2)`, `timer_getoverrun(2)`,
//! `timer_delete(2)`; and those that are files: `timerfd_create(2)`, `timerfd_settime(2)`, `timerfd_gettime(2)`.

use alloc::sync::Arc;

use kcore::addr::UserAddr;
use kcore::fs::OpenFile;
use kcore::proc::{self, FileClock, Interval, Notice, TimerClock, TimerFile, TimerSetting, Until};
use kcore::sched::Tid;
use kcore::signal::Signal;
use linux_raw_sys::general as linux;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::argument::{Bits, Descriptor, Maybe};
use super::errno::Errno;
use super::time::{TimeSpec, TimeVal};
use super::{Answer, Caller, epoll, user};
use crate::task::Kernel;

/// `struct itimerval`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct IntervalValue {
    interval: TimeVal,
    value: TimeVal,
}

/// `struct itimerspec`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct TimerSpec {
    interval: TimeSpec,
    value: TimeSpec,
}

impl TimerSpec {
    fn to_setting(self) -> Result<TimerSetting, Errno> {
        Ok(TimerSetting { value_ns: self.value.to_ns()?, interval_ns: self.interval.to_ns()? })
    }

    fn from_setting(setting: TimerSetting) -> Self {
        Self { interval: TimeSpec::from_ns(setting.interval_ns), value: TimeSpec::from_ns(setting.value_ns) }
    }
}

/// `struct sigevent`, which is as long as `siginfo_t` may be: 64 bytes.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Event {
    value: u64,
    signal: u32,
    notify: u32,
    thread: i32,
    rest: [u32; 11],
}
const _: () = assert!(size_of::<Event>() == 64);

impl Event {
    fn notice(&self) -> Result<Notice, Errno> {
        let signal = || Signal::new(self.signal).ok_or(Errno::EINVAL);
        match self.notify {
            linux::SIGEV_NONE => Ok(Notice::None),
            // The thread of `SIGEV_THREAD` is the C library's own business.
            linux::SIGEV_SIGNAL | linux::SIGEV_THREAD => Ok(Notice::Signal(signal()?, Some(self.value))),
            linux::SIGEV_THREAD_ID => {
                let thread = u32::try_from(self.thread).map_err(|_| Errno::EINVAL)?;
                Ok(Notice::Thread(Tid(thread), signal()?, self.value))
            }
            _ => Err(Errno::EINVAL),
        }
    }
}

/// One of the three timers that every process has.
fn interval(which: u32) -> Result<Interval, Errno> {
    let which = usize::try_from(which).map_err(|_| Errno::EINVAL)?;
    Interval::ALL.get(which).copied().ok_or(Errno::EINVAL)
}

pub(super) fn getitimer(caller: &mut Caller<'_>, which: u32, to: UserAddr) -> Answer {
    let left = proc::get_interval(caller.thread, interval(which)?);
    user::write(to, &interval_value(left))?;
    Ok(0)
}

fn interval_value(setting: TimerSetting) -> IntervalValue {
    IntervalValue { interval: TimeVal::from_ns(setting.interval_ns), value: TimeVal::from_ns(setting.value_ns) }
}

/// Without a new value the timer is stopped: Linux has always had it so.
pub(super) fn setitimer(caller: &mut Caller<'_>, which: u32, new: Maybe, old: Maybe) -> Answer {
    let setting = match user::read_if::<IntervalValue>(new)? {
        None => TimerSetting::default(),
        Some(new) => TimerSetting { value_ns: new.value.to_ns()?, interval_ns: new.interval.to_ns()? },
    };
    let before = proc::set_interval(caller.thread, interval(which)?, setting)?;
    user::write_if(old, &interval_value(before))?;
    Ok(0)
}

pub(super) fn timer_create(caller: &mut Caller<'_>, clock: u32, event: Maybe, to: UserAddr) -> Answer {
    let clock = match clock {
        linux::CLOCK_REALTIME | linux::CLOCK_TAI => TimerClock::Wall,
        linux::CLOCK_MONOTONIC | linux::CLOCK_BOOTTIME => TimerClock::Monotonic,
        linux::CLOCK_PROCESS_CPUTIME_ID => TimerClock::Process,
        linux::CLOCK_THREAD_CPUTIME_ID => TimerClock::Thread,
        // Clocks that can be read only, and those that would wake a sleeping board.
        linux::CLOCK_MONOTONIC_RAW
        | linux::CLOCK_MONOTONIC_COARSE
        | linux::CLOCK_REALTIME_COARSE
        | linux::CLOCK_REALTIME_ALARM
        | linux::CLOCK_BOOTTIME_ALARM => return Err(Errno::EOPNOTSUPP),
        _ => return Err(Errno::EINVAL),
    };
    let notice = match user::read_if::<Event>(event)? {
        None => Notice::Signal(Signal::ALRM, None),
        Some(event) => event.notice()?,
    };
    let id = proc::create_timer(caller.thread, clock, notice).map_err(|error| match error {
        proc::TimerError::None => Errno::EINVAL,
        proc::TimerError::TooMany | proc::TimerError::OutOfMemory => Errno::EAGAIN,
    })?;
    if let Err(fault) = user::write(to, &id) {
        proc::delete_timer(caller.thread, id)?;
        return Err(fault);
    }
    Ok(0)
}

pub(super) fn timer_settime(caller: &mut Caller<'_>, id: i32, flags: Bits, new: UserAddr, old: Maybe) -> Answer {
    let setting = user::read::<TimerSpec>(new)?.to_setting()?;
    let before = proc::set_timer(caller.thread, id, setting, flags.0 & linux::TIMER_ABSTIME != 0)?;
    user::write_if(old, &TimerSpec::from_setting(before))?;
    Ok(0)
}

pub(super) fn timer_gettime(caller: &mut Caller<'_>, id: i32, to: UserAddr) -> Answer {
    let left = proc::get_timer(caller.thread, id)?;
    user::write(to, &TimerSpec::from_setting(left))?;
    Ok(0)
}

pub(super) fn timer_getoverrun(caller: &mut Caller<'_>, id: i32) -> Answer {
    Ok(u64::from(proc::timer_overrun(caller.thread, id)?.unsigned_abs()))
}

pub(super) fn timer_delete(caller: &mut Caller<'_>, id: i32) -> Answer {
    proc::delete_timer(caller.thread, id)?;
    Ok(0)
}

/// What a timer may be made for that is a file, and whether it would wake a sleeping board: that is root's.
fn file_clock(number: u32) -> Result<(FileClock, bool), Errno> {
    Ok(match number {
        linux::CLOCK_REALTIME => (FileClock::Wall, false),
        linux::CLOCK_REALTIME_ALARM => (FileClock::Wall, true),
        linux::CLOCK_MONOTONIC | linux::CLOCK_BOOTTIME => (FileClock::Monotonic, false),
        linux::CLOCK_BOOTTIME_ALARM => (FileClock::Monotonic, true),
        _ => return Err(Errno::EINVAL),
    })
}

pub(super) fn timerfd_create(caller: &mut Caller<'_>, clock: u32, flags: Bits) -> Answer {
    if flags.0 & !(linux::TFD_CLOEXEC | linux::TFD_NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    let (clock, wakes) = file_clock(clock)?;
    if wakes {
        caller.must_be_root()?;
    }
    epoll::install(caller, "[timerfd]", TimerFile::<Kernel>::new(clock), flags.0)
}

/// The timer that a descriptor stands for.
fn timer_file(open: &OpenFile) -> Result<Arc<TimerFile<Kernel>>, Errno> {
    let operations = Arc::clone(open.operations().ok_or(Errno::EBADF)?);
    operations.as_any().and_then(|any| any.downcast().ok()).ok_or(Errno::EINVAL)
}

pub(super) fn timerfd_settime(
    caller: &mut Caller<'_>,
    file: Descriptor,
    flags: Bits,
    new: UserAddr,
    old: Maybe,
) -> Answer {
    let new = user::read::<TimerSpec>(new)?;
    let absolute = flags.0 & linux::TFD_TIMER_ABSTIME != 0;
    let until = match (absolute, flags.0 & linux::TFD_TIMER_CANCEL_ON_SET != 0) {
        _ if flags.0 & !(linux::TFD_TIMER_ABSTIME | linux::TFD_TIMER_CANCEL_ON_SET) != 0 => return Err(Errno::EINVAL),
        (true, true) => Until::TimeUnlessSet,
        (true, false) => Until::Time,
        (false, _) => Until::Length,
    };
    let setting = new.to_setting()?;
    let before = timer_file(&*caller.file(file)?)?.set(setting, until)?;
    user::write_if(old, &TimerSpec::from_setting(before))?;
    Ok(0)
}

pub(super) fn timerfd_gettime(caller: &mut Caller<'_>, file: Descriptor, to: UserAddr) -> Answer {
    let left = timer_file(&*caller.file(file)?)?.left();
    user::write(to, &TimerSpec::from_setting(left))?;
    Ok(0)
}
