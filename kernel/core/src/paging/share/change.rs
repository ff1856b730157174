//! The verbs of [`Tree`](crate::paging::Tree) for tables that may be shared: what is going to change is made ours first.

use super::copy::{is_private, without_store};
use super::counts::{LeafCounts, SharingMmu};
use super::tree::UserTree;
use super::unshare::page_at;
use crate::addr::{PAGE_SIZE, PhysAddr, UserAddr};
use crate::paging::address::{Level, Span, VirtRange};
use crate::paging::attr::{Attributes, UserAccess};
use crate::paging::descriptor::Entry;
use crate::paging::map::MapError;
use crate::paging::table::OutOfFrames;
use crate::paging::unmap::MappedLeaf;
use crate::paging::{protect, unmap};

impl UserTree {
    /// Maps `range` onto the physical memory from `output` on, page by page. Each leaf takes over one reference to its
    /// page. On an error the references stay with the caller.
    ///
    /// Private memory that somebody else maps too is not handed over writable; [`write`](Self::write) sees to it.
    pub fn map_pages(
        &mut self,
        mmu: &impl SharingMmu,
        range: VirtRange<UserAddr>,
        output: PhysAddr,
        attributes: Attributes<UserAccess>,
    ) -> Result<(), MapError<UserAddr>> {
        // A table in the midst of a free range would be empty, and there are no empty ones: only the ends can be shared.
        self.open_ends(mmu, range.span(), Whole::Too).map_err(|OutOfFrames| MapError::OutOfFrames)?;
        self.tree.map_pages(mmu, range, output, attributes)
    }

    /// Unmaps whatever is mapped in `range` and gives up the references of its leaves. Of a shared table that lies in
    /// the range whole, only the reference is given up. Returns how many pages were mapped.
    ///
    /// # Errors
    ///
    /// [`OutOfFrames`] where the range begins or ends within a shared table, which has to be copied; nothing was unmapped.
    pub fn unmap(&mut self, mmu: &impl SharingMmu, range: VirtRange<UserAddr>) -> Result<u64, OutOfFrames> {
        self.open_ends(mmu, range.span(), Whole::Not)?;
        Ok(unmap::clear(&mut self.tree, mmu, range.span(), |mapped| mmu.leaves().release(mapped.leaf)))
    }

    /// Gives all that is mapped in `range` the permissions `access`. A private page that others have too does not get the
    /// right to store; [`write`](Self::write) gives it later.
    ///
    /// # Errors
    ///
    /// [`OutOfFrames`] where a table of the range is shared and has to be copied; no permission was changed.
    pub fn protect(
        &mut self,
        mmu: &impl SharingMmu,
        range: VirtRange<UserAddr>,
        access: UserAccess,
    ) -> Result<(), OutOfFrames> {
        self.protect_each(mmu, range, |_| access)
    }

    /// Gives each leaf of `range` the permissions that `choose` finds for it, as [`protect`](Self::protect) does.
    pub fn protect_each(
        &mut self,
        mmu: &impl SharingMmu,
        range: VirtRange<UserAddr>,
        mut choose: impl FnMut(MappedLeaf<UserAddr>) -> UserAccess,
    ) -> Result<(), OutOfFrames> {
        self.open_all(mmu, range.span())?;
        protect::change(&mut self.tree, mmu, range.span(), |mapped| {
            let access = choose(mapped);
            let alone = !is_private(mapped.leaf) || mmu.leaves().is_last(mapped.leaf);
            if alone { access } else { without_store(access) }
        });
        Ok(())
    }

    /// Makes the tables ours where `span` begins and where it ends.
    pub(super) fn open_ends(&mut self, mmu: &impl SharingMmu, span: Span, whole: Whole) -> Result<(), OutOfFrames> {
        if span.bytes() == 0 {
            return Ok(());
        }
        for offset in [span.start, span.end - PAGE_SIZE as u64] {
            let spared = if whole == Whole::Too { page_at(offset) } else { span };
            self.open_quietly(mmu, spared, offset)?;
        }
        Ok(())
    }

    /// Makes every table ours that translates something of `span`.
    pub(super) fn open_all(&mut self, mmu: &impl SharingMmu, span: Span) -> Result<(), OutOfFrames> {
        for (index, gib) in Level::One.pieces(span) {
            if self.tree.root_table(mmu.memory()).entry(index) == Entry::Invalid {
                continue;
            }
            for (_, piece) in Level::Two.pieces(gib) {
                self.open_quietly(mmu, page_at(piece.start), piece.start)?;
            }
        }
        Ok(())
    }

    /// Opens a path. The refusals that it leaves need no invalidation here: who takes one is told that it is spurious.
    fn open_quietly(&mut self, mmu: &impl SharingMmu, spared: Span, offset: u64) -> Result<(), OutOfFrames> {
        let _ = self.open(mmu, spared, offset)?;
        Ok(())
    }
}

/// Whether tables that lie in the span whole are to be ours, too.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Whole {
    Too,
    Not,
}
