//! Signals sent and taken.

use super::support::*;
use crate::addr::UserAddr;
use crate::proc::fake::Fake;
use crate::proc::fake::World;
use crate::proc::{
    ExitStatus, Next, Pid, SignalError, Target, before_user, interrupted, kill, kill_thread, post_fault, set_group,
    set_session, take_signal,
};
use crate::sched::Tid;
use crate::signal::{Action, Handler, Info, MaskChange, Signal, SignalSet, code};

const HANDLER: Action = Action { handler: Handler::At(UserAddr::new(0x40)), ..Action::DEFAULT };
const IGNORE: Action = Action { handler: Handler::Ignore, ..Action::DEFAULT };

fn sends(world: &'static World, from: &Thread, to: Target, signal: Signal) -> Result<(), SignalError> {
    world.act(from, || kill(from, to, Some(signal)))
}

fn next(world: &'static World, thread: &Thread) -> Next {
    world.act(thread, || before_user(thread))
}

fn killed(signal: Signal, core: bool) -> Next {
    Next::Exit(ExitStatus::Killed { signal, core })
}

#[test]
fn default_actions_end_a_process_or_do_nothing() {
    let (world, _, init) = World::new();
    for (signal, expected) in [
        (Signal::TERM, killed(Signal::TERM, false)),
        (Signal::QUIT, killed(Signal::QUIT, true)),
        (Signal::KILL, killed(Signal::KILL, false)),
        (Signal::RTMIN, killed(Signal::RTMIN, false)),
        (Signal::CHLD, Next::Run),
        (Signal::WINCH, Next::Run),
        (Signal::CONT, Next::Run),
    ] {
        let child = child_of(world, &init);
        sends(world, &init, Target::Process(pid(&child)), signal).unwrap();
        assert_eq!(child.attention(), expected != Next::Run, "{signal}");
        assert_eq!(next(world, &child), expected);
    }
}

#[test]
fn a_handler_is_handed_over_with_the_reason_once() {
    let (world, _, init) = World::new();
    let child = child_of(world, &init);
    child.process().set_action(Signal::USR1, HANDLER).unwrap();
    sends(world, &init, Target::Process(pid(&child)), Signal::USR1).unwrap();
    assert_eq!(next(world, &child), Next::Handle(Info::user(Signal::USR1, 1, 0), HANDLER));
    assert!(!child.attention());
    assert_eq!(next(world, &child), Next::Run);
}

#[test]
fn a_blocked_signal_waits_until_it_is_unblocked_and_an_ignored_one_is_dropped() {
    let (world, _, init) = World::new();
    let child = child_of(world, &init);
    let to = Target::Process(pid(&child));
    let usr = SignalSet::of(&[Signal::USR1, Signal::USR2]);
    world.act(&child, || child.change_mask(MaskChange::Block, usr));
    sends(world, &init, to, Signal::USR1).unwrap();
    assert!(!child.attention());
    assert_eq!(next(world, &child), Next::Run);
    child.process().set_action(Signal::USR2, IGNORE).unwrap();
    sends(world, &init, to, Signal::USR2).unwrap();
    assert!(child.pending().contains(Signal::USR2), "blocked: its action may change");
    child.process().set_action(Signal::USR2, IGNORE).unwrap();
    assert!(!child.pending().contains(Signal::USR2), "setting it to be ignored forgets it");
    child.process().set_action(Signal::HUP, IGNORE).unwrap();
    sends(world, &init, to, Signal::HUP).unwrap();
    assert!(!child.pending().contains(Signal::HUP));
    world.act(&child, || child.change_mask(MaskChange::Unblock, usr));
    assert!(child.attention());
    assert_eq!(next(world, &child), killed(Signal::USR1, false));
}

#[test]
fn a_signal_to_a_process_goes_to_a_thread_that_does_not_block_it() {
    let (world, _, init) = World::new();
    let main = child_of(world, &init);
    let other = sibling_of(world, &main);
    main.process().set_action(Signal::USR1, HANDLER).unwrap();
    world.act(&main, || main.change_mask(MaskChange::Block, SignalSet::EMPTY.with(Signal::USR1)));
    sends(world, &init, Target::Process(pid(&main)), Signal::USR1).unwrap();
    assert!(!main.attention() && other.attention());
    assert!(matches!(next(world, &other), Next::Handle(..)));
}

