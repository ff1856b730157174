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
use crate::vm::PagerError;

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

    /// The frame of page `index`, with one reference for the caller.
    pub(super) fn page(&self, index: u64) -> Result<PhysFrame, PagerError> {
        match self.place(index).ok_or(PagerError::BeyondEnd)? {
            Place::Here(page) => self.source.frame_of(page).ok_or(PagerError::Io),
            Place::Copy { slot, bytes } => {
                let frame = match made(slot) {
                    Some(frame) => frame,
                    None => self.make_copy(slot, bytes)?,
                };
                self.source.add_reference(frame);
                Ok(frame)
            }
        }
    }

    /// The same, unless it would take a copy.
    pub(super) fn ready(&self, index: u64) -> Option<PhysFrame> {
        match self.place(index)? {
            Place::Here(page) => self.source.frame_of(page),
            Place::Copy { slot, .. } => made(slot).inspect(|&frame| self.source.add_reference(frame)),
        }
    }

    /// Where page `index` is; `None` past the end.
    fn place(&self, index: u64) -> Option<Place<'_>> {
        let index = usize::try_from(index).ok()?;
        let rest = self.bytes.get(index.checked_mul(PAGE_SIZE)?..).filter(|rest| !rest.is_empty())?;
        let page = rest.first_chunk();
        if let Some(page) = page.filter(|_| index < self.first_copy) {
            return Some(Place::Here(page));
        }
        let slot = self.copies.get(index.checked_sub(self.first_copy)?)?;
        Some(Place::Copy { slot, bytes: page.map_or(rest, |page| page) })
    }

    /// Makes the copy, unless somebody else is faster: his frame is the one then.
    #[cold]
    fn make_copy(&self, slot: &AtomicU64, bytes: &[u8]) -> Result<PhysFrame, PagerError> {
        let frame = self.source.fresh().ok_or(PagerError::OutOfFrames)?;
        self.source.write(frame, 0, bytes);
        // Release: whoever sees the frame sees what was written to it.
        match slot.compare_exchange(0, encode(frame), Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Ok(frame),
            Err(first) => {
                self.source.release(frame);
                decode(first).ok_or(PagerError::Io)
            }
        }
    }
}

/// Where a page of a file is.
enum Place<'a> {
    /// Where it lies.
    Here(&'static StaticPage),
    /// In the frame that `slot` names, or will name once there is a copy of these bytes.
    Copy { slot: &'a AtomicU64, bytes: &'static [u8] },
}

impl Drop for Pages {
    fn drop(&mut self) {
        for slot in &self.copies {
            if let Some(frame) = made(slot) {
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

/// The copy, if it was made.
fn made(slot: &AtomicU64) -> Option<PhysFrame> {
    decode(slot.load(Ordering::Acquire))
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
