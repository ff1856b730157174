//! Stacks for handlers.

use crate::addr::UserAddr;
use crate::signal::{AlternateStack, StackError, StackFlags, StackRequest};

const BASE: u64 = 0x7000_0000;
const BYTES: u64 = 0x4000;
const ELSEWHERE: UserAddr = UserAddr::new(0x1000);

fn at(offset: u64) -> UserAddr {
    UserAddr::new(BASE + offset)
}

fn request(flags: u32) -> StackRequest {
    StackRequest { base: UserAddr::new(BASE), flags: StackFlags::from_bits_retain(flags), bytes: BYTES }
}

fn stack(flags: u32) -> AlternateStack {
    AlternateStack::DISABLED.changed(request(flags), ELSEWHERE).expect("a good stack")
}

#[test]
fn the_structure_is_base_flags_size() {
    let mut bytes = [0; StackRequest::BYTES];
    bytes[..8].copy_from_slice(&BASE.to_le_bytes());
    bytes[8..12].copy_from_slice(&0x8000_0001_u32.to_le_bytes());
    bytes[16..].copy_from_slice(&BYTES.to_le_bytes());
    assert_eq!(StackRequest::from_linux(&bytes), request(0x8000_0001));
    assert_eq!(request(0x8000_0001).to_linux(), bytes);
}

#[test]
fn at_first_there_is_none() {
    let none = AlternateStack::default();
    assert!(!none.is_enabled() && !none.is_in_use(ELSEWHERE));
    assert_eq!(none.top(ELSEWHERE), None);
    let told = StackRequest { base: UserAddr::new(0), flags: StackFlags::DISABLE, bytes: 0 };
    assert_eq!(none.describe(ELSEWHERE), told);
}

#[test]
fn the_end_belongs_to_the_stack_and_the_base_does_not() {
    let stack = stack(0);
    assert!(stack.is_in_use(at(BYTES)) && stack.is_in_use(at(1)));
    assert!(!stack.is_in_use(at(0)) && !stack.is_in_use(at(BYTES + 1)));
}

#[test]
fn a_frame_goes_to_the_top_unless_the_thread_is_there_already() {
    let stack = stack(0);
    assert_eq!(stack.top(ELSEWHERE), Some(at(BYTES)));
    assert_eq!(stack.top(at(100)), None);
}

#[test]
fn what_is_told_says_whether_it_is_in_use() {
    let stack = stack(0);
    assert_eq!(stack.describe(ELSEWHERE), request(0));
    assert_eq!(stack.describe(at(100)), request(1));
}

#[test]
fn a_stack_in_use_cannot_be_changed() {
    assert_eq!(stack(0).changed(request(2), at(100)), Err(StackError::InUse));
    assert_eq!(stack(0).changed(request(2), ELSEWHERE), Ok(AlternateStack::DISABLED));
}

#[test]
fn one_that_disarms_itself_is_never_in_use() {
    let stack = stack(0x8000_0000);
    assert!(!stack.is_in_use(at(100)));
    assert_eq!(stack.while_handling(), AlternateStack::DISABLED);
    // What the frame keeps arms it again.
    assert_eq!(AlternateStack::DISABLED.changed(stack.describe(ELSEWHERE), at(100)), Ok(stack));
    assert_eq!(stack.changed(request(0), at(100)), Ok(self::stack(0)));
}

#[test]
fn flags_and_size_are_checked() {
    let none = AlternateStack::DISABLED;
    for flags in [3, 4, 0x4000_0000] {
        assert_eq!(none.changed(request(flags), ELSEWHERE), Err(StackError::BadFlags), "{flags:#x}");
    }
    assert!(none.changed(request(1), ELSEWHERE).is_ok(), "SS_ONSTACK as a request means nothing");
    let of = |bytes| none.changed(StackRequest { bytes, ..request(0) }, ELSEWHERE);
    assert_eq!(of(AlternateStack::MIN_BYTES - 1), Err(StackError::TooSmall));
    assert!(of(AlternateStack::MIN_BYTES).is_ok());
    assert!(none.changed(StackRequest { bytes: 0, ..request(2) }, ELSEWHERE).is_ok(), "none needs no size");
}

#[test]
fn a_stack_that_wraps_around_is_no_panic() {
    let request = StackRequest { base: UserAddr::new(u64::MAX - 10), ..request(0) };
    let stack = AlternateStack::DISABLED.changed(request, ELSEWHERE).unwrap();
    assert_eq!(stack.top(ELSEWHERE), Some(UserAddr::new(BYTES - 11)));
}
