//! Files and directories that are made, changed and removed.

use std::io::{Cursor, Read as _};
use std::string::String;
use std::sync::Arc;
use std::vec::Vec;

use super::super::block::support::FakeDisk;
use super::super::support::{find, now};
use super::check::{check, check_clean};
use super::support::{SMALL, Tree, format, pattern, read_whole};
use crate::addr::PAGE_SIZE;
use crate::fs::{
    AccessId, Allocation, Base, BufferSource, DeviceNumber, FileError, FileKind, IfTaken, Made, Mapping, MountFlags,
    Mountable as _, NewTime, OpenFlags, PageSource as _, Place, Timestamp, Writer, link, set_owner, set_permissions,
    set_times,
};

#[test]
fn what_is_written_is_read_after_the_next_mount_and_by_another_implementation() {
    for kind in SMALL {
        let tree = Tree::new(format(kind));
        tree.mkdir("sub").unwrap();
        tree.mkdir("sub/deeper").unwrap();
        let files: [(&str, usize); 6] = [
            ("EMPTY", 0),
            ("config.txt", 100),
            ("A Long Name – with ümläuts and more than 13 letters.bin", 30_000),
            ("sub/one cluster", 512),
            ("sub/deeper/x", 513),
            ("sub/deeper/page", PAGE_SIZE),
        ];
        for (seed, (path, bytes)) in files.into_iter().enumerate() {
            tree.write(path, &pattern(seed, bytes)).unwrap();
        }
        for number in 0..70 {
            tree.write(&std::format!("sub/file {number}"), &pattern(number, number)).unwrap();
        }
        let all = tree.all();
        let image = tree.unmount();
        let report = check_clean(&image);
        assert!(report.tree == all, "{kind:?}");
        assert!(Tree::new(image.clone()).all() == all);
        // That one counts clusters to tell the kinds from each other.
        if kind.bits != 32 {
            let fs = fatfs::FileSystem::new(Cursor::new(image), fatfs::FsOptions::new()).unwrap();
            for (path, contents) in all {
                let Some(expected) = contents else { continue };
                let mut found = Vec::new();
                fs.root_dir().open_file(&path).unwrap().read_to_end(&mut found).unwrap();
                assert!(found == expected, "{path}");
            }
        }
    }
}

#[test]
fn a_file_grows_is_overwritten_and_cut_and_has_zeroes_where_nothing_was_written() {
    for kind in SMALL {
        let tree = Tree::new(format(kind));
        let free = tree.free();
        let file = tree.create("file").unwrap();
        let mut expected = pattern(1, 10_000);
        file.write(&mut BufferSource::new(&expected)).unwrap();
        file.write_at(700, &mut BufferSource::new(&pattern(2, 3000))).unwrap();
        expected[700..3700].copy_from_slice(&pattern(2, 3000));
        file.write_at(20_000, &mut BufferSource::new(b"behind")).unwrap();
        expected.resize(20_000, 0);
        expected.extend(b"behind");
        assert!(read_whole(&file).unwrap() == expected);
        file.resize(5001, Writer::KERNEL).unwrap();
        // Before anything is committed, where the cut end must not come back.
        file.resize(9000, Writer::KERNEL).unwrap();
        expected.truncate(5001);
        expected.resize(9000, 0);
        assert!(read_whole(&file).unwrap() == expected);
        assert_eq!(tree.append("file", b"end"), Ok(3));
        expected.extend(b"end");
        let extend = |end| file.allocate(Allocation::Extend, Place { start: 0, end }, Writer::KERNEL);
        assert_eq!((extend(9000), extend(9100)), (Ok(()), Ok(())));
        expected.resize(9100, 0);
        let punch = file.allocate(Allocation::Punch, Place { start: 0, end: 10 }, Writer::KERNEL);
        assert_eq!(punch, Err(FileError::Unsupported));
        assert!(read_whole(&file).unwrap() == expected);
        tree.mountable.sync().unwrap();
        let cluster = (kind.sectors * 512) as u64;
        assert_eq!(free - tree.free(), 9100_u64.div_ceil(cluster));
        drop(file);
        tree.write("file", b"new").unwrap();
        tree.mountable.sync().unwrap();
        assert_eq!(free - tree.free(), 1);
        assert_eq!(check_clean(&tree.unmount()).tree["file"], Some(b"new".to_vec()));
    }
}

