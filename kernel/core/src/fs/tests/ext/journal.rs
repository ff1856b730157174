//! File systems whose newest contents are in their journals: what debugfs wrote there, and what is written here.

use super::*;
use crate::fs::ext::Part;

const OLD: Packed = Packed { name: "ext3-journal", kind: Kind::Ext3, bytes: include_bytes!("ext3-journal.gz") };
/// With numbers of 64 bits, and one checksum for all of a transaction.
const LONG: Packed = Packed { name: "ext4-journal", kind: Kind::Ext4, bytes: include_bytes!("ext4-journal.gz") };
/// With half a checksum for each block.
const HALF: Packed = Packed { name: "ext4-journal-2", kind: Kind::Ext4, bytes: include_bytes!("ext4-journal-2.gz") };
/// With a whole one.
const WHOLE: Packed = Packed { name: "ext4-journal-3", kind: Kind::Ext4, bytes: include_bytes!("ext4-journal-3.gz") };

const BLOCK: usize = 1024;
const JOURNAL: usize = 8;
const MAGIC: u32 = 0xc03b_3998;
const DESCRIPTOR: u32 = 1;
const COMMIT: u32 = 2;
const REVOCATIONS: u32 = 5;
const WRONG: Problem = Problem::Checksum(Part::Journal);

fn read(mounted: &Mounted, path: &str) -> Result<Vec<u8>, FileError> {
    contents(&find(&mounted.root, path)?)
}

fn big(image: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(image[at..at + 4].try_into().unwrap())
}

fn put_big(image: &mut [u8], at: usize, value: u32) {
    image[at..at + 4].copy_from_slice(&value.to_be_bytes());
}

/// Where the first blocks of the journal are: extents, or numbers.
fn log(image: &[u8]) -> Vec<usize> {
    let map = inode_at(image, JOURNAL) + 0x28;
    if half(image, map) == 0xf30a {
        assert_eq!(half(image, map + 6), 0, "all extents are in the inode");
        let extents = image[map + 12..].chunks(12).take(half(image, map + 2));
        return extents
            .flat_map(|extent| (0..half(extent, 4)).map(|index| (word(extent, 8) + index) * BLOCK))
            .collect();
    }
    let further = word(image, map + 12 * 4) * BLOCK;
    let numbers = (0..12).map(|index| map + index * 4).chain((0..188).map(|index| further + index * 4));
    numbers.map(|at| word(image, at) * BLOCK).collect()
}

/// Where the blocks of this kind are in the journal.
fn blocks_of(image: &[u8], kind: u32) -> Vec<usize> {
    log(image).into_iter().skip(1).filter(|&at| big(image, at) == MAGIC && big(image, at + 4) == kind).collect()
}

fn crc32c(register: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(register, |register, byte| {
        (0..8).fold(register ^ u32::from(*byte), |register, _| (register >> 1) ^ ((register & 1) * 0x82f6_3b78))
    })
}

/// Puts the right checksum at `at` into a block.
fn sum(image: &mut [u8], block: usize, at: usize) {
    let seed = crc32c(u32::MAX, &image[log(image)[0] + 0x30..][..16]);
    put_big(image, block + at, 0);
    let sum = crc32c(seed, &image[block..block + BLOCK]);
    put_big(image, block + at, sum);
}

/// The same for the journal's superblock.
fn sum_superblock(image: &mut [u8]) {
    let at = log(image)[0];
    put_big(image, at + 0xfc, 0);
    let sum = crc32c(u32::MAX, &image[at..at + BLOCK]);
    put_big(image, at + 0xfc, sum);
}

/// What comes of mounting an image that was changed.
fn changed(packed: &Packed, change: impl FnOnce(&mut Vec<u8>)) -> (Result<Mounted, FileError>, Vec<Problem>) {
    let mut image = packed.image();
    change(&mut image);
    mount_told(image, packed.reading())
}

