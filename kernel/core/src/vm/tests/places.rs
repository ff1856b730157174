//! Where mappings go.

use super::*;
use crate::addr::USER_END;
use crate::vm::place::{LOWEST, STACK_GUARD};

fn try_map(machine: &Machine, space: &mut Space, place: Place, bytes: u64) -> Result<u64, MapFailure> {
    space.map(machine, MapRequest::anonymous(place, bytes, Protection::READ_WRITE)).map(UserAddr::get)
}

#[test]
fn mappings_go_downwards_from_the_top_and_fill_gaps() {
    let machine = Machine::plain();
    let mut space = start(machine, 1);
    let top = space.layout().mmap_top.get();
    assert_eq!(try_map(machine, &mut space, Place::Anywhere, 3 * PAGE), Ok(top - 3 * PAGE));
    assert_eq!(try_map(machine, &mut space, Place::Anywhere, 1), Ok(top - 4 * PAGE));
    assert_eq!(space.unmap(machine, UserAddr::new(top - 2 * PAGE), PAGE), Ok(()));
    assert_eq!(try_map(machine, &mut space, Place::Anywhere, 2 * PAGE), Ok(top - 6 * PAGE));
    assert_eq!(try_map(machine, &mut space, Place::Anywhere, PAGE), Ok(top - 2 * PAGE));
    finish(machine, [space]);
}

#[test]
fn a_hint_is_taken_where_there_is_room_and_only_there() {
    let machine = Machine::plain();
    let mut space = start(machine, 1);
    let top = space.layout().mmap_top.get();
    let hint = |at: u64| Place::Hint(UserAddr::new(at));
    assert_eq!(try_map(machine, &mut space, hint(0x50_0123), 2 * PAGE), Ok(0x50_0000));
    assert_eq!(try_map(machine, &mut space, hint(0x4f_f000), 2 * PAGE), Ok(top - 2 * PAGE));
    assert_eq!(try_map(machine, &mut space, hint(0), PAGE), Ok(LOWEST.get()));
    assert_eq!(try_map(machine, &mut space, hint(USER_END - PAGE), 2 * PAGE), Ok(top - 4 * PAGE));
    assert_eq!(try_map(machine, &mut space, hint(u64::MAX - 5), 2 * PAGE), Ok(top - 6 * PAGE));
    finish(machine, [space]);
}

#[test]
fn a_fixed_mapping_replaces_and_one_that_may_not_replace_says_what_is_in_its_way() {
    let machine = Machine::plain();
    let mut space = start(machine, 1);
    let at = UserAddr::new(0x50_0000);
    map(machine, &mut space, at.get(), 4, Protection::READ_WRITE);
    store(machine, &mut space, at.get() + PAGE, 7);
    let taken = space.map(
        machine,
        MapRequest::anonymous(Place::FixedNoReplace(UserAddr::new(0x4f_f000)), 3 * PAGE, Protection::READ),
    );
    assert_eq!(taken, Err(MapFailure::Occupied { at }));
    map(machine, &mut space, at.get() + PAGE, 1, Protection::READ);
    assert_eq!(load(machine, &mut space, at.get() + PAGE), 0);
    assert_eq!(machine.pages().len(), 0);
    finish(machine, [space]);
}

#[test]
fn nothing_is_mapped_low_or_beyond_the_end_or_between_pages() {
    let machine = Machine::plain();
    let mut space = start(machine, 1);
    let mut fixed = |at: u64, bytes: u64| try_map(machine, &mut space, Place::Fixed(UserAddr::new(at)), bytes);
    assert_eq!(fixed(0, PAGE), Err(MapFailure::TooLow));
    assert_eq!(fixed(LOWEST.get() - PAGE, PAGE), Err(MapFailure::TooLow));
    assert_eq!(fixed(LOWEST.get(), PAGE), Ok(LOWEST.get()));
    assert_eq!(fixed(0x50_0100, PAGE), Err(MapFailure::Invalid));
    assert_eq!(fixed(0x50_0000, 0), Err(MapFailure::Invalid));
    assert_eq!(fixed(USER_END - PAGE, PAGE), Ok(USER_END - PAGE));
    assert_eq!(fixed(USER_END - PAGE, 2 * PAGE), Err(MapFailure::NoGap));
    assert_eq!(fixed(u64::MAX - 4095, 2 * PAGE), Err(MapFailure::NoGap));
    assert_eq!(fixed(0x50_0000, u64::MAX), Err(MapFailure::NoGap));
    assert_eq!(try_map(machine, &mut space, Place::Anywhere, u64::MAX - 8), Err(MapFailure::NoGap));
    assert_eq!(try_map(machine, &mut space, Place::Anywhere, USER_END), Err(MapFailure::NoGap));
    finish(machine, [space]);
}

#[test]
fn the_guard_below_a_stack_is_no_place_for_a_mapping() {
    let machine = Machine::plain();
    let mut space = start(machine, 1);
    let top = space.layout().mmap_top.get();
    let request = MapRequest::anonymous(Place::Fixed(UserAddr::new(top)), PAGE, Protection::READ_WRITE);
    let stack = MapRequest { flags: MapFlags::GROWSDOWN, ..request };
    assert_eq!(space.map(machine, stack), Ok(UserAddr::new(top)));
    assert_eq!(try_map(machine, &mut space, Place::Anywhere, PAGE), Ok(top - STACK_GUARD - PAGE));
    let hint = Place::Hint(UserAddr::new(top - PAGE));
    assert_eq!(try_map(machine, &mut space, hint, PAGE), Ok(top - STACK_GUARD - 2 * PAGE));
    finish(machine, [space]);
}

#[test]
fn what_does_not_fit_below_goes_above() {
    let machine = Machine::plain();
    let mut space = start(machine, 1);
    let top = space.layout().mmap_top.get();
    map(machine, &mut space, LOWEST.get(), (top - LOWEST.get()) / PAGE / 2 * 2, Protection::NONE);
    let placed = try_map(machine, &mut space, Place::Anywhere, 2 * PAGE);
    assert!(placed.is_ok_and(|at| at >= top - PAGE), "{placed:?}");
    finish(machine, [space]);
}

#[test]
fn layouts_differ_and_leave_room_for_the_stack() {
    let mut seed = 1_u64;
    let mut seen = std::collections::HashSet::new();
    for _ in 0..100 {
        let layout = Layout::random(&mut |below| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        });
        assert!(layout.stack_top.get() < USER_END && layout.stack_top.is_aligned(PAGE));
        assert!(layout.stack_top.get() - layout.mmap_top.get() >= 96 << 20);
        assert!(layout.image_base < layout.break_start && layout.break_start < layout.mmap_top);
        assert!(layout.image_base.is_aligned(PAGE) && layout.break_start.is_aligned(PAGE));
        seen.insert((layout.stack_top, layout.mmap_top, layout.image_base));
    }
    assert_eq!(seen.len(), 100);
}
