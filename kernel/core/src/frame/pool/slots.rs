//! Slots of one size: a depot of slabs, and a magazine for each CPU in front of it.

use super::slab::{Depot, Geometry, Slot};
use crate::addr::PhysFrame;
use crate::frame::allocator::{FrameAllocator, Zeroing};
use crate::frame::kind::FrameUse;
use crate::frame::order::Order;
use crate::hal::{Cpu, FrameAccess};
use crate::sync::{IrqLock, Padded, PerCpu, Rank, StockLock};

/// The most free slots in a magazine, which makes one two cache lines.
pub(super) const MAGAZINE: usize = 14;
/// How many slots go between a magazine and the depot at a time.
const BATCH: usize = 7;

type Batch = heapless::Vec<Slot, BATCH>;

/// Slots of one size, in frames that whoever asks for one provides the allocator of: always the same.
pub(crate) struct Slots<C: Cpu> {
    geometry: Geometry,
    kind: FrameUse,
    /// Never locked while a magazine is.
    depot: IrqLock<Depot, C>,
    /// Never two of them locked together.
    magazines: PerCpu<StockLock<Magazine, C>>,
}

/// One CPU's free slots.
struct Magazine {
    slots: heapless::Vec<Slot, MAGAZINE>,
}

/// How full a set of slots is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Fill {
    /// Slots in use.
    pub(crate) live: u64,
    /// Free slots in the CPUs' magazines.
    pub(crate) cached: usize,
    /// Frames.
    pub(crate) slabs: u32,
}

impl<C: Cpu> Slots<C> {
    /// No slots yet. Their frames will be counted as used for `kind`.
    #[cfg(not(loom))]
    pub(crate) const fn new(geometry: Geometry, kind: FrameUse) -> Self {
        Self {
            geometry,
            kind,
            depot: IrqLock::new(Rank::ObjectPool, Depot::new(geometry)),
            magazines: PerCpu::new(
                [const { Padded(StockLock::new(Rank::ObjectPool, Magazine::new())) }; crate::addr::MAX_CPUS],
            ),
        }
    }

    /// No slots yet. Their frames will be counted as used for `kind`.
    #[cfg(loom)]
    pub(crate) fn new(geometry: Geometry, kind: FrameUse) -> Self {
        Self {
            geometry,
            kind,
            depot: IrqLock::new(Rank::ObjectPool, Depot::new(geometry)),
            magazines: PerCpu::from_fn(|_| StockLock::new(Rank::ObjectPool, Magazine::new())),
        }
    }

    /// How many slots a slab has.
    pub(crate) fn per_slab(&self) -> usize {
        self.geometry.slots()
    }

    /// How full they are. What the magazines do not have of what left the depot is in use, or on its way.
    pub(crate) fn fill(&self) -> Fill {
        let (slabs, out) = {
            let depot = self.depot.lock();
            (depot.slabs(), depot.out())
        };
        let cached = self.magazines.iter().map(|(_, magazine)| magazine.lock().slots.len()).sum();
        Fill { live: out.saturating_sub(cached as u64), cached, slabs }
    }

    /// A slot, or none where there is no frame either. Only an empty magazine asks for `frames`.
    #[inline]
    pub(crate) fn take<'f, M: FrameAccess + 'f>(
        &self,
        frames: impl FnOnce() -> &'f FrameAllocator<M, C>,
    ) -> Option<Slot> {
        let slot = self.magazine().lock().slots.pop();
        match slot {
            Some(slot) => Some(slot),
            None => self.take_from_depot(frames()),
        }
    }

    /// Takes a slot back. Only a full magazine asks for `frames`. A call, for there are many who drop something.
    #[inline(never)]
    pub(crate) fn put<'f, M: FrameAccess + 'f>(&self, slot: Slot, frames: impl FnOnce() -> &'f FrameAllocator<M, C>) {
        let put = self.magazine().lock().slots.push(slot);
        if let Err(slot) = put {
            self.put_past_magazine(slot, frames());
        }
    }

