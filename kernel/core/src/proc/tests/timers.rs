//! Timers of processes: when they go off, who is told, and what is left of them.

mod files;
mod model;

use std::sync::atomic::Ordering::SeqCst;
use std::vec::Vec;

use super::support::*;
use crate::addr::UserAddr;
use crate::proc::fake::{Event, Fake, World};
use crate::proc::limit::{Limit, Resource};
use crate::proc::{
    Interval, NewImage, Next, Notice, TimerClock, TimerError, TimerSetting, before_user, check_processor_time,
    create_timer, delete_timer, exec_commit, get_interval, get_timer, set_interval, set_timer, take_signal,
    timer_overrun,
};
use crate::signal::{Action, Detail, Handler, Info, MaskChange, Signal, SignalSet, code};

const HANDLER: Action = Action { handler: Handler::At(UserAddr::new(0x40)), ..Action::DEFAULT };
const IGNORE: Action = Action { handler: Handler::Ignore, ..Action::DEFAULT };
const MS: u64 = 1_000_000;

/// A process that handles these signals.
fn handles(world: &'static World, init: &Thread, signals: &[Signal]) -> Thread {
    let child = child_of(world, init);
    for &signal in signals {
        child.process().set_action(signal, HANDLER).unwrap();
    }
    child
}

fn next(world: &'static World, thread: &Thread) -> Next {
    world.act(thread, || before_user(thread))
}

/// What handlers are told, one after the other.
fn taken(world: &'static World, thread: &Thread) -> Vec<Info> {
    core::iter::from_fn(|| match next(world, thread) {
        Next::Handle(info, _) => Some(info),
        _ => None,
    })
    .collect()
}

/// Time passes, and whoever serves the alarms looks.
fn passes_ns(world: &'static World, system: &Thread, ns: u64) {
    world.clock_ns.fetch_add(ns, SeqCst);
    world.act(system, || world.processes.alarms.serve_due());
}

fn alarm_in(world: &'static World) -> Option<u64> {
    world.processes.alarms.next_ns().map(|at| at - world.clock_ns.load(SeqCst))
}

fn once(value_ns: u64) -> TimerSetting {
    TimerSetting { value_ns, interval_ns: 0 }
}

fn every(value_ns: u64, interval_ns: u64) -> TimerSetting {
    TimerSetting { value_ns, interval_ns }
}

fn creates(world: &'static World, thread: &Thread, clock: TimerClock, notice: Notice) -> i32 {
    world.act(thread, || create_timer(thread, clock, notice)).unwrap()
}

fn sets(world: &'static World, thread: &Thread, id: i32, setting: TimerSetting) -> TimerSetting {
    world.act(thread, || set_timer(thread, id, setting, false)).unwrap()
}

#[test]
fn the_real_interval_signals_at_its_time_and_tells_what_is_left() {
    let (world, system, init) = World::new();
    let child = handles(world, &init, &[Signal::ALRM]);
    let set = |setting| world.act(&child, || set_interval(&child, Interval::Real, setting)).unwrap();
    assert_eq!(set(once(5000)), once(0));
    passes_ns(world, &system, 4999);
    assert_eq!(world.act(&child, || get_interval(&child, Interval::Real)), once(1));
    assert!(!child.attention());
    passes_ns(world, &system, 1);
    assert_eq!(taken(world, &child), [Info::kernel(Signal::ALRM)]);
    assert_eq!(set(every(10, 20)), once(0));
    assert_eq!(set(once(0)), every(10, 20));
    assert_eq!(alarm_in(world), None);
}

#[test]
fn an_interval_stands_still_until_its_signal_is_taken_and_then_goes_on_in_step() {
    let (world, system, init) = World::new();
    let child = handles(world, &init, &[Signal::ALRM]);
    world.act(&child, || set_interval(&child, Interval::Real, every(100, 100))).unwrap();
    passes_ns(world, &system, 100);
    assert_eq!(alarm_in(world), None, "nobody is woken for a signal that is pending");
    passes_ns(world, &system, 250);
    assert_eq!(taken(world, &child).len(), 1);
    assert_eq!(alarm_in(world), Some(50));
    passes_ns(world, &system, 50);
    assert_eq!(taken(world, &child).len(), 1);
}

#[test]
fn an_interval_that_is_ignored_goes_on_by_itself_but_not_at_once() {
    let (world, system, init) = World::new();
    let child = child_of(world, &init);
    child.process().set_action(Signal::ALRM, IGNORE).unwrap();
    world.act(&child, || set_interval(&child, Interval::Real, every(10, 10))).unwrap();
    passes_ns(world, &system, 10);
    assert!(!child.attention());
    assert!(alarm_in(world).is_some_and(|ns| ns >= MS), "{:?}", alarm_in(world));
    child.process().set_action(Signal::ALRM, HANDLER).unwrap();
    passes_ns(world, &system, 2 * MS);
    assert_eq!(taken(world, &child).len(), 1);
}

