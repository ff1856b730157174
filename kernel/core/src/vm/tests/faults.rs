//! Faults and their outcomes.

use super::*;
use crate::addr::PAGE_SIZE;
use crate::vm::fake::FakeFile;
use crate::vm::{Limits, LockAll, MapFlags, Pager, Source};

const AT: u64 = 0x20_0000;

#[test]
fn reading_costs_no_page_and_writing_one() {
    let machine = Machine::new(16, 64, &[AT, AT + PAGE]);
    let mut space = start(machine, 1);
    map(machine, &mut space, AT, 4, Protection::READ_WRITE);
    assert_eq!(machine.lab.tables.used().len(), 1, "nobody touched it: no tables");
    assert_eq!(load(machine, &mut space, AT), 0);
    assert_eq!(frame(machine, &space, AT), Some(machine.zero_page()));
    store(machine, &mut space, AT, 7);
    store(machine, &mut space, AT + PAGE, 8);
    assert_eq!((load(machine, &mut space, AT), load(machine, &mut space, AT + PAGE)), (7, 8));
    assert_eq!((machine.pages().len(), space.statistics().resident), (2, 2));
    finish(machine, [space]);
}

#[test]
fn the_most_that_was_resident_is_remembered_until_a_fork() {
    let machine = Machine::plain();
    let mut space = start(machine, 1);
    map(machine, &mut space, AT, 4, Protection::READ_WRITE);
    (0..3).for_each(|page| store(machine, &mut space, AT + page * PAGE, 1));
    assert_eq!(space.unmap(machine, UserAddr::new(AT), 2 * PAGE), Ok(()));
    store(machine, &mut space, AT + 3 * PAGE, 1);
    let sizes = |space: &Space| (space.statistics().resident, space.statistics().most_resident);
    assert_eq!(sizes(&space), (2, 3));
    let child = space.fork(machine, Asid(2)).unwrap();
    assert_eq!(sizes(&child), (2, 2), "the child has its own past");
    assert_eq!(sizes(&space), (2, 3));
    finish(machine, [space, child]);
}

#[test]
fn each_outcome_has_its_cause() {
    let machine = Machine::plain();
    let mut space = start(machine, 1);
    let file = FakeFile::new(machine, 4096, 9);
    map(machine, &mut space, AT, 1, Protection::READ);
    map(machine, &mut space, AT + PAGE, 1, Protection::NONE);
    map(machine, &mut space, AT + 2 * PAGE, 1, Protection::READ_EXECUTE);
    map_object(machine, &mut space, AT + 3 * PAGE, 2, Sharing::Private, file);
    let mut outcome = |page: u64, access| fault(machine, &mut space, AT + page * PAGE, access);
    assert_eq!(outcome(0, AccessKind::Read), Fault::Resolved);
    assert_eq!(outcome(0, AccessKind::Write), Fault::Denied);
    assert_eq!(outcome(0, AccessKind::Execute), Fault::Denied);
    assert_eq!(outcome(1, AccessKind::Read), Fault::Denied);
    assert_eq!(outcome(2, AccessKind::Execute), Fault::Resolved);
    assert_eq!(outcome(2, AccessKind::Write), Fault::Denied);
    assert_eq!(outcome(3, AccessKind::Write), Fault::Resolved);
    assert_eq!(outcome(4, AccessKind::Read), Fault::BeyondEnd);
    assert_eq!(outcome(4, AccessKind::Write), Fault::BeyondEnd);
    assert_eq!(outcome(5, AccessKind::Read), Fault::NotMapped);
    assert_eq!(fault(machine, &mut space, 1 << 39, AccessKind::Read), Fault::NotMapped);
    assert_eq!(fault(machine, &mut space, u64::MAX, AccessKind::Read), Fault::NotMapped);
    finish(machine, [space]);
}

#[test]
fn a_fault_without_memory_changes_nothing_and_can_be_tried_again() {
    let machine = Machine::plain();
    let mut space = start(machine, 1);
    map(machine, &mut space, AT, 1, Protection::READ_WRITE);
    for tables in 0..2 {
        machine.lab.tables.set_budget(Some(tables));
        assert_eq!(fault(machine, &mut space, AT, AccessKind::Write), Fault::OutOfMemory);
        assert_eq!(fault(machine, &mut space, AT, AccessKind::Read), Fault::OutOfMemory);
        assert_eq!((machine.pages().len(), machine.lab.tables.used().len()), (0, 1));
    }
    machine.lab.tables.set_budget(None);
    machine.set_page_budget(Some(0));
    assert_eq!(fault(machine, &mut space, AT, AccessKind::Write), Fault::OutOfMemory);
    machine.set_page_budget(None);
    store(machine, &mut space, AT, 1);
    assert_eq!(space.statistics().resident, 1);
    finish(machine, [space]);
}

