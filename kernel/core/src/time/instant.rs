//! A point in time.

use core::fmt;
use core::ops::{Add, Sub};
use core::time::Duration;

use crate::hal::Clock;

/// Nanoseconds since the counter started: 64 bits last 584 years. All arithmetic saturates, for a deadline beyond
/// that is "never" and not an accident.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(transparent)]
pub struct Instant(u64);

impl Instant {
    /// When the counter started.
    pub const START: Self = Self(0);
    /// A time that does not come.
    pub const NEVER: Self = Self(u64::MAX);

    /// `ns` nanoseconds after the counter started.
    #[must_use]
    pub const fn from_ns(ns: u64) -> Self {
        Self(ns)
    }

    /// Nanoseconds since the counter started.
    #[must_use]
    pub const fn as_ns(self) -> u64 {
        self.0
    }

    /// The time on `clock`.
    #[must_use]
    pub fn now(clock: &impl Clock) -> Self {
        Self(clock.now_ns())
    }

    /// The time from `earlier` to here; zero where `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(ns))
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(ns))
    }
}

/// Seconds with nine places, as kernel messages show it.
impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NS_PER_SECOND: u64 = 1_000_000_000;
        write!(f, "{}.{:09}", self.0 / NS_PER_SECOND, self.0 % NS_PER_SECOND)
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Instant({self})")
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::string::ToString;

    use super::*;
    use crate::hal::fake::FakeClock;

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        assert_eq!(Instant::NEVER + Duration::from_nanos(1), Instant::NEVER);
        assert_eq!(Instant::from_ns(5) + Duration::MAX, Instant::NEVER);
        assert_eq!(Instant::from_ns(5) - Duration::from_nanos(6), Instant::START);
        assert_eq!(Instant::from_ns(5).since(Instant::from_ns(6)), Duration::ZERO);
        assert_eq!(Instant::from_ns(5) + Duration::from_micros(1), Instant::from_ns(1005));
    }

    #[test]
    fn an_instant_reads_as_seconds() {
        assert_eq!(Instant::from_ns(12_000_000_345).to_string(), "12.000000345");
    }

    #[test]
    fn now_is_what_the_clock_says() {
        let clock = FakeClock::at_ns(7);
        assert_eq!(Instant::now(&clock), Instant::from_ns(7));
        clock.advance(Duration::from_nanos(3));
        assert_eq!(Instant::now(&clock), Instant::from_ns(10));
    }
}
