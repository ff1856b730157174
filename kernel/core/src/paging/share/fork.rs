//! Fork: share everything.

use super::counts::SharingMmu;
use super::divide::{Divided, Pages, Path};
use super::tree::UserTree;
use crate::addr::{Asid, PhysFrame, UserAddr};
use crate::hal::Tlb;
use crate::paging::address::{Index, Level, VirtRange};
use crate::paging::table::{OutOfFrames, OwnedTable};
use crate::paging::tree::{Tree, Usage};

impl UserTree {
    /// A second tree, with `tag`, that maps what this one does. From here on neither sees what the other writes, but in
    /// memory that is mapped as shared.
    ///
    /// The moment that the child is a picture of is the return: threads of the parent on other CPUs may store through
    /// what their TLBs hold until then. It costs two descriptors for each GiB in use, and one invalidation of the
    /// parent's address space; none if all of it has been read-only since the last fork.
    ///
    /// # Errors
    ///
    /// [`OutOfFrames`] if there is no frame for the root, which is all that can go wrong; nothing was changed then.
    pub fn fork(&mut self, mmu: &impl SharingMmu, tag: Asid) -> Result<Self, OutOfFrames> {
        self.fork_dividing(mmu, tag, None, &NoPages)
    }

    /// The same, but the pages of `pages`, if any and two at most, are divided at once, as far as that can be: the child has copies,
    /// in frames from `supply`. Any of them may be unmapped.
    ///
    /// # Errors
    ///
    /// As for [`fork`](Self::fork).
    pub fn fork_dividing(
        &mut self,
        mmu: &impl SharingMmu,
        tag: Asid,
        pages: Option<VirtRange<UserAddr>>,
        supply: &impl Pages,
    ) -> Result<Self, OutOfFrames> {
        if let Some(pages) = pages
            && let Some(path) = self.path(mmu, pages)
            && let Ok(tables) =
                OwnedTable::allocate_several([Level::One, Level::Two, Level::Three], mmu.memory(), mmu.tables())
        {
            let root = self.share_around(mmu, &path, tables, supply);
            return Ok(self.child(root, tag));
        }
        let root = OwnedTable::allocate(Level::One, mmu.memory(), mmu.tables())?;
        if self.share_entries(mmu, &root, None) {
            self.forget_rights(mmu);
        } else {
            mmu.tlb().publish();
        }
        Ok(self.child(root, tag))
    }

    /// The tree below `root`, which has what ours has.
    #[inline]
    fn child(&self, root: OwnedTable, tag: Asid) -> Self {
        Self { tree: Tree { root, tag, usage: Usage::Offline, used: self.tree.used } }
    }

    /// Shares all but the pages of `path`, which are divided.
    fn share_around(
        &self,
        mmu: &impl SharingMmu,
        path: &Path<'_>,
        [root, upper, lower]: [OwnedTable; 3],
        supply: &impl Pages,
    ) -> OwnedTable {
        let mut pages = Divided::new();
        path.divide(root.view(mmu.memory()), (upper, lower), mmu, supply, &mut pages);
        self.share_entries(mmu, &root, Some(path.root));
        self.forget_rights(mmu);
        path.finish(&pages, supply);
        mmu.tlb().publish();
        root
    }

    /// Lets `root` have all entries of ours but `without`. Says whether something could be written by way of them.
    #[inline]
    fn share_entries(&self, mmu: &impl SharingMmu, root: &OwnedTable, without: Option<Index>) -> bool {
        let (mine, its) = (self.tree.root_table(mmu.memory()), root.view(mmu.memory()));
        let mut writable = false;
        self.tree.used.for_each(|index| {
            if without != Some(index) {
                writable |= mine.share_with(its, index, mmu.tables());
            }
        });
        writable
    }

    /// Lets every CPU see the marks, and forget what it knew of this address space: not page by page, for each of the marks
    /// stands for 1 GiB.
    #[inline]
    fn forget_rights(&self, mmu: &impl SharingMmu) {
        mmu.tlb().publish();
        mmu.tlb().flush_asid(self.tree.tag);
    }
}

/// No pages: for a fork that divides none.
struct NoPages;

impl Pages for NoPages {
    fn take(&self) -> Result<PhysFrame, OutOfFrames> {
        Err(OutOfFrames)
    }

    fn copy(&self, _from: PhysFrame, _to: PhysFrame) {
        unreachable!("there is no frame to copy to")
    }
}
