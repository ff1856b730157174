//! A file in a set.

use alloc::sync::{Arc, Weak};

use super::followers::Follower;
use super::{Epoll, Manner, Wish};
use crate::fs::error::FileError;
use crate::fs::open_file::OpenFile;
use crate::fs::operations::Readiness;
use crate::fs::poll::watched;
use crate::fs::surroundings::Surroundings;
use crate::fs::watch::{WatchId, Watched, Watcher};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{IrqLock, Rank};

/// What tells an item from the others of its set: the same file may be there under several descriptors.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Key {
    descriptor: u32,
    file: usize,
}

impl Key {
    pub(super) fn new(descriptor: u32, file: &Arc<OpenFile>) -> Self {
        Self { descriptor, file: Arc::as_ptr(file).addr() }
    }
}

/// A file in a set.
pub(super) struct Item<S: Surroundings> {
    me: Weak<Self>,
    key: Key,
    file: Weak<OpenFile>,
    set: Weak<Epoll<S>>,
    state: IrqLock<State, S::Cpu>,
    /// Whether it is in the set's ready list, whose lock guards it.
    queued: AtomicBool,
}

struct State {
    wish: Wish,
    /// A one-shot has been told.
    is_spent: bool,
    /// It is in no set any more.
    is_gone: bool,
    watch: Option<WatchId>,
}

impl State {
    /// What is asked now.
    const fn interest(&self) -> Readiness {
        if self.is_spent || self.is_gone {
            return Readiness::empty();
        }
        self.wish.interest.union(Readiness::ERROR).union(Readiness::HANG_UP)
    }
}

impl<S: Surroundings> Item<S> {
    pub(super) fn new(key: Key, file: &Arc<OpenFile>, set: &Weak<Epoll<S>>, wish: Wish) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            key,
            file: Arc::downgrade(file),
            set: Weak::clone(set),
            state: IrqLock::new(Rank::EpollItem, State { wish, is_spent: false, is_gone: false, watch: None }),
            queued: AtomicBool::new(false),
        })
    }

    /// Joins those who watch the file: for all that can be asked, since the wish may change.
    pub(super) fn join(self: &Arc<Self>, list: &dyn Watched) -> Result<(), FileError> {
        let id = list.add(Arc::clone(self) as Arc<dyn Watcher>, Readiness::all())?;
        self.state.lock_quietly().watch = Some(id);
        Ok(())
    }

    pub(super) fn set_wish(&self, wish: Wish) {
        let mut state = self.state.lock_quietly();
        (state.wish, state.is_spent) = (wish, false);
    }

    /// Sets whether it is in the ready list, whose lock the caller holds; says whether it was.
    pub(super) fn set_queued(&self, queued: bool) -> bool {
        self.queued.swap(queued, Ordering::Relaxed)
    }

    /// Its file, if that is still open.
    pub(super) fn file(&self) -> Option<Arc<OpenFile>> {
        self.file.upgrade()
    }

    /// What of its file is so that is asked.
    fn found(&self) -> Readiness {
        let interest = self.state.lock_quietly().interest();
        if interest.is_empty() {
            return interest;
        }
        self.file.upgrade().and_then(|file| file.readiness().ok()).unwrap_or(Readiness::empty()) & interest
    }

    /// Whether there is something to tell.
    pub(super) fn is_ready(&self) -> bool {
        !self.found().is_empty()
    }

    /// Looks at the file, and announces it if there is something to tell.
    pub(super) fn look(self: &Arc<Self>) {
        if self.is_ready()
            && let Some(set) = self.set.upgrade()
        {
            set.announce(self);
        }
    }

    /// By one who has taken it from the ready list: what is to be told, if anything is. It stays in the list if it will be so
    /// as long as the file is ready.
    pub(super) fn take(self: &Arc<Self>) -> Option<(Readiness, u64)> {
        let found = self.found();
        let (found, data, stays) = {
            let mut state = self.state.lock_quietly();
            let found = found & state.interest();
            if found.is_empty() {
                return None;
            }
            let manner = state.wish.manner;
            state.is_spent = manner.contains(Manner::ONE_SHOT);
            (found, state.wish.data, !manner.intersects(Manner::ONE_SHOT | Manner::EDGE))
        };
        if stays && let Some(set) = self.set.upgrade() {
            set.queue(self);
        }
        Some((found, data))
    }

    /// What was taken could not be told.
    pub(super) fn untake(self: &Arc<Self>) {
        self.state.lock_quietly().is_spent = false;
        if let Some(set) = self.set.upgrade() {
            set.queue(self);
        }
    }

    /// Leaves the file's lists.
    pub(super) fn leave(&self, file: &OpenFile) {
        self.unwatch(watched(file));
        if let Some(followers) = file.followed() {
            followers.remove(self.me.as_ptr().addr());
        }
    }

    /// The same, by a set that is no more.
    pub(super) fn leave_if_open(&self) {
        if let Some(file) = self.file.upgrade() {
            self.leave(&file);
        }
    }

    /// Whether it is in no set any more: then it is put into no ready list.
    pub(super) fn is_gone(&self) -> bool {
        self.state.lock_quietly().is_gone
    }

    fn unwatch(&self, list: Option<&dyn Watched>) {
        let watch = {
            let mut state = self.state.lock_quietly();
            state.is_gone = true;
            state.watch.take()
        };
        if let (Some(list), Some(watch)) = (list, watch) {
            list.remove(watch);
        }
    }
}

impl<S: Surroundings> Watcher for Item<S> {
    fn notify(&self, ready: Readiness) {
        if !self.state.lock_quietly().interest().intersects(ready) {
            return;
        }
        if let (Some(me), Some(set)) = (self.me.upgrade(), self.set.upgrade()) {
            set.announce(&me);
        }
    }
}

impl<S: Surroundings> Follower for Item<S> {
    fn file_gone(&self, list: Option<&dyn Watched>) {
        self.unwatch(list);
        if let Some(set) = self.set.upgrade() {
            set.forget(self.key);
        }
    }
}
