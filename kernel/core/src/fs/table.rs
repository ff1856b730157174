//! A process's table of descriptors.
//!
//! Slots stand in groups of sixteen with a bit each for "taken" and for the two flags. Finding the lowest free descriptor
//! looks at bits from the first group that may have one; a fork copies the groups up to the last descriptor, and in
//! each the slots whose bits are set. A small table needs no allocation.
//!
//! The table knows no lock. The process keeps it in one, shared by all its threads and, with `CLONE_FILES`, with other
//! processes. The last reference to an open file may do much when it is dropped, so none is dropped here: whatever closes
//! a descriptor returns its file, and the caller drops it without the lock.

mod group;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::{fmt, iter};

use super::flags::DescriptorFlags;
use super::lock::{LockKeeper, LockOwner};
use super::open_file::OpenFile;
use group::{Group, SLOTS};

/// A file descriptor.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Fd(u32);

impl Fd {
    /// The lowest.
    pub const ZERO: Self = Self(0);

    /// The descriptor of this number; a negative `int` becomes one that is never open.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The descriptor after this one, if there is one.
    #[must_use]
    pub const fn next(self) -> Option<Self> {
        match self.0.checked_add(1) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// Its group, and its place in that.
    const fn place(self) -> (usize, usize) {
        (self.0 as usize / SLOTS, self.0 as usize % SLOTS)
    }

    fn at(group: usize, slot: usize) -> Option<Self> {
        let number = group.checked_mul(SLOTS)?.checked_add(slot)?;
        u32::try_from(number).ok().map(Self)
    }
}

impl fmt::Display for Fd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Why a descriptor could not be made or found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TableError {
    /// `EBADF`: the descriptor is not open, or is one that can never be.
    BadFile,
    /// `EMFILE`: the limit is reached.
    Full,
    /// `EINVAL`: the least descriptor that was asked for is past the limit.
    Invalid,
    /// `ENOMEM`
    OutOfMemory,
}

/// A table of descriptors. Limits are the caller's `RLIMIT_NOFILE`: descriptors are below it.
pub struct FileTable {
    /// The first group, which is all that most tables need.
    first: Group,
    /// Those after it.
    more: Vec<Group>,
    /// No group before this one has a free slot.
    first_free: usize,
    /// Who keeps the locks that were set through it, if any ever was.
    locks: Option<&'static dyn LockKeeper>,
}

impl Default for FileTable {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for FileTable {
    fn drop(&mut self) {
        if let Some(keeper) = self.locks {
            keeper.gone(self.owner());
        }
    }
}

impl FileTable {
    /// Without descriptors.
    #[must_use]
    pub const fn new() -> Self {
        Self { first: Group::new(), more: Vec::new(), first_free: 0, locks: None }
    }

    /// The file behind `fd`.
    #[must_use]
    pub fn get(&self, fd: Fd) -> Option<Arc<OpenFile>> {
        self.file(fd).cloned()
    }

    /// As [`get`](Self::get), without a reference of one's own: for what is done while the table is locked.
    #[must_use]
    pub fn file(&self, fd: Fd) -> Option<&Arc<OpenFile>> {
        let (group, slot) = fd.place();
        self.group(group)?.file(slot)
    }

    /// Gives `file` the lowest free descriptor from `least` on.
    ///
    /// # Errors
    ///
    /// [`Full`](TableError::Full), [`Invalid`](TableError::Invalid), [`OutOfMemory`](TableError::OutOfMemory)
    pub fn insert(
        &mut self,
        file: Arc<OpenFile>,
        flags: DescriptorFlags,
        least: Fd,
        limit: u64,
    ) -> Result<Fd, TableError> {
        let fd = self.lowest_free(least, limit)?;
        self.put(fd, file, flags)?;
        Ok(fd)
    }

    /// Checks that a descriptor is free: what opening does before it touches the file.
    ///
    /// # Errors
    ///
    /// [`Full`](TableError::Full)
    pub fn check_room(&self, limit: u64) -> Result<(), TableError> {
        self.lowest_free(Fd::ZERO, limit).map(drop)
    }

    /// `F_DUPFD`: another descriptor, the lowest free one from `least` on, for the file behind `fd`.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert), and [`BadFile`](TableError::BadFile).
    pub fn duplicate(&mut self, fd: Fd, least: Fd, flags: DescriptorFlags, limit: u64) -> Result<Fd, TableError> {
        let file = self.get(fd).ok_or(TableError::BadFile)?;
        self.insert(file, flags, least, limit)
    }

