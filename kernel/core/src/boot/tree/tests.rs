use proptest::prelude::*;
use std::vec::Vec;
use vm_fdt::{FdtReserveEntry, FdtWriter};

use super::*;
use crate::addr::PhysAddr;

const FDT_NOP: u32 = 4;

fn range(start: u64, bytes: u64) -> PhysRange {
    PhysRange::from_size(PhysAddr::new(start), bytes).unwrap()
}

/// A tree like the one that a Pi 4 with 8 GiB gets from its firmware.
fn pi4() -> Vec<u8> {
    let reserved = [FdtReserveEntry::new(0, 0x1000).unwrap()];
    let mut fdt = FdtWriter::new_with_mem_reserv(&reserved).unwrap();
    let root = fdt.begin_node("").unwrap();
    fdt.property_u32("#address-cells", 2).unwrap();
    fdt.property_u32("#size-cells", 1).unwrap();
    fdt.property_string("model", "Raspberry Pi 4 Model B").unwrap();
    let compatible = ["raspberrypi,4-model-b", "brcm,bcm2711"].map(Into::into).to_vec();
    fdt.property_string_list("compatible", compatible).unwrap();

    let chosen = fdt.begin_node("chosen").unwrap();
    fdt.property_string("bootargs", "console=ttyAMA0 quiet").unwrap();
    fdt.property_string("stdout-path", "serial0:115200n8").unwrap();
    fdt.property_u32("linux,initrd-start", 0x0800_0000).unwrap();
    fdt.property_u64("linux,initrd-end", 0x0812_3456).unwrap();
    fdt.property("rng-seed", &[0xa5; 32]).unwrap();
    fdt.property_u64("kaslr-seed", 0x1122_3344_5566_7788).unwrap();
    fdt.end_node(chosen).unwrap();

    let memory = fdt.begin_node("memory@0").unwrap();
    fdt.property_string("device_type", "memory").unwrap();
    let reg = [0, 0, 0x3b40_0000, 0, 0x4000_0000, 0xbc00_0000, 1, 0, 0x8000_0000, 1, 0x8000_0000, 0x8000_0000, 0, 0, 0];
    fdt.property_array_u32("reg", &reg).unwrap();
    fdt.end_node(memory).unwrap();

    let pools = fdt.begin_node("reserved-memory").unwrap();
    fdt.property_u32("#address-cells", 2).unwrap();
    fdt.property_u32("#size-cells", 2).unwrap();
    let pool = fdt.begin_node("nvram@0").unwrap();
    fdt.property_array_u64("reg", &[0x3ef6_4000, 0x2000]).unwrap();
    fdt.end_node(pool).unwrap();
    let pool = fdt.begin_node("linux,cma").unwrap();
    fdt.property_u32("size", 0x400_0000).unwrap();
    fdt.end_node(pool).unwrap();
    fdt.end_node(pools).unwrap();

    let cpus = fdt.begin_node("cpus").unwrap();
    fdt.property_u32("#address-cells", 1).unwrap();
    fdt.property_u32("#size-cells", 0).unwrap();
    for n in 0..4_u32 {
        let cpu = fdt.begin_node(&std::format!("cpu@{n}")).unwrap();
        fdt.property_u32("reg", n).unwrap();
        fdt.property_string("enable-method", "spin-table").unwrap();
        fdt.property_u64("cpu-release-addr", 0xd8 + 8 * u64::from(n)).unwrap();
        fdt.end_node(cpu).unwrap();
    }
    let cache = fdt.begin_node("l2-cache0").unwrap();
    fdt.end_node(cache).unwrap();
    fdt.end_node(cpus).unwrap();
    let bus = fdt.begin_node("emmc2bus").unwrap();
    fdt.property_u32("#address-cells", 2).unwrap();
    fdt.property_u32("#size-cells", 1).unwrap();
    fdt.property_array_u32("dma-ranges", &[0, 0xc000_0000, 0, 0, 0x4000_0000]).unwrap();
    fdt.end_node(bus).unwrap();
    fdt.end_node(root).unwrap();
    fdt.finish().unwrap()
}

/// A tree with only what `fill` writes into its root.
fn tree(fill: impl FnOnce(&mut FdtWriter)) -> Vec<u8> {
    let mut fdt = FdtWriter::new().unwrap();
    let root = fdt.begin_node("").unwrap();
    fill(&mut fdt);
    fdt.end_node(root).unwrap();
    fdt.finish().unwrap()
}