#[test]
fn a_file_that_was_cut_and_closed_grows_into_clusters_of_its_own_when_it_is_opened_again() {
    for kind in SMALL {
        let tree = Tree::new(format(kind));
        let free = tree.free();
        tree.write("file", &pattern(1, 20_000)).unwrap();
        tree.mountable.sync().unwrap();
        let file = tree.open("file", OpenFlags::READ_WRITE).unwrap();
        file.resize(5001, Writer::KERNEL).unwrap();
        drop(file);
        // What was cut off is not free on the disk yet, and nobody remembers but the file system.
        assert_eq!(tree.append("file", &pattern(2, 9000)), Ok(9000));
        tree.mountable.sync().unwrap();
        let expected = [&pattern(1, 20_000)[..5001], &pattern(2, 9000)].concat();
        assert!(tree.read("file").unwrap() == expected, "{kind:?}");
        let cluster = (kind.sectors * 512) as u64;
        assert_eq!(free - tree.free(), 14_001_u64.div_ceil(cluster));
        assert!(check_clean(&tree.unmount()).tree["file"] == Some(expected));
    }
}

#[test]
fn a_file_is_one_inode_however_it_is_found_and_keeps_its_number_when_it_moves() {
    let tree = Tree::new(format(SMALL[0]));
    tree.mkdir("sub").unwrap();
    tree.write("sub/a file with a long name", b"1").unwrap();
    let file = find(&tree.context, "sub/a file with a long name").unwrap();
    let again = find(&tree.context, "SUB/AFILEW~1").unwrap();
    assert!(Arc::ptr_eq(&file, &again));
    let number = file.id().inode;
    tree.rename("sub/a file with a long name", "moved").unwrap();
    assert!(Arc::ptr_eq(&file, &find(&tree.context, "moved").unwrap()));
    assert_eq!(file.id().inode, number);
    // Whoever gets the place gets another number.
    tree.write("sub/a file with a long name", b"2").unwrap();
    let other = find(&tree.context, "sub/a file with a long name").unwrap();
    assert_ne!(other.id().inode, number);
    let mut numbers = Vec::new();
    find(&tree.context, "/")
        .unwrap()
        .read_directory(2, &mut |entry| {
            numbers.push((entry.name.to_vec(), entry.inode));
            crate::fs::Visit::More
        })
        .unwrap();
    assert!(numbers.contains(&(b"moved".to_vec(), number)));
    drop((file, again, other));
    check_clean(&tree.unmount());
}

#[test]
fn what_was_removed_and_is_open_keeps_its_bytes_and_its_clusters_until_it_is_closed() {
    for kind in SMALL {
        let tree = Tree::new(format(kind));
        let free = tree.free();
        tree.write("file", &pattern(1, 9000)).unwrap();
        let file = tree.open("file", OpenFlags::READ_WRITE).unwrap();
        tree.unlink("file").unwrap();
        assert_eq!(tree.open("file", OpenFlags::empty()).err(), Some(FileError::NotFound));
        tree.write("file", b"another").unwrap();
        tree.mountable.sync().unwrap();
        assert!(tree.free() < free - 9);
        file.write_at(9000, &mut BufferSource::new(&pattern(2, 2000))).unwrap();
        assert!(read_whole(&file).unwrap() == [pattern(1, 9000), pattern(2, 2000)].concat());
        assert_eq!(file.metadata().links, 0);
        drop(file);
        tree.mountable.sync().unwrap();
        assert_eq!(tree.free(), free - 1);
        assert_eq!(check_clean(&tree.unmount()).tree["file"], Some(b"another".to_vec()));
    }
}

