//! When a timer goes off, by its own clock.

/// What a timer is set to, or has left: `struct itimerspec`, in nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TimerSetting {
    /// When it goes off: from now on, or by its clock. 0 if it does not.
    pub value_ns: u64,
    /// How long after that it does so again; 0 if it does not.
    pub interval_ns: u64,
}

/// What a timer that is not looked at more often than this cannot do is keep a CPU busy.
pub(super) const LEAST_NS: u64 = 1_000_000;

/// One timer. All times are those of its clock, in nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Schedule {
    /// When it goes off, or when it did if its signal is pending.
    expiry_ns: Option<u64>,
    interval_ns: u64,
    /// It has gone off, and nobody has taken the signal: it stands still.
    is_signalled: bool,
}

impl Schedule {
    /// Sets it to go off at `expiry_ns`, if at all.
    pub(super) const fn set(expiry_ns: Option<u64>, interval_ns: u64) -> Self {
        Self { expiry_ns, interval_ns, is_signalled: false }
    }

    /// Whether it is set, or its signal is pending.
    pub(super) const fn is_set(&self) -> bool {
        self.expiry_ns.is_some()
    }

    /// Whether its signal is pending.
    pub(super) const fn is_signalled(&self) -> bool {
        self.is_signalled
    }

    /// When somebody has to look at it.
    pub(super) const fn next_ns(&self) -> Option<u64> {
        if self.is_signalled { None } else { self.expiry_ns }
    }

    /// Whether it goes off at `now_ns`; then it stands still until it is [settled](Self::settle).
    pub(super) fn goes_off(&mut self, now_ns: u64) -> bool {
        let goes_off = self.next_ns().is_some_and(|expiry_ns| expiry_ns <= now_ns);
        self.is_signalled |= goes_off;
        goes_off
    }

    /// Goes on after it went off: the next time is after `now_ns`, by whole intervals, and not before `least_ns` later.
    /// Returns how many times were missed. One that goes on already is left alone.
    pub(super) fn settle(&mut self, now_ns: u64, least_ns: u64) -> u64 {
        if !core::mem::take(&mut self.is_signalled) {
            return 0;
        }
        let Some(expiry_ns) = self.expiry_ns else { return 0 };
        if self.interval_ns == 0 {
            self.expiry_ns = None;
            return 0;
        }
        let passed = |until_ns: u64| until_ns.saturating_sub(expiry_ns).checked_div(self.interval_ns).unwrap_or(0);
        let missed = passed(now_ns);
        let steps = missed.max(passed(now_ns.saturating_add(least_ns))).saturating_add(1);
        self.expiry_ns = Some(expiry_ns.saturating_add(steps.saturating_mul(self.interval_ns)));
        missed
    }

    /// What is left of it at `now_ns`. Of one that goes off at this moment, or has and is to again, a nanosecond.
    pub(super) fn left(&self, now_ns: u64) -> TimerSetting {
        let mut ahead = *self;
        if self.is_signalled {
            ahead.settle(now_ns, 0);
        }
        let value_ns = ahead.expiry_ns.map_or(0, |expiry_ns| expiry_ns.saturating_sub(now_ns).max(1));
        TimerSetting { value_ns, interval_ns: self.interval_ns }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_that_is_not_set_never_goes_off_and_has_nothing_left() {
        let mut schedule = Schedule::default();
        assert!(!schedule.goes_off(u64::MAX));
        assert_eq!(schedule.left(5), TimerSetting::default());
    }

    #[test]
    fn one_without_an_interval_goes_off_once() {
        let mut schedule = Schedule::set(Some(100), 0);
        assert!(!schedule.goes_off(99));
        assert_eq!(schedule.left(99).value_ns, 1);
        assert!(schedule.goes_off(100));
        assert!(!schedule.goes_off(200), "its signal is pending");
        assert_eq!(schedule.left(200).value_ns, 0);
        assert_eq!(schedule.settle(300, 0), 0);
        assert!(!schedule.is_set());
    }

    #[test]
    fn what_is_missed_while_the_signal_is_pending_is_counted() {
        let mut schedule = Schedule::set(Some(100), 10);
        assert!(schedule.goes_off(100));
        assert_eq!(schedule.left(134), TimerSetting { value_ns: 6, interval_ns: 10 });
        assert_eq!(schedule.settle(134, 0), 3);
        assert_eq!(schedule.next_ns(), Some(140));
        assert!(schedule.goes_off(140));
        assert_eq!(schedule.settle(149, 0), 0);
        assert_eq!(schedule.next_ns(), Some(150));
    }

    #[test]
    fn one_that_nobody_listens_to_waits_at_least_as_long_as_it_is_told() {
        let mut schedule = Schedule::set(Some(100), 10);
        assert!(schedule.goes_off(100));
        assert_eq!(schedule.settle(100, 1000), 0);
        assert_eq!(schedule.next_ns(), Some(1110));
    }

    #[test]
    fn one_that_goes_on_already_loses_nothing() {
        let mut schedule = Schedule::set(Some(100), 10);
        assert!(schedule.goes_off(100));
        assert_eq!(schedule.settle(100, 0), 0);
        assert_eq!(schedule.settle(105, 1000), 0);
        assert_eq!(schedule.next_ns(), Some(110));
    }

    #[test]
    fn the_end_of_time_is_reached_once() {
        let mut schedule = Schedule::set(Some(u64::MAX), u64::MAX);
        assert!(schedule.goes_off(u64::MAX));
        assert_eq!(schedule.settle(u64::MAX, 1), 0);
        assert_eq!(schedule.next_ns(), Some(u64::MAX));
    }

    proptest! {
        /// However late it is looked at, each time that it should have gone off is a signal or an overrun of one.
        #[test]
        fn no_time_is_lost_and_none_comes_twice(
            first in 0_u64..1000,
            interval in 1_u64..50,
            steps in prop::collection::vec((0_u64..200, 0_u64..200), 1..50),
        ) {
            let mut schedule = Schedule::set(Some(first), interval);
            let (mut now, mut told) = (0, 0);
            for (until_due, until_taken) in steps {
                now += until_due;
                if schedule.goes_off(now) {
                    now += until_taken;
                    told += 1 + schedule.settle(now, 0);
                }
                let should = if now < first { 0 } else { (now - first) / interval + 1 };
                prop_assert_eq!(told, should);
                prop_assert!(schedule.next_ns().is_some_and(|next| next > now));
            }
        }
    }
}
