use proptest::prelude::*;
use std::vec::Vec;

use crate::fs::block::partition::{MAX_PARTITIONS, Partition, Problem, Table, TableKind, find};
use crate::fs::block::{BLOCK_SIZE, DiskError};
use crate::fs::tests::support::doses;

/// A disk that counts what is read.
struct Disk {
    blocks: Vec<[u8; BLOCK_SIZE]>,
    reads: usize,
    broken: Option<u64>,
}

impl Disk {
    fn new(blocks: usize) -> Self {
        Self { blocks: std::vec![[0; BLOCK_SIZE]; blocks], reads: 0, broken: None }
    }

    fn table(&mut self) -> Table {
        let (blocks, reads, broken) = (&self.blocks, &mut self.reads, self.broken);
        find(blocks.len() as u64, &mut |block, into| {
            *reads += 1;
            assert!(block < blocks.len() as u64, "what is not on the disk is not asked for");
            if Some(block) == broken {
                return Err(DiskError::Failed);
            }
            *into = blocks[usize::try_from(block).unwrap()];
            Ok(())
        })
    }

    fn found(&mut self) -> (TableKind, Vec<(u32, u64, u64)>, Vec<Problem>) {
        let table = self.table();
        let all = table.partitions.iter().map(|part| (part.number, part.first, part.blocks)).collect();
        (table.kind, all, table.problems.to_vec())
    }

    fn put(&mut self, block: usize, offset: usize, bytes: &[u8]) {
        self.blocks[block][offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    /// Entry `index` of the record in `block`, and its signature.
    fn entry(&mut self, block: usize, index: usize, kind: u8, first: u32, blocks: u32) {
        let offset = 446 + 16 * index;
        self.put(block, offset, &[0, 0, 0, 0, kind, 0, 0, 0]);
        self.put(block, offset + 8, &first.to_le_bytes());
        self.put(block, offset + 12, &blocks.to_le_bytes());
        self.put(block, 510, &[0x55, 0xaa]);
    }

    /// A GUID partition table of `entries`, first and last block, at both ends.
    fn guid_table(&mut self, entries: &[(u64, u64)]) {
        let last = self.blocks.len() - 1;
        self.entry(0, 0, 0xee, 1, u32::MAX);
        for first in [2, last - 32] {
            for (index, entry) in entries.iter().enumerate() {
                let (block, offset) = (first + index / 4, index % 4 * 128);
                self.put(block, offset, &[7; 16]);
                self.put(block, offset + 32, &entry.0.to_le_bytes());
                self.put(block, offset + 40, &entry.1.to_le_bytes());
            }
        }
        self.header(1, 2);
        self.header(last, last - 32);
    }

    fn header(&mut self, place: usize, entries: usize) {
        let last = self.blocks.len() - 1;
        let bytes: Vec<u8> = self.blocks[entries..entries + 32].iter().flatten().copied().collect();
        self.put(place, 0, b"EFI PART");
        self.put(place, 12, &92_u32.to_le_bytes());
        self.put(place, 16, &[0; 4]);
        self.put(place, 24, &(place as u64).to_le_bytes());
        self.put(place, 40, &34_u64.to_le_bytes());
        self.put(place, 48, &(last as u64 - 33).to_le_bytes());
        self.put(place, 72, &(entries as u64).to_le_bytes());
        self.put(place, 80, &128_u32.to_le_bytes());
        self.put(place, 84, &128_u32.to_le_bytes());
        self.put(place, 88, &crc(&bytes).to_le_bytes());
        let sum = crc(&self.blocks[place][..92]);
        self.put(place, 16, &sum.to_le_bytes());
    }
}

/// By definition: the remainder of a division of polynomials, bits reversed.
fn crc(bytes: &[u8]) -> u32 {
    let mut bits: Vec<bool> = bytes.iter().flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1 == 1)).collect();
    bits.iter_mut().take(32).for_each(|bit| *bit = !*bit);
    bits.extend([false; 32]);
    let mut rest = 0_u32;
    for bit in bits {
        let high = rest >> 31 == 1;
        rest = rest << 1 | u32::from(bit);
        if high {
            rest ^= 0x04c1_1db7;
        }
    }
    !rest.reverse_bits()
}

