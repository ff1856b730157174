//! Timers that signal: `setitimer`, `timer_create` and their kin; and those that are files: `timerfd_create`.

use std::os::fd::{AsRawFd, FromRawFd as _, OwnedFd, RawFd};
use std::time::Duration;

use bsd::{Errno, Tid};

use crate::call::{call, input, int, output, to_int};
use crate::number;
use crate::process::Signal;
use crate::time::Timespec;

/// What a timer is set to, or has left.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Setting {
    /// When it goes off; zero if it does not.
    pub value: Duration,
    /// How long after that it does so again; zero if it does not.
    pub interval: Duration,
}

impl Setting {
    /// Once, after this time.
    #[must_use]
    pub const fn once(value: Duration) -> Self {
        Self { value, interval: Duration::ZERO }
    }

    /// Again and again.
    #[must_use]
    pub const fn every(interval: Duration) -> Self {
        Self { value: interval, interval }
    }
}

/// One of the three that every process has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Interval {
    /// Time: `ALRM`.
    Real = 0,
    /// Processor time in user mode: `VTALRM`.
    Virtual = 1,
    /// Processor time: `PROF`.
    Profiling = 2,
}

/// A `struct itimerval`: interval and value, in seconds and microseconds.
pub type RawInterval = [i64; 4];

fn micros(duration: Duration) -> [i64; 2] {
    [i64::try_from(duration.as_secs()).unwrap_or(i64::MAX), duration.subsec_micros().into()]
}

fn from_micros(seconds: i64, micros: i64) -> Duration {
    Duration::from_secs(seconds.unsigned_abs()) + Duration::from_micros(micros.unsigned_abs())
}

fn from_raw([interval, interval_us, value, value_us]: RawInterval) -> Setting {
    Setting { value: from_micros(value, value_us), interval: from_micros(interval, interval_us) }
}

/// `setitimer`; what was left.
///
/// # Errors
///
/// `NOSYS`.
pub fn set_interval(which: Interval, setting: Setting) -> Result<Setting, Errno> {
    let [[interval, interval_us], [value, value_us]] = [micros(setting.interval), micros(setting.value)];
    set_raw_interval(which as i32, [interval, interval_us, value, value_us])
}

/// The same, with any number and structure.
///
/// # Errors
///
/// `INVAL`.
pub fn set_raw_interval(which: i32, new: RawInterval) -> Result<Setting, Errno> {
    let mut old = RawInterval::default();
    // SAFETY: one `struct itimerval` is read, one stored.
    unsafe { call(number::SETITIMER, [int(which), input(&new), output(&mut old)]) }?;
    Ok(from_raw(old))
}

/// `getitimer`.
///
/// # Errors
///
/// `NOSYS`.
pub fn interval(which: Interval) -> Result<Setting, Errno> {
    let mut left = RawInterval::default();
    // SAFETY: one `struct itimerval` is stored.
    unsafe { call(number::GETITIMER, [int(which as i32), output(&mut left)]) }?;
    Ok(from_raw(left))
}

/// By which clock a timer goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Clock {
    /// The wall clock.
    Wall = 0,
    /// Time since the system started.
    Monotonic = 1,
    /// Processor time of the process.
    Process = 2,
    /// That of the thread.
    Thread = 3,
    /// As `Monotonic`, and while the system sleeps.
    Boot = 7,
    /// None.
    Bad = 99,
    /// One that has no timers.
    Raw = 4,
    /// As `Wall`, and wakes the system.
    WallAlarm = 8,
    /// As `Boot`, and wakes the system.
    BootAlarm = 9,
}

/// What happens when it goes off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Notice {
    /// `ALRM`, with the timer's number.
    Default,
    /// Nothing.
    None,
    /// The process gets a signal with a value.
    Signal(Signal, u64),
    /// A thread does.
    Thread(Tid, Signal, u64),
}

/// `struct sigevent`.
#[repr(C)]
#[derive(Default)]
struct Event {
    value: u64,
    signal: i32,
    notify: i32,
    thread: i32,
    rest: [u32; 11],
}

/// A timer of `timer_create`, until it is dropped.
#[derive(Debug)]
pub struct Timer {
    id: i32,
}

#[repr(C)]
#[derive(Default)]
struct Spec {
    interval: Timespec,
    value: Timespec,
}

impl Timer {
    /// `timer_create`
    ///
    /// # Errors
    ///
    /// `INVAL` for bad signals, threads and clocks; `AGAIN` when there are too many.
    pub fn new(clock: Clock, notice: Notice) -> Result<Self, Errno> {
        let event = match notice {
            Notice::Default => None,
            Notice::None => Some(Event { notify: 1, ..Event::default() }),
            Notice::Signal(signal, value) => Some(Event { value, signal: signal.0, ..Event::default() }),
            Notice::Thread(thread, signal, value) => {
                Some(Event { value, signal: signal.0, notify: 4, thread: thread.0, ..Event::default() })
            }
        };
        let event = event.as_ref().map_or(0, input);
        let mut id = 0_i32;
        // SAFETY: at most one `struct sigevent` is read, one `int` stored.
        unsafe { call(number::TIMER_CREATE, [int(clock as i32), event, output(&mut id)]) }?;
        Ok(Self { id })
    }

