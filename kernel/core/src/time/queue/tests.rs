//! Under Miri these need `-Zmiri-permissive-provenance` and `--include-ignored`: the tree of `intrusive-collections`
//! keeps a node's colour in the lowest bit of an integer made of its parent's address.

use proptest::prelude::*;
use std::thread;
use std::vec::Vec;

use super::*;
use crate::hal::fake::FakeCpu;

type Queues = TimerQueues<u32, FakeCpu>;

fn cpu(number: usize) -> CpuId {
    CpuId::new(number).expect("below MAX_CPUS")
}

fn at(ns: u64) -> Instant {
    Instant::from_ns(ns)
}

fn timer(name: u32) -> Arc<Timer<u32>> {
    Arc::new(Timer::new(name))
}

fn drain(queues: &Queues, on: CpuId, now: Instant) -> Vec<u32> {
    core::iter::from_fn(|| queues.expire(on, now)).map(|expired| *expired.action()).collect()
}

#[test]
#[cfg_attr(miri, ignore = "the tree keeps pointers in integers: run with permissive provenance")]
fn timers_expire_in_the_order_of_their_deadlines_and_not_before() {
    let queues = Queues::new();
    let timers = [30, 10, 20].map(|ns| (timer(ns), ns));
    for (timer, ns) in &timers {
        let _ = queues.arm(timer, CpuId::BOOT, at(u64::from(*ns)));
    }
    assert_eq!(queues.next_deadline(CpuId::BOOT), Some(at(10)));
    assert_eq!(drain(&queues, CpuId::BOOT, at(9)), []);
    assert_eq!(drain(&queues, CpuId::BOOT, at(20)), [10, 20]);
    assert_eq!(drain(&queues, CpuId::BOOT, at(100)), [30]);
    assert_eq!(queues.next_deadline(CpuId::BOOT), None);
}

#[test]
#[cfg_attr(miri, ignore = "the tree keeps pointers in integers: run with permissive provenance")]
fn equal_deadlines_expire_in_the_order_of_arming() {
    let queues = Queues::new();
    let timers: Vec<_> = (0..5).map(timer).collect();
    for timer in &timers {
        let _ = queues.arm(timer, CpuId::BOOT, at(7));
    }
    assert_eq!(drain(&queues, CpuId::BOOT, at(7)), [0, 1, 2, 3, 4]);
}

#[test]
#[cfg_attr(miri, ignore = "the tree keeps pointers in integers: run with permissive provenance")]
fn arm_tells_whether_the_comparator_must_move() {
    let queues = Queues::new();
    let (first, later, sooner) = (timer(0), timer(1), timer(2));
    assert_eq!(queues.arm(&first, cpu(1), at(50)), Armed::First { cpu: cpu(1) });
    assert_eq!(queues.arm(&later, cpu(1), at(60)), Armed::Later { cpu: cpu(1) });
    assert_eq!(queues.arm(&sooner, cpu(1), at(40)), Armed::First { cpu: cpu(1) });
    assert_eq!(queues.arm(&sooner, cpu(2), at(90)), Armed::First { cpu: cpu(2) });
}

#[test]
#[cfg_attr(miri, ignore = "the tree keeps pointers in integers: run with permissive provenance")]
fn each_cpu_has_its_own_timers() {
    let queues = Queues::new();
    let (a, b) = (timer(0), timer(1));
    let _ = queues.arm(&a, cpu(0), at(1));
    let _ = queues.arm(&b, cpu(3), at(1));
    assert_eq!(drain(&queues, cpu(0), at(1)), [0]);
    assert_eq!(drain(&queues, cpu(3), at(1)), [1]);
}

#[test]
#[cfg_attr(miri, ignore = "the tree keeps pointers in integers: run with permissive provenance")]
fn arming_again_replaces_deadline_and_cpu() {
    let queues = Queues::new();
    let timer = timer(0);
    let _ = queues.arm(&timer, cpu(0), at(10));
    let _ = queues.arm(&timer, cpu(0), at(20));
    assert_eq!(queues.next_deadline(cpu(0)), Some(at(20)));
    let _ = queues.arm(&timer, cpu(2), at(30));
    assert_eq!((queues.next_deadline(cpu(0)), queues.next_deadline(cpu(2))), (None, Some(at(30))));
    assert_eq!(timer.state(), TimerState::Armed { cpu: cpu(2) });
}