#[test]
fn a_pending_signal_that_is_ignored_from_now_on_does_not_stop_its_timer_for_good() {
    let (world, system, init) = World::new();
    let child = handles(world, &init, &[Signal::ALRM, Signal::USR1]);
    world.act(&child, || child.change_mask(MaskChange::Block, SignalSet::of(&[Signal::ALRM, Signal::USR1])));
    let id = creates(world, &child, TimerClock::Monotonic, Notice::Signal(Signal::USR1, None));
    sets(world, &child, id, every(100, 100));
    world.act(&child, || set_interval(&child, Interval::Real, every(100, 100))).unwrap();
    passes_ns(world, &system, 100);
    assert!(child.pending().contains(Signal::ALRM) && child.pending().contains(Signal::USR1));
    for signal in [Signal::ALRM, Signal::USR1] {
        world.act(&child, || child.process().set_action(signal, IGNORE).unwrap());
        world.act(&child, || child.process().set_action(signal, HANDLER).unwrap());
    }
    assert!(child.pending().is_empty());
    passes_ns(world, &system, 2 * MS);
    world.act(&child, || child.change_mask(MaskChange::Set, SignalSet::EMPTY));
    assert_eq!(taken(world, &child).len(), 2);
}

#[test]
fn a_created_timer_says_who_it_is_and_what_was_missed() {
    let (world, system, init) = World::new();
    let signal = Signal::new(40).unwrap();
    let child = handles(world, &init, &[signal]);
    let id = creates(world, &child, TimerClock::Monotonic, Notice::Signal(signal, Some(77)));
    sets(world, &child, id, every(1000, 100));
    passes_ns(world, &system, 1000);
    world.clock_ns.fetch_add(350, SeqCst);
    assert_eq!(world.act(&child, || get_timer(&child, id)), Ok(every(50, 100)));
    let expected = Info { detail: Detail::Timer { id, overrun: 3, value: 77 }, ..Info::timer(signal, id, 0, 77) };
    assert_eq!(taken(world, &child), [expected]);
    assert_eq!(expected.code, code::TIMER);
    assert_eq!(world.act(&child, || timer_overrun(&child, id)), Ok(3));
    assert_eq!(alarm_in(world), Some(50));
}

#[test]
fn without_a_value_the_number_comes_with_the_signal() {
    let (world, system, init) = World::new();
    let child = handles(world, &init, &[Signal::ALRM]);
    let ids = [(); 2].map(|()| creates(world, &child, TimerClock::Wall, Notice::Signal(Signal::ALRM, None)));
    assert_eq!(ids, [0, 1]);
    sets(world, &child, 1, once(10));
    passes_ns(world, &system, 10);
    assert_eq!(taken(world, &child), [Info::timer(Signal::ALRM, 1, 0, 1)]);
}

#[test]
fn two_timers_with_one_classic_signal_are_both_heard() {
    let (world, system, init) = World::new();
    let child = handles(world, &init, &[Signal::USR1]);
    for value in [10, 20] {
        let id = creates(world, &child, TimerClock::Monotonic, Notice::Signal(Signal::USR1, Some(value)));
        sets(world, &child, id, once(value));
    }
    passes_ns(world, &system, 30);
    assert_eq!(taken(world, &child), [Info::timer(Signal::USR1, 0, 0, 10), Info::timer(Signal::USR1, 1, 0, 20)]);
}

#[test]
fn a_wait_for_a_signal_takes_a_timers_as_a_handler_does() {
    let (world, system, init) = World::new();
    let child = child_of(world, &init);
    let usr = SignalSet::of(&[Signal::USR1]);
    world.act(&child, || child.change_mask(MaskChange::Block, usr));
    let id = creates(world, &child, TimerClock::Monotonic, Notice::Signal(Signal::USR1, Some(1)));
    sets(world, &child, id, every(100, 100));
    passes_ns(world, &system, 500);
    assert_eq!(world.act(&child, || take_signal(&child, usr)), Some(Info::timer(Signal::USR1, id, 4, 1)));
    assert_eq!(alarm_in(world), Some(100));
}

#[test]
fn setting_and_deleting_take_back_the_signal() {
    let (world, system, init) = World::new();
    let child = handles(world, &init, &[Signal::USR1]);
    let id = creates(world, &child, TimerClock::Monotonic, Notice::Signal(Signal::USR1, Some(1)));
    sets(world, &child, id, once(10));
    passes_ns(world, &system, 10);
    assert!(child.pending().contains(Signal::USR1));
    sets(world, &child, id, once(10));
    assert!(child.pending().is_empty());
    assert_eq!(taken(world, &child), []);
    passes_ns(world, &system, 10);
    assert!(child.pending().contains(Signal::USR1));
    world.act(&child, || delete_timer(&child, id)).unwrap();
    assert!(child.pending().is_empty());
    for result in
        [world.act(&child, || delete_timer(&child, id)), world.act(&child, || get_timer(&child, id).map(drop))]
    {
        assert_eq!(result, Err(TimerError::None));
    }
}

