//! A process: the seeds' `struct process`.
//!
//! Three kinds of fields. What never changes, or is one number that anybody may read, is plain or atomic. What the
//! process tree keeps (parent, children, group, state) is in the tree under its lock. All else is the [`Body`], under
//! the lock of the process.
//!
//! Lock order: the process tree, then one process, then a thread of it. What stops, continues or ends a process changes
//! under both of the first two, so that a parent's wait, which holds the tree, sees one state or the other.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use bitflags::bitflags;

use super::arena::Slot;
use super::attach::Attached;
use super::body::Body;
use super::count::Account;
use super::cred::{Credentials, NotPermitted};
use super::exit::ExitStatus;
use super::id::Pid;
use super::limit::{Limit, LimitError, Limits, Resource};
use super::news::News;
use super::space::AddressSpace;
use super::system::System;
use super::usage::Usage;
use crate::fs::{Context, FileTable, OpenFile};
use crate::sched::{Switch, ThreadName, WaitQueue};
use crate::signal::{Action, Signal, SignalSet, Unchangeable};
use crate::sync::atomic::Ordering::{Acquire, Release};
use crate::sync::{Rank, SpinGuard, SpinLock};
use crate::util::place::arc_with;

/// A table of file descriptors, as threads share it and processes may.
pub type Files<S> = SpinLock<FileTable, <S as Switch>::Cpu>;
/// Working directory, root and file mode mask, as threads share them and processes may.
pub type FileContext<S> = SpinLock<Context, <S as Switch>::Cpu>;

bitflags! {
    /// What is true of a process.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct ProcessFlags: u32 {
        /// It changed its ids, or was set-id: what it was may still be in its memory.
        const SET_ID = 1;
        /// The program that it executes is set-id.
        const SET_ID_BY_EXEC = 1 << 1;
        /// It made promises.
        const PLEDGED = 1 << 2;
        /// It made promises for what it executes.
        const EXEC_PLEDGED = 1 << 3;
        /// It may have memory that is writable and executable.
        const WRITE_EXECUTE = 1 << 4;
        /// It has its session's controlling terminal.
        const TERMINAL = 1 << 5;
        /// It belongs to the kernel.
        const SYSTEM = 1 << 6;
        /// It leaves no zombie.
        const NO_ZOMBIE = 1 << 7;
        /// Its parent waits for it to execute a program or exit.
        const PPWAIT = 1 << 8;
        /// It was forked and has not executed a program since.
        const FORKED = 1 << 9;
        /// Other subsystems hang something on it, or did.
        const ATTACHED = 1 << 10;
    }
}

impl ProcessFlags {
    /// What a child has of its parent's without a further question.
    pub const INHERITED: Self = Self::SET_ID
        .union(Self::SET_ID_BY_EXEC)
        .union(Self::PLEDGED)
        .union(Self::EXEC_PLEDGED)
        .union(Self::WRITE_EXECUTE)
        .union(Self::ATTACHED);
}

/// A process.
pub struct Process<S: System> {
    pid: Pid,
    slot: Slot,
    /// The parent's number; the tree has the parent itself.
    parent_pid: AtomicU32,
    flags: AtomicU32,
    /// When it was complete, in nanoseconds since the system started.
    started_ns: AtomicU64,
    /// That its children have something to report, and where its threads wait for it. Told with the tree locked.
    pub(super) news: News<S>,
    /// Where its threads wait to be continued, and one that wants to be alone for the others to end.
    pub(super) halted: WaitQueue<S>,
    body: SpinLock<Body<S>, S::Cpu>,
}

