//! What is pending, against a model that is a list.

use proptest::prelude::*;
use std::vec::Vec;

use crate::addr::UserAddr;
use crate::signal::{Info, Pending, Posted, Signal, SignalSet, code, take_next};

const NO_BOUND: u64 = u64::MAX;

fn rt(number: u32) -> Signal {
    Signal::new(32 + number).expect("at most 64")
}

/// Takes all, in order.
fn drain(pending: &mut Pending) -> Vec<Info> {
    core::iter::from_fn(|| pending.take(SignalSet::EMPTY)).collect()
}

#[test]
fn an_empty_set_has_nothing_and_keeps_no_memory() {
    let mut pending = Pending::new();
    assert_eq!(pending.take(SignalSet::EMPTY), None);
    assert!(pending.set().is_empty() && pending.queued() == 0);
    assert!(size_of::<Pending>() <= 104, "{}", size_of::<Pending>());
}

#[test]
fn classic_signals_merge_and_the_first_reason_stays() {
    let mut pending = Pending::new();
    let first = Info::user(Signal::INT, 1, 0);
    assert_eq!(pending.post(first, NO_BOUND), Posted::Queued);
    assert_eq!(pending.post(Info::user(Signal::INT, 2, 0), NO_BOUND), Posted::Merged);
    assert_eq!(drain(&mut pending), [first]);
}

#[test]
fn real_time_signals_queue_in_order() {
    let mut pending = Pending::new();
    let sent: Vec<_> = (0..20).map(|value| Info::queue(rt(2), 1, 0, value)).collect();
    for &info in &sent {
        assert_eq!(pending.post(info, NO_BOUND), Posted::Queued);
    }
    assert_eq!(pending.queued(), 20);
    assert_eq!(drain(&mut pending), sent);
    assert!(pending.set().is_empty());
}

#[test]
fn lower_numbers_come_first() {
    let mut pending = Pending::new();
    for signal in [rt(5), rt(1), Signal::TERM, Signal::HUP] {
        let _posted = pending.post(Info::user(signal, 1, 0), NO_BOUND);
    }
    let order: Vec<_> = drain(&mut pending).iter().map(|info| info.signal).collect();
    assert_eq!(order, [Signal::HUP, Signal::TERM, rt(1), rt(5)]);
}

#[test]
fn faults_come_before_everything_and_in_their_order() {
    let mut pending = Pending::new();
    let fault = |signal| Info::fault(signal, code::NOT_MAPPED, UserAddr::new(0));
    for info in [Info::kernel(Signal::HUP), fault(Signal::SEGV), fault(Signal::ILL), Info::user(Signal::BUS, 1, 0)] {
        let _posted = pending.post(info, NO_BOUND);
    }
    let order: Vec<_> = drain(&mut pending).iter().map(|info| info.signal).collect();
    // The faults as they came; a fault's signal that somebody sent; the rest.
    assert_eq!(order, [Signal::SEGV, Signal::ILL, Signal::BUS, Signal::HUP]);
}

#[test]
fn blocked_signals_wait() {
    let mut pending = Pending::new();
    let _posted = pending.post(Info::kernel(Signal::INT), NO_BOUND);
    assert_eq!(pending.take(SignalSet::of(&[Signal::INT])), None);
    assert_eq!(pending.set(), SignalSet::of(&[Signal::INT]));
    assert!(pending.take(SignalSet::EMPTY).is_some());
}

#[test]
fn only_so_many_real_time_signals_queue() {
    let mut pending = Pending::new();
    let queue = |value| Info::queue(rt(0), 1, 0, value);
    assert_eq!(pending.post(queue(0), 2), Posted::Queued);
    assert_eq!(pending.post(queue(1), 2), Posted::Queued);
    assert_eq!(pending.post(queue(2), 2), Posted::Full);
    // kill(2) does not fail: it becomes pending without its reason, or joins those that are.
    assert_eq!(pending.post(Info::user(rt(0), 1, 0), 2), Posted::Merged);
    assert_eq!(pending.post(Info::user(rt(1), 1, 0), 2), Posted::Queued);
    // Classic signals are few; the bound is not for them.
    assert_eq!(pending.post(Info::user(Signal::TERM, 1, 0), 2), Posted::Queued);
    let taken = drain(&mut pending);
    assert_eq!(taken, [Info::user(Signal::TERM, 1, 0), queue(0), queue(1), Info::forgotten(rt(1))]);
}

#[test]
fn what_is_discarded_is_gone() {
    let mut pending = Pending::new();
    for info in [Info::kernel(Signal::TSTP), Info::kernel(Signal::INT), Info::kernel(Signal::TTIN)] {
        let _posted = pending.post(info, NO_BOUND);
    }
    pending.discard(SignalSet::STOPS);
    assert_eq!(drain(&mut pending), [Info::kernel(Signal::INT)]);
}

