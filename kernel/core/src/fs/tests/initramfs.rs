use std::format;
use std::string::String;
use std::vec::Vec;

use proptest::prelude::*;

use super::support::{FakeSource, Item, archive, contents, directory, file, find, forever, symlink, tree, tree_with};
use crate::addr::PAGE_SIZE;
use crate::fs::{Context, DeviceNumber, FileError, FileKind, Metadata, Visit};

fn stat(context: &Context, path: &str) -> Metadata {
    find(context, path).unwrap().metadata()
}

fn problems(items: &[Item]) -> (Context, Vec<String>) {
    let (context, _, problems) = tree_with(forever(&archive(items, 4), 0), FakeSource::default());
    (context, problems)
}

fn names(context: &Context, path: &str) -> Vec<String> {
    let mut names = Vec::new();
    let directory = find(context, path).unwrap();
    let mut visit = |entry: crate::fs::DirectoryEntry<'_>| {
        names.push(String::from_utf8_lossy(entry.name).into_owned());
        Visit::More
    };
    directory.read_directory(0, &mut visit).unwrap();
    names.sort();
    names
}

#[test]
fn everything_in_the_archive_is_in_the_tree() {
    let context = tree(&[
        Item::new(".", 0o40_750, b"").owned(1, 2),
        directory("bin"),
        Item::new("bin/sh", 0o104_755, b"\x7fELF").owned(3, 4),
        symlink("init", "bin/sh"),
        Item::new("pipe", 0o010_600, b""),
        Item::new("disk", 0o060_600, b"").device(8, 1),
    ]);
    let root = stat(&context, "/");
    assert_eq!((root.protection.permissions, root.protection.uid, root.protection.gid), (0o750, 1, 2));
    assert_eq!(root.links, 4);
    let shell = stat(&context, "init");
    assert_eq!(shell.protection.mode(), 0o104_755);
    assert_eq!((shell.size, shell.blocks, shell.links, shell.block_size), (4, 8, 1, 4096));
    assert_eq!((shell.protection.uid, shell.protection.gid, shell.modified.seconds), (3, 4, 77));
    assert_eq!(contents(&context, "init"), b"\x7fELF");
    assert_eq!(stat(&context, "pipe").protection.kind, FileKind::Fifo);
    let disk = stat(&context, "disk");
    assert_eq!((disk.protection.kind, disk.represents), (FileKind::BlockDevice, DeviceNumber::new(8, 1)));
    assert_eq!(names(&context, "/"), [".", "..", "bin", "dev", "disk", "init", "pipe"]);
}

#[test]
fn directories_that_are_missing_are_made() {
    let context = tree(&[file("a/b/c/d", b"deep"), Item::new("a/b", 0o40_700, b"")]);
    assert_eq!(contents(&context, "/a/b/c/d"), b"deep");
    assert_eq!(stat(&context, "a").protection.permissions, 0o755);
    assert_eq!(stat(&context, "a/b").protection.permissions, 0o700);
}

#[test]
fn names_may_begin_with_a_slash_or_a_dot() {
    let context = tree(&[file("./one", b"1"), file("/two", b"2"), directory("three/"), file("three//./four/.", b"4")]);
    assert_eq!(names(&context, "/"), [".", "..", "dev", "one", "three", "two"]);
    assert_eq!(contents(&context, "three/four"), b"4");
}

#[test]
fn an_entry_that_climbs_is_left_out_and_named() {
    let (context, problems) = problems(&[file("../etc/passwd", b""), file("a/../b", b""), file("ok", b"fine")]);
    assert_eq!(problems, ["../etc/passwd climbs", "a/../b climbs"]);
    assert_eq!(names(&context, "/"), [".", "..", "dev", "ok"]);
}

#[test]
fn later_entries_replace_earlier_ones() {
    let (context, problems) = problems(&[
        file("file", b"old"),
        Item::new("file", 0o100_600, b"newer"),
        file("becomes-a-link", b"x"),
        symlink("becomes-a-link", "file"),
        directory("becomes-a-file"),
        file("becomes-a-file", b"y"),
        directory("full"),
        file("full/x", b"kept"),
        file("full", b"z"),
        Item::new("full", 0o40_700, b""),
    ]);
    assert_eq!(contents(&context, "file"), b"newer");
    assert_eq!(stat(&context, "file").protection.permissions, 0o600);
    assert_eq!(contents(&context, "becomes-a-link"), b"newer");
    assert_eq!(contents(&context, "becomes-a-file"), b"y");
    assert_eq!(problems, ["full would replace a directory that is not empty"]);
    assert_eq!(contents(&context, "full/x"), b"kept");
    assert_eq!(stat(&context, "full").protection.permissions, 0o700);
}

