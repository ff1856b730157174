//! Limits and who may change them.

use proptest::prelude::*;

use super::{INFINITY, Limit, LimitError, Limits, Resource};

const MAX_PROCESSES: u64 = 1310;

fn limits() -> Limits {
    Limits::initial(MAX_PROCESSES)
}

fn limit(soft: u64, hard: u64) -> Limit {
    Limit { soft, hard }
}

#[test]
fn resources_have_linux_s_numbers() {
    for (number, resource) in (0..).zip(Resource::ALL) {
        assert_eq!(Resource::new(number), Some(resource));
        assert_eq!(resource as u32, number);
    }
    let known = [(0, Resource::Cpu), (3, Resource::Stack), (6, Resource::Processes), (7, Resource::OpenFiles)];
    let more = [(8, Resource::LockedMemory), (9, Resource::AddressSpace), (11, Resource::SignalsPending)];
    for (number, resource) in known.into_iter().chain(more) {
        assert_eq!(Resource::new(number), Some(resource));
    }
    assert_eq!(Resource::new(16), None);
    assert_eq!(Resource::new(u32::MAX), None);
}

#[test]
fn the_first_process_has_the_documented_limits() {
    let limits = limits();
    assert_eq!(limits.get(Resource::Stack), limit(8 << 20, INFINITY));
    assert_eq!(limits.get(Resource::OpenFiles), limit(1024, 4096));
    assert_eq!(limits.get(Resource::LockedMemory), Limit::both(8 << 20));
    assert_eq!(limits.get(Resource::Cpu), Limit::INFINITE);
    assert_eq!(limits.soft(Resource::AddressSpace), INFINITY);
}

#[test]
fn f30_an_ordinary_user_gets_80_processes_unless_told_otherwise() {
    assert_eq!(limits().get(Resource::Processes), limit(80, MAX_PROCESSES));
    assert_eq!(Limits::initial(20).get(Resource::Processes), limit(20, 20));
}

#[test]
fn f30_no_limit_to_processes_is_above_the_process_table() {
    let mut limits = limits();
    let before = limits.set(Resource::Processes, Limit::INFINITE, true, MAX_PROCESSES);
    assert_eq!(before, Ok(limit(80, MAX_PROCESSES)));
    assert_eq!(limits.get(Resource::Processes), Limit::both(MAX_PROCESSES));
    // The table has shrunk meanwhile.
    assert!(limits.set(Resource::Processes, limit(200, 400), false, 100).is_ok());
    assert_eq!(limits.get(Resource::Processes), Limit::both(100));
}

#[test]
fn a_hard_limit_goes_up_for_root_only() {
    let mut limits = limits();
    assert_eq!(limits.set(Resource::OpenFiles, limit(1024, 4097), false, 10), Err(LimitError::NotPermitted));
    assert_eq!(limits.get(Resource::OpenFiles), limit(1024, 4096), "nothing has changed");
    assert!(limits.set(Resource::OpenFiles, limit(4096, 4096), false, 10).is_ok());
    assert!(limits.set(Resource::OpenFiles, limit(5000, 5000), true, 10).is_ok());
    let too_many = Limit::both(Limits::MAX_OPEN_FILES + 1);
    assert_eq!(limits.set(Resource::OpenFiles, too_many, true, 10), Err(LimitError::NotPermitted));
}

#[test]
fn a_hard_limit_that_went_down_stays_down() {
    let mut limits = limits();
    assert!(limits.set(Resource::Stack, limit(1 << 20, 2 << 20), false, 10).is_ok());
    assert_eq!(limits.set(Resource::Stack, limit(1 << 20, 3 << 20), false, 10), Err(LimitError::NotPermitted));
}

#[test]
fn the_soft_limit_is_not_above_the_hard_one() {
    let mut limits = limits();
    assert_eq!(limits.set(Resource::Cpu, limit(2, 1), true, 10), Err(LimitError::Crossed));
    assert!(limits.set(Resource::Cpu, limit(0, 0), false, 10).is_ok());
}

#[test]
fn the_structure_is_soft_then_hard() {
    let mut bytes = [0; Limit::BYTES];
    bytes[0] = 7;
    bytes[8..].fill(0xff);
    assert_eq!(Limit::from_linux(bytes), limit(7, INFINITY));
    assert_eq!(limit(7, INFINITY).to_linux(), bytes);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 4 } else { 512 }, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_user_gets_more_than_he_had(
        calls in prop::collection::vec((0..16_u32, 0..6_u64, 0..6_u64, any::<bool>()), 1..40),
    ) {
        // Few values, and infinity, so that they meet.
        let value = |small: u64| if small == 5 { INFINITY } else { small };
        let mut limits = limits();
        for (number, soft, hard, is_root) in calls {
            let resource = Resource::new(number).unwrap();
            let before = limits.clone();
            let asked = limit(value(soft), value(hard));
            let result = limits.set(resource, asked, is_root, 4);
            let (old, new) = (before.get(resource), limits.get(resource));
            prop_assert!(new.soft <= new.hard || new == old);
            match result {
                Ok(returned) => {
                    prop_assert_eq!(returned, old);
                    prop_assert!(is_root || new.hard <= old.hard);
                    prop_assert!(new == asked || resource == Resource::Processes && new.hard <= 4);
                }
                Err(LimitError::Crossed) => prop_assert!(asked.soft > asked.hard),
                Err(LimitError::NotPermitted) => {
                    prop_assert!(asked.hard > old.hard && (!is_root || resource == Resource::OpenFiles));
                }
            }
            for other in Resource::ALL {
                prop_assert!(limits.get(other) == before.get(other) || (other == resource && result.is_ok()));
            }
        }
    }
}
