//! Waiting for children.

use super::support::*;
use crate::proc::fake::{Fake, World};
use crate::proc::{
    ChildKind, Children, CloneFlags, Cloned, Delivery, ExitStatus, ForkFlags, Kinds, Pid, Selection, Target, WaitError,
    WaitRequest, before_user, clone, exit_process, find_thread, kill, set_group, wait,
};
use crate::sched::Tid;
use crate::signal::{Action, ActionFlags, ChildEvent, Handler, MaskChange, Signal, SignalSet};

const ALL_NEWS: Selection =
    Selection { children: Children::Any, kinds: Kinds::All, exited: true, stopped: true, continued: true };

fn news(world: &'static World, parent: &Thread) -> Option<ChildEvent> {
    let request = WaitRequest { selection: ALL_NEWS, ..WaitRequest::ANY };
    look(world, parent, request).unwrap().map(|result| result.event)
}

#[test]
fn a_zombie_is_reaped_once() {
    let (world, _, init) = World::new();
    let child = child_of(world, &init);
    assert_eq!(look(world, &init, WaitRequest::ANY), Ok(None));
    exits(world, &child, 42);
    let result = look(world, &init, WaitRequest::ANY).unwrap().unwrap();
    assert_eq!((result.pid, result.uid, result.event), (pid(&child), 0, ChildEvent::Exited(42)));
    assert_eq!(look(world, &init, WaitRequest::ANY), Err(WaitError::NoChild));
    assert_eq!(look(world, &init, WaitRequest::exit_of(pid(&child))), Err(WaitError::NoChild));
    assert_eq!(is_zombie(world, &init, pid(&child)), None);
}

#[test]
fn a_wait_can_leave_the_zombie_for_another() {
    let (world, _, init) = World::new();
    let child = child_of(world, &init);
    exits(world, &child, 1);
    let leave = WaitRequest { delivery: Delivery::Leave, ..WaitRequest::ANY };
    let seen = [look(world, &init, leave), look(world, &init, leave), look(world, &init, WaitRequest::ANY)];
    assert!(seen.into_iter().all(|result| result.unwrap().unwrap().event == ChildEvent::Exited(1)));
    assert_eq!(look(world, &init, leave), Err(WaitError::NoChild));
}

#[test]
fn only_ones_own_children_are_waited_for() {
    let (world, _, init) = World::new();
    let child = child_of(world, &init);
    let grandchild = child_of(world, &child);
    assert_eq!(look(world, &init, WaitRequest::exit_of(pid(&grandchild))), Err(WaitError::NoChild));
    assert_eq!(look(world, &grandchild, WaitRequest::ANY), Err(WaitError::NoChild));
    assert_eq!(look(world, &init, WaitRequest::exit_of(Pid(4242))), Err(WaitError::NoChild));
}

#[test]
fn a_wait_for_one_or_for_a_group_passes_others_by() {
    let (world, _, init) = World::new();
    let (one, two) = (child_of(world, &init), child_of(world, &init));
    world.act(&init, || set_group(init.process(), Some(pid(&two)), None).unwrap());
    exits(world, &one, 1);
    let group = |of: &Thread| WaitRequest {
        selection: Selection { children: Children::Group(pid(of)), ..WaitRequest::ANY.selection },
        ..WaitRequest::ANY
    };
    assert_eq!(look(world, &init, WaitRequest::exit_of(pid(&two))), Ok(None));
    assert_eq!(look(world, &init, group(&two)), Ok(None));
    assert_eq!(look(world, &init, group(&one)), Err(WaitError::NoChild), "nobody is in that group");
    exits(world, &two, 2);
    assert_eq!(look(world, &init, group(&two)).unwrap().unwrap().event, ChildEvent::Exited(2));
    assert_eq!(reap(world, &init, pid(&one)), ChildEvent::Exited(1));
}

#[test]
fn children_that_end_silently_are_waited_for_by_those_who_ask() {
    let (world, _, init) = World::new();
    let Cloned::Process(number) = world.act(&init, || clone(&init, &clone_arguments(CloneFlags::empty(), 0)).unwrap())
    else {
        panic!("a process")
    };
    let child = world.act(&init, || find_thread::<Fake>(Tid(number.0)).unwrap());
    exits(world, &child, 3);
    assert!(init.pending().is_empty());
    assert_eq!(look(world, &init, WaitRequest::ANY), Err(WaitError::NoChild));
    let kinds =
        |kinds| WaitRequest { selection: Selection { kinds, ..WaitRequest::ANY.selection }, ..WaitRequest::ANY };
    let leave = WaitRequest { delivery: Delivery::Leave, ..kinds(Kinds::All) };
    assert_eq!(look(world, &init, leave).unwrap().unwrap().pid, number);
    assert_eq!(look(world, &init, kinds(Kinds::Clone)).unwrap().unwrap().pid, number);
    assert!(Kinds::Ordinary.take(ChildKind::Ordinary) && !Kinds::Ordinary.take(ChildKind::Clone));
}

#[test]
fn stops_and_continuations_are_told_once_to_those_who_ask() {
    let (world, _, init) = World::new();
    let child = child_of(world, &init);
    let send = |signal| world.act(&init, || kill(&init, Target::Process(pid(&child)), Some(signal)).unwrap());
    send(Signal::STOP);
    let run = world.run(&child, before_user);
    until(|| child.process().body().control.halted == 1 && init.process().news.count() > 0);
    assert_eq!(look(world, &init, WaitRequest::ANY), Ok(None), "not asked for");
    assert_eq!(news(world, &init), Some(ChildEvent::Stopped(Signal::STOP)));
    assert_eq!(news(world, &init), None, "told once");
    send(Signal::CONT);
    assert_eq!(run.join().unwrap(), crate::proc::Next::Run);
    assert_eq!(news(world, &init), Some(ChildEvent::Continued));
    assert_eq!(news(world, &init), None);
    exits(world, &child, 0);
    assert_eq!(news(world, &init), Some(ChildEvent::Exited(0)));
}

