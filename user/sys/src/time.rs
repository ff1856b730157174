//! Clocks and sleep.

use std::time::Duration;

use bsd::Errno;

use crate::call::{call, input, output};
use crate::number;

/// `struct timespec`.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub(crate) struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}

impl From<Duration> for Timespec {
    fn from(duration: Duration) -> Self {
        Self {
            seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
            nanoseconds: duration.subsec_nanos().into(),
        }
    }
}

impl From<Timespec> for Duration {
    fn from(time: Timespec) -> Self {
        let (seconds, nanoseconds) = (u64::try_from(time.seconds), u32::try_from(time.nanoseconds));
        Self::new(seconds.unwrap_or(0), nanoseconds.unwrap_or(0))
    }
}

/// What the wall clock says, by a system call.
///
/// # Errors
///
/// `NOSYS`.
pub fn wall() -> Result<Duration, Errno> {
    let mut now = Timespec::default();
    // SAFETY: a `struct timespec` is stored.
    unsafe { call(number::CLOCK_GETTIME, [0, output(&mut now)]) }?;
    Ok(now.into())
}

/// Sets the wall clock.
///
/// # Errors
///
/// `PERM` for those who are not root.
pub fn set_wall(time: Duration) -> Result<(), Errno> {
    let time = Timespec::from(time);
    // SAFETY: a `struct timespec` is read.
    unsafe { call(number::CLOCK_SETTIME, [0, input(&time)]) }?;
    Ok(())
}

/// As [`sleep`], and what was left of it when a signal ended it.
///
/// # Errors
///
/// As [`sleep`].
pub fn sleep_and_tell(duration: Duration, left: &mut Duration) -> Result<(), Errno> {
    let duration = Timespec::from(duration);
    let mut remaining = Timespec::default();
    // SAFETY: a `struct timespec` is read, another one stored.
    let slept = unsafe { call(number::NANOSLEEP, [input(&duration), output(&mut remaining)]) };
    *left = remaining.into();
    slept.map(drop)
}

/// Sleeps, by the kernel's monotonic clock.
///
/// # Errors
///
/// `INTR`; `NOSYS` where there is no such call.
pub fn sleep(duration: Duration) -> Result<(), Errno> {
    let duration = Timespec::from(duration);
    // SAFETY: a `struct timespec` is read, nothing is stored.
    unsafe { call(number::NANOSLEEP, [input(&duration), 0]) }?;
    Ok(())
}

/// What the monotonic clock says, by a system call.
///
/// # Errors
///
/// `NOSYS`.
pub fn monotonic() -> Result<Duration, Errno> {
    const MONOTONIC: usize = 1;
    let mut now = Timespec::default();
    // SAFETY: a `struct timespec` is stored.
    unsafe { call(number::CLOCK_GETTIME, [MONOTONIC, output(&mut now)]) }?;
    Ok(now.into())
}

/// The counter of the machine, and how often a second it ticks.
#[must_use]
pub fn counter() -> (u64, u64) {
    let (now, frequency): (u64, u64);
    // SAFETY: both registers may be read by programs; nothing else happens.
    unsafe {
        std::arch::asm!("isb", "mrs {}, cntvct_el0", "mrs {}, cntfrq_el0", out(reg) now, out(reg) frequency, options(nomem, nostack));
    }
    (now, frequency)
}

unsafe extern "C" {
    fn clock_gettime(clock: i32, time: *mut Timespec) -> i32;
}

/// Nanoseconds of the monotonic clock, as the C library finds them: without a system call where the kernel shows how.
#[must_use]
#[inline]
pub fn now_ns() -> u64 {
    let mut now = Timespec::default();
    // SAFETY: a `struct timespec` is stored.
    unsafe { clock_gettime(1, &raw mut now) };
    now.seconds.cast_unsigned().wrapping_mul(1_000_000_000).wrapping_add(now.nanoseconds.cast_unsigned())
}