#[test]
fn a_thread_takes_its_own_signals_before_its_process_s() {
    let (mut own, mut process) = (Pending::new(), Pending::new());
    let _posted = own.post(Info::kernel(Signal::TERM), NO_BOUND);
    let _posted = process.post(Info::kernel(Signal::HUP), NO_BOUND);
    let mut next = |blocked| take_next(&mut own, &mut process, blocked).map(|info| info.signal);
    assert_eq!(next(SignalSet::ALL), None);
    assert_eq!(next(SignalSet::EMPTY), Some(Signal::TERM));
    assert_eq!(next(SignalSet::EMPTY), Some(Signal::HUP));
    assert_eq!(next(SignalSet::EMPTY), None);
}

/// The same thing in its simplest form: all that was posted and not merged, in order.
#[derive(Default)]
struct Model {
    queue: Vec<Info>,
    bare: SignalSet,
}

impl Model {
    fn set(&self) -> SignalSet {
        self.queue.iter().map(|info| info.signal).collect::<SignalSet>() | self.bare
    }

    fn post(&mut self, info: Info, bound: u64) -> Posted {
        let is_pending = self.set().contains(info.signal);
        if !info.signal.is_realtime() && is_pending {
            return Posted::Merged;
        }
        if info.signal.is_realtime() && self.queue.len() as u64 >= bound {
            if !matches!(info.code, code::USER | code::KERNEL) {
                return Posted::Full;
            }
            if is_pending {
                return Posted::Merged;
            }
            self.bare.insert(info.signal);
            return Posted::Queued;
        }
        self.queue.push(info);
        // One whose reason was forgotten becomes one with those of its number that have one.
        self.bare.remove(info.signal);
        Posted::Queued
    }

    fn take(&mut self, blocked: SignalSet) -> Option<Info> {
        let free = |info: &Info| !blocked.contains(info.signal);
        let key = |info: &Info| {
            let fault = SignalSet::SYNCHRONOUS.contains(info.signal);
            if info.is_synchronous() { (0, 0) } else { (if fault { 1 } else { 2 }, info.signal.number()) }
        };
        let forgotten = self.bare.iter().map(Info::forgotten);
        let best = self.queue.iter().copied().chain(forgotten).filter(free).min_by_key(key)?;
        match self.queue.iter().position(|info| *info == best) {
            Some(at) => _ = self.queue.remove(at),
            None => self.bare.remove(best.signal),
        }
        Some(best)
    }

    fn discard(&mut self, signals: SignalSet) {
        self.queue.retain(|info| !signals.contains(info.signal));
        self.bare = self.bare.difference(signals);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Post(Info, u64),
    Take(SignalSet),
    Discard(SignalSet),
}

fn any_info() -> impl Strategy<Value = Info> {
    // Few numbers, so that they meet.
    let signal = prop::sample::select(std::vec![
        Signal::HUP,
        Signal::SEGV,
        Signal::BUS,
        Signal::ILL,
        Signal::TSTP,
        Signal::CONT,
        Signal::RTMIN,
        Signal::MAX
    ]);
    (signal, 0..4_u32, 0..1000_u32).prop_map(|(signal, kind, mark)| match kind {
        0 => Info::user(signal, mark, 0),
        1 => Info::queue(signal, mark, 0, 0),
        2 => Info::fault(signal, code::NOT_MAPPED, UserAddr::new(u64::from(mark))),
        _ => Info::kernel(signal),
    })
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (any_info(), prop_oneof![Just(3), Just(NO_BOUND)]).prop_map(|(info, bound)| Step::Post(info, bound)),
        3 => any::<u64>().prop_map(|bits| Step::Take(SignalSet::from_bits(bits))),
        2 => Just(Step::Take(SignalSet::EMPTY)),
        1 => any::<u64>().prop_map(|bits| Step::Discard(SignalSet::from_bits(bits))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 4 } else { 512 }, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pending_does_what_the_model_does(steps in prop::collection::vec(any_step(), 1..60)) {
        let (mut pending, mut model) = (Pending::new(), Model::default());
        for step in steps {
            match step {
                Step::Post(info, bound) => prop_assert_eq!(pending.post(info, bound), model.post(info, bound)),
                Step::Take(blocked) => prop_assert_eq!(pending.take(blocked), model.take(blocked)),
                Step::Discard(signals) => {
                    pending.discard(signals);
                    model.discard(signals);
                }
            }
            prop_assert_eq!(pending.set(), model.set());
            prop_assert_eq!(pending.queued(), model.queue.len());
        }
    }
}
