//! Sums, and the structures that programs see.

use super::{Usage, ticks, timeval, tms};

const SOME: Usage = Usage {
    user_ns: 3_000_001_999,
    system_ns: 20_000_000,
    max_resident_kib: 4,
    minor_faults: 5,
    major_faults: 6,
    blocks_in: 7,
    blocks_out: 8,
    signals: 9,
    voluntary_switches: 10,
    involuntary_switches: 11,
};

#[test]
fn rusage_has_linux_s_fields_in_their_places() {
    let bytes = SOME.to_linux();
    let words: [u64; 18] =
        core::array::from_fn(|n| u64::from_le_bytes(core::array::from_fn(|byte| bytes[8 * n + byte])));
    assert_eq!(words, [3, 1, 0, 20_000, 4, 0, 0, 0, 5, 6, 0, 7, 8, 0, 0, 9, 10, 11]);
}

#[test]
fn what_is_used_adds_up_and_the_largest_memory_counts() {
    let mut sum = SOME;
    sum.add(&Usage { max_resident_kib: 3, ..SOME });
    assert_eq!((sum.user_ns, sum.minor_faults, sum.max_resident_kib), (6_000_003_998, 10, 4));
    sum.add(&Usage { max_resident_kib: 30, ..Usage::ZERO });
    assert_eq!((sum.user_ns, sum.max_resident_kib), (6_000_003_998, 30));
}

#[test]
fn sums_end_at_the_largest_number() {
    let mut sum = Usage { user_ns: u64::MAX, signals: u64::MAX, ..SOME };
    sum.add(&SOME);
    assert_eq!((sum.user_ns, sum.signals), (u64::MAX, u64::MAX));
}

#[test]
fn times_counts_in_hundredths_of_a_second_rounded_down() {
    assert_eq!((ticks(9_999_999), ticks(10_000_000), SOME.user_ticks(), SOME.system_ticks()), (0, 1, 300, 2));
    let bytes = tms(&SOME, &Usage { user_ns: 50_000_000, ..Usage::ZERO });
    let words: [u64; 4] =
        core::array::from_fn(|n| u64::from_le_bytes(core::array::from_fn(|byte| bytes[8 * n + byte])));
    assert_eq!(words, [300, 2, 5, 0]);
    assert!(ticks(u64::MAX) > 0);
}

#[test]
fn a_timeval_has_seconds_and_microseconds() {
    assert_eq!(timeval(1_999_999_999), (1, 999_999));
    assert_eq!(timeval(0), (0, 0));
}
