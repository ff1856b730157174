//! Moving a mapping, and changing its length.

use super::area::{Area, AreaFlags, Backing};
use super::areas::Totals;
use super::failure::MapFailure;
use super::place::Place;
use super::range::{PAGE, PageRange};
use super::space::Space;
use super::system::MemorySystem;
use crate::addr::{USER_END, UserAddr};

/// Whether a mapping may move.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Moving {
    /// No.
    No,
    /// If it cannot grow where it is.
    May,
    /// To this address. What is there goes.
    To(UserAddr),
}

impl Space {
    /// Lets the mapping of `old_bytes` at `old` have `new_bytes`, and says where it is afterwards (`mremap`).
    ///
    /// # Errors
    ///
    /// [`MapFailure::NotMapped`] where the old range is not all of one area, [`MapFailure::NoGap`] where it cannot grow,
    /// [`MapFailure::Invalid`] where ranges overlap or make no sense, and as for [`map`](Self::map). With
    /// [`Moving::To`], what was at the new place may be gone.
    pub fn remap(
        &mut self,
        system: &impl MemorySystem,
        old: UserAddr,
        old_bytes: u64,
        new_bytes: u64,
        moving: Moving,
    ) -> Result<UserAddr, MapFailure> {
        if !system.has_room() {
            return Err(MapFailure::OutOfMemory);
        }
        let mut from = PageRange::new(old, old_bytes)?;
        let bytes = new_bytes.checked_next_multiple_of(PAGE).filter(|&bytes| 0 < bytes && bytes <= USER_END);
        let bytes = bytes.ok_or(MapFailure::Invalid)?;
        if let Moving::To(to) = moving {
            let to = PageRange::new(to, bytes).map_err(|_| MapFailure::Invalid)?;
            if to.and(from).is_some() {
                return Err(MapFailure::Invalid);
            }
        }
        if let Some(tail) = PageRange::between(UserAddr::new(old.get() + bytes), from.end()) {
            self.area_of(from)?;
            self.unmap_range(system, tail)?;
            from = PageRange::new(old, bytes)?;
        }
        let area = self.area_of(from)?;
        match moving {
            Moving::To(to) => self.relocate(system, &area, from, Place::Fixed(to), bytes),
            Moving::No | Moving::May if bytes == from.bytes() => Ok(old),
            Moving::No | Moving::May => match self.grow_in_place(system, &area, from, bytes) {
                Ok(()) => Ok(old),
                Err(MapFailure::NoGap) if moving == Moving::May => {
                    self.relocate(system, &area, from, Place::Anywhere, bytes)
                }
                Err(failure) => Err(failure),
            },
        }
    }

    /// The area that has all of `range`.
    fn area_of(&self, range: PageRange) -> Result<Area, MapFailure> {
        let area = self.areas.find(range.start()).ok_or(MapFailure::NotMapped { at: range.start() })?;
        if area.range.end() < range.end() {
            return Err(MapFailure::NotMapped { at: area.range.end() });
        }
        Ok(area.clone())
    }

    fn grow_in_place(
        &mut self,
        system: &impl MemorySystem,
        area: &Area,
        from: PageRange,
        bytes: u64,
    ) -> Result<(), MapFailure> {
        let end = from.start().checked_add(bytes).ok_or(MapFailure::NoGap)?;
        let added = PageRange::between(from.end(), end).ok_or(MapFailure::NoGap)?;
        if area.range.end() != from.end() || !self.is_free(added) {
            return Err(MapFailure::NoGap);
        }
        let more = continued(area, from, added).ok_or(MapFailure::Invalid)?;
        self.put(system, more)?;
        if area.flags.contains(AreaFlags::LOCKED) {
            let _ = self.populate(system, added);
        }
        Ok(())
    }

    /// Moves `from`, which lies in `area`, to `place`, where it gets `bytes`.
    fn relocate(
        &mut self,
        system: &impl MemorySystem,
        area: &Area,
        from: PageRange,
        place: Place,
        bytes: u64,
    ) -> Result<UserAddr, MapFailure> {
        let to = self.choose(place, bytes)?;
        let mut moved = area.part(from).ok_or(MapFailure::Invalid)?;
        moved.range = to;
        if let Backing::Object { offset, .. } = &moved.backing {
            offset.checked_add(bytes).ok_or(MapFailure::Invalid)?;
        }
        let grown = PageRange::between(UserAddr::new(to.start().get() + from.bytes()), to.end());
        let more = grown.map_or(Totals::default(), |range| Totals::of(&Area { range, ..moved.clone() }));
        self.check_limits(more, Totals::default())?;
        self.unmap_range(system, to)?;
        system.commitments().charge(more.charged, system.total_frames())?;
        let outcome = self.move_pages(system, from, moved);
        if outcome.is_err() {
            system.commitments().uncharge(more.charged);
        }
        outcome?;
        if let Some(grown) = grown.filter(|_| area.flags.contains(AreaFlags::LOCKED)) {
            let _ = self.populate(system, grown);
        }
        Ok(to.start())
    }

    fn move_pages(&mut self, system: &impl MemorySystem, from: PageRange, moved: Area) -> Result<(), MapFailure> {
        let list = self.areas.for_update(from)?;
        self.tree.relocate(system, from.tables(), moved.range.start())?;
        list.remove(from);
        list.insert(moved);
        Ok(())
    }
}

/// What follows on `from`, which lies in `area`, in `added`.
fn continued(area: &Area, from: PageRange, added: PageRange) -> Option<Area> {
    let mut more = area.part(from)?;
    more.range = added;
    if let Backing::Object { offset, .. } = &mut more.backing {
        *offset = offset.checked_add(from.bytes())?;
        offset.checked_add(added.bytes())?;
    }
    Some(more)
}