#[test]
fn directories_are_made_filled_moved_and_removed() {
    for kind in SMALL {
        let tree = Tree::new(format(kind));
        let free = tree.free();
        tree.mkdir("a").unwrap();
        tree.mkdir("a/b").unwrap();
        tree.mkdir("c").unwrap();
        for number in 0..100 {
            tree.write(&std::format!("a/b/a name of some length {number}"), b"x").unwrap();
        }
        let error = Err(FileError::NotEmpty);
        assert_eq!((tree.rmdir("a/b"), tree.rmdir("a")), (error, error));
        assert_eq!(
            (tree.unlink("a"), tree.rmdir("a/b/a name of some length 3")),
            (Err(FileError::IsDirectory), Err(FileError::NotDirectory))
        );
        assert_eq!(tree.rename("a", "a/b/x"), Err(FileError::Invalid));
        assert_eq!(tree.rename("a/b", "a"), Err(FileError::NotEmpty));
        assert_eq!(tree.rename("c", "a/b"), Err(FileError::NotEmpty));
        tree.rename("a/b", "c/moved").unwrap();
        let moved = find(&tree.context, "c/moved").unwrap();
        assert_eq!(moved.parent().unwrap().id(), find(&tree.context, "c").unwrap().id());
        drop(moved);
        tree.rename("c/moved", "a/back").unwrap();
        tree.mountable.sync().unwrap();
        check_clean(&tree.disk.state().durable.clone());
        for number in 0..100 {
            tree.unlink(&std::format!("a/back/A NAME OF SOME LENGTH {number}")).unwrap();
        }
        tree.rename("c", "a/back").unwrap();
        tree.rmdir("a/back").unwrap();
        // A directory that is worked in has nothing in it any more, and gets nothing.
        let a = find(&tree.context, "a").unwrap();
        tree.rmdir("a").unwrap();
        assert_eq!(a.lookup(b"x").err(), Some(FileError::NotFound));
        assert!(a.parent().is_none());
        drop(a);
        tree.mountable.sync().unwrap();
        assert_eq!(tree.free(), free);
        assert!(check_clean(&tree.unmount()).tree.is_empty());
    }
}

#[test]
fn a_rename_takes_the_place_of_what_is_there() {
    for kind in SMALL {
        let tree = Tree::new(format(kind));
        let free = tree.free();
        tree.mkdir("sub").unwrap();
        tree.write("new", &pattern(1, 3000)).unwrap();
        tree.write("sub/A name that stays as it is", &pattern(2, 5000)).unwrap();
        let old = tree.open("sub/a name that stays as it is", OpenFlags::empty()).unwrap();
        assert_eq!(tree.rename_as("new", "sub/a NAME that stays as it is", IfTaken::Fail), Err(FileError::Exists));
        assert_eq!(tree.rename_as("new", "sub/a NAME that stays as it is", IfTaken::Exchange), Err(FileError::Invalid));
        tree.rename("new", "sub/a NAME that stays as it is").unwrap();
        assert!(read_whole(&old).unwrap() == pattern(2, 5000));
        assert_eq!(tree.names("/"), ["sub"]);
        assert_eq!(tree.names("sub"), ["A name that stays as it is"]);
        assert_eq!(tree.rename("sub", "sub/x"), Err(FileError::Invalid));
        drop(old);
        tree.write("file", b"").unwrap();
        assert_eq!(tree.rename("file", "sub"), Err(FileError::IsDirectory));
        assert_eq!(tree.rename("sub", "file"), Err(FileError::NotDirectory));
        tree.rename("file", "another and longer name.text").unwrap();
        tree.mountable.sync().unwrap();
        let cluster = (kind.sectors * 512) as u64;
        assert_eq!(free - tree.free(), 1 + 3000_u64.div_ceil(cluster));
        let report = check_clean(&tree.unmount());
        assert_eq!(report.tree["sub/A name that stays as it is"], Some(pattern(1, 3000)));
        assert_eq!(report.tree.len(), 3);
    }
}

#[test]
fn what_a_fat_cannot_have_is_refused() {
    let tree = Tree::new(format(SMALL[1]));
    tree.write("file", b"").unwrap();
    let error = Err(FileError::NotPermitted);
    assert_eq!(tree.make("link", Made::Symlink(b"file")), error);
    assert_eq!(tree.make("fifo", Made::Node(FileKind::Fifo, DeviceNumber::NONE)), error);
    let file = find(&tree.context, "file").unwrap();
    assert_eq!(link(&tree.context, &file, Base::Working, b"other", AccessId::ROOT), error);
    assert_eq!(set_owner(&*file, Some(7), None, AccessId::ROOT), error);
    assert_eq!(set_owner(&*file, Some(0), Some(0), AccessId::ROOT), Ok(()));
    assert_eq!(set_permissions(&*file, 0o4755, AccessId::ROOT), error);
    let open = tree.open("file", OpenFlags::READ_WRITE).unwrap();
    let most = u64::from(u32::MAX);
    assert_eq!(open.resize(most + 1, Writer::KERNEL), Err(FileError::TooLarge));
    assert_eq!(open.write_at(most, &mut BufferSource::new(b"x")), Err(FileError::TooLarge));
    assert_eq!(open.resize(2000, Writer { limit: 1000, keeps_set_id: true }), Err(FileError::Limit));
    // A private mapping, or one that only reads.
    assert!(matches!(open.mapping(), Ok(Mapping::Pager(_))));
    assert!(matches!(open.shared_mapping(), Ok(Mapping::ReadOnly(_))));
    drop((file, open));
    check_clean(&tree.unmount());
}

