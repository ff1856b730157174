//! Areas that grow downwards.

use super::area::AreaFlags;
use super::areas::Totals;
use super::place::{LOWEST, STACK_GUARD};
use super::range::PageRange;
use super::space::Space;
use super::system::MemorySystem;
use crate::addr::UserAddr;

impl Space {
    /// Lets the stack above `at`, if there is one, grow down to it. The stack stays within its limit, and a guard of
    /// [`STACK_GUARD`] bytes away from what is mapped below, unless that is another stack or cannot be accessed.
    #[cold]
    pub(super) fn grow_stack(&mut self, system: &impl MemorySystem, at: UserAddr) {
        let _ = self.try_to_grow(system, at);
    }

    fn try_to_grow(&mut self, system: &impl MemorySystem, at: UserAddr) -> Option<()> {
        let area = self.areas.from(at).first().filter(|area| area.flags.contains(AreaFlags::GROWS_DOWN))?;
        let new_start = at.page_down();
        let old_start = area.range.start();
        let whole = PageRange::between(new_start, area.range.end()).filter(|_| new_start >= LOWEST)?;
        if whole.bytes() > self.limits.stack || self.is_too_near(new_start) {
            return None;
        }
        let mut added = area.part(area.range)?;
        added.range = PageRange::between(new_start, old_start)?;
        let more = Totals::of(&added);
        self.check_limits(more, Totals::default()).ok()?;
        system.commitments().charge(more.charged, system.total_frames()).ok()?;
        match self.areas.change(0) {
            Ok(list) => list.grow_down(old_start, new_start),
            Err(_) => {
                system.commitments().uncharge(more.charged);
                return None;
            }
        }
        Some(())
    }

    fn is_too_near(&self, start: UserAddr) -> bool {
        self.areas.below(start).last().is_some_and(|below| {
            let apart = start.get() - below.range.end().get() >= STACK_GUARD;
            !apart && !below.protection.is_empty() && !below.flags.contains(AreaFlags::GROWS_DOWN)
        })
    }
}
