//! Between ticks of the hardware counter and nanoseconds.
//!
//! The boards count at 19.2, 54 and (in QEMU) 62.5 MHz, so a tick is 52 1/12, 18 14/27 or 16 ns. A multiplier of few
//! bits drifts, and ticks × 10⁹ overflows 64 bits after minutes. Here the nanoseconds of a tick are kept as an integer
//! and a 64-bit fraction *rounded up*, two multiplications in all; and the number of ticks is known up to which the
//! rounding cannot show in the result (Granlund and Montgomery, "Division by Invariant Integers using
//! Multiplication", theorem 4.2). Beyond it, which is after four centuries on the boards, two divisions do.

use core::num::NonZeroU32;

const NS_PER_SECOND: u64 = 1_000_000_000;

/// Converts the ticks of a counter with a fixed frequency, exactly.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CounterScale {
    hz: NonZeroU32,
    /// Nanoseconds a tick, rounded down.
    whole_ns: u64,
    /// The rest in units of 2⁻⁶⁴ ns, rounded up.
    fraction: u64,
    /// Up to this many ticks the rounding of `fraction` does not reach the result, and the result fits.
    exact_ticks: u64,
}

impl CounterScale {
    /// The scale of a counter of `hz` ticks a second, as `CNTFRQ_EL0` tells; `None` for 0, which is what the register
    /// holds when firmware forgot it.
    #[must_use]
    pub const fn new(hz: u32) -> Option<Self> {
        let Some(hz) = NonZeroU32::new(hz) else {
            return None;
        };
        // One tick is numerator/denominator ns, in lowest terms.
        let divisor = greatest_common_divisor(NS_PER_SECOND, hz.get() as u64);
        let (numerator, denominator) = (NS_PER_SECOND / divisor, hz.get() as u64 / divisor);
        let scaled = ((numerator % denominator) as u128) << 64;
        #[expect(clippy::cast_possible_truncation, reason = "a quotient below 2^64 and a remainder below 2^32")]
        let (quotient, remainder) = ((scaled / denominator as u128) as u64, (scaled % denominator as u128) as u64);
        // Rounded up, the fraction is too large by (denominator - remainder)/denominator units of 2⁻⁶⁴. A result is at
        // least 1/denominator away from the next integer, so for that many ticks the excess does not reach it.
        let (fraction, exact_ticks) =
            if remainder == 0 { (quotient, u64::MAX) } else { (quotient + 1, u64::MAX / (denominator - remainder)) };
        let whole_ns = numerator / denominator;
        let fitting_ticks = u64::MAX / (whole_ns + 1);
        let exact_ticks = if exact_ticks < fitting_ticks { exact_ticks } else { fitting_ticks };
        Some(Self { hz, whole_ns, fraction, exact_ticks })
    }

    /// Ticks a second.
    #[must_use]
    pub const fn hz(self) -> u32 {
        self.hz.get()
    }

    /// What [`to_ns`](Self::to_ns) works with, for those who do the same elsewhere: nanoseconds a tick, the rest of them in units
    /// of 2⁻⁶⁴, and up to how many ticks the sum of both products is exact.
    #[must_use]
    pub const fn factors(self) -> (u64, u64, u64) {
        (self.whole_ns, self.fraction, self.exact_ticks)
    }

    /// The time that `ticks` ticks take, rounded down; [`u64::MAX`] where that does not fit (after 584 years).
    #[must_use]
    pub fn to_ns(self, ticks: u64) -> u64 {
        if ticks > self.exact_ticks {
            return self.to_ns_by_division(ticks);
        }
        let high = high_half(u128::from(ticks) * u128::from(self.fraction));
        // Less than a nanosecond more a tick fits, too: see `exact_ticks`.
        ticks.wrapping_mul(self.whole_ns).wrapping_add(high)
    }

