//! Who wants to be told when a file becomes ready: `poll(2)`, `epoll(7)`.
//!
//! A file that keeps its users waiting has a [`WatchList`] and shows it by
//! [`FileOperations::watched`](super::FileOperations::watched). Whoever changes what the file is ready for does so first and
//! tells the list afterwards; whoever wants to know joins the list first and looks at the file afterwards. One of the two
//! sees the other:
//!
//! ```text
//! watcher                                    the file
//! list.add(watcher, READ); file.readiness()  bytes.push(byte); list.notify(READ)
//! ```
//!
//! Watchers are told without any lock of the list's, so they may join, leave and tell other lists.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::error::FileError;
use super::operations::Readiness;
use crate::hal::Cpu;
use crate::sync::atomic::{AtomicU32, Ordering, fence};
use crate::sync::{IrqLock, Rank};

/// Somebody who wants to know.
pub trait Watcher: Send + Sync {
    /// A file that it watches has become ready for some of `ready`. Called by whoever made it so, with no lock of the list's
    /// held, maybe in an interrupt handler: it does not sleep. It may come when nothing has changed, and once more after the
    /// watcher has left.
    fn notify(&self, ready: Readiness);
}

/// A file's side of it, whatever the machine.
pub trait Watched: Send + Sync {
    /// Lets `watcher` be told when the file becomes ready for some of `interest`; of errors and of a hang-up it always is. The
    /// file is looked at afterwards.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`](FileError::OutOfMemory)
    fn add(&self, watcher: Arc<dyn Watcher>, interest: Readiness) -> Result<WatchId, FileError>;

    /// Ends what [`add`](Self::add) began.
    fn remove(&self, id: WatchId);
}

/// What tells a watcher from the others of its list.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct WatchId(u64);

/// How many watchers are told between two looks at the list.
const BATCH: usize = 8;

/// Those who watch one file.
pub struct WatchList<C: Cpu> {
    /// How many there are: mostly nobody, and then telling them costs a look.
    count: AtomicU32,
    entries: IrqLock<Entries, C>,
}

/// In ascending order of their numbers.
struct Entries {
    all: Vec<Entry>,
    next: u64,
}

struct Entry {
    id: WatchId,
    interest: Readiness,
    watcher: Arc<dyn Watcher>,
}

impl<C: Cpu> WatchList<C> {
    /// Nobody watches.
    #[cfg(not(loom))]
    #[must_use]
    pub const fn new() -> Self {
        Self { count: AtomicU32::new(0), entries: IrqLock::new(Rank::WatchList, Entries { all: Vec::new(), next: 1 }) }
    }

    /// Nobody watches.
    #[cfg(loom)]
    #[must_use]
    pub fn new() -> Self {
        Self { count: AtomicU32::new(0), entries: IrqLock::new(Rank::WatchList, Entries { all: Vec::new(), next: 1 }) }
    }

    /// Tells those who want to know that the file has become ready for `ready`. It has by now; no irq lock is held.
    #[inline]
    pub fn notify(&self, ready: Readiness) {
        // A watcher counts itself and then looks at the file; the file was changed and then the count is looked at. With a
        // fence between both steps of both, one sees the other.
        fence(Ordering::SeqCst);
        if self.count.load(Ordering::Relaxed) != 0 {
            self.tell(ready);
        }
    }

    #[cold]
    fn tell(&self, ready: Readiness) {
        let mut last = WatchId(0);
        loop {
            let mut batch = heapless::Vec::<Arc<dyn Watcher>, BATCH>::new();
            {
                let entries = self.entries.lock_quietly();
                let first = entries.all.partition_point(|entry| entry.id <= last);
                let behind = entries.all.iter().skip(first).filter(|entry| entry.interest.intersects(ready));
                for entry in behind.take(BATCH) {
                    last = entry.id;
                    // There is room: so many are taken.
                    let _ = batch.push(Arc::clone(&entry.watcher));
                }
            }
            batch.iter().for_each(|watcher| watcher.notify(ready));
            if !batch.is_full() {
                return;
            }
        }
    }

    /// How many watch, a moment ago.
    #[must_use]
    pub fn watching(&self) -> u32 {
        self.count.load(Ordering::Relaxed)
    }
}

impl<C: Cpu> Default for WatchList<C> {
    fn default() -> Self {
        Self::new()
    }
}

impl<C: Cpu> Watched for WatchList<C> {
    fn add(&self, watcher: Arc<dyn Watcher>, interest: Readiness) -> Result<WatchId, FileError> {
        let interest = interest | Readiness::ERROR | Readiness::HANG_UP;
        let id = {
            let mut entries = self.entries.lock_quietly();
            entries.all.try_reserve(1).map_err(|_| FileError::OutOfMemory)?;
            let id = WatchId(entries.next);
            entries.next = entries.next.saturating_add(1);
            entries.all.push(Entry { id, interest, watcher });
            id
        };
        self.count.fetch_add(1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        Ok(id)
    }

    fn remove(&self, id: WatchId) {
        let removed = {
            let mut entries = self.entries.lock_quietly();
            let removed = entries.all.binary_search_by_key(&id, |entry| entry.id).map(|at| entries.all.remove(at));
            if entries.all.is_empty() {
                entries.all = Vec::new();
            }
            removed
        };
        // The watcher may go with it, without the lock.
        if removed.is_ok() {
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