    /// dup2(2), dup3(2): makes `to` a descriptor for the file behind `fd` and returns what `to` was open for. The two
    /// being one is the caller's business.
    ///
    /// # Errors
    ///
    /// [`BadFile`](TableError::BadFile), also for a `to` past the limit; [`OutOfMemory`](TableError::OutOfMemory).
    pub fn duplicate_to(
        &mut self,
        fd: Fd,
        to: Fd,
        flags: DescriptorFlags,
        limit: u64,
    ) -> Result<Option<Arc<OpenFile>>, TableError> {
        let file = self.get(fd).ok_or(TableError::BadFile)?;
        if u64::from(to.0) >= limit {
            return Err(TableError::BadFile);
        }
        self.put(to, file, flags)
    }

    /// close(2): returns the file, to be dropped without a lock.
    #[must_use = "the last reference to a file is dropped without a lock"]
    pub fn close(&mut self, fd: Fd) -> Option<Arc<OpenFile>> {
        let (group, slot) = fd.place();
        let file = self.group_mut(group)?.take(slot)?;
        self.first_free = self.first_free.min(group);
        if self.locks.is_some() {
            self.tell_closed(&file);
        }
        Some(file)
    }

    /// Closes the first open descriptor of `first..=last` and returns it with its file. Until there is none, that is
    /// `close_range(2)` and, over everything, exit; going on behind the one that was returned keeps it linear.
    #[must_use = "the last reference to a file is dropped without a lock"]
    pub fn close_next(&mut self, first: Fd, last: Fd) -> Option<(Fd, Arc<OpenFile>)> {
        let fd = self.next_open(first, last, Group::taken)?;
        Some((fd, self.close(fd)?))
    }

    /// As [`close_next`](Self::close_next), from `first` on, but only what is marked close-on-exec: exec.
    #[must_use = "the last reference to a file is dropped without a lock"]
    pub fn close_next_on_exec(&mut self, first: Fd) -> Option<(Fd, Arc<OpenFile>)> {
        let fd = self.next_open(first, Fd(u32::MAX), Group::close_on_exec)?;
        Some((fd, self.close(fd)?))
    }

    /// Marks what is open in `first..=last` as close-on-exec: `CLOSE_RANGE_CLOEXEC`.
    pub fn mark_close_on_exec(&mut self, first: Fd, last: Fd) {
        let mut from = Some(first);
        while let Some(fd) = from.and_then(|from| self.next_open(from, last, Group::taken)) {
            let (group, slot) = fd.place();
            if let Some(group) = self.group_mut(group) {
                group.set_flags(slot, group.flags(slot) | DescriptorFlags::CLOSE_ON_EXEC);
            }
            from = fd.next();
        }
    }

    /// `F_GETFD`
    #[must_use]
    pub fn flags(&self, fd: Fd) -> Option<DescriptorFlags> {
        let (group, slot) = fd.place();
        let group = self.group(group)?;
        group.file(slot).map(|_| group.flags(slot))
    }

    /// `F_SETFD`
    ///
    /// # Errors
    ///
    /// [`BadFile`](TableError::BadFile)
    pub fn set_flags(&mut self, fd: Fd, flags: DescriptorFlags) -> Result<(), TableError> {
        let (group, slot) = fd.place();
        let group = self.group_mut(group).ok_or(TableError::BadFile)?;
        group.file(slot).ok_or(TableError::BadFile)?;
        group.set_flags(slot, flags);
        Ok(())
    }

    /// The table of a forked child: the same open files under the same descriptors with the same marks, without those
    /// that are marked close-on-fork.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`](TableError::OutOfMemory)
    pub fn for_fork(&self) -> Result<Self, TableError> {
        let mut copy = Self::new();
        self.fork_into(&mut copy)?;
        Ok(copy)
    }

    /// A table of its own with the same open files under the same descriptors, with the same marks.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`](TableError::OutOfMemory)
    pub fn copy(&self) -> Result<Self, TableError> {
        let mut copy = self.for_fork()?;
        for (fd, file) in self.iter() {
            let flags = self.flags(fd).unwrap_or_default();
            if flags.contains(DescriptorFlags::CLOSE_ON_FORK) {
                copy.insert(Arc::clone(file), flags, fd, u64::MAX)?;
            }
        }
        Ok(copy)
    }

