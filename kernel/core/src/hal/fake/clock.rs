//! A clock that stands still until a test moves it.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use core::time::Duration;

use crate::hal::Clock;

/// A clock in the test's hand, shared by reference.
#[derive(Debug, Default)]
pub struct FakeClock {
    now_ns: AtomicU64,
}

impl FakeClock {
    /// A clock that shows `now_ns`.
    #[must_use]
    pub const fn at_ns(now_ns: u64) -> Self {
        Self { now_ns: AtomicU64::new(now_ns) }
    }

    /// Moves the clock on. It stops at its last value rather than go round.
    pub fn advance(&self, by: Duration) {
        let ns = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        let _ = self.now_ns.fetch_update(Relaxed, Relaxed, |now| Some(now.saturating_add(ns)));
    }
}

impl Clock for FakeClock {
    fn now_ns(&self) -> u64 {
        self.now_ns.load(Relaxed)
    }
}
