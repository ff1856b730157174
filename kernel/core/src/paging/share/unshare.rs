//! Making one path ours: the verb below all others.
//!
//! Rules 3 to 6 of the [protocol](super) are here, in this order: [`Path::descend`] works below the barrier,
//! [`Path::finish`] forgets, lets go and lifts.

use heapless::Vec;

use super::copy::copy_table;
use super::counts::{LeafCounts, SharingMmu};
use super::tree::UserTree;
use crate::addr::{Asid, PAGE_SIZE, UserAddr};
use crate::hal::Tlb;
use crate::paging::address::{HalfAddress, Index, Level, Span};
use crate::paging::attr::TableLimits;
use crate::paging::descriptor::{Groups, TableEntry};
use crate::paging::table::{OutOfFrames, Table, TableCounts, TableReference};
use crate::paging::tree::discard;
use crate::paging::unmap::MappedLeaf;

/// What unsharing found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Unshared {
    /// The path was ours already.
    Before,
    /// The path is ours now. A TLB may hold a refusal for addresses that it leads to.
    Now,
}

impl UserTree {
    /// Makes all tables on the way to `at` ours, as far as there are any. What they map, and what stays shared, can be
    /// read as before; leaves may have lost the right to store, which [`write`](Self::write) gives back.
    ///
    /// # Errors
    ///
    /// [`OutOfFrames`]: the path, or the rest of it, is shared as before. At most two tables are needed.
    pub fn unshare(&mut self, mmu: &impl SharingMmu, at: UserAddr) -> Result<Unshared, OutOfFrames> {
        let Some(offset) = at.offset() else { return Ok(Unshared::Before) };
        let unshared = self.open(mmu, page_at(offset), offset)?;
        if unshared == Unshared::Now {
            mmu.tlb().flush_user_page(self.tree.tag, at.page_down());
        }
        Ok(unshared)
    }

    /// Makes the tables on the way to `offset` ours, but for those that lie in `span` whole. Leaves refusals in TLBs.
    pub(super) fn open(&mut self, mmu: &impl SharingMmu, span: Span, offset: u64) -> Result<Unshared, OutOfFrames> {
        open_path(self.tree.root_table(mmu.memory()), self.tree.tag, mmu, span, offset)
    }
}

/// Makes the tables on the way from `root` to `offset` ours, but for those that lie in `span` whole. Leaves refusals in
/// TLBs.
#[inline(never)]
pub(super) fn open_path(
    root: Table<'_>,
    tag: Asid,
    mmu: &impl SharingMmu,
    span: Span,
    offset: u64,
) -> Result<Unshared, OutOfFrames> {
    let mut path = Path { mmu, offset, barrier: None, replaced: Vec::new() };
    let outcome = path.descend(root, span);
    path.finish(tag, outcome)
}

/// The page that holds `offset`.
pub(super) fn page_at(offset: u64) -> Span {
    let start = offset & !(PAGE_SIZE as u64 - 1);
    Span { start, end: start + PAGE_SIZE as u64 }
}

/// A path that is being made ours.
struct Path<'m, X> {
    mmu: &'m X,
    offset: u64,
    /// The topmost read-only descriptor.
    barrier: Option<(Table<'m>, Index)>,
    /// Tables that were replaced by copies.
    replaced: Vec<Replaced, 2>,
}

/// A table of which a copy has taken the place.
#[derive(Debug)]
struct Replaced {
    reference: TableReference,
    /// Entries in use, and where.
    live: u16,
    groups: Groups,
    /// The level of the descriptor that named it.
    level: Level,
}

impl<'m, X: SharingMmu> Path<'m, X> {
    /// Goes down from `table`, which is ours, and makes each next table ours, but for the barrier.
    fn descend(&mut self, mut table: Table<'m>, span: Span) -> Result<(), OutOfFrames> {
        loop {
            let index = table.level().index(self.offset);
            if lies_within(span, table.level(), self.offset) {
                return Ok(());
            }
            let Some((child, entry)) = table.child(self.mmu.memory(), index) else { return Ok(()) };
            if !entry.limits.contains(TableLimits::READ_ONLY) {
                table = child;
                continue;
            }
            self.take(table, index, child, entry)?;
            let Some((taken, _)) = table.child(self.mmu.memory(), index) else { return Ok(()) };
            table = taken;
        }
    }

    /// Makes `child` ours, which the read-only `entry` at `index` of `table` names: as it is, if nobody else has it,
    /// and by a copy otherwise. The first such entry stays read-only.
    fn take(&mut self, table: Table<'m>, index: Index, child: Table<'m>, entry: TableEntry) -> Result<(), OutOfFrames> {
        let open = entry.limits - TableLimits::READ_ONLY;
        let limits = if self.barrier.is_none() { entry.limits } else { open };
        if self.mmu.tables().is_last(entry.frame) {
            table.set_limits(index, limits);
        } else {
            let copy = copy_table(child, entry.live, entry.groups, self.mmu)?;
            let old = table.replace(index, copy, limits);
            let old = old.map(|reference| Replaced {
                reference,
                live: entry.live,
                groups: entry.groups,
                level: table.level(),
            });
            // There are two levels of table descriptors, so that both fit.
            self.replaced.extend(old);
        }
        self.barrier.get_or_insert((table, index));
        Ok(())
    }

    /// Forgets the address space, lets go of what was replaced, and lifts the barrier if all below it is ours.
    fn finish(self, tag: Asid, outcome: Result<(), OutOfFrames>) -> Result<Unshared, OutOfFrames> {
        let Some((table, index)) = self.barrier else { return outcome.map(|()| Unshared::Before) };
        // Also where nothing was copied: caches may hold descriptors from below as they were before others marked them.
        self.mmu.tlb().publish();
        self.mmu.tlb().flush_asid(tag);
        for old in self.replaced {
            if let Some(owned) = old.reference.release(self.mmu.tables()) {
                // The other owners have let go meanwhile.
                let start = self.offset & !(old.level.entry_size() - 1);
                let release = &mut |mapped: MappedLeaf<UserAddr>| self.mmu.leaves().release(mapped.leaf);
                discard(owned, old.live, old.groups, start, self.mmu, release);
            }
        }
        outcome?;
        if let Some((_, entry)) = table.child(self.mmu.memory(), index) {
            table.set_limits(index, entry.limits - TableLimits::READ_ONLY);
        }
        self.mmu.tlb().publish();
        Ok(Unshared::Now)
    }
}

/// Whether `span` covers all that the entry for `offset` of a table of `level` stands for.
fn lies_within(span: Span, level: Level, offset: u64) -> bool {
    let start = offset & !(level.entry_size() - 1);
    span.start <= start && start + level.entry_size() <= span.end
}
