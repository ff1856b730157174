//! `FUTEX_WAKE_OP`.

use super::*;

const CHANGES: [u32; 5] = [0, 1, 2, 3, 4];
const SHIFTED: u32 = 8;

fn packed(change: u32, comparison: u32, by: u32, with: u32) -> u32 {
    change << 28 | comparison << 24 | (by & 0xfff) << 12 | with & 0xfff
}

fn decoded(change: u32, comparison: u32, by: u32, with: u32) -> WakeOperation {
    WakeOperation::decode(packed(change, comparison, by, with)).expect("these have a meaning")
}

#[test]
fn the_word_is_changed_as_asked() {
    let results = CHANGES.map(|change| decoded(change, 0, 0b0110, 0).apply(0b1100));
    assert_eq!(results, [0b0110, 0b1_0010, 0b1110, 0b1000, 0b1010]);
    assert_eq!(decoded(1, 0, 1, 0).apply(u32::MAX), 0, "it wraps around");
}

#[test]
fn operands_are_signed_or_powers_of_two() {
    assert_eq!(decoded(0, 0, 0xfff, 0).apply(0), u32::MAX);
    assert_eq!(decoded(SHIFTED, 0, 31, 0).apply(0), 1 << 31);
    assert_eq!(decoded(SHIFTED | 2, 0, 32 + 4, 0).apply(1), 1 << 4 | 1);
}

#[test]
fn the_value_before_is_compared_as_a_signed_number() {
    let minus_one = 0xfff;
    let passes = |comparison, old: u32| decoded(0, comparison, 0, minus_one).outcome(old) == Operated::WakeBoth;
    let table: [[bool; 3]; 6] = core::array::from_fn(|comparison| {
        let comparison = u32::try_from(comparison).unwrap();
        [-2_i32, -1, 0].map(|old| passes(comparison, old.cast_unsigned()))
    });
    let expected = [
        [false, true, false], // equal
        [true, false, true],  // not equal
        [true, false, false], // less
        [true, true, false],  // less or equal
        [false, false, true], // greater
        [false, true, true],  // greater or equal
    ];
    assert_eq!(table, expected);
}

#[test]
fn what_has_no_meaning_is_not_decoded() {
    for change in 5..8 {
        assert_eq!(WakeOperation::decode(packed(change, 0, 0, 0)), None);
    }
    for comparison in 6..16 {
        assert_eq!(WakeOperation::decode(packed(0, comparison, 0, 0)), None);
    }
}

#[test]
fn waiters_of_the_second_word_are_woken_if_its_value_was_right() {
    let world = World::new();
    let waiters = [world.waiters(0, 1), world.waiters(1, 2)].into_iter().flatten().collect();
    let operate = |outcome| world.futexes.wake_operate((key(0), 1), (key(1), 1), || outcome);
    assert_eq!(operate(Operated::Fault), Err(OperationFault));
    assert_eq!((world.futexes.waiting(key(0)), world.futexes.waiting(key(1))), (1, 2));
    assert_eq!(operate(Operated::WakeFirst), Ok(1));
    assert_eq!(operate(Operated::WakeBoth), Ok(1));
    assert_eq!(operate(Operated::WakeBoth), Ok(1));
    assert_eq!(joined(waiters), [WaitEnd::Woken; 3]);
}

#[test]
fn more_are_woken_than_are_taken_out_at_a_time() {
    let [first, second] = [BATCH + 1, BATCH + 2];
    let world = World::new();
    let waiters = [world.waiters(0, first), world.waiters(1, second)].into_iter().flatten().collect();
    let all = (first, second - 1);
    let woken = world.futexes.wake_operate((key(0), all.0), (key(1), all.1), || Operated::WakeBoth);
    assert_eq!(woken, Ok(first + second - 1));
    assert_eq!(world.wake(1, usize::MAX), 1);
    assert!(joined(waiters).iter().all(|&end| end == WaitEnd::Woken));
}

#[test]
fn both_words_may_be_the_same() {
    let world = World::new();
    let waiters = world.waiters(0, 3);
    assert_eq!(world.futexes.wake_operate((key(0), 1), (key(0), 2), || Operated::WakeBoth), Ok(3));
    assert_eq!(joined(waiters), [WaitEnd::Woken; 3]);
}