/// Like [`tree`], within one child of the root.
fn tree_with(name: &str, fill: impl FnOnce(&mut FdtWriter)) -> Vec<u8> {
    tree(|fdt| {
        let node = fdt.begin_node(name).unwrap();
        fill(fdt);
        fdt.end_node(node).unwrap();
    })
}

fn find(blob: &[u8], needle: &[u8]) -> usize {
    blob.windows(needle.len()).position(|window| window == needle).unwrap()
}

#[test]
fn the_tree_of_a_pi_4_is_understood() {
    let blob = pi4();
    let facts = TreeFacts::read(&blob).unwrap();
    assert_eq!(facts.total_bytes, blob.len());
    assert_eq!(facts.model, Some("Raspberry Pi 4 Model B"));
    assert!(facts.is_compatible("brcm,bcm2711") && !facts.is_compatible("brcm,bcm2837"));
    assert_eq!(facts.compatible().next(), Some("raspberrypi,4-model-b"));
    let memory = [(0, 0x3b40_0000), (0x4000_0000, 0xbc00_0000), (1 << 32, 1 << 31), ((1 << 32) + (1 << 31), 1 << 31)];
    assert_eq!(facts.memory, memory.map(|(start, bytes)| range(start, bytes)));
    assert_eq!(facts.reserved, [range(0, 0x1000), range(0x3ef6_4000, 0x2000)]);
    assert_eq!(facts.command_line, Some("console=ttyAMA0 quiet"));
    assert_eq!(facts.stdout_path, Some("serial0:115200n8"));
    assert_eq!(facts.initrd, Some(range(0x0800_0000, 0x12_3456)));
    assert_eq!(facts.rng_seed, Some(&[0xa5; 32][..]));
    assert_eq!(facts.kaslr_seed, Some(0x1122_3344_5566_7788));
    assert_eq!(facts.cpu_count, 4);
    let third = CpuFacts { affinity: 2, enable: EnableMethod::SpinTable { release: PhysAddr::new(0xe8) } };
    assert_eq!(facts.cpus.get(2), Some(&third));
    assert_eq!(facts.emmc2_dma, Some(DmaWindow { memory: range(0, 1 << 30), bus: 0xc000_0000 }));
    assert!(facts.oddities.is_empty());
}

#[test]
fn a_window_gives_bus_addresses_to_what_lies_in_it() {
    let first = DmaWindow { memory: range(0, 1 << 30), bus: 0xc000_0000 };
    assert_eq!(first.bus_address(range(0x1000, 0x2_0000)), Some(0xc000_1000));
    assert_eq!(first.bus_address(range(0x3fff_f000, 0x1000)), Some(0xffff_f000));
    assert_eq!(first.bus_address(range(0x3fff_f000, 0x2000)), None);
    assert_eq!(first.bus_address(range(0x1000, 0)), None);
    let later = DmaWindow { memory: range(0, 0xfc00_0000), bus: 0 };
    assert_eq!(later.bus_address(range(0x8000_0000, 0x1000)), Some(0x8000_0000));
    let high = DmaWindow { memory: range(1 << 32, 1 << 32), bus: 0xffff_0000 };
    assert_eq!(high.bus_address(range(0x1000, 0x1000)), None, "below it");
    assert_eq!(high.bus_address(range(1 << 32, 0x1_0000)), Some(0xffff_0000));
    assert_eq!(high.bus_address(range(1 << 32, 0x1_1000)), None, "the end has more than 32 bits");
    let last = DmaWindow { memory: range(0, 1 << 40), bus: u64::MAX - 0xfff };
    assert_eq!(last.bus_address(range(0x1000, 0x1000)), None);
}

#[test]
fn a_bus_that_makes_no_sense_is_left_out() {
    for cells in [&[0, 0xc000_0000, 0, 0][..], &[0, 0, u32::MAX, u32::MAX, 2]] {
        let blob = tree(|fdt| {
            fdt.property_u32("#address-cells", 2).unwrap();
            let bus = fdt.begin_node("emmc2bus").unwrap();
            fdt.property_u32("#address-cells", 2).unwrap();
            fdt.property_u32("#size-cells", 1).unwrap();
            fdt.property_array_u32("dma-ranges", cells).unwrap();
            fdt.end_node(bus).unwrap();
        });
        let facts = TreeFacts::read(&blob).unwrap();
        assert_eq!((facts.emmc2_dma, facts.oddities.first()), (None, Some(&Oddity("emmc2bus/dma-ranges"))));
    }
    let blob = tree_with("emmc2bus", |_| ());
    let facts = TreeFacts::read(&blob).unwrap();
    assert_eq!((facts.emmc2_dma, facts.oddities.len()), (None, 0));
}

