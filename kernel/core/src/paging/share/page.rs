//! What a write fault does at the end of its path: the page itself.

use super::copy::is_private;
use super::counts::{LeafCounts, SharingMmu};
use super::tree::UserTree;
use super::unshare::page_at;
use crate::addr::{PhysAddr, UserAddr};
use crate::hal::Tlb;
use crate::paging::address::{HalfAddress, Index};
use crate::paging::attr::{Access, Attributes, UserAccess};
use crate::paging::descriptor::{Entry, Leaf};
use crate::paging::map::{MapError, check_output};
use crate::paging::table::{OutOfFrames, Table};
use crate::paging::unmap::MappedLeaf;

/// How a page meets a write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Write {
    /// The page can be written now: it could before (the fault was spurious), or nobody else has it any more.
    Granted,
    /// Others have this page, too. It is to be copied, and the copy to take its place: [`UserTree::replace`]. As long as
    /// the leaf stands, nobody changes the page's contents.
    Copy(MappedLeaf<UserAddr>),
    /// Nothing is mapped.
    NotMapped,
}

/// Why a page was not replaced. It is as it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReplaceError {
    /// Nothing is mapped.
    NotMapped {
        /// The address.
        at: UserAddr,
    },
    /// The path is shared, and there is no frame for a table.
    OutOfFrames,
    /// The physical address is not one that a page can have.
    BadOutput {
        /// The physical address.
        output: PhysAddr,
    },
}

impl UserTree {
    /// Prepares the page at `at` for a write that its area allows: makes the path ours, and gives the leaf `access`,
    /// which is what the area lets the program do, unless the page is somebody else's, too.
    ///
    /// # Errors
    ///
    /// [`OutOfFrames`] if a table is shared and cannot be copied.
    pub fn write(&mut self, mmu: &impl SharingMmu, at: UserAddr, access: UserAccess) -> Result<Write, OutOfFrames> {
        let Some(offset) = at.offset() else { return Ok(Write::NotMapped) };
        let _ = self.open(mmu, page_at(offset), offset)?;
        let Some((table, index, leaf)) = self.leaf(mmu, offset) else { return Ok(Write::NotMapped) };
        let start = at.page_down();
        let granted = Leaf { attributes: leaf.attributes.with_access(Access::User(access)), ..leaf };
        if granted != leaf {
            if is_private(leaf) && !mmu.leaves().is_last(leaf) {
                return Ok(Write::Copy(MappedLeaf { start, level: table.level(), leaf }));
            }
            table.set_leaf(index, granted);
        }
        // Also where nothing changed: some TLB remembers the refusal, or there would have been no fault.
        mmu.tlb().publish();
        mmu.tlb().flush_user_page(self.tree.tag, start);
        Ok(Write::Granted)
    }

    /// Lets the page at `at` be the memory at `output`, to whose reference the leaf succeeds, and returns the old leaf with
    /// *its* reference, when no CPU can use it any more. In between, the address translates to nothing
    /// (break-before-make, Arm ARM D8.16.1): another thread's fault waits for the lock that the caller holds.
    pub fn replace(
        &mut self,
        mmu: &impl SharingMmu,
        at: UserAddr,
        output: PhysAddr,
        attributes: Attributes<UserAccess>,
    ) -> Result<MappedLeaf<UserAddr>, ReplaceError> {
        let not_mapped = ReplaceError::NotMapped { at };
        let offset = at.offset().ok_or(not_mapped)?;
        let span = page_at(offset);
        check_output(output, span.bytes()).map_err(|_: MapError<UserAddr>| ReplaceError::BadOutput { output })?;
        let _ = self.open(mmu, span, offset).map_err(|OutOfFrames| ReplaceError::OutOfFrames)?;
        let (table, index, leaf) = self.leaf(mmu, offset).ok_or(not_mapped)?;
        let start = at.page_down();

        table.clear_leaf(index);
        mmu.tlb().publish();
        mmu.tlb().flush_user_page(self.tree.tag, start);
        table.set_leaf(index, Leaf { output, attributes: attributes.with_access(Access::User(attributes.access)) });
        mmu.tlb().publish();
        Ok(MappedLeaf { start, level: table.level(), leaf })
    }

    /// The leaf for `offset` and where it stands.
    fn leaf<'m>(&'m self, mmu: &'m impl SharingMmu, offset: u64) -> Option<(Table<'m>, Index, Leaf)> {
        let mut table = self.tree.root_table(mmu.memory());
        loop {
            let index = table.level().index(offset);
            match table.entry(index) {
                Entry::Block(leaf) | Entry::Page(leaf) => return Some((table, index, leaf)),
                Entry::Table(_) => table = table.child(mmu.memory(), index)?.0,
                Entry::Invalid | Entry::Reserved => return None,
            }
        }
    }
}