#[test]
fn whoever_blocks_a_signal_that_is_pending_leaves_it_to_others() {
    let (world, _, init) = World::new();
    let main = child_of(world, &init);
    let usr = SignalSet::EMPTY.with(Signal::USR1);
    main.process().set_action(Signal::USR1, HANDLER).unwrap();
    let other = sibling_of(world, &main);
    sends(world, &init, Target::Process(pid(&main)), Signal::USR1).unwrap();
    assert!(main.attention() && !other.attention());
    world.act(&main, || main.change_mask(MaskChange::Block, usr));
    assert!(!main.attention() && other.attention());
    assert_eq!(next(world, &main), Next::Run);
    world.act(&other, || other.change_mask(MaskChange::Block, usr));
    assert!(!other.attention());
    world.act(&main, || main.change_mask(MaskChange::Set, SignalSet::EMPTY));
    assert!(main.attention());
    assert!(matches!(next(world, &main), Next::Handle(..)));
    assert!(main.pending().is_empty() && !main.attention());
}

/// The threads of a process that handles `SIGUSR1`, the main one first.
fn three_that_handle(world: &'static World, init: &Thread) -> [Thread; 3] {
    let main = child_of(world, init);
    main.process().set_action(Signal::USR1, HANDLER).unwrap();
    let (first, second) = (sibling_of(world, &main), sibling_of(world, &main));
    [main, first, second]
}

#[test]
fn a_signal_that_is_left_to_others_is_told_to_one_of_them() {
    let (world, _, init) = World::new();
    let [main, first, second] = three_that_handle(world, &init);
    sends(world, &init, Target::Process(pid(&main)), Signal::USR1).unwrap();
    world.act(&main, || main.change_mask(MaskChange::Block, SignalSet::EMPTY.with(Signal::USR1)));
    assert!(!main.attention() && first.attention() && !second.attention());
}

#[test]
fn whoever_ends_leaves_what_it_was_told_of_to_another() {
    let (world, _, init) = World::new();
    let [main, first, second] = three_that_handle(world, &init);
    world.act(&main, || main.change_mask(MaskChange::Block, SignalSet::EMPTY.with(Signal::USR1)));
    sends(world, &init, Target::Process(pid(&main)), Signal::USR1).unwrap();
    assert!(first.attention() && !second.attention());
    ends(world, &first, 0);
    assert!(!main.attention() && second.attention());
    assert!(matches!(next(world, &second), Next::Handle(..)));
}

#[test]
fn a_new_thread_finds_what_was_pending_before_it() {
    let (world, _, init) = World::new();
    let main = child_of(world, &init);
    let usr = SignalSet::EMPTY.with(Signal::USR1);
    main.process().set_action(Signal::USR1, HANDLER).unwrap();
    world.act(&main, || main.change_mask(MaskChange::Block, usr));
    sends(world, &init, Target::Process(pid(&main)), Signal::USR1).unwrap();
    let other = sibling_of(world, &main);
    assert!(!other.attention());
    world.act(&other, || other.change_mask(MaskChange::Unblock, usr));
    assert!(matches!(next(world, &other), Next::Handle(..)));
}

#[test]
fn a_thread_that_is_made_while_something_is_sent_is_told_of_it() {
    let (world, _, init) = World::new();
    let main = child_of(world, &init);
    sends(world, &init, Target::Process(pid(&main)), Signal::KILL).unwrap();
    world.kicked.lock().unwrap().clear();
    let other = sibling_of(world, &main);
    assert!(other.attention());
    assert_eq!(*world.kicked.lock().unwrap(), [other.tid()], "it looks only if it is told");
}

#[test]
fn a_signal_to_a_thread_is_that_threads() {
    let (world, _, init) = World::new();
    let main = child_of(world, &init);
    let other = sibling_of(world, &main);
    main.process().set_action(Signal::USR1, HANDLER).unwrap();
    let to = |group, tid| world.act(&init, || kill_thread(&init, group, tid, Some(Signal::USR1)));
    assert_eq!(to(Some(pid(&main)), other.tid()), Ok(()));
    assert!(!main.attention() && other.attention());
    assert_eq!(to(Some(Pid::INIT), other.tid()), Err(SignalError::NoSuchProcess), "not one of that process");
    assert_eq!(to(None, Tid(123_456)), Err(SignalError::NoSuchProcess));
    assert_eq!(to(None, main.tid()), Ok(()));
    assert!(main.attention());
    assert_eq!(next(world, &other), Next::Handle(Info::tkill(Signal::USR1, 1, 0), HANDLER));
}

#[test]
fn permission_is_by_user_id_and_within_a_session_for_sigcont() {
    let (world, _, init) = World::new();
    let (mine, theirs) = (child_of(world, &init), child_of(world, &init));
    becomes(world, &mine, 100);
    becomes(world, &theirs, 200);
    let to = Target::Process(pid(&theirs));
    assert_eq!(sends(world, &mine, to, Signal::TERM), Err(SignalError::NotPermitted));
    assert_eq!(world.act(&mine, || kill(&mine, to, None)), Err(SignalError::NotPermitted));
    assert_eq!(sends(world, &mine, to, Signal::CONT), Ok(()));
    world.act(&theirs, || set_session(theirs.process()).unwrap());
    assert_eq!(sends(world, &mine, to, Signal::CONT), Err(SignalError::NotPermitted));
    assert_eq!(sends(world, &init, to, Signal::TERM), Ok(()), "root may");
    assert_eq!(sends(world, &mine, Target::Process(Pid(31_337)), Signal::TERM), Err(SignalError::NoSuchProcess));
    assert_eq!(world.act(&init, || kill(&init, to, None)), Ok(()));
}

