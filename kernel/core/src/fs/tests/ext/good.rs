//! Images as they are.

use std::collections::BTreeSet;

use super::*;
use crate::addr::PAGE_SIZE;
use crate::fs::{BufferSource, Extent, Link, Mapping, PageSource as _, Timestamp};

/// The files with their contents; `block` is the size of a block.
fn files(image: &Packed, block: usize) -> Vec<(&'static str, Vec<u8>)> {
    let words: Vec<u8> = (1..=1100).flat_map(|number| std::format!("{number} ").into_bytes()).take(4196).collect();
    let mut sparse = std::vec![0; 3_000_000];
    sparse.extend(b"behind the hole");
    let mut files = std::vec![
        ("hello", b"hello\n".to_vec()),
        ("sub/same", b"hello\n".to_vec()),
        ("empty", Vec::new()),
        ("numbers", lines(4000)),
        ("padded", words),
        ("sub/dir/deep", lines(700)),
        ("sub/inline", std::vec![b'0'; 100]),
        ("many/file number 299, with a name of some length", b"299\n".to_vec()),
        ("sparse", sparse),
    ];
    if image.name != INLINE.name {
        files.push(("hole", std::vec![0; 5_000_000]));
        files.push(("never", std::vec![0; block * 10 - 240]));
    }
    if image.kind == Kind::Ext4 {
        let mut comb = std::vec![0; block * 1398];
        for number in (0..1400).step_by(2) {
            let text = std::format!("block {number}").into_bytes();
            comb.resize(comb.len().max(block * number + text.len()), 0);
            comb[block * number..][..text.len()].copy_from_slice(&text);
        }
        files.push(("comb", comb));
    }
    files
}

#[test]
fn what_e2fsprogs_wrote_is_read() {
    for image in ALL {
        let mounted = image.mount();
        let block = usize::try_from(mounted.root.metadata().block_size).unwrap();
        for (name, expected) in files(&image, block) {
            let file = find(&mounted.root, name).unwrap();
            assert_eq!(file.metadata().size, expected.len() as u64, "{} {name}", image.name);
            assert!(contents(&file).unwrap() == expected, "{} {name}", image.name);
            // In pieces from behind, too.
            let open = file.open(OpenFlags::empty()).unwrap();
            for at in (0..expected.len()).rev().step_by(70_001) {
                let mut piece = [0xa5; 3000];
                let count = open.read(at as u64, Blocking::Yes, &mut BufferSink::new(&mut piece)).unwrap();
                assert!(piece[..count] == expected[at..expected.len().min(at + 3000)], "{} {name} {at}", image.name);
            }
            assert_eq!(open.write(0, Blocking::Yes, &mut BufferSource::new(b"x")), Err(FileError::ReadOnly));
        }
        assert_eq!(
            find(&mounted.root, "many/file number 7, with a name of some length").err(),
            Some(FileError::NotFound)
        );
        assert_eq!(find(&mounted.root, "hello/x").err(), Some(FileError::NotDirectory));
        assert_eq!(contents(&find(&mounted.root, "sub").unwrap()), Err(FileError::IsDirectory));
    }
}

#[test]
fn directories_with_and_without_an_index_show_each_name_once() {
    for image in ALL {
        let mounted = image.mount();
        let found = names(&find(&mounted.root, "many").unwrap()).unwrap();
        let all: BTreeSet<_> = found.iter().map(|entry| entry.0.clone()).collect();
        assert_eq!((found.len(), all.len()), (301, 301), "{}", image.name);
        for directory in ["", "sub", "sub/dir", "many", "lost+found"] {
            let node = find(&mounted.root, directory).unwrap();
            let entries = names(&node).unwrap();
            assert_eq!(entries[0], (".".to_string(), FileKind::Directory, node.id().inode));
            assert_eq!(entries[1].0, "..");
            for (name, kind, inode) in &entries[2..] {
                let child = node.lookup(name.as_bytes()).unwrap();
                assert_eq!((child.protection().kind, child.id().inode), (*kind, *inode), "{} {name}", image.name);
                assert_eq!(child.parent().unwrap().id(), node.id());
            }
        }
        let sub: BTreeSet<_> =
            names(&find(&mounted.root, "sub").unwrap()).unwrap().into_iter().map(|entry| entry.0).collect();
        assert_eq!(sub, [".", "..", "dir", "inline", "same"].map(String::from).into_iter().collect());
    }
}

