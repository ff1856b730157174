//! Unmapping a range, and the order in which things are given back.
//!
//! A leaf's frame and a table may be in use by any CPU until the invalidation has completed, so both wait in a bounded
//! `Retired` until then.
//!
//! A table that lies in the range whole is taken out whole, by one store, and what is below it is looked at afterwards,
//! when no walker can see it. If it is shared, it is not looked at at all: one reference less is all that unmapping it
//! means.

use core::ops::ControlFlow;

use heapless::Vec;

use super::Mmu;
use super::address::{HalfAddress, Index, Level, Span, VirtRange};
use super::descriptor::{Entry, Groups, Leaf};
use super::flush::Pending;
use super::table::{Table, TableReference};
use super::tree::{Tree, discard};
use crate::hal::FrameAccess;

/// A leaf and where it is mapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MappedLeaf<A> {
    /// The first address that it translates.
    pub start: A,
    /// Its level, and thereby its size.
    pub level: Level,
    /// What it says.
    pub leaf: Leaf,
}

/// A range begins or ends within a block; it has to be split first. Nothing was changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PartialBlock<A> {
    /// The block's first address.
    pub at: A,
    /// The block's level.
    pub level: Level,
}

impl<A: HalfAddress> Tree<A> {
    /// Unmaps whatever is mapped in `range` and frees the tables that become empty. `release` gets each leaf when no
    /// CPU can use it any more.
    pub fn unmap(
        &mut self,
        mmu: &impl Mmu,
        range: VirtRange<A>,
        release: impl FnMut(MappedLeaf<A>),
    ) -> Result<(), PartialBlock<A>> {
        self.check_whole_leaves(mmu, range)?;
        let _ = clear(self, mmu, range.span(), release);
        Ok(())
    }

    /// Refuses a range that cuts a block.
    pub(super) fn check_whole_leaves(&self, mmu: &impl Mmu, range: VirtRange<A>) -> Result<(), PartialBlock<A>> {
        let span = range.span();
        if span.bytes() == 0 {
            return Ok(());
        }
        for edge in [span.start, span.end - 1] {
            let Some(mapping) = self.walk(mmu.memory(), A::from_offset(edge)).mapping() else { continue };
            let start = edge & !(mapping.level.entry_size() - 1);
            if start < span.start || start + mapping.level.entry_size() > span.end {
                return Err(PartialBlock { at: A::from_offset(start), level: mapping.level });
            }
        }
        Ok(())
    }
}

/// Unmaps `span`, which cuts no block. Returns how many leaves were mapped there.
pub(super) fn clear<A: HalfAddress>(
    tree: &mut Tree<A>,
    mmu: &impl Mmu,
    span: Span,
    release: impl FnMut(MappedLeaf<A>),
) -> u64 {
    let mut retired = Retired::new(mmu, tree.tag, release);
    retired.clear_table(tree.root_table(mmu.memory()), span);
    retired.finish_batch();
    let found = retired.found;
    tree.note_used(mmu.memory(), span);
    found
}

/// How many leaves there are below `table`, in which `live` entries are in use.
fn count_leaves(memory: &impl FrameAccess, table: Table<'_>, live: u16, groups: Groups) -> u64 {
    if table.level() == Level::Three {
        return u64::from(live);
    }
    let mut leaves = 0;
    table.in_use(live, groups, |index, _| {
        leaves += match table.child(memory, index) {
            Some((child, entry)) => count_leaves(memory, child, entry.live, entry.groups),
            None => 1,
        };
    });
    leaves
}

/// Most leaves that wait for one invalidation.
const MAX_LEAVES: usize = 32;
/// Most tables that wait for one invalidation.
const MAX_TABLES: usize = 8;

/// A table that was taken out, with what is still in it.
#[derive(Debug)]
struct RetiredTable {
    reference: TableReference,
    /// Entries in use.
    live: u16,
    groups: Groups,
    /// The offset that it begins to translate at.
    start: u64,
}

/// What has been taken out of the tables and cannot be given back before the invalidation.
struct Retired<'a, A: HalfAddress, X, F> {
    mmu: &'a X,
    tag: A::Tag,
    release: F,
    pending: Pending<A>,
    leaves: Vec<MappedLeaf<A>, MAX_LEAVES>,
    tables: Vec<RetiredTable, MAX_TABLES>,
    /// Leaves that were mapped, also those that others still map by the same tables.
    found: u64,
}

