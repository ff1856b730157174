//! A timer and the word that says what it is about.
//!
//! The word holds two bits, *armed* and *firing*, and the CPU that both refer to. A timer whose action runs may be armed
//! again, and then stays on the CPU that runs the action, so that the action never runs twice at once.
//!
//! Who may change the word: *armed* is set or cleared, and *firing* set, only under the lock of that CPU's queue (for an
//! idle timer, of the queue that it goes to); *firing* is cleared by the one who fires, without a lock, with release
//! order, so that whoever then sees it clear with acquire order also sees all that the action did.

use core::fmt;

use intrusive_collections::RBTreeAtomicLink;

use super::Instant;
use crate::addr::CpuId;
use crate::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// A one-shot timer with what shall happen when it expires. Lives in an `Arc`; the queue keeps one of its own while the
/// timer is armed.
pub struct Timer<A> {
    /// Owned by the queue that has the timer; touched under its lock only.
    pub(super) link: RBTreeAtomicLink,
    /// As `link`: written while the timer is in no queue, by the one who puts it into one.
    deadline_ns: AtomicU64,
    /// As `deadline_ns`. Tells timers with the same deadline apart; the one armed first expires first.
    sequence: AtomicU64,
    word: AtomicU8,
    action: A,
}

/// What a timer is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TimerState {
    /// Nothing.
    Idle,
    /// In the queue of a CPU.
    Armed {
        /// That CPU.
        cpu: CpuId,
    },
    /// Its action runs.
    Firing {
        /// The CPU that runs it.
        cpu: CpuId,
    },
    /// Its action runs, and it is in the queue of the same CPU again.
    FiringAndArmed {
        /// That CPU.
        cpu: CpuId,
    },
}

impl<A> Timer<A> {
    /// An idle timer.
    pub fn new(action: A) -> Self {
        Self {
            link: RBTreeAtomicLink::new(),
            deadline_ns: AtomicU64::new(0),
            sequence: AtomicU64::new(0),
            word: AtomicU8::new(TimerState::Idle.encode()),
            action,
        }
    }

    /// What happens when it expires.
    pub fn action(&self) -> &A {
        &self.action
    }

    /// What the timer is about at this moment; on another CPU that may change before the caller reads the answer.
    #[must_use]
    pub fn state(&self) -> TimerState {
        TimerState::decode(self.word.load(Ordering::Acquire))
    }

    /// Goes from one state to another; `Err` with the state that it is in where that is not `from`.
    pub(super) fn change(&self, from: TimerState, to: TimerState) -> Result<(), TimerState> {
        self.word
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| {
                (TimerState::decode(word) == from).then_some(to.encode())
            })
            .map(drop)
            .map_err(TimerState::decode)
    }

    /// Notes that the action has ended.
    pub(super) fn end_firing(&self) {
        self.word.fetch_and(!FIRING, Ordering::Release);
    }

    /// Notes that the timer has left its queue, whose lock is held, and returns the state since.
    pub(super) fn end_armed(&self) -> TimerState {
        let before = self.word.fetch_and(!ARMED, Ordering::AcqRel);
        TimerState::decode(before & !ARMED)
    }

    /// By what the queue is ordered.
    pub(super) fn key(&self) -> Key {
        let deadline = Instant::from_ns(self.deadline_ns.load(Ordering::Relaxed));
        Key { deadline, sequence: self.sequence.load(Ordering::Relaxed) }
    }

    /// Sets the key of a timer that the caller is about to put into a queue, whose lock it holds.
    pub(super) fn set_key(&self, key: Key) {
        self.deadline_ns.store(key.deadline.as_ns(), Ordering::Relaxed);
        self.sequence.store(key.sequence, Ordering::Relaxed);
    }
}

impl<A: fmt::Debug> fmt::Debug for Timer<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer").field("state", &self.state()).field("action", &self.action).finish_non_exhaustive()
    }
}

/// A place in the queue. Unique in a queue, as each arming draws a new sequence number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Key {
    pub(super) deadline: Instant,
    pub(super) sequence: u64,
}

const ARMED: u8 = 1 << 7;
const FIRING: u8 = 1 << 6;
const CPU: u8 = FIRING - 1;

impl TimerState {
    const fn encode(self) -> u8 {
        let (bits, cpu) = match self {
            Self::Idle => return 0,
            Self::Armed { cpu } => (ARMED, cpu),
            Self::Firing { cpu } => (FIRING, cpu),
            Self::FiringAndArmed { cpu } => (ARMED | FIRING, cpu),
        };
        #[expect(clippy::cast_possible_truncation, reason = "below MAX_CPUS")]
        let cpu = cpu.index() as u8;
        bits | cpu
    }

    /// Without both bits the CPU means nothing; it stays behind where the last bit was cleared.
    const fn decode(word: u8) -> Self {
        let cpu = CpuId::new((word & CPU) as usize).expect("encode() took it from a CpuId");
        match (word & ARMED != 0, word & FIRING != 0) {
            (false, false) => Self::Idle,
            (true, false) => Self::Armed { cpu },
            (false, true) => Self::Firing { cpu },
            (true, true) => Self::FiringAndArmed { cpu },
        }
    }

    /// The CPU whose queue's lock guards the timer now.
    pub(super) const fn cpu(self) -> Option<CpuId> {
        match self {
            Self::Idle => None,
            Self::Armed { cpu } | Self::Firing { cpu } | Self::FiringAndArmed { cpu } => Some(cpu),
        }
    }
}