#[test]
fn an_exit_takes_the_place_of_an_untold_stop() {
    let (world, _, init) = World::new();
    let child = child_of(world, &init);
    let send = |signal| world.act(&init, || kill(&init, Target::Process(pid(&child)), Some(signal)).unwrap());
    send(Signal::STOP);
    let run = world.run(&child, before_user);
    until(|| child.process().body().control.halted == 1);
    send(Signal::KILL);
    assert!(matches!(run.join().unwrap(), crate::proc::Next::Exit(_)), "SIGKILL reaches who is stopped");
    ends(world, &child, 0);
    assert_eq!(news(world, &init), Some(ChildEvent::Killed { signal: Signal::KILL, core: false }));
}

#[test]
fn a_waiting_parent_is_woken_by_the_exit() {
    let (world, _, init) = World::new();
    let child = child_of(world, &init);
    let waiter = world.run(&init, |init| wait(init, &WaitRequest::ANY));
    until(|| init.process().news.waiting() == 1);
    exits(world, &child, 9);
    assert_eq!(waiter.join().unwrap().unwrap().unwrap().event, ChildEvent::Exited(9));
}

#[test]
fn a_signal_with_a_handler_ends_the_wait() {
    let (world, _, init) = World::new();
    let parent = child_of(world, &init);
    child_of(world, &parent);
    let handler = Action { handler: Handler::At(crate::addr::UserAddr::new(0x40)), ..Action::DEFAULT };
    parent.process().set_action(Signal::USR1, handler).unwrap();
    let waiter = world.run(&parent, |parent| wait(parent, &WaitRequest::ANY));
    until(|| parent.process().news.waiting() == 1);
    let send = |signal| world.act(&init, || kill(&init, Target::Process(pid(&parent)), Some(signal)).unwrap());
    send(Signal::URG);
    assert!(!waiter.is_finished(), "an ignored signal does not");
    send(Signal::USR1);
    assert_eq!(waiter.join().unwrap(), Err(WaitError::Interrupted));
}

#[test]
fn who_ignores_sigchld_or_wants_no_zombies_gets_none_and_waits_until_no_child_is_left() {
    let (world, _, init) = World::new();
    let ignore = Action { handler: Handler::Ignore, ..Action::DEFAULT };
    let no_wait = Action { flags: ActionFlags::NO_CHILD_WAIT, ..Action::DEFAULT };
    for action in [ignore, no_wait] {
        let parent = child_of(world, &init);
        parent.process().set_action(Signal::CHLD, action).unwrap();
        let child = child_of(world, &parent);
        let waiter = world.run(&parent, |parent| wait(parent, &WaitRequest::ANY));
        until(|| parent.process().news.waiting() == 1);
        exits(world, &child, 0);
        assert_eq!(waiter.join().unwrap(), Err(WaitError::NoChild));
        assert_eq!(is_zombie(world, &init, pid(&child)), None);
    }
}

#[test]
fn a_parent_that_handles_sigchld_is_sent_it_with_the_reason() {
    let (world, _, init) = World::new();
    let parent = child_of(world, &init);
    world.act(&parent, || parent.change_mask(MaskChange::Block, SignalSet::EMPTY.with(Signal::CHLD)));
    let child = child_of(world, &parent);
    exits(world, &child, 6);
    let info = world.act(&parent, || {
        crate::proc::take_signal(&parent, SignalSet::EMPTY.with(Signal::CHLD)).expect("pending, for it is blocked")
    });
    let told = crate::signal::Info::child(ChildEvent::Exited(6), pid(&child).0, 0, 0, 0);
    assert_eq!(info, told);
}

#[test]
fn usage_of_children_is_taken_up_when_they_are_reaped() {
    let (world, _, init) = World::new();
    let child = child_of(world, &init);
    let grandchild = child_of(world, &child);
    grandchild.count_major_fault();
    exits(world, &grandchild, 0);
    child.count_minor_fault();
    assert_eq!(child.process().usage_of_children().major_faults, 0);
    reap(world, &child, pid(&grandchild));
    assert_eq!(child.process().usage_of_children().major_faults, 1);
    exits(world, &child, 0);
    let usage = look(world, &init, WaitRequest::ANY).unwrap().unwrap().usage();
    assert_eq!((usage.minor_faults, usage.major_faults), (1, 1));
    assert_eq!(init.process().usage_of_children().major_faults, 1);
}

#[test]
fn two_threads_of_a_parent_do_not_reap_one_child_twice() {
    let (world, _, init) = World::new();
    let other = sibling_of(world, &init);
    let child = child_of(world, &init);
    let waiters = [&init, &other].map(|thread| world.run(thread, |thread| wait(thread, &WaitRequest::ANY)));
    until(|| init.process().news.waiting() == 2);
    world.act(&child, || exit_process(&child, ExitStatus::Exited(0)));
    let results = waiters.map(|waiter| waiter.join().unwrap());
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert!(results.contains(&Err(WaitError::NoChild)));
}

#[test]
fn a_child_without_zombie_is_never_found() {
    let (world, _, init) = World::new();
    let child = fork_with(world, &init, ForkFlags::FORK | ForkFlags::NOZOMBIE).unwrap();
    assert_eq!(look(world, &init, WaitRequest::ANY), Ok(None));
    exits(world, &child, 0);
    assert_eq!(look(world, &init, WaitRequest::ANY), Err(WaitError::NoChild));
}
