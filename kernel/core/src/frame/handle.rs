//! One counted reference to a block of frames.

use core::fmt;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;

use super::allocator::FrameAllocator;
use super::kind::FrameState;
use super::order::Order;
use super::record::Index;
use crate::addr::{PAGE_SIZE, PhysFrame};
use crate::hal::{Cpu, FrameAccess};

/// The contents of a frame.
pub type Page = [u8; PAGE_SIZE];

/// One reference to a block. The block is free when the last one is dropped.
///
/// As with an `Arc`, contents are written through the only reference or not at all.
#[must_use = "the block is given back when the handle is dropped"]
pub struct FrameHandle<'a, M: FrameAccess, C: Cpu> {
    allocator: &'a FrameAllocator<M, C>,
    index: Index,
}

impl<'a, M: FrameAccess, C: Cpu> FrameHandle<'a, M, C> {
    /// Takes over one reference to the block that begins at `index`.
    pub(super) fn new(allocator: &'a FrameAllocator<M, C>, index: Index) -> Self {
        Self { allocator, index }
    }

    /// The first frame.
    #[must_use]
    pub fn frame(&self) -> PhysFrame {
        PhysFrame::from_number(self.index.into())
    }

    /// The size of the block.
    #[must_use]
    pub fn order(&self) -> Order {
        self.allocator.record(self.index).order()
    }

    /// How many references to the block there are. If it is 1, it is ours, and stays 1 until we share it.
    #[must_use]
    pub fn references(&self) -> u32 {
        self.allocator.record(self.index).references().get()
    }

    /// One more reference to the same block.
    pub fn share(&self) -> Self {
        self.allocator.record(self.index).references().increment();
        Self { allocator: self.allocator, index: self.index }
    }

    /// Where the kernel sees the first frame.
    #[must_use]
    pub fn as_ptr(&self) -> NonNull<u8> {
        self.allocator.memory.frame_ptr(self.frame())
    }

    /// The contents of the block's frame number `at`, or `None` beyond its end.
    #[must_use]
    pub fn page(&self, at: u32) -> Option<&Page> {
        let page = self.page_ptr(at)?;
        // SAFETY: the pointer is good for a whole frame and aligned to one by `FrameAccess`. The frame is not free as
        // long as `self` holds its reference. It is not written meanwhile: that takes the only reference
        // (`page_mut`), and whoever turned one into a number has promised it in `from_raw`.
        Some(unsafe { page.as_ref() })
    }

    /// The contents of the block's frame number `at`, to be written; `None` beyond its end or while there are other references.
    #[must_use]
    pub fn page_mut(&mut self, at: u32) -> Option<&mut Page> {
        if self.references() != 1 {
            return None;
        }
        let mut page = self.page_ptr(at)?;
        // SAFETY: as for `page`; and we hold the only reference, which nobody can share while `self` is borrowed. What
        // other holders did has happened before the count became 1.
        Some(unsafe { page.as_mut() })
    }

    /// Leaves the reference to the caller as a bare number, as translation tables keep it. The way back is
    /// [`FrameAllocator::from_raw`].
    #[must_use = "the reference is lost with the number"]
    pub fn into_raw(self) -> PhysFrame {
        ManuallyDrop::new(self).frame()
    }

    fn page_ptr(&self, at: u32) -> Option<NonNull<Page>> {
        (at < self.order().frames())
            .then(|| self.allocator.memory.frame_ptr(PhysFrame::from_number((self.index + at).into())).cast())
    }
}

impl<M: FrameAccess, C: Cpu> Drop for FrameHandle<'_, M, C> {
    #[inline]
    fn drop(&mut self) {
        self.allocator.give_up(self.index);
    }
}

impl<M: FrameAccess, C: Cpu> fmt::Debug for FrameHandle<'_, M, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.allocator.record(self.index).state();
        debug_assert!(matches!(state, FrameState::Used(_)));
        write!(f, "FrameHandle({:#x}, {:?}, {state:?})", self.index, self.order())
    }
}