    /// The least number of ticks that take `ns` nanoseconds or more, so that a one-shot never fires early;
    /// [`u64::MAX`] where that does not fit.
    #[must_use]
    pub fn ticks_for(self, ns: u64) -> u64 {
        let hz = u64::from(self.hz.get());
        // The rest of a second times 2³² is below 2⁶².
        let rest = ((ns % NS_PER_SECOND) * hz).div_ceil(NS_PER_SECOND);
        (ns / NS_PER_SECOND).saturating_mul(hz).saturating_add(rest)
    }

    #[cold]
    fn to_ns_by_division(self, ticks: u64) -> u64 {
        let hz = u64::from(self.hz.get());
        let rest = (ticks % hz) * NS_PER_SECOND / hz;
        (ticks / hz).saturating_mul(NS_PER_SECOND).saturating_add(rest)
    }
}

const fn high_half(value: u128) -> u64 {
    (value >> 64) as u64
}

const fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOARDS: [u32; 3] = [19_200_000, 54_000_000, 62_500_000];

    fn model_ns(hz: u32, ticks: u64) -> u64 {
        u64::try_from(u128::from(ticks) * u128::from(NS_PER_SECOND) / u128::from(hz)).unwrap_or(u64::MAX)
    }

    fn model_ticks(hz: u32, ns: u64) -> u64 {
        u64::try_from((u128::from(ns) * u128::from(hz)).div_ceil(u128::from(NS_PER_SECOND))).unwrap_or(u64::MAX)
    }

    #[test]
    fn a_counter_without_frequency_has_no_scale() {
        assert_eq!(CounterScale::new(0), None);
    }

    #[test]
    fn a_second_is_a_second_on_every_board() {
        for hz in BOARDS {
            let scale = CounterScale::new(hz).unwrap();
            assert_eq!(scale.to_ns(u64::from(hz)), NS_PER_SECOND);
            assert_eq!(scale.ticks_for(NS_PER_SECOND), u64::from(hz));
        }
    }

    #[test]
    fn the_boards_take_the_fast_path_for_centuries() {
        const FOUR_CENTURIES_S: u64 = 400 * 365 * 24 * 3600;
        for hz in BOARDS {
            let scale = CounterScale::new(hz).unwrap();
            assert!(scale.exact_ticks >= FOUR_CENTURIES_S.saturating_mul(u64::from(hz)), "{hz}");
        }
    }

    #[test]
    fn the_border_between_the_paths_does_not_show() {
        for hz in [19_200_000, 54_000_000, 999_999_937, u32::MAX, 7] {
            let scale = CounterScale::new(hz).unwrap();
            for ticks in [scale.exact_ticks - 1, scale.exact_ticks, scale.exact_ticks.saturating_add(1)] {
                assert_eq!(scale.to_ns(ticks), model_ns(hz, ticks), "{hz} {ticks}");
            }
        }
    }

    #[test]
    fn results_that_do_not_fit_saturate() {
        let scale = CounterScale::new(1).unwrap();
        assert_eq!(scale.to_ns(u64::MAX), u64::MAX);
        assert_eq!(CounterScale::new(u32::MAX).unwrap().ticks_for(u64::MAX), u64::MAX);
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 32 } else { 20_000 }, failure_persistence: None, ..ProptestConfig::default()
        })]

        #[test]
        fn conversion_agrees_with_128_bit_arithmetic(
            hz in prop_oneof![prop::sample::select(&BOARDS[..]), 1..=u32::MAX],
            value in prop_oneof![any::<u64>(), 0..1_u64 << 40],
        ) {
            let scale = CounterScale::new(hz).unwrap();
            prop_assert_eq!(scale.to_ns(value), model_ns(hz, value));
            prop_assert_eq!(scale.ticks_for(value), model_ticks(hz, value));
        }

        #[test]
        fn a_one_shot_never_fires_early(hz in 1..=u32::MAX, ns in any::<u64>()) {
            let scale = CounterScale::new(hz).unwrap();
            let ticks = scale.ticks_for(ns);
            prop_assert!(ticks == u64::MAX || scale.to_ns(ticks) >= ns);
            prop_assert!(ticks == 0 || scale.to_ns(ticks - 1) < ns, "nor later than the counter can tell");
        }
    }
}
