//! Mapping: a new area.

use alloc::sync::Arc;

use bitflags::bitflags;

use super::area::{Area, AreaFlags, Backing, Inheritance, Protection, Sharing};
use super::areas::Totals;
use super::commit::Overcommit;
use super::failure::MapFailure;
use super::place::Place;
use super::range::{PAGE, PageRange};
use super::space::Space;
use super::system::{MemorySystem, Pager};
use crate::addr::{USER_END, UserAddr};

bitflags! {
    /// What else a program may say of a new mapping.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct MapFlags: u8 {
        /// Do not count its pages as promised, where the policy lets a program say so.
        const NORESERVE = 1 << 0;
        /// Bring all pages in, and keep them.
        const LOCKED = 1 << 1;
        /// Bring all pages in.
        const POPULATE = 1 << 2;
        /// It will be a thread's stack. Means nothing.
        const STACK = 1 << 3;
        /// It grows downwards. For private zeroes only.
        const GROWSDOWN = 1 << 4;
    }
}

/// Where a mapping's contents come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// They are zero. If the mapping is shared, an object is made for it.
    Anonymous,
    /// From an object.
    File {
        /// The object.
        pager: Arc<dyn Pager>,
        /// Where in it the mapping begins, in bytes: a multiple of the page size.
        offset: u64,
        /// The most that the way in which the file was opened allows.
        max_protection: Protection,
    },
}

/// A mapping that a program asks for.
#[derive(Clone, Debug)]
pub struct MapRequest {
    /// Where.
    pub place: Place,
    /// How long; rounded up to pages.
    pub bytes: u64,
    /// What may be done with it.
    pub protection: Protection,
    /// Whose its stores are.
    pub sharing: Sharing,
    /// Where its contents come from.
    pub source: Source,
    /// What else.
    pub flags: MapFlags,
}

impl MapRequest {
    /// Private zeroes.
    #[must_use]
    pub const fn anonymous(place: Place, bytes: u64, protection: Protection) -> Self {
        let (sharing, source, flags) = (Sharing::Private, Source::Anonymous, MapFlags::empty());
        Self { place, bytes, protection, sharing, source, flags }
    }
}

impl Space {
    /// Maps what is asked for, and says where. With [`Place::Fixed`], what was there is unmapped.
    ///
    /// Pages that are to be there at once are brought in as far as there is memory; a mapping that lacks some is no failure.
    ///
    /// # Errors
    ///
    /// [`MapFailure`]; all of its kinds but `NotMapped` and `Locked`.
    pub fn map(&mut self, system: &impl MemorySystem, request: MapRequest) -> Result<UserAddr, MapFailure> {
        if !system.has_room() {
            return Err(MapFailure::OutOfMemory);
        }
        if request.bytes == 0 {
            return Err(MapFailure::Invalid);
        }
        self.check_write_execute(request.protection)?;
        let bytes = request.bytes.checked_next_multiple_of(PAGE).filter(|&bytes| bytes <= USER_END);
        let range = self.choose(request.place, bytes.ok_or(MapFailure::NoGap)?)?;
        let populate = request.flags.intersects(MapFlags::POPULATE | MapFlags::LOCKED) || self.lock_future;
        let area = self.area_for(system, range, request)?;
        self.put(system, area)?;
        if populate {
            let _ = self.populate(system, range);
        }
        Ok(range.start())
    }

    /// The area that `request` describes.
    fn area_for(&self, system: &impl MemorySystem, range: PageRange, request: MapRequest) -> Result<Area, MapFailure> {
        let private_zeroes = matches!(request.source, Source::Anonymous) && request.sharing == Sharing::Private;
        if request.flags.contains(MapFlags::GROWSDOWN) && !private_zeroes {
            return Err(MapFailure::Invalid);
        }
        let (backing, maximum) = match request.source {
            Source::Anonymous if private_zeroes => (Backing::Anonymous, Protection::all()),
            Source::Anonymous => {
                let pager = system.shared_memory(range.pages())?;
                (Backing::Object { pager, offset: 0 }, Protection::all())
            }
            Source::File { pager, offset, max_protection } => {
                let end = offset.checked_add(range.bytes());
                if !offset.is_multiple_of(PAGE) || end.is_none() {
                    return Err(MapFailure::Invalid);
                }
                (Backing::Object { pager, offset }, max_protection)
            }
        };
        if !maximum.contains(request.protection) {
            return Err(MapFailure::Forbidden);
        }
        let mut flags = AreaFlags::empty();
        flags.set(AreaFlags::GROWS_DOWN, request.flags.contains(MapFlags::GROWSDOWN));
        flags.set(AreaFlags::LOCKED, request.flags.contains(MapFlags::LOCKED) || self.lock_future);
        flags.set(AreaFlags::NO_RESERVE, request.flags.contains(MapFlags::NORESERVE));
        let (protection, sharing) = (request.protection, request.sharing);
        let inheritance = Inheritance::Usual;
        let mut area = Area { range, protection, maximum, sharing, backing, inheritance, flags };
        area.flags.set(AreaFlags::CHARGED, is_charged(system, &area));
        Ok(area)
    }

    /// Puts `area` in place of whatever is in its range.
    pub(super) fn put(&mut self, system: &impl MemorySystem, area: Area) -> Result<(), MapFailure> {
        let range = area.range;
        let new = Totals::of(&area);
        if self.areas.end_by(range.start()) {
            return self.append(system, area, new);
        }
        let old = self.areas.totals_in(range);
        self.check_limits(new, old)?;
        // What is going to be unmapped pays for what comes.
        let (more, less) = (new.charged.saturating_sub(old.charged), old.charged.saturating_sub(new.charged));
        system.commitments().charge(more, system.total_frames())?;
        let replaced = self.replace_areas(system, range, old.pages > 0, area);
        match replaced {
            Ok(()) => system.commitments().uncharge(less),
            Err(_) => system.commitments().uncharge(more),
        }
        replaced
    }

    /// Puts `area`, whose sums are `new`, behind all others, as the parts of a program come: nothing is replaced.
    fn append(&mut self, system: &impl MemorySystem, area: Area, new: Totals) -> Result<(), MapFailure> {
        self.check_limits(new, Totals::default())?;
        system.commitments().charge(new.charged, system.total_frames())?;
        match self.areas.change(1) {
            Ok(list) => list.append(area, new),
            Err(failure) => {
                system.commitments().uncharge(new.charged);
                return Err(failure);
            }
        }
        Ok(())
    }

    fn replace_areas(
        &mut self,
        system: &impl MemorySystem,
        range: PageRange,
        occupied: bool,
        area: Area,
    ) -> Result<(), MapFailure> {
        let list = self.areas.for_replacement(range)?;
        if occupied {
            self.resident.remove(self.tree.unmap(system, range.tables())?);
            list.remove(range);
        }
        list.insert(area);
        Ok(())
    }
}

/// Whether the pages of `area` are counted as promised when it is made, or made writable.
pub(super) fn is_charged(system: &impl MemorySystem, area: &Area) -> bool {
    let spared = area.flags.contains(AreaFlags::NO_RESERVE) && system.commitments().policy() != Overcommit::Never;
    area.is_private_writable() && !spared
}
