//! Memory by size, for the kernel's heap: slots of sixteen sizes, each size in slabs of its own.
//!
//! The sizes are chosen for what of a frame is left beside a slab's header: 4032 bytes are 9 times 448, 7 times 576, 3
//! times 1344 and twice 2016, where powers of two would waste a quarter of each frame. From 64 bytes on all but one are
//! multiples of 64, the largest alignment that is served here.
//!
//! Where a size belongs is looked up; the rest is `Slots`: a pop or a push under a lock of this CPU's own.

use core::alloc::Layout;
use core::ptr::NonNull;

use super::allocator::FrameAllocator;
use super::kind::FrameUse;
use super::pool::{Geometry, Slot, Slots};
use crate::addr::PAGE_SIZE;
use crate::hal::{Cpu, FrameAccess};

/// The sizes, in bytes.
const SIZES: [u16; 16] = [16, 32, 48, 64, 96, 128, 192, 256, 320, 448, 576, 640, 768, 960, 1344, 2016];
/// The largest of them.
const LARGEST: usize = SIZES[SIZES.len() - 1] as usize;
/// All sizes are multiples of it.
const STEP: usize = 16;
/// The largest alignment.
const MAX_ALIGN: usize = 64;

/// By size in steps, rounded up: the index of the smallest size that is enough.
static CLASSES: [u8; LARGEST / STEP + 1] = {
    let mut classes = [0; LARGEST / STEP + 1];
    let mut class = 0;
    let mut step = 0;
    while step < classes.len() {
        if step * STEP > SIZES[class as usize] as usize {
            class += 1;
        }
        classes[step] = class;
        step += 1;
    }
    classes
};

/// Slots of all sizes, in frames of one allocator.
pub struct SizeClasses<C: Cpu> {
    classes: [Slots<C>; SIZES.len()],
}

/// How full the slots are, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct HeapStatistics {
    /// In use.
    pub live: u64,
    /// Of all frames.
    pub total: u64,
}

impl<C: Cpu> SizeClasses<C> {
    /// No memory yet.
    #[cfg(not(loom))]
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it is there once, as a static")]
    pub const fn new() -> Self {
        macro_rules! classes {
            ($($index:literal)*) => {
                [$(Slots::new(const { geometry(SIZES[$index] as usize) }, FrameUse::KernelHeap)),*]
            };
        }
        Self { classes: classes![0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15] }
    }

    /// Memory of this class, `None` where there is no frame for it. Only where there is no slot left `frames` is asked for the
    /// allocator, always the same.
    #[inline]
    pub fn allocate<'f, M: FrameAccess + 'f>(
        &self,
        class: Class,
        frames: impl FnOnce() -> &'f FrameAllocator<M, C>,
    ) -> Option<NonNull<u8>> {
        self.slots(class).take(frames).map(Slot::into_memory)
    }

    /// Takes back memory; `frames` as in [`allocate`](Self::allocate).
    ///
    /// # Safety
    ///
    /// `memory` came from [`allocate`](Self::allocate) with this class and the same allocator of frames, and is not used
    /// again.
    #[inline]
    pub unsafe fn free<'f, M: FrameAccess + 'f>(
        &self,
        memory: NonNull<u8>,
        class: Class,
        frames: impl FnOnce() -> &'f FrameAllocator<M, C>,
    ) {
        // SAFETY: the caller's promise.
        let slot = unsafe { Slot::from_memory(memory) };
        self.slots(class).put(slot, frames);
    }

    #[inline]
    fn slots(&self, class: Class) -> &Slots<C> {
        // There are as many sizes as the mask lets pass.
        const { assert!(SIZES.len().is_power_of_two()) };
        &self.classes[usize::from(class.0) & (SIZES.len() - 1)]
    }

    /// Gives back all frames in which nothing is in use.
    pub fn drain<M: FrameAccess>(&self, frames: &FrameAllocator<M, C>) {
        self.classes.iter().for_each(|slots| slots.drain(frames));
    }

    /// How full they are.
    #[must_use]
    pub fn statistics(&self) -> HeapStatistics {
        let mut statistics = HeapStatistics::default();
        for (slots, bytes) in self.classes.iter().zip(SIZES) {
            let fill = slots.fill();
            statistics.live = statistics.live.wrapping_add(fill.live.wrapping_mul(bytes.into()));
            statistics.total += u64::from(fill.slabs) * PAGE_SIZE as u64;
        }
        statistics
    }
}

/// One of the sizes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Class(u8);

impl Class {
    /// The class whose slots serve `layout`, `None` where there is none: the same at each call.
    #[inline]
    #[must_use]
    pub fn of(layout: Layout) -> Option<Self> {
        let (size, align) = (layout.size(), layout.align());
        if align <= STEP {
            // A layout's size is at most `isize::MAX`.
            return CLASSES.get(size.wrapping_add(STEP - 1) / STEP).copied().map(Self);
        }
        Self::aligned(size, align)
    }

    /// The same for a large alignment.
    #[inline]
    fn aligned(size: usize, align: usize) -> Option<Self> {
        if align > MAX_ALIGN {
            return None;
        }
        // Alignments are powers of two: no division. Each multiple of one has its place among sizes that are multiples as
        // well, but for the last.
        let rounded = size.max(1).wrapping_add(align - 1) & !(align - 1);
        let class = *CLASSES.get(rounded / STEP)?;
        (usize::from(SIZES[usize::from(class)]) & (align - 1) == 0).then_some(Self(class))
    }
}

/// How a frame is cut into slots of `bytes`: aligned as far as their size is.
#[cfg(not(loom))]
const fn geometry(bytes: usize) -> Geometry {
    let natural = 1 << bytes.trailing_zeros();
    let align = if natural < MAX_ALIGN { natural } else { MAX_ALIGN };
    match Layout::from_size_align(bytes, align) {
        Ok(layout) => Geometry::of(layout),
        Err(_) => panic!("the sizes are small"),
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