/// What is there after this many of the transactions with blocks.
fn check(mounted: &Mounted, transactions: usize, name: &str) {
    let is_first = transactions > 0;
    let hello: &[u8] = if transactions > 1 { b"hello, world\n" } else { b"hello\n" };
    let there = |is: bool, bytes: &[u8]| if is { Ok(bytes.to_vec()) } else { Err(FileError::NotFound) };
    assert_eq!(read(mounted, "numbers"), Ok(lines(4000)), "{name}");
    assert_eq!(read(mounted, "hello"), Ok(hello.to_vec()), "{name}");
    assert_eq!(read(mounted, "gone"), there(!is_first, b"gone\n"), "{name}");
    assert_eq!(read(mounted, "late"), there(is_first, &lines(1500)), "{name}");
    assert_eq!(read(mounted, "escaped"), there(is_first, b"\xc0\x3b\x39\x98magic"), "{name}");
    assert_eq!(read(mounted, "again"), there(transactions > 1, b"\xc0\x3b\x39\x98magic"), "{name}");
    let names = names(&mounted.root).unwrap();
    assert_eq!(names.iter().any(|(name, ..)| name == "again"), transactions > 1);
}

#[test]
fn what_is_in_the_journal_only_is_read_and_without_it_what_was_before() {
    for packed in [OLD, LONG, HALF, WHOLE] {
        let (mounted, told) = mount_told(packed.image(), packed.reading());
        let mounted = mounted.unwrap();
        check(&mounted, 2, packed.name);
        let [Problem::InJournal(blocks)] = told[..] else { panic!("{told:?}") };
        assert!((15..40).contains(&blocks), "{blocks}");
        // The superblock is in the journal, too.
        let (before, told) = mount_told(packed.image(), Reading { without_journal: true, ..packed.reading() });
        let before = before.unwrap();
        check(&before, 0, packed.name);
        assert_eq!(told, [Problem::WithoutJournal]);
        let free = |mounted: &Mounted| mounted.root.file_system().free_blocks;
        assert!(free(&mounted) < free(&before));
    }
}

#[test]
fn parts_of_a_block_and_many_at_once_come_from_the_journal() {
    let mounted = WHOLE.mount();
    let expected = lines(1500);
    let open = find(&mounted.root, "late").unwrap().open(OpenFlags::empty()).unwrap();
    for (at, count) in [(0, 1), (1, 3), (1023, 2), (1000, 3000), (2048, 1024), (5000, 5000), (3, 4000)] {
        let mut bytes = std::vec![0xa5; count];
        let count = open.read(at as u64, Blocking::Yes, &mut BufferSink::new(&mut bytes)).unwrap();
        assert_eq!(bytes[..count], expected[at..expected.len().min(at + count)], "{at}");
        assert!(count > 0);
    }
    let open = find(&mounted.root, "escaped").unwrap().open(OpenFlags::empty()).unwrap();
    for at in 0..9 {
        let mut bytes = [0; 2];
        let count = open.read(at, Blocking::Yes, &mut BufferSink::new(&mut bytes)).unwrap();
        let at = usize::try_from(at).unwrap();
        assert_eq!(bytes[..count], b"\xc0\x3b\x39\x98magic"[at..9.min(at + 2)]);
    }
}

#[test]
fn a_transaction_without_its_commit_did_not_happen() {
    for packed in [OLD, LONG, HALF, WHOLE] {
        let commits = blocks_of(&packed.image(), COMMIT);
        let (last, first) = (*commits.last().unwrap(), commits[0]);
        let (mounted, told) = changed(&packed, |image| image[last..last + BLOCK].fill(0));
        check(&mounted.unwrap(), 1, packed.name);
        assert!(matches!(told[..], [Problem::InJournal(_)]), "{told:?}");
        let (mounted, told) = changed(&packed, |image| image[first..first + BLOCK].fill(0));
        check(&mounted.unwrap(), 0, packed.name);
        assert!(told.is_empty(), "{told:?}");
        // Nor one whose number is not the next, which is left from an earlier round.
        let (mounted, _) = changed(&packed, |image| image[first + 11] ^= 0x40);
        check(&mounted.unwrap(), 0, packed.name);
    }
}

#[test]
fn an_empty_journal_needs_nothing() {
    let (mounted, told) = changed(&OLD, |image| {
        let at = log(image)[0];
        put_big(image, at + 0x1c, 0);
    });
    check(&mounted.unwrap(), 0, OLD.name);
    assert!(told.is_empty());
}

