//! The program break.

use super::area::{Area, AreaFlags, Backing, Inheritance, Protection, Sharing};
use super::failure::MapFailure;
use super::map::is_charged;
use super::place::LOWEST;
use super::range::{PAGE, PageRange};
use super::space::{Heap, Space};
use super::system::MemorySystem;
use crate::addr::{USER_END, UserAddr};

impl Space {
    /// The break of a program whose image ends at `image_end` begins there, or behind it by what the layout says. The
    /// memory below the break so far stays.
    pub fn start_break(&mut self, image_end: UserAddr) {
        let start = image_end.align_up(PAGE).and_then(|end| end.checked_add(self.layout.break_gap));
        let start = start.filter(|start| start.get() < USER_END).unwrap_or(image_end);
        self.layout.break_start = start;
        self.heap = Heap { start, end: start };
    }

    /// Moves the break to `to`, and returns where it is afterwards: there, or where it was, if it cannot be moved. Memory
    /// below the break is private, readable and writable, and zero at first.
    pub fn set_break(&mut self, system: &impl MemorySystem, to: UserAddr) -> UserAddr {
        if to >= self.heap.start && to.get() <= USER_END && self.move_break(system, to).is_ok() {
            self.heap.end = to;
        }
        self.heap.end
    }

    fn move_break(&mut self, system: &impl MemorySystem, to: UserAddr) -> Result<(), MapFailure> {
        let old = self.heap.area_end();
        let new = to.align_up(PAGE).ok_or(MapFailure::NoGap)?;
        if let Some(released) = PageRange::between(new, old) {
            return self.unmap_range(system, released);
        }
        let Some(added) = PageRange::between(old, new) else { return Ok(()) };
        if !system.has_room() {
            return Err(MapFailure::OutOfMemory);
        }
        if added.start() < LOWEST || !self.is_free(added) {
            return Err(MapFailure::NoGap);
        }
        let mut area = Area {
            range: added,
            protection: Protection::READ_WRITE,
            maximum: Protection::all(),
            sharing: Sharing::Private,
            backing: Backing::Anonymous,
            inheritance: Inheritance::Usual,
            flags: AreaFlags::empty(),
        };
        area.flags.set(AreaFlags::LOCKED, self.lock_future);
        area.flags.set(AreaFlags::CHARGED, is_charged(system, &area));
        self.put(system, area)?;
        if self.lock_future {
            let _ = self.populate(system, added);
        }
        Ok(())
    }
}