#[test]
fn permissions_and_times_are_kept_as_far_as_an_entry_can() {
    let tree = Tree::new(format(SMALL[2]));
    tree.mkdir("sub").unwrap();
    tree.write("file", b"x").unwrap();
    let permissions = |path: &str| find(&tree.context, path).unwrap().protection().permissions;
    let change = |path, mode| set_permissions(&*find(&tree.context, path).unwrap(), mode, AccessId::ROOT);
    // As on Linux, nobody is told of those that cannot be kept.
    for (path, mode, expected) in [
        ("file", 0o444, 0o755),
        ("file", 0o777, 0o755),
        ("file", 0o555, 0o555),
        ("sub", 0o555, 0o755),
        ("file", 0o600, 0o555),
    ] {
        assert_eq!((change(path, mode), permissions(path)), (Ok(()), expected), "{path} {mode:o}");
    }
    let at = Timestamp { seconds: 1_700_000_001, nanoseconds: 5 };
    let file = find(&tree.context, "file").unwrap();
    set_times(&*file, NewTime::At(at), NewTime::At(at), AccessId::ROOT).unwrap();
    drop(file);
    let tree = Tree::new(tree.unmount());
    assert_eq!(find(&tree.context, "file").unwrap().protection().permissions, 0o555);
    let metadata = find(&tree.context, "file").unwrap().metadata();
    assert_eq!(
        (metadata.modified.seconds, metadata.accessed.seconds),
        (1_700_000_000, 1_700_000_000 / 86_400 * 86_400)
    );
    // A clock that was not set is no reason to write.
    tree.mountable.sync().unwrap();
    assert_eq!(tree.read("file").unwrap(), b"x");
    assert_eq!(find(&tree.context, "file").unwrap().metadata().accessed, metadata.accessed);
    // Times before the first that an entry has.
    assert!(now().seconds < 1_000_000);
    tree.write("old", b"x").unwrap();
    assert_eq!(find(&tree.context, "old").unwrap().metadata().modified.seconds, 315_532_800);
    set_permissions(&*find(&tree.context, "file").unwrap(), 0o755, AccessId::ROOT).unwrap();
    tree.append("file", b"y").unwrap();
    check_clean(&tree.unmount());
}

#[test]
fn a_full_disk_is_an_error_and_what_is_removed_makes_room_at_once() {
    for kind in SMALL {
        let tree = Tree::new(format(kind));
        let free = tree.free();
        let cluster = kind.sectors * 512;
        let file = tree.create("all").unwrap();
        let bytes = pattern(3, usize::try_from(free).unwrap() * cluster + 1);
        let done = bytes.len() - 1;
        assert_eq!(file.write(&mut BufferSource::new(&bytes)), Ok(done));
        assert_eq!((file.write(&mut BufferSource::new(b"x")), tree.free()), (Err(FileError::NoSpace), 0));
        assert_eq!(tree.mkdir("sub"), Err(FileError::NoSpace));
        tree.write("empty", b"").unwrap();
        assert_eq!(tree.append("empty", b"x"), Err(FileError::NoSpace));
        assert_eq!(
            tree.open("empty", OpenFlags::READ_WRITE).unwrap().resize(1, Writer::KERNEL),
            Err(FileError::NoSpace)
        );
        assert!(read_whole(&file).unwrap() == bytes[..done]);
        drop(file);
        tree.unlink("all").unwrap();
        // Nothing was synced, yet there is room.
        assert_eq!(tree.append("empty", b"x"), Ok(1));
        tree.mkdir("sub").unwrap();
        tree.mountable.sync().unwrap();
        assert_eq!(tree.free(), free - 2);
        check_clean(&tree.unmount());
    }
}

