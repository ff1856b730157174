//! Sixteen slots of a table.

use alloc::sync::Arc;

use crate::fs::flags::DescriptorFlags;
use crate::fs::open_file::OpenFile;

/// How many slots a group has: a bit each in its words.
pub(super) const SLOTS: usize = 16;

/// Slots, and a bit for each.
pub(super) struct Group {
    files: [Option<Arc<OpenFile>>; SLOTS],
    taken: u16,
    close_on_exec: u16,
    close_on_fork: u16,
}

impl Group {
    pub(super) const fn new() -> Self {
        Self { files: [const { None }; SLOTS], taken: 0, close_on_exec: 0, close_on_fork: 0 }
    }

    pub(super) fn file(&self, slot: usize) -> Option<&Arc<OpenFile>> {
        self.files.get(slot)?.as_ref()
    }

    /// Fills a slot and returns what was in it.
    pub(super) fn put(&mut self, slot: usize, file: Arc<OpenFile>, flags: DescriptorFlags) -> Option<Arc<OpenFile>> {
        let before = self.files.get_mut(slot)?.replace(file);
        self.taken |= bit(slot);
        self.set_flags(slot, flags);
        before
    }

    /// Empties a slot.
    pub(super) fn take(&mut self, slot: usize) -> Option<Arc<OpenFile>> {
        let file = self.files.get_mut(slot)?.take()?;
        self.taken &= !bit(slot);
        self.set_flags(slot, DescriptorFlags::empty());
        Some(file)
    }

    pub(super) const fn flags(&self, slot: usize) -> DescriptorFlags {
        let mut flags = DescriptorFlags::empty();
        if self.close_on_exec & bit(slot) != 0 {
            flags = flags.union(DescriptorFlags::CLOSE_ON_EXEC);
        }
        if self.close_on_fork & bit(slot) != 0 {
            flags = flags.union(DescriptorFlags::CLOSE_ON_FORK);
        }
        flags
    }

    pub(super) const fn set_flags(&mut self, slot: usize, flags: DescriptorFlags) {
        set(&mut self.close_on_exec, slot, flags.contains(DescriptorFlags::CLOSE_ON_EXEC));
        set(&mut self.close_on_fork, slot, flags.contains(DescriptorFlags::CLOSE_ON_FORK));
    }

    /// The first empty slot from `from` on.
    pub(super) const fn first_free(&self, from: usize) -> Option<usize> {
        match !self.taken & (u16::MAX << from) {
            0 => None,
            free => Some(free.trailing_zeros() as usize),
        }
    }

    pub(super) const fn is_full(&self) -> bool {
        self.taken == u16::MAX
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.taken == 0
    }

    /// A bit for each slot that is in use.
    pub(super) const fn taken(&self) -> u16 {
        self.taken
    }

    /// A bit for each slot that exec empties.
    pub(super) const fn close_on_exec(&self) -> u16 {
        self.close_on_exec
    }

    /// The slots in use.
    pub(super) fn open(&self) -> impl Iterator<Item = (usize, &Arc<OpenFile>)> {
        Bits(self.taken).filter_map(|slot| Some((slot, self.file(slot)?)))
    }

    /// Puts what a forked child gets of it into `copy`, which is empty.
    pub(super) fn fork_into(&self, copy: &mut Self) {
        copy.taken = self.taken & !self.close_on_fork;
        copy.close_on_exec = self.close_on_exec & copy.taken;
        for slot in Bits(copy.taken) {
            if let (Some(place), Some(file)) = (copy.files.get_mut(slot), self.file(slot)) {
                *place = Some(Arc::clone(file));
            }
        }
    }
}

/// The numbers of the bits that are set.
struct Bits(u16);

impl Iterator for Bits {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let lowest = (self.0 != 0).then(|| self.0.trailing_zeros() as usize);
        self.0 &= self.0.wrapping_sub(1);
        lowest
    }
}

const fn bit(slot: usize) -> u16 {
    1 << slot
}

const fn set(word: &mut u16, slot: usize, on: bool) {
    if on {
        *word |= bit(slot);
    } else {
        *word &= !bit(slot);
    }
}
