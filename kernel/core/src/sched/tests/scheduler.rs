//! The scheduler, driven by one host thread that is all four CPUs in turn.

use std::sync::Arc;
use std::vec::Vec;

use proptest::prelude::*;

use crate::addr::{CpuId, CpuSet};
use crate::hal::fake::FakeCpu;
use crate::sched::{
    Class, Decision, Leaving, Placement, Poke, Priority, SLICE_NS, Scheduler, Slice, Thread, Tid, Unparked,
};

type Threads = Arc<Thread<()>>;

fn cpu(number: usize) -> CpuId {
    CpuId::new(number).expect("below MAX_CPUS")
}

fn thread(id: u32, priority: Priority) -> Threads {
    Thread::new(Tid(id), "t", priority, ())
}

/// What a kernel keeps for itself: the idle threads and who is current.
struct Machine {
    scheduler: Scheduler<(), FakeCpu>,
    idle: Vec<Threads>,
    current: Vec<Threads>,
}

impl Machine {
    fn new(cpus: usize) -> Self {
        let scheduler = Scheduler::new();
        let idle: Vec<_> = CpuId::all()
            .take(cpus)
            .map(|cpu| Thread::idle(Tid(1000 + u32::try_from(cpu.index()).expect("small")), "idle", cpu, ()))
            .collect();
        CpuId::all().zip(&idle).for_each(|(cpu, idle)| scheduler.come_online(cpu, idle));
        let mut machine = Self { scheduler, current: idle.clone(), idle };
        (0..cpus).for_each(|number| assert_eq!(machine.switch(number, Leaving::Preempted), None));
        machine
    }

    /// What a kernel does when it may change threads: decide, switch, finish.
    fn switch(&mut self, number: usize, leaving: Leaving) -> Option<Placement> {
        let current = Arc::clone(&self.current[number]);
        let next = match self.scheduler.next(cpu(number), &current, leaving) {
            Decision::Keep => return None,
            Decision::Run(thread) => thread,
            Decision::Idle => Arc::clone(&self.idle[number]),
        };
        if Arc::ptr_eq(&next, &current) {
            return None;
        }
        let previous = std::mem::replace(&mut self.current[number], next);
        self.scheduler.finish_switch(cpu(number), previous, leaving)
    }

    /// Lets the CPUs that are poked take notice; what they leave behind may poke others in turn.
    fn notice(&mut self, placement: Option<Placement>) {
        let mut waiting: Vec<Placement> = placement.into_iter().collect();
        while let Some(placement) = waiting.pop() {
            let poked = placement.poked();
            waiting.extend(poked.iter().filter_map(|cpu| self.switch(cpu.index(), Leaving::Preempted)));
        }
    }

    /// Starts a thread.
    fn run(&mut self, thread: Threads) -> Placement {
        let placement = self.scheduler.start(thread);
        self.notice(Some(placement));
        placement
    }

    /// Starts threads with these numbers.
    fn run_default(&mut self, ids: std::ops::Range<u32>) {
        for id in ids {
            let _placement = self.run(thread(id, Priority::DEFAULT));
        }
    }

    fn current(&self, number: usize) -> Tid {
        self.current[number].id()
    }
}

#[test]
fn new_threads_go_to_idle_cpus_and_then_to_the_emptiest() {
    let mut machine = Machine::new(4);
    let cpus: Vec<_> = (0..4).map(|id| machine.run(thread(id, Priority::DEFAULT)).cpu.index()).collect();
    assert_eq!(cpus, [0, 1, 2, 3]);
    assert!((0..4).all(|number| machine.current[number].class() == Class::Normal));
    let fifth = machine.run(thread(4, Priority::DEFAULT));
    assert_eq!((fifth.poke, fifth.thief), (Poke::ArmSlice, None));
    let sixth = machine.run(thread(5, Priority::DEFAULT));
    assert_ne!(sixth.cpu, fifth.cpu, "the CPU that got the fifth is no longer the emptiest");
}

#[test]
fn a_woken_thread_goes_back_to_its_last_cpu_if_that_idles() {
    let mut machine = Machine::new(4);
    machine.run_default(0..3);
    let sleeper = Arc::clone(&machine.current[1]);
    sleeper.park().prepare();
    assert_eq!(machine.switch(1, Leaving::Blocked), None);
    assert_eq!(machine.current[1].class(), Class::Idle);
    let _queue = sleeper.park().unpark();
    let placement = machine.scheduler.make_runnable(sleeper);
    assert_eq!(placement, Placement { cpu: cpu(1), poke: Poke::Preempt, thief: None });
}

