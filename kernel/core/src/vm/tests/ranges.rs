//! Questions and advice about ranges.

use super::*;
use crate::vm::{Advice, FutexObject};

const AT: u64 = 0x20_0000;

#[test]
fn a_range_with_a_hole_is_reported_at_the_hole() {
    let machine = Machine::plain();
    let mut space = start(machine, 1);
    map(machine, &mut space, AT, 2, Protection::READ_WRITE);
    map(machine, &mut space, AT + 3 * PAGE, 2, Protection::READ_WRITE);
    store(machine, &mut space, AT + 3 * PAGE, 1);
    let (at, bytes) = (UserAddr::new(AT), 5 * PAGE);
    let hole = MapFailure::NotMapped { at: UserAddr::new(AT + 2 * PAGE) };
    assert_eq!(space.protect(machine, at, bytes, Protection::READ), Err(hole));
    assert_eq!(space.resident(machine, at, &mut [0; 5]), Err(hole));
    assert_eq!(space.sync(at, bytes), Err(hole));
    assert_eq!(space.lock(machine, at, bytes), Err(hole));
    assert_eq!(space.advise(machine, at, bytes, Advice::Usage), Err(hole));
    assert_eq!(space.advise(machine, at, bytes, Advice::DontNeed), Err(hole));
    assert_eq!(load(machine, &mut space, AT + 3 * PAGE), 0, "the advice was taken behind the hole");
    assert_eq!(space.unmap(machine, at, bytes), Ok(()));
    assert_eq!(space.unmap(machine, at, bytes), Ok(()), "unmapping nothing is no mistake");
    finish(machine, [space]);
}

#[test]
fn ranges_that_make_no_sense_are_refused() {
    let machine = Machine::plain();
    let mut space = start(machine, 1);
    map(machine, &mut space, AT, 2, Protection::READ_WRITE);
    let between = UserAddr::new(AT + 1);
    assert_eq!(space.unmap(machine, between, PAGE), Err(MapFailure::Invalid));
    assert_eq!(space.unmap(machine, UserAddr::new(AT), 0), Err(MapFailure::Invalid));
    assert_eq!(space.unmap(machine, UserAddr::new(AT), u64::MAX), Err(MapFailure::Invalid));
    assert_eq!(space.protect(machine, between, PAGE, Protection::READ), Err(MapFailure::Invalid));
    assert_eq!(space.protect(machine, between, 0, Protection::READ), Err(MapFailure::Invalid));
    assert_eq!(space.protect(machine, UserAddr::new(AT), 0, Protection::READ), Ok(()));
    assert_eq!(space.lock(machine, UserAddr::new(u64::MAX - 1), 5), Err(MapFailure::Invalid));
    assert_eq!(space.lock(machine, UserAddr::new(AT), 0), Ok(()));
    assert_eq!(space.resident(machine, between, &mut [0]), Err(MapFailure::Invalid));
    finish(machine, [space]);
}

#[test]
fn what_is_there_is_told_page_by_page() {
    let machine = Machine::plain();
    let mut space = start(machine, 1);
    map(machine, &mut space, AT, 4, Protection::READ_WRITE);
    store(machine, &mut space, AT + PAGE, 1);
    assert_eq!(load(machine, &mut space, AT + 3 * PAGE), 0);
    let mut present = [9; 4];
    assert_eq!(space.resident(machine, UserAddr::new(AT), &mut present), Ok(()));
    assert_eq!(present, [0, 1, 0, 1]);
    assert!(is_present(machine, &space, AT + PAGE));
    finish(machine, [space]);
}

#[test]
fn protection_taken_away_is_gone_at_once_and_given_back_without_loss() {
    let machine = Machine::new(32, 64, &[AT]);
    let mut space = start(machine, 1);
    map(machine, &mut space, AT, 1, Protection::READ_WRITE);
    store(machine, &mut space, AT, 7);
    for protection in [Protection::READ, Protection::NONE, Protection::READ_WRITE] {
        assert_eq!(space.protect(machine, UserAddr::new(AT), PAGE, protection), Ok(()));
        for (_, rights) in machine.lab.sim.possible(Owner::User(1), AT) {
            assert!(protection.contains(Protection::WRITE) || !rights.contains(Rights::USER_WRITE));
            assert!(protection != Protection::NONE || !rights.contains(Rights::USER_READ));
        }
    }
    assert_eq!(load(machine, &mut space, AT), 7);
    assert!(is_writable(machine, &space, AT), "it is ours alone");
    finish(machine, [space]);
}

#[test]
fn waiters_meet_by_object_where_memory_is_shared() {
    let machine = Machine::plain();
    let mut space = start(machine, 1);
    let mut other = start(machine, 2);
    let object = machine.shared_memory(4).unwrap();
    map_object(machine, &mut space, AT, 4, Sharing::Shared, object.clone());
    map_object(machine, &mut other, AT + 64 * PAGE, 4, Sharing::Shared, object.clone());
    map_object(machine, &mut other, AT, 4, Sharing::Private, object.clone());
    map(machine, &mut space, AT + 8 * PAGE, 1, Protection::READ_WRITE);
    let key = FutexObject::Shared { object: object.identity(), offset: PAGE + 8 };
    assert_eq!(space.futex_key(UserAddr::new(AT + PAGE + 8)), Some(key));
    assert_eq!(other.futex_key(UserAddr::new(AT + 65 * PAGE + 8)), Some(key));
    assert_eq!(other.futex_key(UserAddr::new(AT + PAGE + 8)), Some(FutexObject::Private));
    assert_eq!(space.futex_key(UserAddr::new(AT + 8 * PAGE)), Some(FutexObject::Private));
    assert_eq!(space.futex_key(UserAddr::new(AT + 9 * PAGE)), None);
    drop(object);
    finish(machine, [space, other]);
}

#[test]
fn a_shared_object_lives_as_long_as_its_last_mapping() {
    let machine = Machine::plain();
    let mut space = start(machine, 1);
    let object = machine.shared_memory(4).unwrap();
    map_object(machine, &mut space, AT, 4, Sharing::Shared, object);
    store(machine, &mut space, AT, 1);
    assert_eq!(space.unmap(machine, UserAddr::new(AT), PAGE), Ok(()));
    assert_eq!(machine.pages().len(), 1, "the page is the object's");
    assert_eq!(space.unmap(machine, UserAddr::new(AT), 4 * PAGE), Ok(()));
    machine.expect_no_pages();
    finish(machine, [space]);
}
