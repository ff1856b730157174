//! A table: 512 descriptors in one frame. The only module of `paging` with `unsafe`, and what it promises to the
//! others is this: **a table descriptor in a table always names a table of the level below, owned by that descriptor.**
//!
//! It holds because a table descriptor can only be written by `Table::link`, which takes an [`OwnedTable`], and
//! ownership only comes from [`OwnedTable::allocate`] (a fresh frame), from `Table::unlink` (which takes the
//! descriptor away) or from [`OwnedTable::adopt`] (whose caller vouches). So the walk from table to table is safe code.
//!
//! Entries are atomics, for the walkers of all CPUs read them at any time: stores are Release, so that whatever a
//! descriptor leads to was written before it; loads are Relaxed, for only the holder of the tree's lock changes it.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering};

use super::address::{ENTRIES, Index, Level};
use super::descriptor::{Descriptor, Entry, Leaf, TableEntry};
use crate::addr::{PAGE_SIZE, PhysFrame};
use crate::hal::FrameAccess;

/// There is no frame left for a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutOfFrames;

/// Where table frames come from.
///
/// # Safety
///
/// A frame that [`allocate`](Self::allocate) returns belongs to the memory that the same `Mmu`'s `FrameAccess`
/// covers, and to the caller alone until it is given to [`free`](Self::free).
pub unsafe trait TableSource {
    /// Takes a frame; its contents do not matter.
    fn allocate(&self) -> Result<PhysFrame, OutOfFrames>;

    /// Takes a frame back. No walker can reach it any more.
    fn free(&self, frame: PhysFrame);
}

/// A table that somebody owns: a root, or one that no descriptor names at present. Must be linked or freed, for a drop
/// leaks its frame.
#[must_use = "a table that is neither linked nor freed is a lost frame"]
#[derive(Debug)]
pub struct OwnedTable {
    frame: PhysFrame,
    level: Level,
}

impl OwnedTable {
    /// A new table with nothing in it.
    pub fn allocate(level: Level, memory: &impl FrameAccess, source: &impl TableSource) -> Result<Self, OutOfFrames> {
        let frame = source.allocate()?;
        // SAFETY: the frame is in managed memory and ours alone (contract of `TableSource`), so its pointer is valid
        // for writes of PAGE_SIZE bytes (contract of `FrameAccess`), and no reference to it exists.
        unsafe { memory.frame_ptr(frame).write_bytes(0, PAGE_SIZE) };
        Ok(Self { frame, level })
    }

    /// Takes over a table that was made without this module, such as the root that the boot code made.
    ///
    /// # Safety
    ///
    /// `frame` is in managed memory and holds a table of `level`; each of its table descriptors names a table of the
    /// level below, is the only one that does, and counts its live entries as [`TableEntry::live`] says. Nobody else
    /// writes to these tables or reads them but by atomic loads.
    pub unsafe fn adopt(frame: PhysFrame, level: Level) -> Self {
        Self { frame, level }
    }

    /// The frame that holds the table.
    #[must_use]
    pub fn frame(&self) -> PhysFrame {
        self.frame
    }

    /// The table, to read and change.
    pub(super) fn view<'m>(&'m self, memory: &'m impl FrameAccess) -> Table<'m> {
        // SAFETY: we own a table, which is what the contract asks for.
        unsafe { Table::at(memory, self.frame, self.level) }
    }

    /// Gives the frame back. The caller has seen to it that no TLB and no walk cache knows the table.
    pub(super) fn free(self, source: &impl TableSource) {
        source.free(self.frame);
    }
}

/// Sight of a table. Copies see the same entries.
#[derive(Clone, Copy)]
pub struct Table<'m> {
    entries: &'m [AtomicU64; ENTRIES],
    level: Level,
}

