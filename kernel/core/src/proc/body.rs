//! What a process guards by its own lock.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::Cell;

use super::attach::Attachments;
use super::count::Account;
use super::cred::Credentials;
use super::exit::ExitStatus;
use super::limit::Limits;
use super::process::{FileContext, Files};
use super::space::AddressSpace;
use super::system::System;
use super::thread::{Thread, attention};
use super::timer::Timers;
use super::usage::Usage;
use crate::fs::OpenFile;
use crate::sched::ThreadName;
use crate::signal::{Actions, Pending, Signal, SignalSet};
use crate::sync::{Rank, SpinLock};
use crate::time::{Sampled, Split};

/// What a process guards by its own lock.
pub(super) struct Body<S: System> {
    pub(super) threads: Threads<S>,
    /// Gone from the moment that the last thread exits.
    pub(super) belongings: Option<Belongings<S>>,
    pub(super) pending: Pending,
    pub(super) handlers: Handlers<S>,
    pub(super) control: Control,
    pub(super) credentials: Arc<Credentials>,
    pub(super) account: Arc<Account>,
    pub(super) limits: Arc<Limits>,
    pub(super) name: ThreadName,
    pub(super) nice: i8,
    /// By which signal the parent is told of the end.
    pub(super) exit_signal: Option<Signal>,
    /// The parent's thread that waits in `vfork`.
    pub(super) vfork_parent: Option<Arc<Thread<S>>>,
    /// What the threads that have ended used, but for their time.
    pub(super) ended_usage: Usage,
    /// Their processor time.
    pub(super) ended_time: Sampled,
    /// What was told last of the processor time of all its threads.
    pub(super) told_time: Cell<Split>,
    /// What the children that were waited for used.
    pub(super) children_usage: Usage,
    pub(super) attached: Attachments,
    /// Its timers, if it ever had one.
    pub(super) timers: Option<Box<Timers<S>>>,
}

/// What a process gives up when it exits, long before it is reaped.
pub(super) struct Belongings<S: System> {
    pub(super) space: Option<Arc<AddressSpace<S>>>,
    pub(super) files: Arc<Files<S>>,
    pub(super) context: Arc<FileContext<S>>,
    /// The file that it executes.
    pub(super) program: Option<Arc<OpenFile>>,
}

/// What holds the threads of a process, or ends them.
#[derive(Clone, Copy, Default)]
pub(super) struct Control {
    /// The process ends, and this is how.
    pub(super) exit: Option<ExitStatus>,
    /// How the main thread ended, while others went on.
    pub(super) main_exit: Option<ExitStatus>,
    pub(super) stop: Stop,
    /// How many threads stand still because of it.
    pub(super) halted: usize,
    /// How many times the process was continued.
    pub(super) continues: u32,
    /// This thread executes a program; all others end.
    pub(super) alone: Option<u32>,
}

/// Whether a signal holds a process.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Stop {
    /// None does.
    #[default]
    Running,
    /// One does, and not all threads stand still.
    Stopping(Signal),
    /// One does, and the parent has been told.
    Stopped(Signal),
}

/// The living threads of a process, the oldest first. Most have one, which takes no memory of its own.
pub(super) struct Threads<S: System> {
    first: Option<Arc<Thread<S>>>,
    others: Vec<Arc<Thread<S>>>,
}

impl<S: System> Threads<S> {
    pub(super) const fn new() -> Self {
        Self { first: None, others: Vec::new() }
    }

    pub(super) fn set_first(&mut self, thread: Arc<Thread<S>>) {
        self.first = Some(thread);
    }

    /// Appends a thread.
    pub(super) fn push(&mut self, thread: Arc<Thread<S>>) {
        self.others.push(thread);
    }

    pub(super) fn remove(&mut self, thread: &Thread<S>) {
        if self.first.as_ref().is_some_and(|first| core::ptr::eq(&raw const **first, thread)) {
            self.first = None;
        } else {
            self.others.retain(|other| !core::ptr::eq(&raw const **other, thread));
        }
    }

    /// The one thread of a process that has no more.
    #[inline]
    pub(super) fn alone(&self) -> Option<&Arc<Thread<S>>> {
        if self.others.is_empty() { self.first.as_ref() } else { None }
    }

    pub(super) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.others.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Thread<S>>> {
        self.first.iter().chain(&self.others)
    }
}

/// The table of a process that has never said anything about a signal: all of them have this one.
static NOTHING_SAID: Actions = Actions::new();

/// What was said about signals, if anything was. Fork shares it, until somebody changes it.
#[derive(Clone, Default)]
pub(super) struct Said(Option<Arc<Actions>>);

impl Said {
    /// Nothing: this takes no memory.
    pub(super) const NOTHING: Self = Self(None);

    fn table(&self) -> &Actions {
        self.0.as_deref().unwrap_or(&NOTHING_SAID)
    }

    fn table_mut(&mut self) -> &mut Actions {
        Arc::make_mut(self.0.get_or_insert_with(|| Arc::new(Actions::new())))
    }
}

/// What a process does about signals: its own table, or one that it shares with others (`CLONE_SIGHAND`).
pub(super) enum Handlers<S: System> {
    Own(Said),
    Shared(Arc<SpinLock<Said, S::Cpu>>),
}

impl<S: System> Handlers<S> {
    /// What was said until now, for somebody else to go on from.
    pub(super) fn said(&self) -> Said {
        match self {
            Self::Own(said) => said.clone(),
            Self::Shared(shared) => shared.lock().clone(),
        }
    }

