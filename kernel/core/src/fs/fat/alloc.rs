//! Clusters, taken and given back.

use alloc::collections::VecDeque;

use super::Fat;
use super::chain::Next;
use super::geometry::FIRST_CLUSTER;
use super::pending::{BLOCK_BYTES, Part};
use crate::fs::error::FileError;
use crate::hal::Cpu;

/// What whoever changes the file system has to himself.
pub(super) struct Changing {
    /// Where the next look for a free cluster begins.
    pub(super) hint: u32,
    /// How many are free, once they were counted.
    pub(super) free: Option<u32>,
    /// Whether the disk says that somebody writes to it.
    pub(super) is_marked: bool,
    /// Whether it has said so when it was mounted: then only who checks it may say otherwise.
    pub(super) was_marked: bool,
}

/// Clusters that nothing names any more, in memory: on the disk something may still do so until the next commit.
pub(super) struct Freed {
    list: VecDeque<Loose>,
    /// How many more may come from files that have no name and are still in use.
    expected: usize,
}

/// A chain without a file.
#[derive(Clone, Copy)]
pub(super) enum Loose {
    /// All from here on.
    Chain(u32),
    /// What comes behind a cluster that its file keeps.
    Behind(u32, u32),
}

impl Freed {
    pub(super) const fn new() -> Self {
        Self { list: VecDeque::new(), expected: 0 }
    }

    /// There will be one more.
    pub(super) fn expect(&mut self) -> Result<(), FileError> {
        let expected = self.expected.saturating_add(1);
        self.list.try_reserve(expected).map_err(|_| FileError::OutOfMemory)?;
        self.expected = expected;
        Ok(())
    }

    /// There will be none after all.
    pub(super) fn forget(&mut self) {
        self.expected = self.expected.saturating_sub(1);
    }

    /// Takes one that was expected.
    pub(super) fn push(&mut self, loose: Loose) {
        self.forget();
        self.list.push_back(loose);
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether what comes behind this cluster is among them.
    pub(super) fn has_behind(&self, cluster: u32) -> bool {
        self.list.iter().any(|loose| matches!(loose, Loose::Behind(last, _) if *last == cluster))
    }
}

impl<C: Cpu> Fat<C> {
    /// How many clusters are free.
    pub(super) fn free_clusters(&self, changing: &mut Changing) -> Result<u32, FileError> {
        match changing.free {
            Some(free) => Ok(free),
            None => {
                let free = self.count_free()?;
                changing.free = Some(free);
                Ok(free)
            }
        }
    }

    /// Takes a free cluster, behind `near` if that is free: a chain of its own. What waits may have been written afterwards.
    ///
    /// # Errors
    ///
    /// [`NoSpace`](FileError::NoSpace), [`OutOfMemory`](FileError::OutOfMemory), [`Io`](FileError::Io)
    pub(super) fn allocate(&self, changing: &mut Changing, near: Option<u32>) -> Result<u32, FileError> {
        if self.free_clusters(changing)? == 0 {
            if self.freed.lock().len() == 0 {
                return Err(FileError::NoSpace);
            }
            self.commit(changing)?;
        }
        if self.pending.lock().is_full() {
            self.commit(changing)?;
        }
        let end = self.geometry.end_cluster();
        let start = near.map_or(changing.hint, |near| near.saturating_add(1));
        let start = if (FIRST_CLUSTER..end).contains(&start) { start } else { FIRST_CLUSTER };
        let found = match self.find_free(start, end)? {
            Some(found) => Some(found),
            None => self.find_free(FIRST_CLUSTER, start)?,
        };
        let Some(found) = found else {
            changing.free = Some(0);
            return Err(FileError::NoSpace);
        };
        self.hold_entry(found)?;
        self.set_entry(found, self.geometry.width.end());
        changing.hint = found.saturating_add(1);
        changing.free = changing.free.map(|free| free.saturating_sub(1));
        Ok(found)
    }

    /// Puts a chain behind the last cluster of another.
    pub(super) fn link(&self, last: u32, first: u32) -> Result<(), FileError> {
        self.hold_entry(last)?;
        self.set_entry(last, first);
        Ok(())
    }

    /// Gives back a cluster that [`allocate`](Self::allocate) took and that nothing names.
    pub(super) fn unallocate(&self, changing: &mut Changing, cluster: u32) {
        if self.hold_entry(cluster).is_ok() {
            self.set_entry(cluster, 0);
            changing.free = changing.free.map(|free| free.saturating_add(1));
            return;
        }
        // Later, then, if that can be remembered.
        let mut freed = self.freed.lock();
        if freed.expect().is_ok() {
            freed.push(Loose::Chain(cluster));
        }
    }

    /// Gives back the first `count` that are loose: no entry on the disk names them.
    pub(super) fn release(&self, changing: &mut Changing, count: usize) -> Result<(), FileError> {
        for _ in 0..count {
            let next = self.freed.lock().list.pop_front();
            let Some(loose) = next else { break };
            let mut rest = loose;
            let outcome = self.release_one(changing, &mut rest);
            if outcome.is_err() {
                // There is room: it has been there.
                self.freed.lock().list.push_front(rest);
                return outcome;
            }
        }
        self.spill_table()
    }

    fn release_one(&self, changing: &mut Changing, loose: &mut Loose) -> Result<(), FileError> {
        let mut at = match *loose {
            Loose::Chain(first) => first,
            Loose::Behind(last, first) => {
                // It may have been cut off twice.
                if self.next(last)? != Next::Cluster(first) {
                    return Ok(());
                }
                self.hold_entry(last)?;
                self.set_entry(last, self.geometry.width.end());
                first
            }
        };
        // What is free ends the way, so each cluster comes once, whatever the chain is.
        while self.geometry.has(at) {
            *loose = Loose::Chain(at);
            let next = self.next(at)?;
            if matches!(next, Next::Free | Next::Bad) {
                break;
            }
            self.hold_entry(at)?;
            self.set_entry(at, 0);
            changing.free = changing.free.map(|free| free.saturating_add(1));
            let Next::Cluster(next) = next else { break };
            at = next;
            *loose = Loose::Chain(at);
            if self.pending.lock().is_full() {
                self.spill_table()?;
            }
        }
        Ok(())
    }

    /// Sees to it that the entry of a cluster can be set.
    pub(super) fn hold_entry(&self, cluster: u32) -> Result<(), FileError> {
        let (at, _, bytes) = self.entry_place(cluster);
        self.hold(Part::Table, at)?;
        let last = at.saturating_add(bytes as u64).saturating_sub(1);
        // Some of 12 bits lie in two blocks.
        if last / BLOCK_BYTES == at / BLOCK_BYTES { Ok(()) } else { self.hold(Part::Table, last) }
    }

    /// Sets an entry whose blocks wait; bits that belong to others stay.
    pub(super) fn set_entry(&self, cluster: u32, value: u32) {
        let (at, shift, count) = self.entry_place(cluster);
        let mut word = [0; 4];
        if self.read_part(Part::Table, at, word.get_mut(..count).unwrap_or_default()).is_err() {
            // The blocks are in memory.
            return;
        }
        let mask = self.geometry.width.end() << shift;
        let word = (u32::from_le_bytes(word) & !mask | value << shift & mask).to_le_bytes();
        for (at, byte) in (at..).zip(word.iter().take(count)) {
            self.change_bytes(Part::Table, at, core::slice::from_ref(byte));
        }
    }
}
