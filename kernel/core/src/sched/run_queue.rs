//! The runnable threads of one CPU.

use alloc::sync::Arc;

use super::level::{LEVELS, Level};
use super::link::{RunAdapter, RunList};
use super::thread::Thread;
use crate::addr::CpuId;

/// Each so many turns, a level has its turn whatever waits at better ones.
pub const GUARD_TURNS: u32 = 8;

/// What a thread must have to be picked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bar {
    /// Nothing: the CPU is free. A turn.
    Any,
    /// A level not worse than this, that of a thread whose slice is over. A turn.
    NotWorse(Level),
    /// A better level than this, that of a thread in the midst of its slice. No turn.
    Better(Level),
}

/// The runnable threads of one CPU: a FIFO for each level, and a word that says which ones are occupied.
///
/// The best level goes first. Yet **nobody starves**: every [`GUARD_TURNS`]th turn goes to the occupied levels one after
/// the other. A FIFO loses its first thread at least once in `GUARD_TURNS * LEVELS` turns, so a thread with `n` before it
/// in its level runs within `GUARD_TURNS * LEVELS * (n + 1)` turns, whatever arrives at other levels.
///
/// No locks: the scheduler puts one around it.
pub struct RunQueue<P> {
    levels: [RunList<P>; LEVELS],
    occupied: u32,
    len: u32,
    turns: u32,
    /// The level that the last guard turn went to.
    guarded: Level,
}

impl<P> RunQueue<P> {
    /// An empty queue.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            levels: [const { RunList::new(RunAdapter::NEW) }; LEVELS],
            occupied: 0,
            len: 0,
            turns: 0,
            guarded: Level::WORST,
        }
    }

    /// How many threads are queued.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether no thread is queued.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.occupied == 0
    }

    /// Adds `thread` at the end of its level.
    ///
    /// # Panics
    ///
    /// When it is in a queue already: a thread runs in one place.
    pub fn enqueue(&mut self, thread: Arc<Thread<P>>) {
        let _alone = self.enqueue_at(thread.level(), thread);
    }

    /// Adds `thread` at the end of `level`, which is its own. Says whether it is the only one.
    #[inline]
    pub(super) fn enqueue_at(&mut self, level: Level, thread: Arc<Thread<P>>) -> bool {
        self.levels[level.index()].push_back(thread);
        let before = self.occupied;
        self.occupied = before | level.bit();
        // Each of them has memory of its own: there are not as many as that.
        self.len = self.len.wrapping_add(1);
        before == 0
    }

    /// Takes out the thread to run next, if one passes the bar.
    #[must_use]
    pub fn pick(&mut self, bar: Bar) -> Option<Arc<Thread<P>>> {
        let best = Level::best(self.occupied)?;
        let level = match bar {
            Bar::Better(than) => Some(best).filter(|&best| best < than),
            Bar::Any => Some(self.guard().unwrap_or(best)),
            Bar::NotWorse(than) => self.guard().or(Some(best).filter(|&best| best <= than)),
        }?;
        let thread = self.levels[level.index()].pop_front();
        self.left(level);
        thread
    }

    /// Takes out the first thread, from the best level on, that may run on `thief`.
    #[must_use]
    pub fn steal(&mut self, thief: CpuId) -> Option<Arc<Thread<P>>> {
        let mut candidates = self.occupied;
        while let Some(level) = Level::best(candidates) {
            let mut cursor = self.levels[level.index()].front_mut();
            while cursor.get().is_some_and(|thread| !thread.affinity().contains(thief)) {
                cursor.move_next();
            }
            if let Some(thread) = cursor.remove() {
                self.left(level);
                return Some(thread);
            }
            candidates &= !level.bit();
        }
        None
    }

    /// Counts a turn and says which level it goes to, should it be a guard turn.
    fn guard(&mut self) -> Option<Level> {
        self.turns = (self.turns + 1) % GUARD_TURNS;
        if self.turns != 0 {
            return None;
        }
        self.guarded = self.guarded.after().first_from(self.occupied)?;
        Some(self.guarded)
    }

    /// A thread has left `level`.
    fn left(&mut self, level: Level) {
        self.len -= 1;
        if self.levels[level.index()].is_empty() {
            self.occupied &= !level.bit();
        }
    }
}

impl<P> Default for RunQueue<P> {
    fn default() -> Self {
        Self::new()
    }
}
