//! Timers that are files.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use proptest::prelude::*;

use super::{MS, every, once, passes_ns};
use crate::fs::{Blocking, BufferSink, FileError, FileOperations as _, Readiness, Watcher};
use crate::proc::fake::{Fake, World};
use crate::proc::tests::support::{Thread, child_of};
use crate::proc::{FileClock, TimerFile, Until, clock_was_set};
use crate::sched::ParkState;
use crate::sync::atomic::AtomicU32;

type File = TimerFile<Fake>;

const READ: Readiness = Readiness::READ.union(Readiness::READ_NORMAL);

fn read(file: &File, blocking: Blocking) -> Result<u64, FileError> {
    let mut bytes = [0; 8];
    let count = file.read(0, blocking, &mut BufferSink::new(&mut bytes))?;
    Ok(if count == bytes.len() { u64::from_ne_bytes(bytes) } else { u64::MAX })
}

fn taken(file: &File) -> Result<u64, FileError> {
    read(file, Blocking::No)
}

/// Sets the wall clock forward, as `clock_settime` does.
fn set_clock(world: &'static World, system: &Thread, by_ns: u64) {
    world.epoch_ns.fetch_add(by_ns, SeqCst);
    world.act(system, clock_was_set::<Fake>);
}

/// Counts what it is told.
#[derive(Default)]
struct Told(AtomicU32);