#[test]
#[cfg_attr(miri, ignore = "the tree keeps pointers in integers: run with permissive provenance")]
fn a_cancelled_timer_does_not_fire() {
    let queues = Queues::new();
    let timer = timer(0);
    assert_eq!(queues.cancel(&timer), Cancelled::WasIdle);
    let _ = queues.arm(&timer, cpu(1), at(10));
    assert_eq!(queues.cancel(&timer), Cancelled::Cancelled);
    assert_eq!(queues.cancel(&timer), Cancelled::WasIdle);
    assert_eq!(drain(&queues, cpu(1), Instant::NEVER), []);
    assert_eq!(Arc::strong_count(&timer), 1, "the queue let go of it");
}

#[test]
#[cfg_attr(miri, ignore = "the tree keeps pointers in integers: run with permissive provenance")]
fn while_its_action_runs_a_timer_is_firing() {
    let queues = Queues::new();
    let timer = timer(0);
    let _ = queues.arm(&timer, cpu(1), at(10));
    let expired = queues.expire(cpu(1), at(10)).unwrap();
    assert_eq!(timer.state(), TimerState::Firing { cpu: cpu(1) });
    assert_eq!(queues.cancel(&timer), Cancelled::Firing);
    drop(expired);
    assert_eq!(timer.state(), TimerState::Idle);
    assert_eq!(queues.cancel_and_wait(&timer), Cancelled::WasIdle);
}

#[test]
#[cfg_attr(miri, ignore = "the tree keeps pointers in integers: run with permissive provenance")]
fn an_action_may_arm_its_own_timer_which_stays_on_its_cpu() {
    let queues = Queues::new();
    let timer = timer(0);
    let _ = queues.arm(&timer, cpu(1), at(10));
    let expired = queues.expire(cpu(1), at(10)).unwrap();
    assert_eq!(queues.arm(expired.timer(), cpu(3), at(10)), Armed::First { cpu: cpu(1) });
    assert_eq!(timer.state(), TimerState::FiringAndArmed { cpu: cpu(1) });
    assert!(queues.expire(cpu(1), at(10)).is_none(), "not twice at once");
    drop(expired);
    assert_eq!(timer.state(), TimerState::Armed { cpu: cpu(1) });
    assert_eq!(drain(&queues, cpu(1), at(10)), [0]);
}

#[test]
#[cfg_attr(miri, ignore = "the tree keeps pointers in integers: run with permissive provenance")]
fn a_timer_armed_by_its_action_can_be_cancelled_before_the_action_ends() {
    let queues = Queues::new();
    let timer = timer(0);
    let _ = queues.arm(&timer, cpu(1), at(10));
    let expired = queues.expire(cpu(1), at(10)).unwrap();
    let _ = queues.arm(expired.timer(), cpu(1), at(20));
    assert_eq!(queues.cancel(&timer), Cancelled::Firing);
    drop(expired);
    assert_eq!(timer.state(), TimerState::Idle);
    assert_eq!(queues.next_deadline(cpu(1)), None);
}

#[test]
#[cfg_attr(miri, ignore = "the tree keeps pointers in integers: run with permissive provenance")]
fn a_timer_that_was_idle_on_one_cpu_can_be_armed_on_another() {
    let queues = Queues::new();
    let timer = timer(0);
    for on in CpuId::all() {
        let _ = queues.arm(&timer, on, at(1));
        assert_eq!(drain(&queues, on, at(1)), [0]);
        let _ = queues.arm(&timer, on, at(1));
        assert_eq!(queues.cancel(&timer), Cancelled::Cancelled);
    }
}

#[test]
#[cfg_attr(miri, ignore = "the tree keeps pointers in integers: run with permissive provenance")]
fn queues_that_are_dropped_release_their_timers() {
    let queues = Queues::new();
    let timer = timer(0);
    let _ = queues.arm(&timer, cpu(0), at(1));
    assert_eq!(Arc::strong_count(&timer), 2);
    drop(queues);
    assert_eq!(Arc::strong_count(&timer), 1);
}

