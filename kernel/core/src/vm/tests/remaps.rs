//! Moving and resizing.

use super::*;
use crate::vm::{Limits, Moving};

const AT: u64 = 0x20_0000;

fn at(page: u64) -> UserAddr {
    UserAddr::new(AT + page * PAGE)
}

#[test]
fn a_mapping_grows_in_place_if_it_can_and_moves_if_it_may() {
    let machine = Machine::new(64, 64, &[AT, AT + PAGE]);
    let mut space = start(machine, 1);
    map(machine, &mut space, AT, 2, Protection::READ_WRITE);
    store(machine, &mut space, AT + PAGE, 5);
    assert_eq!(space.remap(machine, at(0), 2 * PAGE, 4 * PAGE, Moving::No), Ok(at(0)));
    store(machine, &mut space, AT + 3 * PAGE, 6);
    map(machine, &mut space, AT + 4 * PAGE, 1, Protection::READ);
    assert_eq!(space.remap(machine, at(0), 4 * PAGE, 5 * PAGE, Moving::No), Err(MapFailure::NoGap));
    let old = frame(machine, &space, AT + PAGE);
    let new = space.remap(machine, at(0), 4 * PAGE, 6 * PAGE, Moving::May).unwrap().get();
    assert_eq!(frame(machine, &space, new + PAGE), old, "the page moved, it was not copied");
    assert!(is_writable(machine, &space, new + PAGE));
    assert_eq!([1, 3, 5].map(|page| load(machine, &mut space, new + page * PAGE)), [5, 6, 0]);
    assert_eq!(fault(machine, &mut space, AT, AccessKind::Read), Fault::NotMapped);
    assert_eq!(machine.lab.sim.possible(Owner::User(1), AT + PAGE), []);
    finish(machine, [space]);
}

#[test]
fn a_mapping_shrinks_and_keeps_what_is_left() {
    let machine = Machine::plain();
    let mut space = start(machine, 1);
    map(machine, &mut space, AT, 4, Protection::READ_WRITE);
    (0..4).for_each(|page| store(machine, &mut space, AT + page * PAGE, 1));
    assert_eq!(space.remap(machine, at(0), 4 * PAGE, PAGE, Moving::No), Ok(at(0)));
    assert_eq!((machine.pages().len(), space.statistics().total), (1, 1));
    finish(machine, [space]);
}

#[test]
fn a_mapping_moves_onto_others_and_not_onto_itself() {
    let machine = Machine::plain();
    let mut space = start(machine, 1);
    map(machine, &mut space, AT, 4, Protection::READ_WRITE);
    map(machine, &mut space, AT + 8 * PAGE, 4, Protection::READ);
    store(machine, &mut space, AT, 1);
    assert_eq!(space.remap(machine, at(0), 4 * PAGE, 4 * PAGE, Moving::To(at(3))), Err(MapFailure::Invalid));
    assert_eq!(space.remap(machine, at(0), 4 * PAGE, 2 * PAGE, Moving::To(at(9))), Ok(at(9)));
    assert_eq!((load(machine, &mut space, AT + 9 * PAGE), space.statistics().total), (1, 4));
    assert_eq!(space.remap(machine, at(8), 2 * PAGE, 3 * PAGE, Moving::May), Err(MapFailure::NotMapped { at: at(9) }));
    assert_eq!(space.remap(machine, at(0), PAGE, PAGE, Moving::May), Err(MapFailure::NotMapped { at: at(0) }));
    assert_eq!(space.remap(machine, at(9), PAGE, 0, Moving::May), Err(MapFailure::Invalid));
    finish(machine, [space]);
}

#[test]
fn what_moves_after_a_fork_is_still_shared_with_the_child() {
    // Within a table, and to a table of its own that nobody shares.
    for to in [AT + 16 * PAGE, 1 << 32] {
        let machine = Machine::new(64, 64, &[AT, to]);
        let mut space = start(machine, 1);
        map(machine, &mut space, AT, 1, Protection::READ_WRITE);
        store(machine, &mut space, AT, 1);
        let mut child = space.fork(machine, Asid(2)).unwrap();
        machine.lab.load_ttbr(Owner::User(2), child.activate());
        let moved = space.remap(machine, at(0), PAGE, PAGE, Moving::To(UserAddr::new(to)));
        assert_eq!(moved, Ok(UserAddr::new(to)));
        assert_eq!(frame(machine, &space, to), frame(machine, &child, AT));
        assert!(!is_writable(machine, &space, to));
        store(machine, &mut space, to, 2);
        assert_eq!((load(machine, &mut space, to), load(machine, &mut child, AT)), (2, 1));
        finish(machine, [space, child]);
    }
}

#[test]
fn a_move_that_runs_out_of_tables_leaves_everything_where_it_was() {
    let machine = Machine::new(64, 4096, &[AT]);
    let mut space = start(machine, 1);
    space.set_limits(Limits::NONE);
    map(machine, &mut space, AT, 1024, Protection::READ_WRITE);
    [0, 600, 1023].into_iter().for_each(|page| store(machine, &mut space, AT + page * PAGE, 7));
    let promised = machine.commitments().pages();
    for tables in 0..3 {
        machine.lab.tables.set_budget(Some(tables));
        let moved = space.remap(machine, at(0), 1024 * PAGE, 2048 * PAGE, Moving::To(UserAddr::new(1 << 32)));
        assert_eq!(moved, Err(MapFailure::OutOfMemory), "with {tables} tables");
        assert_eq!([0, 600, 1023].map(|page| load(machine, &mut space, AT + page * PAGE)), [7, 7, 7]);
        assert_eq!((space.statistics().resident, machine.commitments().pages()), (3, promised));
    }
    machine.lab.tables.set_budget(None);
    finish(machine, [space]);
}