#[test]
fn entries_with_one_number_and_several_links_are_one_file() {
    let context = tree(&[
        file("one", b"").linked(7, 3),
        file("two", b"").linked(7, 3),
        file("three", b"data").linked(7, 3),
        file("other", b"same number, one link").linked(7, 1),
    ]);
    let one = stat(&context, "one");
    assert_eq!(one, stat(&context, "two"));
    assert_eq!(one, stat(&context, "three"));
    assert_eq!((one.links, one.size), (3, 4));
    assert_eq!(contents(&context, "one"), b"data");
    assert_ne!(stat(&context, "other").id, one.id);
}

#[test]
fn rewriting_one_name_of_a_file_rewrites_the_file() {
    let context = tree(&[file("one", b"old").linked(7, 2), file("two", b"").linked(7, 2), file("one", b"new")]);
    assert_eq!(contents(&context, "two"), b"new");
    assert_eq!(stat(&context, "two").links, 2);
}

#[test]
fn a_name_that_is_taken_away_from_a_file_leaves_the_others() {
    let context = tree(&[file("one", b"data").linked(7, 2), file("two", b"").linked(7, 2), symlink("one", "x")]);
    assert_eq!(contents(&context, "two"), b"data");
    assert_eq!(stat(&context, "two").links, 1);
}

#[test]
fn numbers_of_another_archive_are_other_files() {
    let first = archive(&[file("one", b"first").linked(7, 2), file("two", b"").linked(7, 2)], 4);
    let mut bytes = [first, std::vec![0; 512]].concat();
    bytes.extend(archive(&[file("three", b"third").linked(7, 2), file("four", b"").linked(7, 2)], 4));
    let (context, _, problems) = tree_with(forever(&bytes, 0), FakeSource::default());
    assert_eq!(problems, Vec::<String>::new());
    assert_eq!(contents(&context, "two"), b"first");
    assert_eq!(contents(&context, "four"), b"third");
}

#[test]
fn names_lead_through_links_of_the_archive() {
    let (context, problems) = problems(&[
        directory("usr"),
        symlink("lib", "usr/lib"),
        file("lib/libc.so", b"c"),
        symlink("deep", "/lib/../lib"),
        file("deep/libm.so", b"m"),
        symlink("loop", "loop"),
        file("loop/x", b""),
        file("usr/lib/libc.so/x", b""),
    ]);
    assert_eq!(contents(&context, "usr/lib/libc.so"), b"c");
    assert_eq!(contents(&context, "usr/lib/libm.so"), b"m");
    assert_eq!(problems, ["loop/x cannot be reached", "usr/lib/libc.so/x cannot be reached"]);
}

#[test]
fn names_that_no_path_can_say_are_left_out() {
    let (context, problems) =
        problems(&[file(&"n".repeat(256), b""), file("/", b""), Item::new("odd", 0o030_644, b"")]);
    assert_eq!(problems.len(), 3);
    assert!(problems[1].starts_with("/ cannot"), "{}", problems[1]);
    assert_eq!(problems[2], "odd is of no known type");
    assert_eq!(names(&context, "/"), [".", "..", "dev"]);
}

#[test]
fn dev_is_there_whatever_the_archive_says() {
    for items in [&[][..], &[file("dev", b"")], &[symlink("dev", "/")], &[Item::new("dev", 0o40_700, b"")]] {
        let (context, problems) = problems(items);
        assert_eq!(names(&context, "/dev"), [".", ".."]);
        assert_eq!(problems, [""; 0]);
    }
}

#[test]
fn a_torn_archive_keeps_what_came_before() {
    let whole = archive(&[file("one", b"1"), file("two", b"22222222")], 4);
    for len in 0..whole.len() {
        if cfg!(miri) && len % 50 != 0 {
            continue;
        }
        let (context, _, problems) = tree_with(forever(&whole[..len], 0), FakeSource::default());
        assert_eq!(problems.is_empty(), len == 0, "{len}: {problems:?}");
        if let Ok(one) = find(&context, "one") {
            assert_eq!(one.metadata().size, 1);
        }
        let two = whole.len() - 124;
        assert_eq!(find(&context, "two").is_ok(), len >= two, "{len}");
        assert!(find(&context, "dev").is_ok());
    }
}