#[test]
fn one_that_tells_nobody_can_be_asked() {
    let (world, system, init) = World::new();
    let child = child_of(world, &init);
    let id = creates(world, &child, TimerClock::Monotonic, Notice::None);
    sets(world, &child, id, every(100, 30));
    assert_eq!(alarm_in(world), None);
    passes_ns(world, &system, 150);
    assert_eq!(world.act(&child, || get_timer(&child, id)), Ok(every(10, 30)));
    assert_eq!(sets(world, &child, id, once(10)), every(10, 30));
    passes_ns(world, &system, 10);
    assert_eq!(world.act(&child, || get_timer(&child, id)), Ok(once(0)));
}

#[test]
fn one_for_a_thread_reaches_that_thread_and_nobody_once_it_has_ended() {
    let (world, system, init) = World::new();
    let child = handles(world, &init, &[Signal::USR1]);
    let sibling = sibling_of(world, &child);
    let id = creates(world, &child, TimerClock::Monotonic, Notice::Thread(sibling.tid(), Signal::USR1, 5));
    sets(world, &child, id, every(10, 10));
    passes_ns(world, &system, 10);
    assert!(sibling.attention() && !child.attention());
    ends(world, &sibling, 0);
    passes_ns(world, &system, 10 * MS);
    assert!(!child.attention());
    assert_eq!(alarm_in(world), None);
    let stranger = Notice::Thread(init.tid(), Signal::USR1, 5);
    assert_eq!(world.act(&child, || create_timer(&child, TimerClock::Wall, stranger)), Err(TimerError::None));
}

#[test]
fn there_are_no_more_than_signals_may_be_pending() {
    let (world, _, init) = World::new();
    let child = child_of(world, &init);
    world.act(&child, || child.process().set_limit(Resource::SignalsPending, Limit::both(3), true)).unwrap();
    for _ in 0..3 {
        creates(world, &child, TimerClock::Monotonic, Notice::None);
    }
    let more = || world.act(&child, || create_timer(&child, TimerClock::Monotonic, Notice::None));
    assert_eq!(more(), Err(TimerError::TooMany));
    world.act(&child, || delete_timer(&child, 1)).unwrap();
    assert_eq!(more(), Ok(3));
    let poor = child_of(world, &init);
    world.room.store(false, SeqCst);
    assert_eq!(world.act(&poor, || create_timer(&poor, TimerClock::Wall, Notice::None)), Err(TimerError::OutOfMemory));
}

#[test]
fn children_have_none_and_exec_keeps_the_intervals() {
    let (world, system, init) = World::new();
    let parent = handles(world, &init, &[Signal::USR1, Signal::ALRM]);
    world.act(&parent, || parent.change_mask(MaskChange::Block, SignalSet::of(&[Signal::USR1])));
    let id = creates(world, &parent, TimerClock::Monotonic, Notice::Signal(Signal::USR1, None));
    sets(world, &parent, id, once(10));
    world.act(&parent, || set_interval(&parent, Interval::Real, once(100))).unwrap();
    let child = child_of(world, &parent);
    assert_eq!(world.act(&child, || get_interval(&child, Interval::Real)), once(0));
    assert_eq!(world.act(&child, || get_timer(&child, id)), Err(TimerError::None));
    passes_ns(world, &system, 10);
    assert!(parent.pending().contains(Signal::USR1));
    let image = NewImage {
        space: world.act(&parent, || crate::proc::AddressSpace::<Fake>::new(crate::vm::Layout::fixed()).unwrap()),
        program: None,
        name: crate::sched::ThreadName::new("new"),
        credentials: None,
        set_id: false,
    };
    world.act(&parent, || exec_commit(&parent, image)).unwrap();
    assert!(parent.pending().is_empty(), "the signal went with the timer");
    assert_eq!(world.act(&parent, || get_timer(&parent, id)), Err(TimerError::None));
    assert_eq!(world.act(&parent, || get_interval(&parent, Interval::Real)), once(90));
}

#[test]
fn an_alarm_does_not_outlive_its_process() {
    let (world, system, init) = World::new();
    let child = handles(world, &init, &[Signal::ALRM]);
    world.act(&child, || set_interval(&child, Interval::Real, every(1000, 1000))).unwrap();
    let memory = std::sync::Arc::downgrade(child.process());
    let pid = pid(&child);
    exits(world, &child, 0);
    assert_eq!(alarm_in(world), None);
    passes_ns(world, &system, 5000);
    drop(child);
    reap(world, &init, pid);
    assert_eq!(memory.weak_count(), 1, "only this test still knows of it");
}

