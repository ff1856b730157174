use std::collections::BTreeMap;
use std::sync::Arc;
use std::vec::Vec;

use proptest::prelude::*;

use super::support::{open_as_root, tree};
use crate::fs::{DescriptorFlags, Fd, FileTable, OpenFile, OpenFlags, TableError};

const LIMIT: u64 = 100;
const NONE: DescriptorFlags = DescriptorFlags::empty();

fn files(count: usize) -> Vec<Arc<OpenFile>> {
    let context = tree(&[]);
    (0..count).map(|_| open_as_root(&context, "/dev/null", OpenFlags::empty()).unwrap()).collect()
}

fn fd(number: u32) -> Fd {
    Fd::new(number)
}

#[test]
fn the_lowest_free_descriptor_is_taken() {
    let file = files(1).remove(0);
    let mut table = FileTable::new();
    for expected in 0..40 {
        assert_eq!(table.insert(Arc::clone(&file), NONE, Fd::ZERO, LIMIT), Ok(fd(expected)));
    }
    for closed in [33, 5, 17] {
        assert!(table.close(fd(closed)).is_some());
    }
    assert!(table.close(fd(5)).is_none());
    assert!(table.get(fd(5)).is_none());
    assert_eq!(table.insert(Arc::clone(&file), NONE, fd(6), LIMIT), Ok(fd(17)));
    assert_eq!(table.insert(Arc::clone(&file), NONE, Fd::ZERO, LIMIT), Ok(fd(5)));
    assert_eq!(table.insert(Arc::clone(&file), NONE, Fd::ZERO, LIMIT), Ok(fd(33)));
    assert_eq!(table.insert(Arc::clone(&file), NONE, Fd::ZERO, LIMIT), Ok(fd(40)));
}

#[test]
fn limits_are_exact() {
    let file = files(1).remove(0);
    let mut table = FileTable::new();
    for _ in 0..3 {
        assert_eq!(table.check_room(3), Ok(()));
        assert!(table.insert(Arc::clone(&file), NONE, Fd::ZERO, 3).is_ok());
    }
    assert_eq!(table.check_room(3), Err(TableError::Full));
    assert_eq!(table.insert(Arc::clone(&file), NONE, Fd::ZERO, 3), Err(TableError::Full));
    assert_eq!(table.insert(Arc::clone(&file), NONE, Fd::ZERO, 0), Err(TableError::Full));
    assert_eq!(table.duplicate(fd(0), fd(3), NONE, 3), Err(TableError::Invalid));
    assert_eq!(table.duplicate(fd(9), fd(0), NONE, 3), Err(TableError::BadFile));
    assert_eq!(table.duplicate_to(fd(0), fd(3), NONE, 3).err(), Some(TableError::BadFile));
    assert!(table.duplicate_to(fd(0), fd(2), NONE, 3).unwrap().is_some());
    // A limit that has been lowered closes nothing.
    assert!(table.get(fd(2)).is_some());
    assert_eq!(table.insert(file, NONE, Fd::ZERO, 2), Err(TableError::Full));
}

#[test]
fn a_negative_descriptor_is_not_open() {
    let mut table = FileTable::new();
    assert!(table.get(fd(u32::MAX)).is_none());
    assert!(table.close(fd(u32::MAX)).is_none());
    assert!(table.flags(fd(u32::MAX)).is_none());
    assert!(table.close_next(fd(u32::MAX), fd(u32::MAX)).is_none());
}

#[test]
fn f60_descriptors_marked_close_on_fork_are_not_copied() {
    let file = files(1).remove(0);
    let mut table = FileTable::new();
    for flags in [NONE, DescriptorFlags::CLOSE_ON_FORK, DescriptorFlags::CLOSE_ON_EXEC, DescriptorFlags::all()] {
        assert!(table.insert(Arc::clone(&file), flags, Fd::ZERO, LIMIT).is_ok());
    }
    let child = table.for_fork().unwrap();
    let open: Vec<_> = child.iter().map(|(fd, _)| (fd.get(), child.flags(fd))).collect();
    assert_eq!(open, [(0, Some(NONE)), (2, Some(DescriptorFlags::CLOSE_ON_EXEC))]);
    assert_eq!(Arc::strong_count(&file), 7);
    drop((table, child));
    assert_eq!(Arc::strong_count(&file), 1);
}

#[test]
fn exec_closes_what_is_marked() {
    let file = files(1).remove(0);
    let mut table = FileTable::new();
    for number in 0..50 {
        let flags = if number % 3 == 0 { DescriptorFlags::CLOSE_ON_EXEC } else { NONE };
        assert!(table.insert(Arc::clone(&file), flags, Fd::ZERO, LIMIT).is_ok());
    }
    let mut closed = Vec::new();
    let mut from = Fd::ZERO;
    while let Some((fd, _file)) = table.close_next_on_exec(from) {
        closed.push(fd.get());
        from = fd.next().unwrap();
    }
    assert_eq!(closed, (0..50).filter(|n| n % 3 == 0).collect::<Vec<_>>());
    assert!(table.iter().all(|(fd, _)| fd.get() % 3 != 0));
}

