//! The records of a frame that a program has changed.

use proptest::prelude::*;

use crate::signal::records::{AREA_BYTES, FP_BYTES, FP_MAGIC, find_fp_record};

const SYNDROME: u32 = 0x4553_5201;

/// The record in a list that is read in order, as it is laid out by its own lengths.
fn find(records: &[(u32, u32)]) -> Option<u64> {
    let mut at = 0;
    let mut records = records.iter();
    find_fp_record(|offset| {
        assert_eq!(offset, at, "heads are read where they are");
        let &(magic, bytes) = records.next()?;
        at += u64::from(bytes);
        Some((magic, bytes))
    })
}

const END: (u32, u32) = (0, 0);
const FP: (u32, u32) = (FP_MAGIC, FP_BYTES);

#[test]
fn the_record_is_found_alone_and_beside_one_that_says_nothing() {
    assert_eq!(find(&[FP, END]), Some(0));
    assert_eq!(find(&[(SYNDROME, 16), FP, END]), Some(16));
    assert_eq!(find(&[FP, (SYNDROME, 16), END]), Some(0));
    assert_eq!(find(&[(FP_MAGIC, 1024), END]), Some(0), "a longer one has what is needed");
}

#[test]
fn a_list_that_is_not_whole_is_none() {
    let lists: [&[(u32, u32)]; 12] = [
        &[],
        &[END],
        &[FP],
        &[FP, FP, END],
        &[FP, (0, 16), END],
        &[(FP_MAGIC, 0), END],
        &[(FP_MAGIC, FP_BYTES - 16), END],
        &[(FP_MAGIC, FP_BYTES + 8), END],
        &[(FP_MAGIC, u32::MAX - 15), END],
        &[FP, (SYNDROME, 0), END],
        &[FP, (SYNDROME, 4096), END],
        &[FP, (0x5356_4501, 16), END],
    ];
    for list in lists {
        assert_eq!(find(list), None, "{list:x?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 2 } else { 256 }, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever stands there, reading it ends, within the area, and what is found lies in it.
    #[test]
    fn hostile_lists_end(words in prop::collection::vec((0_u8..4, any::<u32>(), 0_u32..64), 300)) {
        let mut reads = 0;
        let found = find_fp_record(|offset| {
            assert!(offset + 8 <= AREA_BYTES);
            reads += 1;
            let (kind, any, small) = words[reads % words.len()];
            Some(match kind {
                0 => (SYNDROME, small * 16),
                1 => (FP_MAGIC, FP_BYTES + small * 16),
                2 => (any, small),
                _ => (0, small / 32),
            })
        });
        prop_assert!(reads <= 256);
        prop_assert!(found.is_none_or(|at| at + u64::from(FP_BYTES) <= AREA_BYTES && at % 16 == 0));
    }
}