impl<'m> Table<'m> {
    /// # Safety
    ///
    /// `frame` is in managed memory and holds a table of `level` (see the head of the module) as long as the result is
    /// used, and meanwhile everybody accesses it atomically.
    unsafe fn at(memory: &'m impl FrameAccess, frame: PhysFrame, level: Level) -> Self {
        let entries: NonNull<[AtomicU64; ENTRIES]> = memory.frame_ptr(frame).cast();
        // SAFETY: the pointer is page-aligned and valid for PAGE_SIZE bytes, the size of the array, as long as
        // `memory` lives (contract of `FrameAccess`); any bits are an AtomicU64; the frame stays a table and is
        // accessed atomically (our caller's promise).
        let entries = unsafe { entries.as_ref() };
        Self { entries, level }
    }

    /// The table's level.
    #[must_use]
    pub fn level(self) -> Level {
        self.level
    }

    /// The descriptor at `index`.
    #[must_use]
    pub fn descriptor(self, index: Index) -> Descriptor {
        Descriptor::from_raw(self.entries[index.get()].load(Ordering::Relaxed))
    }

    /// What the descriptor at `index` means.
    #[must_use]
    pub fn entry(self, index: Index) -> Entry {
        self.descriptor(index).decode(self.level)
    }

    /// The table that the descriptor at `index` names, if it names one.
    #[must_use]
    pub fn child(self, memory: &'m impl FrameAccess, index: Index) -> Option<(Self, TableEntry)> {
        let Entry::Table(entry) = self.entry(index) else { return None };
        let below = self.level.below()?;
        // SAFETY: a table descriptor names a table of the level below (see the head of the module).
        let child = unsafe { Self::at(memory, entry.frame, below) };
        Some((child, entry))
    }

    /// How many entries are in use.
    pub(super) fn count_live(self) -> u16 {
        Index::all().map(|index| u16::from(self.entry(index) != Entry::Invalid)).sum()
    }

    /// Writes a leaf where there is nothing, or where there is a leaf that differs only in what may be changed in
    /// place.
    pub(super) fn set_leaf(self, index: Index, leaf: Leaf) {
        debug_assert!(
            self.entry(index) == Entry::Invalid
                || self.entry(index).leaf().is_some_and(|old| old.output == leaf.output),
            "a live entry is not overwritten"
        );
        self.store(index, Descriptor::leaf(self.level, leaf));
    }

    /// Makes a leaf invalid.
    pub(super) fn clear_leaf(self, index: Index) {
        debug_assert!(self.entry(index).leaf().is_some(), "only a leaf is cleared, a table is unlinked");
        self.store(index, Descriptor::INVALID);
    }

    /// Hangs `table`, in which `live` entries are in use, below the invalid entry at `index`.
    #[expect(clippy::needless_pass_by_value, reason = "the descriptor owns the table from here on")]
    pub(super) fn link(self, index: Index, table: OwnedTable, live: u16) {
        debug_assert_eq!(Some(table.level), self.level.below(), "a table hangs below the level above");
        debug_assert_eq!(self.entry(index), Entry::Invalid, "a live entry is not overwritten");
        let entry = TableEntry {
            frame: table.frame,
            limits: super::TableLimits::empty(),
            software: super::SoftwareBits::empty(),
            live,
        };
        self.store(index, Descriptor::table(entry));
    }

    /// Takes the table below `index` out, if there is one. Walkers may know it until the flush.
    pub(super) fn unlink(self, index: Index) -> Option<OwnedTable> {
        let Entry::Table(entry) = self.entry(index) else { return None };
        self.store(index, Descriptor::INVALID);
        self.level.below().map(|level| OwnedTable { frame: entry.frame, level })
    }

    /// Notes that `live` entries of the table below `index` are in use. The walker ignores those bits, so that nothing
    /// needs a flush.
    pub(super) fn set_live(self, index: Index, live: u16) {
        if let Entry::Table(entry) = self.entry(index) {
            self.store(index, Descriptor::table(TableEntry { live, ..entry }));
        }
    }

    fn store(self, index: Index, descriptor: Descriptor) {
        self.entries[index.get()].store(descriptor.raw(), Ordering::Release);
    }
}
