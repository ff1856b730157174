//! Sets of watched files.

use std::boxed::Box;
use std::sync::{Arc, mpsc};
use std::thread;
use std::vec::Vec;

use super::support::{PARKING, error, interrupted, open_as_root, tree, until_asleep};
use crate::fs::epoll::{Epoll, Manner, Nesting, Wish};
use crate::fs::pipe::Pipes;
use crate::fs::{
    BufferSink, BufferSource, EventCounter, FileError, FileOperations as _, Nameless, OpenFile, OpenFlags, Readiness,
    Taking, Timestamp,
};
use crate::hal::UserFault;
use crate::sched::Switch;
use crate::sched::fake::{HostSwitch, NOW_NS};

type Set = Epoll<HostSwitch>;

static NESTING: Nesting<HostSwitch> = Nesting::new();

const READ: Readiness = Readiness::READ;

fn pipe() -> (Arc<OpenFile>, Arc<OpenFile>) {
    let pipes: &'static Pipes<HostSwitch> = Box::leak(Box::default());
    pipes.open((0, 0), Timestamp::default(), OpenFlags::empty(), true, &PARKING).unwrap()
}

/// The open file of a set.
fn file_of(set: &Arc<Set>) -> Arc<OpenFile> {
    OpenFile::new(
        Nameless::new("[eventpoll]", Timestamp::default()),
        Arc::clone(set) as _,
        OpenFlags::READ_WRITE,
        &PARKING,
    )
}

fn wish(interest: Readiness, manner: Manner, data: u64) -> Wish {
    Wish { interest, manner, data }
}

fn add(set: &Arc<Set>, file: &Arc<OpenFile>, manner: Manner, data: u64) -> Result<(), FileError> {
    set.add(3, file, wish(READ, manner, data), &NESTING)
}

fn write(file: &OpenFile) {
    assert_eq!(file.write(&mut BufferSource::new(b"x")), Ok(1));
}

fn wait(set: &Set, most: usize, deadline_ns: Option<u64>) -> Result<Vec<(u64, Readiness)>, FileError> {
    let mut told = Vec::new();
    set.wait(most, deadline_ns, &mut |found, data| {
        told.push((data, found));
        Ok(())
    })?;
    Ok(told)
}

fn told(set: &Set) -> Vec<u64> {
    wait(set, 8, Some(0)).unwrap().into_iter().map(|(data, _)| data).collect()
}

#[test]
fn what_is_so_is_told_again_an_edge_once_and_a_one_shot_until_it_is_asked_anew() {
    for (manner, times) in [(Manner::empty(), 3), (Manner::EDGE, 1), (Manner::ONE_SHOT, 1)] {
        let (set, (reader, writer)) = (Set::new(), pipe());
        add(&set, &reader, manner, 5).unwrap();
        assert_eq!(told(&set), []);
        write(&writer);
        let count: usize = (0..3).map(|_| told(&set).len()).sum();
        assert_eq!(count, times, "{manner:?}");
        write(&writer);
        assert_eq!(told(&set).len(), usize::from(manner != Manner::ONE_SHOT));
        set.change(3, &reader, wish(READ, manner, 6)).unwrap();
        assert_eq!(told(&set), [6]);
    }
}

#[test]
fn what_there_is_no_room_for_is_told_the_next_time() {
    let (set, pipes) = (Set::new(), [pipe(), pipe(), pipe()]);
    for ((reader, writer), data) in pipes.iter().zip(0..) {
        add(&set, reader, Manner::EDGE, data).unwrap();
        write(writer);
    }
    assert_eq!(wait(&set, 2, Some(0)).unwrap().len(), 2);
    assert_eq!(told(&set), [2]);
}

#[test]
fn what_could_not_be_stored_is_not_lost() {
    let (set, (reader, writer)) = (Set::new(), pipe());
    add(&set, &reader, Manner::ONE_SHOT, 1).unwrap();
    write(&writer);
    let fault = UserFault { at: crate::addr::UserAddr::new(8) };
    assert_eq!(set.wait(1, Some(0), &mut |_, _| Err(fault)), Err(FileError::Fault(fault)));
    assert_eq!(told(&set), [1]);
}

#[test]
fn a_file_that_is_gone_leaves_its_sets_and_a_set_that_is_gone_its_files() {
    let (set, other, (reader, writer)) = (Set::new(), Set::new(), pipe());
    for set in [&set, &other] {
        add(set, &reader, Manner::empty(), 1).unwrap();
        set.add(4, &writer, wish(Readiness::WRITE, Manner::empty(), 2), &NESTING).unwrap();
    }
    let copy = Arc::clone(&reader);
    write(&writer);
    drop(reader);
    assert_eq!(told(&set), [2, 1]);
    let pipe_of = Arc::downgrade(copy.inode());
    drop(copy);
    assert_eq!(wait(&set, 8, Some(0)).unwrap(), [(2, Readiness::WRITE | Readiness::ERROR)]);
    drop(set);
    assert_eq!(told(&other), [2]);
    drop(writer);
    assert_eq!(told(&other), []);
    assert_eq!(pipe_of.strong_count(), 0, "nobody keeps the pipe");
}

