//! Locks on files: flock(2), and those of fcntl(2) on ranges of bytes.
//!
//! They bind only those who ask. All are in one table, by the file's number, so that a file without locks, which is nearly
//! every one, knows nothing of them; whoever has one is told to say when he lets go ([`LockKeeper`]).
//!
//! | call | what | whose |
//! |---|---|---|
//! | flock | the whole file | the open file's |
//! | fcntl `F_SETLK` | a range | the table of descriptors', which is the process's: closing any descriptor of the file ends it |
//! | fcntl `F_OFD_SETLK` | a range | the open file's |
//!
//! The locks of flock and those of ranges do not see each other, as on Linux. Who waits for a range while others wait for
//! ranges of his would wait for ever, and is told instead.

mod ranges;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::error::FileError;
use super::metadata::FileId;
use super::operations::Blocking;
use super::surroundings::Surroundings;
use crate::sched::WaitQueue;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Rank, SpinLock};
use ranges::Ranges;

/// Whether others may have such a lock, too.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LockKind {
    /// They may.
    Shared,
    /// They may not.
    Exclusive,
}

/// Whose a lock is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LockOwner {
    /// That of a table of descriptors, by its place in memory.
    Table(usize),
    /// That of an open file, by its place in memory.
    File(usize),
}

/// Bytes of a file, from the first to the last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LockRange {
    /// The first.
    pub first: u64,
    /// The last; not before the first.
    pub last: u64,
}

impl LockRange {
    /// The last byte that a file can have: a range that goes to the end, wherever that is.
    pub const END: u64 = i64::MAX.cast_unsigned();

    const fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// A lock on a range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RangeLock {
    /// Whose it is.
    pub owner: LockOwner,
    /// The process that set it.
    pub pid: u32,
    /// Whether others may have it, too.
    pub kind: LockKind,
    /// What it is on.
    pub range: LockRange,
}

/// Who is told when an owner of locks lets go of a file.
pub trait LockKeeper: Sync {
    /// A table has closed a descriptor of this file: none of its range locks on it is left. The table is locked.
    fn closed(&self, owner: LockOwner, file: FileId);

    /// The owner is gone, and all its locks with it.
    fn gone(&self, owner: LockOwner);
}

/// All locks. The kernel has one, in a static.
pub struct FileLocks<S: Surroundings> {
    state: SpinLock<State, S::Cpu>,
    /// How often a lock was given up.
    releases: AtomicU64,
    waiters: WaitQueue<S>,
}

#[derive(Default)]
struct State {
    files: BTreeMap<FileId, Locks>,
    waits: Vec<Wait>,
}

/// The locks on one file.
#[derive(Default)]
struct Locks {
    ranges: Ranges,
    /// Those of flock, by the open file's place.
    whole: Vec<(usize, LockKind)>,
}

/// An owner waits for another to give up a range.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Wait {
    waiter: LockOwner,
    blocker: LockOwner,
}

impl<S: Surroundings> FileLocks<S> {
    /// None.
    #[cfg(not(loom))]
    #[must_use]
    pub const fn new() -> Self {
        let state = State { files: BTreeMap::new(), waits: Vec::new() };
        Self { state: SpinLock::new(Rank::FileObject, state), releases: AtomicU64::new(0), waiters: WaitQueue::new() }
    }

