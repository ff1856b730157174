//! The process side of exec.

use std::sync::Arc;

use super::support::*;
use crate::fs::DescriptorFlags;
use crate::proc::cred::Credentials;
use crate::proc::fake::{DATA, Event, Fake, World};
use crate::proc::{
    AddressSpace, Ended, ExitStatus, ForkFlags, NewImage, Next, ProcessFlags, Target, before_user, exec_commit, kill,
};
use crate::sched::ThreadName;
use crate::signal::{Action, ChildEvent, Handler, MaskChange, Signal, SignalSet};
use crate::vm::Layout;

fn image(world: &'static World, thread: &Thread) -> NewImage<Fake> {
    let space = world.act(thread, || AddressSpace::<Fake>::new(Layout::fixed()).unwrap());
    NewImage { space, program: None, name: ThreadName::new("new"), credentials: None, set_id: false }
}

fn executes(world: &'static World, thread: &Thread) {
    let image = image(world, thread);
    world.act(thread, || exec_commit(thread, image).unwrap());
}

#[test]
fn exec_gives_the_process_a_new_memory_and_loses_none_of_the_old() {
    let (world, _, init) = World::new();
    let pages = world.machine.pages().len();
    let child = child_of(world, &init);
    poke(world, &child, DATA, 1);
    assert_eq!(child.process().usage().max_resident_kib, 0, "nobody asked");
    let old = Arc::downgrade(&child.space().unwrap());
    world.take_events();
    executes(world, &child);
    assert!(old.upgrade().is_none());
    assert_eq!(child.process().usage().max_resident_kib, 4, "the most of both programs");
    assert_eq!(world.machine.pages().len(), pages);
    let space = child.space().unwrap();
    assert_eq!(world.take_events(), [Event::SpaceAdopted(space.id())]);
    assert_eq!(space.users(), 1);
    assert_eq!((child.name().as_str(), child.process().name().as_str()), ("new", "new"));
    exits(world, &child, 0);
    reap(world, &init, pid(&child));
}

#[test]
fn exec_resets_handlers_keeps_ignored_signals_the_mask_and_what_is_pending() {
    let (world, _, init) = World::new();
    let child = child_of(world, &init);
    let handler = Action { handler: Handler::At(DATA), ..Action::DEFAULT };
    let ignore = Action { handler: Handler::Ignore, ..Action::DEFAULT };
    child.process().set_action(Signal::USR1, handler).unwrap();
    child.process().set_action(Signal::HUP, ignore).unwrap();
    let blocked = SignalSet::of(&[Signal::USR2]);
    world.act(&child, || child.change_mask(MaskChange::Block, blocked));
    world.act(&init, || kill(&init, Target::Process(pid(&child)), Some(Signal::USR2)).unwrap());
    executes(world, &child);
    assert_eq!(child.process().action(Signal::USR1), Action::DEFAULT);
    assert_eq!(child.process().action(Signal::HUP), ignore);
    assert_eq!((child.mask(), child.pending()), (blocked, blocked));
}

#[test]
fn exec_closes_what_is_marked_and_leaves_a_shared_table_to_the_others() {
    let (world, _, init) = World::new();
    let marked = opens(world, &init, DescriptorFlags::CLOSE_ON_EXEC);
    let kept = opens(world, &init, DescriptorFlags::empty());
    let child = fork_with(world, &init, ForkFlags::FORK | ForkFlags::SHAREFILES).unwrap();
    executes(world, &child);
    assert!(file(&child, marked).is_none() && file(&child, kept).is_some());
    assert!(file(&init, marked).is_some(), "the parent's are its own");
}

#[test]
fn f47_exec_releases_the_parent_in_vfork() {
    let (world, _, init) = World::new();
    let parent = child_of(world, &init);
    let call = world.run(&parent, |parent| crate::proc::vfork(parent).unwrap());
    let child = vfork_child(world, &parent);
    assert!(!call.is_finished());
    executes(world, &child);
    assert_eq!(call.join().unwrap(), pid(&child));
    assert!(!child.process().flags().contains(ProcessFlags::PPWAIT));
}

