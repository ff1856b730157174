//! The list of areas: what is one and what is two.

use super::*;
use crate::vm::areas::MAX_AREAS;

const AT: u64 = 0x10_0000;

fn ranges(space: &Space) -> Vec<(u64, u64)> {
    space.areas().map(|area| (area.start.get() / PAGE, area.end.get() / PAGE)).collect()
}

#[test]
fn neighbours_that_are_alike_are_one_area() {
    let machine = Machine::plain();
    let mut space = start(machine, 1);
    map(machine, &mut space, AT, 2, Protection::READ_WRITE);
    map(machine, &mut space, AT + 4 * PAGE, 2, Protection::READ_WRITE);
    assert_eq!(ranges(&space), [(0x100, 0x102), (0x104, 0x106)]);
    map(machine, &mut space, AT + 2 * PAGE, 2, Protection::READ_WRITE);
    assert_eq!(ranges(&space), [(0x100, 0x106)]);
    map(machine, &mut space, AT + 6 * PAGE, 1, Protection::READ);
    assert_eq!(ranges(&space), [(0x100, 0x106), (0x106, 0x107)]);
    finish(machine, [space]);
}

#[test]
fn a_change_in_the_middle_makes_three_and_its_undoing_one() {
    let machine = Machine::plain();
    let mut space = start(machine, 1);
    map(machine, &mut space, AT, 6, Protection::READ_WRITE);
    let middle = UserAddr::new(AT + 2 * PAGE);
    assert_eq!(space.protect(machine, middle, 2 * PAGE, Protection::READ), Ok(()));
    assert_eq!(ranges(&space), [(0x100, 0x102), (0x102, 0x104), (0x104, 0x106)]);
    assert_eq!(space.protect(machine, middle, 2 * PAGE, Protection::READ_WRITE), Ok(()));
    assert_eq!(ranges(&space), [(0x100, 0x106)]);
    assert_eq!(space.unmap(machine, middle, 2 * PAGE), Ok(()));
    assert_eq!(ranges(&space), [(0x100, 0x102), (0x104, 0x106)]);
    finish(machine, [space]);
}

#[test]
fn parts_of_an_object_are_one_area_only_if_they_follow_each_other_in_it() {
    let machine = Machine::plain();
    let mut space = start(machine, 1);
    let object = machine.shared_memory(8).unwrap();
    let mut map_part = |at: u64, offset: u64| {
        let source = Source::File { pager: object.clone(), offset, max_protection: Protection::all() };
        let request = MapRequest::anonymous(Place::Fixed(UserAddr::new(at)), PAGE, Protection::READ);
        let request = MapRequest { sharing: Sharing::Shared, source, ..request };
        assert_eq!(space.map(machine, request), Ok(UserAddr::new(at)));
    };
    map_part(AT, 0);
    map_part(AT + PAGE, PAGE);
    map_part(AT + 2 * PAGE, PAGE);
    assert_eq!(ranges(&space), [(0x100, 0x102), (0x102, 0x103)]);
    drop(object);
    finish(machine, [space]);
}

#[test]
fn a_child_has_its_parents_list_until_one_of_them_changes_it() {
    let machine = Machine::plain();
    let mut space = start(machine, 1);
    map(machine, &mut space, AT, 6, Protection::READ_WRITE);
    let mut child = space.fork(machine, Asid(2)).unwrap();
    assert!(space.areas.is_shared());
    assert_eq!(child.unmap(machine, UserAddr::new(AT), PAGE), Ok(()));
    assert!(!space.areas.is_shared());
    assert_eq!((ranges(&space), ranges(&child)), (vec![(0x100, 0x106)], vec![(0x101, 0x106)]));
    machine.lab.load_ttbr(Owner::User(2), child.activate());
    finish(machine, [space, child]);
}

#[test]
#[cfg_attr(miri, ignore = "makes very many areas")]
fn there_are_so_many_areas_and_no_more_and_they_can_be_unmapped() {
    let machine = Machine::plain();
    let mut space = start(machine, 1);
    let at = |number: usize| UserAddr::new(AT + 2 * number as u64 * PAGE);
    for number in 0..MAX_AREAS {
        let request = MapRequest::anonymous(Place::Fixed(at(number)), PAGE, Protection::READ);
        assert_eq!(space.map(machine, request), Ok(at(number)));
    }
    let one_more = MapRequest::anonymous(Place::Fixed(at(MAX_AREAS)), PAGE, Protection::READ);
    assert_eq!(space.map(machine, one_more.clone()), Err(MapFailure::TooManyAreas));
    let in_place = MapRequest::anonymous(Place::Fixed(at(7)), PAGE, Protection::READ_WRITE);
    assert_eq!(space.map(machine, in_place), Ok(at(7)));
    assert_eq!(space.unmap(machine, at(5), PAGE), Ok(()));
    assert_eq!(space.map(machine, one_more), Ok(at(MAX_AREAS)));
    finish(machine, [space]);
}