#[test]
fn a_zombie_can_be_signalled_and_does_not_mind() {
    let (world, _, init) = World::new();
    let child = child_of(world, &init);
    exits(world, &child, 0);
    assert_eq!(sends(world, &init, Target::Process(pid(&child)), Signal::KILL), Ok(()));
    assert_eq!(reap(world, &init, pid(&child)), crate::signal::ChildEvent::Exited(0));
    assert_eq!(sends(world, &init, Target::Process(pid(&child)), Signal::KILL), Err(SignalError::NoSuchProcess));
}

#[test]
fn a_group_gets_its_signal_as_a_whole() {
    let (world, _, init) = World::new();
    let leader = child_of(world, &init);
    world.act(&leader, || set_group(leader.process(), None, None).unwrap());
    let (member, outsider) = (child_of(world, &leader), child_of(world, &init));
    assert_eq!(sends(world, &init, Target::Group(pid(&leader)), Signal::TERM), Ok(()));
    assert!(leader.attention() && member.attention() && !outsider.attention());
    assert_eq!(sends(world, &init, Target::Group(Pid(4_444)), Signal::TERM), Err(SignalError::NoSuchProcess));
    let other = child_of(world, &init);
    world.act(&other, || set_group(other.process(), None, None).unwrap());
    let same = child_of(world, &other);
    assert_eq!(sends(world, &other, Target::OwnGroup, Signal::HUP), Ok(()));
    assert!(other.attention() && same.attention());
}

#[test]
fn of_several_it_is_enough_that_one_may_be_signalled() {
    let (world, _, init) = World::new();
    let leader = child_of(world, &init);
    world.act(&leader, || set_group(leader.process(), None, None).unwrap());
    let member = child_of(world, &leader);
    becomes(world, &leader, 1);
    becomes(world, &member, 2);
    let sender = child_of(world, &init);
    becomes(world, &sender, 2);
    assert_eq!(sends(world, &sender, Target::Group(pid(&leader)), Signal::TERM), Ok(()));
    assert!(member.attention() && !leader.attention());
    becomes(world, &sender, 3);
    assert_eq!(sends(world, &sender, Target::Group(pid(&leader)), Signal::TERM), Err(SignalError::NotPermitted));
}

#[test]
fn everybody_is_everybody_but_the_sender_and_the_systems_own() {
    let (world, _, init) = World::new();
    let (sender, target) = (child_of(world, &init), child_of(world, &init));
    assert_eq!(sends(world, &sender, Target::Everybody, Signal::KILL), Ok(()));
    assert!(target.attention() && !sender.attention() && !init.attention());
}

#[test]
fn process_1_gets_only_what_it_handles() {
    let (world, _, init) = World::new();
    let child = child_of(world, &init);
    for signal in [Signal::KILL, Signal::TERM, Signal::STOP] {
        assert_eq!(sends(world, &child, Target::Process(Pid::INIT), signal), Ok(()));
        assert!(!init.attention(), "{signal}");
    }
    init.process().set_action(Signal::TERM, HANDLER).unwrap();
    sends(world, &child, Target::Process(Pid::INIT), Signal::TERM).unwrap();
    assert!(matches!(next(world, &init), Next::Handle(..)));
}

#[test]
fn a_fault_that_nobody_handles_ends_the_process_even_where_it_is_blocked_or_ignored() {
    let (world, _, init) = World::new();
    let fault = Info::fault(Signal::SEGV, code::NOT_MAPPED, UserAddr::new(8));
    for prepare in [
        (|_| ()) as fn(&Thread),
        |thread| {
            thread.change_mask(MaskChange::Block, SignalSet::EMPTY.with(Signal::SEGV));
        },
        |thread| {
            thread.process().set_action(Signal::SEGV, IGNORE).unwrap();
        },
    ] {
        let child = child_of(world, &init);
        world.act(&child, || {
            prepare(&child);
            post_fault(&child, fault);
            assert_eq!(before_user(&child), killed(Signal::SEGV, true));
        });
    }
    let child = child_of(world, &init);
    child.process().set_action(Signal::SEGV, HANDLER).unwrap();
    world.act(&child, || {
        post_fault(&child, fault);
        assert_eq!(before_user(&child), Next::Handle(fault, HANDLER));
    });
    world.act(&init, || {
        post_fault(&init, fault);
        assert_eq!(before_user(&init), killed(Signal::SEGV, true), "process 1 is not spared");
    });
}