    /// Gives back all that is not in use.
    pub(crate) fn drain<M: FrameAccess>(&self, frames: &FrameAllocator<M, C>) {
        for (_, magazine) in self.magazines.iter() {
            loop {
                let mut batch = Batch::new();
                magazine.lock().drain(&mut batch);
                if batch.is_empty() {
                    break;
                }
                self.give_back(batch, frames);
            }
        }
        let spare = self.depot.lock().take_spare();
        if let Some(frame) = spare {
            release(frame, frames);
        }
    }

    /// Puts a slot that found the magazine full into the depot, and a batch of the magazine's with it.
    #[cold]
    #[inline(never)]
    fn put_past_magazine<M: FrameAccess>(&self, slot: Slot, frames: &FrameAllocator<M, C>) {
        let mut batch = Batch::new();
        let first = batch.push(slot);
        debug_assert!(first.is_ok(), "the batch was empty");
        self.magazine().lock().drain(&mut batch);
        self.give_back(batch, frames);
    }

    #[cold]
    #[inline(never)]
    fn take_from_depot<M: FrameAccess>(&self, frames: &FrameAllocator<M, C>) -> Option<Slot> {
        let mut batch = Batch::new();
        self.depot.lock().take(&mut batch);
        if batch.is_empty() && self.grow(&mut batch, frames).is_none() {
            return self.take_from_any_magazine();
        }
        let slot = batch.pop();
        let mut overflow = Batch::new();
        {
            let mut magazine = self.magazine().lock();
            while let Some(spare) = batch.pop() {
                if let Err(spare) = magazine.slots.push(spare) {
                    // Another CPU's magazine by now, or filled meanwhile.
                    let kept = overflow.push(spare);
                    debug_assert!(kept.is_ok(), "no more than a batch can be left");
                }
            }
        }
        self.give_back(overflow, frames);
        slot
    }

    /// Takes slots out of a new slab.
    fn grow<M: FrameAccess>(&self, into: &mut Batch, frames: &FrameAllocator<M, C>) -> Option<()> {
        let slab = frames.allocate(Order::SINGLE, self.kind, Zeroing::Unspecified).ok()?;
        let start = slab.as_ptr();
        let frame = slab.into_raw();
        let mut depot = self.depot.lock();
        // SAFETY: the frame is good for reads and writes by `FrameAccess`, aligned, and the depot's alone from now on.
        unsafe { depot.add(start, frame) };
        depot.take(into);
        Some(())
    }

    /// Looks into the magazines of all CPUs: the last resort before being out of memory.
    fn take_from_any_magazine(&self) -> Option<Slot> {
        self.magazines.iter().find_map(|(_, magazine)| magazine.lock().slots.pop())
    }

    /// Returns slots to the depot, and slabs that became empty to the frame allocator.
    fn give_back<M: FrameAccess>(&self, mut batch: Batch, frames: &FrameAllocator<M, C>) {
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
                release(frame, frames);
            }
        }
    }

    #[inline]
    fn magazine(&self) -> &StockLock<Magazine, C> {
        self.magazines.of(C::id())
    }
}

fn release<M: FrameAccess, C: Cpu>(slab: PhysFrame, frames: &FrameAllocator<M, C>) {
    // SAFETY: the depot has forgotten the slab, whose frame `grow` left to it with `into_raw`; no slot of it is in use or in
    // a magazine.
    drop(unsafe { frames.from_raw(slab) });
}

impl Magazine {
    const fn new() -> Self {
        Self { slots: heapless::Vec::new() }
    }

    fn drain(&mut self, into: &mut Batch) {
        while !into.is_full() {
            let Some(slot) = self.slots.pop() else { break };
            let moved = into.push(slot);
            debug_assert!(moved.is_ok(), "checked to have room");
        }
    }
}
