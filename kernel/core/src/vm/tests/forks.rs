//! Fork: what it costs, and what each side has afterwards.

use super::*;
use crate::vm::{Advice, ForkError, Inheritance, Limits, Overcommit};

const AT: u64 = 0x20_0000;

fn fork(machine: &Machine, space: &mut Space, tag: u16) -> Space {
    let mut child = space.fork(machine, Asid(tag)).expect("there is memory");
    machine.lab.load_ttbr(Owner::User(tag), child.activate());
    child
}

#[test]
fn fork_takes_one_frame_whatever_is_mapped() {
    for pages in [1, 100, 900] {
        let machine = Machine::plain();
        let mut space = start(machine, 1);
        map(machine, &mut space, AT, pages, Protection::READ_WRITE);
        for page in 0..pages {
            store(machine, &mut space, AT + page * PAGE, 1);
        }
        let before = (machine.lab.tables.used().len(), machine.pages());
        let child = fork(machine, &mut space, 2);
        assert_eq!((machine.lab.tables.used().len(), machine.pages()), (before.0 + 1, before.1));
        assert!(space.areas.is_shared());
        assert_eq!(child.statistics(), space.statistics());
        finish(machine, [child, space]);
    }
}

#[test]
fn forking_a_page_that_is_shared_already_keeps_it_from_being_written() {
    let machine = Machine::new(64, 64, &[AT]);
    let mut space = start(machine, 1);
    map(machine, &mut space, AT, 1, Protection::READ_WRITE);
    store(machine, &mut space, AT, 1);
    let mut child = fork(machine, &mut space, 2);
    let mut grandchild = fork(machine, &mut child, 3);
    let mut sibling = fork(machine, &mut space, 4);
    for (value, space) in (2..).zip([&mut grandchild, &mut space, &mut sibling]) {
        store(machine, space, AT, value);
    }
    let mut all = [space, child, grandchild, sibling];
    assert_eq!(all.each_mut().map(|space| load(machine, space, AT)), [3, 1, 2, 4]);
    finish(machine, all);
}

#[test]
fn no_page_below_a_table_that_was_shared_stays_writable_for_both() {
    let machine = Machine::new(64, 4096, &[AT, AT + PAGE, AT + (2 << 20)]);
    let mut space = start(machine, 1);
    let pages = [AT, AT + PAGE, AT + (2 << 20)];
    map(machine, &mut space, AT, 1024, Protection::READ_WRITE);
    pages.into_iter().for_each(|at| store(machine, &mut space, at, 1));
    let mut child = fork(machine, &mut space, 2);
    store(machine, &mut child, AT, 2);
    for at in pages {
        assert!(!is_writable(machine, &space, at), "{at:#x}");
    }
    assert!(!is_writable(machine, &child, AT + PAGE) && !is_writable(machine, &child, AT + (2 << 20)));
    store(machine, &mut space, AT + PAGE, 3);
    assert_eq!(pages.map(|at| load(machine, &mut child, at)), [2, 1, 1]);
    assert_eq!(pages.map(|at| load(machine, &mut space, at)), [1, 3, 1]);
    finish(machine, [space, child]);
}

#[test]
fn no_tlb_leads_to_the_old_page_after_a_copy() {
    let machine = Machine::new(64, 64, &[AT]);
    let mut space = start(machine, 1);
    map(machine, &mut space, AT, 1, Protection::READ_WRITE);
    store(machine, &mut space, AT, 1);
    let old = frame(machine, &space, AT).unwrap();
    let child = fork(machine, &mut space, 2);
    store(machine, &mut space, AT, 2);
    let possible = machine.lab.sim.possible(Owner::User(1), AT);
    assert!(!possible.is_empty());
    assert!(possible.iter().all(|(phys, _)| PhysFrame::containing(*phys) != old), "{possible:?}");
    assert_eq!(machine.lab.sim.mistakes(), []);
    finish(machine, [space, child]);
}

#[test]
fn f21_locked_pages_are_copied_at_once_and_nobody_faults_for_them_later() {
    let machine = Machine::new(64, 64, &[AT, AT + PAGE]);
    let mut space = start(machine, 1);
    map(machine, &mut space, AT, 2, Protection::READ_WRITE);
    map(machine, &mut space, AT + 8 * PAGE, 1, Protection::READ_WRITE);
    store(machine, &mut space, AT + 8 * PAGE, 5);
    assert_eq!(space.lock(machine, UserAddr::new(AT), 2 * PAGE), Ok(()));
    store(machine, &mut space, AT, 1);
    let mut child = fork(machine, &mut space, 2);
    for at in [AT, AT + PAGE] {
        assert!(is_writable(machine, &space, at) && is_writable(machine, &child, at), "{at:#x}");
        assert_ne!(frame(machine, &space, at), frame(machine, &child, at));
    }
    assert!(!is_writable(machine, &child, AT + 8 * PAGE), "what is not locked is copied when it is written");
    assert_eq!((space.statistics().locked, child.statistics().locked), (2, 0), "locks are not inherited");
    assert_eq!((load(machine, &mut child, AT), load(machine, &mut child, AT + 8 * PAGE)), (1, 5));
    finish(machine, [child, space]);
}

