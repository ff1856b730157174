//! What programs that were written for Linux go by.

use std::vec::Vec;

use super::super::block::support::{Asked, FakeDisk};
use super::super::support::find;
use super::check::check_clean;
use super::support::{Kind, SECTOR, SMALL, Tree, format, pattern};
use crate::fs::fat::FatOptions;
use crate::fs::{
    AccessId, Base, BufferSource, FileError, MountFlags, Mountable as _, OpenFlags, Protection, Visit, Writer, open,
    set_owner, set_permissions,
};

fn links(tree: &Tree, path: &str) -> u32 {
    find(&tree.context, path).unwrap().metadata().links
}

/// Who looks for files below a directory does not look into more directories than its links tell of: GNU find, fts(3).
#[test]
fn a_directory_has_a_link_for_each_directory_in_it() {
    let tree = Tree::new(format(SMALL[1]));
    tree.mkdir("a").unwrap();
    assert_eq!((links(&tree, "/"), links(&tree, "a")), (3, 2));
    // One node all the time, and one that is looked up anew.
    let kept = find(&tree.context, "a").unwrap();
    for name in ["a/b", "a/c", "a/d"] {
        tree.mkdir(name).unwrap();
    }
    tree.write("a/file", b"x").unwrap();
    assert_eq!((links(&tree, "/"), kept.metadata().links, links(&tree, "a/file")), (3, 5, 1));
    tree.rmdir("a/b").unwrap();
    tree.rename("a/c", "c").unwrap();
    assert_eq!((links(&tree, "/"), kept.metadata().links), (4, 3));
    tree.rename("c", "a/d").unwrap();
    tree.rename("a/d", "a/e").unwrap();
    assert_eq!((links(&tree, "/"), kept.metadata().links), (3, 3));
    tree.rmdir("a/e").unwrap();
    tree.unlink("a/file").unwrap();
    tree.rmdir("a").unwrap();
    assert_eq!((links(&tree, "/"), kept.metadata().links), (2, 0));
    drop(kept);
    check_clean(&tree.unmount());
}

#[test]
fn a_file_that_is_made_with_permissions_to_read_only_can_be_written_by_who_opens_it_next() {
    let tree = Tree::new(format(SMALL[0]));
    let flags = OpenFlags::CREATE | OpenFlags::WRITE_ONLY;
    drop(open(&tree.context, Base::Working, b"archive", flags, 0o444, AccessId::ROOT).unwrap());
    assert_eq!(find(&tree.context, "archive").unwrap().protection().permissions, 0o755);
    check_clean(&tree.unmount());
}

/// df(1), and who asks before he writes.
#[test]
fn what_was_removed_or_cut_off_is_free_for_who_asks() {
    for kind in SMALL {
        let tree = Tree::new(format(kind));
        let free = tree.free();
        tree.write("a", &pattern(1, 20_000)).unwrap();
        tree.write("b", &pattern(2, 20_000)).unwrap();
        assert!(tree.free() < free);
        tree.unlink("a").unwrap();
        tree.open("b", OpenFlags::READ_WRITE).unwrap().resize(0, Writer::KERNEL).unwrap();
        assert_eq!(tree.free(), free);
        check_clean(&tree.unmount());
    }
}

#[test]
fn a_file_is_not_made_longer_than_there_is_room_and_nothing_is_written_to_find_that_out() {
    for kind in SMALL {
        let tree = Tree::new(format(kind));
        tree.write("file", &pattern(1, 700)).unwrap();
        tree.write("empty", b"").unwrap();
        tree.write("other", &pattern(2, 5000)).unwrap();
        tree.mountable.sync().unwrap();
        tree.disk.asked();
        let cluster = (kind.sectors * 512) as u64;
        let all = tree.free() * cluster;
        for (path, most) in [("file", 700_u64.next_multiple_of(cluster) + all), ("empty", all)] {
            let file = tree.open(path, OpenFlags::READ_WRITE).unwrap();
            assert_eq!(file.resize(most + 1, Writer::KERNEL), Err(FileError::NoSpace));
            assert_eq!(file.write_at(most + 1, &mut BufferSource::new(b"x")), Err(FileError::NoSpace));
        }
        tree.mountable.write_back().unwrap();
        let written: Vec<Asked> =
            tree.disk.asked().into_iter().filter(|asked| matches!(asked, Asked::Write(..))).collect();
        assert!(written.is_empty(), "{written:?}");
        // What was removed a moment ago is room.
        tree.unlink("other").unwrap();
        let file = tree.open("file", OpenFlags::READ_WRITE).unwrap();
        let more = 5000_u64.next_multiple_of(cluster);
        file.resize(700_u64.next_multiple_of(cluster) + all + more, Writer::KERNEL).unwrap();
        assert_eq!(tree.free(), 0);
        drop(file);
        check_clean(&tree.unmount());
    }
}