#[test]
fn an_archive_larger_than_memory_is_read_as_far_as_there_is_room() {
    let items: Vec<Item> = (0..20).map(|n| file(&format!("d{n}/f"), b"x")).collect();
    let (context, _, problems) = tree_with(forever(&archive(&items, 4), 0), FakeSource::with_room_for(9));
    assert_eq!(problems.first().map(String::as_str), Some("out of memory"));
    assert_eq!(contents(&context, "d3/f"), b"x");
    assert_eq!(find(&context, "d4/f").err(), Some(FileError::NotFound));
}

#[test]
fn a_name_of_a_thousand_directories_is_no_danger() {
    let depth = if cfg!(miri) { 50 } else { 2000 };
    let context = tree(&[file(&format!("{}f", "d/".repeat(depth)), b"deep")]);
    assert_eq!(contents(&context, &format!("{}f", "d/".repeat(depth))), b"deep");
}

#[test]
fn file_data_is_never_copied() {
    let data = std::vec![7; 3 * PAGE_SIZE];
    let bytes = forever(&archive(&[file("whole", &data)], PAGE_SIZE), 0);
    let (context, source, _) = tree_with(bytes, FakeSource::default());
    assert_eq!(contents(&context, "whole"), data);
    assert_eq!(source.made(), 0);
}

fn mangled() -> impl Strategy<Value = Vec<u8>> {
    let name = prop_oneof![
        "[ab./]{1,8}",
        Just("dev/null".into()),
        Just("dev".into()),
        Just("x".repeat(300)),
        Just("TRAILER!!!".into()),
    ];
    let mode = prop_oneof![
        Just(0o100_644_u32),
        Just(0o40_755),
        Just(0o120_777),
        Just(0o020_600),
        Just(0o010_600),
        any::<u32>().prop_map(|mode| mode & 0o177_777)
    ];
    let data = prop_oneof![Just("../a/b".into()), Just("/".into()), "[ab./]{0,8}"];
    let item = (name, mode, data, 0_u32..3, 0_u32..3).prop_map(|(name, mode, data, inode, links)| {
        let data: String = data;
        let name: String = name;
        Item::new(&name, mode, data.as_bytes()).linked(inode, links)
    });
    (proptest::collection::vec(item, 0..20), proptest::collection::vec((any::<usize>(), any::<u8>()), 0..4)).prop_map(
        |(items, changes)| {
            let mut bytes = archive(&items, 4);
            let len = bytes.len();
            for (at, byte) in changes {
                bytes[at % len] = byte;
            }
            bytes
        },
    )
}

/// Everything that can be reached: each directory is in the one that it calls its parent, and nothing is there twice.
fn check(context: &Context) {
    let mut todo = std::vec![std::sync::Arc::clone(context.root())];
    while let Some(directory) = todo.pop() {
        let mut found = Vec::new();
        let mut visit = |entry: crate::fs::DirectoryEntry<'_>| {
            found.push((entry.name.to_vec(), entry.inode, entry.kind));
            Visit::More
        };
        directory.read_directory(0, &mut visit).unwrap();
        for (name, inode, kind) in found.into_iter().skip(2) {
            let child = directory.lookup(&name).unwrap();
            assert_eq!((child.id().inode, child.protection().kind), (inode, kind));
            assert!(!name.is_empty() && name.len() <= 255 && !name.contains(&b'/') && name != b"." && name != b"..");
            if kind == FileKind::Directory {
                assert!(crate::fs::same_file(&child.parent().unwrap(), &directory));
                todo.push(child);
            }
        }
    }
}

proptest! {
    #![proptest_config(super::support::doses(4, 1000))]

    #[test]
    #[cfg_attr(miri, ignore = "generating names takes minutes there")]
    fn no_archive_is_too_strange(bytes in mangled()) {
        let (context, _, _) = tree_with(forever(&bytes, 0), FakeSource::default());
        check(&context);
        prop_assert!(find(&context, "dev").is_ok());
    }

    #[test]
    fn random_bytes_are_no_archive(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let (context, _, _) = tree_with(forever(&bytes, 0), FakeSource::default());
        check(&context);
    }

    #[test]
    #[cfg_attr(miri, ignore = "generating names takes minutes there")]
    fn memory_may_end_anywhere(bytes in mangled(), room in 0_u64..20) {
        let (context, _, _) = tree_with(forever(&bytes, 0), FakeSource::with_room_for(room));
        check(&context);
    }
}
