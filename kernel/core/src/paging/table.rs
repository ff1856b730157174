//! A table: 512 descriptors in one frame. The only module of `paging` with `unsafe`, and what it promises to the
//! others is this: **a table descriptor in a table always names a table of the level below, and holds one of the
//! references to it.**
//!
//! It holds because a table descriptor can only be written by those who have a reference to give away: an
//! [`OwnedTable`], which is the only one, or a [`TableReference`], which may be one of several. An owned table comes
//! from [`OwnedTable::allocate`] (a fresh frame), from [`OwnedTable::adopt`] (whose caller vouches) or from the release
//! of the last reference; a reference comes from `Table::unlink` and `Table::replace` (which take the descriptor away)
//! or from `Table::share` (which counts one more). So the walk from table to table is safe code.
//!
//! Entries are atomics, for the walkers of all CPUs read them at any time: stores are Release, so that whatever a
//! descriptor leads to was written before it; loads are Relaxed, for a table is changed by the holder of its tree's
//! lock alone, and what others do to a shared one ([`share`](super::share)) is ordered by its count.

use core::array;
use core::ptr::NonNull;

use super::address::{ENTRIES, Index, Level};
use super::attr::TableLimits;
use super::descriptor::{Descriptor, Entry, Groups, Leaf, TableEntry};
use crate::addr::{PAGE_SIZE, PhysFrame};
use crate::hal::FrameAccess;
use crate::sync::atomic::{AtomicU64, Ordering};

/// There is no frame left for a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutOfFrames;

/// Where table frames come from.
///
/// # Safety
///
/// A frame that [`allocate`](Self::allocate) or [`allocate_zeroed`](Self::allocate_zeroed) returns belongs to the memory
/// that the same `Mmu`'s `FrameAccess` covers, and to the caller alone until it is given to [`free`](Self::free).
pub unsafe trait TableSource {
    /// Takes a frame; its contents do not matter.
    fn allocate(&self) -> Result<PhysFrame, OutOfFrames>;

    /// Takes a frame that holds zeroes, which are invalid descriptors. For sources that keep such frames, or have a
    /// quicker way to make one.
    fn allocate_zeroed(&self, memory: &impl FrameAccess) -> Result<PhysFrame, OutOfFrames> {
        let frame = self.allocate()?;
        // SAFETY: the frame is in managed memory and ours alone (contract of `allocate`), so its pointer is valid for
        // writes of PAGE_SIZE bytes (contract of `FrameAccess`), and no reference to it exists.
        unsafe { memory.frame_ptr(frame).write_bytes(0, PAGE_SIZE) };
        Ok(frame)
    }

    /// Takes `N` such frames, or none: for sources that have a quicker way than one by one, as long as that serves.
    fn allocate_zeroed_at_once<const N: usize>(&self) -> Option<[PhysFrame; N]> {
        None
    }

    /// Takes a frame back. No walker can reach it any more.
    fn free(&self, frame: PhysFrame);

    /// Takes a frame back that holds zeroes. For sources that keep such frames.
    fn free_zeroed(&self, frame: PhysFrame) {
        self.free(frame);
    }

    /// Gives up one reference to the table in `frame`. As it stands here it is for sources whose tables are never
    /// shared: each reference is the only one.
    fn release(&self, frame: PhysFrame) -> Released {
        let _ = frame;
        Released::Last
    }
}

/// What giving up a reference to a table meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Released {
    /// Others hold references still.
    Shared,
    /// It was the last: the table is the caller's alone, who looks after what is below it and frees it.
    Last,
}

/// A source of tables that counts the references to each.
///
/// # Safety
///
/// * The count of a frame is 1 when [`allocate`](TableSource::allocate) or
///   [`allocate_zeroed`](TableSource::allocate_zeroed) returns it; [`share`](Self::share) adds one,
///   and [`release`](TableSource::release), which the source must have of its own, takes one away.
/// * `release` answers `Last` to whoever takes away the last one, and to nobody else.
/// * When `release` answers `Last` or [`is_last`](Self::is_last) is true, all that former holders did before their
///   `release` has happened.
pub unsafe trait TableCounts: TableSource {
    /// Makes one more reference to the table in `frame`, to which the caller has one.
    fn share(&self, frame: PhysFrame);

