//! How processes end, and what becomes of those they leave.

use super::support::*;
use crate::proc::fake::{Event, Fake, World};
use crate::proc::{
    ExitStatus, Pid, ProcessFlags, Target, WaitRequest, acquire_terminal, before_user, kill, relations, set_group,
    set_session, terminal_of,
};
use crate::signal::{Action, ChildEvent, Handler, Signal};

const HANDLER: Action = Action { handler: Handler::At(crate::addr::UserAddr::new(0x40)), ..Action::DEFAULT };

#[test]
fn orphans_are_adopted_by_process_1_which_is_told_of_zombies_among_them() {
    let (world, _, init) = World::new();
    init.process().set_action(Signal::CHLD, HANDLER).unwrap();
    let parent = child_of(world, &init);
    let (living, dead) = (child_of(world, &parent), child_of(world, &parent));
    exits(world, &dead, 5);
    assert!(init.pending().is_empty());
    exits(world, &parent, 0);
    assert_eq!(living.process().parent_pid(), Pid::INIT);
    assert_eq!(world.act(&init, || relations::<Fake>(pid(&living)).unwrap().parent), Pid::INIT);
    assert!(init.pending().contains(Signal::CHLD));
    assert_eq!(reap(world, &init, pid(&dead)), ChildEvent::Exited(5));
    assert_eq!(reap(world, &init, pid(&parent)), ChildEvent::Exited(0));
    exits(world, &living, 6);
    assert_eq!(reap(world, &init, pid(&living)), ChildEvent::Exited(6));
}

#[test]
fn zombies_inherited_by_a_process_1_that_wants_none_are_gone() {
    let (world, _, init) = World::new();
    init.process().set_action(Signal::CHLD, Action { handler: Handler::Ignore, ..Action::DEFAULT }).unwrap();
    let parent = child_of(world, &init);
    let dead = [child_of(world, &parent), child_of(world, &parent)];
    dead.iter().for_each(|child| exits(world, child, 0));
    exits(world, &parent, 0);
    assert_eq!(world.processes.counts.processes(), 2);
}

#[test]
fn the_exit_of_process_1_is_the_kernels_business() {
    let (world, _, init) = World::new();
    exits(world, &init, 3);
    assert!(world.take_events().contains(&Event::InitExited(ExitStatus::Exited(3))));
}

#[test]
fn f47_an_exiting_child_releases_its_parent_before_it_gives_up_its_memory() {
    let (world, _, init) = World::new();
    let parent = child_of(world, &init);
    let call = world.run(&parent, |parent| crate::proc::vfork(parent).unwrap());
    let child = vfork_child(world, &parent);
    exits(world, &child, 0);
    call.join().unwrap();
    assert!(!child.process().flags().contains(ProcessFlags::PPWAIT));
    assert!(!parent.gate.is_shut());
    assert!(child.process().space().is_none());
}

#[test]
fn a_leader_that_exits_hangs_up_whoever_is_in_front_on_its_terminal() {
    let (world, _, init) = World::new();
    let shell = child_of(world, &init);
    let job = world.act(&shell, || {
        set_session(shell.process()).unwrap();
        acquire_terminal(shell.process(), 7).unwrap();
        child_of(world, &shell)
    });
    world.act(&shell, || {
        set_group(shell.process(), Some(pid(&job)), None).unwrap();
        crate::proc::set_foreground(shell.process(), pid(&job)).unwrap();
    });
    let background = child_of(world, &shell);
    exits(world, &shell, 0);
    let killed = crate::proc::Next::Exit(ExitStatus::Killed { signal: Signal::HUP, core: false });
    assert_eq!(world.act(&job, || before_user(&job)), killed);
    assert!(!background.attention());
    assert_eq!(world.act(&job, || terminal_of(job.process())), None);
    let other = child_of(world, &init);
    world.act(&other, || {
        set_session(other.process()).unwrap();
        acquire_terminal(other.process(), 7).expect("the terminal is free again");
    });
}

#[test]
fn a_stopped_group_that_is_orphaned_by_an_exit_is_hung_up_and_continued() {
    let (world, _, init) = World::new();
    let shell = child_of(world, &init);
    world.act(&shell, || set_session(shell.process()).unwrap());
    let job = child_of(world, &shell);
    world.act(&shell, || set_group(shell.process(), Some(pid(&job)), None).unwrap());
    let member = child_of(world, &job);
    world.act(&shell, || kill(&shell, Target::Process(pid(&member)), Some(Signal::TSTP)).unwrap());
    let stopped = world.run(&member, before_user);
    until(|| member.process().body().control.halted == 1);
    exits(world, &shell, 0);
    let killed = crate::proc::Next::Exit(ExitStatus::Killed { signal: Signal::HUP, core: false });
    assert_eq!(stopped.join().unwrap(), killed);
    assert_eq!(world.act(&job, || before_user(&job)), killed, "all of the group");
}

#[test]
fn a_group_that_is_orphaned_without_stopped_members_is_left_alone() {
    let (world, _, init) = World::new();
    let shell = child_of(world, &init);
    world.act(&shell, || set_session(shell.process()).unwrap());
    let job = child_of(world, &shell);
    world.act(&shell, || set_group(shell.process(), Some(pid(&job)), None).unwrap());
    assert!(!world.act(&job, || crate::proc::is_orphaned(job.process())));
    exits(world, &shell, 0);
    assert!(!job.attention());
    assert!(world.act(&job, || crate::proc::is_orphaned(job.process())));
}

#[test]
fn a_group_that_had_no_anchor_is_not_hung_up_when_a_member_leaves_it() {
    let (world, _, init) = World::new();
    let shell = child_of(world, &init);
    world.act(&shell, || set_session(shell.process()).unwrap());
    let (stopped, leaver) = (child_of(world, &shell), child_of(world, &shell));
    world.act(&shell, || kill(&shell, Target::Process(pid(&stopped)), Some(Signal::STOP)).unwrap());
    let waiting = world.run(&stopped, before_user);
    until(|| stopped.process().body().control.halted == 1);
    assert!(world.act(&shell, || crate::proc::is_orphaned(shell.process())), "its parent is in another session");
    world.act(&shell, || set_group(shell.process(), Some(pid(&leaver)), None).unwrap());
    assert!(!shell.attention(), "nobody is told");
    world.act(&shell, || kill(&shell, Target::Process(pid(&stopped)), Some(Signal::KILL)).unwrap());
    let _killed = waiting.join().unwrap();
}

#[test]
fn the_first_decision_to_exit_counts() {
    let (world, _, init) = World::new();
    let child = child_of(world, &init);
    world.act(&init, || kill(&init, Target::Process(pid(&child)), Some(Signal::KILL)).unwrap());
    exits(world, &child, 0);
    assert_eq!(reap(world, &init, pid(&child)), ChildEvent::Killed { signal: Signal::KILL, core: false });
}

#[test]
fn a_process_that_exits_gives_up_all_it_had_and_keeps_what_its_parent_may_ask() {
    let (world, _, init) = World::new();
    let child = child_of(world, &init);
    becomes(world, &child, 77);
    let fd = opens(world, &child, crate::fs::DescriptorFlags::empty());
    let open = std::sync::Arc::downgrade(&file(&child, fd).unwrap());
    exits(world, &child, 1);
    assert!(open.upgrade().is_none());
    assert!(child.process().files().is_none() && child.process().space().is_none());
    let result = look(world, &init, WaitRequest::ANY).unwrap().unwrap();
    assert_eq!(result.uid, 77);
}