#[test]
fn a_thread_woken_before_it_slept_is_queued_when_it_has_left() {
    let mut machine = Machine::new(1);
    let _placement = machine.run(thread(1, Priority::DEFAULT));
    let sleeper = Arc::clone(&machine.current[0]);
    sleeper.park().prepare();
    assert_eq!(sleeper.park().unpark(), Unparked::Notified);
    let placement = machine.switch(0, Leaving::Blocked).expect("it is queued by the CPU that it left");
    assert_eq!(placement.poke, Poke::Preempt);
    assert_eq!(machine.scheduler.queued(cpu(0)), 1);
}

#[test]
fn a_better_thread_preempts_and_a_worse_one_waits() {
    let mut machine = Machine::new(1);
    let _first = machine.run(thread(1, Priority::DEFAULT));
    let worse = machine.run(thread(2, Priority::WORST));
    assert_eq!((worse.poke, machine.current(0)), (Poke::ArmSlice, Tid(1)));
    let better = machine.run(thread(3, Priority::KERNEL));
    assert_eq!((better.poke, machine.current(0)), (Poke::Preempt, Tid(3)));
    assert_eq!(machine.scheduler.start(thread(4, Priority::WORST)).poke, Poke::Nothing);
}

#[test]
fn a_slice_has_an_end_only_while_somebody_waits_for_it() {
    let mut machine = Machine::new(1);
    let _first = machine.run(thread(1, Priority::DEFAULT));
    let current = Arc::clone(&machine.current[0]);
    assert_eq!(machine.scheduler.charge(&current, 3_000_000), Slice::Left(7_000_000));
    assert_eq!(machine.scheduler.slice_deadline(cpu(0), &current, 50), None);
    let _second = machine.run(thread(2, Priority::DEFAULT));
    assert_eq!(machine.scheduler.slice_deadline(cpu(0), &current, 50), Some(7_000_050));
    assert_eq!(machine.scheduler.charge(&current, 7_000_000), Slice::Over);
    assert_eq!(current.cpu_time_ns(), SLICE_NS);
    let _requeued = machine.switch(0, Leaving::SliceOver);
    assert_eq!(machine.current(0), Tid(2));
}

#[test]
fn who_runs_and_who_waits_is_counted_and_who_sleeps_or_idles_is_not() {
    let mut machine = Machine::new(2);
    assert_eq!(machine.scheduler.runnable(), 0);
    machine.run_default(0..2);
    let _third = machine.scheduler.start(thread(3, Priority::WORST));
    assert_eq!(machine.scheduler.runnable(), 3);
    machine.current[0].park().prepare();
    assert_eq!(machine.switch(0, Leaving::Blocked), None);
    assert_eq!(machine.scheduler.runnable(), 2);
    let _gone = machine.switch(1, Leaving::Exited);
    assert_eq!(machine.scheduler.runnable(), 1);
}

#[test]
fn an_idle_cpu_steals_what_it_may_run() {
    let mut machine = Machine::new(2);
    machine.run_default(0..2);
    let bound = thread(10, Priority::KERNEL);
    bound.set_affinity(CpuSet::only(cpu(0))).unwrap();
    let free = thread(11, Priority::WORST);
    free.set_affinity(CpuSet::only(cpu(0))).unwrap();
    let _queued = (machine.scheduler.start(bound), machine.scheduler.start(Arc::clone(&free)));
    free.set_affinity(CpuSet::ALL).unwrap();
    let _exited = machine.switch(1, Leaving::Exited);
    assert_eq!(machine.current(1), Tid(11), "the better one is bound to CPU 0");
}

#[test]
fn a_thread_bound_elsewhere_moves_when_it_leaves_its_cpu() {
    let mut machine = Machine::new(2);
    let _placement = machine.run(thread(1, Priority::DEFAULT));
    machine.current[0].set_affinity(CpuSet::only(cpu(1))).unwrap();
    let placement = machine.switch(0, Leaving::Preempted).expect("it is queued elsewhere");
    assert_eq!(placement.cpu, cpu(1));
}

#[test]
fn a_thread_that_has_ended_is_let_go() {
    let mut machine = Machine::new(1);
    let ended = thread(1, Priority::DEFAULT);
    let _placement = machine.run(Arc::clone(&ended));
    assert_eq!(machine.switch(0, Leaving::Exited), None);
    assert_eq!(Arc::strong_count(&ended), 1);
}

#[test]
fn an_idle_cpu_that_was_claimed_is_not_claimed_again() {
    let machine = Machine::new(2);
    let placements = [1, 2].map(|id| machine.scheduler.start(thread(id, Priority::DEFAULT)));
    assert_eq!(placements.map(|placement| placement.cpu.index()), [0, 1]);
}

