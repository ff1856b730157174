//! The program break.

use super::*;
use crate::vm::{AreaKind, Limits};

#[test]
fn the_break_moves_up_and_down_and_not_below_its_beginning() {
    let machine = Machine::plain();
    let mut space = start(machine, 1);
    space.start_break(UserAddr::new(0x40_1234));
    let start = space.set_break(machine, UserAddr::new(0));
    assert_eq!(start, UserAddr::new(0x40_2000));
    let at = |offset: u64| UserAddr::new(0x40_2000 + offset);
    assert_eq!(space.set_break(machine, at(5)), at(5));
    store(machine, &mut space, 0x40_2004, 1);
    store(machine, &mut space, 0x40_2fff, 2);
    assert_eq!(fault(machine, &mut space, 0x40_3000, AccessKind::Read), Fault::NotMapped);
    assert_eq!(space.set_break(machine, at(3 * PAGE)), at(3 * PAGE));
    store(machine, &mut space, 0x40_4fff, 3);
    let areas: Vec<_> = space.areas().map(|area| (area.kind, area.end)).collect();
    assert_eq!(areas, [(AreaKind::Heap, at(3 * PAGE))]);
    assert_eq!(space.set_break(machine, at(PAGE)), at(PAGE));
    assert_eq!(space.set_break(machine, at(3 * PAGE)), at(3 * PAGE));
    assert_eq!(load(machine, &mut space, 0x40_4fff), 0, "what was given back comes back as zeroes");
    assert_eq!(space.set_break(machine, UserAddr::new(0x40_1fff)), at(3 * PAGE));
    assert_eq!(space.set_break(machine, UserAddr::new(u64::MAX)), at(3 * PAGE));
    assert_eq!(space.set_break(machine, at(0)), at(0));
    assert_eq!(space.areas().count(), 0);
    finish(machine, [space]);
}

#[test]
fn the_break_stops_at_a_mapping_and_at_the_limit() {
    let machine = Machine::plain();
    let mut space = start(machine, 1);
    space.start_break(UserAddr::new(0x40_0000));
    let at = |pages: u64| UserAddr::new(0x40_0000 + pages * PAGE);
    map(machine, &mut space, at(4).get(), 1, Protection::NONE);
    assert_eq!(space.set_break(machine, at(5)), at(0));
    assert_eq!(space.set_break(machine, at(4)), at(4));
    assert_eq!(space.unmap(machine, at(4), PAGE), Ok(()));
    space.set_limits(Limits { data: 6 * PAGE, ..Limits::DEFAULT });
    assert_eq!(space.set_break(machine, at(7)), at(4));
    assert_eq!(space.set_break(machine, at(6)), at(6));
    finish(machine, [space]);
}
