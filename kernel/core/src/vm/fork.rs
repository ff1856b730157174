//! Fork.
//!
//! The usual case looks at nothing: a root with a few descriptors, one reference to the list of areas, a handful of
//! numbers, one sum added to what is promised. Only if some area wants another inheritance, or is locked, is the list
//! gone through.

use super::area::{AccessKind, Area, AreaFlags, Backing, Inheritance, Sharing};
use super::failure::MapFailure;
use super::map::is_charged;
use super::range::{PAGE, PageRange};
use super::space::Space;
use super::system::MemorySystem;
use crate::addr::{Asid, PhysFrame, UserAddr};
use crate::paging::{Access, LeafCounts, OutOfFrames, Pages, UserTree, VirtRange};

/// Why there is no child. The parent is as it was, as far as it can tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ForkError {
    /// There is no memory for the child's tables, or for pages that have to be copied at once.
    OutOfMemory,
    /// The machine has promised too much already.
    OverCommit,
}

impl From<OutOfFrames> for ForkError {
    fn from(_: OutOfFrames) -> Self {
        Self::OutOfMemory
    }
}

impl From<MapFailure> for ForkError {
    fn from(failure: MapFailure) -> Self {
        if failure == MapFailure::OverCommit { Self::OverCommit } else { Self::OutOfMemory }
    }
}

impl Space {
    /// A second space, with `tag`, that has what this one has, as far as each area's inheritance says so. From here on
    /// neither sees what the other writes, but in shared memory.
    ///
    /// Locked pages are copied at once: neither the parent nor the child takes a fault for them later. The child has
    /// nothing locked.
    ///
    /// # Errors
    ///
    /// [`ForkError`].
    pub fn fork(&mut self, system: &impl MemorySystem, tag: Asid) -> Result<Self, ForkError> {
        self.fork_to(system, tag, |child| child)
    }

    /// The same for somebody who has a place for it: `keep` gets the child, which is moved no further.
    ///
    /// # Errors
    ///
    /// [`ForkError`].
    #[inline]
    pub fn fork_to<R>(
        &mut self,
        system: &impl MemorySystem,
        tag: Asid,
        keep: impl FnOnce(Self) -> R,
    ) -> Result<R, ForkError> {
        if !system.has_room() {
            return Err(ForkError::OutOfMemory);
        }
        let totals = self.areas.totals();
        let charged = system.commitments().charge_again(totals.charged, system.total_frames());
        charged.map_err(|_| ForkError::OverCommit)?;
        let Ok(tree) = self.tree.fork_dividing(system, tag, near_stack(system), &FromSystem(system)) else {
            system.commitments().uncharge(totals.charged);
            return Err(ForkError::OutOfMemory);
        };
        if totals.special != 0 {
            return self.with_inheritance(system, tree, keep);
        }
        Ok(keep(self.with_tree(tree)))
    }

    /// A space that has what this one has, with `tree`.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "it is put together where it stays")]
    fn with_tree(&self, tree: UserTree) -> Self {
        Self {
            tree,
            areas: self.areas.share(),
            layout: self.layout,
            heap: self.heap,
            resident: self.resident.for_fork(),
            limits: self.limits,
            write_execute: self.write_execute,
            lock_future: false,
            strings: self.strings,
        }
    }

    /// A child with `tree` and all else that we have, made to have what it is to have.
    #[cold]
    #[inline(never)]
    fn with_inheritance<R>(
        &mut self,
        system: &impl MemorySystem,
        tree: UserTree,
        keep: impl FnOnce(Self) -> R,
    ) -> Result<R, ForkError> {
        let mut child = self.with_tree(tree);
        match self.apply_inheritance(system, &mut child) {
            Ok(()) => Ok(keep(child)),
            Err(error) => {
                child.destroy(system);
                Err(error)
            }
        }
    }

