//! Locks, by the host's threads and against a table of bytes.

use std::boxed::Box;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::vec::Vec;

use proptest::prelude::*;

use super::support::{file, open_as_root, tree};
use crate::fs::{
    Blocking, Context, DescriptorFlags, DeviceNumber, Fd, FileError, FileId, FileLocks, FileTable, LockKeeper,
    LockKind, LockOwner, LockRange, OpenFlags, RangeLock,
};
use crate::sched::fake::HostSwitch;

type Locks = FileLocks<HostSwitch>;

const FILE: FileId = FileId { device: DeviceNumber::new(0, 1), inode: 7 };
const OTHER: FileId = FileId { device: DeviceNumber::new(0, 1), inode: 8 };
const ONE: LockOwner = LockOwner::Table(1);
const TWO: LockOwner = LockOwner::Table(2);
const THREE: LockOwner = LockOwner::Table(3);
const OPEN: LockOwner = LockOwner::File(2);
use LockKind::{Exclusive, Shared};

fn lock(owner: LockOwner, kind: LockKind, first: u64, last: u64) -> RangeLock {
    RangeLock { owner, pid: 5, kind, range: LockRange { first, last } }
}

fn try_set(locks: &Locks, lock: RangeLock) -> Result<(), FileError> {
    locks.set(FILE, lock, Blocking::No)
}

#[test]
fn readers_share_and_a_writer_is_alone() {
    let locks = Locks::new();
    assert_eq!(try_set(&locks, lock(ONE, Shared, 0, 9)), Ok(()));
    assert_eq!(try_set(&locks, lock(TWO, Shared, 5, 20)), Ok(()));
    assert_eq!(try_set(&locks, lock(OPEN, Exclusive, 8, 12)), Err(FileError::WouldBlock));
    assert_eq!(try_set(&locks, lock(OPEN, Exclusive, 21, LockRange::END)), Ok(()));
    assert_eq!(locks.set(OTHER, lock(OPEN, Exclusive, 0, 9), Blocking::No), Ok(()));
    assert_eq!(locks.conflict(FILE, &lock(THREE, Exclusive, 6, 30)), Some(lock(ONE, Shared, 0, 9)));
    assert_eq!(locks.conflict(FILE, &lock(THREE, Shared, 6, 30)), Some(lock(OPEN, Exclusive, 21, LockRange::END)));
    locks.unset(FILE, ONE, LockRange { first: 0, last: LockRange::END }).unwrap();
    locks.closed(TWO, FILE);
    assert_eq!(try_set(&locks, lock(THREE, Exclusive, 0, 20)), Ok(()));
    // An owner does not stand in his own way.
    assert_eq!(try_set(&locks, lock(THREE, Shared, 0, 10)), Ok(()));
    assert_eq!(try_set(&locks, lock(ONE, Shared, 0, 10)), Ok(()));
    assert_eq!(try_set(&locks, lock(ONE, Shared, 11, 11)), Err(FileError::WouldBlock));
}

#[test]
fn who_is_gone_has_no_locks() {
    let locks = Locks::new();
    locks.lock_whole(FILE, 2, Exclusive, Blocking::No).unwrap();
    try_set(&locks, lock(OPEN, Exclusive, 0, 9)).unwrap();
    locks.set(OTHER, lock(OPEN, Exclusive, 0, 9), Blocking::No).unwrap();
    locks.gone(OPEN);
    assert_eq!(locks.lock_whole(FILE, 3, Exclusive, Blocking::No), Ok(()));
    assert_eq!(locks.conflict(FILE, &lock(ONE, Exclusive, 0, 99)), None);
    assert_eq!(locks.conflict(OTHER, &lock(ONE, Exclusive, 0, 99)), None);
}

#[test]
fn locks_of_whole_files_and_of_ranges_do_not_see_each_other() {
    let locks = Locks::new();
    locks.lock_whole(FILE, 1, Exclusive, Blocking::No).unwrap();
    assert_eq!(try_set(&locks, lock(TWO, Exclusive, 0, 9)), Ok(()));
    assert_eq!(locks.lock_whole(FILE, 2, Shared, Blocking::No), Err(FileError::WouldBlock));
    assert_eq!(locks.lock_whole(FILE, 1, Shared, Blocking::No), Ok(()));
    assert_eq!(locks.lock_whole(FILE, 2, Shared, Blocking::No), Ok(()));
    assert_eq!(locks.lock_whole(FILE, 2, Exclusive, Blocking::No), Err(FileError::WouldBlock));
    // Which took what it had.
    assert_eq!(locks.lock_whole(FILE, 1, Exclusive, Blocking::No), Ok(()));
    locks.unlock_whole(FILE, 1);
    assert_eq!(locks.lock_whole(FILE, 2, Exclusive, Blocking::No), Ok(()));
}

#[test]
fn who_waits_gets_the_lock_when_it_is_given_up() {
    let locks = Locks::new();
    try_set(&locks, lock(ONE, Exclusive, 0, 9)).unwrap();
    locks.lock_whole(OTHER, 1, Shared, Blocking::No).unwrap();
    let given_up = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let waiters = [
            scope.spawn(|| {
                locks.set(FILE, lock(TWO, Shared, 9, 20), Blocking::Yes).map(|()| given_up.load(Ordering::SeqCst))
            }),
            scope.spawn(|| {
                locks.set(FILE, lock(OPEN, Shared, 0, 3), Blocking::Yes).map(|()| given_up.load(Ordering::SeqCst))
            }),
            scope.spawn(|| {
                locks.lock_whole(OTHER, 2, Exclusive, Blocking::Yes).map(|()| given_up.load(Ordering::SeqCst))
            }),
        ];
        given_up.store(true, Ordering::SeqCst);
        locks.closed(ONE, FILE);
        locks.unlock_whole(OTHER, 1);
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap(), Ok(true));
        }
    });
}