#[test]
fn what_is_revoked_is_not_brought_back() {
    let [at] = blocks_of(&OLD.image(), REVOCATIONS)[..] else { panic!() };
    // Without its number, `numbers` has what it had been before it was written again.
    let (mounted, _) = changed(&OLD, |image| put_big(image, at + 12, 16));
    let numbers = read(&mounted.unwrap(), "numbers").unwrap();
    assert_eq!(numbers.iter().filter(|&&byte| byte == b'x').count(), BLOCK);
    // What comes later than what revokes it counts: the first block is of the directory that is in both.
    let (mounted, _) = changed(&OLD, |image| {
        let last = *blocks_of(image, DESCRIPTOR).last().unwrap();
        let number = big(image, last + 12);
        put_big(image, at + 12, 24);
        put_big(image, at + 20, number);
    });
    check(&mounted.unwrap(), 2, OLD.name);
}

#[test]
fn what_is_revoked_with_checksums_and_long_numbers_is_not_brought_back() {
    // The second transaction becomes one that revokes all of the first.
    for packed in [HALF, WHOLE] {
        let build = |image: &mut Vec<u8>| {
            let [first, second] = blocks_of(image, DESCRIPTOR)[..] else { panic!() };
            let commit = blocks_of(image, COMMIT)[1];
            let tag = if packed.name == HALF.name { 14 } else { 16 };
            let count = 14;
            let numbers: Vec<_> =
                (0..count).map(|n| big(image, first + 12 + n * tag + if n > 0 { 16 } else { 0 })).collect();
            image.copy_within(commit..commit + BLOCK, second + BLOCK);
            image[second + 12..second + BLOCK].fill(0);
            put_big(image, second + 4, REVOCATIONS);
            put_big(image, second + 12, 16 + 8 * 14);
            for (index, number) in numbers.into_iter().enumerate() {
                put_big(image, second + 16 + index * 8 + 4, number);
            }
            sum(image, second, BLOCK - 4);
            second
        };
        let mut at = 0;
        let (mounted, told) = changed(&packed, |image| at = build(image));
        check(&mounted.unwrap(), 0, packed.name);
        assert!(told.len() <= 1 && told.iter().all(|problem| matches!(problem, Problem::InJournal(1..4))), "{told:?}");
        let (refused, told) = changed(&packed, |image| {
            build(image);
            image[at + 20] ^= 1;
        });
        assert_eq!(refused.err(), Some(FileError::Checksum));
        assert_eq!(told, [WRONG, Problem::NeedsJournal]);
    }
}

#[test]
fn a_journal_that_goes_round_is_followed() {
    for start in [2_usize, 20, 39, 40] {
        let (mounted, told) = changed(&OLD, |image| {
            let log = log(image);
            let count = 40;
            let old: Vec<_> = (1..=count).map(|index| image[log[index]..log[index] + BLOCK].to_vec()).collect();
            for (index, block) in old.iter().enumerate() {
                let at = log[1 + (start - 1 + index) % count];
                image[at..at + BLOCK].copy_from_slice(block);
            }
            put_big(image, log[0] + 0x10, u32::try_from(count + 1).unwrap());
            put_big(image, log[0] + 0x1c, u32::try_from(start).unwrap());
        });
        check(&mounted.unwrap(), 2, "round");
        assert!(matches!(told[..], [Problem::InJournal(_)]), "{told:?}");
    }
}

#[test]
fn what_is_not_what_its_checksum_says_is_not_read_along() {
    for packed in [HALF, WHOLE] {
        let image = packed.image();
        let (descriptor, commit) = (blocks_of(&image, DESCRIPTOR), blocks_of(&image, COMMIT));
        let superblock = log(&image)[0];
        // The superblock, tags, and a block that is in the last transaction only.
        for at in [superblock + 0x90, descriptor[0] + 40, descriptor[1] + 40, descriptor[1] + BLOCK + 100] {
            let (refused, told) = changed(&packed, |image| image[at] ^= 1);
            assert_eq!(refused.err(), Some(FileError::Checksum), "{at:#x}");
            assert_eq!(told, [WRONG, Problem::NeedsJournal]);
            let mut image = packed.image();
            image[at] ^= 1;
            let (mounted, _) = mount_told(image, Reading { without_journal: true, ..packed.reading() });
            check(&mounted.unwrap(), 0, packed.name);
        }
        // A commit: its transaction did not happen, and that is told.
        for (index, commit) in commit.into_iter().enumerate() {
            let (mounted, told) = changed(&packed, |image| image[commit + 100] ^= 1);
            check(&mounted.unwrap(), index, packed.name);
            assert_eq!(told[0], WRONG);
            assert_eq!(told.len(), 1 + index);
        }
    }
}

