//! Mapping a range onto physical memory.

use core::ops::ControlFlow;

use super::address::{HalfAddress, Level, Span, VirtRange};
use super::attr::{Access, Attributes};
use super::descriptor::{Entry, Groups, Leaf, PHYSICAL_BITS};
use super::table::{OutOfFrames, OwnedTable, Table};
use super::tree::{Tree, discard};
use super::{Mmu, unmap};
use crate::addr::{PAGE_SIZE, PhysAddr, UserAddr};
use crate::hal::Tlb;

/// Why a range was not mapped. Nothing of it is, then.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MapError<A> {
    /// Something is mapped in the range already.
    AlreadyMapped {
        /// The first such address.
        at: A,
    },
    /// There is no frame for a table.
    OutOfFrames,
    /// The physical address is not on a page border.
    Misaligned {
        /// The physical address.
        output: PhysAddr,
    },
    /// The physical memory ends beyond what a descriptor of this kernel can name.
    OutOfRange {
        /// The physical address.
        output: PhysAddr,
    },
}

impl<A: HalfAddress> Tree<A> {
    /// Maps `range` onto the physical memory from `output` on, with the largest blocks that fit.
    ///
    /// Blocks cannot be unmapped or protected in part; where that will be wanted, use [`map_pages`](Self::map_pages).
    pub fn map(
        &mut self,
        mmu: &impl Mmu,
        range: VirtRange<A>,
        output: PhysAddr,
        attributes: Attributes<A::Access>,
    ) -> Result<(), MapError<A>> {
        self.map_up_to(Level::One, mmu, range, output, attributes)
    }

    /// Maps `range` onto the physical memory from `output` on, page by page.
    pub fn map_pages(
        &mut self,
        mmu: &impl Mmu,
        range: VirtRange<A>,
        output: PhysAddr,
        attributes: Attributes<A::Access>,
    ) -> Result<(), MapError<A>> {
        self.map_up_to(Level::Three, mmu, range, output, attributes)
    }

    fn map_up_to(
        &mut self,
        largest: Level,
        mmu: &impl Mmu,
        range: VirtRange<A>,
        output: PhysAddr,
        attributes: Attributes<A::Access>,
    ) -> Result<(), MapError<A>> {
        check_output(output, range.bytes())?;
        self.check_free(mmu, range)?;
        let span = range.span();
        let work = Work {
            mmu,
            start: span.start,
            output,
            attributes: attributes.with_access(attributes.access.into()),
            largest,
        };
        let filled = work.fill(self.root_table(mmu.memory()), span);
        self.note_used(mmu.memory(), span);
        match filled.outcome {
            Ok(()) => {
                // Invalid entries are in no TLB: new ones need no invalidation, they only need to be seen.
                mmu.tlb().publish();
                Ok(())
            }
            Err(OutOfFrames) => {
                // The range was free, so that all of it that is mapped now is our own half-done work.
                let _ = unmap::clear(self, mmu, span, |_| ());
                Err(MapError::OutOfFrames)
            }
        }
    }

    fn check_free(&self, mmu: &impl Mmu, range: VirtRange<A>) -> Result<(), MapError<A>> {
        let found = self.visit(mmu.memory(), range, |visited| match visited.entry {
            Entry::Table(_) => ControlFlow::Continue(()),
            Entry::Invalid | Entry::Block(_) | Entry::Page(_) | Entry::Reserved => ControlFlow::Break(visited.start),
        });
        match found {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(start) => Err(MapError::AlreadyMapped { at: start.max(range.start()) }),
        }
    }
}

pub(super) fn check_output<A>(output: PhysAddr, bytes: u64) -> Result<(), MapError<A>> {
    if !output.is_aligned(PAGE_SIZE as u64) {
        return Err(MapError::Misaligned { output });
    }
    match output.get().checked_add(bytes) {
        Some(end) if end <= 1 << PHYSICAL_BITS => Ok(()),
        Some(_) | None => Err(MapError::OutOfRange { output }),
    }
}

/// What [`Work::fill`] did to a table: entries that it added, where, and whether it got to the end.
struct Filled {
    added: u16,
    groups: Groups,
    outcome: Result<(), OutOfFrames>,
}

/// A `map` under way.
struct Work<'a, X> {
    mmu: &'a X,
    /// The offset that is mapped to `output`.
    start: u64,
    output: PhysAddr,
    attributes: Attributes<Access>,
    largest: Level,
}

impl<X: Mmu> Work<'_, X> {
    /// Maps `span` in `table` and below. The count of each child's live entries is right afterwards also on failure.
    fn fill(&self, table: Table<'_>, span: Span) -> Filled {
        let (mut added, mut groups) = (0, Groups::default());
        for (index, piece) in table.level().pieces(span) {
            let outcome = if let Some((child, _)) = table.child(self.mmu.memory(), index) {
                let filled = self.fill(child, piece);
                table.add_live(index, filled.added, filled.groups);
                filled.outcome
            } else if let Some(leaf) = self.whole_entry(table.level(), piece) {
                table.set_leaf(index, leaf);
                added += 1;
                groups = groups.with(Groups::of(index));
                Ok(())
            } else {
                let grown = self.grow(table.level(), piece);
                grown.map(|(fresh, filled)| {
                    table.link(index, fresh, filled.added, filled.groups);
                    added += 1;
                    groups = groups.with(Groups::of(index));
                })
            };
            if outcome.is_err() {
                return Filled { added, groups, outcome };
            }
        }
        Filled { added, groups, outcome: Ok(()) }
    }

    /// A new table for the level below `level`, filled with `span` before anybody can see it: a walker that finds the
    /// descriptor finds all below it. Also says how many entries are in use.
    fn grow(&self, level: Level, span: Span) -> Result<(OwnedTable, Filled), OutOfFrames> {
        // A page entry is always whole, so that there is a level below.
        let below = level.below().unwrap_or(Level::Three);
        let fresh = OwnedTable::allocate(below, self.mmu.memory(), self.mmu.tables())?;
        let filled = self.fill(fresh.view(self.mmu.memory()), span);
        match filled.outcome {
            Ok(()) => Ok((fresh, filled)),
            Err(OutOfFrames) => {
                // No walker ever saw these tables, and their leaves map nothing that was handed over.
                discard::<UserAddr>(fresh, filled.added, filled.groups, 0, self.mmu, &mut |_| ());
                Err(OutOfFrames)
            }
        }
    }

    /// The leaf for `piece`, if one entry of `level` can map all of it.
    fn whole_entry(&self, level: Level, piece: Span) -> Option<Leaf> {
        let output = PhysAddr::new(self.output.get() + (piece.start - self.start));
        let fits =
            level >= self.largest && piece.bytes() == level.entry_size() && output.is_aligned(level.entry_size());
        fits.then_some(Leaf { output, attributes: self.attributes })
    }
}