    /// None.
    #[cfg(loom)]
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: SpinLock::new(Rank::FileObject, State::default()),
            releases: AtomicU64::new(0),
            waiters: WaitQueue::new(),
        }
    }

    /// `F_SETLK`, `F_SETLKW`: sets a lock in place of what its owner has there.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](FileError::WouldBlock) where another has a lock in the way, and nobody wants to wait;
    /// [`Interrupted`](FileError::Interrupted), [`Deadlock`](FileError::Deadlock), [`NoLocks`](FileError::NoLocks).
    pub fn set(&self, file: FileId, lock: RangeLock, blocking: Blocking) -> Result<(), FileError> {
        self.acquire(blocking, |state| {
            if let Some(other) = state.files.get(&file).and_then(|locks| locks.ranges.conflict(&lock)) {
                return Ok(Some(Wait { waiter: lock.owner, blocker: other.owner }));
            }
            state.locks(file, S::has_room())?.ranges.set(lock)?;
            Ok(None)
        })?;
        // What it was before may have been more.
        self.released();
        Ok(())
    }

    /// `F_UNLCK`: gives up what `owner` has of `range`.
    ///
    /// # Errors
    ///
    /// [`NoLocks`](FileError::NoLocks): to give up the middle of a range takes memory.
    pub fn unset(&self, file: FileId, owner: LockOwner, range: LockRange) -> Result<(), FileError> {
        self.state.lock().with(file, |locks| locks.ranges.clear(owner, range))?;
        self.released();
        Ok(())
    }

    /// `F_GETLK`: the first lock that is in the way of this one.
    #[must_use]
    pub fn conflict(&self, file: FileId, lock: &RangeLock) -> Option<RangeLock> {
        self.state.lock().files.get(&file)?.ranges.conflict(lock)
    }

    /// flock(2): gives the open file `owner` a lock on the whole file. One of another kind that it has goes first, as on
    /// Linux, and does not come back if there is an error.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](FileError::WouldBlock), [`Interrupted`](FileError::Interrupted), [`NoLocks`](FileError::NoLocks).
    pub fn lock_whole(&self, file: FileId, owner: usize, kind: LockKind, blocking: Blocking) -> Result<(), FileError> {
        let other_kind = |&(other, has): &(usize, LockKind)| other == owner && has != kind;
        let had = self.state.lock().files.get(&file).is_some_and(|locks| locks.whole.iter().any(other_kind));
        if had {
            self.unlock_whole(file, owner);
        }
        self.acquire(blocking, |state| {
            let locks = state.locks(file, S::has_room())?;
            if locks.whole.contains(&(owner, kind)) {
                return Ok(None);
            }
            let exclusive = |has| has == LockKind::Exclusive || kind == LockKind::Exclusive;
            let in_the_way = locks.whole.iter().find(|&&(other, has)| other != owner && exclusive(has));
            if let Some(&(other, _)) = in_the_way {
                return Ok(Some(Wait { waiter: LockOwner::File(owner), blocker: LockOwner::File(other) }));
            }
            locks.whole.try_reserve(1).map_err(|_| FileError::NoLocks)?;
            locks.whole.push((owner, kind));
            Ok(None)
        })
    }

    /// `LOCK_UN`: takes it away again.
    pub fn unlock_whole(&self, file: FileId, owner: usize) {
        // It has no errors: nothing is added.
        let _nothing = self.state.lock().with(file, |locks| {
            locks.whole.retain(|&(other, _)| other != owner);
            Ok(())
        });
        self.released();
    }

    /// Whether `to` waits for `from`, through others or not.
    #[cfg(test)]
    pub(super) fn is_ring(&self, from: LockOwner, to: LockOwner) -> bool {
        self.state.lock().leads_to(to, from)
    }

    /// Tries until there is nothing to wait for.
    fn acquire(
        &self,
        blocking: Blocking,
        mut attempt: impl FnMut(&mut State) -> Result<Option<Wait>, FileError>,
    ) -> Result<(), FileError> {
        loop {
            let mut state = self.state.lock();
            let Some(wait) = attempt(&mut state)? else { return Ok(()) };
            if blocking == Blocking::No {
                return Err(FileError::WouldBlock);
            }
            state.begin_wait(wait)?;
            // Read with the table locked: whoever gives up a lock afterwards counts afterwards.
            let seen = self.releases.load(Ordering::Acquire);
            drop(state);
            let unchanged = || self.releases.load(Ordering::Acquire) == seen;
            self.waiters.wait_while(|| unchanged() && !S::interrupted());
            self.state.lock().end_wait(wait);
            if unchanged() {
                return Err(FileError::Interrupted);
            }
        }
    }

    /// Lets all who wait look again.
    fn released(&self) {
        self.releases.fetch_add(1, Ordering::Release);
        self.waiters.wake_all();
    }
}

impl<S: Surroundings> Default for FileLocks<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: Surroundings> LockKeeper for FileLocks<S> {
    fn closed(&self, owner: LockOwner, file: FileId) {
        self.state.lock().forget(file, owner);
        self.released();
    }

    fn gone(&self, owner: LockOwner) {
        let mut state = self.state.lock();
        state.files.retain(|_, locks| {
            locks.forget(owner);
            !locks.is_empty()
        });
        drop(state);
        self.released();
    }
}

impl State {
    /// The locks on `file`, of which there may be none yet.
    fn locks(&mut self, file: FileId, has_room: bool) -> Result<&mut Locks, FileError> {
        if has_room { Ok(self.files.entry(file).or_default()) } else { Err(FileError::NoLocks) }
    }

    /// Changes the locks on `file`, if there are any.
    fn with(
        &mut self,
        file: FileId,
        change: impl FnOnce(&mut Locks) -> Result<(), FileError>,
    ) -> Result<(), FileError> {
        let Some(locks) = self.files.get_mut(&file) else { return Ok(()) };
        let outcome = change(locks);
        if locks.is_empty() {
            self.files.remove(&file);
        }
        outcome
    }

    fn forget(&mut self, file: FileId, owner: LockOwner) {
        // It has no errors: nothing is added.
        let _nothing = self.with(file, |locks| {
            locks.forget(owner);
            Ok(())
        });
    }

    /// Notes that somebody waits, unless it is for himself in the end.
    fn begin_wait(&mut self, wait: Wait) -> Result<(), FileError> {
        if matches!(wait.waiter, LockOwner::Table(_)) && self.leads_to(wait.blocker, wait.waiter) {
            return Err(FileError::Deadlock);
        }
        self.waits.try_reserve(1).map_err(|_| FileError::NoLocks)?;
        self.waits.push(wait);
        Ok(())
    }

    fn end_wait(&mut self, wait: Wait) {
        if let Some(place) = self.waits.iter().position(|&other| other == wait) {
            self.waits.swap_remove(place);
        }
    }

    /// Whether `from` is `to`, or waits for one who is, and so on.
    fn leads_to(&self, from: LockOwner, to: LockOwner) -> bool {
        let mut at = from;
        for _ in 0..=self.waits.len() {
            if at == to {
                return true;
            }
            let Some(wait) = self.waits.iter().find(|wait| wait.waiter == at) else { return false };
            at = wait.blocker;
        }
        false
    }
}

impl Locks {
    fn is_empty(&self) -> bool {
        self.ranges.is_empty() && self.whole.is_empty()
    }

    fn forget(&mut self, owner: LockOwner) {
        self.ranges.forget(owner);
        if let LockOwner::File(owner) = owner {
            self.whole.retain(|&(other, _)| other != owner);
        }
    }
}
