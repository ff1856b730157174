//! Load averages: how many threads ran or wanted to, averaged over one, five and fifteen minutes, as Linux computes them
//! (`kernel/sched/loadavg.c`): every five seconds the number is taken and each average moves towards it.
//!
//! Nobody is woken for that. A CPU that runs something samples its clock anyway, and whoever does so first behind a point
//! where the number is due takes it ([`LoadAverages::fold`]). A point that nobody came by found all CPUs idle: the number
//! was zero, which is made up for when somebody comes by, or asks, later.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::hal::Cpu;
use crate::sync::{IrqLock, Rank};

/// From one number to the next: five seconds, and a little more so as not to be in step with what others do each second.
const PERIOD_NS: u64 = 5_010_000_000;
/// Who comes by so soon behind a point finds as many threads as there were.
const FRESH_NS: u64 = 20_000_000;
/// Averages have so many binary digits behind the point.
pub const LOAD_BITS: u32 = 11;
const ONE: u64 = 1 << LOAD_BITS;
/// What is left of an average after a period: e to the power of minus five seconds over one, five, fifteen minutes.
const LEFT: [u64; 3] = [1884, 2014, 2037];

/// The three averages.
pub struct LoadAverages<C: Cpu> {
    /// When the next number is due.
    next_ns: AtomicU64,
    averages: IrqLock<[u64; 3], C>,
}

impl<C: Cpu> LoadAverages<C> {
    /// Those of a system that starts.
    #[cfg(not(loom))]
    #[must_use]
    pub const fn new() -> Self {
        Self { next_ns: AtomicU64::new(PERIOD_NS), averages: IrqLock::new(Rank::Statistics, [0; 3]) }
    }

    /// Those of a system that starts.
    #[cfg(loom)]
    #[must_use]
    pub fn new() -> Self {
        Self { next_ns: AtomicU64::new(PERIOD_NS), averages: IrqLock::new(Rank::Statistics, [0; 3]) }
    }

    /// Takes into account what has become due by `now_ns`; how many threads are `active` is asked only if it matters. With no
    /// lock of rank `Statistics` or above held.
    pub fn fold(&self, now_ns: u64, active: impl FnOnce() -> u32) {
        let due_ns = self.next_ns.load(Relaxed);
        if let Some(late_ns) = now_ns.checked_sub(due_ns) {
            self.fold_late(due_ns, late_ns, active);
        }
    }

    #[cold]
    fn fold_late(&self, due_ns: u64, late_ns: u64, active: impl FnOnce() -> u32) {
        let points = late_ns / PERIOD_NS + 1;
        let fresh = late_ns % PERIOD_NS <= FRESH_NS;
        let active = if fresh { u64::from(active()) * ONE } else { 0 };
        let mut averages = self.averages.lock();
        if self.next_ns.load(Relaxed) != due_ns {
            // Somebody else came by at the same time.
            return;
        }
        self.next_ns.store(due_ns.saturating_add(points.saturating_mul(PERIOD_NS)), Relaxed);
        for (average, left) in averages.iter_mut().zip(LEFT) {
            let before = moved(*average, power(left, points - 1), 0);
            *average = moved(before, left, active);
        }
    }

    /// The three averages, of one, five and fifteen minutes, with [`LOAD_BITS`] binary digits behind the point. What is due
    /// was [folded in](Self::fold) before.
    pub fn read(&self) -> [u64; 3] {
        *self.averages.lock()
    }
}

impl<C: Cpu> Default for LoadAverages<C> {
    fn default() -> Self {
        Self::new()
    }
}

/// An average of which `left` is left and that moves towards `active` for the rest; rounded towards that.
const fn moved(average: u64, left: u64, active: u64) -> u64 {
    let sum = average * left + active * (ONE - left);
    if active >= average { (sum + ONE - 1) >> LOAD_BITS } else { sum >> LOAD_BITS }
}

/// `left` to the power of `periods`, rounded.
const fn power(mut left: u64, mut periods: u64) -> u64 {
    let mut product = ONE;
    while periods > 0 {
        if periods & 1 != 0 {
            product = (product * left + ONE / 2) >> LOAD_BITS;
        }
        left = (left * left + ONE / 2) >> LOAD_BITS;
        periods >>= 1;
    }
    product
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::hal::fake::FakeCpu;

    fn hundredths(averages: &LoadAverages<FakeCpu>) -> [u64; 3] {
        averages.read().map(|average| (average * 100 + ONE / 2) >> LOAD_BITS)
    }

    /// Somebody runs for `minutes`, and `active` threads want to.
    fn runs(averages: &LoadAverages<FakeCpu>, from_ns: u64, minutes: u64, active: u32) -> u64 {
        let end_ns = from_ns + minutes * 60_000_000_000;
        (from_ns..end_ns).step_by(10_000_000).for_each(|now_ns| averages.fold(now_ns, || active));
        end_ns
    }

    #[test]
    fn an_average_is_at_63_percent_after_its_time_and_near_the_number_in_the_end() {
        let averages = LoadAverages::<FakeCpu>::new();
        let now_ns = runs(&averages, 0, 1, 4);
        let [one, five, fifteen] = hundredths(&averages);
        assert!(
            (235..260).contains(&one) && (62..80).contains(&five) && (20..32).contains(&fifteen),
            "{one} {five} {fifteen}"
        );
        runs(&averages, now_ns, 14, 4);
        let [one, five, fifteen] = hundredths(&averages);
        assert!(one == 400 && (375..=385).contains(&five) && (245..260).contains(&fifteen), "{one} {five} {fifteen}");
    }

    #[test]
    fn what_nobody_came_by_for_was_idle_however_long() {
        let [slept, ran] = [LoadAverages::<FakeCpu>::new(), LoadAverages::new()];
        let now_ns = runs(&slept, 0, 3, 2);
        assert_eq!(runs(&ran, 0, 3, 2), now_ns);
        let end_ns = runs(&ran, now_ns, 2, 0);
        slept.fold(end_ns + FRESH_NS, || panic!("long behind the last point"));
        let (slept, ran) = (slept.read(), ran.read());
        // Each is rounded at other places.
        assert!(slept.iter().zip(ran).all(|(slept, ran)| slept.abs_diff(ran) <= 16), "{slept:?} {ran:?}");
    }

    #[test]
    fn a_machine_that_sleeps_for_ages_has_no_load() {
        let averages = LoadAverages::<FakeCpu>::new();
        runs(&averages, 0, 5, 3);
        averages.fold(u64::MAX, || 0);
        assert_eq!(averages.read(), [0; 3]);
        averages.fold(u64::MAX, || 1);
    }

    #[test]
    fn the_number_is_asked_for_once_a_point() {
        let averages = LoadAverages::<FakeCpu>::new();
        let mut asked = 0;
        for now_ns in (0..60 * 1_000_000_000).step_by(1_000_000) {
            averages.fold(now_ns, || {
                asked += 1;
                1
            });
        }
        assert_eq!(asked, 11, "in a minute");
    }
}
