//! The initial archive's memory: reserved while the machine boots, ordinary frames afterwards, which programs map and share
//! like any and which nothing copies.

use core::ops::Range;

use kcore::addr::{PAGE_SIZE, PhysAddr, PhysFrame};
use kcore::boot::PhysRange;
use kcore::frame::FrameUse;
use kcore::fs::{PageSource, StaticPage};
use kcore::vm::MemorySystem;

use super::frames::frames;
use super::user::MEMORY;
use super::{firmware, layout};

/// What the kernel was built with, for where it is passed none. Only the linker's symbols around it are used.
#[cfg(builtin_initramfs)]
#[used]
#[unsafe(link_section = ".initramfs")]
static BUILT_IN: [u8; include_bytes!(env!("TINE_BUILTIN")).len()] = *include_bytes!(env!("TINE_BUILTIN"));

/// The archive: its bytes, and the frames under them.
#[derive(Debug)]
pub(crate) struct Archive {
    /// What firmware put there; never written.
    pub(crate) bytes: &'static [u8],
    /// Where its pages come from.
    pub(crate) source: Source,
}

/// The frames under an archive, for `kcore::fs`.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// The frames that hold nothing but archive, and are counted.
    frames: Range<PhysFrame>,
}

/// Takes the archive over that firmware left at `place`, which the memory map keeps reserved. Called once, by the boot CPU,
/// when there is an allocator.
pub(crate) fn take(place: PhysRange) -> Archive {
    let page = PAGE_SIZE as u64;
    let start = place.start().align_up(page).unwrap_or(place.end()).min(place.end());
    let end = place.end().align_down(page).max(start);
    let mut whole = PhysFrame::containing(start)..PhysFrame::containing(end);
    // SAFETY: the range is RAM of the linear map and reserved, so it was not handed over; each frame's first reference is
    // kept for good, for the bytes below.
    if unsafe { frames().adopt(whole.clone(), FrameUse::UserFile) }.is_err() {
        // Beyond all memory that there are records of: its pages are copied, as if they lay across frames.
        whole.end = whole.start;
    }
    Archive { bytes: firmware::initramfs(place), source: Source { frames: whole } }
}

impl PageSource for Source {
    fn frame_of(&self, page: &'static StaticPage) -> Option<PhysFrame> {
        let at = (page.as_ptr().addr() as u64).checked_sub(layout::LINEAR_BASE)?;
        let frame = PhysFrame::containing(PhysAddr::new(at));
        let counted = self.frames.contains(&frame) && page.as_ptr().addr().is_multiple_of(PAGE_SIZE);
        counted.then(|| {
            MEMORY.add_reference(frame);
            frame
        })
    }

    fn fresh(&self) -> Option<PhysFrame> {
        MEMORY.zeroed_file()
    }

    fn write(&self, frame: PhysFrame, offset: usize, bytes: &[u8]) {
        MEMORY.write(frame, offset, bytes);
    }

    fn read(&self, frame: PhysFrame, offset: usize, to: &mut [u8]) {
        MEMORY.read(frame, offset, to);
    }

    fn add_reference(&self, frame: PhysFrame) {
        MEMORY.add_reference(frame);
    }

    fn release(&self, frame: PhysFrame) {
        MEMORY.release(frame);
    }

    fn has_room(&self) -> bool {
        MEMORY.has_room()
    }

    fn promise(&self, pages: u64) -> bool {
        MEMORY.commitments().charge(pages, MEMORY.total_frames()).is_ok()
    }

    fn take_back(&self, pages: u64) {
        MEMORY.commitments().uncharge(pages);
    }

    fn total_frames(&self) -> u64 {
        MEMORY.total_frames()
    }
}