impl Watcher for Told {
    fn notify(&self, ready: Readiness) {
        assert_eq!(ready, READ);
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn one_that_goes_off_is_told_read_once_and_stands_still() {
    let (world, system, _) = World::new();
    let file = File::new(FileClock::Monotonic);
    let told = Arc::new(Told::default());
    file.watched().unwrap().add(Arc::clone(&told) as _, READ).unwrap();
    assert_eq!(taken(&file), Err(FileError::WouldBlock));
    assert_eq!(file.set(once(100), Until::Length), Ok(once(0)));
    passes_ns(world, &system, 99);
    assert_eq!((file.readiness(), file.left()), (Readiness::empty(), once(1)));
    assert_eq!(told.0.load(SeqCst), 0);
    passes_ns(world, &system, 1);
    assert_eq!((file.readiness(), file.left()), (READ, once(0)));
    assert_eq!(told.0.load(SeqCst), 1);
    passes_ns(world, &system, 1000);
    assert_eq!(taken(&file), Ok(1));
    assert_eq!((file.readiness(), taken(&file)), (Readiness::empty(), Err(FileError::WouldBlock)));
}

#[test]
fn a_buffer_that_is_too_small_takes_nothing() {
    let (world, system, _) = World::new();
    let file = File::new(FileClock::Monotonic);
    file.set(once(1), Until::Length).unwrap();
    passes_ns(world, &system, 1);
    assert_eq!(file.read(0, Blocking::Yes, &mut BufferSink::new(&mut [0; 7])), Err(FileError::Invalid));
    assert_eq!(taken(&file), Ok(1));
}

#[test]
fn what_was_missed_is_read_and_asking_for_what_is_left_lets_it_go_on() {
    let (world, system, _) = World::new();
    let file = File::new(FileClock::Monotonic);
    file.set(every(100, 10), Until::Length).unwrap();
    passes_ns(world, &system, 134);
    assert_eq!(world.processes.alarms.next_ns(), None, "it stands still until somebody asks");
    assert_eq!(file.left(), every(6, 10));
    assert!(world.processes.alarms.next_ns().is_some());
    passes_ns(world, &system, 6);
    assert_eq!(taken(&file), Ok(5));
    assert_eq!(file.left(), every(10, 10));
    assert_eq!(file.set(once(0), Until::Length), Ok(every(10, 10)));
    assert_eq!(world.processes.alarms.next_ns(), None);
}

#[test]
fn setting_it_forgets_what_was_not_read() {
    let (world, system, _) = World::new();
    let file = File::new(FileClock::Monotonic);
    file.set(once(10), Until::Length).unwrap();
    passes_ns(world, &system, 10);
    assert_eq!(file.set(once(10), Until::Length), Ok(once(0)));
    assert_eq!(taken(&file), Err(FileError::WouldBlock));
}

#[test]
fn a_time_that_is_past_is_now_and_one_of_the_monotonic_clock_does_not_follow_the_wall() {
    let (world, system, _) = World::new();
    let now_ns = world.clock_ns.load(SeqCst);
    let (past, mono) = (File::new(FileClock::Wall), File::new(FileClock::Monotonic));
    past.set(once(1), Until::Time).unwrap();
    assert_eq!(taken(&past), Ok(1));
    mono.set(once(now_ns + 50), Until::TimeUnlessSet).unwrap();
    set_clock(world, &system, 1000);
    assert_eq!((taken(&mono), mono.left()), (Err(FileError::WouldBlock), once(50)));
}

#[test]
fn who_sets_the_clock_sets_those_that_wait_for_a_time_of_it() {
    let (world, system, _) = World::new();
    let now_ns = world.clock_ns.load(SeqCst);
    let (time, length) = (File::new(FileClock::Wall), File::new(FileClock::Wall));
    let told = Arc::new(Told::default());
    time.watched().unwrap().add(Arc::clone(&told) as _, READ).unwrap();
    time.set(once(now_ns + 100), Until::Time).unwrap();
    length.set(once(100), Until::Length).unwrap();
    set_clock(world, &system, 60);
    assert_eq!((time.left(), length.left()), (once(40), once(100)));
    passes_ns(world, &system, 40);
    assert_eq!(told.0.load(SeqCst), 1, "its alarm went with it");
    assert_eq!((taken(&time), taken(&length)), (Ok(1), Err(FileError::WouldBlock)));
}

#[test]
fn whoever_wants_to_know_learns_that_the_clock_was_set() {
    let (world, system, _) = World::new();
    let file = File::new(FileClock::Wall);
    file.set(once(MS), Until::TimeUnlessSet).unwrap();
    assert_eq!(taken(&file), Err(FileError::WouldBlock));
    let told = Arc::new(Told::default());
    file.watched().unwrap().add(Arc::clone(&told) as _, READ).unwrap();
    set_clock(world, &system, 1);
    assert_eq!((told.0.load(SeqCst), file.readiness()), (1, READ));
    assert_eq!(taken(&file), Err(FileError::ClockSet));
    assert_eq!(taken(&file), Err(FileError::WouldBlock), "it is told once");
    set_clock(world, &system, 1);
    assert_eq!(file.set(once(2 * MS), Until::TimeUnlessSet), Err(FileError::ClockSet));
    assert!(file.left().value_ns > MS, "it is set all the same");
    set_clock(world, &system, 1);
    assert_eq!(file.set(once(2 * MS), Until::Time).map(drop), Ok(()));
    set_clock(world, &system, 1);
    assert_eq!(taken(&file), Err(FileError::WouldBlock));
}

#[test]
fn a_reader_sleeps_until_it_goes_off() {
    let (world, system, init) = World::new();
    let child = child_of(world, &init);
    let file = File::new(FileClock::Monotonic);
    file.set(once(50), Until::Length).unwrap();
    let reader = Arc::clone(&file);
    let reads = world.run(&child, move |_| read(&reader, Blocking::Yes));
    while child.machine().unwrap().park().state() != ParkState::Parked {
        std::thread::yield_now();
    }
    passes_ns(world, &system, 50);
    assert_eq!(reads.join().unwrap(), Ok(1));
}

#[test]
fn no_memory_is_no_timer_by_the_wall_clock_and_one_that_goes_leaves_nothing() {
    let (world, _, _) = World::new();
    let file = File::new(FileClock::Wall);
    world.room.store(false, SeqCst);
    assert_eq!(file.set(once(MS), Until::Time), Err(FileError::OutOfMemory));
    world.room.store(true, SeqCst);
    file.set(once(MS), Until::Time).unwrap();
    assert!(world.processes.alarms.next_ns().is_some());
    drop(file);
    assert_eq!(world.processes.alarms.next_ns(), None);
    clock_was_set::<Fake>();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 4 } else { 64 }, failure_persistence: None, ..ProptestConfig::default() })]

    /// However it is looked at, each time that it goes off is read once.
    #[test]
    fn no_time_is_lost_and_none_is_read_twice(
        first in 1_u64..1000,
        interval in 1_u64..50,
        steps in prop::collection::vec((0_u64..200, 0_u8..4), 1..50),
    ) {
        let (world, system, _) = World::new();
        let file = File::new(FileClock::Monotonic);
        file.set(every(first, interval), Until::Length).unwrap();
        let (mut now, mut got) = (0, 0);
        for (ns, look) in steps {
            now += ns;
            passes_ns(world, &system, ns);
            let should = if now < first { 0 } else { (now - first) / interval + 1 };
            match look {
                0 => drop(file.left()),
                1 => prop_assert_eq!(file.readiness().is_empty(), should == got),
                _ => got += taken(&file).unwrap_or(0),
            }
            if look > 1 {
                prop_assert_eq!(got, should);
            }
        }
    }
}
