//! What has been changed and is not on its way to the disk: blocks of the table and of directories.
//!
//! The disk's cache writes back when it likes and in the order of its pages. What must not be there before something else
//! therefore waits here, and is given to the cache when [its turn](super::commit) comes. Who reads looks here first.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;

use super::Fat;
use super::new_name::Short;
use super::slot::{SLOT_BYTES, Slot};
use crate::fs::block::BLOCK_SIZE;
use crate::fs::error::FileError;
use crate::hal::Cpu;

/// What a disk writes whole or not at all.
pub(super) type Block = [u8; BLOCK_SIZE];
pub(super) const BLOCK_BYTES: u64 = BLOCK_SIZE as u64;
/// From so many blocks on they are written.
const MANY: usize = 256;
/// The same for entries that go last. A file is renamed less than a hundred times between two commits, so the order of its
/// names can be told.
const MANY_HELD: usize = 64;
/// The same for names that went, and how many more there is room for: who makes a change takes two away at most.
const MANY_GONE: usize = 126;
const MOST_GONE: usize = 128;

/// Blocks by their number on the volume.
pub(super) type Blocks = BTreeMap<u64, Box<Block>>;

/// All that waits.
pub(super) struct Pending {
    /// Of the table that is read; others have the same.
    pub(super) table: Blocks,
    pub(super) directories: Blocks,
    /// Entries that were taken away, and go from the disk only after all else is there: what they named has got another
    /// entry. By their place, as they were.
    pub(super) held: BTreeMap<u64, Slot>,
    /// Short names of what was taken away.
    pub(super) gone: heapless::Vec<Short, MOST_GONE>,
}

/// Which of them a block is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Table,
    Directories,
}

impl Pending {
    pub(super) const fn new() -> Self {
        Self { table: BTreeMap::new(), directories: BTreeMap::new(), held: BTreeMap::new(), gone: heapless::Vec::new() }
    }

    pub(super) fn part(&mut self, part: Part) -> &mut Blocks {
        match part {
            Part::Table => &mut self.table,
            Part::Directories => &mut self.directories,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.table.is_empty() && self.directories.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        let blocks = self.table.len().saturating_add(self.directories.len());
        blocks >= MANY || self.held.len() >= MANY_HELD || self.gone.len() >= MANY_GONE
    }
}

impl<C: Cpu> Fat<C> {
    /// Fills `into` with what is at `at`, in this part.
    pub(super) fn read_part(&self, part: Part, at: u64, into: &mut [u8]) -> Result<(), FileError> {
        let mut rest = into;
        let mut at = at;
        while !rest.is_empty() {
            let (block, offset) = (at / BLOCK_BYTES, usize::try_from(at % BLOCK_BYTES).unwrap_or(0));
            let count = rest.len().min(BLOCK_SIZE.saturating_sub(offset));
            let (now, then) = core::mem::take(&mut rest).split_at_mut(count);
            // Here first: what leaves is in the cache before.
            if !self.copy_pending(part, block, offset, now) {
                self.volume.read_at(at, now)?;
            }
            (rest, at) = (then, at.saturating_add(count as u64));
        }
        Ok(())
    }

    /// Lets go of all that waits: it is where it should be, or must not get there.
    pub(super) fn drop_blocks(&self) {
        let waited = {
            let mut pending = self.pending.lock();
            let pending = &mut *pending;
            pending.gone.clear();
            (
                core::mem::take(&mut pending.table),
                core::mem::take(&mut pending.directories),
                core::mem::take(&mut pending.held),
            )
        };
        drop(waited);
    }

    fn copy_pending(&self, part: Part, block: u64, offset: usize, into: &mut [u8]) -> bool {
        let mut pending = self.pending.lock();
        let bytes = pending.part(part).get(&block).and_then(|block| block.get(offset..)?.get(..into.len()));
        bytes.map(|bytes| into.copy_from_slice(bytes)).is_some()
    }

    /// Sees to it that the block that `at` is in waits here and so can be [changed](Self::change_bytes). The caller may change
    /// the file system.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`](FileError::OutOfMemory), [`Io`](FileError::Io)
    pub(super) fn hold(&self, part: Part, at: u64) -> Result<(), FileError> {
        let block = at / BLOCK_BYTES;
        if self.pending.lock().part(part).contains_key(&block) {
            return Ok(());
        }
        if !self.needs.pages.has_room() {
            return Err(FileError::OutOfMemory);
        }
        let mut bytes = Box::new([0; BLOCK_SIZE]);
        self.volume.read_at(block.saturating_mul(BLOCK_BYTES), &mut *bytes)?;
        let first = {
            let mut pending = self.pending.lock();
            let first = pending.is_empty();
            pending.part(part).insert(block, bytes);
            first
        };
        if first {
            (self.needs.dirtied)();
        }
        Ok(())
    }

    /// Changes bytes of a block that waits; all are in it.
    pub(super) fn change_bytes(&self, part: Part, at: u64, bytes: &[u8]) {
        let mut pending = self.pending.lock();
        let offset = usize::try_from(at % BLOCK_BYTES).unwrap_or(0);
        let place = pending.part(part).get_mut(&(at / BLOCK_BYTES)).and_then(|block| block.get_mut(offset..));
        if let Some(place) = place.and_then(|place| place.get_mut(..bytes.len())) {
            place.copy_from_slice(bytes);
        }
    }

    /// The entry at this place.
    pub(super) fn slot(&self, place: u64) -> Result<Slot, FileError> {
        let mut slot = [0; SLOT_BYTES];
        self.read_part(Part::Directories, place.saturating_mul(SLOT_BYTES as u64), &mut slot)?;
        Ok(slot)
    }

    /// Sees to it that the entry at this place can be changed.
    pub(super) fn hold_slot(&self, place: u64) -> Result<(), FileError> {
        self.hold(Part::Directories, place.saturating_mul(SLOT_BYTES as u64))
    }

    /// Changes an entry whose block waits.
    pub(super) fn put_slot(&self, place: u64, slot: &Slot) {
        self.change_bytes(Part::Directories, place.saturating_mul(SLOT_BYTES as u64), slot);
    }
}