#[test]
fn what_is_left_from_an_earlier_round_is_no_damage() {
    // The first commit is younger than the second.
    let (mounted, told) = changed(&WHOLE, |image| {
        let commits = blocks_of(image, COMMIT);
        put_big(image, commits[0] + 0x30, 0x7fff_ffff);
        sum(image, commits[0], 0x10);
        let descriptor = blocks_of(image, DESCRIPTOR)[1];
        image[descriptor + 40] ^= 1;
    });
    check(&mounted.unwrap(), 1, WHOLE.name);
    assert!(matches!(told[..], [Problem::InJournal(_)]), "{told:?}");
}

#[test]
fn a_journal_that_makes_no_sense_is_refused() {
    let damaged = |what| (FileError::Damaged, std::vec![Problem::Damaged(Part::Journal, what), Problem::NeedsJournal]);
    let not_known = |what| (FileError::Invalid, std::vec![Problem::Journal(what), Problem::NeedsJournal]);
    let image = OLD.image();
    let superblock = log(&image)[0];
    let (revocations, descriptor) = (blocks_of(&image, REVOCATIONS)[0], blocks_of(&image, DESCRIPTOR)[0]);
    let makes_none = damaged("its superblock makes no sense");
    let cases = [
        (1024 + 0xe0, 0, not_known("is on another device")),
        (superblock, 7, damaged("it has no superblock")),
        (superblock + 4, 1, damaged("it has no superblock")),
        // As with `fast_commit`.
        (superblock + 0x28, 0x20, not_known("has features that are not known here")),
        (superblock + 0xc, 4096, makes_none.clone()),
        (superblock + 0x10, 1025, makes_none.clone()),
        (superblock + 0x14, 0, makes_none.clone()),
        (superblock + 0x1c, 1024, makes_none),
        (revocations + 12, 1025, damaged("it revokes more than a block has room for")),
        (descriptor + 12, 3 * 1024, damaged("it has blocks that are not on the device")),
    ];
    for (at, value, (error, problems)) in cases {
        let (refused, told) = changed(&OLD, |image| put_big(image, at, value));
        assert_eq!((refused.err(), told), (Some(error), problems), "{at:#x}");
    }
    // Another kind of checksum than the one that there is.
    let (refused, _) = changed(&WHOLE, |image| {
        let at = log(image)[0];
        image[at + 0x50] = 1;
        sum_superblock(image);
    });
    assert_eq!(refused.err(), Some(FileError::Checksum));
    // No such inode; and one that is no journal.
    let (refused, told) = changed(&OLD, |image| put(image, 1024 + 0xe0, 65));
    assert_eq!(refused.err(), Some(FileError::Damaged));
    assert_eq!(told[1..], [Problem::NeedsJournal]);
    let (refused, _) = changed(&OLD, |image| put(image, 1024 + 0xe0, 13));
    assert_eq!(refused.err(), Some(FileError::Damaged));
}

#[test]
fn a_journal_of_descriptors_only_ends() {
    let (mounted, told) = changed(&OLD, |image| {
        let log = log(image);
        let descriptor = image[log[1]..log[1] + BLOCK].to_vec();
        put_big(image, log[0] + 0x10, 100);
        for &at in &log[1..100] {
            image[at..at + BLOCK].copy_from_slice(&descriptor);
            // Its first tag is its last.
            put_big(image, at + 16, 8);
        }
    });
    check(&mounted.unwrap(), 0, "descriptors");
    assert!(told.is_empty());
}
