//! Numbers and sets.

use proptest::prelude::*;
use std::collections::BTreeSet;
use std::vec::Vec;

use crate::signal::{DefaultAction, MaskChange, Signal, SignalSet, discarded_by};

/// Linux's numbers on AArch64, from signal(7), and what each does.
const TABLE: [(Signal, u8, DefaultAction); 31] = {
    use DefaultAction::{Continue, Core, Ignore, Stop, Terminate};
    [
        (Signal::HUP, 1, Terminate),
        (Signal::INT, 2, Terminate),
        (Signal::QUIT, 3, Core),
        (Signal::ILL, 4, Core),
        (Signal::TRAP, 5, Core),
        (Signal::ABRT, 6, Core),
        (Signal::BUS, 7, Core),
        (Signal::FPE, 8, Core),
        (Signal::KILL, 9, Terminate),
        (Signal::USR1, 10, Terminate),
        (Signal::SEGV, 11, Core),
        (Signal::USR2, 12, Terminate),
        (Signal::PIPE, 13, Terminate),
        (Signal::ALRM, 14, Terminate),
        (Signal::TERM, 15, Terminate),
        (Signal::STKFLT, 16, Terminate),
        (Signal::CHLD, 17, Ignore),
        (Signal::CONT, 18, Continue),
        (Signal::STOP, 19, Stop),
        (Signal::TSTP, 20, Stop),
        (Signal::TTIN, 21, Stop),
        (Signal::TTOU, 22, Stop),
        (Signal::URG, 23, Ignore),
        (Signal::XCPU, 24, Core),
        (Signal::XFSZ, 25, Core),
        (Signal::VTALRM, 26, Terminate),
        (Signal::PROF, 27, Terminate),
        (Signal::WINCH, 28, Ignore),
        (Signal::IO, 29, Terminate),
        (Signal::PWR, 30, Terminate),
        (Signal::SYS, 31, Core),
    ]
};

#[test]
fn numbers_and_default_actions_are_linux_s() {
    for (signal, number, action) in TABLE {
        assert_eq!((signal.number(), signal.default_action()), (number, action), "{signal}");
    }
    for number in 32..=64 {
        let signal = Signal::new(number).unwrap();
        assert!(signal.is_realtime());
        assert_eq!(signal.default_action(), DefaultAction::Terminate);
    }
}

#[test]
fn there_are_signals_1_to_64() {
    assert_eq!(Signal::new(0), None);
    assert_eq!(Signal::new(65), None);
    assert_eq!(Signal::new(256 + 9), None);
    assert_eq!(SignalSet::ALL.iter().count(), 64);
    assert_eq!(SignalSet::EMPTY.lowest(), None);
    assert_eq!(SignalSet::of(&[Signal::MAX]).bits(), 1 << 63);
}

#[test]
fn signals_have_names() {
    assert_eq!(std::format!("{} {}", Signal::SEGV, Signal::RTMIN), "SIGSEGV SIGRT32");
}

#[test]
fn sets_of_what_does_nothing_agree_with_the_actions() {
    for signal in SignalSet::ALL.iter() {
        let action = signal.default_action();
        assert_eq!(SignalSet::STOPS.contains(signal), action == DefaultAction::Stop);
        let nothing = matches!(action, DefaultAction::Ignore | DefaultAction::Continue);
        assert_eq!(SignalSet::IGNORED_BY_DEFAULT.contains(signal), nothing);
    }
}

#[test]
fn stopping_and_continuing_undo_each_other() {
    for signal in SignalSet::ALL.iter() {
        let expected = match signal.default_action() {
            DefaultAction::Stop => SignalSet::of(&[Signal::CONT]),
            DefaultAction::Continue => SignalSet::STOPS,
            _ => SignalSet::EMPTY,
        };
        assert_eq!(discarded_by(signal), expected, "{signal}");
    }
}

#[test]
fn masks_change_as_asked_but_never_block_kill_and_stop() {
    let old = SignalSet::of(&[Signal::INT, Signal::HUP]);
    let given = SignalSet::of(&[Signal::INT, Signal::USR1, Signal::KILL, Signal::STOP]);
    let changed = |number| old.changed(MaskChange::new(number).unwrap(), given);
    assert_eq!(changed(0), SignalSet::of(&[Signal::INT, Signal::HUP, Signal::USR1]));
    assert_eq!(changed(1), SignalSet::of(&[Signal::HUP]));
    assert_eq!(changed(2), SignalSet::of(&[Signal::INT, Signal::USR1]));
    assert_eq!(MaskChange::new(3), None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 4 } else { 256 }, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_set_is_a_set(a: u64, b: u64, number in 1_u32..=64) {
        let numbers = |bits: u64| (1..=64_u32).filter(|n| bits >> (n - 1) & 1 == 1).collect::<BTreeSet<_>>();
        let of = |set: SignalSet| set.iter().map(|signal| u32::from(signal.number())).collect::<BTreeSet<_>>();
        let (x, y) = (SignalSet::from_bits(a), SignalSet::from_bits(b));
        prop_assert_eq!(of(x), numbers(a));
        prop_assert_eq!(of(x | y), &numbers(a) | &numbers(b));
        prop_assert_eq!(of(x & y), &numbers(a) & &numbers(b));
        prop_assert_eq!(of(x.difference(y)), &numbers(a) - &numbers(b));
        prop_assert_eq!(of(!x), numbers(!a));
        prop_assert_eq!(x.iter().collect::<SignalSet>(), x);
        prop_assert!(x.iter().map(Signal::number).collect::<Vec<_>>().is_sorted());
        let signal = Signal::new(number).unwrap();
        prop_assert_eq!(x.contains(signal), numbers(a).contains(&number));
        prop_assert!(x.with(signal).contains(signal) && !x.without(signal).contains(signal));
        prop_assert_eq!(usize::try_from(x.len()).unwrap(), numbers(a).len());
    }
}
