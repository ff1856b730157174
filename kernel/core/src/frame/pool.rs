//! Pools of equal-sized objects: what is made and thrown away at every fork.
//!
//! The chain of ownership: a frame is cut into a *slab* of slots; the *depot* holds the slabs that have free slots; each
//! CPU has a *magazine* of a few free slots in front of it, so that the usual allocation touches nothing shared (Bonwick
//! and Adams, "Magazines and Vmem", USENIX 2001). A slab without objects goes back to the frame allocator, but one is
//! kept.
//!
//! Locks: each magazine has a `StockLock`, the depot an `IrqLock`, all of rank `ObjectPool`, and no two of them are held
//! together; none is held while a frame is asked for or given back.

mod slab;
mod slots;

use core::alloc::Layout;
use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

use super::allocator::FrameAllocator;
use super::kind::FrameUse;
use crate::hal::{Cpu, FrameAccess};
pub(super) use slab::{Geometry, Slot};
pub(super) use slots::Slots;

/// There is no frame for another slab.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutOfMemory {
    /// The size of the object that found no place.
    pub bytes: usize,
}

/// A pool of `T`s in frames of one allocator.
pub struct Pool<'a, T, M: FrameAccess, C: Cpu> {
    frames: &'a FrameAllocator<M, C>,
    slots: Slots<C>,
    objects: PhantomData<T>,
}

impl<'a, T, M: FrameAccess, C: Cpu> Pool<'a, T, M, C> {
    const GEOMETRY: Geometry = Geometry::of(Layout::new::<T>());

    /// A pool without objects. Whether a `T` fits a frame is checked when the program is compiled.
    #[must_use]
    pub fn new(frames: &'a FrameAllocator<M, C>) -> Self {
        Self { frames, slots: Slots::new(Self::GEOMETRY, FrameUse::ObjectPool), objects: PhantomData }
    }

    /// Puts `value` into the pool.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`]; the value is dropped.
    pub fn allocate(&self, value: T) -> Result<PoolBox<'_, T, M, C>, OutOfMemory> {
        let slot = self.slots.take(|| self.frames).ok_or(OutOfMemory { bytes: size_of::<T>() })?;
        let object = slot.into_memory().cast::<T>();
        // SAFETY: the slot is big enough and aligned for a `T`, by the pool's geometry, and ours.
        unsafe { object.write(value) };
        Ok(PoolBox { pool: self, object })
    }

    /// How full the pool is.
    #[must_use]
    pub fn statistics(&self) -> PoolStatistics {
        let slots::Fill { live, cached, slabs } = self.slots.fill();
        PoolStatistics { live, cached, slabs, slots_per_slab: self.slots.per_slab() }
    }
}

impl<T, M: FrameAccess, C: Cpu> Drop for Pool<'_, T, M, C> {
    fn drop(&mut self) {
        // No object is left: each borrows the pool.
        self.slots.drain(self.frames);
    }
}

/// How full a pool is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PoolStatistics {
    /// Objects that there are.
    pub live: u64,
    /// Free slots in the CPUs' magazines.
    pub cached: usize,
    /// Frames in use.
    pub slabs: u32,
    /// Objects that fit a frame.
    pub slots_per_slab: usize,
}

/// An object in a pool; its place is free again when it is dropped.
pub struct PoolBox<'p, T, M: FrameAccess, C: Cpu> {
    pool: &'p Pool<'p, T, M, C>,
    object: NonNull<T>,
}

// SAFETY: the box owns its object; the pool that it refers to may be used by any thread if it is `Sync`.
unsafe impl<'p, T: Send, M: FrameAccess, C: Cpu> Send for PoolBox<'p, T, M, C> where Pool<'p, T, M, C>: Sync {}
// SAFETY: a shared box gives out shared references to its object and nothing else.
unsafe impl<'p, T: Sync, M: FrameAccess, C: Cpu> Sync for PoolBox<'p, T, M, C> where Pool<'p, T, M, C>: Sync {}

impl<T, M: FrameAccess, C: Cpu> Deref for PoolBox<'_, T, M, C> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: `allocate` wrote a `T` there, which is the box's alone until it is dropped.
        unsafe { self.object.as_ref() }
    }
}

impl<T, M: FrameAccess, C: Cpu> DerefMut for PoolBox<'_, T, M, C> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`, and `self` is borrowed exclusively.
        unsafe { self.object.as_mut() }
    }
}

impl<T, M: FrameAccess, C: Cpu> Drop for PoolBox<'_, T, M, C> {
    fn drop(&mut self) {
        // SAFETY: `allocate` wrote a `T` there, and nobody sees it after this.
        unsafe { self.object.drop_in_place() };
        // SAFETY: the memory came from a slot of this pool, and its object is gone.
        let slot = unsafe { Slot::from_memory(self.object.cast()) };
        self.pool.slots.put(slot, || self.pool.frames);
    }
}

impl<T: fmt::Debug, M: FrameAccess, C: Cpu> fmt::Debug for PoolBox<'_, T, M, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