/// A directory may have as many entries as Linux allows, to the last; who asks for what comes behind them is at the end.
#[test]
fn a_directory_that_is_full_is_read_to_its_end_and_nothing_is_behind_it() {
    const ENTRIES: usize = 65_536;
    const ENTRY: usize = 32;
    // Large clusters: few of them have so many entries.
    let kind = Kind { bits: 32, clusters: 80, sectors: 64 };
    let tree = Tree::new(format(kind));
    tree.mkdir("full").unwrap();
    let mut image = tree.unmount();
    let (reserved, tables, bytes) = (32 * SECTOR, 2 * SECTOR, kind.sectors * SECTOR);
    // Behind the root's cluster; the directory has the first of them.
    for (cluster, first) in (3_u32..).zip((0..ENTRIES).step_by(bytes / ENTRY)) {
        let is_last = first + bytes / ENTRY == ENTRIES;
        let next = if is_last { 0x0fff_ffff } else { cluster + 1 };
        for table in 0..2 {
            let at = reserved + table * SECTOR + 4 * cluster as usize;
            image[at..at + 4].copy_from_slice(&next.to_le_bytes());
        }
        let start = reserved + tables + (cluster as usize - 2) * bytes;
        for (index, at) in (first..).zip((start..start + bytes).step_by(ENTRY)).filter(|(index, _)| *index >= 2) {
            image[at..at + 11].copy_from_slice(std::format!("{index:08}   ").as_bytes());
        }
    }
    let tree = Tree::new(image);
    let full = find(&tree.context, "full").unwrap();
    let mut seen = Vec::new();
    let from = ENTRIES as u64 - 10;
    full.read_directory(from + 2, &mut |entry| {
        seen.push((entry.name.to_vec(), entry.next));
        Visit::More
    })
    .unwrap();
    assert_eq!(seen.len(), 10);
    let (name, end) = seen.pop().unwrap();
    assert_eq!(name, b"00065535");
    for behind in [end, end + 1, 1 << 40, u64::MAX] {
        full.read_directory(behind, &mut |_| panic!("there is nothing")).unwrap();
        find(&tree.context, "/").unwrap().read_directory(behind, &mut |_| panic!("there is nothing")).unwrap();
    }
    assert_eq!(tree.write("full/more", b"").err(), Some(FileError::NoSpace));
    tree.unlink("full/00065535").unwrap();
    tree.write("full/MORE", b"").unwrap();
    assert!(find(&tree.context, "full/MORE").is_ok());
}

/// mount(8), of `vfat`.
#[test]
fn who_mounts_it_says_whose_the_files_are_and_who_may_do_what() {
    let usual = FatOptions::USUAL;
    assert_eq!(FatOptions::parse(b""), Some(usual));
    assert_eq!(FatOptions::parse(b"utf8,iocharset=utf8,shortname=mixed,quiet,flush"), Some(usual));
    for wrong in [&b"uid=x"[..], b"umask=9", b"gid=", b"size=5", b"\xff", b"uid=-1"] {
        assert_eq!(FatOptions::parse(wrong), None);
    }
    let options = FatOptions::parse(b"umask=077,uid=1000,fmask=0117,gid=5").unwrap();
    assert_eq!(options, FatOptions { uid: 1000, gid: 5, file_mask: 0o117, directory_mask: 0o077 });

    let tree = Tree::with_options(FakeDisk::with(format(SMALL[1])), MountFlags::empty(), options);
    tree.mkdir("sub").unwrap();
    tree.write("sub/file", b"x").unwrap();
    let protection = |path: &str| {
        let Protection { permissions, uid, gid, .. } = find(&tree.context, path).unwrap().protection();
        (permissions, uid, gid)
    };
    for directory in ["/", "sub"] {
        assert_eq!(protection(directory), (0o700, 1000, 5));
    }
    assert_eq!(protection("sub/file"), (0o660, 1000, 5));
    let owner = |uid, gid| set_owner(&*find(&tree.context, "sub/file").unwrap(), uid, gid, AccessId::ROOT);
    assert_eq!((owner(Some(1000), Some(5)), owner(Some(0), None)), (Ok(()), Err(FileError::NotPermitted)));
    for (wanted, kept) in [(0o444, 0o440), (0o600, 0o440), (0o666, 0o660), (0o640, 0o660), (0o555, 0o440)] {
        set_permissions(&*find(&tree.context, "sub/file").unwrap(), wanted, AccessId::ROOT).unwrap();
        assert_eq!(protection("sub/file").0, kept, "{wanted:o}");
    }
    // What is marked is so for who mounts it another way.
    let image = tree.unmount();
    check_clean(&image);
    assert_eq!(find(&Tree::new(image.clone()).context, "sub/file").unwrap().protection().permissions, 0o555);
    // Where nobody may write, nothing tells of the mark, and it stays.
    let options = FatOptions { file_mask: 0o222, ..usual };
    let tree = Tree::with_options(FakeDisk::with(image), MountFlags::empty(), options);
    set_permissions(&*find(&tree.context, "sub/file").unwrap(), 0o555, AccessId::ROOT).unwrap();
    assert_eq!(find(&Tree::new(tree.unmount()).context, "sub/file").unwrap().protection().permissions, 0o555);
}
