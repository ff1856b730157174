//! The parent's wait in `vfork`, and its end.
//!
//! The parent's thread holds a [`Gate`]. It shuts the gate before the child can run, starts the child, and waits until
//! the gate is open; the child, which holds a reference to the thread, opens it when it executes a program or exits.
//! Whichever is first, the wake-up is not lost: a gate that was opened before the parent came is open.
//!
//! The gate belongs to the thread, not to the process as in the seeds: two threads of a process may each have a child in
//! `vfork`, and each waits for its own.

use core::sync::atomic::Ordering;

use crate::sched::{Switch, WaitQueue};
use crate::sync::atomic::AtomicBool;

/// What a thread waits at while its `vfork` child uses what belongs to the parent.
pub(super) struct Gate<S: Switch> {
    shut: AtomicBool,
    queue: WaitQueue<S>,
}

impl<S: Switch> Gate<S> {
    pub(super) fn new() -> Self {
        Self { shut: AtomicBool::new(false), queue: WaitQueue::new() }
    }

    /// By the thread that holds it, before the child is started.
    pub(super) fn shut(&self) {
        self.shut.store(true, Ordering::Relaxed);
    }

    /// By the child, when it has stopped using what it had from its parent.
    pub(super) fn open(&self) {
        // Release, and Acquire below: the parent sees all that the child did in its memory.
        self.shut.store(false, Ordering::Release);
        self.queue.wake_all();
    }

    /// By the thread that holds it. Nothing but the child ends this, no signal either: the child may be using the
    /// thread's own stack.
    pub(super) fn wait(&self) {
        self.queue.wait_to_be_woken(|| self.is_shut());
    }

    /// Whether a child is out that has not let go (`ISPWAIT`).
    pub(super) fn is_shut(&self) -> bool {
        self.shut.load(Ordering::Acquire)
    }
}