    /// `timer_create` with an address where the number cannot be stored.
    ///
    /// # Errors
    ///
    /// `FAULT`.
    pub fn nowhere() -> Result<(), Errno> {
        // SAFETY: nothing is read, and nothing can be stored at the end of all addresses.
        unsafe { call(number::TIMER_CREATE, [int(Clock::Monotonic as i32), 0, usize::MAX - 7]) }.map(drop)
    }

    /// Its number.
    #[must_use]
    pub const fn id(&self) -> i32 {
        self.id
    }

    /// `timer_settime`; what was left.
    ///
    /// # Errors
    ///
    /// `INVAL`.
    pub fn set(&self, setting: Setting) -> Result<Setting, Errno> {
        self.set_to(setting, 0)
    }

    /// The same, to a time of its clock.
    ///
    /// # Errors
    ///
    /// `INVAL`.
    pub fn set_absolute(&self, setting: Setting) -> Result<Setting, Errno> {
        self.set_to(setting, 1)
    }

    fn set_to(&self, setting: Setting, flags: i32) -> Result<Setting, Errno> {
        let new = Spec { interval: setting.interval.into(), value: setting.value.into() };
        let mut old = Spec::default();
        // SAFETY: one `struct itimerspec` is read, one stored.
        unsafe { call(number::TIMER_SETTIME, [int(self.id), int(flags), input(&new), output(&mut old)]) }?;
        Ok(Setting { value: old.value.into(), interval: old.interval.into() })
    }

    /// `timer_gettime`
    ///
    /// # Errors
    ///
    /// `INVAL`.
    pub fn left(&self) -> Result<Setting, Errno> {
        let mut left = Spec::default();
        // SAFETY: one `struct itimerspec` is stored.
        unsafe { call(number::TIMER_GETTIME, [int(self.id), output(&mut left)]) }?;
        Ok(Setting { value: left.value.into(), interval: left.interval.into() })
    }

    /// `timer_getoverrun`
    ///
    /// # Errors
    ///
    /// `INVAL`.
    pub fn overrun(&self) -> Result<i32, Errno> {
        // SAFETY: no pointer.
        unsafe { call(number::TIMER_GETOVERRUN, [int(self.id)]) }.map(to_int)
    }

    /// `timer_delete`
    ///
    /// # Errors
    ///
    /// `INVAL`.
    pub fn delete(&self) -> Result<(), Errno> {
        // SAFETY: no pointer.
        unsafe { call(number::TIMER_DELETE, [int(self.id)]) }.map(drop)
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        // One that has been deleted, or lost to exec or fork, is gone already.
        let _ = self.delete();
    }
}

/// A timer that is a file.
#[derive(Debug)]
pub struct TimerFile(OwnedFd);

/// Flags of [`TimerFile::set`].
pub mod until {
    /// The value is a length of time.
    pub const LENGTH: usize = 0;
    /// The value is a time of the clock.
    pub const TIME: usize = 1;
    /// Whoever reads is told when the clock was set.
    pub const UNLESS_SET: usize = 2;
}

impl TimerFile {
    /// `timerfd_create`
    ///
    /// # Errors
    ///
    /// `INVAL` for other clocks and flags, `PERM` for clocks that wake the system.
    pub fn new(clock: Clock, flags: usize) -> Result<Self, Errno> {
        // SAFETY: no pointer.
        let descriptor = unsafe { call(number::TIMERFD_CREATE, [int(clock as i32), flags]) }?;
        // SAFETY: new, and nobody else's.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(to_int(descriptor)) }))
    }

    /// `timerfd_settime`; what was left.
    ///
    /// # Errors
    ///
    /// As of [`set_file`].
    pub fn set(&self, setting: Setting, flags: usize) -> Result<Setting, Errno> {
        set_file(self, setting, flags)
    }

    /// `timerfd_gettime`
    ///
    /// # Errors
    ///
    /// `BADF`
    pub fn left(&self) -> Result<Setting, Errno> {
        file_left(self)
    }

    /// How often it has gone off.
    ///
    /// # Errors
    ///
    /// `AGAIN` where it has not and is not to be waited for, `CANCELED` where the clock was set.
    pub fn read(&self) -> Result<u64, Errno> {
        let mut bytes = [0; 8];
        let count = crate::file::read(self, &mut bytes)?;
        Ok(if count == bytes.len() { u64::from_ne_bytes(bytes) } else { 0 })
    }
}

impl AsRawFd for TimerFile {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// `timerfd_settime` of any file.
///
/// # Errors
///
/// `INVAL` where it is no timer or the setting none, `CANCELED` where the clock was set.
pub fn set_file(file: &impl AsRawFd, setting: Setting, flags: usize) -> Result<Setting, Errno> {
    let new = Spec { interval: setting.interval.into(), value: setting.value.into() };
    let mut old = Spec::default();
    let (new, old_at) = (input(&new), output(&mut old));
    // SAFETY: one `struct itimerspec` is read, one stored.
    unsafe { call(number::TIMERFD_SETTIME, [int(file.as_raw_fd()), flags, new, old_at]) }?;
    Ok(Setting { value: old.value.into(), interval: old.interval.into() })
}

/// `timerfd_gettime` of any file.
///
/// # Errors
///
/// `INVAL` where it is no timer.
pub fn file_left(file: &impl AsRawFd) -> Result<Setting, Errno> {
    let mut left = Spec::default();
    // SAFETY: one `struct itimerspec` is stored.
    unsafe { call(number::TIMERFD_GETTIME, [int(file.as_raw_fd()), output(&mut left)]) }?;
    Ok(Setting { value: left.value.into(), interval: left.interval.into() })
}
