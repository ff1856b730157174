//! Many threads at once.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Barrier};
use std::vec::Vec;

use super::support::*;
use crate::proc::fake::{Fake, World};
use crate::proc::{
    ExitStatus, Next, Pid, Target, WaitError, WaitRequest, before_user, exit_process, exit_thread, find_thread, fork,
    kill, set_group, vfork, wait,
};
use crate::sched::Tid;
use crate::signal::Signal;

const ROUNDS: usize = if cfg!(miri) { 3 } else { 200 };

fn thread_of(pid: Pid) -> Thread {
    find_thread::<Fake>(Tid(pid.0)).expect("a main thread")
}

#[test]
fn f14_f58_forks_on_four_cpus_never_draw_one_number_twice() {
    let (world, _, init) = World::new();
    let barrier = Arc::new(Barrier::new(4));
    let parents: Vec<Thread> = (0..4).map(|_| child_of(world, &init)).collect();
    let forkers: Vec<_> = parents
        .iter()
        .map(|parent| {
            let barrier = Arc::clone(&barrier);
            world.run(parent, move |parent| {
                barrier.wait();
                (0..ROUNDS).map(|_| fork(parent).unwrap()).collect::<Vec<Pid>>()
            })
        })
        .collect();
    let pids: Vec<Pid> = forkers.into_iter().flat_map(|forker| forker.join().unwrap()).collect();
    assert_eq!(pids.iter().collect::<BTreeSet<_>>().len(), 4 * ROUNDS);
    assert_eq!(world.processes.counts.processes() as usize, 2 + 4 + 4 * ROUNDS);
}

#[test]
fn forks_exits_and_waits_at_once_lose_no_process_and_no_wake_up() {
    let (world, _, init) = World::new();
    let before = (world.machine.pages(), world.asids_out.load(SeqCst), counts(world, init.process()));
    let parents: Vec<Thread> = (0..3).map(|_| child_of(world, &init)).collect();
    let families: Vec<_> = parents
        .iter()
        .map(|parent| {
            world.run(parent, move |parent| {
                for round in 0..ROUNDS {
                    let child = thread_of(fork(parent).unwrap());
                    let ends = world.run(&child, move |child| {
                        exit_process(child, ExitStatus::Exited(u8::try_from(round % 200).unwrap()));
                    });
                    let result = wait(parent, &WaitRequest::ANY).unwrap().unwrap();
                    assert_eq!(result.pid, pid(&child));
                    ends.join().unwrap();
                }
                exit_process(parent, ExitStatus::Exited(0));
            })
        })
        .collect();
    families.into_iter().for_each(|family| family.join().unwrap());
    parents.iter().for_each(|parent| {
        reap(world, &init, pid(parent));
    });
    assert_eq!((world.machine.pages(), world.asids_out.load(SeqCst), counts(world, init.process())), before);
}

#[test]
fn f32_f44_no_parent_in_vfork_is_left_asleep() {
    let (world, _, init) = World::new();
    *world.on_start.lock().unwrap() = Some(Box::new(move |machine| {
        let child = Arc::clone(<Fake as crate::proc::System>::thread_of(machine.payload()).unwrap());
        world.run(&child, |child| exit_process(child, ExitStatus::Exited(0)));
    }));
    let parent = world.run(&init, |init| {
        for _ in 0..ROUNDS {
            let child = vfork(init).unwrap();
            wait(init, &WaitRequest::exit_of(child)).unwrap().unwrap();
        }
    });
    parent.join().unwrap();
}

/// A process that forks as fast as it can until it is killed, as do its children.
fn bomb(world: &'static World, thread: &Thread, left: usize) {
    loop {
        match before_user(thread) {
            Next::Run => {}
            Next::Exit(status) => return exit_thread(thread, status),
            Next::Handle(..) => panic!("nobody handles anything"),
        }
        if left == 0 {
            std::thread::yield_now();
            continue;
        }
        if let Ok(pid) = fork(thread)
            && let Some(child) = find_thread::<Fake>(Tid(pid.0))
        {
            world.run(&child, move |child| bomb(world, child, left - 1));
        }
    }
}

#[test]
fn a_signal_to_a_group_that_forks_without_end_ends_it_all() {
    let (world, _, init) = World::new();
    world.processes.counts.set_max_processes(if cfg!(miri) { 12 } else { 40 });
    for signal in [Signal::KILL, Signal::TERM] {
        let leader = child_of(world, &init);
        becomes(world, &leader, 1000);
        world.act(&leader, || set_group(leader.process(), None, None).unwrap());
        world.run(&leader, move |leader| bomb(world, leader, 3));
        until(|| world.processes.counts.processes() > 10);
        world.act(&init, || kill(&init, Target::Group(pid(&leader)), Some(signal)).unwrap());
        let reaper = world.run(&init, |init| {
            let mut reaped = 0;
            loop {
                match wait(init, &WaitRequest::ANY) {
                    Ok(_) => reaped += 1,
                    Err(WaitError::NoChild) => return reaped,
                    Err(WaitError::Interrupted) => panic!("nobody interrupts"),
                }
            }
        });
        assert!(reaper.join().unwrap() > 0);
        assert_eq!(world.processes.counts.processes(), 2, "one signal was enough");
    }
}

#[test]
fn stops_continues_and_kills_at_once_leave_nobody_stopped() {
    let (world, _, init) = World::new();
    for _ in 0..ROUNDS.min(50) {
        let main = child_of(world, &init);
        let other = sibling_of(world, &main);
        let program = |thread: &Thread| loop {
            if let Next::Exit(status) = before_user(thread) {
                return exit_thread(thread, status);
            }
            std::thread::yield_now();
        };
        let threads = [world.run(&main, program), world.run(&other, program)];
        let target = Target::Process(pid(&main));
        for signal in [Signal::STOP, Signal::CONT, Signal::TSTP, Signal::CONT, Signal::STOP, Signal::KILL] {
            world.act(&init, || kill(&init, target, Some(signal)).unwrap());
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let event = reap(world, &init, pid(&main));
        assert_eq!(event, crate::signal::ChildEvent::Killed { signal: Signal::KILL, core: false });
    }
}
