//! Sets of watched files: `epoll(7)`.
//!
//! ```text
//! OpenFile ─ Epoll ─► items, by descriptor and file ─► Item ┄ weak ┄► OpenFile
//!                └──► the ready list ─────────────────► Item
//! the file's WatchList ───────────────────────────────► Item ┄ weak ┄► Epoll
//! ```
//!
//! An item is a watcher of its file. When the file tells it something, the item goes to the end of the ready list, once, and one
//! waiter wakes. Who waits takes items from the front and looks at their files: what is ready is told, and stays in the list
//! unless it is edge-triggered. Who leaves something in the list wakes the next.
//!
//! **Files that go away.** A set does not keep its files open. An open file tells its followers when it is no more, and the
//! items leave their sets; a set that is no more takes its items out of the files' lists.
//!
//! **Sets in sets.** A set is ready to be read when one of its files is ready, so it can be watched as any file. Loops, and more
//! than [`MOST_NESTED`] sets above each other, are refused, under a lock of all sets.
//!
//! # Locks
//!
//! The items of a set have a spin lock (`Epoll`), the ready list an irq lock (`ReadyList`), for files tell in interrupt handlers.
//! Files are looked at without either.

mod followers;
mod item;
mod nesting;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;

use bitflags::bitflags;

pub use followers::{Follower, Followers};
pub use nesting::Nesting;

use super::error::FileError;
use super::open_file::OpenFile;
use super::operations::{FileOperations, Readiness};
use super::poll::watched;
use super::surroundings::Surroundings;
use super::watch::{WatchList, Watched};
use crate::hal::UserFault;
use crate::sched::{WaitQueue, Waited};
use crate::sync::{IrqLock, Rank, SpinLock};
use followers::FollowerList;
use item::{Item, Key};

/// How many sets may stand above each other: Linux's number.
pub const MOST_NESTED: usize = 5;

bitflags! {
    /// How a file is watched, in the numbers of `epoll_ctl(2)`.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Manner: u32 {
        /// One waiter at least is told of each event. All may be.
        const EXCLUSIVE = 1 << 28;
        /// The system does not sleep meanwhile. It never does.
        const WAKE_UP = 1 << 29;
        /// It is told once.
        const ONE_SHOT = 1 << 30;
        /// It is told when it happens, not as long as it is so.
        const EDGE = 1 << 31;
    }
}

/// What is asked of a file, and what a program wants to be told with the answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wish {
    /// What is asked; errors and a hang-up always are.
    pub interest: Readiness,
    /// How.
    pub manner: Manner,
    /// The program's own.
    pub data: u64,
}

/// A set of watched files.
pub struct Epoll<S: Surroundings> {
    me: Weak<Self>,
    items: SpinLock<BTreeMap<Key, Arc<Item<S>>>, S::Cpu>,
    ready: IrqLock<VecDeque<Arc<Item<S>>>, S::Cpu>,
    waiters: WaitQueue<S>,
    watchers: WatchList<S::Cpu>,
    /// The sets that watch this one, or did.
    above: SpinLock<Vec<Weak<Self>>, S::Cpu>,
}