#[test]
fn a_root_of_fixed_size_is_full_some_time_and_others_grow() {
    for kind in SMALL {
        let tree = Tree::new(format(kind));
        let mut count = 0;
        let outcome = loop {
            match tree.write(&std::format!("F{count}"), b"") {
                Ok(()) if count == 200 => break Ok(()),
                Ok(()) => count += 1,
                Err(error) => break Err(error),
            }
        };
        let expected = if kind.bits == 32 { (Ok(()), 200) } else { (Err(FileError::NoSpace), 64) };
        assert_eq!((outcome, count), expected);
        tree.unlink("F5").unwrap();
        tree.write("G", b"").unwrap();
        check_clean(&tree.unmount());
    }
}

#[test]
fn a_file_system_that_is_read_only_is_not_changed() {
    let tree = Tree::new(format(SMALL[0]));
    tree.write("file", b"x").unwrap();
    let open = tree.open("file", OpenFlags::READ_WRITE).unwrap();
    assert_eq!(tree.mountable.set_flags(MountFlags::READ_ONLY), Err(FileError::Busy));
    drop(open);
    tree.mountable.set_flags(MountFlags::READ_ONLY).unwrap();
    // It is complete then.
    check_clean(&tree.disk.state().durable.clone());
    let error = Err(FileError::ReadOnly);
    assert_eq!((tree.write("file", b"y"), tree.write("new", b"y"), tree.mkdir("sub")), (error, error, error));
    assert_eq!((tree.unlink("file"), tree.rename("file", "other")), (error, error));
    assert_eq!(tree.read("file").unwrap(), b"x");
    assert!(tree.mountable.root().is_read_only() && tree.mountable.root().file_system().read_only);
    tree.mountable.set_flags(MountFlags::empty()).unwrap();
    tree.write("file", b"y").unwrap();
    let image = tree.unmount();
    // A card whose switch is set.
    let disk = FakeDisk::with(image.clone());
    disk.state().read_only = true;
    let tree = Tree::on(disk.clone());
    assert_eq!(tree.mountable.set_flags(MountFlags::empty()), error);
    assert_eq!((tree.write("file", b"z"), tree.read("file")), (error, Ok(b"y".to_vec())));
    assert_eq!(tree.mountable.sync(), Ok(()));
    assert!(tree.unmount() == image);
}

#[test]
fn the_disk_says_that_it_is_written_to_until_all_is_there() {
    for kind in SMALL {
        let tree = Tree::new(format(kind));
        let is_clean = |tree: &Tree| check(&tree.disk.state().durable).clean;
        tree.write("file", b"x").unwrap();
        assert!(is_clean(&tree), "nothing is there yet");
        tree.fsync("file").unwrap();
        assert!(!is_clean(&tree));
        tree.mountable.sync().unwrap();
        assert!(is_clean(&tree));
        tree.write("file", b"y").unwrap();
        tree.mountable.write_back().unwrap();
        let image = tree.disk.state().durable.clone();
        assert!(!check(&image).clean);
        tree.unmount();
        // What was left open stays marked until somebody has repaired it.
        let disk = FakeDisk::with(image);
        assert!(!check(&Tree::as_wanted(disk.clone(), MountFlags::READ_ONLY).unmount()).clean);
        let tree = Tree::on(disk);
        assert!(is_clean(&tree));
        tree.write("file", b"z").unwrap();
        tree.fsync("file").unwrap();
        assert!(!is_clean(&tree));
        check_clean(&tree.unmount());
    }
}

