use proptest::prelude::*;

use super::*;

fn range(start: u64, end: u64) -> PhysRange {
    PhysRange::new(PhysAddr::new(start), PhysAddr::new(end)).unwrap()
}

fn top() -> PhysAddr {
    PhysAddr::new(u64::MAX)
}

#[test]
fn a_board_without_reservations_is_free_as_a_whole() {
    let map = MemoryMap::build([range(0, 0x3c00_0000)], []).unwrap();
    assert_eq!(map.free(), [range(0, 0x3c00_0000)]);
    assert_eq!(map.free_bytes(), 0x3c00_0000);
}

#[test]
fn reservations_cut_holes_rounded_out_to_pages() {
    let reserved = [range(0, 0x1000), range(0x80000, 0x9_0001), range(0x800_0000, 0x801_2345)];
    let map = MemoryMap::build([range(0, 0x3c00_0000)], reserved).unwrap();
    assert_eq!(map.free(), [range(0x1000, 0x80000), range(0x9_1000, 0x800_0000), range(0x801_3000, 0x3c00_0000)]);
}

#[test]
fn memory_beyond_four_gibibytes_is_found() {
    let map = MemoryMap::build(
        [range(0x1_0000_0000, 0x2_0000_0000), range(0, 0x3b40_0000), range(0x4000_0000, 0xfc00_0000)],
        [],
    )
    .unwrap();
    assert_eq!(map.free().len(), 3);
    assert_eq!(map.free().last(), Some(&range(0x1_0000_0000, 0x2_0000_0000)));
}

#[test]
fn ranges_that_touch_become_one() {
    let map = MemoryMap::build([range(0x2000, 0x3000), range(0x1000, 0x2000), range(0x2800, 0x4800)], []).unwrap();
    assert_eq!(map.free(), [range(0x1000, 0x4000)]);
}

#[test]
fn carve_takes_the_highest_place_below_the_limit() {
    let mut map = MemoryMap::build([range(0x1000, 0x10_0000), range(0x20_0000, 0x40_0000)], []).unwrap();
    let piece = map.carve(1, 4096, top()).unwrap();
    assert_eq!(piece, range(0x3f_f000, 0x40_0000));
    let piece = map.carve(0x3000, 0x8000, PhysAddr::new(0x10_0000)).unwrap();
    assert_eq!(piece, range(0xf_8000, 0xf_b000));
    assert_eq!(map.free(), [range(0x1000, 0xf_8000), range(0xf_b000, 0x10_0000), range(0x20_0000, 0x3f_f000)]);
}

#[test]
fn carve_refuses_what_does_not_fit_and_loses_nothing() {
    let mut map = MemoryMap::build([range(0x1000, 0x5000)], []).unwrap();
    let before = map.clone();
    assert_eq!(map.carve(0x5000, 4096, top()), None);
    assert_eq!(map.carve(0, 4096, top()), None);
    assert_eq!(map.carve(1, 3, top()), None);
    assert_eq!(map.carve(1, 4096, PhysAddr::new(0x1fff)), None);
    assert_eq!(map.carve(u64::MAX, 4096, top()), None);
    assert_eq!(map, before);
}

#[test]
fn too_many_pieces_are_an_error() {
    let holes = (1..=MAX_FREE_RANGES as u64).map(|n| range(n * 0x2000, n * 0x2000 + 1));
    let error = MemoryMap::build([range(0, 0x100_0000)], holes);
    assert!(matches!(error, Err(MapError::TooManyRanges(_))));
}

/// Small numbers, so that ranges meet often: sixteenths of pages over 32 pages.
fn small_range() -> impl Strategy<Value = PhysRange> {
    (0..512_u64, 0..64_u64).prop_map(|(start, len)| range(start * 256, (start + len) * 256))
}

fn model(usable: &[PhysRange], reserved: &[PhysRange]) -> Vec<bool, 64> {
    (0..40_u64)
        .map(|page| {
            let page = range(page * 4096, (page + 1) * 4096);
            let sixteenths = (0..16).map(|n| page.start().get() + n * 256);
            let usable = sixteenths.into_iter().all(|byte| usable.iter().any(|r| r.covers(range(byte, byte + 256))));
            usable && !reserved.iter().any(|r| r.overlaps(page))
        })
        .collect()
}

fn pages_of(map: &MemoryMap) -> Vec<bool, 64> {
    (0..40_u64).map(|page| map.free().iter().any(|r| r.covers(range(page * 4096, (page + 1) * 4096)))).collect()
}

fn doses() -> ProptestConfig {
    ProptestConfig { cases: if cfg!(miri) { 3 } else { 1000 }, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(doses())]

    #[test]
    fn the_map_agrees_with_a_page_by_page_model(
        usable in prop::collection::vec(small_range(), 0..6),
        reserved in prop::collection::vec(small_range(), 0..6),
    ) {
        let map = MemoryMap::build(usable.iter().copied(), reserved.iter().copied()).unwrap();
        prop_assert_eq!(pages_of(&map), model(&usable, &reserved));
        for pair in map.free().windows(2) {
            prop_assert!(pair[0].end() < pair[1].start(), "sorted and apart");
        }
    }

    #[test]
    fn what_is_carved_was_free_and_is_free_no_more(
        usable in prop::collection::vec(small_range(), 1..6),
        wishes in prop::collection::vec((1..0x6000_u64, 0..3_u32, 0..0x2_8000_u64), 1..8),
    ) {
        let mut map = MemoryMap::build(usable, []).unwrap();
        for (bytes, align_shift, below) in wishes {
            let before = map.clone();
            let align = 4096 << align_shift;
            match map.carve(bytes, align, PhysAddr::new(below)) {
                Some(piece) => {
                    prop_assert!(before.free().iter().any(|r| r.covers(piece)));
                    prop_assert!(!map.free().iter().any(|r| r.overlaps(piece)));
                    prop_assert_eq!(map.free_bytes() + piece.bytes(), before.free_bytes());
                    prop_assert!(piece.start().is_aligned(align) && piece.end().get() <= below);
                }
                None => prop_assert_eq!(&map, &before),
            }
        }
    }
}
