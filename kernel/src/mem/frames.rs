//! All physical memory, as the kernel has it: one allocator, reached through the linear map.

use core::mem::MaybeUninit;
use core::ptr::NonNull;

use kcore::addr::{PAGE_SIZE, PhysAddr, PhysFrame};
use kcore::boot::PhysRange;
use kcore::boot::memory_map::MemoryMap;
#[cfg(feature = "ktest")]
use kcore::frame::FrameHandle;
use kcore::frame::{FrameAllocator, FrameRecord, FrameUse, Zeroing};
use kcore::hal::FrameAccess;
use kcore::paging::{OutOfFrames, TableSource};
use spin::Once;

use super::layout;
use crate::arch::cpu::Arm;
use crate::arch::memory;

/// The linear map: every frame of RAM at [`layout::LINEAR_BASE`] plus its address.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LinearMemory;

// SAFETY: `mem::linear` maps all RAM before the allocator exists and never takes any of it away; addresses are distinct
// because the map adds a constant; frames are page-aligned, and so is the base.
unsafe impl FrameAccess for LinearMemory {
    const CLEAR: Option<unsafe fn(NonNull<u8>)> = Some(memory::clear_page);

    #[inline]
    fn frame_ptr(&self, frame: PhysFrame) -> NonNull<u8> {
        layout::pointer(layout::linear(frame.start()))
    }
}

/// The kernel's frame allocator.
pub(crate) type Frames = FrameAllocator<LinearMemory, Arm>;
/// A block of frames that frees itself.
#[cfg(feature = "ktest")]
pub(crate) type Frame = FrameHandle<'static, LinearMemory, Arm>;

static FRAMES: Once<Frames> = Once::new();

/// The allocator.
///
/// # Panics
///
/// Before [`init`].
pub(crate) fn frames() -> &'static Frames {
    FRAMES.get().expect("memory is set up before it is used")
}

/// The allocator, without asking whether it is there: a fork would ask a dozen times.
///
/// # Safety
///
/// [`init`] has been called.
#[inline(always)]
#[expect(clippy::inline_always, reason = "an address that the linker knows")]
pub(super) unsafe fn frames_set_up() -> &'static Frames {
    // SAFETY: the caller's promise.
    unsafe { FRAMES.get_unchecked() }
}

/// Hands the free ranges of `map` to a new allocator, less what its own table of records takes.
///
/// # Safety
///
/// Every range of `map` is RAM that the linear map covers and that nothing uses; called once, by the boot CPU.
pub(super) unsafe fn init(map: &mut MemoryMap) -> Result<(), NoRoom> {
    let end = map.free().last().ok_or(NoRoom)?.end();
    let records = usize::try_from(PhysFrame::containing(end).number()).map_err(|_| NoRoom)?;
    let bytes = Frames::table_bytes(PhysFrame::containing(end));
    let table = map.carve(bytes, PAGE_SIZE as u64, end).ok_or(NoRoom)?;
    let start: NonNull<MaybeUninit<FrameRecord>> = layout::pointer(layout::linear(table.start()));
    // SAFETY: the range was just taken out of the free memory, is mapped, page-aligned and large enough for `records`
    // entries; nothing else refers to it, and uninitialised entries need no value.
    let table = unsafe { NonNull::slice_from_raw_parts(start, records).as_mut() };
    let low = PhysFrame::containing(PhysAddr::new(1 << 30));
    let frames = FRAMES.call_once(|| Frames::new(LinearMemory, table, low));
    for range in map.free() {
        // SAFETY: the caller's promise; each free range is handed over once.
        unsafe { frames.add(frames_of(*range)) }.map_err(|_| NoRoom)?;
    }
    Ok(())
}

/// There is not even memory for the allocator.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoRoom;

/// The whole frames of a page-aligned range.
pub(crate) fn frames_of(range: PhysRange) -> core::ops::Range<PhysFrame> {
    PhysFrame::containing(range.start())..PhysFrame::containing(range.end())
}

/// Translation tables from the allocator.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FrameTables;

// SAFETY: a handle turned into a number is a frame of the linear map that belongs to nobody else until it is freed.
unsafe impl TableSource for FrameTables {
    fn allocate(&self) -> Result<PhysFrame, OutOfFrames> {
        frames().allocate_raw(FrameUse::PageTable, Zeroing::Unspecified).ok_or(OutOfFrames)
    }

    fn allocate_zeroed(&self, _memory: &impl FrameAccess) -> Result<PhysFrame, OutOfFrames> {
        frames().allocate_raw(FrameUse::PageTable, Zeroing::Zeroed).ok_or(OutOfFrames)
    }

    fn free(&self, frame: PhysFrame) {
        // SAFETY: the tables give back only frames that `allocate` returned, once each.
        drop(unsafe { frames().from_raw(frame) });
    }
}
