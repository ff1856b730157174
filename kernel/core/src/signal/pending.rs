//! What has been sent and not yet taken.

use alloc::collections::VecDeque;

use super::info::{Detail, Info, code};
use super::number::Signal;
use super::set::SignalSet;

/// What became of a signal that was posted.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Posted {
    /// It is pending: somebody is to be told.
    Queued,
    /// It was pending already, and one of its kind is all that is kept.
    Merged,
    /// It is lost: too many are queued, or there is no memory.
    Full,
}

/// The signals pending for a process or for one of its threads.
///
/// Classic signals merge: while one is pending, further ones of its number are dropped, but for those of timers. Real-time signals queue, and
/// those of one number are taken in the order they came. Most often there is at most one, so one has its place here and
/// only more take memory; an empty set is made and dropped without any.
#[derive(Debug, Default)]
pub struct Pending {
    /// What is pending. Each has an entry in the queue, except where there was no room for one.
    set: SignalSet,
    /// The oldest entry; `None` only if there is none at all.
    oldest: Option<Info>,
    /// Those after it, in order.
    later: VecDeque<Info>,
}

impl Pending {
    /// None.
    #[must_use]
    pub const fn new() -> Self {
        Self { set: SignalSet::EMPTY, oldest: None, later: VecDeque::new() }
    }

    /// What is pending, blocked or not.
    #[must_use]
    pub const fn set(&self) -> SignalSet {
        self.set
    }

    /// How many are queued.
    #[must_use]
    pub fn queued(&self) -> usize {
        usize::from(self.oldest.is_some()) + self.later.len()
    }

    /// Adds a signal. No more real-time signals are queued once `bound` signals are (`RLIMIT_SIGPENDING`).
    ///
    /// A classic signal, and a real-time one sent by `kill`, becomes pending even where there is no room for the reason;
    /// [`Info::forgotten`] stands for it then. Only `sigqueue` and its kin, which promise that each arrives, can fail.
    pub fn post(&mut self, info: Info, bound: u64) -> Posted {
        let signal = info.signal;
        let pending = self.set.contains(signal);
        // A timer's signal was promised a place when the timer was made, and has one at most.
        let is_timers = info.code == code::TIMER && matches!(info.detail, Detail::Timer { .. });
        if pending && !signal.is_realtime() && !is_timers {
            return Posted::Merged;
        }
        let may_queue =
            !signal.is_realtime() || is_timers || u64::try_from(self.queued()).is_ok_and(|queued| queued < bound);
        if may_queue && self.enqueue(info) {
            self.set.insert(signal);
            return Posted::Queued;
        }
        if is_timers || (signal.is_realtime() && info.code != code::USER && info.code != code::KERNEL) {
            return Posted::Full;
        }
        self.set.insert(signal);
        if pending { Posted::Merged } else { Posted::Queued }
    }

    /// Takes the signal that comes first among those not in `blocked`: what an instruction of the program caused, in the
    /// order it came; then such signals from elsewhere; then the lowest number.
    #[inline]
    pub fn take(&mut self, blocked: SignalSet) -> Option<Info> {
        let ready = self.set.difference(blocked);
        if ready.is_empty() { None } else { self.take_one_of(ready, blocked) }
    }

    fn take_one_of(&mut self, ready: SignalSet, blocked: SignalSet) -> Option<Info> {
        // Most often it is alone: the queue has never needed memory.
        let alone = |info: &Info| self.set == SignalSet::EMPTY.with(info.signal);
        if self.later.capacity() == 0 && self.oldest.as_ref().is_some_and(alone) {
            self.set = SignalSet::EMPTY;
            return self.oldest.take();
        }
        if let Some(info) = self.take_synchronous(blocked) {
            return Some(info);
        }
        let first = ready.intersection(SignalSet::SYNCHRONOUS).lowest().or(ready.lowest())?;
        Some(self.take_first_of(first))
    }

    /// Takes the oldest signal that an instruction of the program caused, if one is not in `blocked`.
    pub fn take_synchronous(&mut self, blocked: SignalSet) -> Option<Info> {
        if self.set.difference(blocked).intersection(SignalSet::SYNCHRONOUS).is_empty() {
            return None;
        }
        let at = self.position(|info| info.is_synchronous() && !blocked.contains(info.signal))?;
        self.take_at(at)
    }

    /// Forgets all pending `signals`.
    pub fn discard(&mut self, signals: SignalSet) {
        if self.set.intersection(signals).is_empty() {
            return;
        }
        self.set = self.set.difference(signals);
        self.later.retain(|info| !signals.contains(info.signal));
        if self.oldest.is_some_and(|info| signals.contains(info.signal)) {
            self.oldest = self.later.pop_front();
        }
        self.give_memory_back();
    }

    /// Forgets the signal of timer `id`, or of every timer.
    pub fn discard_timer(&mut self, id: Option<i32>) {
        let is_meant =
            |info: &Info| matches!(info.detail, Detail::Timer { id: of, .. } if id.is_none_or(|id| id == of));
        let mut gone = SignalSet::EMPTY;
        self.later.retain(|info| {
            let is_meant = is_meant(info);
            gone = if is_meant { gone.with(info.signal) } else { gone };
            !is_meant
        });
        if let Some(oldest) = self.oldest.filter(is_meant) {
            gone.insert(oldest.signal);
            self.oldest = self.later.pop_front();
        }
        for signal in gone.iter() {
            if self.position(|info| info.signal == signal).is_none() {
                self.set.remove(signal);
            }
        }
        self.give_memory_back();
    }

    /// Appends to the queue, if there is memory.
    fn enqueue(&mut self, info: Info) -> bool {
        if self.oldest.is_none() {
            self.oldest = Some(info);
            return true;
        }
        let room = self.later.try_reserve(1).is_ok();
        if room {
            self.later.push_back(info);
        }
        room
    }

    fn take_first_of(&mut self, signal: Signal) -> Info {
        let found = self.position(|info| info.signal == signal).and_then(|at| self.take_at(at));
        found.unwrap_or_else(|| {
            self.set.remove(signal);
            Info::forgotten(signal)
        })
    }

    /// Where the oldest entry stands that `wanted` likes.
    fn position(&self, wanted: impl FnMut(&Info) -> bool) -> Option<usize> {
        self.oldest.iter().chain(&self.later).position(wanted)
    }

    /// Takes an entry out; its signal stays pending if there is another.
    fn take_at(&mut self, at: usize) -> Option<Info> {
        let info = match at.checked_sub(1) {
            None => core::mem::replace(&mut self.oldest, self.later.pop_front()),
            Some(at) => self.later.remove(at),
        }?;
        if self.position(|other| other.signal == info.signal).is_none() {
            self.set.remove(info.signal);
        }
        self.give_memory_back();
        Some(info)
    }

    fn give_memory_back(&mut self) {
        if self.later.is_empty() && self.later.capacity() > 0 {
            self.later = VecDeque::new();
        }
    }
}

/// Takes the next signal for a thread that blocks `blocked`, from its own and from its process's: a fault of its own
/// first, then the rest of its own, then its process's.
#[inline]
pub fn take_next(own: &mut Pending, process: &mut Pending, blocked: SignalSet) -> Option<Info> {
    if let Some(info) = own.take(blocked) {
        return Some(info);
    }
    process.take(blocked)
}
