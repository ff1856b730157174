//! Sets of signals.

use core::fmt;
use core::ops::{BitAnd, BitOr, Not};

use super::number::Signal;

/// A set of signals: bit n−1 stands for signal n, as in the kernel's `sigset_t`.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
#[repr(transparent)]
pub struct SignalSet(u64);

impl SignalSet {
    /// No signal.
    pub const EMPTY: Self = Self(0);
    /// Every signal.
    pub const ALL: Self = Self(u64::MAX);
    /// What can be neither blocked, nor ignored, nor caught.
    pub const UNBLOCKABLE: Self = Self::of(&[Signal::KILL, Signal::STOP]);
    /// What stops a process by default.
    pub const STOPS: Self = Self::of(&[Signal::STOP, Signal::TSTP, Signal::TTIN, Signal::TTOU]);
    /// What an instruction of the program itself can cause.
    pub const SYNCHRONOUS: Self =
        Self::of(&[Signal::SEGV, Signal::BUS, Signal::ILL, Signal::TRAP, Signal::FPE, Signal::SYS]);
    /// What does nothing by default; a stopped process has `SIGCONT` do something.
    pub const IGNORED_BY_DEFAULT: Self = Self::of(&[Signal::CONT, Signal::CHLD, Signal::URG, Signal::WINCH]);

    /// The set of `signals`.
    #[must_use]
    pub const fn of(signals: &[Signal]) -> Self {
        let mut set = Self::EMPTY;
        let mut next = 0;
        while next < signals.len() {
            set.insert(signals[next]);
            next += 1;
        }
        set
    }

    /// The set with these bits.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Its bits.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Adds `signal`.
    pub const fn insert(&mut self, signal: Signal) {
        self.0 |= 1 << signal.index();
    }

    /// Takes `signal` out.
    pub const fn remove(&mut self, signal: Signal) {
        self.0 &= !(1 << signal.index());
    }

    /// The set with `signal` added.
    #[must_use]
    pub const fn with(self, signal: Signal) -> Self {
        Self(self.0 | 1 << signal.index())
    }

    /// The set without `signal`.
    #[must_use]
    pub const fn without(self, signal: Signal) -> Self {
        Self(self.0 & !(1 << signal.index()))
    }

    /// Whether `signal` is in the set.
    #[must_use]
    pub const fn contains(self, signal: Signal) -> bool {
        self.0 & 1 << signal.index() != 0
    }

    /// Whether no signal is in the set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The signals in either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The signals in both sets.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The signals that are not in `other`.
    #[must_use]
    pub const fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The signal with the lowest number.
    #[must_use]
    pub const fn lowest(self) -> Option<Signal> {
        // Of an empty set there are 64 zeroes below: signal 65.
        Signal::new(self.0.trailing_zeros() + 1)
    }

    /// How many signals are in the set.
    #[must_use]
    pub const fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// The signals in the set, lowest first.
    pub fn iter(self) -> impl Iterator<Item = Signal> {
        let mut left = self;
        core::iter::from_fn(move || {
            let signal = left.lowest()?;
            left.remove(signal);
            Some(signal)
        })
    }

    /// The mask of blocked signals after `sigprocmask`. What cannot be blocked is left out without a word, as POSIX has it.
    #[must_use]
    pub const fn changed(self, change: MaskChange, signals: Self) -> Self {
        let mask = match change {
            MaskChange::Block => self.union(signals),
            MaskChange::Unblock => self.difference(signals),
            MaskChange::Set => signals,
        };
        mask.difference(Self::UNBLOCKABLE)
    }
}

impl BitOr for SignalSet {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.union(other)
    }
}

impl BitAnd for SignalSet {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        self.intersection(other)
    }
}

impl Not for SignalSet {
    type Output = Self;

    fn not(self) -> Self {
        Self(!self.0)
    }
}

impl FromIterator<Signal> for SignalSet {
    fn from_iter<I: IntoIterator<Item = Signal>>(signals: I) -> Self {
        signals.into_iter().fold(Self::EMPTY, Self::with)
    }
}

impl fmt::Debug for SignalSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// What `sigprocmask` does with its set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MaskChange {
    /// `SIG_BLOCK`: adds it.
    Block,
    /// `SIG_UNBLOCK`: takes it out.
    Unblock,
    /// `SIG_SETMASK`: puts it in place of the mask.
    Set,
}

impl MaskChange {
    /// By Linux's number.
    #[must_use]
    pub const fn new(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::Block),
            1 => Some(Self::Unblock),
            2 => Some(Self::Set),
            _ => None,
        }
    }
}

/// The pending signals of a process, and of its threads, that are void once `signal` is posted: what stops and what
/// continues undo each other, whatever the process does about either.
#[must_use]
pub const fn discarded_by(signal: Signal) -> SignalSet {
    if SignalSet::STOPS.contains(signal) {
        SignalSet::EMPTY.with(Signal::CONT)
    } else if signal.number() == Signal::CONT.number() {
        SignalSet::STOPS
    } else {
        SignalSet::EMPTY
    }
}
