//! Moving pages to other addresses of the same tree.

use core::ops::ControlFlow;

use heapless::Vec;

use super::change::Whole;
use super::counts::{LeafCounts, SharingMmu};
use super::slot::SlotError;
use super::tree::UserTree;
use crate::addr::{PAGE_SIZE, PhysFrame, UserAddr};
use crate::paging::address::VirtRange;
use crate::paging::attr::Access;
use crate::paging::table::OutOfFrames;
use crate::paging::unmap::MappedLeaf;

/// How many leaves are looked up at a time.
const BATCH: usize = 32;

impl UserTree {
    /// Maps at `to` what is mapped in `from`, where it is unmapped. Both lie in the half and do not overlap, and nothing
    /// is mapped at `to`.
    ///
    /// Each leaf is counted and written to its new place first, and the old range is unmapped when all of them are
    /// there. In between a page has two leaves, both of them this program's.
    ///
    /// # Errors
    ///
    /// [`OutOfFrames`] if a table cannot be had; everything is where it was.
    pub fn relocate(
        &mut self,
        mmu: &impl SharingMmu,
        from: VirtRange<UserAddr>,
        to: UserAddr,
    ) -> Result<(), OutOfFrames> {
        // A leaf of a table of ours says the truth about who may store; one below a read-only descriptor need not.
        self.open_all(mmu, from.span())?;
        let target = VirtRange::new(to, from.bytes());
        debug_assert!(target.is_ok(), "the caller's promise");
        let Ok(target) = target else { return Ok(()) };
        self.open_ends(mmu, target.span(), Whole::Not)?;
        let outcome = self.copy_leaves(mmu, from, to);
        // Both ranges are ours now: there is nothing to copy, so this does not fail.
        let _ = self.unmap(mmu, if outcome.is_ok() { from } else { target })?;
        outcome
    }

    fn copy_leaves(
        &mut self,
        mmu: &impl SharingMmu,
        from: VirtRange<UserAddr>,
        to: UserAddr,
    ) -> Result<(), OutOfFrames> {
        let end = from.start().get() + from.bytes();
        let mut next = from.start();
        loop {
            let batch = self.leaves_from(mmu, next, end);
            for mapped in &batch {
                let Access::User(access) = mapped.leaf.attributes.access else { continue };
                let target = UserAddr::new(to.get() + (mapped.start.get() - from.start().get()));
                let mut slot = match self.slot(mmu, target) {
                    Ok(slot) => slot,
                    Err(SlotError::OutOfFrames) => return Err(OutOfFrames),
                    // Not so, as the caller promised.
                    Err(SlotError::OutOfHalf) => continue,
                };
                mmu.leaves().share(mapped.leaf);
                let frame = PhysFrame::containing(mapped.leaf.output);
                if slot.fill(frame, mapped.leaf.attributes.with_access(access)).is_err() {
                    mmu.leaves().release(mapped.leaf);
                    return Err(OutOfFrames);
                }
            }
            match batch.last() {
                Some(last) if batch.is_full() => next = UserAddr::new(last.start.get() + PAGE_SIZE as u64),
                Some(_) | None => return Ok(()),
            }
        }
    }

    /// The first leaves from `start` on and before `end`.
    fn leaves_from(&self, mmu: &impl SharingMmu, start: UserAddr, end: u64) -> Vec<MappedLeaf<UserAddr>, BATCH> {
        let mut found = Vec::new();
        let Ok(range) = VirtRange::new(start, end - start.get()) else { return found };
        let _: ControlFlow<()> = self.tree.visit(mmu.memory(), range, |visited| {
            let Some(leaf) = visited.entry.leaf() else { return ControlFlow::Continue(()) };
            match found.push(MappedLeaf { start: visited.start, level: visited.level, leaf }) {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            }
        });
        found
    }
}
