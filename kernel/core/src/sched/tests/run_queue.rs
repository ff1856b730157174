//! The run queue against a list that is searched from end to end.

use std::sync::Arc;
use std::vec::Vec;

use proptest::prelude::*;

use crate::addr::{CpuId, CpuSet};
use crate::sched::{Bar, GUARD_TURNS, LEVELS, Level, Priority, RunQueue, Thread, Tid};

fn thread(id: u32, level: u8, affinity: CpuSet) -> Arc<Thread<()>> {
    let thread = Thread::new(Tid(id), "t", Priority::new(level).expect("below LEVELS"), ());
    thread.set_affinity(affinity).expect("not empty");
    thread
}

fn level(number: u8) -> Level {
    thread(0, number, CpuSet::ALL).level()
}

#[derive(Clone, Debug)]
enum Step {
    Enqueue { level: u8, affinity: CpuSet },
    PickAny,
    PickNotWorse(u8),
    PickBetter(u8),
    Steal(CpuId),
}

fn step() -> impl Strategy<Value = Step> {
    let number = 0..u8::try_from(LEVELS).expect("32");
    prop_oneof![
        4 => (number.clone(), 1_u8..16)
            .prop_map(|(level, bits)| Step::Enqueue { level, affinity: CpuSet::from_bits(bits) }),
        2 => Just(Step::PickAny),
        1 => number.clone().prop_map(Step::PickNotWorse),
        1 => number.prop_map(Step::PickBetter),
        1 => (0_usize..4).prop_map(|cpu| Step::Steal(CpuId::new(cpu).expect("below MAX_CPUS"))),
    ]
}

/// What the queue should do, done the slow way.
#[derive(Default)]
struct Naive {
    /// In the order of arrival: number, level, affinity.
    queued: Vec<(u32, u8, CpuSet)>,
    turns: u32,
    guarded: Option<u8>,
}

impl Naive {
    fn take_first(&mut self, wanted: impl Fn(&(u32, u8, CpuSet)) -> bool) -> Option<u32> {
        let best = self.queued.iter().filter(|entry| wanted(entry)).map(|entry| entry.1).min()?;
        let place = self.queued.iter().position(|entry| wanted(entry) && entry.1 == best)?;
        Some(self.queued.remove(place).0)
    }

    fn turn(&mut self, limit: u8) -> Option<u32> {
        if self.queued.is_empty() {
            return None;
        }
        self.turns += 1;
        if !self.turns.is_multiple_of(GUARD_TURNS) {
            return self.take_first(|entry| entry.1 <= limit);
        }
        let above = self.queued.iter().map(|entry| entry.1).filter(|&level| Some(level) > self.guarded).min();
        let level = above.or_else(|| self.queued.iter().map(|entry| entry.1).min())?;
        self.guarded = Some(level);
        self.take_first(|entry| entry.1 == level)
    }

    fn apply(&mut self, step: &Step) -> Option<u32> {
        match *step {
            Step::Enqueue { .. } => None,
            Step::PickAny => self.turn(u8::MAX),
            Step::PickNotWorse(than) => self.turn(than),
            Step::PickBetter(than) => {
                let best = self.queued.iter().map(|entry| entry.1).min()?;
                if best < than { self.take_first(|_| true) } else { None }
            }
            Step::Steal(thief) => self.take_first(|entry| entry.2.contains(thief)),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 4 } else { 256 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_queue_does_what_the_naive_one_does(
        steps in prop::collection::vec(step(), 1..if cfg!(miri) { 40 } else { 400 }),
    ) {
        let mut queue = RunQueue::new();
        let mut naive = Naive::default();
        for (id, step) in (0..).zip(steps) {
            let real = match step {
                Step::Enqueue { level, affinity } => {
                    queue.enqueue(thread(id, level, affinity));
                    naive.queued.push((id, level, affinity));
                    None
                }
                Step::PickAny => queue.pick(Bar::Any),
                Step::PickNotWorse(than) => queue.pick(Bar::NotWorse(level(than))),
                Step::PickBetter(than) => queue.pick(Bar::Better(level(than))),
                Step::Steal(thief) => queue.steal(thief),
            };
            prop_assert_eq!(real.map(|thread| thread.id().0), naive.apply(&step));
            prop_assert_eq!(queue.len() as usize, naive.queued.len());
            prop_assert_eq!(queue.is_empty(), naive.queued.is_empty());
        }
    }

    #[test]
    fn nobody_starves_whatever_arrives(
        own in 0_u8..32,
        before in 0_u32..3,
        arrivals in prop::collection::vec(0_u8..32, 1..8),
    ) {
        let mut queue = RunQueue::new();
        let victim = Tid(u32::MAX);
        (0..before).for_each(|id| queue.enqueue(thread(id, own, CpuSet::ALL)));
        queue.enqueue(thread(victim.0, own, CpuSet::ALL));
        let bound = GUARD_TURNS * u32::try_from(LEVELS).expect("32") * (before + 1);
        let mut arrivals = arrivals.into_iter().cycle();
        let waited = (1..=bound).find(|_| {
            arrivals.next().into_iter().for_each(|level| queue.enqueue(thread(0, level, CpuSet::ALL)));
            queue.pick(Bar::Any).is_some_and(|thread| thread.id() == victim)
        });
        prop_assert!(waited.is_some(), "not picked in {} turns", bound);
    }
}

#[test]
#[should_panic(expected = "already linked")]
fn a_thread_cannot_be_queued_twice() {
    let mut queue = RunQueue::new();
    let twice = thread(1, 0, CpuSet::ALL);
    queue.enqueue(Arc::clone(&twice));
    queue.enqueue(twice);
}

#[test]
fn a_queue_that_is_dropped_lets_its_threads_go() {
    let mut queue = RunQueue::new();
    let kept = thread(1, 0, CpuSet::ALL);
    queue.enqueue(Arc::clone(&kept));
    drop(queue);
    assert_eq!(Arc::strong_count(&kept), 1);
}
