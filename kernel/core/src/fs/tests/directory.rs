use std::collections::BTreeSet;
use std::format;
use std::string::String;
use std::vec::Vec;

use proptest::prelude::*;

use super::support::{Item, TornSink, directory, fault_at, file, open_as_root, symlink, tree};
use crate::fs::{BufferSink, FileError, OpenFile, OpenFlags, Whence};

/// Number, cookie, type and name of each record.
fn decode(mut bytes: &[u8]) -> Vec<(u64, u64, u8, String)> {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let size = usize::from(u16::from_le_bytes(bytes[16..18].try_into().unwrap()));
        assert!(size.is_multiple_of(8) && size > 19);
        let (record, rest) = bytes.split_at(size);
        let name = &record[19..];
        let end = name.iter().position(|&byte| byte == 0).unwrap();
        assert!(name[end..].iter().all(|&byte| byte == 0) && name.len() - end <= 8);
        let number = |at: usize| u64::from_le_bytes(record[at..at + 8].try_into().unwrap());
        records.push((number(0), number(8), record[18], String::from_utf8(name[..end].to_vec()).unwrap()));
        bytes = rest;
    }
    records
}

fn read(file: &OpenFile, room: usize) -> Result<Vec<u8>, FileError> {
    let mut buffer = std::vec![0xff; room];
    let count = file.read_directory(&mut BufferSink::new(&mut buffer))?;
    buffer.truncate(count);
    Ok(buffer)
}

fn sample() -> (crate::fs::Context, OpenFlags) {
    let context =
        tree(&[directory("d"), file("d/file", b""), directory("d/sub"), symlink("d/link", "x"), file("f", b"")]);
    (context, OpenFlags::DIRECTORY)
}

#[test]
fn entries_say_number_kind_and_name() {
    let (context, flags) = sample();
    let open = open_as_root(&context, "d", flags).unwrap();
    let records = decode(&read(&open, 4096).unwrap());
    let mut names: Vec<_> = records.iter().map(|(_, _, kind, name)| (name.as_str(), *kind)).collect();
    assert_eq!(names[..2], [(".", 4), ("..", 4)]);
    names.sort_unstable();
    assert_eq!(names, [(".", 4), ("..", 4), ("file", 8), ("link", 10), ("sub", 4)]);
    let number = |path: &str| super::support::find(&context, path).unwrap().id().inode;
    let of = |wanted: &str| records.iter().find(|(_, _, _, name)| name == wanted).unwrap().0;
    assert_eq!((of("."), of(".."), of("sub")), (number("d"), number("/"), number("d/sub")));
    assert_eq!(read(&open, 4096), Ok(Vec::new()));
}

#[test]
fn a_buffer_too_small_for_one_entry_is_invalid() {
    let (context, flags) = sample();
    let open = open_as_root(&context, "d", flags).unwrap();
    assert_eq!(read(&open, 23), Err(FileError::Invalid));
    assert_eq!(decode(&read(&open, 24).unwrap()).len(), 1);
    assert_eq!(decode(&read(&open, 47).unwrap()).len(), 1);
}

#[test]
fn a_fault_keeps_whole_entries_only() {
    let (context, flags) = sample();
    let open = open_as_root(&context, "d", flags).unwrap();
    let mut sink = TornSink::new(4096, 60);
    assert_eq!(open.read_directory(&mut sink), Ok(48));
    let mut sink = TornSink::new(4096, 5);
    assert_eq!(open.read_directory(&mut sink), Err(FileError::Fault(fault_at(5))));
    // What was not delivered comes again.
    assert_eq!(decode(&read(&open, 4096).unwrap()).len(), 3);
}

#[test]
fn a_reader_can_go_back_to_any_cookie() {
    let (context, flags) = sample();
    let open = open_as_root(&context, "d", flags).unwrap();
    let all = decode(&read(&open, 4096).unwrap());
    for (index, (_, cookie, _, _)) in all.iter().enumerate() {
        assert_eq!(open.seek(i64::try_from(*cookie).unwrap(), Whence::Start), Ok(*cookie));
        assert_eq!(decode(&read(&open, 4096).unwrap()), all[index + 1..]);
    }
    assert_eq!(open.seek(0, Whence::Start), Ok(0));
    assert_eq!(decode(&read(&open, 4096).unwrap()), all);
    assert_eq!(open.seek(1 << 40, Whence::Start), Ok(1 << 40));
    assert_eq!(read(&open, 4096), Ok(Vec::new()));
    assert_eq!(open.seek(0, Whence::End), Err(FileError::Invalid));
}

#[test]
fn only_directories_have_entries() {
    let (context, _) = sample();
    let open = open_as_root(&context, "f", OpenFlags::empty()).unwrap();
    assert_eq!(read(&open, 4096), Err(FileError::NotDirectory));
    let open = open_as_root(&context, "d", OpenFlags::PATH_ONLY).unwrap();
    assert_eq!(read(&open, 4096), Err(FileError::BadFile));
    let open = open_as_root(&context, "d", OpenFlags::empty()).unwrap();
    assert_eq!(open.read(&mut BufferSink::new(&mut [0; 8])), Err(FileError::IsDirectory));
}

proptest! {
    #![proptest_config(super::support::doses(3, 100))]

    #[test]
    #[cfg_attr(miri, ignore = "generating names takes minutes there")]
    fn every_name_comes_once_whatever_the_buffers(
        names in proptest::collection::btree_set("[a-z]{1,60}", 0..40),
        rooms in proptest::collection::vec(80_usize..400, 1..10),
    ) {
        let items: Vec<Item> = names.iter().map(|name| file(&format!("dir-of-all/{name}"), b"")).collect();
        let context = tree(&[&[directory("dir-of-all")][..], &items].concat());
        let open = open_as_root(&context, "dir-of-all", OpenFlags::empty()).unwrap();
        let mut found = Vec::new();
        for room in rooms.iter().cycle() {
            let bytes = read(&open, *room).unwrap();
            if bytes.is_empty() {
                break;
            }
            found.extend(decode(&bytes).into_iter().map(|(_, _, _, name)| name));
        }
        let unique: BTreeSet<_> = found.iter().skip(2).cloned().collect();
        prop_assert_eq!(found.len(), names.len() + 2);
        prop_assert_eq!(unique, names);
    }
}
