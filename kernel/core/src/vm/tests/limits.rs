//! Limits, promises, and what policy forbids.

use super::*;
use crate::vm::{Limits, LockAll, Overcommit};

const AT: u64 = 0x20_0000;

fn try_map(
    machine: &Machine,
    space: &mut Space,
    at: u64,
    pages: u64,
    protection: Protection,
) -> Result<(), MapFailure> {
    let request = MapRequest::anonymous(Place::Fixed(UserAddr::new(at)), pages * PAGE, protection);
    space.map(machine, request).map(|_| ())
}

#[test]
fn address_space_and_data_have_limits() {
    let machine = Machine::plain();
    let mut space = start(machine, 1);
    space.set_limits(Limits { address_space: 8 * PAGE, data: 4 * PAGE, ..Limits::DEFAULT });
    assert_eq!(try_map(machine, &mut space, AT, 9, Protection::READ), Err(MapFailure::Limit));
    assert_eq!(try_map(machine, &mut space, AT, 5, Protection::READ_WRITE), Err(MapFailure::Limit));
    assert_eq!(try_map(machine, &mut space, AT, 8, Protection::READ), Ok(()));
    assert_eq!(try_map(machine, &mut space, AT, 4, Protection::READ_WRITE), Ok(()), "it replaces others");
    let rest = UserAddr::new(AT + 4 * PAGE);
    assert_eq!(space.protect(machine, rest, PAGE, Protection::READ_WRITE), Err(MapFailure::Limit));
    assert_eq!(try_map(machine, &mut space, AT + 8 * PAGE, 1, Protection::READ), Err(MapFailure::Limit));
    let grown = space.remap(machine, rest, 4 * PAGE, 5 * PAGE, crate::vm::Moving::May);
    assert_eq!(grown, Err(MapFailure::Limit));
    assert_eq!((space.statistics().total, space.statistics().data), (8, 4));
    finish(machine, [space]);
}

#[test]
fn locking_has_a_limit() {
    let machine = Machine::plain();
    let mut space = start(machine, 1);
    space.set_limits(Limits { locked: 2 * PAGE, ..Limits::DEFAULT });
    map(machine, &mut space, AT, 4, Protection::READ_WRITE);
    let at = UserAddr::new(AT);
    assert_eq!(space.lock(machine, at, 3 * PAGE), Err(MapFailure::LockLimit));
    assert_eq!(space.lock(machine, at, 2 * PAGE), Ok(()));
    assert_eq!(space.lock(machine, at, 2 * PAGE), Ok(()), "these are locked already");
    assert_eq!(space.lock_all(machine, LockAll::Both), Err(MapFailure::LockLimit));
    assert_eq!(space.advise(machine, at, PAGE, crate::vm::Advice::DontNeed), Err(MapFailure::Locked));
    let locked = MapRequest::anonymous(Place::Anywhere, PAGE, Protection::READ_WRITE);
    assert_eq!(space.map(machine, MapRequest { flags: MapFlags::LOCKED, ..locked }), Err(MapFailure::LockLimit));
    finish(machine, [space]);
}

#[test]
fn writable_and_executable_is_refused_unless_it_is_allowed() {
    let machine = Machine::plain();
    let mut space = start(machine, 1);
    let both = Protection::all();
    assert_eq!(try_map(machine, &mut space, AT, 1, both), Err(MapFailure::WriteAndExecute));
    map(machine, &mut space, AT, 1, Protection::READ_WRITE);
    let at = UserAddr::new(AT);
    assert_eq!(space.protect(machine, at, PAGE, both), Err(MapFailure::WriteAndExecute));
    space.allow_write_execute(true);
    assert_eq!(space.protect(machine, at, PAGE, both), Ok(()));
    finish(machine, [space]);
}

#[test]
fn an_object_says_what_may_be_done_with_it() {
    let machine = Machine::plain();
    let mut space = start(machine, 1);
    let request = |protection| MapRequest {
        source: Source::File {
            pager: machine.shared_memory(1).unwrap(),
            offset: 0,
            max_protection: Protection::READ_EXECUTE,
        },
        sharing: Sharing::Shared,
        ..MapRequest::anonymous(Place::Fixed(UserAddr::new(AT)), PAGE, protection)
    };
    assert_eq!(space.map(machine, request(Protection::READ_WRITE)), Err(MapFailure::Forbidden));
    assert!(space.map(machine, request(Protection::READ)).is_ok());
    let at = UserAddr::new(AT);
    assert_eq!(space.protect(machine, at, PAGE, Protection::READ_WRITE), Err(MapFailure::Forbidden));
    assert_eq!(space.protect(machine, at, PAGE, Protection::READ_EXECUTE), Ok(()));
    finish(machine, [space]);
}

#[test]
fn promises_follow_the_policy() {
    let machine = Machine::new(64, 1000, &[]);
    let mut space = start(machine, 1);
    let mut many = |pages: u64, flags: MapFlags| {
        let request = MapRequest::anonymous(Place::Anywhere, pages * PAGE, Protection::READ_WRITE);
        space.map(machine, MapRequest { flags, ..request }).map(|_| ())
    };
    let no_flags = MapFlags::empty();
    assert_eq!(many(1001, no_flags), Err(MapFailure::OverCommit), "obviously too large");
    assert_eq!(many(1001, MapFlags::NORESERVE), Ok(()));
    assert_eq!((many(900, no_flags), many(900, no_flags)), (Ok(()), Ok(())));
    machine.commitments().set_policy(Overcommit::Always);
    assert_eq!(many(5000, no_flags), Ok(()));
    machine.commitments().set_policy(Overcommit::Never);
    assert_eq!(many(1, no_flags), Err(MapFailure::OverCommit));
    assert_eq!(many(1, MapFlags::NORESERVE), Err(MapFailure::OverCommit), "nobody is excepted");
    assert_eq!(machine.commitments().pages(), 6800);
    finish(machine, [space]);
}

#[test]
fn memory_that_becomes_writable_is_promised_once() {
    let machine = Machine::plain();
    let mut space = start(machine, 1);
    map(machine, &mut space, AT, 4, Protection::READ);
    assert_eq!(machine.commitments().pages(), 0);
    for protection in [Protection::READ_WRITE, Protection::READ, Protection::READ_WRITE] {
        assert_eq!(space.protect(machine, UserAddr::new(AT), 2 * PAGE, protection), Ok(()));
        assert_eq!(machine.commitments().pages(), 2);
    }
    assert_eq!(space.unmap(machine, UserAddr::new(AT + PAGE), PAGE), Ok(()));
    assert_eq!(machine.commitments().pages(), 1);
    finish(machine, [space]);
}

#[test]
fn without_room_for_small_objects_nothing_is_mapped_and_everything_can_be_unmapped() {
    let machine = Machine::plain();
    let mut space = start(machine, 1);
    map(machine, &mut space, AT, 4, Protection::READ);
    machine.set_room(false);
    assert_eq!(try_map(machine, &mut space, AT + 8 * PAGE, 1, Protection::READ), Err(MapFailure::OutOfMemory));
    assert_eq!(space.unmap(machine, UserAddr::new(AT), 4 * PAGE), Ok(()));
    machine.set_room(true);
    finish(machine, [space]);
}