#[test]
fn bytes_behind_the_tree_do_not_matter() {
    let mut blob = pi4();
    let alone = blob.clone();
    blob.extend([0xff; 100]);
    assert_eq!(TreeFacts::read(&blob), TreeFacts::read(&alone));
}

#[test]
fn every_truncation_is_told() {
    let blob = pi4();
    for len in (0..blob.len()).step_by(if cfg!(miri) { 101 } else { 1 }) {
        let error = TreeFacts::read(&blob[..len]);
        let expected = if len < 8 { TreeError::NotATree } else { TreeError::Truncated { total_bytes: blob.len() } };
        assert_eq!(error, Err(expected));
    }
}

#[test]
fn a_size_that_lies_is_an_error() {
    let blob = pi4();
    for lie in [72_u32, 100, u32::try_from(blob.len()).unwrap() - 4] {
        let mut blob = blob.clone();
        blob[4..8].copy_from_slice(&lie.to_be_bytes());
        assert_eq!(TreeFacts::read(&blob), Err(TreeError::Damaged), "{lie}");
    }
}

#[test]
fn bad_magic_and_old_versions_are_told_apart() {
    let mut blob = pi4();
    blob[20..24].copy_from_slice(&16_u32.to_be_bytes());
    assert_eq!(TreeFacts::read(&blob), Err(TreeError::UnsupportedVersion(16)));
    blob[0] = 0;
    assert_eq!(TreeFacts::read(&blob), Err(TreeError::NotATree));
}

#[test]
fn a_name_against_the_rules_is_told_apart_from_damage() {
    let mut blob = pi4();
    let name = find(&blob, b"stdout-path\0");
    blob[name] = b' ';
    assert_eq!(TreeFacts::read(&blob), Err(TreeError::BadName));
}

#[test]
fn nop_tokens_in_place_of_a_property_hide_just_that_property() {
    let mut blob = pi4();
    // The way a loader deletes: the value, and the token, length and name before it, all become NOPs.
    let value = find(&blob, b"Raspberry Pi 4 Model B\0");
    let end = (value + b"Raspberry Pi 4 Model B\0".len()).next_multiple_of(4);
    for word in blob[value - 12..end].chunks_exact_mut(4) {
        word.copy_from_slice(&FDT_NOP.to_be_bytes());
    }
    let facts = TreeFacts::read(&blob).unwrap();
    assert_eq!(facts.model, None);
    let original = pi4();
    let whole = TreeFacts::read(&original).unwrap();
    assert_eq!(facts, TreeFacts { model: None, ..whole });
}

#[test]
fn several_memory_nodes_add_up() {
    let blob = tree(|fdt| {
        fdt.property_u32("#address-cells", 1).unwrap();
        fdt.property_u32("#size-cells", 1).unwrap();
        for (name, start) in [("memory@0", 0), ("memory@40000000", 0x4000_0000)] {
            let node = fdt.begin_node(name).unwrap();
            fdt.property_array_u32("reg", &[start, 0x1000_0000]).unwrap();
            fdt.end_node(node).unwrap();
        }
    });
    let facts = TreeFacts::read(&blob).unwrap();
    assert_eq!(facts.memory, [range(0, 0x1000_0000), range(0x4000_0000, 0x1000_0000)]);
}

#[test]
fn disabled_memory_is_not_used() {
    let blob = tree_with("memory@0", |fdt| {
        fdt.property_array_u32("reg", &[0, 0, 4096]).unwrap();
        fdt.property_string("status", "disabled").unwrap();
    });
    assert!(TreeFacts::read(&blob).unwrap().memory.is_empty());
}

#[test]
fn memory_that_makes_no_sense_is_an_error() {
    let bad = TreeError::BadProperty("memory/reg");
    let odd_length = tree_with("memory@0", |fdt| fdt.property_array_u32("reg", &[0, 0]).unwrap());
    assert_eq!(TreeFacts::read(&odd_length), Err(bad));
    let wraps = tree_with("memory@0", |fdt| fdt.property_array_u32("reg", &[!0, !0, 2]).unwrap());
    assert_eq!(TreeFacts::read(&wraps), Err(bad));
    let wide = tree(|fdt| {
        fdt.property_u32("#address-cells", 3).unwrap();
        let node = fdt.begin_node("memory@0").unwrap();
        fdt.property_array_u32("reg", &[0, 0, 0, 4096]).unwrap();
        fdt.end_node(node).unwrap();
    });
    assert_eq!(TreeFacts::read(&wide), Err(bad));
}

