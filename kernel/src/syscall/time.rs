//! Clocks and sleeping: `clock_gettime(2)`, `clock_getres(2)`, `clock_settime(2)`, `clock_nanosleep(2)`, `nanosleep(2)`,
//! `gettimeofday(2)`, `times(2)`.

use kcore::addr::UserAddr;
use kcore::proc;
use linux_raw_sys::general as linux;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::argument::{Bits, Maybe};
use super::errno::Errno;
use super::{Again, Answer, Caller, WholeCaller, user};
use crate::dev::clock;
use crate::task::{self, Kernel, Slept};

const NS_PER_S: u64 = 1_000_000_000;
const US_PER_S: u64 = 1_000_000;

/// `struct timespec`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct TimeSpec {
    seconds: i64,
    nanoseconds: i64,
}

impl TimeSpec {
    /// So many nanoseconds.
    pub(crate) fn from_ns(ns: u64) -> Self {
        Self { seconds: (ns / NS_PER_S).cast_signed(), nanoseconds: (ns % NS_PER_S).cast_signed() }
    }

    /// The time in nanoseconds, as far as 64 bits go.
    pub(crate) fn to_ns(self) -> Result<u64, Errno> {
        let seconds = u64::try_from(self.seconds).map_err(|_| Errno::EINVAL)?;
        let nanoseconds = u64::try_from(self.nanoseconds).ok().filter(|&ns| ns < NS_PER_S).ok_or(Errno::EINVAL)?;
        Ok(seconds.saturating_mul(NS_PER_S).saturating_add(nanoseconds))
    }
}

/// `struct timeval`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(super) struct TimeVal {
    seconds: i64,
    microseconds: i64,
}

impl TimeVal {
    /// So many nanoseconds, rounded up, so that what is left of something is not told to be nothing.
    pub(super) fn from_ns(ns: u64) -> Self {
        let us = ns.div_ceil(1000);
        Self { seconds: (us / US_PER_S).cast_signed(), microseconds: (us % US_PER_S).cast_signed() }
    }

    /// The time in nanoseconds, as far as 64 bits go.
    pub(super) fn to_ns(self) -> Result<u64, Errno> {
        let seconds = u64::try_from(self.seconds).map_err(|_| Errno::EINVAL)?;
        let microseconds = u64::try_from(self.microseconds).ok().filter(|&us| us < US_PER_S).ok_or(Errno::EINVAL)?;
        Ok(seconds.saturating_mul(NS_PER_S).saturating_add(microseconds * 1000))
    }
}

/// A clock that programs can name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Clock {
    /// Since 1970.
    Real,
    /// Since the counter started.
    Monotonic,
    /// What the process has used.
    Process,
    /// What the thread has used.
    Thread,
}

impl Clock {
    fn decode(number: u32) -> Result<Self, Errno> {
        match number {
            linux::CLOCK_REALTIME | linux::CLOCK_REALTIME_COARSE | linux::CLOCK_TAI => Ok(Self::Real),
            linux::CLOCK_MONOTONIC
            | linux::CLOCK_MONOTONIC_RAW
            | linux::CLOCK_MONOTONIC_COARSE
            | linux::CLOCK_BOOTTIME => Ok(Self::Monotonic),
            linux::CLOCK_PROCESS_CPUTIME_ID => Ok(Self::Process),
            linux::CLOCK_THREAD_CPUTIME_ID => Ok(Self::Thread),
            _ => Err(Errno::EINVAL),
        }
    }

    fn now_ns(self, caller: &Caller<'_>) -> u64 {
        match self {
            Self::Real => real_ns(),
            Self::Monotonic => clock::now_ns(),
            Self::Process => caller.process_time_ns(),
            Self::Thread => caller.thread_time_ns(),
        }
    }
}

/// The wall clock.
pub(crate) fn real_ns() -> u64 {
    clock::epoch_ns().saturating_add(clock::now_ns())
}

/// When the counter shows what the wall clock will at `real_ns`.
pub(crate) fn real_to_monotonic(real_ns: u64) -> u64 {
    real_ns.saturating_sub(clock::epoch_ns())
}

pub(super) fn clock_gettime(caller: &mut Caller<'_>, number: u32, to: UserAddr) -> Answer {
    let now_ns = Clock::decode(number)?.now_ns(caller);
    user::write(to, &TimeSpec::from_ns(now_ns))?;
    Ok(0)
}

pub(super) fn clock_getres(_caller: &mut Caller<'_>, number: u32, to: Maybe) -> Answer {
    Clock::decode(number)?;
    user::write_if(to, &TimeSpec::from_ns(clock::tick_ns()))?;
    Ok(0)
}

pub(super) fn clock_settime(caller: &mut Caller<'_>, number: u32, from: UserAddr) -> Answer {
    if Clock::decode(number)? != Clock::Real {
        return Err(Errno::EINVAL);
    }
    let wanted = user::read::<TimeSpec>(from)?.to_ns()?;
    caller.must_be_root()?;
    clock::set_epoch(wanted.saturating_sub(clock::now_ns()));
    proc::clock_was_set::<Kernel>();
    Ok(0)
}

pub(super) fn gettimeofday(_caller: &mut Caller<'_>, to: Maybe, zone: Maybe) -> Answer {
    let now_us = real_ns() / 1000;
    let value = TimeVal { seconds: (now_us / US_PER_S).cast_signed(), microseconds: (now_us % US_PER_S).cast_signed() };
    user::write_if(to, &value)?;
    user::write_if(zone, &[0_u32; 2])?;
    Ok(0)
}

pub(super) fn nanosleep(caller: &mut WholeCaller<'_>, request: UserAddr, remaining: Maybe) -> Answer {
    let time_ns = user::read::<TimeSpec>(request)?.to_ns()?;
    sleep(caller, clock::now_ns().saturating_add(time_ns), remaining)
}

pub(super) fn clock_nanosleep(
    caller: &mut WholeCaller<'_>,
    number: u32,
    flags: Bits,
    request: UserAddr,
    remaining: Maybe,
) -> Answer {
    let which = Clock::decode(number)?;
    let absolute = match flags.0 {
        0 => false,
        linux::TIMER_ABSTIME => true,
        _ => return Err(Errno::EINVAL),
    };
    let time_ns = user::read::<TimeSpec>(request)?.to_ns()?;
    match (which, absolute) {
        (Clock::Process | Clock::Thread, _) => Err(Errno::EOPNOTSUPP),
        (_, false) => sleep(caller, clock::now_ns().saturating_add(time_ns), remaining),
        (Clock::Monotonic, true) => sleep(caller, time_ns, Maybe(None)),
        (Clock::Real, true) => sleep(caller, real_to_monotonic(time_ns), Maybe(None)),
    }
}

/// Sleeps until `deadline_ns`. A signal that ends the sleep leaves what was left of it in `remaining`.
fn sleep(caller: &mut WholeCaller<'_>, deadline_ns: u64, remaining: Maybe) -> Answer {
    caller.again = Again::Never;
    let slept = caller.restarting(|caller| match task::sleep_until(deadline_ns, || caller.is_interrupted()) {
        Slept::ToTheEnd => Ok(0),
        Slept::Interrupted => Err(Errno::EINTR),
    });
    if slept == Err(Errno::EINTR) {
        let left_ns = deadline_ns.saturating_sub(clock::now_ns());
        user::write_if(remaining, &TimeSpec::from_ns(left_ns))?;
    }
    slept
}
