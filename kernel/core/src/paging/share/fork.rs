//! Fork: share everything.

use super::counts::SharingMmu;
use super::divide::Pages;
use super::tree::UserTree;
use crate::addr::{Asid, PhysFrame, UserAddr};
use crate::hal::Tlb;
use crate::paging::address::{Level, VirtRange};
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
        let root = self.share_all::<NoPages>(mmu, None)?;
        Ok(self.sharing(root, tag))
    }

    /// The same, but the pages of `pages`, two at most, are divided at once, as far as that can be: the child has copies,
    /// in frames from `supply`. Any of them may be unmapped.
    ///
    /// # Errors
    ///
    /// As for [`fork`](Self::fork).
    pub fn fork_dividing(
        &mut self,
        mmu: &impl SharingMmu,
        tag: Asid,
        pages: VirtRange<UserAddr>,
        supply: &impl Pages,
    ) -> Result<Self, OutOfFrames> {
        let root = self.share_all(mmu, Some((pages, supply)))?;
        Ok(self.sharing(root, tag))
    }

    /// The child's tree, with the `root` that [`share_all`](Self::share_all) has made for it.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "it is put together where it stays")]
    pub(crate) fn sharing(&self, root: OwnedTable, tag: Asid) -> Self {
        Self { tree: Tree { root, tag, usage: Usage::Offline, used: self.tree.used } }
    }

    /// Makes the child's root, and shares with it what this one has, but for the pages that are wanted from a supply.
    pub(crate) fn share_all<P: Pages>(
        &mut self,
        mmu: &impl SharingMmu,
        wanted: Option<(VirtRange<UserAddr>, &P)>,
    ) -> Result<OwnedTable, OutOfFrames> {
        let path = wanted.and_then(|(pages, supply)| Some((self.path(mmu, pages)?, supply)));
        let several = path.as_ref().and_then(|_| {
            OwnedTable::allocate_several([Level::One, Level::Two, Level::Three], mmu.memory(), mmu.tables()).ok()
        });
        let (root, wanted) = match (several, path) {
            (Some([root, upper, lower]), Some((path, supply))) => (root, Some((path, supply, upper, lower))),
            _ => (OwnedTable::allocate(Level::One, mmu.memory(), mmu.tables())?, None),
        };
        let (mine, its) = (self.tree.root_table(mmu.memory()), root.view(mmu.memory()));
        let path_root = wanted.as_ref().map(|(path, ..)| path.root);
        let mut writable = wanted.is_some();
        self.tree.used.for_each(|index| {
            if path_root != Some(index) {
                writable |= mine.share_with(its, index, mmu.tables());
            }
        });
        let divided = wanted.map(|(path, supply, upper, lower)| {
            let pages = path.divide(its, (upper, lower), mmu, supply);
            (path, supply, pages)
        });
        mmu.tlb().publish();
        if writable {
            // Not page by page: each of these descriptors stands for 1 GiB.
            mmu.tlb().flush_asid(self.tree.tag);
        }
        if let Some((path, supply, pages)) = divided {
            path.finish(&pages, supply);
            mmu.tlb().publish();
        }
        Ok(root)
    }
}

/// No pages: for a fork that divides none.
enum NoPages {}

impl Pages for NoPages {
    fn take(&self) -> Result<PhysFrame, OutOfFrames> {
        match *self {}
    }

    fn copy(&self, _from: PhysFrame, _to: PhysFrame) {
        match *self {}
    }
}