/// Lets one CPU run slice after slice among threads that never block, and returns each one's share in slices.
fn compete(priorities: &[Priority], slices: usize) -> Vec<u64> {
    let mut machine = Machine::new(1);
    let threads: Vec<_> = (0..).zip(priorities).map(|(id, &priority)| thread(id, priority)).collect();
    for thread in &threads {
        let _placement = machine.run(Arc::clone(thread));
    }
    for _ in 0..slices {
        let current = Arc::clone(&machine.current[0]);
        assert_eq!(machine.scheduler.charge(&current, SLICE_NS), Slice::Over);
        let _requeued = machine.switch(0, Leaving::SliceOver);
    }
    threads.iter().map(|thread| thread.cpu_time_ns() / SLICE_NS).collect()
}

#[test]
fn equals_get_equal_shares() {
    let shares = compete(&[Priority::DEFAULT; 4], 400);
    assert!(shares.iter().all(|share| (90..=110).contains(share)), "{shares:?}");
}

#[test]
fn a_nice_thread_gets_less_but_gets_its_share() {
    let shares = compete(&[Priority::KERNEL, Priority::DEFAULT, Priority::WORST], 960);
    assert!(shares[0] > shares[1] && shares.iter().all(|&share| share >= 960 / 8 / 3), "{shares:?}");
}

#[test]
fn who_computes_falls_behind_who_waits() {
    let mut machine = Machine::new(1);
    let (hog, shell) = (thread(1, Priority::DEFAULT), thread(2, Priority::DEFAULT));
    let _placement = machine.run(hog);
    let current = Arc::clone(&machine.current[0]);
    let _over = machine.scheduler.charge(&current, SLICE_NS);
    let _kept = machine.switch(0, Leaving::SliceOver);
    assert_eq!(machine.run(shell).poke, Poke::Preempt);
    assert_eq!(machine.current(0), Tid(2));
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 2 } else { 128 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Whatever happens, each thread is in one place, and no CPU idles while a thread that it may run is queued.
    #[test]
    fn no_thread_is_lost_and_no_cpu_idles_in_vain(
        steps in prop::collection::vec((0_u8..6, 0_usize..4, 0_u8..32, 1_u8..16), 1..if cfg!(miri) { 20 } else { 200 }),
    ) {
        let mut machine = Machine::new(4);
        let mut asleep: Vec<Threads> = Vec::new();
        let mut alive = 0;
        for (id, (action, number, priority, affinity)) in (0..).zip(steps) {
            let runs = machine.current[number].class() == Class::Normal;
            let placement = match action {
                0 | 1 => {
                    let new = thread(id, Priority::new(priority).expect("below 32"));
                    new.set_affinity(CpuSet::from_bits(affinity)).expect("not empty");
                    alive += 1;
                    Some(machine.scheduler.start(new))
                }
                2 if runs => {
                    let sleeper = Arc::clone(&machine.current[number]);
                    sleeper.park().prepare();
                    asleep.push(sleeper);
                    machine.switch(number, Leaving::Blocked)
                }
                3 if !asleep.is_empty() => {
                    let sleeper = asleep.swap_remove(number % asleep.len());
                    prop_assert_eq!(sleeper.park().unpark(), Unparked::Queue);
                    Some(machine.scheduler.make_runnable(sleeper))
                }
                4 if runs => {
                    alive -= 1;
                    machine.switch(number, Leaving::Exited)
                }
                _ => {
                    let current = Arc::clone(&machine.current[number]);
                    let _slice = machine.scheduler.charge(&current, SLICE_NS);
                    machine.switch(number, Leaving::SliceOver)
                }
            };
            machine.notice(placement);
            let running = machine.current.iter().filter(|thread| thread.class() == Class::Normal).count();
            let queued: u32 = CpuId::all().map(|cpu| machine.scheduler.queued(cpu)).sum();
            prop_assert_eq!(running + queued as usize + asleep.len(), alive);
            for idle in machine.idle.iter().filter(|idle| Arc::ptr_eq(idle, &machine.current[idle.last_cpu().index()])) {
                let decision = machine.scheduler.next(idle.last_cpu(), idle, Leaving::Preempted);
                prop_assert!(matches!(decision, Decision::Idle), "CPU {} idles in vain", idle.last_cpu());
            }
        }
    }
}

#[test]
fn f9_a_new_thread_competes_as_its_parent_does_and_does_not_take_the_cpu_from_it() {
    let mut machine = Machine::new(1);
    let parent = thread(1, Priority::DEFAULT);
    parent.set_affinity(CpuSet::only(cpu(0))).expect("not empty");
    let _first = machine.run(Arc::clone(&parent));
    let _slice: Slice = machine.scheduler.charge(&parent, 3 * SLICE_NS);
    let fresh = thread(2, Priority::DEFAULT);
    assert!(fresh.level() < parent.level(), "the parent's use of the CPU is held against it");
    fresh.inherit(&parent);
    assert_eq!((fresh.level(), fresh.affinity()), (parent.level(), parent.affinity()));
    let placement = machine.scheduler.start(fresh);
    assert_ne!(placement.poke, Poke::Preempt);
}