#[test]
fn a_stopped_process_is_continued_by_its_own_timer() {
    let (world, system, init) = World::new();
    let child = child_of(world, &init);
    let id = creates(world, &child, TimerClock::Monotonic, Notice::Signal(Signal::CONT, None));
    sets(world, &child, id, once(100));
    world
        .act(&init, || crate::proc::kill(&init, crate::proc::Target::Process(pid(&child)), Some(Signal::STOP)))
        .unwrap();
    let stopped = world.run(&child, before_user);
    until(|| world.act(&init, || matches!(child.process().body().control.stop, crate::proc::body::Stop::Stopped(_))));
    passes_ns(world, &system, 100);
    assert_eq!(stopped.join().unwrap(), Next::Run);
}

#[test]
fn processor_time_is_looked_at_by_the_threads_that_use_it() {
    let (world, system, init) = World::new();
    let child = handles(world, &init, &[Signal::VTALRM, Signal::PROF, Signal::USR1]);
    world.take_events();
    world.act(&child, || set_interval(&child, Interval::Virtual, every(50 * MS, 50 * MS))).unwrap();
    assert_eq!(world.take_events(), [Event::Looks(child.machine().unwrap().id())]);
    world.act(&child, || check_processor_time(&child));
    assert_eq!(world.take_events(), [Event::Watches(50 * MS)]);
    // Time alone is nothing to it.
    passes_ns(world, &system, 1000 * MS);
    world.act(&child, || check_processor_time(&child));
    assert_eq!(world.take_events(), [Event::Watches(50 * MS)]);
    child.machine().unwrap().account(70 * MS, u64::MAX);
    world.act(&child, || check_processor_time(&child));
    assert_eq!(world.take_events(), [Event::Watches(30 * MS)]);
    assert_eq!(taken(world, &child), [Info::kernel(Signal::VTALRM)]);
    assert_eq!(world.act(&child, || get_interval(&child, Interval::Virtual)), every(30 * MS, 50 * MS));
}

#[test]
fn a_threads_time_is_its_own() {
    let (world, _, init) = World::new();
    let child = handles(world, &init, &[Signal::USR1]);
    let sibling = sibling_of(world, &child);
    let id = creates(world, &sibling, TimerClock::Thread, Notice::Signal(Signal::USR1, Some(3)));
    world.take_events();
    sets(world, &child, id, once(10 * MS));
    assert_eq!(world.take_events(), [Event::Looks(sibling.machine().unwrap().id())]);
    child.machine().unwrap().account(100 * MS, u64::MAX);
    for thread in [&child, &sibling] {
        world.act(thread, || check_processor_time(thread));
    }
    assert_eq!(world.take_events(), [Event::Watches(10 * MS)]);
    sibling.machine().unwrap().account(10 * MS, u64::MAX);
    world.act(&sibling, || check_processor_time(&sibling));
    assert_eq!(taken(world, &child), [Info::timer(Signal::USR1, id, 0, 3)]);
    sets(world, &child, id, once(10 * MS));
    ends(world, &sibling, 0);
    assert_eq!(world.act(&child, || get_timer(&child, id)), Ok(once(0)), "it stands still for good");
}

#[test]
fn timers_that_are_set_served_taken_and_deleted_at_once_lose_nothing() {
    const ROUNDS: u64 = if cfg!(miri) { 3 } else { 2000 };
    let (world, system, init) = World::new();
    let signal = Signal::new(40).unwrap();
    let child = handles(world, &init, &[signal]);
    let sibling = sibling_of(world, &child);
    let server = world.run(&system, move |_| {
        for _ in 0..ROUNDS {
            world.clock_ns.fetch_add(7, SeqCst);
            world.processes.alarms.serve_due();
        }
    });
    let setter = world.run(&sibling, move |thread| {
        for round in 0..ROUNDS {
            let id = create_timer(thread, TimerClock::Monotonic, Notice::Signal(signal, Some(round))).unwrap();
            set_timer(thread, id, every(1, 1 + round % 5), false).unwrap();
            let _left = get_timer(thread, id).unwrap();
            delete_timer(thread, id).unwrap();
        }
    });
    let taker = world.run(&child, move |thread| {
        for _ in 0..ROUNDS {
            let _next = before_user(thread);
        }
    });
    for thread in [server, setter, taker] {
        thread.join().unwrap();
    }
    assert_eq!(alarm_in(world), None);
    assert!(child.pending().is_empty() && sibling.pending().is_empty(), "a timer that is gone has a signal");
    exits(world, &child, 0);
}