#[test]
fn a_fork_that_finds_no_memory_for_locked_pages_leaves_the_parent_as_it_was() {
    let machine = Machine::new(64, 64, &[AT, AT + PAGE]);
    let mut space = start(machine, 1);
    map(machine, &mut space, AT, 2, Protection::READ_WRITE);
    assert_eq!(space.lock(machine, UserAddr::new(AT), 2 * PAGE), Ok(()));
    store(machine, &mut space, AT, 1);
    for pages in 0..2 {
        machine.set_page_budget(Some(pages));
        assert!(matches!(space.fork(machine, Asid(2)), Err(ForkError::OutOfMemory)));
    }
    machine.set_page_budget(None);
    for tables in 0..3 {
        machine.lab.tables.set_budget(Some(tables));
        assert!(matches!(space.fork(machine, Asid(2)), Err(ForkError::OutOfMemory)));
    }
    machine.lab.tables.set_budget(None);
    store(machine, &mut space, AT, 2);
    assert_eq!((machine.pages().len(), load(machine, &mut space, AT)), (2, 2));
    finish(machine, [space]);
}

#[test]
fn a_child_gets_of_each_range_what_its_inheritance_says() {
    let machine = Machine::new(64, 64, &[AT, AT + PAGE, AT + 2 * PAGE, AT + 3 * PAGE]);
    let mut space = start(machine, 1);
    map(machine, &mut space, AT, 3, Protection::READ_WRITE);
    let request = MapRequest::anonymous(Place::Fixed(UserAddr::new(AT + 3 * PAGE)), PAGE, Protection::READ_WRITE);
    assert!(space.map(machine, MapRequest { sharing: Sharing::Shared, ..request }).is_ok());
    (0..4).for_each(|page| store(machine, &mut space, AT + u64::from(page) * PAGE, page + 1));
    let at = |page: u64| UserAddr::new(AT + page * PAGE);
    assert_eq!(space.inherit(machine, at(0), PAGE, Inheritance::None), Ok(()));
    assert_eq!(space.inherit(machine, at(1), PAGE, Inheritance::Zero), Ok(()));
    assert_eq!(space.inherit(machine, at(3), PAGE, Inheritance::Copy), Ok(()));
    let mut child = fork(machine, &mut space, 2);
    assert_eq!(fault(machine, &mut child, AT, AccessKind::Read), Fault::NotMapped);
    assert_eq!([1, 2, 3].map(|page| load(machine, &mut child, AT + page * PAGE)), [0, 3, 4]);
    store(machine, &mut child, AT + 3 * PAGE, 9);
    assert_eq!([0, 1, 2, 3].map(|page| load(machine, &mut space, AT + page * PAGE)), [1, 2, 3, 4]);
    finish(machine, [child, space]);
}

#[test]
fn private_memory_can_be_shared_with_children_to_come() {
    let machine = Machine::new(64, 64, &[AT, AT + PAGE]);
    let mut space = start(machine, 1);
    map(machine, &mut space, AT, 3, Protection::READ_WRITE);
    store(machine, &mut space, AT + PAGE, 1);
    assert_eq!(space.inherit_shared(machine, UserAddr::new(AT), 2 * PAGE), Ok(()));
    assert_eq!(load(machine, &mut space, AT + PAGE), 1);
    let mut child = fork(machine, &mut space, 2);
    store(machine, &mut child, AT, 2);
    store(machine, &mut child, AT + PAGE, 3);
    store(machine, &mut child, AT + 2 * PAGE, 4);
    assert_eq!([0, 1, 2].map(|page| load(machine, &mut space, AT + page * PAGE)), [2, 3, 0]);
    finish(machine, [child, space]);
}

#[test]
fn advice_about_fork_is_taken_back_by_its_own_opposite() {
    let machine = Machine::plain();
    let mut space = start(machine, 1);
    map(machine, &mut space, AT, 2, Protection::READ_WRITE);
    store(machine, &mut space, AT, 1);
    let at = UserAddr::new(AT);
    assert_eq!(space.advise(machine, at, PAGE, Advice::WipeOnFork), Ok(()));
    assert_eq!(space.advise(machine, at, PAGE, Advice::DoFork), Ok(()));
    let mut child = fork(machine, &mut space, 2);
    assert_eq!(load(machine, &mut child, AT), 0);
    assert_eq!(space.advise(machine, at, PAGE, Advice::KeepOnFork), Ok(()));
    let mut second = fork(machine, &mut space, 3);
    assert_eq!(load(machine, &mut second, AT), 1);
    let request = MapRequest::anonymous(Place::Fixed(UserAddr::new(AT + PAGE)), PAGE, Protection::READ);
    assert!(space.map(machine, MapRequest { sharing: Sharing::Shared, ..request }).is_ok());
    assert_eq!(space.advise(machine, at, 2 * PAGE, Advice::WipeOnFork), Err(MapFailure::Unsupported));
    finish(machine, [child, second, space]);
}

#[test]
fn what_a_child_may_write_is_promised_to_it_too() {
    let machine = Machine::new(64, 1000, &[]);
    let mut space = start(machine, 1);
    space.set_limits(Limits::NONE);
    map(machine, &mut space, AT, 300, Protection::READ_WRITE);
    map(machine, &mut space, AT + 400 * PAGE, 300, Protection::READ);
    assert_eq!(machine.commitments().pages(), 300);
    let child = fork(machine, &mut space, 2);
    assert_eq!(machine.commitments().pages(), 600);
    machine.commitments().set_policy(Overcommit::Never);
    machine.commitments().set_ratio(80);
    assert!(matches!(space.fork(machine, Asid(3)), Err(ForkError::OverCommit)));
    assert_eq!(machine.commitments().pages(), 600);
    end(machine, child);
    let child = fork(machine, &mut space, 3);
    finish(machine, [child, space]);
}

#[test]
fn without_room_for_small_objects_there_is_no_child() {
    let machine = Machine::plain();
    let mut space = start(machine, 1);
    machine.set_room(false);
    assert!(matches!(space.fork(machine, Asid(2)), Err(ForkError::OutOfMemory)));
    assert!(Space::new(machine, Asid(2), Layout::fixed()).is_err());
    machine.set_room(true);
    finish(machine, [space]);
}
