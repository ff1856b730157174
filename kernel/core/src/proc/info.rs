//! What a listing shows of processes and threads (`ps`, `/proc`): looks that change nothing.

use alloc::sync::Arc;

use super::body::Stop;
use super::group::Terminal;
use super::id::Pid;
use super::process::Process;
use super::system::System;
use super::thread::Thread;
use super::tree::Life;
use crate::sched::ParkState;
use crate::signal::{Signal, SignalSet};

/// What a thread is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RunState {
    /// It runs, or waits for a CPU.
    Running,
    /// It waits for something.
    Sleeping,
    /// The same, and no signal ends that.
    Uninterruptible,
    /// A signal holds its process.
    Stopped,
    /// It has ended and waits to be reaped.
    Zombie,
}

impl RunState {
    /// The letter that Linux's `/proc/[pid]/stat` has for it.
    #[must_use]
    pub const fn letter(self) -> char {
        match self {
            Self::Running => 'R',
            Self::Sleeping => 'S',
            Self::Uninterruptible => 'D',
            Self::Stopped => 'T',
            Self::Zombie => 'Z',
        }
    }

    /// The word behind the letter in `/proc/[pid]/status`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Sleeping => "sleeping",
            Self::Uninterruptible => "disk sleep",
            Self::Stopped => "stopped",
            Self::Zombie => "zombie",
        }
    }
}

/// The signals of a process, by what becomes of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SignalInfo {
    /// Pending for the process.
    pub pending: SignalSet,
    /// Ignored because it said so.
    pub ignored: SignalSet,
    /// Caught by a handler.
    pub caught: SignalSet,
    /// How many are queued for the process.
    pub queued: usize,
}

/// How a process stands to others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standing {
    /// Its parent.
    pub parent: Pid,
    /// Its group.
    pub group: Pid,
    /// Its session.
    pub session: Pid,
    /// Its session's controlling terminal.
    pub terminal: Option<Terminal>,
    /// Whether it is a zombie.
    pub zombie: bool,
}

impl<S: System> Process<S> {
    /// How it stands to others; `None` once it has been reaped.
    pub fn standing(&self) -> Option<Standing> {
        let tree = S::processes().tree();
        // The slot may be somebody else's by now.
        let slot = tree.find(self.pid()).filter(|&slot| core::ptr::eq(&raw const **tree.process(slot), self))?;
        let session = tree.session(slot);
        Some(Standing {
            parent: self.parent_pid(),
            group: tree.group(slot),
            session,
            terminal: tree.terminal(session),
            zombie: tree.life(slot) == Life::Zombie,
        })
    }

    /// What it is about, as long as it is no zombie: what its first living thread is.
    pub fn run_state(&self) -> RunState {
        let body = self.body();
        let first = body.threads.iter().next().cloned();
        let stopped = body.control.stop != Stop::Running;
        drop(body);
        if stopped { RunState::Stopped } else { first.map_or(RunState::Zombie, |first| first.waiting_or_running()) }
    }

    /// Its signals.
    pub fn signal_info(&self) -> SignalInfo {
        let body = self.body();
        let (ignored, caught) = body.handlers.look(|actions| (actions.ignored(), actions.caught()));
        SignalInfo { pending: body.pending.set(), ignored, caught, queued: body.pending.queued() }
    }

    /// Its oldest living thread.
    pub fn first_thread(&self) -> Option<Arc<Thread<S>>> {
        self.body().threads.iter().next().cloned()
    }

    /// The thread of it that programs know by the lowest number from `least` on.
    pub fn next_thread(&self, least: u32) -> Option<Arc<Thread<S>>> {
        let body = self.body();
        let from = body.threads.iter().filter(|thread| thread.tid().0 >= least);
        from.min_by_key(|thread| thread.tid()).cloned()
    }

    /// By which signal its parent is told of its end.
    pub fn end_signal(&self) -> Option<Signal> {
        self.exit_signal()
    }
}

impl<S: System> Thread<S> {
    /// What it is about.
    pub fn run_state(&self) -> RunState {
        let stopped = self.process().body().control.stop != Stop::Running;
        if stopped { RunState::Stopped } else { self.waiting_or_running() }
    }

    /// The signals that are pending for it alone.
    pub fn own_pending(&self) -> SignalSet {
        self.own().pending.set()
    }

    fn waiting_or_running(&self) -> RunState {
        match self.machine().map(|machine| machine.park().state()) {
            Some(ParkState::Parked) if self.gate.is_shut() => RunState::Uninterruptible,
            Some(ParkState::Parked) => RunState::Sleeping,
            Some(ParkState::Running | ParkState::Parking | ParkState::Notified) => RunState::Running,
            None => RunState::Zombie,
        }
    }
}
