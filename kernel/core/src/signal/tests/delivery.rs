//! What a handler's frame is made of.

use crate::addr::UserAddr;
use crate::signal::{
    Action, ActionFlags, AlternateStack, Delivery, Handler, Info, Signal, SignalSet, StackFlags, StackRequest,
};

const STACK_POINTER: UserAddr = UserAddr::new(0x5000);

fn action(flags: ActionFlags) -> Action {
    Action {
        handler: Handler::At(UserAddr::new(0x40_1000)),
        flags,
        mask: SignalSet::of(&[Signal::HUP]),
        restorer: UserAddr::new(0x40_2000),
    }
}

fn alternate(flags: StackFlags) -> AlternateStack {
    let request = StackRequest { base: UserAddr::new(0x10_0000), flags, bytes: 0x4000 };
    AlternateStack::DISABLED.changed(request, STACK_POINTER).expect("a good stack")
}

fn plan(flags: ActionFlags, alternate: &AlternateStack) -> Delivery {
    let blocked = SignalSet::of(&[Signal::QUIT]);
    let info = Info::user(Signal::INT, 7, 1000);
    Delivery::plan(info, &action(flags), blocked, blocked, alternate, STACK_POINTER).expect("there is a handler")
}

#[test]
fn a_handler_runs_with_its_mask_and_its_own_signal_blocked() {
    let delivery = plan(ActionFlags::empty(), &AlternateStack::DISABLED);
    assert_eq!(delivery.mask, SignalSet::of(&[Signal::QUIT, Signal::HUP, Signal::INT]));
    assert_eq!(delivery.saved_mask, SignalSet::of(&[Signal::QUIT]));
    assert_eq!((delivery.stack, delivery.restorer), (STACK_POINTER, None));
    assert!(!delivery.wants_info && !delivery.restarts && !delivery.resets);
}

#[test]
fn each_flag_does_its_thing() {
    let none = AlternateStack::DISABLED;
    assert_eq!(plan(ActionFlags::NO_DEFER, &none).mask, SignalSet::of(&[Signal::QUIT, Signal::HUP]));
    assert_eq!(plan(ActionFlags::RESTORER, &none).restorer, Some(UserAddr::new(0x40_2000)));
    assert!(plan(ActionFlags::INFO, &none).wants_info);
    assert!(plan(ActionFlags::RESTART, &none).restarts);
    assert!(plan(ActionFlags::RESET, &none).resets);
}

#[test]
fn the_alternate_stack_is_for_handlers_that_asked() {
    let stack = alternate(StackFlags::empty());
    assert_eq!(plan(ActionFlags::empty(), &stack).stack, STACK_POINTER);
    assert_eq!(plan(ActionFlags::ON_STACK, &stack).stack, UserAddr::new(0x10_4000));
    assert_eq!(plan(ActionFlags::ON_STACK, &stack).alternate, stack);
    assert_eq!(plan(ActionFlags::ON_STACK, &AlternateStack::DISABLED).stack, STACK_POINTER);
}

#[test]
fn a_stack_that_disarms_itself_is_kept_in_the_frame() {
    let delivery = plan(ActionFlags::ON_STACK, &alternate(StackFlags::AUTODISARM));
    assert_eq!(delivery.alternate, AlternateStack::DISABLED);
    assert_eq!(delivery.saved_stack.flags, StackFlags::AUTODISARM);
    assert_eq!(delivery.saved_stack.bytes, 0x4000);
}

#[test]
fn after_sigsuspend_the_mask_before_it_comes_back() {
    let (during, before) = (SignalSet::EMPTY, SignalSet::of(&[Signal::INT]));
    let info = Info::kernel(Signal::INT);
    let stack = AlternateStack::DISABLED;
    let action = action(ActionFlags::empty());
    let delivery = Delivery::plan(info, &action, during, before, &stack, STACK_POINTER).unwrap();
    assert_eq!(delivery.saved_mask, before);
    assert_eq!(delivery.mask, SignalSet::of(&[Signal::INT, Signal::HUP]));
}

#[test]
fn who_has_no_handler_gets_no_frame() {
    let none = AlternateStack::DISABLED;
    let info = Info::kernel(Signal::INT);
    let plan = Delivery::plan(info, &Action::DEFAULT, SignalSet::EMPTY, SignalSet::EMPTY, &none, STACK_POINTER);
    assert_eq!(plan, None);
}