    /// Shows the table to `look`.
    pub(super) fn look<T>(&self, look: impl FnOnce(&Actions) -> T) -> T {
        match self {
            Self::Own(said) => look(said.table()),
            Self::Shared(shared) => look(shared.lock().table()),
        }
    }

    /// The same table for somebody else: what either changes is changed for both.
    pub(super) fn shared(&mut self) -> Self {
        let shared = match self {
            Self::Own(said) => Arc::new(SpinLock::new(Rank::SignalActions, core::mem::take(said))),
            Self::Shared(shared) => Arc::clone(shared),
        };
        *self = Self::Shared(Arc::clone(&shared));
        Self::Shared(shared)
    }

    /// Changes the table for all who share it.
    pub(super) fn change<T>(&mut self, change: impl FnOnce(&mut Actions) -> T) -> T {
        match self {
            Self::Own(said) => change(said.table_mut()),
            Self::Shared(shared) => change(shared.lock().table_mut()),
        }
    }

    /// After exec: handlers go back to the default, and nothing is shared any more.
    pub(super) fn reset(&mut self) {
        let mut said = self.said();
        if said.table().ignored().is_empty() {
            said = Said::NOTHING;
        } else if !said.table().is_fresh() {
            said.table_mut().reset_for_exec();
        }
        *self = Self::Own(said);
    }
}

impl<S: System> Body<S> {
    /// Works out what `thread` has to attend to.
    pub(super) fn review(&mut self, thread: &Thread<S>) {
        let own = thread.own().pending.set();
        self.review_with(thread, own);
    }

    /// The same, of a thread for which itself these signals are pending.
    pub(super) fn review_with(&mut self, thread: &Thread<S>, own: SignalSet) {
        let pending = own | self.pending.set();
        let mut reasons = if pending.is_empty() { 0 } else { attention::PENDING };
        if !pending.difference(thread.mask()).is_empty() {
            reasons |= attention::SIGNAL;
        }
        if self.control.stop != Stop::Running {
            reasons |= attention::STOP;
        }
        if self.must_end(thread) {
            reasons |= attention::END;
        }
        thread.set_attention(reasons);
    }

    /// `thread` does not take the signals `left`, which are pending for the process, any more: it has blocked them, or it
    /// ends. Each is for the oldest of the others that does not block it, or waits for it, as if it arrived now.
    pub(super) fn leave_to_others(&self, mut left: SignalSet, thread: &Thread<S>) {
        if left.is_empty() {
            return;
        }
        for other in self.threads.iter().filter(|other| !core::ptr::eq(&raw const ***other, thread)) {
            let taken = left.difference(other.mask().difference(other.own().wanted));
            if !taken.is_empty() {
                other.alert(attention::SIGNAL);
                left = left.difference(taken);
            }
        }
    }

    /// How the process ended, or is ending.
    pub(super) fn exit_status(&self) -> ExitStatus {
        self.control.exit.unwrap_or(ExitStatus::Exited(0))
    }

    /// Whether the process ends, or another of its threads executes a program.
    pub(super) fn must_end(&self, thread: &Thread<S>) -> bool {
        self.control.exit.is_some() || self.control.alone.is_some_and(|alone| alone != thread.number())
    }

    /// Forgets these signals, for the process and all its threads.
    pub(super) fn discard(&mut self, signals: SignalSet) {
        self.pending.discard(signals);
        self.threads.iter().for_each(|thread| thread.own().pending.discard(signals));
        if self.timers.is_some() {
            self.forget_timer_signals(signals);
        }
    }

    /// Its memory; a process of the kernel has none, nor has one that exits.
    pub(super) fn space(&self) -> Option<Arc<AddressSpace<S>>> {
        self.belongings.as_ref().and_then(|belongings| belongings.space.clone())
    }

    /// So much of its memory was resident at a time.
    pub(super) fn note_resident(&mut self, kib: u64) {
        self.ended_usage.max_resident_kib = self.ended_usage.max_resident_kib.max(kib);
    }

    /// What its threads used, those that have ended too.
    pub(super) fn usage(&self) -> Usage {
        let mut usage = self.ended_usage;
        self.threads.iter().for_each(|thread| usage.add(&thread.usage_but_time()));
        let Split { user_ns, system_ns } = self.time();
        Usage { user_ns, system_ns, ..usage }
    }

    /// How much processor time its threads used, as it is told.
    pub(super) fn time(&self) -> Split {
        let mut sampled = self.ended_time;
        self.threads.iter().for_each(|thread| sampled.add(thread.sampled_time()));
        let told = self.told_time.get().tell(sampled);
        self.told_time.set(told);
        told
    }

    /// How much of it they used in all, in nanoseconds.
    pub(super) fn run_time_ns(&self) -> u64 {
        let threads = self.threads.iter().map(|thread| thread.run_time_ns());
        threads.fold(self.ended_time.ran_ns, u64::saturating_add)
    }

    /// The time and all else that a thread used stays when it leaves the list of threads.
    pub(super) fn keep_usage_of(&mut self, thread: &Thread<S>) {
        self.ended_time.add(thread.sampled_time());
        self.ended_usage.add(&thread.usage_but_time());
    }

    /// What its threads and the children that were waited for used.
    pub(super) fn usage_with_children(&self) -> Usage {
        let mut usage = self.usage();
        usage.add(&self.children_usage);
        usage
    }
}
