//! What a write fault does at the end of its path: the page itself.

use super::counts::SharingMmu;
use super::slot::SlotError;
use super::tree::UserTree;
use crate::addr::{PAGE_SIZE, PhysAddr, PhysFrame, UserAddr};
use crate::paging::attr::{Attributes, UserAccess};
use crate::paging::map::{MapError, check_output};
use crate::paging::table::OutOfFrames;
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
        match self.slot(mmu, at) {
            Ok(mut slot) => Ok(slot.write(access)),
            Err(SlotError::OutOfFrames) => Err(OutOfFrames),
            Err(SlotError::OutOfHalf) => Ok(Write::NotMapped),
        }
    }

    /// Lets the page at `at` be the memory at `output`, to whose reference the leaf succeeds, and returns the old leaf with
    /// *its* reference, when no CPU can use it any more: see [`Slot::replace`](super::Slot::replace).
    pub fn replace(
        &mut self,
        mmu: &impl SharingMmu,
        at: UserAddr,
        output: PhysAddr,
        attributes: Attributes<UserAccess>,
    ) -> Result<MappedLeaf<UserAddr>, ReplaceError> {
        check_output(output, PAGE_SIZE as u64).map_err(|_: MapError<UserAddr>| ReplaceError::BadOutput { output })?;
        let mut slot = self.slot(mmu, at).map_err(|error| match error {
            SlotError::OutOfFrames => ReplaceError::OutOfFrames,
            SlotError::OutOfHalf => ReplaceError::NotMapped { at },
        })?;
        slot.replace(PhysFrame::containing(output), attributes).ok_or(ReplaceError::NotMapped { at })
    }
}
