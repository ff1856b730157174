//! An address space that threads and processes share.

use alloc::sync::Arc;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use super::fork::ForkError;
use super::system::{OutOfMemory, System};
use crate::addr::{Asid, PAGE_SIZE, PhysFrame};
use crate::sched::{SleepGuard, SleepMutex};
use crate::sync::Rank;
use crate::util::place::arc_with;
use crate::vm::{self, Layout, Space};

/// A [`Space`] behind its lock, held by every process that runs in it. The last one to let go of it destroys it, and
/// gives its address-space identifier back.
///
/// What the hardware needs to enter it ([`root`](Self::root), [`tag`](Self::tag)) never changes and takes no lock.
pub struct AddressSpace<S: System> {
    /// None only while it is being dropped.
    space: SleepMutex<Option<Space>, S>,
    id: u64,
    root: PhysFrame,
    tag: Asid,
    /// How many threads run in it.
    users: AtomicU32,
}

impl<S: System> AddressSpace<S> {
    /// An empty space.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`]
    pub fn new(layout: Layout) -> Result<Arc<Self>, OutOfMemory> {
        let tag = S::take_asid().ok_or(OutOfMemory)?;
        match Space::new(S::memory(), tag, layout) {
            Ok(space) => Ok(Self::adopt(space)),
            Err(_) => {
                S::give_asid(tag);
                Err(OutOfMemory)
            }
        }
    }

    /// Takes over a space whose tag came from [`System::take_asid`].
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "it is put together where it stays")]
    pub fn adopt(mut space: Space) -> Arc<Self> {
        let (root, tag) = (space.activate(), space.tag());
        arc_with(|| Self {
            space: SleepMutex::new(Rank::AddressSpace, Some(space)),
            id: S::processes().next_space(),
            root,
            tag,
            users: AtomicU32::new(0),
        })
    }

    /// A space of its own with the same memory, copied when either side writes; and how many pages of data and stack that
    /// is.
    ///
    /// # Errors
    ///
    /// [`ForkError::OutOfMemory`]
    #[inline(never)]
    pub(super) fn fork(&self) -> Result<(Arc<Self>, u64), ForkError> {
        let tag = S::take_asid().ok_or(ForkError::OutOfMemory)?;
        let mut guard = self.lock();
        let pages = guard.data_and_stack();
        match guard.fork_to(S::memory(), tag, |space| Self::adopt(space)) {
            Ok(made) => Ok((made, pages)),
            Err(vm::ForkError::OutOfMemory | vm::ForkError::OverCommit) => {
                S::give_asid(tag);
                Err(ForkError::OutOfMemory)
            }
        }
    }

    /// How many pages of data and stack it has; sleeps until nobody else changes it.
    pub(super) fn pages(&self) -> u64 {
        self.lock().data_and_stack()
    }

    /// Sleeps until nobody else changes the space.
    pub fn lock(&self) -> SpaceGuard<'_, S> {
        SpaceGuard(self.space.lock())
    }

    /// How much of it was resident at a time at most, in KiB; sleeps until nobody else changes it.
    pub(super) fn most_resident_kib(&self) -> u64 {
        self.lock().most_resident().saturating_mul(PAGE_SIZE as u64 / 1024)
    }

    /// A number that no other space ever has: part of the key of a private futex.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The root of its translation tables.
    pub fn root(&self) -> PhysFrame {
        self.root
    }

    /// The identifier of its translations.
    pub fn tag(&self) -> Asid {
        self.tag
    }

    /// How many threads run in it.
    pub fn users(&self) -> u32 {
        self.users.load(Relaxed)
    }

    /// One more thread runs in it; returns the root and the tag that it runs with.
    pub(super) fn join(&self) -> (PhysFrame, Asid) {
        self.users.fetch_add(1, Relaxed);
        (self.root, self.tag)
    }

    pub(super) fn part(&self) {
        self.users.fetch_sub(1, Relaxed);
    }
}

impl<S: System> Drop for AddressSpace<S> {
    fn drop(&mut self) {
        if let Some(space) = self.space.get_mut().take() {
            space.destroy(S::memory());
            S::give_asid(self.tag);
        }
    }
}

/// The right to a [`Space`].
#[must_use = "the space is given back when the guard is dropped"]
pub struct SpaceGuard<'a, S: System>(SleepGuard<'a, Option<Space>, S>);

impl<S: System> Deref for SpaceGuard<'_, S> {
    type Target = Space;

    fn deref(&self) -> &Space {
        self.0.as_ref().expect("it is taken out only when nobody can lock it any more")
    }
}

impl<S: System> DerefMut for SpaceGuard<'_, S> {
    fn deref_mut(&mut self) -> &mut Space {
        self.0.as_mut().expect("it is taken out only when nobody can lock it any more")
    }
}
