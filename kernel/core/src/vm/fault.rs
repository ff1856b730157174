//! Faults: bringing in the page that a program has missed.
//!
//! The handler knows the address and what was tried. It finds the area by bisection and the page's place by one descent
//! of the tables ([`UserTree::slot`](crate::paging::UserTree::slot)), which makes shared tables on the way our own.
//! What stands there decides: nothing, then the page comes from its area's backing; a page that others have, too, then a
//! store gets a copy; a page that allows what was tried, then the fault was spurious, and it is enough to forget what a
//! TLB remembers.

use super::area::{AccessKind, Area, AreaFlags, Backing, Sharing};
use super::failure::MapFailure;
use super::range::{PAGE, PageRange};
use super::space::Space;
use super::system::{MemorySystem, Pager, PagerError};
use crate::addr::{PhysFrame, UserAddr};
use crate::paging::share::without_store;
use crate::paging::{Attributes, FEW_PAGES, LeafCounts, OutOfFrames, Slot, SlotError, UserAccess, UserTree, Write};

/// How many pages of an object are mapped by one fault, at most: those of the aligned group that the page is in.
const AROUND: u64 = FEW_PAGES as u64;

/// What became of a fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Fault {
    /// The program may try again.
    Resolved,
    /// There is no area (`SEGV_MAPERR`).
    NotMapped,
    /// The area does not allow it (`SEGV_ACCERR`).
    Denied,
    /// The object does not reach that far, or could not be read (`BUS_ADRERR`).
    BeyondEnd,
    /// There is no memory.
    OutOfMemory,
}

impl From<OutOfFrames> for Fault {
    fn from(_: OutOfFrames) -> Self {
        Self::OutOfMemory
    }
}

impl From<PagerError> for Fault {
    fn from(error: PagerError) -> Self {
        match error {
            PagerError::BeyondEnd | PagerError::Io => Self::BeyondEnd,
            PagerError::OutOfFrames => Self::OutOfMemory,
        }
    }
}

impl From<SlotError> for Fault {
    fn from(error: SlotError) -> Self {
        match error {
            SlotError::OutOfHalf => Self::NotMapped,
            SlotError::OutOfFrames => Self::OutOfMemory,
        }
    }
}

impl Space {
    /// Handles a fault of the program at `at`.
    pub fn fault(&mut self, system: &impl MemorySystem, at: UserAddr, access: AccessKind) -> Fault {
        let area = match self.areas.find(at) {
            Some(area) => area,
            None => {
                self.grow_stack(system, at);
                let Some(area) = self.areas.find(at) else { return Fault::NotMapped };
                area
            }
        };
        if !area.allows(access) {
            return Fault::Denied;
        }
        match resolve(&mut self.tree, system, area, at, access) {
            Ok(added) => {
                self.resident.add(added);
                Fault::Resolved
            }
            Err(fault) => fault,
        }
    }

    /// Brings in all pages of `range` that are not there yet, ready to be written where they may be.
    ///
    /// # Errors
    ///
    /// [`MapFailure::OutOfMemory`]; some of the pages are there. What has no page (beyond the end of an object, or not
    /// accessible at all) is left out.
    pub(super) fn populate(&mut self, system: &impl MemorySystem, range: PageRange) -> Result<(), MapFailure> {
        let mut next = range.start();
        while let Some(area) = self.areas.from(next).first().filter(|area| area.range.start() < range.end()) {
            let access = if area.allows(AccessKind::Write) { AccessKind::Write } else { AccessKind::Read };
            let accessible = area.allows(access);
            let Some(part) = area.range.and(range).filter(|part| part.end() > next) else { break };
            next = part.end();
            for page in part.each().filter(|_| accessible) {
                if self.fault(system, page, access) == Fault::OutOfMemory {
                    return Err(MapFailure::OutOfMemory);
                }
            }
        }
        Ok(())
    }
}

