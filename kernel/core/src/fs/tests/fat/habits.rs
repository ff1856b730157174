//! What programs that were written for Linux go by.

use std::vec::Vec;

use super::super::block::support::Asked;
use super::super::support::find;
use super::check::check_clean;
use super::support::{SMALL, Tree, format, pattern};
use crate::fs::{AccessId, Base, BufferSource, FileError, Mountable as _, OpenFlags, Writer, open};

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