#[test]
fn what_programs_have_mapped_has_what_is_written_to_the_file() {
    let tree = Tree::new(format(SMALL[2]));
    tree.write("file", &pattern(1, 3 * PAGE_SIZE)).unwrap();
    let file = tree.open("file", OpenFlags::READ_WRITE).unwrap();
    let Ok(Mapping::Pager(pager)) = file.mapping() else { panic!("it can be mapped") };
    let frames = [0, 1, 2].map(|index| pager.page(index).unwrap());
    file.write_at(4000, &mut BufferSource::new(&pattern(2, 5000))).unwrap();
    let mut expected = pattern(1, 3 * PAGE_SIZE);
    expected[4000..9000].copy_from_slice(&pattern(2, 5000));
    let seen = |tree: &Tree| frames.iter().flat_map(|frame| tree.source.contents(*frame).unwrap()).collect::<Vec<_>>();
    assert!(seen(&tree) == expected);
    file.resize(5000, Writer::KERNEL).unwrap();
    expected[5000..2 * PAGE_SIZE].fill(0);
    assert!(seen(&tree)[..2 * PAGE_SIZE] == expected[..2 * PAGE_SIZE]);
    assert!(pager.page(2).is_err());
    frames.into_iter().for_each(|frame| tree.source.release(frame));
    drop((pager, file));
    check_clean(&tree.unmount());
}

/// Each call of a script, with memory for so many objects only, and then again with enough.
#[test]
fn without_memory_calls_fail_and_nothing_is_damaged() {
    fn script(tree: &Tree) -> [Result<(), FileError>; 8] {
        [
            tree.mkdir("sub"),
            tree.write("sub/a long name of a file", &pattern(1, 3000)),
            tree.write("file", &pattern(2, 700)),
            tree.rename("file", "sub/moved to another directory"),
            tree.append("sub/moved to another directory", b"more").map(drop),
            tree.unlink("sub/a long name of a file"),
            tree.rename("sub", "other"),
            tree.mountable.sync(),
        ]
    }
    for kind in SMALL {
        for room in (0..60).step_by(3) {
            let tree = Tree::new(format(kind));
            tree.source.set_room(Some(room));
            for outcome in script(&tree) {
                assert!(
                    matches!(
                        outcome,
                        Ok(()) | Err(FileError::OutOfMemory | FileError::NotFound | FileError::NotDirectory)
                    ),
                    "{outcome:?}"
                );
            }
            tree.source.set_room(None);
            tree.mountable.sync().unwrap();
            let report = check(&tree.disk.state().durable.clone());
            assert!(report.damage.is_empty() && report.untidy.is_empty(), "{room}: {report:?}");
            assert!(report.tree == tree.all());
            tree.unmount();
        }
    }
}

#[test]
fn a_card_that_is_gone_is_an_error_each_time_and_all_is_written_when_it_is_back() {
    let tree = Tree::new(format(SMALL[1]));
    tree.write("file", &pattern(1, 2000)).unwrap();
    tree.mountable.sync().unwrap();
    tree.append("file", &pattern(2, 100)).unwrap();
    tree.write("other", &pattern(3, 6000)).unwrap();
    tree.rename("file", "file with a long name").unwrap();
    tree.disk.state().gone = true;
    for _ in 0..3 {
        assert_eq!(tree.fsync("other"), Err(FileError::Io));
        assert_eq!(tree.mountable.sync(), Err(FileError::Io));
    }
    tree.disk.state().gone = false;
    tree.mountable.sync().unwrap();
    let expected = tree.all();
    assert_eq!(expected.len(), 2);
    assert!(check_clean(&tree.unmount()).tree == expected);
}

#[test]
fn what_is_written_with_o_sync_is_there_at_once() {
    let tree = Tree::new(format(SMALL[2]));
    let flags = OpenFlags::CREATE | OpenFlags::WRITE_ONLY | OpenFlags::DATA_SYNC;
    let file = tree.open("file", flags).unwrap();
    for (more, bytes) in [&b"on"[..], b"e a", b"nd two"].into_iter().zip([2, 5, 11]) {
        file.write(&mut BufferSource::new(more)).unwrap();
        let report = check(&tree.disk.state().durable.clone());
        assert_eq!(report.tree["file"].as_ref().map(Vec::len), Some(bytes));
    }
    drop(file);
    check_clean(&tree.unmount());
}

#[test]
fn what_outlives_its_mount_is_written_all_the_same() {
    let tree = Tree::new(format(SMALL[0]));
    let file = tree.create("file").unwrap();
    let Tree { context, mountable, disk, .. } = tree;
    mountable.set_covered(None).unwrap();
    drop((context, mountable));
    file.write(&mut BufferSource::new(b"late")).unwrap();
    drop(file);
    let report = check_clean(&disk.state().durable.clone());
    assert_eq!(report.tree[&String::from("file")], Some(b"late".to_vec()));
}