#[test]
fn a_private_page_of_a_file_is_the_files_own_until_it_is_written() {
    let machine = Machine::new(16, 64, &[AT, AT + PAGE]);
    let mut space = start(machine, 1);
    let file = FakeFile::new(machine, 8192, 9);
    map_object(machine, &mut space, AT, 2, Sharing::Private, file.clone());
    assert_eq!(load(machine, &mut space, AT), 9);
    assert_eq!(machine.pages().len(), 2, "no copy was made");
    store(machine, &mut space, AT, 1);
    store(machine, &mut space, AT + PAGE, 2);
    assert_eq!((load(machine, &mut space, AT), load(machine, &mut space, AT + PAGE)), (1, 2));
    assert_eq!(space.advise(machine, UserAddr::new(AT), 2 * PAGE, crate::vm::Advice::DontNeed), Ok(()));
    assert_eq!((load(machine, &mut space, AT), load(machine, &mut space, AT + PAGE)), (9, 10));
    drop(file);
    finish(machine, [space]);
}

#[test]
fn neighbours_that_are_ready_come_along_within_the_area() {
    let machine = Machine::plain();
    let mut space = start(machine, 1);
    let file = FakeFile::ready(machine, 40 * 4096, 1);
    map_object(machine, &mut space, AT + 4 * PAGE, 30, Sharing::Private, file);
    assert_eq!(load(machine, &mut space, AT + 6 * PAGE), 3);
    assert_eq!(space.statistics().resident, 12, "from the area's beginning to the end of the group");
    assert_eq!(load(machine, &mut space, AT + 15 * PAGE), 12);
    assert!(!is_writable(machine, &space, AT + 5 * PAGE), "it is the file's own page");
    store(machine, &mut space, AT + 5 * PAGE, 99);
    assert_eq!((load(machine, &mut space, AT + 5 * PAGE), load(machine, &mut space, AT + 33 * PAGE)), (99, 30));
    finish(machine, [space]);
}

#[test]
fn neighbours_end_where_the_object_or_the_table_does_and_pages_that_are_there_stay() {
    let machine = Machine::plain();
    let mut space = start(machine, 1);
    let file = FakeFile::ready(machine, 5 * 4096, 1);
    let own: Vec<_> = (0..5).map(|page| file.page(page).unwrap()).collect();
    own.iter().for_each(|&page| machine.release(page));
    // A group of sixteen pages, of which the object has five.
    map_object(machine, &mut space, AT, 16, Sharing::Private, file);
    store(machine, &mut space, AT + 2 * PAGE, 99);
    assert_eq!(space.statistics().resident, 1, "a store brings nothing along");
    assert_eq!(load(machine, &mut space, AT), 1);
    assert_eq!(space.statistics().resident, 5);
    assert_eq!(load(machine, &mut space, AT + 2 * PAGE), 99);
    let counts = machine.pages();
    assert_eq!(own.iter().map(|page| counts[page]).collect::<Vec<_>>(), [2, 2, 1, 2, 2]);
    assert_eq!(fault(machine, &mut space, AT + 5 * PAGE, AccessKind::Read), Fault::BeyondEnd);
    assert_eq!(space.statistics().resident, 5);
    finish(machine, [space]);
}

#[test]
fn what_can_be_executed_was_made_so_before() {
    let machine = Machine::plain();
    let mut space = start(machine, 1);
    let file = FakeFile::new(machine, 4096, 1);
    map_object(machine, &mut space, AT, 1, Sharing::Private, file);
    assert_eq!(load(machine, &mut space, AT), 1);
    assert_eq!(machine.take_executable(), []);
    assert_eq!(space.protect(machine, UserAddr::new(AT), PAGE, Protection::READ_EXECUTE), Ok(()));
    assert_eq!(machine.take_executable(), [frame(machine, &space, AT).unwrap()]);
    map(machine, &mut space, AT + PAGE, 1, Protection::READ_WRITE);
    store(machine, &mut space, AT + PAGE, 7);
    assert_eq!(space.protect(machine, UserAddr::new(AT + PAGE), PAGE, Protection::READ_EXECUTE), Ok(()));
    assert_eq!(machine.take_executable(), [frame(machine, &space, AT + PAGE).unwrap()]);
    finish(machine, [space]);
}

