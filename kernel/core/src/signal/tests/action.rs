//! What is done about signals.

use crate::addr::UserAddr;
use crate::signal::{Action, ActionFlags, Actions, Effective, Handler, Signal, SignalSet, Unchangeable};

const HANDLER: Action = Action { handler: Handler::At(UserAddr::new(0x40_1000)), ..Action::DEFAULT };
const IGNORE: Action = Action { handler: Handler::Ignore, ..Action::DEFAULT };

#[test]
fn the_structure_is_handler_flags_restorer_mask() {
    let mut bytes = [0; Action::BYTES];
    bytes[..8].copy_from_slice(&0x40_1000_u64.to_le_bytes());
    bytes[8..16].copy_from_slice(&0xdc00_0007_u64.to_le_bytes());
    bytes[16..24].copy_from_slice(&0x40_2000_u64.to_le_bytes());
    bytes[24..].copy_from_slice(&0b11_u64.to_le_bytes());
    let action = Action::from_linux(&bytes);
    assert_eq!(action.handler, HANDLER.handler);
    assert_eq!(action.flags, ActionFlags::all());
    assert_eq!(action.restorer, UserAddr::new(0x40_2000));
    assert_eq!(action.mask, SignalSet::of(&[Signal::HUP, Signal::INT]));
    assert_eq!(action.to_linux(), bytes);
}

#[test]
fn handlers_0_and_1_are_no_addresses() {
    let mut bytes = [0; Action::BYTES];
    assert_eq!(Action::from_linux(&bytes), Action::DEFAULT);
    bytes[0] = 1;
    assert_eq!(Action::from_linux(&bytes), IGNORE);
    assert_eq!(IGNORE.to_linux(), bytes);
}

#[test]
fn unknown_flags_and_unblockable_signals_read_back_as_not_set() {
    let mut bytes = [0; Action::BYTES];
    bytes[8..16].copy_from_slice(&0xffff_ffff_0000_0400_u64.to_le_bytes());
    bytes[24..].copy_from_slice(&u64::MAX.to_le_bytes());
    let action = Action::from_linux(&bytes);
    assert_eq!(action.flags, ActionFlags::empty());
    assert_eq!(action.mask, !SignalSet::UNBLOCKABLE);
}

#[test]
fn setting_returns_what_was_set_before() {
    let mut actions = Actions::new();
    assert_eq!(actions.set(Signal::INT, HANDLER), Ok(Action::DEFAULT));
    assert_eq!(actions.set(Signal::INT, IGNORE), Ok(HANDLER));
    assert_eq!(*actions.get(Signal::INT), IGNORE);
    assert_eq!(*actions.get(Signal::HUP), Action::DEFAULT);
}

#[test]
fn kill_and_stop_cannot_be_changed() {
    let mut actions = Actions::new();
    for signal in SignalSet::UNBLOCKABLE.iter() {
        assert_eq!(actions.set(signal, IGNORE), Err(Unchangeable(signal)));
        assert!(!actions.ignores(signal));
    }
}

#[test]
fn the_effect_follows_the_handler_and_then_the_default() {
    let mut actions = Actions::new();
    assert_eq!(actions.effective(Signal::TERM), Effective::Terminate { core: false });
    assert_eq!(actions.effective(Signal::SEGV), Effective::Terminate { core: true });
    assert_eq!(actions.effective(Signal::TSTP), Effective::Stop);
    assert_eq!(actions.effective(Signal::CONT), Effective::Continue);
    assert_eq!(actions.effective(Signal::CHLD), Effective::Ignore);
    actions.set(Signal::TERM, IGNORE).unwrap();
    actions.set(Signal::TSTP, HANDLER).unwrap();
    assert_eq!(actions.effective(Signal::TERM), Effective::Ignore);
    assert_eq!(actions.effective(Signal::TSTP), Effective::Handle(HANDLER));
    actions.reset(Signal::TSTP);
    assert_eq!(actions.effective(Signal::TSTP), Effective::Stop);
}

#[test]
fn a_signal_is_ignored_by_request_or_by_default_but_not_if_caught() {
    let mut actions = Actions::new();
    assert!(actions.ignores(Signal::CHLD) && actions.ignores(Signal::CONT) && !actions.ignores(Signal::TERM));
    actions.set(Signal::CHLD, HANDLER).unwrap();
    actions.set(Signal::TERM, IGNORE).unwrap();
    assert!(!actions.ignores(Signal::CHLD) && actions.ignores(Signal::TERM));
}

#[test]
fn exec_keeps_what_is_ignored_and_nothing_else() {
    let mut actions = Actions::new();
    actions.set(Signal::INT, HANDLER).unwrap();
    let masked = Action { flags: ActionFlags::RESTART, mask: SignalSet::of(&[Signal::HUP]), ..IGNORE };
    actions.set(Signal::QUIT, masked).unwrap();
    let flags_only = Action { flags: ActionFlags::NO_CHILD_WAIT, ..Action::DEFAULT };
    actions.set(Signal::CHLD, flags_only).unwrap();

    assert!(!actions.is_fresh(), "something changes");
    let mut fresh = actions.clone();
    fresh.reset_for_exec();
    assert_eq!(*fresh.get(Signal::INT), Action::DEFAULT);
    assert_eq!(*fresh.get(Signal::QUIT), IGNORE);
    assert_eq!(*fresh.get(Signal::CHLD), Action::DEFAULT);
    assert_eq!((fresh.caught(), fresh.ignored()), (SignalSet::EMPTY, SignalSet::of(&[Signal::QUIT])));
    assert!(fresh.is_fresh(), "a second exec finds nothing to change");
    assert!(Actions::new().is_fresh());
}

#[test]
fn a_fault_is_not_lost_in_a_mask_or_in_an_ignored_signal() {
    let mut actions = Actions::new();
    assert!(!actions.would_lose_fault(Signal::SEGV, SignalSet::EMPTY));
    assert!(actions.would_lose_fault(Signal::SEGV, SignalSet::of(&[Signal::SEGV])));
    actions.set(Signal::SEGV, IGNORE).unwrap();
    assert!(actions.would_lose_fault(Signal::SEGV, SignalSet::EMPTY));
    actions.reset(Signal::SEGV);
    assert_eq!(actions.effective(Signal::SEGV), Effective::Terminate { core: true });
}

#[test]
fn children_are_reaped_at_once_on_request_only() {
    let mut actions = Actions::new();
    assert!(!actions.reaps_children() && actions.reports_stops());
    actions.set(Signal::CHLD, IGNORE).unwrap();
    assert!(actions.reaps_children());
    let flags = ActionFlags::NO_CHILD_WAIT | ActionFlags::NO_CHILD_STOP;
    actions.set(Signal::CHLD, Action { flags, ..HANDLER }).unwrap();
    assert!(actions.reaps_children() && !actions.reports_stops());
}
