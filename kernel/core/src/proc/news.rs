//! The news of a process's children, and its threads' wait for more.
//!
//! Who looks for news notes the count *before* the look; who has news for a parent puts it into the tree and *then*
//! counts and wakes. So news that the look did not find has changed the count, and the wait ends at once.

use crate::sched::{Switch, WaitQueue};
use crate::sync::atomic::{AtomicU32, Ordering};

/// How many times there was news, and who waits for more.
pub(super) struct News<S: Switch> {
    count: AtomicU32,
    queue: WaitQueue<S>,
}

impl<S: Switch> News<S> {
    pub(super) fn new() -> Self {
        Self { count: AtomicU32::new(0), queue: WaitQueue::new() }
    }

    /// The count, to be noted before a look.
    pub(super) fn count(&self) -> u32 {
        self.count.load(Ordering::Acquire)
    }

    /// There is something new to be seen: whoever waits looks again.
    pub(super) fn tell(&self) {
        self.count.fetch_add(1, Ordering::Release);
        self.queue.wake_all();
    }

    /// Sleeps until there is news that a look after `seen` was noted may have missed, or until `interrupted`. Says whether
    /// there is news.
    pub(super) fn wait(&self, seen: u32, interrupted: impl Fn() -> bool) -> bool {
        self.queue.wait_to_be_woken(|| self.count() == seen && !interrupted());
        self.count() != seen
    }

    /// How many threads wait.
    #[cfg(all(test, not(loom)))]
    pub(super) fn waiting(&self) -> usize {
        self.queue.waiting()
    }
}