#[test]
fn owners_times_numbers_and_devices_are_those_of_the_inode() {
    for image in ALL {
        let mounted = image.mount();
        let hello = find(&mounted.root, "hello").unwrap().metadata();
        let is_small = image.name == EXT2.name || image.name == OLD.name;
        assert_eq!(
            (hello.protection.permissions, hello.protection.uid, hello.protection.gid),
            (0o4751, 70_000, 80_000)
        );
        assert_eq!((hello.links, hello.id), (2, find(&mounted.root, "sub/same").unwrap().id()));
        assert_eq!(hello.accessed, Timestamp { seconds: 1_000_000_000, nanoseconds: 0 });
        // What 32 bits do not hold has room in larger inodes only.
        let modified = if is_small { 4_300_000_000 - (1_i64 << 32) } else { 4_300_000_000 };
        assert_eq!(hello.modified.seconds, modified, "{}", image.name);
        let born = (!is_small).then_some(Timestamp { seconds: 1_700_000_000, nanoseconds: 0 });
        assert_eq!(hello.born, born);
        let kind_of = |name: &str| {
            let metadata = find(&mounted.root, name).unwrap().metadata();
            (metadata.protection.kind, metadata.represents)
        };
        assert_eq!(kind_of("null"), (FileKind::CharacterDevice, DeviceNumber::new(1, 3)));
        assert_eq!(kind_of("disk"), (FileKind::BlockDevice, DeviceNumber::new(300, 70_000)));
        assert_eq!(kind_of("pipe"), (FileKind::Fifo, DeviceNumber::NONE));
        let sparse = find(&mounted.root, "sparse").unwrap().metadata();
        assert!(sparse.blocks > 0 && sparse.blocks < 60, "{} {}", image.name, sparse.blocks);
        let status = mounted.root.file_system();
        assert!(status.read_only && status.magic == 0xef53 && status.blocks > status.free_blocks);
        assert!(status.free_blocks > 0 && status.files > status.free_files && status.free_files > 0);
    }
}

#[test]
fn symbolic_links_lead_where_they_say_wherever_that_stands() {
    for image in ALL {
        let mounted = image.mount();
        for (name, expected) in [
            ("short", "hello".to_string()),
            ("middle", "sub/../".repeat(13) + "hello"),
            ("long", "sub/../".repeat(20) + "hello"),
        ] {
            let link = find(&mounted.root, name).unwrap();
            let Ok(Link::Path(path)) = link.link() else { panic!("{name} is a link") };
            assert_eq!(path, expected.as_bytes(), "{} {name}", image.name);
            assert_eq!(link.metadata().size, expected.len() as u64);
            assert_eq!(link.clone().open(OpenFlags::empty()).err(), Some(FileError::TooManyLinks));
        }
        assert!(matches!(find(&mounted.root, "hello").unwrap().link(), Err(FileError::Invalid)));
    }
}

