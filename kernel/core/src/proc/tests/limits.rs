//! Counts, limits and failures.

use std::sync::atomic::Ordering::SeqCst;

use super::support::*;
use crate::proc::count::{MAX_PROCESSES, MAX_THREADS, Table};
use crate::proc::fake::{Event, Fake, World};
use crate::proc::id::both;
use crate::proc::limit::{Limit, Resource};
use crate::proc::{ForkError, ForkFlags, Pid, fork, thread_fork, vfork};
use crate::signal::Signal;
use crate::vm::MemorySystem;

/// An ordinary user's process.
fn user(world: &'static World, init: &Thread) -> Thread {
    let child = child_of(world, init);
    becomes(world, &child, 1000);
    child
}

fn limit_processes(world: &'static World, thread: &Thread, to: u64) {
    world.act(thread, || thread.process().set_limit(Resource::Processes, Limit::both(to), true).unwrap());
}

#[test]
fn f24_the_thread_table_is_full_five_earlier_for_ordinary_users() {
    let (world, _, init) = World::new();
    let user = user(world, &init);
    world.processes.counts.set_max_threads(9);
    world.act(&user, || {
        thread_fork(&user, &thread_request()).unwrap();
        assert_eq!(thread_fork(&user, &thread_request()), Err(ForkError::TableFull(Table::Threads)));
        assert_eq!(fork(&user), Err(ForkError::TableFull(Table::Threads)));
    });
    for _ in 0..5 {
        world.act(&init, || thread_fork(&init, &thread_request()).unwrap());
    }
    let full = world.act(&init, || thread_fork(&init, &thread_request()));
    assert_eq!(full, Err(ForkError::TableFull(Table::Threads)));
    assert_eq!(world.processes.counts.threads(), 9);
}

#[test]
fn f25_the_process_table_is_full_five_earlier_for_ordinary_users_and_the_thread_is_taken_back() {
    let (world, _, init) = World::new();
    let user = user(world, &init);
    world.processes.counts.set_max_processes(9);
    world.act(&user, || {
        fork(&user).unwrap();
        assert_eq!(fork(&user), Err(ForkError::TableFull(Table::Processes)));
        assert_eq!(vfork(&user), Err(ForkError::TableFull(Table::Processes)));
    });
    assert_eq!(counts(world, user.process()), (4, 4, 2));
    for _ in 0..5 {
        child_of(world, &init);
    }
    assert_eq!(world.act(&init, || fork(&init)), Err(ForkError::TableFull(Table::Processes)));
}

#[test]
fn f26_rlimit_nproc_allows_exactly_n() {
    let (world, _, init) = World::new();
    let user = user(world, &init);
    limit_processes(world, &user, 3);
    let children: Vec<_> = (0..2).map(|_| child_of(world, &user)).collect();
    let before = counts(world, user.process());
    assert_eq!(world.act(&user, || fork(&user)), Err(ForkError::UserLimit));
    assert_eq!(counts(world, user.process()), before, "all three counts are taken back");
    assert_eq!(before.2, 3);
    world.act(&user, || thread_fork(&user, &thread_request()).expect("threads are not counted"));
    exits(world, &children[0], 0);
    assert_eq!(world.act(&user, || fork(&user)), Err(ForkError::UserLimit), "a zombie counts");
    reap(world, &user, pid(&children[0]));
    world.act(&user, || fork(&user).expect("one has gone"));
}

#[test]
fn f26_root_is_counted_but_never_refused() {
    let (world, _, init) = World::new();
    limit_processes(world, &init, 0);
    let before = init.process().account().processes();
    child_of(world, &init);
    assert_eq!(init.process().account().processes(), before + 1);
}

#[test]
fn f26_a_process_that_becomes_another_users_is_charged_to_that_one() {
    let (world, _, init) = World::new();
    let user = user(world, &init);
    let roots = init.process().account().processes();
    let child = child_of(world, &user);
    assert_eq!(child.process().account().processes(), 2, "both are the user's");
    let other = child_of(world, &init);
    becomes(world, &other, 1000);
    assert_eq!(user.process().account().processes(), 3);
    assert_eq!(init.process().account().processes(), roots);
}

