//! Pools of equal-sized objects: what is made and thrown away at every fork.
//!
//! The chain of ownership: a frame is cut into a *slab* of slots; the *depot* holds the slabs that have free slots; each
//! CPU has a *magazine* of a few free slots in front of it, so that the usual allocation touches nothing shared (Bonwick
//! and Adams, "Magazines and Vmem", USENIX 2001). A slab without objects goes back to the frame allocator, but one is
//! kept.
//!
//! Locks: each magazine is an `IrqLock`, the depot another, all of rank `ObjectPool`, and no two of them are held
//! together; none is held while a frame is asked for or given back.

mod slab;

use core::fmt;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

use super::allocator::{FrameAllocator, Zeroing};
use super::kind::FrameUse;
use super::order::Order;
use crate::addr::PhysFrame;
use crate::hal::{Cpu, FrameAccess};
use crate::sync::{IrqLock, PerCpu, Rank};
use slab::{Depot, Slot};

/// The most free slots in a magazine.
const MAGAZINE: usize = 16;
/// How many slots go between a magazine and the depot at a time.
const BATCH: usize = 8;

type Batch<T> = heapless::Vec<Slot<T>, BATCH>;

/// There is no frame for another slab.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutOfMemory {
    /// The size of the object that found no place.
    pub bytes: usize,
}

/// A pool of `T`s in frames of one allocator.
pub struct Pool<'a, T, M: FrameAccess, C: Cpu> {
    frames: &'a FrameAllocator<M, C>,
    /// Never locked while a magazine is.
    depot: IrqLock<Depot<T>, C>,
    /// Never two of them locked together.
    magazines: PerCpu<IrqLock<Magazine<T>, C>>,
}

/// One CPU's free slots.
struct Magazine<T> {
    slots: heapless::Vec<Slot<T>, MAGAZINE>,
    /// Objects made less objects gone, as this CPU saw it; only the sum over all CPUs means anything.
    live: u64,
}

impl<'a, T, M: FrameAccess, C: Cpu> Pool<'a, T, M, C> {
    /// A pool without objects. Whether a `T` fits a frame is checked when the program is compiled.
    #[must_use]
    pub fn new(frames: &'a FrameAllocator<M, C>) -> Self {
        Self {
            frames,
            depot: IrqLock::new(Rank::ObjectPool, Depot::new()),
            magazines: PerCpu::from_fn(|_| {
                IrqLock::new(Rank::ObjectPool, Magazine { slots: heapless::Vec::new(), live: 0 })
            }),
        }
    }

    /// Puts `value` into the pool.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`]; the value is dropped.
    pub fn allocate(&self, value: T) -> Result<PoolBox<'_, T, M, C>, OutOfMemory> {
        let slot = self.take().ok_or(OutOfMemory { bytes: size_of::<T>() })?;
        Ok(PoolBox { pool: self, object: slot.write(value) })
    }

    /// How full the pool is.
    #[must_use]
    pub fn statistics(&self) -> PoolStatistics {
        let (mut live, mut cached) = (0_u64, 0);
        for (_, magazine) in self.magazines.iter() {
            let magazine = magazine.lock();
            live = live.wrapping_add(magazine.live);
            cached += magazine.slots.len();
        }
        PoolStatistics { live, cached, slabs: self.depot.lock().slabs(), slots_per_slab: Slot::<T>::PER_SLAB }
    }

    fn take(&self) -> Option<Slot<T>> {
        {
            let mut magazine = self.magazine().lock();
            if let Some(slot) = magazine.slots.pop() {
                magazine.live = magazine.live.wrapping_add(1);
                return Some(slot);
            }
        }
        let mut batch = Batch::new();
        self.depot.lock().take(&mut batch);
        if batch.is_empty() && self.grow(&mut batch).is_none() {
            return self.take_from_any_magazine();
        }
        let slot = batch.pop();
        let mut overflow = Batch::new();
        {
            let mut magazine = self.magazine().lock();
            magazine.live = magazine.live.wrapping_add(1);
            while let Some(spare) = batch.pop() {
                if let Err(spare) = magazine.slots.push(spare) {
                    // Another CPU's magazine by now, or filled meanwhile.
                    let kept = overflow.push(spare);
                    debug_assert!(kept.is_ok(), "no more than a batch can be left");
                }
            }
        }
        self.give_back(overflow);
        slot
    }

    /// Takes slots out of a new slab.
    fn grow(&self, into: &mut Batch<T>) -> Option<()> {
        let slab = self.frames.allocate(Order::SINGLE, FrameUse::ObjectPool, Zeroing::Unspecified).ok()?;
        let start = slab.as_ptr();
        let frame = slab.into_raw();
        let mut depot = self.depot.lock();
        // SAFETY: the frame is good for reads and writes by `FrameAccess`, aligned, and the depot's alone from now on.
        unsafe { depot.add(start, frame) };
        depot.take(into);
        Some(())
    }

    /// Looks into the magazines of all CPUs: the last resort before being out of memory.
    fn take_from_any_magazine(&self) -> Option<Slot<T>> {
        self.magazines.iter().find_map(|(_, magazine)| {
            let mut magazine = magazine.lock();
            let slot = magazine.slots.pop()?;
            magazine.live = magazine.live.wrapping_add(1);
            Some(slot)
        })
    }

    fn put(&self, slot: Slot<T>) {
        let mut overflow = Batch::new();
        {
            let mut magazine = self.magazine().lock();
            magazine.live = magazine.live.wrapping_sub(1);
            if magazine.slots.is_full() {
                magazine.drain(&mut overflow);
            }
            let kept = magazine.slots.push(slot);
            debug_assert!(kept.is_ok(), "a batch was taken out");
        }
        self.give_back(overflow);
    }

    /// Returns slots to the depot, and slabs that became empty to the frame allocator.
    fn give_back(&self, mut batch: Batch<T>) {
        while !batch.is_empty() {
            let mut depot = self.depot.lock();
            let emptied = loop {
                let Some(slot) = batch.pop() else { break None };
                if let Some(frame) = depot.put(slot) {
                    break Some(frame);
                }
            };
            drop(depot);
            if let Some(frame) = emptied {
                self.release(frame);
            }
        }
    }

    fn release(&self, slab: PhysFrame) {
        // SAFETY: the depot has forgotten the slab, whose frame `take` left to it with `into_raw`; no slot of it is in
        // use or in a magazine.
        drop(unsafe { self.frames.from_raw(slab) });
    }

    fn magazine(&self) -> &IrqLock<Magazine<T>, C> {
        self.magazines.of(C::id())
    }
}

impl<T> Magazine<T> {
    fn drain(&mut self, into: &mut Batch<T>) {
        while !into.is_full() {
            let Some(slot) = self.slots.pop() else { break };
            let moved = into.push(slot);
            debug_assert!(moved.is_ok(), "checked to have room");
        }
    }
}

impl<T, M: FrameAccess, C: Cpu> Drop for Pool<'_, T, M, C> {
    fn drop(&mut self) {
        // No object is left: each borrows the pool.
        for (_, magazine) in self.magazines.iter() {
            loop {
                let mut batch = Batch::new();
                magazine.lock().drain(&mut batch);
                if batch.is_empty() {
                    break;
                }
                self.give_back(batch);
            }
        }
        let spare = self.depot.lock().take_spare();
        if let Some(frame) = spare {
            self.release(frame);
        }
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
        // SAFETY: the pointer came from `Slot::write`, and its object is gone.
        self.pool.put(unsafe { Slot::from_object(self.object) });
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