#[test]
fn data_and_holes_are_found() {
    for image in ALL {
        let mounted = image.mount();
        let block = u64::from(mounted.root.metadata().block_size);
        let open = find(&mounted.root, "sparse").unwrap().open(OpenFlags::empty()).unwrap();
        let (end, data) = (3_000_015, 3_000_000 / block * block);
        // mke2fs gives those that might have been in the inode a first block.
        let hole = if image.name == INLINE.name { block } else { 5 };
        assert_eq!(open.find(hole, end, Extent::Data), Some(data), "{}", image.name);
        assert_eq!((open.find(5, end, Extent::Hole), open.find(data, end, Extent::Hole)), (Some(hole), Some(end)));
        if image.name != INLINE.name {
            let hole = find(&mounted.root, "hole").unwrap().open(OpenFlags::empty()).unwrap();
            assert_eq!(hole.find(0, 5_000_000, Extent::Data), None, "{}", image.name);
        }
        if image.kind == Kind::Ext4 {
            let comb = find(&mounted.root, "comb").unwrap().open(OpenFlags::empty()).unwrap();
            for at in [0, 1, 700, 1396] {
                assert_eq!(comb.find(at * block, 1398 * block, Extent::Data), Some(at.next_multiple_of(2) * block));
            }
        }
    }
}

#[test]
fn pages_of_a_file_are_shared_by_all_who_open_it_and_given_back() {
    let mounted = EXT4.mount();
    let expected = lines(4000);
    let open = |path: &str| find(&mounted.root, path).unwrap().open(OpenFlags::empty()).unwrap();
    let pager = |path: &str| match open(path).mapping() {
        Mapping::Pager(pager) => pager,
        _ => panic!("it can be mapped"),
    };
    let before = mounted.source.references().0;
    let (one, other) = (pager("numbers"), pager("numbers"));
    assert_eq!(one.identity(), other.identity());
    let frame = one.page(4).unwrap();
    assert_eq!(other.page(4), Ok(frame));
    let page = mounted.source.contents(frame).unwrap();
    let (start, count) = (4 * PAGE_SIZE, expected.len() - 4 * PAGE_SIZE);
    assert!(page[..count] == expected[start..] && page[count..].iter().all(|&byte| byte == 0));
    assert_eq!((one.bytes(), one.page(5).is_err()), (expected.len() as u64, true));
    mounted.source.release(frame);
    mounted.source.release(frame);
    // Who opened it later keeps what was opened first.
    drop(one);
    assert!(mounted.source.contents(frame).is_some());
    drop(other);
    assert_eq!(mounted.source.contents(frame), None);
    assert!(mounted.source.references().0 > before, "only the disk's cache has pages");
    assert_ne!(pager("hello").identity(), pager("padded").identity());
}

#[test]
fn devices_and_fifos_are_what_they_are_elsewhere() {
    let mounted = EXT3.mount();
    let open = |name: &str, flags| find(&mounted.root, name).unwrap().open(flags);
    assert_eq!(open("null", OpenFlags::empty()).unwrap().write(0, Blocking::Yes, &mut BufferSource::new(b"x")), Ok(1));
    assert_eq!(open("disk", OpenFlags::empty()).err(), Some(FileError::NoDevice));
    assert_eq!(open("pipe", OpenFlags::WRITE_ONLY | OpenFlags::NONBLOCK).err(), Some(FileError::NoDevice));
    let reader = open("pipe", OpenFlags::NONBLOCK).unwrap();
    let writer = open("pipe", OpenFlags::WRITE_ONLY).unwrap();
    assert_eq!(writer.write(0, Blocking::Yes, &mut BufferSource::new(b"through")), Ok(7));
    let mut bytes = [0; 10];
    assert_eq!(reader.read(0, Blocking::No, &mut BufferSink::new(&mut bytes)), Ok(7));
    assert_eq!(&bytes[..7], b"through");
}

#[test]
fn a_mount_is_in_use_as_long_as_somebody_has_a_file() {
    let mounted = EXT4.mount();
    assert_eq!(mounted.fs.is_used(2), Ok(false));
    let file = find(&mounted.root, "sub/dir/deep").unwrap();
    assert_eq!(mounted.fs.is_used(2), Ok(true));
    drop(file);
    assert_eq!((mounted.fs.is_used(2), mounted.fs.kind()), (Ok(false), "ext4"));
}
