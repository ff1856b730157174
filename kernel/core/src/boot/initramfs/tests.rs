use proptest::prelude::*;
use std::vec::Vec;

use super::*;

fn entry(name: &[u8], mode: u32, data: &[u8]) -> Vec<u8> {
    entry_with_name_field(&[name, b"\0"].concat(), mode, data)
}

fn entry_with_name_field(name: &[u8], mode: u32, data: &[u8]) -> Vec<u8> {
    let [data_bytes, name_bytes] = [data.len(), name.len()].map(|len| u32::try_from(len).unwrap());
    let numbers = [7, mode, 1, 2, 3, 0x6000_0000, data_bytes, 8, 9, 10, 11, name_bytes, 0];
    let mut bytes = b"070701".to_vec();
    for number in numbers {
        bytes.extend(std::format!("{number:08X}").bytes());
    }
    bytes.extend(name);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes.extend(data);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn archive(entries: &[Vec<u8>]) -> Vec<u8> {
    [entries.concat(), entry(TRAILER, 0, b"")].concat()
}

fn sample() -> Vec<u8> {
    archive(&[
        entry(b"bin", 0o40755, b""),
        entry(b"bin/sh", 0o100_755, b"\x7fELF!"),
        entry(b"init", 0o120_777, b"bin/sh"),
    ])
}

/// A name and its data.
type NamedData = (Vec<u8>, Vec<u8>);

fn read(bytes: &[u8]) -> Result<Vec<NamedData>, ArchiveError> {
    entries(bytes).map(|entry| entry.map(|e| (e.name.to_vec(), bytes[e.data].to_vec()))).collect()
}

#[test]
fn every_field_of_an_entry_is_read() {
    let bytes = archive(&[entry(b"dev/console", 0o20600, b"")]);
    let found = entries(&bytes).next().unwrap().unwrap();
    let data = found.data.clone();
    assert_eq!(
        found,
        Entry {
            name: b"dev/console",
            inode: 7,
            device: (8, 9),
            mode: 0o20600,
            uid: 1,
            gid: 2,
            links: 3,
            mtime_s: 0x6000_0000,
            node: (10, 11),
            data,
        }
    );
}

#[test]
fn names_and_data_come_in_order_without_the_trailer() {
    let found = read(&sample()).unwrap();
    let names: Vec<_> = found.iter().map(|(name, _)| name.as_slice()).collect();
    assert_eq!(names, [&b"bin"[..], b"bin/sh", b"init"]);
    assert_eq!(found[1].1, b"\x7fELF!");
    assert_eq!(found[2].1, b"bin/sh");
}

#[test]
fn archives_may_follow_one_another_with_padding() {
    let mut bytes = sample();
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes.extend(archive(&[entry(b"etc", 0o40755, b"")]));
    bytes.extend([0; 37]);
    assert_eq!(read(&bytes).unwrap().len(), 4);
}

#[test]
fn no_archive_at_all_is_an_empty_file_system() {
    assert_eq!(read(&[]), Ok(Vec::new()));
    assert_eq!(read(&[0; 64]), Ok(Vec::new()));
}

#[test]
fn a_name_padded_with_nuls_puts_the_data_at_a_page_border() {
    let mut name = b"bin/sh".to_vec();
    name.resize(4096 - Header::BYTES, 0);
    let bytes = archive(&[entry_with_name_field(&name, 0o100_755, b"data")]);
    let found = entries(&bytes).next().unwrap().unwrap();
    assert_eq!((found.name, found.data), (&b"bin/sh"[..], 4096..4100));
}

#[test]
fn every_torn_archive_is_an_error() {
    let bytes = sample();
    for len in (1..bytes.len() - 3).step_by(if cfg!(miri) { 41 } else { 1 }) {
        let torn = read(&bytes[..len]);
        assert!(torn.is_err(), "{len} bytes: {torn:?}");
    }
}

#[test]
fn a_missing_trailer_is_an_error_that_says_so() {
    let bytes = entry(b"init", 0o100_755, b"abcd");
    assert_eq!(read(&bytes), Err(ArchiveError::MissingTrailer(bytes.len())));
}

#[test]
fn foreign_formats_are_named() {
    assert_eq!(read(b"\x1f\x8b\x08\0\0\0\0\0"), Err(ArchiveError::UnsupportedFormat(0)));
    assert_eq!(read(b"070707000000"), Err(ArchiveError::UnsupportedFormat(0)));
    assert_eq!(read(b"hello, world"), Err(ArchiveError::BadMagic(0)));
}

#[test]
fn bad_numbers_and_names_are_errors() {
    let mut bytes = sample();
    bytes[6] = b'+';
    assert_eq!(read(&bytes), Err(ArchiveError::BadNumber(0)));
    let nameless = archive(&[entry(b"", 0, b"")]);
    assert_eq!(read(&nameless), Err(ArchiveError::BadName(0)));
    let unterminated = archive(&[entry_with_name_field(b"init", 0, b"")]);
    assert_eq!(read(&unterminated), Err(ArchiveError::BadName(0)));
    let endless = archive(&[entry(&[b'a'; MAX_NAME + 1], 0, b"")]);
    assert_eq!(read(&endless), Err(ArchiveError::BadName(0)));
}

#[test]
fn a_size_beyond_the_archive_is_an_error() {
    let mut bytes = sample();
    bytes[6 + 6 * 8..6 + 7 * 8].copy_from_slice(b"FFFFFFFF");
    assert_eq!(read(&bytes), Err(ArchiveError::Truncated(0)));
}

#[test]
fn after_an_error_the_iterator_ends() {
    let mut walk = entries(b"junk!!");
    assert!(walk.next().unwrap().is_err());
    assert!(walk.next().is_none() && walk.next().is_none());
}

fn doses() -> ProptestConfig {
    ProptestConfig { cases: if cfg!(miri) { 8 } else { 2000 }, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(doses())]

    #[test]
    fn no_damaged_archive_panics_or_points_outside(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        len in any::<prop::sample::Index>(),
    ) {
        let mut bytes = [sample(), sample()].concat();
        for (place, byte) in damage {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        let bytes = &bytes[..len.index(bytes.len() + 1)];
        for entry in entries(bytes).flatten() {
            prop_assert!(bytes.get(entry.data).is_some());
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "compiling the pattern takes Miri minutes")]
    fn what_was_archived_is_found(
        files in prop::collection::vec(("[a-z/]{1,40}", prop::collection::vec(any::<u8>(), 0..40)), 0..6),
    ) {
        let bytes = archive(&files.iter().map(|(name, data)| entry(name.as_bytes(), 0o100_644, data)).collect::<Vec<_>>());
        let expected: Vec<_> = files.into_iter().map(|(name, data)| (name.into_bytes(), data)).collect();
        prop_assert_eq!(read(&bytes), Ok(expected));
    }
}