#[test]
fn stops_and_continuations_undo_each_other_while_they_are_pending() {
    let (world, _, init) = World::new();
    let child = child_of(world, &init);
    child.process().set_action(Signal::CONT, HANDLER).unwrap();
    let to = Target::Process(pid(&child));
    sends(world, &init, to, Signal::TSTP).unwrap();
    sends(world, &init, to, Signal::CONT).unwrap();
    assert_eq!(child.pending(), SignalSet::EMPTY.with(Signal::CONT));
    sends(world, &init, to, Signal::STOP).unwrap();
    assert_eq!(child.pending(), SignalSet::EMPTY.with(Signal::STOP));
}

#[test]
fn a_process_stops_when_all_its_threads_stand_still_and_goes_on_together() {
    let (world, _, init) = World::new();
    init.process().set_action(Signal::CHLD, HANDLER).unwrap();
    let main = child_of(world, &init);
    let other = sibling_of(world, &main);
    sends(world, &init, Target::Process(pid(&main)), Signal::STOP).unwrap();
    let first = world.run(&main, before_user);
    until(|| main.process().body().control.halted == 1);
    assert!(!init.attention(), "the other one still runs");
    assert!(other.attention());
    let second = world.run(&other, before_user);
    until(|| init.attention());
    let told = next(world, &init);
    assert!(matches!(told, Next::Handle(info, _) if info.code == code::STOPPED));
    sends(world, &init, Target::Process(pid(&main)), Signal::CONT).unwrap();
    assert_eq!([first.join().unwrap(), second.join().unwrap()], [Next::Run, Next::Run]);
    assert!(matches!(next(world, &init), Next::Handle(info, _) if info.code == code::CONTINUED));
}

#[test]
fn a_thread_that_ends_is_not_waited_for_by_a_stop() {
    let (world, _, init) = World::new();
    let main = child_of(world, &init);
    let other = sibling_of(world, &main);
    sends(world, &init, Target::Process(pid(&main)), Signal::STOP).unwrap();
    let stopping = world.run(&main, before_user);
    until(|| main.process().body().control.halted == 1);
    let before = init.process().news.count();
    ends(world, &other, 0);
    assert!(init.process().news.count() > before, "now all stand still");
    sends(world, &init, Target::Process(pid(&main)), Signal::CONT).unwrap();
    assert_eq!(stopping.join().unwrap(), Next::Run);
}

#[test]
fn stop_signals_from_a_terminal_do_not_stop_an_orphaned_group() {
    let (world, _, init) = World::new();
    let child = child_of(world, &init);
    world.act(&child, || set_session(child.process()).unwrap());
    for signal in [Signal::TSTP, Signal::TTIN, Signal::TTOU] {
        sends(world, &init, Target::Process(pid(&child)), signal).unwrap();
        assert_eq!(next(world, &child), Next::Run);
    }
}

#[test]
fn sleep_is_interrupted_by_what_the_thread_has_to_attend_to() {
    let (world, _, init) = World::new();
    let child = child_of(world, &init);
    assert!(!world.act(&child, interrupted::<Fake>));
    sends(world, &init, Target::Process(pid(&child)), Signal::TERM).unwrap();
    assert!(world.act(&child, interrupted::<Fake>));
}

#[test]
fn a_mask_that_was_exchanged_for_a_sleep_comes_back() {
    let (world, _, init) = World::new();
    let child = child_of(world, &init);
    let (usual, during) = (SignalSet::of(&[Signal::HUP]), SignalSet::of(&[Signal::INT]));
    world.act(&child, || {
        child.change_mask(MaskChange::Set, usual);
        child.exchange_mask(during);
        assert_eq!(child.mask(), during);
        child.restore_mask();
        assert_eq!(child.mask(), usual);
        child.exchange_mask(during);
        assert_eq!(child.take_saved_mask(), Some(usual), "the handler's frame has it");
        child.restore_mask();
        assert_eq!(child.mask(), during);
    });
}

#[test]
fn a_blocked_signal_can_be_taken_by_who_waits_for_it() {
    let (world, _, init) = World::new();
    let child = child_of(world, &init);
    let usr = SignalSet::of(&[Signal::USR1]);
    world.act(&child, || child.change_mask(MaskChange::Block, usr));
    assert_eq!(world.act(&child, || take_signal(&child, usr)), None);
    sends(world, &init, Target::Process(pid(&child)), Signal::USR1).unwrap();
    assert_eq!(world.act(&child, || take_signal(&child, usr)), Some(Info::user(Signal::USR1, 1, 0)));
    assert!(child.pending().is_empty());
}