#[test]
fn f27_f28_without_a_kernel_stack_there_is_no_memory_and_everything_is_undone() {
    let (world, _, init) = World::new();
    let before = counts(world, init.process());
    world.stacks.store(0, SeqCst);
    assert_eq!(world.act(&init, || fork(&init)), Err(ForkError::OutOfMemory));
    assert_eq!(world.act(&init, || thread_fork(&init, &thread_request())), Err(ForkError::OutOfMemory), "f48");
    assert_eq!(counts(world, init.process()), before);
    assert_eq!(world.act(&init, || world.processes.tree().sizes()), (2, 2));
    assert!(world.log.lock().unwrap().is_empty(), "f29: this is not logged");
}

#[test]
fn f28_whatever_is_refused_leaves_nothing_behind() {
    let (world, _, init) = World::new();
    poke(world, &init, crate::proc::fake::DATA, 1);
    opens(world, &init, crate::fs::DescriptorFlags::empty());
    let state = || {
        let sizes = world.act(&init, || world.processes.tree().sizes());
        let out =
            (world.asids_out.load(SeqCst), world.stacks_out.load(SeqCst), world.machine.lab.tables.counts().len());
        (counts(world, init.process()), sizes, out, world.machine.commitments().pages())
    };
    let before = state();
    world.room.store(false, SeqCst);
    assert_eq!(world.act(&init, || fork(&init)), Err(ForkError::OutOfMemory));
    assert_eq!(state(), before, "no room for kernel objects");
    world.room.store(true, SeqCst);
    world.machine.set_room(false);
    assert_eq!(world.act(&init, || fork(&init)), Err(ForkError::OutOfMemory));
    assert_eq!(state(), before, "no room for the address space");
    world.machine.set_room(true);
    child_of(world, &init);
}

#[test]
fn f28_failures_come_in_their_order() {
    let (world, _, init) = World::new();
    let user = user(world, &init);
    limit_processes(world, &user, 0);
    world.stacks.store(0, SeqCst);
    world.processes.counts.set_max_processes(0);
    world.processes.counts.set_max_threads(0);
    let next = || world.act(&user, || fork(&user)).unwrap_err();
    assert_eq!(next(), ForkError::TableFull(Table::Threads));
    world.processes.counts.set_max_threads(MAX_THREADS);
    assert_eq!(next(), ForkError::TableFull(Table::Processes));
    world.processes.counts.set_max_processes(MAX_PROCESSES);
    assert_eq!(next(), ForkError::UserLimit);
    limit_processes(world, &user, 10);
    assert_eq!(next(), ForkError::OutOfMemory);
}

#[test]
fn f29_a_full_table_is_logged_at_most_once_in_ten_seconds_and_a_users_limit_never() {
    let (world, _, init) = World::new();
    let user = user(world, &init);
    limit_processes(world, &user, 0);
    world.act(&user, || fork(&user).unwrap_err());
    assert!(world.log.lock().unwrap().is_empty());
    world.processes.counts.set_max_processes(0);
    for ns in [1_000, 2_000, 9_000_000_000] {
        world.clock_ns.store(ns, SeqCst);
        world.act(&user, || fork(&user).unwrap_err());
    }
    assert_eq!(*world.log.lock().unwrap(), ["process: table is full"]);
    world.processes.counts.set_max_threads(0);
    world.act(&user, || fork(&user).unwrap_err());
    assert_eq!(*world.log.lock().unwrap(), ["process: table is full", "thread: table is full"], "another clock");
    world.clock_ns.store(10_000_001_000, SeqCst);
    world.processes.counts.set_max_threads(MAX_THREADS);
    world.act(&user, || fork(&user).unwrap_err());
    assert_eq!(world.log.lock().unwrap().len(), 3);
}

#[test]
fn f30_counts_come_down_when_the_process_is_reaped_and_when_the_thread_ends() {
    let (world, _, init) = World::new();
    let before = counts(world, init.process());
    let child = child_of(world, &init);
    assert_eq!(counts(world, init.process()), (before.0 + 1, before.1 + 1, before.2 + 1));
    exits(world, &child, 0);
    assert_eq!(counts(world, init.process()), (before.0 + 1, before.1, before.2 + 1), "a zombie has no thread");
    reap(world, &init, pid(&child));
    assert_eq!(counts(world, init.process()), before);
    let no_zombie = fork_with(world, &init, ForkFlags::FORK | ForkFlags::NOZOMBIE).unwrap();
    exits(world, &no_zombie, 0);
    assert_eq!(counts(world, init.process()), before, "at once");
}