impl<S: System> Process<S> {
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "it is put together where it stays")]
    pub(super) fn new(pid: Pid, slot: Slot, parent: Pid, flags: ProcessFlags, body: Body<S>) -> Arc<Self> {
        arc_with(|| Self {
            pid,
            slot,
            parent_pid: AtomicU32::new(parent.0),
            flags: AtomicU32::new(flags.bits()),
            started_ns: AtomicU64::new(0),
            news: News::new(),
            halted: WaitQueue::new(),
            body: SpinLock::new(Rank::Process, body),
        })
    }

    /// Its number.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Its parent's number.
    pub fn parent_pid(&self) -> Pid {
        Pid(self.parent_pid.load(Relaxed))
    }

    pub(super) fn set_parent_pid(&self, pid: Pid) {
        self.parent_pid.store(pid.0, Relaxed);
    }

    pub(super) fn slot(&self) -> Slot {
        self.slot
    }

    /// What is true of it.
    pub fn flags(&self) -> ProcessFlags {
        ProcessFlags::from_bits_truncate(self.flags.load(Acquire))
    }

    /// Makes `flags` true of it.
    pub fn set_flags(&self, flags: ProcessFlags) {
        self.flags.fetch_or(flags.bits(), Release);
    }

    /// Makes `flags` untrue; returns those that were true.
    pub fn clear_flags(&self, flags: ProcessFlags) -> ProcessFlags {
        ProcessFlags::from_bits_truncate(self.flags.fetch_and(!flags.bits(), Relaxed)) & flags
    }

    /// When it was complete, in nanoseconds since the system started.
    pub fn started_ns(&self) -> u64 {
        self.started_ns.load(Relaxed)
    }

    pub(super) fn set_started_ns(&self, ns: u64) {
        self.started_ns.store(ns, Relaxed);
    }

    pub(super) fn body(&self) -> SpinGuard<'_, Body<S>, S::Cpu> {
        self.body.lock()
    }

    /// Its memory; a process of the kernel has none, nor has one that exits.
    pub fn space(&self) -> Option<Arc<AddressSpace<S>>> {
        self.body().space()
    }

    /// Shows its memory to `look`, with the process locked; `None` as [`space`](Self::space).
    #[inline]
    pub fn with_space<T>(&self, look: impl FnOnce(&AddressSpace<S>) -> T) -> Option<T> {
        self.body().belongings.as_ref().and_then(|belongings| belongings.space.as_deref().map(look))
    }

    /// Its table of file descriptors; none once it exits.
    pub fn files(&self) -> Option<Arc<Files<S>>> {
        self.body().belongings.as_ref().map(|belongings| Arc::clone(&belongings.files))
    }

    /// Its working directory, root and file mode mask; none once it exits.
    pub fn context(&self) -> Option<Arc<FileContext<S>>> {
        self.body().belongings.as_ref().map(|belongings| Arc::clone(&belongings.context))
    }

    /// The file that it executes, as far as there is one.
    pub fn program(&self) -> Option<Arc<OpenFile>> {
        self.body().belongings.as_ref().and_then(|belongings| belongings.program.clone())
    }

    /// Who it is.
    pub fn credentials(&self) -> Arc<Credentials> {
        Arc::clone(&self.body().credentials)
    }

    /// Makes it somebody else: `change` says who, from who it is. The process counts for its real user, so a new one is
    /// charged with it.
    ///
    /// # Errors
    ///
    /// What `change` returns.
    pub fn change_credentials<E>(&self, change: impl FnOnce(&Credentials) -> Result<Credentials, E>) -> Result<(), E> {
        let before = self.credentials();
        let after = change(&before)?;
        if after == *before {
            return Ok(());
        }
        self.set_credentials(Arc::new(after));
        Ok(())
    }

    pub(super) fn set_credentials(&self, after: Arc<Credentials>) {
        let account = S::processes().account(after.uid.real);
        let mut body = self.body();
        if !Arc::ptr_eq(&account, &body.account) {
            account.charge();
            core::mem::replace(&mut body.account, account).release();
        }
        let changes_ids = after.uid != body.credentials.uid || after.gid != body.credentials.gid;
        body.credentials = after;
        drop(body);
        if changes_ids {
            self.set_flags(ProcessFlags::SET_ID);
        }
    }

    /// Whose limit on processes it counts for.
    pub fn account(&self) -> Arc<Account> {
        Arc::clone(&self.body().account)
    }

    /// Its limits.
    pub fn limits(&self) -> Arc<Limits> {
        Arc::clone(&self.body().limits)
    }

    /// Sets a limit and returns the one before. Whoever keeps a copy of a limit elsewhere (the address space) is the
    /// caller's to tell.
    ///
    /// # Errors
    ///
    /// [`LimitError`]
    pub fn set_limit(&self, resource: Resource, limit: Limit, is_root: bool) -> Result<Limit, LimitError> {
        let most = u64::from(S::processes().counts.max_processes());
        let mut body = self.body();
        let limit = body.limits.accept(resource, limit, is_root, most)?;
        let before = body.limits.get(resource);
        if limit != before {
            Arc::make_mut(&mut body.limits).set(resource, limit, true, most)?;
            if resource == Resource::Cpu {
                let machines = body.threads.iter().filter_map(|thread| thread.machine());
                machines.for_each(|machine| S::look_at_processor_time(&machine));
            }
        }
        Ok(before)
    }

    /// Its name.
    pub fn name(&self) -> ThreadName {
        self.body().name.clone()
    }

    pub(super) fn set_name(&self, name: ThreadName) {
        self.body().name = name;
    }

    /// Its nice value, −20 to 19.
    pub fn nice(&self) -> i8 {
        self.body().nice
    }

    /// Sets its nice value, cut to −20 … 19. What that means to its threads' priorities is the caller's.
    pub fn set_nice(&self, nice: i8) {
        self.body().nice = nice.clamp(-20, 19);
    }

    /// What it does about `signal`.
    pub fn action(&self, signal: Signal) -> Action {
        self.body().handlers.look(|actions| *actions.get(signal))
    }

    /// Does something else about `signal`, and returns what it did before. What is pending and would be ignored from now
    /// on is gone.
    ///
    /// # Errors
    ///
    /// [`Unchangeable`]
    pub fn set_action(&self, signal: Signal, action: Action) -> Result<Action, Unchangeable> {
        let mut body = self.body();
        let (before, ignores) = body.handlers.change(|actions| {
            let before = actions.set(signal, action)?;
            Ok((before, actions.ignores(signal)))
        })?;
        if ignores {
            body.discard(SignalSet::EMPTY.with(signal));
        }
        Ok(before)
    }

    /// The default again for `signal`, before its handler runs (`SA_RESETHAND`).
    pub fn reset_action(&self, signal: Signal) {
        self.body().handlers.change(|actions| actions.reset(signal));
    }

    /// How many threads it has.
    pub fn thread_count(&self) -> usize {
        self.body().threads.len()
    }

    /// Calls `visit` for each of its threads, the oldest first, with the process locked.
    pub fn each_thread(&self, mut visit: impl FnMut(&Arc<super::thread::Thread<S>>)) {
        self.body().threads.iter().for_each(&mut visit);
    }

    /// Adds to what it has used how much of its memory was resident at most; sleeps until nobody changes that memory. What
    /// was noted stays when the memory is given up.
    pub fn note_resident(&self) {
        if let Some(space) = self.space() {
            let kib = space.most_resident_kib();
            self.body().note_resident(kib);
        }
    }

    /// How much processor time its threads have used, in nanoseconds.
    pub fn run_time_ns(&self) -> u64 {
        self.body().run_time_ns()
    }

    /// What its threads have used; of resident memory, what was [noted](Self::note_resident).
    pub fn usage(&self) -> Usage {
        self.body().usage()
    }

    /// What the children that it waited for had used.
    pub fn usage_of_children(&self) -> Usage {
        self.body().children_usage
    }

    pub(super) fn take_usage_of_child(&self, usage: &Usage) {
        self.body().children_usage.add(usage);
    }

    /// What other subsystems hang on it.
    pub fn attached(&self) -> Attached {
        self.body().attached.get().clone()
    }

    /// Changes that.
    pub fn attach(&self, change: impl FnOnce(&mut Attached)) {
        self.set_flags(ProcessFlags::ATTACHED);
        self.body().attached.change(change);
    }

    /// By which signal its parent is told of its end.
    pub(super) fn exit_signal(&self) -> Option<Signal> {
        self.body().exit_signal
    }

    /// How it ended, or is ending.
    pub(super) fn exit_status(&self) -> ExitStatus {
        self.body().exit_status()
    }

    /// Whether it ends: no signal matters to it any more.
    pub fn is_exiting(&self) -> bool {
        self.body().control.exit.is_some()
    }
}

impl From<NotPermitted> for super::group::GroupError {
    fn from(NotPermitted: NotPermitted) -> Self {
        Self::NotPermitted
    }
}
