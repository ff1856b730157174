//! Changing what may be done with a range.

use super::area::{AreaFlags, Protection, Sharing};
use super::areas::Totals;
use super::failure::MapFailure;
use super::map::is_charged;
use super::range::PageRange;
use super::space::Space;
use super::system::MemorySystem;
use crate::addr::{PhysFrame, UserAddr};
use crate::paging::{Access, UserAccess};

impl Space {
    /// Gives the pages of `bytes` bytes from `start` on the protection `protection`. Private pages that become writable
    /// are promised from then on.
    ///
    /// # Errors
    ///
    /// [`MapFailure::NotMapped`] where a part of the range is not mapped; unlike on Linux, nothing has changed then.
    /// [`MapFailure::Forbidden`] where an object does not allow it, and as for [`map`](Self::map).
    pub fn protect(
        &mut self,
        system: &impl MemorySystem,
        start: UserAddr,
        bytes: u64,
        protection: Protection,
    ) -> Result<(), MapFailure> {
        if bytes == 0 && start.page_offset() == 0 {
            return Ok(());
        }
        let range = PageRange::new(start, bytes)?;
        self.check_write_execute(protection)?;
        self.areas.check_mapped(range)?;
        if self.areas.overlapping(range).iter().any(|area| !area.maximum.contains(protection)) {
            return Err(MapFailure::Forbidden);
        }
        let (more, data) = self.newly_promised(system, range, protection);
        self.check_limits(Totals { data, ..Totals::default() }, Totals::default())?;
        system.commitments().charge(more, system.total_frames())?;
        let changed = self.change_protection(system, range, protection);
        if changed.is_err() {
            system.commitments().uncharge(more);
        }
        changed
    }

    /// How many pages of `range` would have to be promised for `protection`, and how many would become data.
    fn newly_promised(&self, system: &impl MemorySystem, range: PageRange, protection: Protection) -> (u64, u64) {
        let (mut charged, mut data) = (0, 0);
        for mut part in self.areas.overlapping(range).iter().filter_map(|area| area.part(range)) {
            let before = Totals::of(&part);
            part.protection = protection;
            if is_charged(system, &part) {
                charged += before.pages - before.charged;
            }
            data += Totals::of(&part).data.saturating_sub(before.data);
        }
        (charged, data)
    }

    fn change_protection(
        &mut self,
        system: &impl MemorySystem,
        range: PageRange,
        protection: Protection,
    ) -> Result<(), MapFailure> {
        let list = self.areas.for_update(range)?;
        let access = protection.access();
        if self.resident.now() > 0 {
            let executable = protection.contains(Protection::EXECUTE);
            self.tree.protect_each(system, range.tables(), |mapped| {
                if executable && !is_executable(mapped.leaf.attributes.access) {
                    system.make_executable(PhysFrame::containing(mapped.leaf.output));
                }
                access
            })?;
        }
        list.update(range, |area| {
            area.protection = protection;
            // Once promised, a page stays so: it may have been written.
            let charged = area.flags.contains(AreaFlags::CHARGED) || is_charged(system, area);
            area.flags.set(AreaFlags::CHARGED, charged && area.sharing == Sharing::Private);
        });
        Ok(())
    }
}

fn is_executable(access: Access) -> bool {
    matches!(access, Access::User(UserAccess::ReadExecute | UserAccess::ReadWriteExecute))
}
