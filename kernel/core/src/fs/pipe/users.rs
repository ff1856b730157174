//! All pipes: their numbers, and how many pages each user's may have in all.
//!
//! Limits are Linux's first ones: a pipe may be given up to 1 MiB, and a user's pipes 64 MiB in all; beyond that new pipes have
//! two pages. They do not bind who may override them. Pages are counted as they may be taken, not as they are.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use super::end::{PipeEnd, Sides};
use super::{DEFAULT_PAGES, FEW_PAGES, Pipe};
use crate::addr::PAGE_SIZE;
use crate::fs::error::FileError;
use crate::fs::flags::OpenFlags;
use crate::fs::metadata::Timestamp;
use crate::fs::offset::Parking;
use crate::fs::open_file::OpenFile;
use crate::fs::surroundings::Surroundings;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Rank, SpinLock};

/// The most pages of one pipe: `pipe-max-size`.
const MOST_PAGES: usize = (1 << 20) / PAGE_SIZE;
/// The most pages of a user's pipes: `pipe-user-pages-soft`.
const MOST_PAGES_OF_USER: usize = 16384;

/// Makes pipes and counts them.
pub struct Pipes<S: Surroundings> {
    next: AtomicU64,
    /// How many pages a user's pipes may take.
    users: SpinLock<BTreeMap<u32, usize>, S::Cpu>,
}

impl<S: Surroundings> Pipes<S> {
    /// None yet.
    #[cfg(not(loom))]
    #[must_use]
    pub const fn new() -> Self {
        Self { next: AtomicU64::new(1), users: SpinLock::new(Rank::FileObject, BTreeMap::new()) }
    }

    /// None yet.
    #[cfg(loom)]
    #[must_use]
    pub fn new() -> Self {
        Self { next: AtomicU64::new(1), users: SpinLock::new(Rank::FileObject, BTreeMap::new()) }
    }

    /// pipe2(2): a pipe of `owner`, a user and a group, as two open files, to read from and to write to. `made` is now. `flags` are those of
    /// both; `privileged` says whether the user's limits do not bind. Users of one file wait for each other in `parking`.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`](FileError::OutOfMemory)
    pub fn open(
        &'static self,
        owner: (u32, u32),
        made: Timestamp,
        flags: OpenFlags,
        privileged: bool,
        parking: &'static dyn Parking,
    ) -> Result<(Arc<OpenFile>, Arc<OpenFile>), FileError> {
        let pipe = self.make(owner, made, privileged)?;
        let open = |sides, mode| {
            let end = PipeEnd::new(Arc::clone(&pipe), sides, flags);
            OpenFile::new(Arc::clone(&pipe) as _, end, flags | mode, parking)
        };
        Ok((open(Sides::READ, OpenFlags::empty()), open(Sides::WRITE, OpenFlags::WRITE_ONLY)))
    }

    /// A pipe without ends.
    pub(super) fn make(
        &'static self,
        owner: (u32, u32),
        made: Timestamp,
        privileged: bool,
    ) -> Result<Arc<Pipe<S>>, FileError> {
        if !S::has_room() {
            return Err(FileError::OutOfMemory);
        }
        let (uid, _) = owner;
        let pages = self.charge_new(uid, privileged);
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        Ok(Pipe::new(number, owner, made, pages, Charge { pipes: self, uid }))
    }

    /// How many pages a new pipe of this user may have; counted.
    fn charge_new(&self, uid: u32, privileged: bool) -> usize {
        let mut users = self.users.lock();
        let count = users.entry(uid).or_default();
        let is_over = count.saturating_add(DEFAULT_PAGES) > MOST_PAGES_OF_USER;
        let pages = if is_over && !privileged { FEW_PAGES } else { DEFAULT_PAGES };
        *count = count.saturating_add(pages);
        pages
    }

    /// How many pages the pipes of this user may take.
    #[must_use]
    pub fn pages_of(&self, uid: u32) -> usize {
        self.users.lock().get(&uid).copied().unwrap_or(0)
    }
}

impl<S: Surroundings> Default for Pipes<S> {
    fn default() -> Self {
        Self::new()
    }
}

/// Whose pages a pipe's are.
pub(super) struct Charge<S: Surroundings> {
    pipes: &'static Pipes<S>,
    uid: u32,
}

impl<S: Surroundings> Charge<S> {
    /// The pipe may have `after` pages instead of `before`.
    pub(super) fn change(&self, before: usize, after: usize, privileged: bool) -> Result<(), FileError> {
        let mut users = self.pipes.users.lock();
        let count = users.entry(self.uid).or_default();
        let total = count.saturating_sub(before).saturating_add(after);
        if after > before && !privileged && (after > MOST_PAGES || total > MOST_PAGES_OF_USER) {
            return Err(FileError::NotPermitted);
        }
        *count = total;
        Ok(())
    }

    /// The pipe is no more.
    pub(super) fn give_back(&self, pages: usize) {
        let mut users = self.pipes.users.lock();
        if let Some(count) = users.get_mut(&self.uid) {
            *count = count.saturating_sub(pages);
            if *count == 0 {
                users.remove(&self.uid);
            }
        }
    }
}