    /// Makes an empty table that of a forked child, as [`for_fork`](Self::for_fork).
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`](TableError::OutOfMemory)
    pub fn fork_into(&self, copy: &mut Self) -> Result<(), TableError> {
        if !self.more.is_empty() {
            self.fork_more_into(copy)?;
        }
        self.first.fork_into(&mut copy.first);
        if copy.first.is_full() {
            copy.first_free = iter::once(&copy.first).chain(&copy.more).take_while(|group| group.is_full()).count();
        }
        Ok(())
    }

    /// The groups after the first.
    #[cold]
    #[inline(never)]
    fn fork_more_into(&self, copy: &mut Self) -> Result<(), TableError> {
        let used = self.more.iter().rposition(|group| !group.is_empty()).map_or(0, |last| last.saturating_add(1));
        copy.more.try_reserve_exact(used).map_err(|_| TableError::OutOfMemory)?;
        copy.more.resize_with(used, Group::new);
        for (group, copy) in self.more.iter().zip(&mut copy.more) {
            group.fork_into(copy);
        }
        Ok(())
    }

    /// The open descriptors and their files, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Fd, &Arc<OpenFile>)> {
        iter::once(&self.first)
            .chain(&self.more)
            .enumerate()
            .flat_map(|(index, group)| group.open().filter_map(move |(slot, file)| Some((Fd::at(index, slot)?, file))))
    }

    fn group(&self, index: usize) -> Option<&Group> {
        match index.checked_sub(1) {
            None => Some(&self.first),
            Some(index) => self.more.get(index),
        }
    }

    fn group_mut(&mut self, index: usize) -> Option<&mut Group> {
        match index.checked_sub(1) {
            None => Some(&mut self.first),
            Some(index) => self.more.get_mut(index),
        }
    }

    fn lowest_free(&self, least: Fd, limit: u64) -> Result<Fd, TableError> {
        if u64::from(least.0) >= limit {
            return Err(if least == Fd::ZERO { TableError::Full } else { TableError::Invalid });
        }
        let (mut group, mut slot) = least.place();
        if group < self.first_free {
            (group, slot) = (self.first_free, 0);
        }
        let free = loop {
            match self.group(group) {
                None => break Fd::at(group, slot),
                Some(found) => match found.first_free(slot) {
                    Some(free) => break Fd::at(group, free),
                    None => (group, slot) = (group.saturating_add(1), 0),
                },
            }
        };
        free.filter(|fd| u64::from(fd.0) < limit).ok_or(TableError::Full)
    }

    fn put(
        &mut self,
        fd: Fd,
        file: Arc<OpenFile>,
        flags: DescriptorFlags,
    ) -> Result<Option<Arc<OpenFile>>, TableError> {
        let (group, slot) = fd.place();
        self.grow(group)?;
        let place = self.group_mut(group).ok_or(TableError::OutOfMemory)?;
        let before = place.put(slot, file, flags);
        let is_full = place.is_full();
        if group == self.first_free && is_full {
            self.first_free = group.saturating_add(1);
        }
        if let Some(before) = &before
            && self.locks.is_some()
        {
            self.tell_closed(before);
        }
        Ok(before)
    }

    /// As whom the table owns locks. From now on `keeper` is told what is closed. It stays where it is.
    pub fn lock_owner(&mut self, keeper: &'static dyn LockKeeper) -> LockOwner {
        self.locks = Some(keeper);
        self.owner()
    }

    fn owner(&self) -> LockOwner {
        LockOwner::Table(core::ptr::from_ref(self).addr())
    }

    #[cold]
    fn tell_closed(&self, file: &OpenFile) {
        if let Some(keeper) = self.locks {
            keeper.closed(self.owner(), file.inode().id());
        }
    }

    /// Makes groups up to this one.
    fn grow(&mut self, group: usize) -> Result<(), TableError> {
        let missing = group.saturating_sub(self.more.len());
        if missing > 0 {
            self.more.try_reserve(missing).map_err(|_| TableError::OutOfMemory)?;
            self.more.resize_with(group, Group::new);
        }
        Ok(())
    }

    /// The first descriptor of `first..=last` whose bit is set in what `bits` says of a group.
    fn next_open(&self, first: Fd, last: Fd, bits: impl Fn(&Group) -> u16) -> Option<Fd> {
        let (mut index, mut slot) = first.place();
        loop {
            let group = self.group(index)?;
            let rest = bits(group) & (u16::MAX << slot);
            if rest != 0 {
                return Fd::at(index, rest.trailing_zeros() as usize).filter(|&fd| fd <= last);
            }
            (index, slot) = (index.checked_add(1)?, 0);
            if Fd::at(index, 0)? > last {
                return None;
            }
        }
    }
}
