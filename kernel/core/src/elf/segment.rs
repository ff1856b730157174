//! One piece of a program: a stretch of memory, and the stretch of the file that it begins with.

use core::ops::Range;

use ::elf::abi;
use ::elf::segment::ProgramHeader;

use super::error::SegmentError;
use super::header::Kind;
use crate::addr::{PAGE_SIZE, USER_END};

/// The largest alignment that a segment may ask for: what one table of the last level but one spans.
pub const MAX_ALIGNMENT: u64 = 1 << 30;

/// No program is at home below: null pointers with any small offset lead to nothing (`vm.mmap_min_addr`).
pub const LOWEST_ADDRESS: u64 = 64 << 10;

const PAGE: u64 = PAGE_SIZE as u64;
const OFFSET_MASK: u64 = PAGE.saturating_sub(1);

/// What may be done with a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SegmentAccess {
    /// Loads.
    pub read: bool,
    /// Stores.
    pub write: bool,
    /// Instruction fetches.
    pub execute: bool,
}

/// One `PT_LOAD`, checked. Addresses are as the file has them, before a base is added.
///
/// In pages it has up to three parts: what comes from the file ([`file_pages`](Self::file_pages)), the rest of the last
/// of these pages ([`tail`](Self::tail)), which must read as zero though the file goes on there, and pages of zeroes
/// ([`zero_pages`](Self::zero_pages)).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    address: u64,
    memory_bytes: u64,
    offset: u64,
    file_bytes: u64,
    alignment: u64,
    access: SegmentAccess,
}

impl Segment {
    /// Takes over a `PT_LOAD`; `None` if it has no memory.
    pub(super) fn check(header: &ProgramHeader, kind: Kind, file: u64) -> Result<Option<Self>, SegmentError> {
        let ProgramHeader { p_offset: offset, p_vaddr: address, p_filesz: file_bytes, p_memsz: memory_bytes, .. } =
            *header;
        if file_bytes > memory_bytes {
            return Err(SegmentError::FileBytes(file_bytes));
        }
        if memory_bytes == 0 {
            return Ok(None);
        }
        // 0 and 1 both mean that it does not matter.
        let alignment = header.p_align.max(1);
        if !alignment.is_power_of_two() || alignment > MAX_ALIGNMENT {
            return Err(SegmentError::Alignment(header.p_align));
        }
        let end = address.checked_add(memory_bytes).ok_or(SegmentError::Address(address))?;
        if end > USER_END || (kind == Kind::Fixed && page_down(address) < LOWEST_ADDRESS) {
            return Err(SegmentError::Address(address));
        }
        if file_bytes > 0 {
            if offset.checked_add(file_bytes).is_none_or(|end| end > file) {
                return Err(SegmentError::BeyondEnd(offset));
            }
            if offset & OFFSET_MASK != address & OFFSET_MASK {
                return Err(SegmentError::Offset(offset));
            }
        }
        let has = |flag| header.p_flags & flag != 0;
        let access = SegmentAccess { read: has(abi::PF_R), write: has(abi::PF_W), execute: has(abi::PF_X) };
        Ok(Some(Self { address, memory_bytes, offset, file_bytes, alignment, access }))
    }

    /// What may be done with it.
    #[must_use]
    pub const fn access(&self) -> SegmentAccess {
        self.access
    }

    /// The alignment of its address, at least 1.
    #[must_use]
    pub const fn alignment(&self) -> u64 {
        self.alignment
    }

    /// Its addresses, to the byte.
    #[must_use]
    pub const fn memory(&self) -> Range<u64> {
        self.address..self.address.saturating_add(self.memory_bytes)
    }

    /// Where in the file its contents are, to the byte.
    #[must_use]
    pub const fn file(&self) -> Range<u64> {
        self.offset..self.offset.saturating_add(self.file_bytes)
    }

    /// All of its pages, as addresses.
    #[must_use]
    pub const fn pages(&self) -> Range<u64> {
        page_down(self.address)..page_up(self.memory().end)
    }

    /// The pages that come from the file, as addresses. Empty if none does.
    #[must_use]
    pub const fn file_pages(&self) -> Range<u64> {
        let start = page_down(self.address);
        if self.file_bytes == 0 { start..start } else { start..page_up(self.address.saturating_add(self.file_bytes)) }
    }

    /// Where in the file the first of [`file_pages`](Self::file_pages) begins.
    #[must_use]
    pub const fn file_page_offset(&self) -> u64 {
        page_down(self.offset)
    }

    /// The end of the last of [`file_pages`](Self::file_pages), where the file's contents are followed by other memory of
    /// the segment, which begins as zero. Often empty.
    #[must_use]
    pub const fn tail(&self) -> Range<u64> {
        let start = self.address.saturating_add(self.file_bytes);
        if self.file_bytes == 0 || self.file_bytes == self.memory_bytes { start..start } else { start..page_up(start) }
    }

    /// The pages that begin as zero altogether, as addresses.
    #[must_use]
    pub const fn zero_pages(&self) -> Range<u64> {
        self.file_pages().end..self.pages().end
    }

    /// Whether `address` is in the segment.
    #[must_use]
    pub fn contains(&self, address: u64) -> bool {
        self.memory().contains(&address)
    }

    /// The address of what the file has at `range`, if all of it is part of the segment's contents.
    pub(super) fn address_of(&self, range: Range<u64>) -> Option<u64> {
        let file = self.file();
        let inside = range.start >= file.start && range.end <= file.end;
        let distance = range.start.checked_sub(file.start).filter(|_| inside)?;
        self.address.checked_add(distance)
    }
}

/// Saturation never happens: what is rounded is within the user half or within a file.
const fn page_up(at: u64) -> u64 {
    page_down(at.saturating_add(OFFSET_MASK))
}

const fn page_down(at: u64) -> u64 {
    at & !OFFSET_MASK
}