/// Makes the page at `at` ready for `access`, which `area` allows. Returns how many pages are mapped that were not.
fn resolve<X: MemorySystem>(
    tree: &mut UserTree,
    system: &X,
    area: &Area,
    at: UserAddr,
    access: AccessKind,
) -> Result<u64, Fault> {
    let mut slot = tree.slot(system, at)?;
    if slot.leaf().is_some() {
        match access {
            AccessKind::Write => store(&mut slot, system, area)?,
            AccessKind::Read | AccessKind::Execute => slot.refresh(),
        }
        return Ok(0);
    }
    match (&area.backing, access) {
        (Backing::Anonymous, AccessKind::Write) => bring(&mut slot, system, system.zeroed()?, area.attributes())?,
        (Backing::Anonymous, AccessKind::Read | AccessKind::Execute) => {
            // What is locked is not to fault once more when it is written.
            if area.flags.contains(AreaFlags::LOCKED) && area.allows(AccessKind::Write) {
                bring(&mut slot, system, system.zeroed()?, area.attributes())?;
            } else {
                slot.fill(system.zero_page(), for_reading(area))?;
            }
        }
        (Backing::Object { pager, .. }, _) => {
            let page = pager.page(area.offset_of(slot.start()) / PAGE)?;
            if area.sharing == Sharing::Private && access == AccessKind::Write {
                let copy = copy_of(system, page);
                system.release(page);
                bring(&mut slot, system, copy?, area.attributes())?;
            } else {
                bring(&mut slot, system, page, for_reading(area))?;
                return Ok(1 + bring_around(tree, system, area, &**pager, at));
            }
        }
    }
    Ok(1)
}

/// Gives a program that may write the page at `slot` the right to do so, to a copy if others have the page, too.
fn store<X: MemorySystem>(slot: &mut Slot<'_, X>, system: &X, area: &Area) -> Result<(), OutOfFrames> {
    let attributes = area.attributes();
    let Write::Copy(old) = slot.write(attributes.access) else { return Ok(()) };
    let old = PhysFrame::containing(old.leaf.output);
    let copy = if old == system.zero_page() { system.zeroed()? } else { copy_of(system, old)? };
    prepare(system, copy, attributes.access);
    if let Some(replaced) = slot.replace(copy, attributes) {
        system.leaves().release(replaced.leaf);
    }
    Ok(())
}

/// Maps the vacant page at `slot` to `frame`, of which it takes over the caller's reference, whatever happens.
pub(super) fn bring<X: MemorySystem>(
    slot: &mut Slot<'_, X>,
    system: &X,
    frame: PhysFrame,
    attributes: Attributes<UserAccess>,
) -> Result<(), OutOfFrames> {
    prepare(system, frame, attributes.access);
    slot.fill(frame, attributes).inspect_err(|_| system.release(frame))
}

/// Maps the pages next to `at` that the object has ready.
fn bring_around(tree: &mut UserTree, system: &impl MemorySystem, area: &Area, pager: &dyn Pager, at: UserAddr) -> u64 {
    let group = at.align_down(AROUND * PAGE);
    let group = group.checked_add(AROUND * PAGE).and_then(|end| PageRange::between(group, end));
    let Some(range) = group.and_then(|group| group.and(area.range)) else { return 0 };
    let attributes = for_reading(area);
    let first = area.offset_of(range.start()) / PAGE;
    tree.fill_vacant(system, range.tables(), attributes, |vacant, frames| {
        let found = pager.ready(first, vacant, frames);
        for (number, &frame) in frames.iter().enumerate() {
            if found >> number & 1 != 0 {
                prepare(system, frame, attributes.access);
            }
        }
        found
    })
}

/// What a leaf says of a page that is not to be written as it is.
fn for_reading(area: &Area) -> Attributes<UserAccess> {
    let attributes = area.attributes();
    match area.sharing {
        Sharing::Private => attributes.with_access(without_store(attributes.access)),
        Sharing::Shared => attributes,
    }
}

fn copy_of(system: &impl MemorySystem, page: PhysFrame) -> Result<PhysFrame, OutOfFrames> {
    let copy = system.unspecified()?;
    system.copy(page, copy);
    Ok(copy)
}

/// Sees to it that a page which is going to be executable can be executed.
fn prepare(system: &impl MemorySystem, frame: PhysFrame, access: UserAccess) {
    if matches!(access, UserAccess::ReadExecute | UserAccess::ReadWriteExecute) {
        system.make_executable(frame);
    }
}
