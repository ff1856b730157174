//! Memory that a device reads and writes by itself.

use alloc::boxed::Box;
use core::ops::Range;
use core::ptr::NonNull;

use drivers::sdhci::SharedMemory;
use kcore::boot::PhysRange;
use kcore::boot::tree::DmaWindow;
use kcore::frame::{Order, Zeroing};

use super::frames::frames;
use crate::arch::cache;

/// A block of whole frames, taken for good: a device that could not be stopped may write to it as long as there is power.
#[derive(Debug)]
pub(crate) struct SharedBlock {
    start: NonNull<u8>,
    bytes: usize,
    bus: u32,
}

// SAFETY: the frames belong to the block, whichever thread has it.
unsafe impl Send for SharedBlock {}

impl SharedBlock {
    /// A block of this order that a device reaches through `window`; `None` where there is none.
    pub(crate) fn take(order: Order, window: &DmaWindow) -> Option<&'static mut Self> {
        let handle = frames().allocate_dma(order, Zeroing::Zeroed).ok()?;
        let bytes = order.bytes();
        let place = PhysRange::from_size(handle.frame().start(), bytes as u64)?;
        let bus = window.bus_address(place)?;
        let start = handle.as_ptr();
        let _kept = handle.into_raw();
        Some(Box::leak(Box::new(Self { start, bytes, bus })))
    }

    fn first(&self, bytes: usize) -> Range<usize> {
        let start = self.start.addr().get();
        start..start + bytes.min(self.bytes)
    }
}

impl SharedMemory for SharedBlock {
    fn bus_address(&self) -> u32 {
        self.bus
    }

    fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: the frames were zeroed, are mapped for good and belong to `self`, which is borrowed exclusively; the device
        // writes only between `clean` and `invalidate`, when no reference exists.
        unsafe { core::slice::from_raw_parts_mut(self.start.as_ptr(), self.bytes) }
    }

    fn clean(&mut self, bytes: usize) {
        cache::clean(&self.first(bytes));
    }

    fn invalidate(&mut self, bytes: usize) {
        cache::clean_and_invalidate(&self.first(bytes));
    }
}
