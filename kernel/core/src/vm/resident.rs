//! Questions about a range.

use super::failure::MapFailure;
use super::range::{PAGE, PageRange};
use super::space::Space;
use super::system::MemorySystem;
use crate::addr::UserAddr;

impl Space {
    /// Says of each page from `start` on, by 1 or 0 in a byte of `present`, whether it is there (`mincore`).
    ///
    /// # Errors
    ///
    /// [`MapFailure::NotMapped`] where a part of the range is not mapped, [`MapFailure::Invalid`] for no range.
    pub fn resident(&self, system: &impl MemorySystem, start: UserAddr, present: &mut [u8]) -> Result<(), MapFailure> {
        let bytes = (present.len() as u64).checked_mul(PAGE).ok_or(MapFailure::Invalid)?;
        let range = PageRange::new(start, bytes)?;
        self.areas.check_mapped(range)?;
        for (page, present) in range.each().zip(present) {
            let mapping = self.tree.tables().walk(system.memory(), page).mapping();
            *present = u8::from(mapping.is_some());
        }
        Ok(())
    }

    /// Makes what was written to shared mappings in the pages of `bytes` bytes from `start` on visible in their objects
    /// (`msync`). It is already: mappings and objects have the same frames. Only the range is checked.
    ///
    /// # Errors
    ///
    /// As for [`resident`](Self::resident).
    pub fn sync(&self, start: UserAddr, bytes: u64) -> Result<(), MapFailure> {
        if bytes == 0 && start.page_offset() == 0 {
            return Ok(());
        }
        self.areas.check_mapped(PageRange::new(start, bytes)?)
    }
}