#[test]
fn an_empty_disk_and_one_that_is_all_file_system_have_no_table() {
    let mut disk = Disk::new(16);
    assert_eq!(disk.found(), (TableKind::None, Vec::new(), Vec::new()));
    // A FAT boot sector has code where the entries would be.
    disk.entry(0, 0, 0x0c, 1, 4);
    disk.put(0, 446 + 16, b"ABCD");
    assert_eq!(disk.found(), (TableKind::None, Vec::new(), Vec::new()));
    assert_eq!(Disk::new(0).found().2, [Problem::Unreadable(0)]);
}

#[test]
fn the_primary_partitions_keep_the_numbers_of_their_entries() {
    let mut disk = Disk::new(1000);
    disk.entry(0, 0, 0x0c, 8, 100);
    disk.entry(0, 2, 0x83, 200, 800);
    assert_eq!(disk.found(), (TableKind::Mbr, std::vec![(1, 8, 100), (3, 200, 800)], Vec::new()));
}

#[test]
fn logical_partitions_are_numbered_from_five() {
    let mut disk = Disk::new(1000);
    disk.entry(0, 0, 0x83, 1, 99);
    disk.entry(0, 1, 0x0f, 100, 900);
    disk.entry(100, 0, 0x83, 1, 49);
    disk.entry(100, 1, 0x05, 50, 100);
    disk.entry(150, 0, 0x83, 2, 48);
    let expected = std::vec![(1, 1, 99), (5, 101, 49), (6, 152, 48)];
    assert_eq!(disk.found(), (TableKind::Mbr, expected, Vec::new()));
}

#[test]
fn what_is_not_on_the_disk_or_is_there_twice_is_left_out_and_said() {
    let mut disk = Disk::new(1000);
    disk.entry(0, 0, 0x83, 100, 100);
    disk.entry(0, 1, 0x83, 199, 10);
    disk.entry(0, 2, 0x83, 990, 11);
    disk.entry(0, 3, 0x83, u32::MAX, u32::MAX);
    let problems = std::vec![Problem::Overlap(2), Problem::BeyondEnd(3), Problem::BeyondEnd(4)];
    assert_eq!(disk.found(), (TableKind::Mbr, std::vec![(1, 100, 100)], problems));
}

#[test]
fn a_chain_that_bites_its_tail_or_leads_nowhere_ends() {
    let mut disk = Disk::new(1000);
    disk.entry(0, 0, 0x05, 100, 900);
    disk.entry(100, 1, 0x05, 50, 100);
    disk.entry(150, 1, 0x05, 0, 100);
    assert_eq!(disk.found().2, [Problem::BadChain(100)]);
    assert_eq!(disk.reads, 3);
    disk.entry(150, 1, 0x05, 5000, 100);
    assert_eq!(disk.found().2, [Problem::Unreadable(5100)]);
    disk.entry(150, 1, 0x05, 60, 100);
    assert_eq!(disk.found().2, [Problem::BadChain(160)]);
    disk.broken = Some(100);
    assert_eq!(disk.found().2, [Problem::Unreadable(100)]);
}

#[test]
fn more_partitions_than_can_be_shown_are_said() {
    let mut disk = Disk::new(1000);
    disk.entry(0, 0, 0x05, 1, 999);
    for link in 1..=100 {
        disk.entry(link * 4, 0, 0x83, 1, 1);
        disk.entry(link * 4, 1, 0x05, u32::try_from(link * 4 + 4 - 1).unwrap(), 4);
    }
    disk.entry(1, 1, 0x05, 3, 4);
    let (_, all, problems) = disk.found();
    assert_eq!((all.len(), all.last().unwrap().0), (MAX_PARTITIONS - 4, 31));
    assert_eq!(problems.first(), Some(&Problem::TooMany));
    assert!(disk.reads < 100);
}

#[test]
fn a_guid_partition_table_is_read_from_its_first_block() {
    let mut disk = Disk::new(200);
    disk.guid_table(&[(34, 99), (100, 100), (0, 0), (120, 166)]);
    disk.put(2, 256, &[0; 16]);
    disk.header(1, 2);
    let expected = std::vec![(1, 34, 66), (2, 100, 1), (4, 120, 47)];
    assert_eq!(disk.found(), (TableKind::Gpt, expected, Vec::new()));
}