#[test]
fn absurd_cell_counts_are_an_error() {
    for cells in [0, u32::MAX] {
        let blob = tree(|fdt| {
            fdt.property_u32("#address-cells", cells).unwrap();
            fdt.property_u32("#size-cells", cells).unwrap();
            let node = fdt.begin_node("memory@0").unwrap();
            fdt.property_array_u32("reg", &[0, 4096]).unwrap();
            fdt.end_node(node).unwrap();
        });
        assert_eq!(TreeFacts::read(&blob), Err(TreeError::BadProperty("memory/reg")));
    }
}

#[test]
fn more_memory_ranges_than_fit_are_an_error() {
    let reg = [0, 0x1000, 0x1000].repeat(MAX_MEMORY_RANGES + 1);
    let blob = tree_with("memory@0", |fdt| fdt.property_array_u32("reg", &reg).unwrap());
    assert_eq!(TreeFacts::read(&blob), Err(TreeError::TooMany("memory/reg")));
}

#[test]
fn a_reversed_or_halved_initrd_is_odd() {
    for (start, end) in [(Some(0x2000), Some(0x1000)), (Some(0x1000), None), (None, Some(0x1000))] {
        let blob = tree_with("chosen", |fdt| {
            if let Some(start) = start {
                fdt.property_u32("linux,initrd-start", start).unwrap();
            }
            if let Some(end) = end {
                fdt.property_u32("linux,initrd-end", end).unwrap();
            }
        });
        let facts = TreeFacts::read(&blob).unwrap();
        assert_eq!((facts.initrd, &facts.oddities[..]), (None, &[Oddity("linux,initrd-start")][..]));
    }
}

#[test]
fn text_that_is_not_utf8_is_odd_and_left_out() {
    let blob = tree_with("chosen", |fdt| fdt.property("bootargs", b"quiet \xff\0").unwrap());
    let facts = TreeFacts::read(&blob).unwrap();
    assert_eq!((facts.command_line, &facts.oddities[..]), (None, &[Oddity("bootargs")][..]));
}

#[test]
fn wiped_seeds_are_zero_and_the_rest_is_as_before() {
    let mut blob = pi4();
    wipe_seeds(&mut blob);
    let original = pi4();
    let before = TreeFacts::read(&original).unwrap();
    let after = TreeFacts::read(&blob).unwrap();
    let expected = TreeFacts { rng_seed: Some(&[0; 32]), kaslr_seed: Some(0), ..before };
    assert_eq!(after, expected);
}

#[test]
fn a_very_deep_tree_does_not_exhaust_the_stack() {
    const DEPTH: usize = if cfg!(miri) { 20 } else { 100_000 };
    let mut blob = tree_with("a", |_| {});
    // Unroll "begin a, end" by hand: vm-fdt itself limits the depth.
    let begin = [&1_u32.to_be_bytes()[..], b"a\0\0\0"].concat();
    let place = find(&blob, &begin);
    let end = 2_u32.to_be_bytes();
    let deep = [begin.repeat(DEPTH), end.repeat(DEPTH)].concat();
    let grown = u32::try_from(deep.len() - 12).unwrap();
    blob.splice(place..place + 12, deep);
    // totalsize, off_dt_strings and size_dt_struct move by as much.
    for field in [4, 12, 36] {
        let old = u32::from_be_bytes(blob[field..field + 4].try_into().unwrap());
        blob[field..field + 4].copy_from_slice(&(old + grown).to_be_bytes());
    }
    assert_eq!(TreeFacts::read(&blob).map(|facts| facts.total_bytes), Ok(blob.len()));
}

fn doses() -> ProptestConfig {
    ProptestConfig { cases: if cfg!(miri) { 2 } else { 4000 }, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(doses())]

    #[test]
    fn no_damaged_tree_panics(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut blob = pi4();
        for (place, byte) in damage {
            let place = place.index(blob.len());
            blob[place] = byte;
        }
        let _ = TreeFacts::read(&blob);
        wipe_seeds(&mut blob);
    }

    /// Whole words of the kind that the format gives a meaning to do more harm than random bytes.
    #[test]
    fn no_tree_with_displaced_tokens_panics(
        damage in prop::collection::vec(
            (any::<prop::sample::Index>(), prop_oneof![0..10_u32, Just(u32::MAX), Just(0x8000_0000), 0..2048_u32]),
            1..6,
        ),
    ) {
        let mut blob = pi4();
        for (place, word) in damage {
            let place = place.index(blob.len() / 4) * 4;
            blob[place..place + 4].copy_from_slice(&word.to_be_bytes());
        }
        let _ = TreeFacts::read(&blob);
        wipe_seeds(&mut blob);
    }
}