    /// Whether the caller's reference to the table in `frame` is the only one. Then it stays so until he shares it.
    fn is_last(&self, frame: PhysFrame) -> bool;
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
        Ok(Self { frame: Self::zeroed_frame(memory, source)?, level })
    }

    /// A new table of each of these levels, or none.
    #[inline]
    pub(super) fn allocate_several<const N: usize>(
        levels: [Level; N],
        memory: &impl FrameAccess,
        source: &impl TableSource,
    ) -> Result<[Self; N], OutOfFrames> {
        match source.allocate_zeroed_at_once::<N>() {
            Some(frames) => Ok(array::from_fn(|number| Self { frame: frames[number], level: levels[number] })),
            None => Self::allocate_one_by_one(levels, memory, source),
        }
    }

    #[cold]
    #[inline(never)]
    fn allocate_one_by_one<const N: usize>(
        levels: [Level; N],
        memory: &impl FrameAccess,
        source: &impl TableSource,
    ) -> Result<[Self; N], OutOfFrames> {
        let mut tables = heapless::Vec::<_, N>::new();
        for level in levels {
            match Self::allocate(level, memory, source) {
                Ok(table) => drop(tables.push(table)),
                Err(OutOfFrames) => {
                    tables.into_iter().for_each(|table: Self| table.free_empty(source));
                    return Err(OutOfFrames);
                }
            }
        }
        tables.into_array().map_err(|_| OutOfFrames)
    }

    #[cfg(not(loom))]
    fn zeroed_frame(memory: &impl FrameAccess, source: &impl TableSource) -> Result<PhysFrame, OutOfFrames> {
        source.allocate_zeroed(memory)
    }

    /// In a model a frame holds atomics already, which are more than their bits.
    #[cfg(loom)]
    fn zeroed_frame(memory: &impl FrameAccess, source: &impl TableSource) -> Result<PhysFrame, OutOfFrames> {
        let table = Self { frame: source.allocate()?, level: Level::One };
        Index::all().for_each(|index| table.view(memory).store(index, Descriptor::INVALID));
        Ok(table.frame)
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

    /// Gives the frame back like [`free`](Self::free); nothing is in use in the table.
    pub(super) fn free_empty(self, source: &impl TableSource) {
        source.free_zeroed(self.frame);
    }
}

/// One reference to a table that no descriptor holds at present. Must be linked or released, for a drop leaks it.
#[must_use = "a reference that is neither linked nor released is a lost frame"]
#[derive(Debug)]
pub struct TableReference {
    frame: PhysFrame,
    level: Level,
}

