//! Program files: what a file says of the program in it, before any of it is memory.
//!
//! Everything here is pure: bytes in, a description or a refusal out. [`proc::exec`](crate::proc::exec) reads the bytes
//! and turns the description into an address space.
//!
//! * [`Header`], [`Image`]: an ELF file; which [`Segment`]s go where, where it starts, what loads it
//! * [`script`]: a file that begins with `#!` and names its interpreter
//! * [`stack`]: what a program finds on its stack: arguments, environment, auxiliary vector
//!
//! # What is a program
//!
//! ELF64, little-endian, AArch64, either at fixed addresses (`ET_EXEC`) or wherever there is room (`ET_DYN`: static-PIE
//! programs, dynamic ones and their interpreters). Of the program headers, `PT_LOAD`, `PT_INTERP`, `PT_GNU_STACK`, `PT_PHDR`
//! and `PT_TLS` are read; all others are advice to somebody else, like `PT_GNU_RELRO`, which the program applies itself.
//!
//! The file may be torn, hostile or absurd. An [`Image`] exists only if all of this holds, so that the loader need not ask
//! again:
//!
//! * Segments lie in the user half, not below [`LOWEST_ADDRESS`] where the file fixes their place, in ascending order, and
//!   no two have a page in common.
//! * What a segment takes from the file is in the file, is at most its size in memory, and has the same offset within a
//!   page in both.
//! * Alignments are powers of two, up to [`MAX_ALIGNMENT`].
//! * The entry point is in an executable segment.
//!
//! That is stricter than Linux in places where a file that Linux takes would die by its first instruction or lose pages to
//! its next segment. A refusal names what is wrong and its value ([`ElfError`]).
//!
//! The crate `elf` decodes the file header and knows the numbers. It would also find the tables, but it wants the whole file
//! in memory for that.

#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

mod error;
mod header;
mod image;
pub mod script;
mod segment;
pub mod stack;

// Nothing here is unsafe, so Miri would find nothing, slowly.
#[cfg(test)]
#[cfg(not(any(loom, miri)))]
pub(crate) mod fake;
#[cfg(test)]
#[cfg(not(any(loom, miri)))]
mod tests;

use alloc::boxed::Box;

pub use error::{ElfError, SegmentError};
pub use header::{HEADER_BYTES, Header, Kind, MAX_PROGRAM_HEADERS, PROGRAM_HEADER_BYTES, TableRange};
pub use image::{FileRange, Image, MAX_SEGMENTS, StackAccess, ThreadLocal};
pub use script::{Script, ScriptError};
pub use segment::{LOWEST_ADDRESS, MAX_ALIGNMENT, Segment, SegmentAccess};

/// What a program whose program headers are all within `head`, the first bytes of the file, is made of. (A file may have
/// them elsewhere: then take a [`Header`] first.)
///
/// # Errors
///
/// [`ElfError`], for whatever makes it unfit to be run.
pub fn parse(head: &[u8], file_bytes: u64) -> Result<Box<Image>, ElfError> {
    let header = Header::parse(head)?;
    let table = header.table();
    let rest = usize::try_from(table.offset).ok().and_then(|offset| head.get(offset..));
    let bytes = rest.and_then(|rest| rest.get(..table.bytes)).ok_or(ElfError::TableBeyondEnd(table.offset))?;
    header.image(bytes, file_bytes)
}
