//! A process's timers against a model that counts: each moment at which a timer should have gone off is told once, by a
//! signal or by the overrun of one.

use proptest::prelude::*;
use std::sync::atomic::Ordering::SeqCst;
use std::vec::Vec;

use super::*;

const TIMERS: usize = 4;

#[derive(Clone, Copy, Debug)]
enum Step {
    Set {
        timer: usize,
        setting: TimerSetting,
    },
    Delete {
        timer: usize,
    },
    Passes(u64),
    /// The alarms are served.
    Serve,
    /// The program takes one signal, if one is there.
    Take,
}

fn step() -> impl Strategy<Value = Step> {
    let setting = (0_u64..300, prop_oneof![Just(0), 1_u64..100]).prop_map(|(value, interval)| every(value, interval));
    prop_oneof![
        2 => (0..TIMERS, setting).prop_map(|(timer, setting)| Step::Set { timer, setting }),
        1 => (0..TIMERS).prop_map(|timer| Step::Delete { timer }),
        4 => (0_u64..200).prop_map(Step::Passes),
        4 => Just(Step::Serve),
        4 => Just(Step::Take),
    ]
}

/// One timer, as the model knows it.
#[derive(Clone, Copy, Default)]
struct Model {
    id: i32,
    first: Option<u64>,
    interval: u64,
    /// How many times it was told since it was set.
    told: u64,
}

impl Model {
    /// How often it should have gone off until now.
    fn due(&self, now: u64) -> u64 {
        match self.first {
            Some(first) if first <= now && self.interval > 0 => (now - first) / self.interval + 1,
            Some(first) if first <= now => 1,
            _ => 0,
        }
    }

    fn left(&self, now: u64) -> u64 {
        match self.first {
            Some(first) if first > now => first - now,
            Some(first) if self.interval > 0 => self.interval - (now - first) % self.interval,
            _ => 0,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn every_moment_is_told_once(steps in prop::collection::vec(step(), 1..80)) {
        let (world, system, init) = World::new();
        let signal = Signal::new(40).unwrap();
        let child = handles(world, &init, &[signal]);
        let now = || world.clock_ns.load(SeqCst);
        let create = |timer: usize| creates(world, &child, TimerClock::Monotonic, Notice::Signal(signal, Some(timer as u64)));
        let mut models: Vec<Model> = (0..TIMERS).map(|timer| Model { id: create(timer), ..Model::default() }).collect();
        for step in steps {
            match step {
                Step::Set { timer, setting } => {
                    let before = sets(world, &child, models[timer].id, setting);
                    if models[timer].due(now()) == 0 {
                        prop_assert_eq!(before.value_ns, models[timer].left(now()));
                    }
                    let first = (setting.value_ns > 0).then(|| now() + setting.value_ns);
                    let interval = if first.is_some() { setting.interval_ns } else { 0 };
                    models[timer] = Model { id: models[timer].id, first, interval, told: 0 };
                }
                Step::Delete { timer } => {
                    world.act(&child, || delete_timer(&child, models[timer].id)).unwrap();
                    models[timer] = Model { id: create(timer), ..Model::default() };
                }
                Step::Passes(ns) => drop(world.clock_ns.fetch_add(ns, SeqCst)),
                Step::Serve => world.act(&system, || world.processes.alarms.serve_due()),
                Step::Take => {
                    if let Next::Handle(info, _) = next(world, &child) {
                        let Detail::Timer { id, overrun, value } = info.detail else { panic!("{info:?}") };
                        let model = &mut models[usize::try_from(value).unwrap()];
                        prop_assert_eq!(id, model.id, "a timer that is gone was heard");
                        model.told += 1 + u64::from(overrun.unsigned_abs());
                        prop_assert_eq!(model.told, model.due(now()), "{:?}", info);
                    }
                }
            }
            for model in &models {
                prop_assert!(model.told <= model.due(now()));
            }
        }
        // What is left comes, too, and the alarm waits for the first.
        world.act(&system, || world.processes.alarms.serve_due());
        for info in taken(world, &child) {
            let Detail::Timer { overrun, value, .. } = info.detail else { panic!("{info:?}") };
            models[usize::try_from(value).unwrap()].told += 1 + u64::from(overrun.unsigned_abs());
        }
        for model in &models {
            prop_assert_eq!(model.told, model.due(now()));
        }
        let next = models.iter().map(|model| model.left(now())).filter(|&left| left > 0).min();
        prop_assert_eq!(alarm_in(world), next);
        exits(world, &child, 0);
        prop_assert_eq!(alarm_in(world), None);
    }
}
