//! Processor time, told in two parts: in programs, and in the kernel for them.
//!
//! The sum is exact: whoever switches charges what has run. Where it was spent is *sampled*, a hundred times a second of
//! running, for to look at the clock at each way in and out would cost more than most calls do. A reader is told the exact
//! sum, divided as the samples are (`cputime_adjust` of Linux; OpenBSD's `calcru` divides the same way). As more samples
//! come the proportion changes, but nothing that was told becomes less.

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Processor time as it is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sampled {
    /// All of it, in nanoseconds.
    pub ran_ns: u64,
    /// How many samples found a program running.
    pub user_samples: u64,
    /// How many found the kernel.
    pub system_samples: u64,
}

impl Sampled {
    /// None.
    pub const ZERO: Self = Self { ran_ns: 0, user_samples: 0, system_samples: 0 };

    /// Adds what somebody else used. Sums saturate.
    pub fn add(&mut self, other: Self) {
        self.ran_ns = self.ran_ns.saturating_add(other.ran_ns);
        self.user_samples = self.user_samples.saturating_add(other.user_samples);
        self.system_samples = self.system_samples.saturating_add(other.system_samples);
    }
}

/// Processor time as it is told, in nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Split {
    /// In programs.
    pub user_ns: u64,
    /// In the kernel.
    pub system_ns: u64,
}

impl Split {
    /// None.
    pub const ZERO: Self = Self { user_ns: 0, system_ns: 0 };

    /// What is told of `sampled` by whom this was told last. Neither part is less than it was; together they are
    /// `sampled.ran_ns`, or what they were if that was more. Without samples of both kinds all time is of one.
    #[must_use]
    pub fn tell(self, sampled: Sampled) -> Self {
        let Sampled { ran_ns, user_samples, system_samples } = sampled;
        if self.user_ns.saturating_add(self.system_ns) >= ran_ns {
            return self;
        }
        let system_ns = match (user_samples, system_samples) {
            (_, 0) => 0,
            (0, _) => ran_ns,
            (user, system) => {
                let all = u128::from(user).saturating_add(u128::from(system));
                let share = u128::from(ran_ns).saturating_mul(u128::from(system)).checked_div(all);
                share.and_then(|share| u64::try_from(share).ok()).unwrap_or(ran_ns)
            }
        };
        let system_ns = system_ns.max(self.system_ns);
        let user_ns = ran_ns.saturating_sub(system_ns).max(self.user_ns);
        Self { user_ns, system_ns: ran_ns.saturating_sub(user_ns) }
    }
}

/// When samples are taken: at random distances, for what a program does in step with a regular clock would be seen
/// always, or never (`McCanne` and Torek, A Randomized Sampling Clock for CPU Utilization Estimation and Code Profiling,
/// 1993).
///
/// One CPU's: only that draws, with interrupts masked.
#[derive(Debug)]
pub struct Jitter(AtomicU32);

/// From one sample to the next, on average.
pub const SAMPLE_NS: u64 = 10_000_000;

impl Jitter {
    /// The distances of one CPU: others get others.
    #[must_use]
    pub const fn new(cpu: u32) -> Self {
        Self(AtomicU32::new(0x9e37_79b9_u32.wrapping_mul(cpu.wrapping_add(1))))
    }

    /// From the moment that a CPU begins to run something to the first sample: up to [`SAMPLE_NS`], all equally likely, so
    /// that who runs for short moments only is met as often as his share is.
    pub fn first_ns(&self) -> u64 {
        self.below(SAMPLE_NS)
    }

    /// From one sample to the next: half to one and a half times [`SAMPLE_NS`].
    pub fn next_ns(&self) -> u64 {
        SAMPLE_NS / 2 + self.below(SAMPLE_NS)
    }

    /// A number below `bound` (xorshift: nobody's secret depends on it).
    fn below(&self, bound: u64) -> u64 {
        let mut word = self.0.load(Relaxed);
        word ^= word << 13;
        word ^= word >> 17;
        word ^= word << 5;
        self.0.store(word, Relaxed);
        (u64::from(word) * bound) >> 32
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn sampled(ran_ns: u64, user_samples: u64, system_samples: u64) -> Sampled {
        Sampled { ran_ns, user_samples, system_samples }
    }

    const fn split(user_ns: u64, system_ns: u64) -> Split {
        Split { user_ns, system_ns }
    }

    #[test]
    fn the_exact_sum_is_divided_as_the_samples_are() {
        assert_eq!(Split::ZERO.tell(sampled(1_000, 3, 1)), split(750, 250));
        assert_eq!(Split::ZERO.tell(sampled(1_000, 0, 9)), split(0, 1_000));
        assert_eq!(Split::ZERO.tell(sampled(1_000, 9, 0)), split(1_000, 0));
        assert_eq!(Split::ZERO.tell(sampled(1_000, 0, 0)), split(1_000, 0), "who was never met is taken for a program");
        assert_eq!(Split::ZERO.tell(sampled(u64::MAX, u64::MAX, u64::MAX)), split(1 << 63, u64::MAX >> 1));
    }

    #[test]
    fn what_was_told_does_not_become_less_when_the_proportion_changes() {
        let first = Split::ZERO.tell(sampled(1_000, 0, 1));
        assert_eq!(first, split(0, 1_000));
        assert_eq!(first.tell(sampled(1_100, 9, 1)), split(100, 1_000), "all that came since was the program's");
        assert_eq!(split(500, 500).tell(sampled(900, 1, 0)), split(500, 500), "a sum that is behind");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_reader_sees_both_parts_grow_and_the_sum_exact(
            steps in proptest::collection::vec((0..1_000_000_u64, 0..3_u64, 0..3_u64), 1..50),
        ) {
            let (mut now, mut told) = (Sampled::ZERO, Split::ZERO);
            for (ran_ns, user_samples, system_samples) in steps {
                now.add(Sampled { ran_ns, user_samples, system_samples });
                let next = told.tell(now);
                prop_assert!(next.user_ns >= told.user_ns && next.system_ns >= told.system_ns);
                prop_assert_eq!(next.user_ns + next.system_ns, now.ran_ns);
                told = next;
            }
        }
    }

    #[test]
    fn samples_come_a_hundred_times_a_second_and_not_in_step() {
        for cpu in 0..4 {
            let jitter = Jitter::new(cpu);
            let mut sums = [0; 2];
            for _ in 0..1_000 {
                let (first, next) = (jitter.first_ns(), jitter.next_ns());
                assert!(first < SAMPLE_NS && (SAMPLE_NS / 2..SAMPLE_NS * 3 / 2).contains(&next));
                sums = [sums[0] + first, sums[1] + next];
            }
            assert!((SAMPLE_NS * 470..SAMPLE_NS * 530).contains(&sums[0]), "{}", sums[0]);
            assert!((SAMPLE_NS * 970..SAMPLE_NS * 1_030).contains(&sums[1]), "{}", sums[1]);
        }
        assert_ne!(Jitter::new(0).first_ns(), Jitter::new(1).first_ns());
    }
}