#[test]
fn what_was_taken_out_is_told_no_more() {
    let (set, (reader, writer)) = (Set::new(), pipe());
    assert_eq!(set.remove(3, &reader), Err(FileError::NotFound));
    add(&set, &reader, Manner::empty(), 1).unwrap();
    assert_eq!(add(&set, &reader, Manner::empty(), 1), Err(FileError::Exists));
    write(&writer);
    set.remove(3, &reader).unwrap();
    write(&writer);
    assert_eq!(told(&set), []);
    assert_eq!(reader.operations().map(Arc::strong_count), Some(1));
    let null = open_as_root(&tree(&[]), "/dev/null", OpenFlags::empty()).unwrap();
    assert_eq!(add(&set, &null, Manner::empty(), 1), Err(FileError::NotPermitted));
}

#[test]
fn a_sleeper_is_woken_by_each_of_the_files_and_by_a_signal() {
    let (set, pipes, (tell, told)) = (Set::new(), [pipe(), pipe()], mpsc::channel());
    for ((reader, _), data) in pipes.iter().zip(0..) {
        add(&set, reader, Manner::EDGE, data).unwrap();
    }
    let other = Arc::clone(&set);
    let sleeper = thread::spawn(move || {
        tell.send(HostSwitch::current()).unwrap();
        wait(&other, 8, None).unwrap()
    });
    until_asleep(&told.recv().unwrap());
    write(&pipes[1].1);
    assert_eq!(sleeper.join().unwrap(), [(1, READ)]);
    let other = Arc::clone(&set);
    assert_eq!(error(interrupted(move || wait(&other, 8, None))), Some(FileError::Interrupted));
    assert_eq!(wait(&set, 8, Some(NOW_NS)).unwrap(), []);
}

#[test]
fn a_set_in_a_set_is_ready_when_one_of_its_files_is() {
    let (outer, inner, (reader, writer)) = (Set::new(), Set::new(), pipe());
    let inner_file = file_of(&inner);
    add(&inner, &reader, Manner::empty(), 1).unwrap();
    add(&outer, &inner_file, Manner::empty(), 2).unwrap();
    assert_eq!((told(&outer), inner_file.readiness()), (Vec::new(), Ok(Readiness::empty())));
    write(&writer);
    assert_eq!(told(&outer), [2]);
    assert_eq!(told(&inner), [1]);
    reader.read(&mut BufferSink::new(&mut [0])).unwrap();
    assert_eq!(told(&outer), []);
}

#[test]
fn loops_and_high_towers_are_refused_from_wherever_they_are_built() {
    let sets: Vec<_> = (0..7).map(|_| Set::new()).collect();
    let files: Vec<_> = sets.iter().map(file_of).collect();
    // From the top down.
    for at in 0..4 {
        add(&sets[at], &files[at + 1], Manner::empty(), 0).unwrap();
    }
    assert_eq!(add(&sets[4], &files[5], Manner::empty(), 0), Err(FileError::TooManyLinks));
    assert_eq!(add(&sets[4], &files[0], Manner::empty(), 0), Err(FileError::TooManyLinks));
    // From the bottom up.
    assert_eq!(add(&sets[6], &files[0], Manner::empty(), 0), Err(FileError::TooManyLinks));
    // In the middle, once there is room.
    sets[3].remove(3, &files[4]).unwrap();
    add(&sets[6], &files[0], Manner::empty(), 0).unwrap();
    assert_eq!(add(&sets[3], &files[4], Manner::empty(), 0), Err(FileError::TooManyLinks));
}

#[test]
fn a_counter_takes_all_or_one_and_is_ready_while_there_is_something() {
    for (taking, first) in [(Taking::All, 5), (Taking::One, 1)] {
        let counter = EventCounter::<HostSwitch>::new(2, taking);
        let blocking = crate::fs::Blocking::No;
        let add = |more: u64| counter.write(0, blocking, &mut BufferSource::new(&more.to_ne_bytes()));
        let take = || {
            let mut bytes = [0; 8];
            counter.read(0, blocking, &mut BufferSink::new(&mut bytes)).map(|_| u64::from_ne_bytes(bytes))
        };
        assert_eq!(add(3), Ok(8));
        assert_eq!(take(), Ok(first));
        while take().is_ok() {}
        assert_eq!(take(), Err(FileError::WouldBlock));
        assert!(!counter.readiness().contains(READ));
        assert_eq!(add(u64::MAX), Err(FileError::Invalid));
        assert_eq!(add(u64::MAX - 1), Ok(8));
        assert_eq!(add(1), Err(FileError::WouldBlock));
        assert_eq!(counter.readiness(), READ | Readiness::READ_NORMAL);
        assert_eq!(counter.read(0, blocking, &mut BufferSink::new(&mut [0; 7])), Err(FileError::Invalid));
    }
}

#[test]
fn a_counters_reader_and_writer_wait_for_each_other() {
    let counter = EventCounter::<HostSwitch>::new(0, Taking::All);
    let (other, (tell, told)) = (Arc::clone(&counter), mpsc::channel());
    let blocking = crate::fs::Blocking::Yes;
    let reader = thread::spawn(move || {
        tell.send(HostSwitch::current()).unwrap();
        let mut bytes = [0; 8];
        other.read(0, blocking, &mut BufferSink::new(&mut bytes)).map(|_| u64::from_ne_bytes(bytes))
    });
    until_asleep(&told.recv().unwrap());
    counter.write(0, blocking, &mut BufferSource::new(&7_u64.to_ne_bytes())).unwrap();
    assert_eq!(reader.join().unwrap(), Ok(7));
    let other = Arc::clone(&counter);
    let read = move || other.read(0, blocking, &mut BufferSink::new(&mut [0; 8]));
    assert_eq!(interrupted(read), Err(FileError::Interrupted));
}