#[test]
fn f47_a_child_whose_parent_waits_never_stops() {
    let (world, _, init) = World::new();
    let parent = child_of(world, &init);
    let call = world.run(&parent, |parent| crate::proc::vfork(parent).unwrap());
    let child = vfork_child(world, &parent);
    for signal in [Signal::STOP, Signal::TSTP, Signal::TTIN] {
        world.act(&init, || kill(&init, Target::Process(pid(&child)), Some(signal)).unwrap());
        assert_eq!(world.act(&child, || before_user(&child)), Next::Run);
    }
    exits(world, &child, 0);
    call.join().unwrap();
}

#[test]
fn exec_by_another_thread_takes_over_the_main_threads_number() {
    let (world, _, init) = World::new();
    let main = child_of(world, &init);
    let other = sibling_of(world, &main);
    let image = image(world, &other);
    let exec = world.run(&other, move |other| exec_commit(other, image));
    until(|| main.attention());
    assert!(!exec.is_finished(), "it waits to be alone");
    assert_eq!(world.act(&main, || before_user(&main)), Next::Exit(ExitStatus::Exited(0)));
    ends(world, &main, 0);
    exec.join().unwrap().unwrap();
    assert_eq!(other.tid().0, pid(&main).0);
    assert!(other.is_main());
    assert_eq!(main.process().thread_count(), 1);
    let found = world.act(&init, || crate::proc::find_thread::<Fake>(other.tid()).unwrap());
    assert!(Arc::ptr_eq(&found, &other));
    exits(world, &other, 3);
    assert_eq!(reap(world, &init, pid(&main)), ChildEvent::Exited(3));
}

#[test]
fn of_two_threads_that_execute_at_once_one_ends() {
    let (world, _, init) = World::new();
    let main = child_of(world, &init);
    let other = sibling_of(world, &main);
    let (first, second) = (image(world, &main), image(world, &other));
    let exec = world.run(&main, move |main| exec_commit(main, first));
    until(|| other.attention());
    assert_eq!(world.act(&other, || exec_commit(&other, second)), Err(Ended(ExitStatus::Exited(0))));
    ends(world, &other, 0);
    exec.join().unwrap().unwrap();
}

#[test]
fn an_exec_that_is_killed_while_it_waits_to_be_alone_has_changed_nothing() {
    let (world, _, init) = World::new();
    let main = child_of(world, &init);
    let _other = sibling_of(world, &main);
    let old = main.space().unwrap().id();
    let image = image(world, &main);
    let exec = world.run(&main, move |main| exec_commit(main, image));
    until(|| main.process().body().control.alone.is_some());
    world.act(&init, || kill(&init, Target::Process(pid(&main)), Some(Signal::KILL)).unwrap());
    let killed = ExitStatus::Killed { signal: Signal::KILL, core: false };
    assert_eq!(exec.join().unwrap(), Err(Ended(killed)));
    assert_eq!(main.space().unwrap().id(), old);
}

#[test]
fn exec_marks_set_id_programs_and_forgets_that_the_process_was_forked() {
    let (world, _, init) = World::new();
    let child = child_of(world, &init);
    becomes(world, &child, 50);
    assert!(child.process().flags().contains(ProcessFlags::FORKED));
    let mut credentials = Credentials::user(50, 50);
    credentials.uid.effective = 0;
    let image = NewImage { credentials: Some(Arc::new(credentials)), set_id: true, ..image(world, &child) };
    world.act(&child, || exec_commit(&child, image).unwrap());
    let flags = child.process().flags();
    assert!(flags.contains(ProcessFlags::SET_ID | ProcessFlags::SET_ID_BY_EXEC));
    assert!(!flags.contains(ProcessFlags::FORKED));
    assert!(child.process().credentials().is_root());
}

#[test]
fn a_clone_child_becomes_an_ordinary_one_by_exec() {
    let (world, _, init) = World::new();
    let made =
        world.act(&init, || crate::proc::clone(&init, &clone_arguments(crate::proc::CloneFlags::empty(), 0)).unwrap());
    let child = world.act(&init, || crate::proc::find_thread::<Fake>(crate::sched::Tid(made.number())).unwrap());
    executes(world, &child);
    exits(world, &child, 2);
    assert_eq!(reap(world, &init, pid(&child)), ChildEvent::Exited(2));
}
