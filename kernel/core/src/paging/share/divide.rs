//! What a fork divides at once: a page or two that both sides are about to store to.
//!
//! Parent and child return from fork to the same stack, and their first store goes there. If it were shared like all
//! else, both would take a fault, and between them copy two tables and a page, only to have what they could have had from
//! the beginning. So fork gives the child tables of its own on the way to these pages, and a copy of each; the parent keeps
//! its path, open, and its pages. These tables hold a stack and little else.
//!
//! It is done only where that holds: a path through fuller tables, as from a thread's stack among large mappings, is
//! shared like all else, and what fork costs stays the same whatever is mapped.
//!
//! Only pages that the parent has alone and may write are divided. All else in the two tables is shared by rule 3.
//! Until the parent's address space has forgotten what it knew, the pages are marked like the others, so that the copies
//! are of the same moment as all that is shared; then they are copied, and the parent's marks are taken back. A mark that a
//! TLB has seen meanwhile is a refusal like any other.
//!
//! Where there is no memory for it, nothing is divided, and the tables are shared.

use heapless::Vec;

use super::copy::{copy_entry, copy_page, is_private};
use super::counts::{LeafCounts, SharingMmu};
use super::tree::UserTree;
use crate::addr::{PhysFrame, UserAddr};
use crate::paging::address::{Index, Level, Span, VirtRange};
use crate::paging::attr::TableLimits;
use crate::paging::descriptor::{Descriptor, TableEntry};
use crate::paging::table::{OutOfFrames, OwnedTable, Table};

/// The most pages that are divided.
pub(super) const MAX_PAGES: usize = 2;

/// The most entries in use in the tables of a path that is divided.
const MAX_LIVE: u16 = 64;

/// Where fork gets the child's pages from.
pub trait Pages {
    /// A frame to copy a page into, with one reference.
    fn take(&self) -> Result<PhysFrame, OutOfFrames>;

    /// Two of them at one go; `None` where that does not serve, and they are taken one by one.
    fn take_two(&self) -> Option<[PhysFrame; 2]> {
        None
    }

    /// Copies a page.
    fn copy(&self, from: PhysFrame, to: PhysFrame);
}

/// The parent's path to the pages: tables of its own, from below the root's entry `root`.
pub(super) struct Path<'m> {
    pub(super) root: Index,
    upper: Table<'m>,
    upper_entry: TableEntry,
    middle: Index,
    lower: Table<'m>,
    lower_entry: TableEntry,
    /// The pages, in the table of level 3.
    pages: Span,
}

/// The pages that are divided: where each stands in the table of level 3, as the parent had it, and the two frames.
pub(super) type Divided = Vec<(Index, Descriptor, PhysFrame, PhysFrame), MAX_PAGES>;

impl UserTree {
    /// The path to those of `pages` that one table of level 3 translates, if it is the tree's own.
    pub(super) fn path<'m>(&'m self, mmu: &'m impl SharingMmu, pages: VirtRange<UserAddr>) -> Option<Path<'m>> {
        let span = pages.span();
        let own = |entry: TableEntry| !entry.limits.contains(TableLimits::READ_ONLY);
        let (root, middle) = (Level::One.index(span.start), Level::Two.index(span.start));
        let (upper, upper_entry) = self.tree.root_table(mmu.memory()).child(mmu.memory(), root)?;
        let (lower, lower_entry) = upper.child(mmu.memory(), middle).filter(|_| own(upper_entry))?;
        let pages = Level::Two.pieces(span).next().map(|(_, piece)| piece)?;
        let few = upper_entry.live.saturating_add(lower_entry.live) <= MAX_LIVE;
        (few && own(lower_entry)).then_some(Path { root, upper, upper_entry, middle, lower, lower_entry, pages })
    }
}

impl Path<'_> {
    /// Makes the child's path of two new tables, and hangs it into `its_root`. What is divided is noted in `pages`, and has
    /// yet to be [finished](Self::finish).
    #[inline]
    pub(super) fn divide(
        &self,
        its_root: Table<'_>,
        (upper, lower): (OwnedTable, OwnedTable),
        mmu: &impl SharingMmu,
        supply: &impl Pages,
        pages: &mut Divided,
    ) {
        let (first, last) = (Level::Three.index(self.pages.start), Level::Three.index(self.pages.end - 1));
        let (old, new) = (self.lower, lower.view(mmu.memory()));
        let mut wanted = Vec::<_, MAX_PAGES>::new();
        old.in_use_around(first, self.lower_entry.live, |index, descriptor| {
            let alone = if first <= index && index <= last { frame_alone(descriptor, mmu) } else { None };
            match alone {
                Some(from) if wanted.push((index, descriptor, from)).is_ok() => {}
                _ => copy_page(old, new, index, descriptor, mmu),
            }
        });
        let mut move_to = |index, descriptor: Descriptor, from, to| {
            old.copy_leaf(index, descriptor.marked());
            new.copy_leaf(index, descriptor.moved_to(to));
            // It is not full.
            let _ = pages.push((index, descriptor, from, to));
        };
        if let [one, two] = wanted[..]
            && let Some(to) = supply.take_two()
        {
            move_to(one.0, one.1, one.2, to[0]);
            move_to(two.0, two.1, two.2, to[1]);
        } else {
            for &(index, descriptor, from) in &wanted {
                match supply.take() {
                    Ok(to) => move_to(index, descriptor, from, to),
                    Err(OutOfFrames) => copy_page(old, new, index, descriptor, mmu),
                }
            }
        }
        let (old, new) = (self.upper, upper.view(mmu.memory()));
        new.link(self.middle, lower, self.lower_entry.live, self.lower_entry.groups);
        old.in_use_around(self.middle, self.upper_entry.live, |index, descriptor| {
            if index != self.middle {
                copy_entry(old, new, index, descriptor, mmu);
            }
        });
        its_root.link(self.root, upper, self.upper_entry.live, self.upper_entry.groups);
    }

    /// Copies the pages and gives the parent its own back, when its address space has forgotten what it knew of them.
    pub(super) fn finish(&self, pages: &Divided, supply: &impl Pages) {
        for &(index, descriptor, from, to) in pages {
            supply.copy(from, to);
            self.lower.copy_leaf(index, descriptor);
        }
    }
}

/// The page that the leaf maps, if it may be written and nobody else has it.
#[inline]
fn frame_alone(descriptor: Descriptor, mmu: &impl SharingMmu) -> Option<PhysFrame> {
    let leaf = descriptor.decode_ours(Level::Three).leaf()?;
    let alone = descriptor.marked() != descriptor && is_private(leaf) && mmu.leaves().is_last(leaf);
    alone.then(|| PhysFrame::containing(leaf.output))
}