#[test]
fn a_stack_grows_to_its_limit_and_keeps_away_from_what_is_below() {
    let machine = Machine::plain();
    let mut space = start(machine, 1);
    space.set_limits(Limits { stack: 400 * PAGE, ..Limits::DEFAULT });
    let top = space.layout().stack_top.get();
    let request = MapRequest::anonymous(Place::Fixed(UserAddr::new(top - PAGE)), PAGE, Protection::READ_WRITE);
    assert!(space.map(machine, MapRequest { flags: MapFlags::GROWSDOWN, ..request }).is_ok());
    store(machine, &mut space, top - 100 * PAGE, 1);
    assert_eq!(space.statistics().stack, 100);
    store(machine, &mut space, top - 400 * PAGE, 2);
    assert_eq!(fault(machine, &mut space, top - 401 * PAGE, AccessKind::Write), Fault::NotMapped);
    space.set_limits(Limits { stack: 4000 * PAGE, ..Limits::DEFAULT });
    map(machine, &mut space, top - 1000 * PAGE, 1, Protection::READ);
    assert_eq!(fault(machine, &mut space, top - 744 * PAGE, AccessKind::Write), Fault::NotMapped);
    assert_eq!(fault(machine, &mut space, top - 743 * PAGE, AccessKind::Write), Fault::Resolved);
    assert_eq!(space.protect(machine, UserAddr::new(top - 1000 * PAGE), PAGE, Protection::NONE), Ok(()));
    assert_eq!(fault(machine, &mut space, top - 900 * PAGE, AccessKind::Write), Fault::Resolved);
    finish(machine, [space]);
}

#[test]
fn shared_pages_are_seen_by_all_who_map_them() {
    let machine = Machine::new(32, 64, &[AT, AT + PAGE]);
    let mut space = start(machine, 1);
    let request = MapRequest::anonymous(Place::Fixed(UserAddr::new(AT)), 2 * PAGE, Protection::READ_WRITE);
    assert!(space.map(machine, MapRequest { sharing: Sharing::Shared, ..request }).is_ok());
    store(machine, &mut space, AT, 1);
    let mut child = space.fork(machine, Asid(2)).unwrap();
    machine.lab.load_ttbr(Owner::User(2), child.activate());
    store(machine, &mut child, AT, 2);
    store(machine, &mut child, AT + PAGE, 3);
    assert_eq!((load(machine, &mut space, AT), load(machine, &mut space, AT + PAGE)), (2, 3));
    finish(machine, [space, child]);
}

#[test]
fn locked_memory_is_there_at_once_and_ready_to_be_written() {
    let machine = Machine::plain();
    let mut space = start(machine, 1);
    map(machine, &mut space, AT, 3, Protection::READ_WRITE);
    assert_eq!(space.lock(machine, UserAddr::new(AT + 5), PAGE), Ok(()));
    assert_eq!([0, 1, 2].map(|page| is_writable(machine, &space, AT + page * PAGE)), [true, true, false]);
    assert_eq!(space.lock_all(machine, LockAll::Future), Ok(()));
    map(machine, &mut space, AT + 8 * PAGE, 2, Protection::READ_WRITE);
    assert!(is_writable(machine, &space, AT + 9 * PAGE));
    assert_eq!(space.statistics().locked, 4);
    assert_eq!(space.unlock_all(), Ok(()));
    assert_eq!(space.statistics().locked, 0);
    finish(machine, [space]);
}

#[test]
fn pages_that_an_object_has_no_longer_are_asked_for_again() {
    let machine = Machine::plain();
    let mut space = start(machine, 1);
    let file = FakeFile::new(machine, 4 * PAGE_SIZE, 9);
    let object = file.identity();
    map_object(machine, &mut space, AT, 4, Sharing::Shared, Arc::clone(&file) as Arc<dyn Pager>);
    // From its second page on.
    let second = MapRequest {
        place: Place::Fixed(UserAddr::new(AT + 8 * PAGE)),
        bytes: 3 * PAGE,
        protection: Protection::READ_WRITE,
        sharing: Sharing::Private,
        source: Source::File { pager: file, offset: PAGE, max_protection: Protection::READ_WRITE },
        flags: MapFlags::empty(),
    };
    space.map(machine, second).unwrap();
    for page in [0, 1, 2, 3, 8, 9, 10] {
        store(machine, &mut space, AT + page * PAGE, if page < 4 { 5 } else { 7 });
    }
    let there = |space: &Space| [0, 1, 2, 3, 8, 9, 10].map(|page| frame(machine, space, AT + page * PAGE).is_some());
    assert!(!space.forget_object(machine, object + 1, 0, u64::MAX, true), "another object");
    // A hole leaves the program's own copies.
    assert!(space.forget_object(machine, object, 1, 2, false));
    assert_eq!(there(&space), [true, false, true, true, true, true, true]);
    assert!(!space.forget_object(machine, object, 1, 2, false), "nothing is left to forget");
    // A new end does not.
    assert!(space.forget_object(machine, object, 2, u64::MAX, true));
    assert_eq!(there(&space), [true, false, false, false, true, false, false]);
    assert_eq!(load(machine, &mut space, AT + 2 * PAGE), 5, "the object still has it");
    assert_eq!(load(machine, &mut space, AT + 10 * PAGE), 5, "the copy is gone");
    finish(machine, [space]);
}