impl TableReference {
    /// Gives the reference up. If it was the last, the table is the caller's. He has seen to it that no TLB and no walk
    /// cache knows the table by way of the descriptor that held the reference.
    pub(super) fn release(self, source: &impl TableSource) -> Option<OwnedTable> {
        match source.release(self.frame) {
            Released::Shared => None,
            Released::Last => Some(OwnedTable { frame: self.frame, level: self.level }),
        }
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
    #[inline]
    pub fn descriptor(self, index: Index) -> Descriptor {
        Descriptor::from_raw(self.entries[index.get()].load(Ordering::Relaxed))
    }

    /// What the descriptor at `index` means, which this kernel wrote.
    #[must_use]
    #[inline]
    pub fn entry(self, index: Index) -> Entry {
        self.descriptor(index).decode_ours(self.level)
    }

    /// The table that the descriptor at `index` names, if it names one.
    #[must_use]
    #[inline]
    pub fn child(self, memory: &'m impl FrameAccess, index: Index) -> Option<(Self, TableEntry)> {
        let entry = self.named(index)?;
        let below = self.level.below()?;
        // SAFETY: a table descriptor names a table of the level below (see the head of the module).
        let child = unsafe { Self::at(memory, entry.frame, below) };
        Some((child, entry))
    }

    /// What the table descriptor at `index` says, if there is one.
    #[inline]
    fn named(self, index: Index) -> Option<TableEntry> {
        self.descriptor(index).as_table(self.level)
    }

    /// Calls `each` for the entries in use, in order, of which there are `live`, all of them in `groups`: the search ends
    /// with the last one.
    #[inline]
    pub(super) fn in_use(self, live: u16, groups: Groups, mut each: impl FnMut(Index, Descriptor)) {
        let (mut left, mut group) = (live, 0_usize);
        for entries in self.entries.as_chunks::<{ Groups::ENTRIES }>().0 {
            if groups.has(group) {
                let first = group.wrapping_mul(Groups::ENTRIES);
                left = Self::in_use_of(entries, first, left, &mut each);
                if left == 0 {
                    return;
                }
            }
            group = group.wrapping_add(1);
        }
    }

    /// The same for those of them from `first` to `last`.
    #[inline]
    pub(super) fn in_use_between(
        self,
        (first, last): (Index, Index),
        live: u16,
        groups: Groups,
        mut each: impl FnMut(Index, Descriptor),
    ) {
        self.in_use(live, Groups::of_range(first, last).among(groups), |index, descriptor| {
            if first <= index && index <= last {
                each(index, descriptor);
            }
        });
    }

    /// The same as [`in_use`](Self::in_use) for one group, which begins with the entry `first`. Returns how many entries are
    /// left to be found.
    #[inline]
    fn in_use_of(
        group: &[AtomicU64; Groups::ENTRIES],
        mut first: usize,
        mut left: u16,
        each: &mut impl FnMut(Index, Descriptor),
    ) -> u16 {
        /// So many entries are looked at by one question.
        const RUN: usize = if Groups::ENTRIES < 4 { 1 } else { 4 };
        let load = |entry: &AtomicU64| Descriptor::from_raw(entry.load(Ordering::Relaxed));
        for run in group.as_chunks::<RUN>().0 {
            let mut place = first;
            first = first.wrapping_add(RUN);
            if run.iter().fold(0, |all, entry| all | load(entry).raw()) & Descriptor::VALID == 0 {
                continue;
            }
            for entry in run {
                let descriptor = load(entry);
                if descriptor.is_valid() {
                    each(Index::within(place), descriptor);
                    left = left.wrapping_sub(1);
                }
                place = place.wrapping_add(1);
            }
            if left == 0 {
                break;
            }
        }
        left
    }

    /// Calls `each` for the entries in use, of which there are `live`, nearest to `near` first: few steps where they stand
    /// close together around it.
    #[inline]
    pub(super) fn in_use_around(self, near: Index, live: u16, mut each: impl FnMut(Index, Descriptor)) {
        let mut left = live;
        // 0, 1, -1, 2, -2 and so on from there; what that leads out of the table is passed by.
        let (mut place, mut step) = (near.get(), 0_usize);
        while left > 0 && step < 2 * ENTRIES {
            if let Some(index) = Index::new(place)
                && let descriptor = self.descriptor(index)
                && descriptor.is_valid()
            {
                each(index, descriptor);
                left = left.wrapping_sub(1);
            }
            step = step.wrapping_add(1);
            place = if step.is_multiple_of(2) { place.wrapping_sub(step) } else { place.wrapping_add(step) };
        }
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

    /// Writes a leaf of another table of this level, as [`set_leaf`](Self::set_leaf) does, without taking it apart.
    pub(super) fn copy_leaf(self, index: Index, leaf: Descriptor) {
        debug_assert!(leaf.decode(self.level).leaf().is_some(), "a table is shared, not copied by its bits");
        self.store(index, leaf);
    }

    /// Makes a leaf invalid.
    #[inline]
    pub(super) fn clear_leaf(self, index: Index) {
        debug_assert!(self.entry(index).leaf().is_some(), "only a leaf is cleared, a table is unlinked");
        self.store(index, Descriptor::INVALID);
    }

    /// Makes the entry at `index` invalid, whatever it refers to: that was given up.
    #[inline]
    pub(super) fn empty(self, index: Index) {
        self.store(index, Descriptor::INVALID);
    }

    /// Hangs `table`, in which `live` entries are in use, all of them in `groups`, below the invalid entry at `index`.
    #[expect(clippy::needless_pass_by_value, reason = "the descriptor owns the table from here on")]
    pub(super) fn link(self, index: Index, table: OwnedTable, live: u16, groups: Groups) {
        debug_assert_eq!(Some(table.level), self.level.below(), "a table hangs below the level above");
        debug_assert_eq!(self.entry(index), Entry::Invalid, "a live entry is not overwritten");
        let entry = TableEntry { frame: table.frame, limits: TableLimits::empty(), groups, live };
        self.store(index, Descriptor::table(entry));
    }

    /// Lets `copy`, a table of this level, have the table below `index` too, if there is one: one more reference, and
    /// nothing below is written by way of either. Says whether it could be written by way of this one. Stores nothing
    /// here if it could not: the line of a shared table is not taken from other CPUs without need.
    #[inline]
    pub(super) fn share_with(self, copy: Table<'_>, index: Index, counts: &impl TableCounts) -> bool {
        debug_assert_eq!(copy.level, self.level, "a reference stays at its level");
        debug_assert_eq!(copy.entry(index), Entry::Invalid, "a live entry is not overwritten");
        let descriptor = self.descriptor(index);
        let Some(frame) = descriptor.next_table(self.level) else { return false };
        counts.share(frame);
        let shared = descriptor.read_only();
        let was_writable = shared != descriptor;
        if was_writable {
            self.store(index, shared);
        }
        copy.store(index, shared);
        was_writable
    }

    /// Hangs `table` below `index` in place of the table there, of which it is a copy, under `limits`. Walkers may
    /// know the old one until the flush.
    #[expect(clippy::needless_pass_by_value, reason = "the descriptor owns the table from here on")]
    pub(super) fn replace(self, index: Index, table: OwnedTable, limits: TableLimits) -> Option<TableReference> {
        debug_assert_eq!(Some(table.level), self.level.below(), "a table hangs below the level above");
        let old = self.named(index)?;
        self.store(index, Descriptor::table(TableEntry { frame: table.frame, limits, ..old }));
        Some(TableReference { frame: old.frame, level: table.level })
    }

    /// Takes the table below `index` out, if there is one, and returns what the descriptor said. Walkers may know it until
    /// the flush.
    #[inline]
    pub(super) fn unlink(self, index: Index) -> Option<(TableReference, TableEntry)> {
        let entry = self.named(index)?;
        self.store(index, Descriptor::INVALID);
        self.level.below().map(|level| (TableReference { frame: entry.frame, level }, entry))
    }

    /// Lets the descriptor at `index` forbid `limits` and nothing else in the table below. Stores nothing if it does
    /// so already: the line of a shared table is not taken from other CPUs without need.
    pub(super) fn set_limits(self, index: Index, limits: TableLimits) {
        if let Some(entry) = self.named(index)
            && entry.limits != limits
        {
            self.store(index, Descriptor::table(TableEntry { limits, ..entry }));
        }
    }

    /// Notes that `live` entries of the table below `index` are in use. The walker ignores those bits, so that nothing
    /// needs a flush.
    pub(super) fn set_live(self, index: Index, live: u16) {
        if let Some(entry) = self.named(index) {
            self.store(index, Descriptor::table(TableEntry { live, ..entry }));
        }
    }

    /// Notes that `more` entries of the table below `index` are in use, all of them in `groups`.
    pub(super) fn add_live(self, index: Index, more: u16, groups: Groups) {
        if let Some(entry) = self.named(index) {
            let (live, groups) = (entry.live + more, entry.groups.with(groups));
            self.store(index, Descriptor::table(TableEntry { live, groups, ..entry }));
        }
    }

    fn store(self, index: Index, descriptor: Descriptor) {
        self.entries[index.get()].store(descriptor.raw(), Ordering::Release);
    }
}
