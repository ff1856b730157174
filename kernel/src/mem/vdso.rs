//! The page of the kernel's own shared object, which all programs map ([`arch::vdso`](crate::arch::vdso)).

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

use kcore::addr::{PAGE_SIZE, PhysFrame};
use kcore::hal::FrameAccess;
use kcore::sync::Once;
use kcore::vm::{MemorySystem, Pager, PagerError};
use zerocopy::IntoBytes;

use super::frames::LinearMemory;
use super::user::MEMORY;
use crate::arch::vdso::{self, Data};

/// The object, as memory.
struct Page {
    /// Kept for good.
    frame: PhysFrame,
}

static PAGE: Once<Option<Arc<dyn Pager>>> = Once::new();
/// Where the epoch stands; 0 before there is a page. Only [`set_epoch`] writes it.
static EPOCH: Once<&'static AtomicU64> = Once::new();

impl Pager for Page {
    fn page(&self, index: u64) -> Result<PhysFrame, PagerError> {
        if index != 0 {
            return Err(PagerError::BeyondEnd);
        }
        MEMORY.add_reference(self.frame);
        Ok(self.frame)
    }

    fn bytes(&self) -> u64 {
        PAGE_SIZE as u64
    }

    fn identity(&self) -> u64 {
        core::ptr::from_ref(self).addr() as u64
    }
}

/// Makes the page, with this data. Called once, by the boot CPU, when there is an allocator. Without memory there is none,
/// and programs call the kernel.
pub(crate) fn init(data: &Data) {
    let (image, offset) = (vdso::image(), vdso::data_offset());
    assert!(image.len() <= PAGE_SIZE && offset.is_multiple_of(align_of::<AtomicU64>()), "the object fits a page");
    PAGE.call_once(|| {
        let frame = MEMORY.zeroed_file()?;
        MEMORY.write(frame, 0, image);
        let words = [data.epoch_ns, data.whole_ns, data.fraction, data.exact_ticks, data.resolution_ns];
        MEMORY.write(frame, offset, words.as_bytes());
        // SAFETY: within the frame.
        let epoch = unsafe { LinearMemory.frame_ptr(frame).add(offset) };
        // SAFETY: aligned as asserted, in a frame of the linear map that is kept for good and, programs' rights being what they
        // are, written through this reference only.
        EPOCH.call_once(|| unsafe { AtomicU64::from_ptr(epoch.cast().as_ptr()) });
        Some(Arc::new(Page { frame }))
    });
}

/// Lets programs see what the wall clock showed when the counter started.
pub(crate) fn set_epoch(epoch_ns: u64) {
    if let Some(epoch) = EPOCH.get() {
        epoch.store(epoch_ns, Ordering::Relaxed);
    }
}

/// The object, if there is one.
pub(crate) fn pager() -> Option<&'static Arc<dyn Pager>> {
    PAGE.get().and_then(Option::as_ref)
}

/// Where in it a signal handler returns to.
pub(crate) fn sigreturn_offset() -> u64 {
    vdso::sigreturn_offset() as u64
}