#[test]
fn who_would_wait_for_himself_is_told() {
    let locks = Locks::new();
    try_set(&locks, lock(ONE, Exclusive, 1, 1)).unwrap();
    try_set(&locks, lock(TWO, Exclusive, 2, 2)).unwrap();
    try_set(&locks, lock(THREE, Exclusive, 3, 3)).unwrap();
    std::thread::scope(|scope| {
        let one = scope.spawn(|| locks.set(FILE, lock(ONE, Exclusive, 2, 2), Blocking::Yes));
        let two = scope.spawn(|| locks.set(FILE, lock(TWO, Exclusive, 3, 3), Blocking::Yes));
        // Whenever both wait the third would close the ring; before that it has to wait itself.
        while locks.set(FILE, lock(THREE, Exclusive, 1, 1), Blocking::No) != Err(FileError::WouldBlock)
            || !locks.is_ring(THREE, ONE)
        {
            std::thread::yield_now();
        }
        assert_eq!(locks.set(FILE, lock(THREE, Exclusive, 1, 1), Blocking::Yes), Err(FileError::Deadlock));
        locks.closed(THREE, FILE);
        assert_eq!(two.join().unwrap(), Ok(()));
        locks.closed(TWO, FILE);
        assert_eq!(one.join().unwrap(), Ok(()));
    });
}

#[test]
fn closing_any_descriptor_ends_the_locks_of_the_table() {
    static LOCKS: Locks = FileLocks::new();
    let context: Context = tree(&[file("file", b"x"), file("other", b"x")]);
    let open = |path| open_as_root(&context, path, OpenFlags::READ_WRITE).unwrap();
    let (one, two, other) = (open("file"), open("file"), open("other"));
    let id = one.inode().id();
    // A table that owns locks stays where it is.
    let mut table = Box::new(FileTable::new());
    let fds: Vec<Fd> = [&one, &two, &other]
        .map(|file| table.insert(Arc::clone(file), DescriptorFlags::empty(), Fd::ZERO, 10).unwrap())
        .into();
    let owner = table.lock_owner(&LOCKS);
    let set = |owner| LOCKS.set(id, lock(owner, Exclusive, 0, 9), Blocking::No);
    set(owner).unwrap();
    drop(table.close(fds[2]));
    assert_eq!(set(TWO), Err(FileError::WouldBlock));
    // Not the one that it was set through.
    drop(table.close(fds[1]));
    assert_eq!(set(TWO), Ok(()));
    LOCKS.gone(TWO);
    // In the place of another, and with the table.
    set(owner).unwrap();
    table.insert(Arc::clone(&other), DescriptorFlags::empty(), Fd::ZERO, 10).unwrap();
    drop(table.duplicate_to(Fd::new(1), fds[0], DescriptorFlags::empty(), 10).unwrap());
    assert_eq!(set(TWO), Ok(()));
    LOCKS.gone(TWO);
    set(owner).unwrap();
    drop(table);
    assert_eq!(set(TWO), Ok(()));
    // An open file's go with it.
    LOCKS.gone(TWO);
    set(LockOwner::File(one.lock_owner(&LOCKS))).unwrap();
    assert_eq!(set(TWO), Err(FileError::WouldBlock));
    drop(one);
    assert_eq!(set(TWO), Ok(()));
}

/// What each owner has, byte by byte.
type Bytes = BTreeMap<(u64, u8), LockKind>;

fn conflicts(bytes: &Bytes, owner: u8, kind: LockKind, range: LockRange) -> bool {
    bytes.iter().any(|(&(byte, other), &has)| {
        other != owner && (range.first..=range.last).contains(&byte) && (has == Exclusive || kind == Exclusive)
    })
}

proptest! {
    #![proptest_config(super::support::doses(4, 500))]

    #[test]
    fn ranges_are_what_a_table_of_bytes_says(
        steps in proptest::collection::vec((0_u8..3, proptest::option::of(any::<bool>()), 0_u64..12, 0_u64..12), 1..60),
    ) {
        let locks = Locks::new();
        let mut bytes = Bytes::new();
        let owner = |number: u8| LockOwner::Table(number.into());
        for (number, kind, one, other) in steps {
            let range = LockRange { first: one.min(other), last: one.max(other) };
            let kind = kind.map(|exclusive| if exclusive { Exclusive } else { Shared });
            let mine = (range.first..=range.last).map(|byte| (byte, number));
            match kind {
                None => {
                    locks.unset(FILE, owner(number), range).unwrap();
                    bytes.retain(|byte, _| !mine.clone().any(|my_byte| my_byte == *byte));
                }
                Some(kind) => {
                    let found = try_set(&locks, RangeLock { owner: owner(number), pid: 1, kind, range });
                    let expected = conflicts(&bytes, number, kind, range);
                    prop_assert_eq!(found, if expected { Err(FileError::WouldBlock) } else { Ok(()) });
                    if !expected {
                        bytes.extend(mine.map(|byte| (byte, kind)));
                    }
                }
            }
            for byte in 0..12 {
                for kind in [Shared, Exclusive] {
                    let range = LockRange { first: byte, last: byte };
                    let found = locks.conflict(FILE, &RangeLock { owner: owner(9), pid: 1, kind, range });
                    prop_assert_eq!(found.is_some(), conflicts(&bytes, 9, kind, range));
                }
            }
        }
    }
}
