//! Processor time: how it is divided, and to whom it is added.

use super::support::*;
use crate::proc::fake::World;
use crate::proc::usage::Usage;
use crate::proc::{Interval, Mode, Next, TimerSetting, before_user, check_processor_time, set_interval};
use crate::signal::{Action, Handler, Info, Signal};

const MS: u64 = 1_000_000;

/// A thread runs for `ms` milliseconds, and is met as often in its program and in the kernel.
fn runs(thread: &Thread, ms: u64, user: u32, system: u32) {
    thread.machine().unwrap().account(ms * MS, u64::MAX);
    (0..user).for_each(|_| thread.count_sample(Mode::User));
    (0..system).for_each(|_| thread.count_sample(Mode::System));
}

fn times_ms(usage: Usage) -> (u64, u64) {
    (usage.user_ns / MS, usage.system_ns / MS)
}

#[test]
fn a_process_is_told_of_its_time_as_all_its_threads_were_met_those_that_ended_too() {
    let (world, _, init) = World::new();
    let child = child_of(world, &init);
    let sibling = sibling_of(world, &child);
    runs(&child, 100, 3, 1);
    runs(&sibling, 100, 0, 4);
    assert_eq!(times_ms(child.usage()), (75, 25));
    assert_eq!(times_ms(sibling.usage()), (0, 100));
    assert_eq!(times_ms(child.process().usage()), (75, 125));
    ends(world, &sibling, 0);
    assert_eq!(times_ms(child.process().usage()), (75, 125), "what an ended thread used stays");
    runs(&child, 40, 8, 0);
    assert_eq!(times_ms(child.process().usage()), (115, 125), "and nothing that was told becomes less");
}

#[test]
fn a_parent_gets_both_parts_of_a_child_when_it_reaps_it() {
    let (world, _, init) = World::new();
    let child = child_of(world, &init);
    let grandchild = child_of(world, &child);
    runs(&grandchild, 80, 1, 3);
    exits(world, &grandchild, 0);
    reap(world, &child, pid(&grandchild));
    runs(&child, 50, 1, 0);
    assert_eq!(times_ms(child.process().usage_of_children()), (20, 60));
    assert_eq!(times_ms(init.process().usage_of_children()), (0, 0));
    exits(world, &child, 0);
    reap(world, &init, pid(&child));
    assert_eq!(times_ms(init.process().usage_of_children()), (70, 60));
}

#[test]
fn the_virtual_interval_goes_by_user_time_and_the_profiling_one_by_all() {
    let (world, _, init) = World::new();
    let child = child_of(world, &init);
    for signal in [Signal::VTALRM, Signal::PROF] {
        let action = Action { handler: Handler::At(crate::addr::UserAddr::new(0x40)), ..Action::DEFAULT };
        child.process().set_action(signal, action).unwrap();
    }
    let once = TimerSetting { value_ns: 50 * MS, interval_ns: 0 };
    let set = |which| world.act(&child, || set_interval(&child, which, once)).unwrap();
    let due = || {
        world.act(&child, || check_processor_time(&child));
        core::iter::from_fn(|| match world.act(&child, || before_user(&child)) {
            Next::Handle(info, _) => Some(info),
            _ => None,
        })
        .collect::<Vec<_>>()
    };
    runs(&child, 10, 0, 1);
    set(Interval::Virtual);
    set(Interval::Profiling);
    runs(&child, 60, 0, 6);
    assert_eq!(due(), [Info::kernel(Signal::PROF)]);
    runs(&child, 60, 60, 0);
    assert_eq!(due(), [Info::kernel(Signal::VTALRM)]);
}
