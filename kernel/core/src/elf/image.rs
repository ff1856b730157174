//! All that a loader wants to know of a program.

use alloc::boxed::Box;
use core::ops::Range;

use ::elf::abi;
use ::elf::segment::ProgramHeader;
use heapless::Vec;
use zerocopy::FromBytes;

use super::error::{ElfError, SegmentError};
use super::header::{Header, Kind, PROGRAM_HEADER_BYTES};
use super::segment::Segment;

/// The most segments of a program. Linkers make up to six.
pub const MAX_SEGMENTS: usize = 16;
/// The longest path of an interpreter, with its NUL.
const MAX_PATH: u64 = 4096;

/// What a program is made of. Addresses are as the file has them, before a base is added.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Image {
    /// Whether its addresses are final.
    pub kind: Kind,
    /// Where it starts.
    pub entry: u64,
    /// What is to be loaded, in ascending order; never empty.
    pub segments: Vec<Segment, MAX_SEGMENTS>,
    /// Where the program will find its own program headers, if they are loaded.
    pub program_headers: Option<u64>,
    /// How many of them there are.
    pub program_header_count: u16,
    /// Where the file names its interpreter: a path with a NUL behind it, shorter than a page.
    pub interpreter: Option<FileRange>,
    /// What it needs its stack for.
    pub stack: StackAccess,
    /// Its template of thread-local storage, which is the program's own business.
    pub thread_local: Option<ThreadLocal>,
}

/// A part of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileRange {
    /// From where.
    pub offset: u64,
    /// How much.
    pub bytes: usize,
}

/// What a program does with its stack (`PT_GNU_STACK`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StackAccess {
    /// Loads and stores. This is meant also where the file says nothing: so Linux does on AArch64.
    ReadWrite,
    /// Execution as well.
    ReadWriteExecute,
}

/// The template of thread-local storage (`PT_TLS`), as the file has it. Nothing of it is checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ThreadLocal {
    /// Where it begins in memory.
    pub address: u64,
    /// Its size.
    pub bytes: u64,
    /// Its alignment.
    pub alignment: u64,
}

impl Image {
    /// Reads the program headers of `table`. The image is large, so that it is made where it stays.
    pub(super) fn gather(header: &Header, table: &[u8], file_bytes: u64) -> Result<Box<Self>, ElfError> {
        let mut image = Box::new(Self {
            kind: header.kind(),
            entry: header.entry(),
            segments: Vec::new(),
            program_headers: None,
            program_header_count: header.count(),
            interpreter: None,
            stack: StackAccess::ReadWrite,
            thread_local: None,
        });
        let mut claimed = None;
        let entries = table.as_chunks::<RAW_BYTES>().0;
        for (index, entry) in entries.iter().enumerate() {
            // Nothing is read of those that are somebody else's.
            match kind_of(entry) {
                abi::PT_LOAD => image.add(index, &decode(entry), file_bytes)?,
                // The first one counts.
                abi::PT_INTERP if image.interpreter.is_none() => {
                    image.interpreter = Some(interpreter(&decode(entry), file_bytes)?);
                }
                abi::PT_GNU_STACK if decode(entry).p_flags & abi::PF_X != 0 => {
                    image.stack = StackAccess::ReadWriteExecute;
                }
                abi::PT_PHDR => claimed = Some(decode(entry).p_vaddr),
                abi::PT_TLS => {
                    let ProgramHeader { p_vaddr: address, p_memsz: bytes, p_align: alignment, .. } = decode(entry);
                    image.thread_local = Some(ThreadLocal { address, bytes, alignment });
                }
                _ => {}
            }
        }
        image.finish(header, claimed)?;
        Ok(image)
    }

    /// From the first page to the end of the last, as addresses.
    #[must_use]
    pub fn pages(&self) -> Range<u64> {
        let start = self.segments.first().map_or(0, |first| first.pages().start);
        let end = self.segments.last().map_or(0, |last| last.pages().end);
        start..end
    }

    /// The alignment that its base must have for its segments to have theirs.
    #[must_use]
    pub fn alignment(&self) -> u64 {
        self.segments.iter().map(Segment::alignment).max().unwrap_or(1)
    }

    fn add(&mut self, index: usize, entry: &ProgramHeader, file_bytes: u64) -> Result<(), ElfError> {
        let at_fault = |error| ElfError::Segment { index, error };
        let Some(segment) = Segment::check(entry, self.kind, file_bytes).map_err(at_fault)? else {
            return Ok(());
        };
        let pages = segment.pages();
        if self.segments.last().is_some_and(|before| before.pages().end > pages.start) {
            return Err(at_fault(SegmentError::Overlap(entry.p_vaddr)));
        }
        self.segments.push(segment).map_err(|_| ElfError::TooManySegments(index))
    }

    /// What is known only when all segments are. `claimed` is where the file says that its program headers are.
    fn finish(&mut self, header: &Header, claimed: Option<u64>) -> Result<(), ElfError> {
        if self.segments.is_empty() {
            return Err(ElfError::NoSegments);
        }
        if !self.segments.iter().any(|segment| segment.access().execute && segment.contains(self.entry)) {
            return Err(ElfError::EntryPoint(self.entry));
        }
        let table = header.table();
        let bytes = u64::try_from(table.bytes).unwrap_or(u64::MAX);
        let range = table.offset..table.offset.saturating_add(bytes);
        let found = self.segments.iter().find_map(|segment| segment.address_of(range.clone()));
        let is_loaded = |&at: &u64| self.segments.iter().any(|segment| segment.contains(at));
        self.program_headers = found.or(claimed.filter(is_loaded));
        Ok(())
    }
}

fn interpreter(entry: &ProgramHeader, file_bytes: u64) -> Result<FileRange, ElfError> {
    let bad = ElfError::InterpreterPath(entry.p_filesz);
    let end = entry.p_offset.checked_add(entry.p_filesz).ok_or(bad)?;
    if !(2..=MAX_PATH).contains(&entry.p_filesz) || end > file_bytes {
        return Err(bad);
    }
    let bytes = usize::try_from(entry.p_filesz).map_err(|_| bad)?;
    Ok(FileRange { offset: entry.p_offset, bytes })
}

/// One program header as it stands in the file, little-endian.
#[derive(FromBytes)]
#[repr(C)]
struct Raw {
    kind: u32,
    flags: u32,
    offset: u64,
    address: u64,
    physical_address: u64,
    file_bytes: u64,
    memory_bytes: u64,
    alignment: u64,
}

/// Its size.
const RAW_BYTES: usize = size_of::<Raw>();
const _: () = assert!(RAW_BYTES == PROGRAM_HEADER_BYTES as usize);

/// What kind of header it is.
fn kind_of(raw: &[u8; RAW_BYTES]) -> u32 {
    raw.first_chunk().map_or(abi::PT_NULL, |&kind| u32::from_le_bytes(kind))
}

/// All of it, taken from the file in one move: the table may begin at any address.
fn decode(raw: &[u8; RAW_BYTES]) -> ProgramHeader {
    let raw: Raw = zerocopy::transmute!(*raw);
    ProgramHeader {
        p_type: u32::from_le(raw.kind),
        p_flags: u32::from_le(raw.flags),
        p_offset: u64::from_le(raw.offset),
        p_vaddr: u64::from_le(raw.address),
        p_paddr: u64::from_le(raw.physical_address),
        p_filesz: u64::from_le(raw.file_bytes),
        p_memsz: u64::from_le(raw.memory_bytes),
        p_align: u64::from_le(raw.alignment),
    }
}