    /// Makes of `child`, which has all that we have, what it is to have.
    fn apply_inheritance(&mut self, system: &impl MemorySystem, child: &mut Self) -> Result<(), ForkError> {
        let mut next = UserAddr::new(0);
        while let Some(area) = self.areas.from(next).first() {
            let range = area.range;
            next = range.end();
            if !area.is_special() {
                continue;
            }
            let locked = area.flags.contains(AreaFlags::LOCKED);
            match (area.inheritance, area.sharing) {
                (Inheritance::None, _) => child.unmap_range(system, range)?,
                (Inheritance::Zero, _) => {
                    child.become_private(system, range, |area| area.backing = Backing::Anonymous)?
                }
                (Inheritance::Copy, Sharing::Shared) => child.become_private(system, range, |_| ())?,
                (Inheritance::Usual | Inheritance::Copy, _) => {}
            }
            if locked {
                child.areas.for_update(range)?.update(range, |area| area.flags.remove(AreaFlags::LOCKED));
                if has_copies(child, range) {
                    self.copy_locked(system, child, range)?;
                }
            }
        }
        Ok(())
    }

    /// Lets the pages of `range` come anew from the areas there, changed by `change`, as private ones.
    fn become_private(
        &mut self,
        system: &impl MemorySystem,
        range: PageRange,
        change: impl Fn(&mut Area),
    ) -> Result<(), ForkError> {
        let before = self.areas.totals_in(range).charged;
        self.forget_pages(system, range)?;
        let list = self.areas.for_update(range)?;
        list.update(range, |area| {
            change(area);
            area.sharing = Sharing::Private;
            area.flags.set(AreaFlags::CHARGED, is_charged(system, area));
        });
        let after = self.areas.totals_in(range).charged;
        if after >= before {
            let charged = system.commitments().charge(after - before, system.total_frames());
            if charged.is_err() {
                self.areas.for_update(range)?.update(range, |area| area.flags.remove(AreaFlags::CHARGED));
                system.commitments().uncharge(before);
                return Err(ForkError::OverCommit);
            }
        } else {
            system.commitments().uncharge(before - after);
        }
        Ok(())
    }

    /// Gives `child` its own copies of the private pages of `range` that can be written, and us ours back.
    fn copy_locked(&mut self, system: &impl MemorySystem, child: &mut Self, range: PageRange) -> Result<(), ForkError> {
        for page in range.each() {
            let Some(mapping) = child.tree.tables().walk(system.memory(), page).mapping() else { continue };
            let (frame, Access::User(access)) = (PhysFrame::containing(mapping.phys), mapping.attributes.access) else {
                continue;
            };
            let copy = system.unspecified()?;
            system.copy(frame, copy);
            let attributes = mapping.attributes.with_access(access);
            let replaced = match child.tree.slot(system, page) {
                Ok(mut slot) => slot.replace(copy, attributes),
                Err(_) => None,
            };
            match replaced {
                Some(old) => system.leaves().release(old.leaf),
                None => {
                    system.release(copy);
                    return Err(ForkError::OutOfMemory);
                }
            }
            // Both are alone with their page now: here is the right to write it.
            for space in [&mut *self, &mut *child] {
                let _ = space.fault(system, page, AccessKind::Write);
            }
        }
        Ok(())
    }
}

/// The pages that both sides are about to write: what the stack pointer is in, and the next one, if that is so near that
/// the callers' frames are there.
fn near_stack(system: &impl MemorySystem) -> Option<VirtRange<UserAddr>> {
    /// What lies so near above the stack pointer belongs to calls that return soon.
    const NEAR: u64 = 512;
    let pointer = system.stack_pointer()?;
    let start = pointer.page_down();
    let end = pointer.checked_add(NEAR)?.align_up(PAGE)?;
    VirtRange::new(start, end.get() - start.get()).ok()
}

/// The frames of a system, as fork takes them.
struct FromSystem<'a, X>(&'a X);

impl<X: MemorySystem> Pages for FromSystem<'_, X> {
    fn take(&self) -> Result<PhysFrame, OutOfFrames> {
        self.0.unspecified()
    }

    fn take_two(&self) -> Option<[PhysFrame; 2]> {
        self.0.unspecified_two()
    }

    fn copy(&self, from: PhysFrame, to: PhysFrame) {
        self.0.copy(from, to);
    }
}

/// Whether the child has private memory in `range` that came from its parent and may be written.
fn has_copies(child: &Space, range: PageRange) -> bool {
    let area = child.areas.find(range.start());
    area.is_some_and(|area| area.is_private_writable() && area.inheritance != Inheritance::Zero)
}
