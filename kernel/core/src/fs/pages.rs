//! Bytes that lie in memory already, as the pages of a file.
//!
//! A page of the file that is a page of memory is mapped where it lies. The others are copied into frames of their own,
//! each when it is first asked for, once, and kept: the last page of a file, for what a program sees behind the end must
//! be zero and not the next file's header, and every page of a file that does not begin at a page's border.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::error::FileError;
use crate::addr::{PAGE_SIZE, PhysFrame};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::vm::{Pager, PagerError};

/// A page of memory that stays where it is.
pub type StaticPage = [u8; PAGE_SIZE];

/// The frames behind bytes in memory, and others to copy bytes to. The kernel implements it.
pub trait PageSource: Send + Sync {
    /// The frame that `page`, which begins at a page's border, lies in, with one more reference; `None` where memory
    /// cannot be shared with programs.
    fn frame_of(&self, page: &'static StaticPage) -> Option<PhysFrame>;

    /// A frame of zeroes with one reference; `None` where there is no memory.
    fn fresh(&self) -> Option<PhysFrame>;

    /// Writes `bytes` into `frame` from `offset` on; they end where it ends or before.
    fn write(&self, frame: PhysFrame, offset: usize, bytes: &[u8]);

    /// One more reference to `frame`.
    fn add_reference(&self, frame: PhysFrame);

    /// One reference less.
    fn release(&self, frame: PhysFrame);

    /// Whether there is memory for more small objects of the kernel.
    fn has_room(&self) -> bool;
}

/// The pages of a file whose bytes lie in memory.
pub(super) struct Pages {
    bytes: &'static [u8],
    source: Arc<dyn PageSource>,
    /// The first page whose frame is a copy; those before it are mapped where they lie.
    first_copy: usize,
    /// The copies, by frame number plus one; 0 where there is none yet. A copy, once made, stays.
    copies: Vec<AtomicU64>,
}

impl Pages {
    /// Of `bytes`.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`](FileError::OutOfMemory)
    pub(super) fn new(bytes: &'static [u8], source: Arc<dyn PageSource>) -> Result<Self, FileError> {
        let whole = bytes.len() / PAGE_SIZE;
        let first_copy = if lies_in_frames(bytes, &*source) { whole } else { 0 };
        let count = bytes.len().div_ceil(PAGE_SIZE).saturating_sub(first_copy);
        let mut copies = Vec::new();
        copies.try_reserve_exact(count).map_err(|_| FileError::OutOfMemory)?;
        copies.resize_with(count, || AtomicU64::new(0));
        Ok(Self { bytes, source, first_copy, copies })
    }

    pub(super) const fn contents(&self) -> &'static [u8] {
        self.bytes
    }

    fn copy(&self, index: usize) -> Result<PhysFrame, PagerError> {
        let slot = index.checked_sub(self.first_copy).and_then(|slot| self.copies.get(slot));
        let slot = slot.ok_or(PagerError::BeyondEnd)?;
        // Acquire: whoever sees the frame sees what was written to it.
        let frame = match decode(slot.load(Ordering::Acquire)) {
            Some(frame) => frame,
            None => self.make_copy(index, slot)?,
        };
        self.source.add_reference(frame);
        Ok(frame)
    }

    /// Makes the copy, unless somebody else is faster: his frame is the one then.
    #[cold]
    fn make_copy(&self, index: usize, slot: &AtomicU64) -> Result<PhysFrame, PagerError> {
        let frame = self.source.fresh().ok_or(PagerError::OutOfFrames)?;
        self.source.write(frame, 0, self.page_bytes(index).unwrap_or_default());
        match slot.compare_exchange(0, encode(frame), Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Ok(frame),
            Err(first) => {
                self.source.release(frame);
                decode(first).ok_or(PagerError::Io)
            }
        }
    }

    /// The file's bytes on page `index`: fewer than a page on the last one.
    fn page_bytes(&self, index: usize) -> Option<&'static [u8]> {
        let start = index.checked_mul(PAGE_SIZE)?;
        let rest = self.bytes.get(start..)?;
        Some(rest.get(..PAGE_SIZE).unwrap_or(rest))
    }
}

impl Pager for Pages {
    fn page(&self, index: u64) -> Result<PhysFrame, PagerError> {
        let index = usize::try_from(index).map_err(|_| PagerError::BeyondEnd)?;
        if index >= self.first_copy {
            return self.copy(index);
        }
        let page = self.page_bytes(index).and_then(|page| page.as_array()).ok_or(PagerError::BeyondEnd)?;
        self.source.frame_of(page).ok_or(PagerError::Io)
    }

    fn bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn identity(&self) -> u64 {
        core::ptr::from_ref(self).addr() as u64
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        for slot in &self.copies {
            if let Some(frame) = decode(slot.load(Ordering::Acquire)) {
                self.source.release(frame);
            }
        }
    }
}

/// Whether whole pages of the file are whole pages of memory that programs may see.
fn lies_in_frames(bytes: &'static [u8], source: &dyn PageSource) -> bool {
    let Some(first) = bytes.first_chunk() else {
        return false;
    };
    if !bytes.as_ptr().addr().is_multiple_of(PAGE_SIZE) {
        return false;
    }
    let frame = source.frame_of(first);
    if let Some(frame) = frame {
        source.release(frame);
    }
    frame.is_some()
}

const fn encode(frame: PhysFrame) -> u64 {
    frame.number().wrapping_add(1)
}

const fn decode(slot: u64) -> Option<PhysFrame> {
    match slot.checked_sub(1) {
        Some(number) => Some(PhysFrame::from_number(number)),
        None => None,
    }
}