#[derive(Clone, Debug)]
enum Step {
    Insert { file: usize, flags: u32, least: u32 },
    Duplicate { fd: u32, least: u32, flags: u32 },
    DuplicateTo { fd: u32, to: u32, flags: u32 },
    Close(u32),
    CloseRange(u32, u32),
    Mark(u32, u32),
    SetFlags(u32, u32),
    Exec,
    Fork,
}

fn step() -> impl Strategy<Value = Step> {
    let fd = || prop_oneof![4 => 0_u32..8, 2 => 0_u32..70, 1 => 95_u32..105, 1 => Just(u32::MAX)];
    let flags = || 0_u32..4;
    prop_oneof![
        6 => (0_usize..4, flags(), fd()).prop_map(|(file, flags, least)| Step::Insert { file, flags, least }),
        2 => (fd(), fd(), flags()).prop_map(|(fd, least, flags)| Step::Duplicate { fd, least, flags }),
        2 => (fd(), fd(), flags()).prop_map(|(fd, to, flags)| Step::DuplicateTo { fd, to, flags }),
        4 => fd().prop_map(Step::Close),
        1 => (fd(), fd()).prop_map(|(first, last)| Step::CloseRange(first, last)),
        1 => (fd(), fd()).prop_map(|(first, last)| Step::Mark(first, last)),
        1 => (fd(), flags()).prop_map(|(fd, flags)| Step::SetFlags(fd, flags)),
        1 => Just(Step::Exec),
        1 => Just(Step::Fork),
    ]
}

/// A map from descriptors to the number of a file and flags.
type Model = BTreeMap<u32, (usize, u32)>;

fn lowest(model: &Model, least: u32) -> Result<u32, TableError> {
    if u64::from(least) >= LIMIT {
        return Err(if least == 0 { TableError::Full } else { TableError::Invalid });
    }
    (least..100).find(|fd| !model.contains_key(fd)).ok_or(TableError::Full)
}

fn apply(table: &mut FileTable, model: &mut Model, files: &[Arc<OpenFile>], step: &Step) {
    let flags_of = DescriptorFlags::from_bits_truncate;
    match *step {
        Step::Insert { file, flags, least } => {
            let expected = lowest(model, least);
            let got = table.insert(Arc::clone(&files[file]), flags_of(flags), fd(least), LIMIT);
            assert_eq!(got.map(Fd::get), expected);
            expected.ok().and_then(|fd| model.insert(fd, (file, flags)));
        }
        Step::Duplicate { fd: from, least, flags } => {
            let expected = model
                .get(&from)
                .copied()
                .ok_or(TableError::BadFile)
                .and_then(|(file, _)| Ok((file, lowest(model, least)?)));
            let got = table.duplicate(fd(from), fd(least), flags_of(flags), LIMIT);
            assert_eq!(got.map(Fd::get), expected.map(|(_, fd)| fd));
            expected.ok().and_then(|(file, fd)| model.insert(fd, (file, flags)));
        }
        Step::DuplicateTo { fd: from, to, flags } => {
            let file = model.get(&from).map(|&(file, _)| file).filter(|_| u64::from(to) < LIMIT);
            let got = table.duplicate_to(fd(from), fd(to), flags_of(flags), LIMIT);
            match file {
                None => assert_eq!(got.err(), Some(TableError::BadFile)),
                Some(file) => {
                    let before = model.insert(to, (file, flags));
                    assert_eq!(got.unwrap().is_some(), before.is_some());
                }
            }
        }
        Step::Close(number) => assert_eq!(table.close(fd(number)).is_some(), model.remove(&number).is_some()),
        Step::CloseRange(first, last) => {
            while table.close_next(fd(first), fd(last)).is_some() {}
            model.retain(|&fd, _| fd < first || fd > last);
        }
        Step::Mark(first, last) => {
            table.mark_close_on_exec(fd(first), fd(last));
            for (_, (_, flags)) in model.iter_mut().filter(|(fd, _)| (first..=last).contains(fd)) {
                *flags |= 1;
            }
        }
        Step::SetFlags(number, flags) => {
            let got = table.set_flags(fd(number), flags_of(flags));
            assert_eq!(got.is_ok(), model.get_mut(&number).map(|entry| entry.1 = flags).is_some());
        }
        Step::Exec => {
            while table.close_next_on_exec(Fd::ZERO).is_some() {}
            model.retain(|_, (_, flags)| *flags & 1 == 0);
        }
        Step::Fork => {
            *table = table.for_fork().unwrap();
            model.retain(|_, (_, flags)| *flags & 2 == 0);
        }
    }
}

proptest! {
    #![proptest_config(super::support::doses(4, 500))]

    #[test]
    fn the_table_is_a_map(steps in proptest::collection::vec(step(), 1..120)) {
        let files = files(4);
        let (mut table, mut model) = (FileTable::new(), Model::new());
        for step in &steps {
            apply(&mut table, &mut model, &files, step);
            let number = |file: &Arc<OpenFile>| files.iter().position(|other| Arc::ptr_eq(file, other)).unwrap();
            let open: Model = table
                .iter()
                .map(|(fd, file)| (fd.get(), (number(file), table.flags(fd).unwrap().bits())))
                .collect();
            prop_assert_eq!(&open, &model, "after {:?}", step);
        }
        drop(table);
        prop_assert!(files.iter().all(|file| Arc::strong_count(file) == 1));
    }
}
