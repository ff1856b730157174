//! Unmapping.

use super::failure::MapFailure;
use super::range::PageRange;
use super::space::Space;
use super::system::MemorySystem;
use crate::addr::UserAddr;

impl Space {
    /// Unmaps whatever lies in the pages of `bytes` bytes from `start` on.
    ///
    /// # Errors
    ///
    /// [`MapFailure::Invalid`] where these are no pages of the half, [`MapFailure::TooManyAreas`] where an area would
    /// fall in two and there is no room for one more, [`MapFailure::OutOfMemory`] where shared tables or the shared list
    /// of areas would have to be copied.
    pub fn unmap(&mut self, system: &impl MemorySystem, start: UserAddr, bytes: u64) -> Result<(), MapFailure> {
        let range = PageRange::new(start, bytes).map_err(|_| MapFailure::Invalid)?;
        self.unmap_range(system, range)
    }

    pub(super) fn unmap_range(&mut self, system: &impl MemorySystem, range: PageRange) -> Result<(), MapFailure> {
        if self.areas.overlapping(range).is_empty() {
            return Ok(());
        }
        let list = self.areas.for_removal(range)?;
        self.resident.remove(self.tree.unmap(system, range.tables())?);
        let before = list.totals().charged;
        list.remove(range);
        system.commitments().uncharge(before - list.totals().charged);
        Ok(())
    }
}
