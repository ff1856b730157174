//! `thread_fork`, and how threads end.

use super::support::*;
use crate::addr::UserAddr;
use crate::proc::fake::{DATA, Event, World};
use crate::proc::{
    ExitStatus, ForkError, Next, OnFault, Pid, Target, ThreadRequest, TidPointers, before_user, kill, thread_fork,
};
use crate::signal::{AlternateStack, ChildEvent, Signal, StackFlags, StackRequest};

#[test]
fn f48_a_null_stack_is_refused_before_anything_is_counted() {
    let (world, _, init) = World::new();
    world.processes.counts.set_max_threads(0);
    let request = ThreadRequest { stack: UserAddr::new(0), ..thread_request() };
    assert_eq!(world.act(&init, || thread_fork(&init, &request)), Err(ForkError::Invalid));
}

#[test]
fn f49_a_thread_shares_all_and_has_no_alternate_stack() {
    let (world, _, init) = World::new();
    let request = StackRequest { base: DATA, flags: StackFlags::empty(), bytes: 0x4000 };
    init.set_alternate_stack(AlternateStack::DISABLED.changed(request, UserAddr::new(0)).unwrap());
    let thread = sibling_of(world, &init);
    assert!(std::sync::Arc::ptr_eq(thread.process(), init.process()));
    assert_eq!(thread.alternate_stack(), AlternateStack::DISABLED);
    assert_eq!(thread.mask(), init.mask());
    assert!(!thread.is_main());
    assert_eq!(init.space().unwrap().users(), 2);
}

#[test]
fn f50_a_thread_is_appended_to_its_process() {
    let (world, _, init) = World::new();
    let (second, third) = (sibling_of(world, &init), sibling_of(world, &init));
    let mut order = Vec::new();
    init.process().each_thread(|thread| order.push(thread.tid()));
    assert_eq!(order, [init.tid(), second.tid(), third.tid()]);
}

#[test]
fn f50_f61_a_thread_that_is_made_while_its_process_is_stopped_joins_the_stop() {
    let (world, _, init) = World::new();
    let main = child_of(world, &init);
    let maker = sibling_of(world, &main);
    world.act(&init, || kill(&init, Target::Process(pid(&main)), Some(Signal::STOP)).unwrap());
    let stopping = world.run(&main, before_user);
    until(|| maker.attention());
    // The maker is still in the kernel, about to make a thread.
    let third = sibling_of(world, &maker);
    assert!(third.attention(), "it must not get to its program");
    let others = [world.run(&maker, before_user), world.run(&third, before_user)];
    until(|| main.process().body().control.halted == 3);
    world.act(&init, || kill(&init, Target::Process(pid(&main)), Some(Signal::CONT)).unwrap());
    assert_eq!(stopping.join().unwrap(), Next::Run);
    others.into_iter().for_each(|other| assert_eq!(other.join().unwrap(), Next::Run));
}

#[test]
fn f50_a_thread_that_is_made_while_its_process_ends_ends_too() {
    let (world, _, init) = World::new();
    let main = child_of(world, &init);
    let maker = sibling_of(world, &main);
    exits(world, &main, 4);
    let late = sibling_of(world, &maker);
    assert_eq!(world.act(&late, || before_user(&late)), Next::Exit(ExitStatus::Exited(4)));
    ends(world, &late, 0);
    ends(world, &maker, 0);
    assert_eq!(reap(world, &init, pid(&main)), ChildEvent::Exited(4));
}

#[test]
fn f51_the_number_is_stored_before_the_thread_runs() {
    let (world, _, init) = World::new();
    let request = ThreadRequest { tid_pointer: Some(DATA), ..thread_request() };
    let tid = world.act(&init, || thread_fork(&init, &request).unwrap());
    assert!((100_001..=624_288).contains(&tid.0));
    let events = world.take_events();
    assert_eq!(events, [Event::Made(Pid::INIT), Event::Stored(DATA, tid.0), Event::Started(Pid::INIT)]);
}

#[test]
fn f51_a_number_that_cannot_be_stored_is_the_callers_fault_and_the_thread_is_made() {
    let (world, _, init) = World::new();
    let caller = child_of(world, &init);
    let nowhere = UserAddr::new(0x1000);
    let request = ThreadRequest { tid_pointer: Some(nowhere), ..thread_request() };
    world.act(&caller, || thread_fork(&caller, &request).unwrap());
    assert_eq!(caller.process().thread_count(), 2);
    let killed = Next::Exit(ExitStatus::Killed { signal: Signal::SEGV, core: true });
    assert_eq!(world.act(&caller, || before_user(&caller)), killed);
    let other = child_of(world, &init);
    let request = ThreadRequest { on_fault: OnFault::Ignore, ..request };
    world.act(&other, || thread_fork(&other, &request).unwrap());
    assert!(!other.attention(), "Linux ignores it");
}

#[test]
fn f52_a_thread_counts_as_a_fork_that_shares_memory() {
    let (world, _, init) = World::new();
    let statistics = &world.processes.statistics;
    let before = statistics.fork.read();
    world.act(&init, || thread_fork(&init, &thread_request()).unwrap());
    assert_eq!((statistics.threads.read(), statistics.fork.read()), ((1, 0), before));
}

#[test]
fn a_thread_that_ends_tells_those_who_join_it() {
    let (world, _, init) = World::new();
    let child = TidPointers { announce: None, clear: Some(DATA) };
    let request = ThreadRequest { child, ..thread_request() };
    let tid = world.act(&init, || thread_fork(&init, &request).unwrap());
    let thread = world.act(&init, || crate::proc::find_thread::<crate::proc::fake::Fake>(tid).unwrap());
    poke(world, &init, DATA, 9);
    world.take_events();
    ends(world, &thread, 0);
    let expected = [Event::ThreadLeft(tid.0), Event::Stored(DATA, 0), Event::Woken(DATA), Event::SpaceLeft];
    assert_eq!(world.take_events(), expected);
    assert_eq!(peek(world, &init, DATA), 0);
    assert_eq!((init.process().thread_count(), init.space().unwrap().users()), (1, 1));
    assert!(world.act(&init, || crate::proc::find_thread::<crate::proc::fake::Fake>(tid)).is_none());
}

#[test]
fn the_last_thread_in_a_memory_writes_nothing_when_it_ends() {
    let (world, _, init) = World::new();
    let child = child_of(world, &init);
    child.set_clear_at(DATA);
    world.take_events();
    exits(world, &child, 0);
    assert_eq!(world.take_events(), [Event::ThreadLeft(child.tid().0), Event::SpaceLeft]);
}

#[test]
fn a_process_lives_until_its_last_thread_ends_and_the_main_threads_code_counts() {
    let (world, _, init) = World::new();
    let main = child_of(world, &init);
    let other = sibling_of(world, &main);
    ends(world, &main, 5);
    assert_eq!(is_zombie(world, &init, pid(&main)), Some(false));
    ends(world, &other, 6);
    assert_eq!(reap(world, &init, pid(&main)), ChildEvent::Exited(5));
}

#[test]
fn exit_group_ends_the_other_threads_with_its_own_code() {
    let (world, _, init) = World::new();
    let main = child_of(world, &init);
    let other = sibling_of(world, &main);
    exits(world, &other, 8);
    assert_eq!(world.act(&main, || before_user(&main)), Next::Exit(ExitStatus::Exited(8)));
    ends(world, &main, 0);
    assert_eq!(reap(world, &init, pid(&main)), ChildEvent::Exited(8));
}