/// Three CPUs arm, cancel and expire the same timers. The order of things differs from run to run; the account at the
/// end does not.
#[test]
#[cfg_attr(miri, ignore = "the tree keeps pointers in integers: run with permissive provenance")]
fn cpus_that_share_timers_lose_none() {
    const ROUNDS: u64 = if cfg!(miri) { 40 } else { 20_000 };
    let queues = Queues::new();
    let timers: Vec<_> = (0..4).map(timer).collect();
    thread::scope(|scope| {
        for number in 0..3 {
            let (queues, timers) = (&queues, &timers);
            scope.spawn(move || {
                FakeCpu::set_id(cpu(number));
                // Knuth's MMIX generator: each CPU mixes the operations in another way.
                let mut random = number as u64;
                for _ in 0..ROUNDS {
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    let timer = &timers[(random >> 40) as usize % timers.len()];
                    match random >> 60 {
                        0..8 => drop(queues.arm(timer, cpu(number), at(random >> 56))),
                        8..11 => drop(queues.cancel(timer)),
                        11 => drop(queues.cancel_and_wait(timer)),
                        _ => drop(drain(queues, cpu(number), at(random >> 56))),
                    }
                }
            });
        }
    });
    for timer in &timers {
        let armed = matches!(timer.state(), TimerState::Armed { .. });
        assert_eq!(Arc::strong_count(timer), if armed { 2 } else { 1 }, "{timer:?}");
        let _ = queues.cancel(timer);
        assert_eq!((timer.state(), Arc::strong_count(timer)), (TimerState::Idle, 1));
    }
    assert!(CpuId::all().all(|on| queues.next_deadline(on).is_none()));
}

#[derive(Clone, Debug)]
enum Step {
    Arm { timer: usize, cpu: usize, ns: u64 },
    Cancel { timer: usize },
    Expire { cpu: usize, ns: u64 },
}

const TIMERS: usize = 8;

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..TIMERS, 0..MAX_CPUS, 0..100_u64).prop_map(|(timer, cpu, ns)| Step::Arm { timer, cpu, ns }),
        (0..TIMERS).prop_map(|timer| Step::Cancel { timer }),
        (0..MAX_CPUS, 0..100_u64).prop_map(|(cpu, ns)| Step::Expire { cpu, ns }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 3 } else { 2000 }, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    #[cfg_attr(miri, ignore = "the tree keeps pointers in integers: run with permissive provenance")]
    fn the_queues_agree_with_a_sorted_list(steps in prop::collection::vec(step(), 1..60)) {
        let queues = Queues::new();
        let timers: Vec<_> = (0..8).map(timer).collect();
        // (CPU, deadline, order of arming, timer)
        let mut model: Vec<(usize, u64, usize, usize)> = Vec::new();
        for (order, step) in steps.into_iter().enumerate() {
            match step {
                Step::Arm { timer, cpu: on, ns } => {
                    model.retain(|entry| entry.3 != timer);
                    model.push((on, ns, order, timer));
                    model.sort_unstable();
                    let first = model.iter().find(|entry| entry.0 == on).unwrap().3 == timer;
                    let expected = if first { Armed::First { cpu: cpu(on) } } else { Armed::Later { cpu: cpu(on) } };
                    prop_assert_eq!(queues.arm(&timers[timer], cpu(on), at(ns)), expected);
                }
                Step::Cancel { timer } => {
                    let before = model.len();
                    model.retain(|entry| entry.3 != timer);
                    let expected = if model.len() < before { Cancelled::Cancelled } else { Cancelled::WasIdle };
                    prop_assert_eq!(queues.cancel(&timers[timer]), expected);
                }
                Step::Expire { cpu: on, ns } => {
                    let due: Vec<_> = model.extract_if(.., |e| e.0 == on && e.1 <= ns).map(|e| *timers[e.3].action()).collect();
                    prop_assert_eq!(drain(&queues, cpu(on), at(ns)), due);
                }
            }
            for on in 0..MAX_CPUS {
                let next = model.iter().find(|entry| entry.0 == on).map(|entry| at(entry.1));
                prop_assert_eq!(queues.next_deadline(cpu(on)), next);
            }
        }
        drop(queues);
        prop_assert!(timers.iter().all(|timer| Arc::strong_count(timer) == 1), "no reference lost");
    }
}
