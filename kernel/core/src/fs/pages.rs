//! Bytes that lie in memory already, as the pages of a file.
//!
//! A page of the file that is a page of memory is mapped where it lies. The others are copied into frames of their own,
//! each when it is first asked for, once, and kept: the last page of a file, for what a program sees behind the end must
//! be zero and not the next file's header, and every page of a file that does not begin at a page's border.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::error::FileError;
use crate::addr::{PAGE_SIZE, PhysFrame};
use crate::paging::{FEW_PAGES, FewFrames};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::vm::{PagerError, each_ready};

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

    /// Fills `to` from `frame` from `offset` on; it ends where the frame ends or before.
    fn read(&self, frame: PhysFrame, offset: usize, to: &mut [u8]);

    /// One more reference to `frame`.
    fn add_reference(&self, frame: PhysFrame);

    /// One more reference to each frame that is `n` behind `first` where bit `n` of `which` is set.
    fn add_references(&self, first: PhysFrame, which: u16) {
        let mut rest = which;
        while rest != 0 {
            let frame = first.number().wrapping_add(rest.trailing_zeros().into());
            self.add_reference(PhysFrame::from_number(frame));
            rest &= rest.wrapping_sub(1);
        }
    }

    /// One reference less.
    fn release(&self, frame: PhysFrame);

    /// Whether there is memory for more small objects of the kernel.
    fn has_room(&self) -> bool;

    /// Promises `pages` pages to a file, if the policy allows ([`Commitments`](crate::vm::Commitments)).
    fn promise(&self, pages: u64) -> bool;

    /// Takes such a promise back.
    fn take_back(&self, pages: u64);

    /// How many frames the machine has: what file systems in memory are bounded by.
    fn total_frames(&self) -> u64;
}

/// A frame of its own for a page of a file: so many bytes, at most a page, which `read` gives from an offset in the page
/// on, and zeroes behind them.
///
/// # Errors
///
/// [`OutOfFrames`](PagerError::OutOfFrames), [`Io`](PagerError::Io) where `read` fails.
pub(super) fn read_page(
    pages: &dyn PageSource,
    bytes: u64,
    mut read: impl FnMut(u64, &mut [u8]) -> Result<(), FileError>,
) -> Result<PhysFrame, PagerError> {
    /// How much is on its way at a time.
    const CHUNK: usize = 2048;
    if !pages.has_room() {
        return Err(PagerError::OutOfFrames);
    }
    let frame = pages.fresh().ok_or(PagerError::OutOfFrames)?;
    let mut buffer = [0; CHUNK];
    let mut done = 0;
    while done < bytes {
        let count = bytes.saturating_sub(done).min(CHUNK as u64);
        let piece = buffer.get_mut(..usize::try_from(count).unwrap_or(CHUNK)).unwrap_or_default();
        if read(done, piece).is_err() {
            pages.release(frame);
            return Err(PagerError::Io);
        }
        pages.write(frame, usize::try_from(done).unwrap_or(0), piece);
        done = done.saturating_add(count);
    }
    Ok(frame)
}

/// The pages of a file whose bytes lie in memory.
pub(super) struct Pages {
    bytes: &'static [u8],
    source: Arc<dyn PageSource>,
    /// The first page whose frame is a copy; those before it are mapped where they lie.
    first_copy: usize,
    /// The frame in which the first of those lies; the others' follow it.
    first_frame: PhysFrame,
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
        let first_frame = first_frame(bytes, &*source);
        let first_copy = if first_frame.is_some() { whole } else { 0 };
        let count = bytes.len().div_ceil(PAGE_SIZE).saturating_sub(first_copy);
        let mut copies = Vec::new();
        copies.try_reserve_exact(count).map_err(|_| FileError::OutOfMemory)?;
        copies.resize_with(count, || AtomicU64::new(0));
        Ok(Self { bytes, source, first_copy, first_frame: first_frame.unwrap_or(PhysFrame::from_number(0)), copies })
    }

    pub(super) const fn contents(&self) -> &'static [u8] {
        self.bytes
    }

    /// The frame of page `index`, with one reference for the caller.
    pub(super) fn page(&self, index: u64) -> Result<PhysFrame, PagerError> {
        match self.place(index).ok_or(PagerError::BeyondEnd)? {
            Place::Here(frame) => {
                self.source.add_reference(frame);
                Ok(frame)
            }
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

    /// The same for pages behind `first`, but for those of which there is no copy yet ([`Pager::ready`](crate::vm::Pager)).
    pub(super) fn ready(&self, first: u64, wanted: u16, frames: &mut FewFrames) -> u16 {
        let first = usize::try_from(first).unwrap_or(usize::MAX);
        // Those that are mapped where they lie, which most are: their frames follow each other.
        let count = self.first_copy.saturating_sub(first).min(FEW_PAGES);
        let here = wanted & mask(count);
        if here != 0 {
            let start = self.frame_here(first);
            for (frame, number) in frames.iter_mut().zip(start.number()..).take(count) {
                *frame = PhysFrame::from_number(number);
            }
            self.source.add_references(start, here);
        }
        if wanted == here { here } else { here | self.ready_copies(first, wanted & !here, frames) }
    }

    #[cold]
    fn ready_copies(&self, first: usize, wanted: u16, frames: &mut FewFrames) -> u16 {
        each_ready(first as u64, wanted, frames, |index| match self.place(index)? {
            Place::Copy { slot, .. } => made(slot).inspect(|&frame| self.source.add_reference(frame)),
            Place::Here(_) => None,
        })
    }

    /// The frame in which page `index` lies, one of those that do.
    const fn frame_here(&self, index: usize) -> PhysFrame {
        PhysFrame::from_number(self.first_frame.number().wrapping_add(index as u64))
    }

    /// Where page `index` is; `None` past the end.
    fn place(&self, index: u64) -> Option<Place<'_>> {
        let index = usize::try_from(index).ok()?;
        if index < self.first_copy {
            return Some(Place::Here(self.frame_here(index)));
        }
        let rest = self.bytes.get(index.checked_mul(PAGE_SIZE)?..).filter(|rest| !rest.is_empty())?;
        let slot = self.copies.get(index.checked_sub(self.first_copy)?)?;
        Some(Place::Copy { slot, bytes: rest.get(..PAGE_SIZE).unwrap_or(rest) })
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
    /// Where it lies: in this frame.
    Here(PhysFrame),
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

/// The frame of the first page, if the whole pages of the file are whole pages of memory that programs may see, one behind
/// the other.
fn first_frame(bytes: &'static [u8], source: &dyn PageSource) -> Option<PhysFrame> {
    if !bytes.as_ptr().addr().is_multiple_of(PAGE_SIZE) {
        return None;
    }
    let (pages, _) = bytes.as_chunks::<PAGE_SIZE>();
    let find = |page| source.frame_of(page).inspect(|&frame| source.release(frame));
    let (first, last) = (find(pages.first()?)?, find(pages.last()?)?);
    let distance = last.number().checked_sub(first.number())?;
    (distance == pages.len().saturating_sub(1) as u64).then_some(first)
}

/// The lowest `count` bits, at most sixteen.
const fn mask(count: usize) -> u16 {
    if count < FEW_PAGES { (1_u16 << count).wrapping_sub(1) } else { u16::MAX }
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
