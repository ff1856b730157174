//! What a child gets of a range.

use super::area::{Area, AreaFlags, Backing, Inheritance, Sharing};
use super::failure::MapFailure;
use super::range::{PAGE, PageRange};
use super::space::Space;
use super::system::{MemorySystem, Pager, PagerError};
use crate::addr::{PhysFrame, UserAddr};

impl Space {
    /// Sets what a child gets of the pages of `bytes` bytes from `start` on.
    ///
    /// # Errors
    ///
    /// [`MapFailure::NotMapped`] where a part of the range is not mapped; `Invalid`, `TooManyAreas`, `OutOfMemory`.
    pub fn inherit(
        &mut self,
        system: &impl MemorySystem,
        start: UserAddr,
        bytes: u64,
        inheritance: Inheritance,
    ) -> Result<(), MapFailure> {
        if !system.has_room() {
            return Err(MapFailure::OutOfMemory);
        }
        let range = PageRange::new(start, bytes)?;
        self.areas.check_mapped(range)?;
        self.areas.for_update(range)?.update(range, |area| area.inheritance = inheritance);
        Ok(())
    }

    /// Lets the program share the pages of `bytes` bytes from `start` on with the children that it will have
    /// (`MAP_INHERIT_SHARE`). Private memory moves to an object for that.
    ///
    /// # Errors
    ///
    /// As for [`inherit`](Self::inherit), and [`MapFailure::Unsupported`] for private mappings of objects.
    pub fn inherit_shared(
        &mut self,
        system: &impl MemorySystem,
        start: UserAddr,
        bytes: u64,
    ) -> Result<(), MapFailure> {
        let range = PageRange::new(start, bytes)?;
        self.areas.check_mapped(range)?;
        let of_object = |area: &&Area| matches!(area.backing, Backing::Object { .. });
        if self.areas.overlapping(range).iter().filter(of_object).any(|area| area.sharing == Sharing::Private) {
            return Err(MapFailure::Unsupported);
        }
        self.inherit(system, start, bytes, Inheritance::Usual)?;
        let mut next = range.start();
        while let Some(area) = self.areas.from(next).first().filter(|area| area.range.start() < range.end()) {
            let (part, private) = (area.range.and(range), area.sharing == Sharing::Private);
            let Some(part) = part else { break };
            next = part.end();
            if private {
                self.move_to_object(system, part)?;
            }
        }
        Ok(())
    }

    /// Lets the private anonymous pages of `range`, which lies in one area, be those of a new object.
    fn move_to_object(&mut self, system: &impl MemorySystem, range: PageRange) -> Result<(), MapFailure> {
        let pager = system.shared_memory(range.pages())?;
        for page in range.each() {
            let Some(mapping) = self.tree.tables().walk(system.memory(), page).mapping() else { continue };
            let frame = PhysFrame::containing(mapping.phys);
            if frame != system.zero_page() {
                let index = (page.get() - range.start().get()) / PAGE;
                copy_to(system, frame, &*pager, index).map_err(|_| MapFailure::OutOfMemory)?;
            }
        }
        let list = self.areas.for_update(range)?;
        self.resident.remove(self.tree.unmap(system, range.tables())?);
        let before = list.totals().charged;
        list.update(range, |area| {
            area.sharing = Sharing::Shared;
            area.flags.remove(AreaFlags::CHARGED);
            let offset = area.range.start().get() - range.start().get();
            area.backing = Backing::Object { pager: pager.clone(), offset };
        });
        system.commitments().uncharge(before - list.totals().charged);
        Ok(())
    }
}

fn copy_to(system: &impl MemorySystem, from: PhysFrame, pager: &dyn Pager, index: u64) -> Result<(), PagerError> {
    let to = pager.page(index)?;
    system.copy(from, to);
    system.release(to);
    Ok(())
}