impl<S: Surroundings> Epoll<S> {
    /// An empty set.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            items: SpinLock::new(Rank::Epoll, BTreeMap::new()),
            ready: IrqLock::new(Rank::ReadyList, VecDeque::new()),
            waiters: WaitQueue::new(),
            watchers: WatchList::new(),
            above: SpinLock::new(Rank::Epoll, Vec::new()),
        })
    }

    /// `EPOLL_CTL_ADD`: watches `file`, which the program knows as `descriptor`. All sets share `nesting`.
    ///
    /// # Errors
    ///
    /// [`Exists`](FileError::Exists), [`NotPermitted`](FileError::NotPermitted) for a file that nobody waits for,
    /// [`TooManyLinks`](FileError::TooManyLinks) for a loop of sets, [`OutOfMemory`](FileError::OutOfMemory).
    pub fn add(
        self: &Arc<Self>,
        descriptor: u32,
        file: &Arc<OpenFile>,
        wish: Wish,
        nesting: &Nesting<S>,
    ) -> Result<(), FileError> {
        let list = watched(file).ok_or(FileError::NotPermitted)?;
        if !S::has_room() {
            return Err(FileError::OutOfMemory);
        }
        let inner = set_of::<S>(file);
        // Held until the file is among the items: no loop comes about meanwhile.
        let _nesting = inner.as_ref().map(|inner| nesting.enter(self, inner)).transpose()?;
        let item = {
            let mut items = self.items.lock();
            let key = Key::new(descriptor, file);
            if items.contains_key(&key) {
                return Err(FileError::Exists);
            }
            let more = items.len().saturating_add(1);
            self.reserve(more)?;
            let item = Item::new(key, file, &self.me, wish);
            item.join(list)?;
            file.followers(FollowerList::<S::Cpu>::boxed).add(Arc::downgrade(&item) as Weak<dyn Follower>);
            items.insert(key, Arc::clone(&item));
            item
        };
        item.look();
        Ok(())
    }

    /// `EPOLL_CTL_MOD`: asks something else of a file that is watched.
    ///
    /// # Errors
    ///
    /// [`NotFound`](FileError::NotFound)
    pub fn change(&self, descriptor: u32, file: &Arc<OpenFile>, wish: Wish) -> Result<(), FileError> {
        let item = self.items.lock().get(&Key::new(descriptor, file)).cloned().ok_or(FileError::NotFound)?;
        item.set_wish(wish);
        item.look();
        Ok(())
    }

    /// `EPOLL_CTL_DEL`: watches a file no more.
    ///
    /// # Errors
    ///
    /// [`NotFound`](FileError::NotFound)
    pub fn remove(&self, descriptor: u32, file: &Arc<OpenFile>) -> Result<(), FileError> {
        let item = self.items.lock().remove(&Key::new(descriptor, file)).ok_or(FileError::NotFound)?;
        item.leave(file);
        self.drop_ready(&item);
        Ok(())
    }

    /// `epoll_wait(2)`: waits until a file is ready, the clock shows `deadline_ns` (0: not at all) or a signal comes, and tells
    /// `out` of up to `most` files what is so of each, and the program's word for it. Says how many it told of.
    ///
    /// # Errors
    ///
    /// [`Interrupted`](FileError::Interrupted), and a fault of `out` for the first.
    pub fn wait(
        &self,
        most: usize,
        deadline_ns: Option<u64>,
        out: &mut dyn FnMut(Readiness, u64) -> Result<(), UserFault>,
    ) -> Result<usize, FileError> {
        loop {
            let told = self.collect(most, out)?;
            if told > 0 || deadline_ns == Some(0) {
                return Ok(told);
            }
            let must_wait = || self.is_idle() && !S::interrupted();
            match deadline_ns {
                None => self.waiters.wait_while(must_wait),
                Some(deadline_ns) => {
                    if self.waiters.wait_while_until(deadline_ns, must_wait) == Waited::TimedOut {
                        return Ok(0);
                    }
                }
            }
            if self.is_idle() {
                return Err(FileError::Interrupted);
            }
        }
    }

    /// Tells of those in the ready list that are ready, each once.
    fn collect(
        &self,
        most: usize,
        out: &mut dyn FnMut(Readiness, u64) -> Result<(), UserFault>,
    ) -> Result<usize, FileError> {
        let mut told: usize = 0;
        let count = self.ready.lock_quietly().len();
        let mut fault = None;
        for _ in 0..count {
            let Some(item) = self.pop() else { break };
            let Some((found, data)) = item.take() else { continue };
            if let Err(at) = out(found, data) {
                item.untake();
                fault = Some(at);
                break;
            }
            told = told.saturating_add(1);
            if told >= most {
                break;
            }
        }
        if !self.is_idle() {
            self.waiters.wake_one();
        }
        match fault {
            Some(fault) if told == 0 => Err(fault.into()),
            _ => Ok(told),
        }
    }

    fn is_idle(&self) -> bool {
        self.ready.lock_quietly().is_empty()
    }

    /// Makes room in the ready list for so many.
    fn reserve(&self, items: usize) -> Result<(), FileError> {
        let mut ready = self.ready.lock_quietly();
        let more = items.saturating_sub(ready.len());
        ready.try_reserve(more).map_err(|_| FileError::OutOfMemory)
    }

    fn pop(&self) -> Option<Arc<Item<S>>> {
        let mut ready = self.ready.lock_quietly();
        let item = ready.pop_front()?;
        item.set_queued(false);
        Some(item)
    }

    /// Puts an item at the end of the ready list, if it is not in it; there is room for each.
    fn queue(&self, item: &Arc<Item<S>>) {
        let mut ready = self.ready.lock_quietly();
        if !item.is_gone() && !item.set_queued(true) {
            ready.push_back(Arc::clone(item));
        }
    }

    /// The same, and tells who waits.
    fn announce(&self, item: &Arc<Item<S>>) {
        self.queue(item);
        self.waiters.wake_one();
        self.watchers.notify(Readiness::READ | Readiness::READ_NORMAL);
    }

    /// Takes an item out of the ready list.
    fn drop_ready(&self, item: &Arc<Item<S>>) {
        let mut ready = self.ready.lock_quietly();
        if item.set_queued(false) {
            ready.retain(|other| !Arc::ptr_eq(other, item));
        }
    }

    /// A file is no more.
    fn forget(&self, key: Key) {
        let item = self.items.lock().remove(&key);
        if let Some(item) = item {
            self.drop_ready(&item);
        }
    }
}

/// The set that `file` is, if it is one.
fn set_of<S: Surroundings>(file: &OpenFile) -> Option<Arc<Epoll<S>>> {
    Arc::clone(file.operations()?).as_any()?.downcast().ok()
}

impl<S: Surroundings> Drop for Epoll<S> {
    fn drop(&mut self) {
        self.ready.get_mut().clear();
        for item in core::mem::take(self.items.get_mut()).into_values() {
            item.leave_if_open();
        }
    }
}

impl<S: Surroundings> FileOperations for Epoll<S> {
    fn readiness(&self) -> Readiness {
        let count = self.ready.lock_quietly().len();
        let is_ready = (0..count).any(|at| {
            let item = self.ready.lock_quietly().get(at).cloned();
            item.is_some_and(|item| item.is_ready())
        });
        if is_ready { Readiness::READ | Readiness::READ_NORMAL } else { Readiness::empty() }
    }

    fn watched(&self) -> Option<&dyn Watched> {
        Some(&self.watchers)
    }

    fn as_any(self: Arc<Self>) -> Option<Arc<dyn Any + Send + Sync>> {
        Some(self)
    }
}