impl<'a, A: HalfAddress, X: Mmu, F: FnMut(MappedLeaf<A>)> Retired<'a, A, X, F> {
    fn new(mmu: &'a X, tag: A::Tag, release: F) -> Self {
        Self { mmu, tag, release, pending: Pending::new(), leaves: Vec::new(), tables: Vec::new(), found: 0 }
    }

    /// Clears `span` in `table` and below, and returns how many of the table's own entries became invalid.
    fn clear_table(&mut self, table: Table<'_>, span: Span) -> u16 {
        let level = table.level();
        let mut gone = 0;
        for (index, piece) in level.pieces(span) {
            match table.entry(index) {
                Entry::Invalid | Entry::Reserved => {}
                Entry::Block(leaf) | Entry::Page(leaf) => {
                    table.clear_leaf(index);
                    self.found += 1;
                    self.retire_leaf(MappedLeaf { start: A::from_offset(piece.start), level, leaf });
                    gone += 1;
                }
                Entry::Table(_) => gone += u16::from(self.clear_child(table, index, piece).is_break()),
            }
        }
        gone
    }

    /// [`clear_table`](Self::clear_table) of a table of level 3: of all the entries of a large span, few may be in use.
    fn clear_pages(&mut self, table: Table<'_>, span: Span, live: u16, groups: Groups) -> u16 {
        let level = Level::Three;
        if span.bytes() == 0 {
            return 0;
        }
        let places = (level.index(span.start), level.index(span.end - 1));
        // What the table's first entry translates.
        let begin = span.start - places.0.get() as u64 * level.entry_size();
        let mut gone = 0;
        table.in_use_between(places, live, groups, |index, descriptor| {
            let Some(leaf) = descriptor.decode_ours(level).leaf() else { return };
            table.clear_leaf(index);
            let start = A::from_offset(begin + index.get() as u64 * level.entry_size());
            self.retire_leaf(MappedLeaf { start, level, leaf });
            gone += 1;
        });
        self.found += u64::from(gone);
        gone
    }

    /// Clears `span` in the table below `index`; breaks if nothing is left of it and it was taken out.
    fn clear_child(&mut self, table: Table<'_>, index: Index, span: Span) -> ControlFlow<()> {
        let Some((child, entry)) = table.child(self.mmu.memory(), index) else { return ControlFlow::Continue(()) };
        let whole = span.bytes() == table.level().entry_size();
        if whole {
            self.found += count_leaves(self.mmu.memory(), child, entry.live, entry.groups);
        }
        let live = match child.level() {
            _ if whole => entry.live,
            Level::Three => entry.live - self.clear_pages(child, span, entry.live, entry.groups),
            _ => entry.live - self.clear_table(child, span),
        };
        if live > 0 && !whole {
            table.set_live(index, live);
            return ControlFlow::Continue(());
        }
        if let Some((reference, _)) = table.unlink(index) {
            self.retire_table(RetiredTable { reference, live, groups: entry.groups, start: span.start });
        }
        ControlFlow::Break(())
    }

    fn retire_leaf(&mut self, leaf: MappedLeaf<A>) {
        self.pending.add(leaf.start);
        if let Err(leaf) = self.leaves.push(leaf) {
            self.finish_batch();
            // That invalidation was for this leaf too.
            (self.release)(leaf);
        }
    }

    fn retire_table(&mut self, table: RetiredTable) {
        if table.live > 0 {
            self.pending.add_space();
        } else {
            self.pending.add(A::from_offset(table.start));
        }
        if let Err(table) = self.tables.push(table) {
            self.finish_batch();
            // That invalidation was for this table too.
            self.give_up(table);
        }
    }

    /// Invalidates, then gives everything back.
    fn finish_batch(&mut self) {
        core::mem::take(&mut self.pending).finish(self.mmu.tlb(), self.tag);
        // From where they are: a list of either is long to move.
        while let Some(table) = self.tables.pop() {
            self.give_up(table);
        }
        for &leaf in &self.leaves {
            (self.release)(leaf);
        }
        self.leaves.clear();
    }

    /// One reference less; with the last one the table goes, and all below it.
    fn give_up(&mut self, table: RetiredTable) {
        if let Some(owned) = table.reference.release(self.mmu.tables()) {
            discard(owned, table.live, table.groups, table.start, self.mmu, &mut self.release);
        }
    }
}