#[test]
fn a_damaged_header_or_entry_leaves_the_copy_at_the_end() {
    let good = std::vec![(1, 34, 66)];
    for (block, offset, problem) in [
        (1, 0, Problem::BadHeader(1)),
        (1, 20, Problem::BadHeader(1)),
        (1, 45, Problem::BadHeader(1)),
        (2, 60, Problem::BadEntries(1)),
        (33, 511, Problem::BadEntries(1)),
    ] {
        let mut disk = Disk::new(200);
        disk.guid_table(&[(34, 99)]);
        disk.blocks[block][offset] ^= 4;
        assert_eq!(disk.found(), (TableKind::Gpt, good.clone(), std::vec![problem]), "{block}, {offset}");
        disk.blocks[199][16] ^= 1;
        let (kind, all, problems) = disk.found();
        assert_eq!(
            (kind, all, problems.as_slice()),
            (TableKind::Gpt, Vec::new(), &[problem, Problem::BadHeader(199)][..])
        );
    }
}

#[test]
fn guid_partitions_outside_the_usable_blocks_are_left_out() {
    let mut disk = Disk::new(200);
    disk.guid_table(&[(33, 40), (160, 167), (99, 50), (u64::MAX, u64::MAX), (50, 60), (0, u64::MAX)]);
    let (kind, all, problems) = disk.found();
    assert_eq!((kind, all), (TableKind::Gpt, std::vec![(5, 50, 11)]));
    assert_eq!(problems, [1, 2, 3, 4, 6].map(Problem::BeyondEnd));
}

#[test]
fn the_crc_is_that_of_the_standard() {
    // The check value of CRC-32/ISO-HDLC.
    assert_eq!(crc(b"123456789"), 0xcbf4_3926);
}

proptest! {
    #![proptest_config(doses(4, 400))]

    /// Whatever is on a disk: partitions lie on it and apart from each other, and not much is read.
    #[test]
    fn no_table_makes_partitions_that_are_not_there(
        kinds in prop::collection::vec(prop::sample::select(&[0_u8, 5, 0x0f, 0x83, 0xee]), 40),
        numbers in prop::collection::vec(0_u32..130, 80),
        entries in prop::collection::vec((0_u64..120, 0_u64..120), 0..20),
        damage in prop::collection::vec((0_usize..120, 0_usize..BLOCK_SIZE, any::<u8>()), 0..6),
        is_guid in any::<bool>(),
        blocks in 70_usize..120,
    ) {
        let mut disk = Disk::new(blocks);
        if is_guid {
            disk.guid_table(&entries);
        } else {
            for (index, kind) in kinds.iter().enumerate() {
                disk.entry(index / 4 * 3, index % 4, *kind, numbers[index * 2], numbers[index * 2 + 1]);
            }
        }
        for (block, offset, value) in damage {
            disk.put(block % blocks, offset, &[value]);
        }
        let table = disk.table();
        prop_assert!(disk.reads <= 300);
        for (index, one) in table.partitions.iter().enumerate() {
            prop_assert!(one.blocks > 0 && one.first + one.blocks <= blocks as u64);
            let apart = |other: &Partition| one.first + one.blocks <= other.first || other.first + other.blocks <= one.first;
            prop_assert!(table.partitions[..index].iter().all(apart));
            prop_assert!(table.partitions[..index].iter().all(|other| other.number < one.number));
        }
    }

    /// Noise.
    #[test]
    fn noise_is_no_table_or_one_with_partitions_on_the_disk(
        mut record in prop::collection::vec(any::<u8>(), BLOCK_SIZE),
        status in prop::sample::select(&[0_u8, 0x80]),
    ) {
        for entry in 0..4 {
            record[446 + 16 * entry] = status;
        }
        record[510..].copy_from_slice(&[0x55, 0xaa]);
        let mut disk = Disk::new(64);
        disk.put(0, 0, &record);
        disk.put(1, 0, &record);
        let table = disk.table();
        prop_assert!(table.partitions.iter().all(|part| part.first + part.blocks <= 64));
    }
}
