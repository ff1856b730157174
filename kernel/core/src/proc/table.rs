//! All processes: the tree behind its lock, the counts, and what is counted for user space.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use super::count::{Account, Counts};
use super::id::{Numbering, Pid};
use super::process::Process;
use super::system::System;
use super::thread::Thread;
use super::timer::Alarms;
use super::tree::Tree;
use crate::sync::{Rank, SpinGuard, SpinLock};

pub(super) type ProcessTree<S> = Tree<Arc<Process<S>>, Arc<Thread<S>>>;

/// All processes. The kernel has one, in a static.
pub struct Processes<S: System> {
    /// How many processes and threads there are and may be.
    pub counts: Counts,
    /// What was forked so far.
    pub statistics: Statistics,
    tree: SpinLock<ProcessTree<S>, S::Cpu>,
    /// The users that have processes, and some that had. Taken when a process changes its real user id.
    accounts: SpinLock<Vec<Weak<Account>>, S::Cpu>,
    spaces: AtomicU64,
    /// When the timers of processes go off.
    pub(super) alarms: Alarms<S>,
}

impl<S: System> Processes<S> {
    /// None yet: [`boot`](super::boot::boot) makes the first.
    #[cfg(not(loom))]
    #[must_use]
    pub const fn new() -> Self {
        Self {
            counts: Counts::new(),
            statistics: Statistics::new(),
            tree: SpinLock::new(Rank::ProcessTree, Tree::new()),
            accounts: SpinLock::new(Rank::ProcessTree, Vec::new()),
            spaces: AtomicU64::new(1),
            alarms: Alarms::new(),
        }
    }

    /// None yet.
    #[cfg(loom)]
    #[must_use]
    pub fn new() -> Self {
        Self {
            counts: Counts::new(),
            statistics: Statistics::new(),
            tree: SpinLock::new(Rank::ProcessTree, Tree::new()),
            accounts: SpinLock::new(Rank::ProcessTree, Vec::new()),
            spaces: AtomicU64::new(1),
            alarms: Alarms::new(),
        }
    }

    /// How the numbers of processes follow each other from now on.
    pub fn set_numbering(&self, numbering: Numbering) {
        self.tree().set_numbering(numbering);
    }

    /// Calls `visit` for each process, zombies too, with the tree locked.
    pub fn each(&self, mut visit: impl FnMut(&Arc<Process<S>>)) {
        self.tree().processes().for_each(&mut visit);
    }

    /// The first living process whose number is at least `pid`: for a listing that is read piece by piece.
    pub fn next_from(&self, pid: Pid) -> Option<Arc<Process<S>>> {
        let tree = self.tree();
        let next = tree.processes().filter(|process| process.pid() >= pid).min_by_key(|process| process.pid());
        next.map(Arc::clone)
    }

    pub(super) fn tree(&self) -> SpinGuard<'_, ProcessTree<S>, S::Cpu> {
        self.tree.lock()
    }

    pub(super) fn next_space(&self) -> u64 {
        self.spaces.fetch_add(1, Relaxed)
    }

    /// The account of a user.
    pub(super) fn account(&self, uid: u32) -> Arc<Account> {
        let mut accounts = self.accounts.lock();
        if let Some(account) = accounts.iter().filter_map(Weak::upgrade).find(|account| account.uid() == uid) {
            return account;
        }
        accounts.retain(|account| account.strong_count() > 0);
        let account = Arc::new(Account::new(uid));
        accounts.push(Arc::downgrade(&account));
        account
    }
}

impl<S: System> Default for Processes<S> {
    fn default() -> Self {
        Self::new()
    }
}

/// A kind of fork, counted.
pub struct Counted {
    count: AtomicU64,
    /// Pages of data and stack that the new processes had.
    pages: AtomicU64,
}

impl Counted {
    const fn new() -> Self {
        Self { count: AtomicU64::new(0), pages: AtomicU64::new(0) }
    }

    pub(super) fn add(&self, pages: u64) {
        self.count.fetch_add(1, Relaxed);
        self.pages.fetch_add(pages, Relaxed);
    }

    /// How many, and how many pages of data and stack they had together.
    #[must_use]
    pub fn read(&self) -> (u64, u64) {
        (self.count.load(Relaxed), self.pages.load(Relaxed))
    }
}

/// What was forked since the system started.
pub struct Statistics {
    /// `fork`
    pub fork: Counted,
    /// `vfork`
    pub vfork: Counted,
    /// Threads of programs.
    pub threads: Counted,
    /// Threads of the kernel.
    pub kernel_threads: Counted,
    /// Forks of all kinds.
    pub forks: AtomicU64,
    /// Those whose parent waited.
    pub forks_ppwait: AtomicU64,
    /// Those that shared memory.
    pub forks_sharevm: AtomicU64,
    /// The process that was made last.
    pub last_pid: AtomicU32,
    /// How many threads wait at this moment, and no signal ends it: for a child in `vfork`.
    pub uninterruptible: AtomicU32,
}

impl Statistics {
    const fn new() -> Self {
        Self {
            fork: Counted::new(),
            vfork: Counted::new(),
            threads: Counted::new(),
            kernel_threads: Counted::new(),
            forks: AtomicU64::new(0),
            forks_ppwait: AtomicU64::new(0),
            forks_sharevm: AtomicU64::new(0),
            last_pid: AtomicU32::new(0),
            uninterruptible: AtomicU32::new(0),
        }
    }

    pub(super) fn count_fork(&self, ppwait: bool, sharevm: bool) {
        self.forks.fetch_add(1, Relaxed);
        self.forks_ppwait.fetch_add(u64::from(ppwait), Relaxed);
        self.forks_sharevm.fetch_add(u64::from(sharevm), Relaxed);
    }
}