#[test]
fn f30_a_limit_on_processes_is_never_more_than_there_can_be() {
    let (world, _, init) = World::new();
    let set = |limit| world.act(&init, || init.process().set_limit(Resource::Processes, Limit::both(limit), true));
    set(u64::MAX).unwrap();
    let most = u64::from(MAX_PROCESSES);
    assert_eq!(init.process().limits().get(Resource::Processes), Limit::both(most));
    set(5).unwrap();
    assert_eq!(init.process().limits().soft(Resource::Processes), 5);
}

#[test]
fn f54_f56_a_reaped_number_is_not_given_out_again_soon() {
    let (world, _, init) = World::new();
    world.random.lock().unwrap().extend([both(70, 1)]);
    let first = child_of(world, &init);
    assert_eq!(pid(&first), Pid(72));
    exits(world, &first, 0);
    // The zombie has the number, then the ring keeps it back.
    world.random.lock().unwrap().extend([both(70, 2), 80]);
    assert_eq!(pid(&child_of(world, &init)), Pid(82));
    reap(world, &init, Pid(72));
    world.random.lock().unwrap().extend([both(70, 3), 90]);
    assert_eq!(pid(&child_of(world, &init)), Pid(92));
}

#[test]
fn f54_the_number_of_a_group_is_taken_after_its_leader_is_gone() {
    let (world, _, init) = World::new();
    let leader = child_of(world, &init);
    world.act(&leader, || crate::proc::set_group(leader.process(), None, None).unwrap());
    let member = child_of(world, &leader);
    let number = pid(&leader);
    exits(world, &leader, 0);
    reap(world, &init, number);
    for _ in 0..200 {
        let passing = child_of(world, &init);
        exits(world, &passing, 0);
        reap(world, &init, pid(&passing));
    }
    assert!(!world.act(&init, || world.processes.tree().is_recent(number)), "the ring has let it go");
    world.random.lock().unwrap().extend([both(u64::from(number.0) - 2, 4), 95_000]);
    assert_eq!(pid(&child_of(world, &init)), Pid(95_002));
    let group = world.act(&member, || crate::proc::group_of::<Fake>(member.process(), None).unwrap());
    assert_eq!(group, number);
}

#[test]
fn f15_a_limit_of_processor_time_is_watched_by_every_thread_and_by_the_child() {
    let (world, _, init) = World::new();
    let main = child_of(world, &init);
    let other = sibling_of(world, &main);
    world.take_events();
    let limit = Limit { soft: 1, hard: 9 };
    world.act(&main, || main.process().set_limit(Resource::Cpu, limit, true).unwrap());
    let looks = |thread: &Thread| Event::Looks(thread.machine().unwrap().id());
    let events = world.take_events();
    assert!(events.contains(&looks(&main)) && events.contains(&looks(&other)), "{events:?}");
    let child = child_of(world, &main);
    world.take_events();
    world.act(&child, || crate::proc::child_return(&child));
    assert_eq!(world.take_events(), [Event::Watches(1_000_000_000)], "all of the first second is left");
    let free = child_of(world, &init);
    world.take_events();
    world.act(&free, || crate::proc::child_return(&free));
    assert_eq!(world.take_events(), [], "without a limit nobody looks");
}

#[test]
fn f15_who_has_used_the_soft_limit_is_told_once_a_second() {
    let (world, _, init) = World::new();
    let main = child_of(world, &init);
    world.act(&main, || {
        main.process().set_limit(Resource::Cpu, Limit { soft: 0, hard: 5 }, true).unwrap();
        crate::proc::check_processor_time(&main);
    });
    assert!(main.pending().contains(Signal::XCPU));
    assert_eq!(main.process().limits().get(Resource::Cpu), Limit { soft: 1, hard: 5 });
    assert_eq!(init.process().limits().get(Resource::Cpu), Limit::INFINITE, "its parent's is another");
}
