//! Why a file is no program.

use core::fmt;

/// Why a file is not a program that this machine can run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ElfError {
    /// The file ends within the header, after so many bytes.
    Truncated(usize),
    /// It begins with these bytes, which are not ELF's.
    Magic([u8; 4]),
    /// `EI_CLASS`: not a 64-bit file.
    Class(u8),
    /// `EI_DATA`: not little-endian.
    Encoding(u8),
    /// `EI_VERSION`: not the one there is.
    Version(u8),
    /// `e_machine`: not AArch64.
    Machine(u16),
    /// `e_type`: neither an executable nor a shared object.
    Kind(u16),
    /// `e_phentsize`: not the size of a program header.
    EntrySize(u16),
    /// `e_phnum`: no program headers, or more than anybody needs.
    EntryCount(u16),
    /// `e_phoff`: the program headers are not in the file, or not in what was given of it.
    TableBeyondEnd(u64),
    /// A segment that cannot be loaded.
    Segment {
        /// Which program header.
        index: usize,
        /// What is wrong with it.
        error: SegmentError,
    },
    /// This program header is one segment more than are supported.
    TooManySegments(usize),
    /// Nothing is to be loaded.
    NoSegments,
    /// `e_entry`: not in an executable segment.
    EntryPoint(u64),
    /// The interpreter's path, so many bytes with its NUL: empty, too long for a path, or not in the file.
    InterpreterPath(u64),
}

/// What is wrong with a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SegmentError {
    /// `p_align`: not a power of two, or larger than is supported.
    Alignment(u64),
    /// `p_filesz` is more than `p_memsz`.
    FileBytes(u64),
    /// `p_offset`: from there, the file ends before the segment does.
    BeyondEnd(u64),
    /// `p_offset` and `p_vaddr` are not at the same place of a page; this is `p_offset`.
    Offset(u64),
    /// `p_vaddr`: from there, the segment is not all in the user half, or in a file that is not relocated, begins too near
    /// to address zero.
    Address(u64),
    /// `p_vaddr` is not behind the last page of the segment before.
    Overlap(u64),
}

impl fmt::Display for ElfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated(bytes) => write!(f, "the file ends in its header, after {bytes} bytes"),
            Self::Magic(bytes) => write!(f, "not an ELF file: it begins with {bytes:02x?}"),
            Self::Class(class) => write!(f, "not a 64-bit file: class {class}"),
            Self::Encoding(encoding) => write!(f, "not a little-endian file: encoding {encoding}"),
            Self::Version(version) => write!(f, "unknown ELF version {version}"),
            Self::Machine(machine) => write!(f, "not for AArch64: machine {machine}"),
            Self::Kind(kind) => write!(f, "neither an executable nor a shared object: type {kind}"),
            Self::EntrySize(bytes) => write!(f, "program headers of {bytes} bytes"),
            Self::EntryCount(count) => write!(f, "{count} program headers"),
            Self::TableBeyondEnd(offset) => write!(f, "program headers at {offset:#x}, beyond the end of the file"),
            Self::Segment { index, error } => write!(f, "program header {index}: {error}"),
            Self::TooManySegments(index) => write!(f, "program header {index} is one segment too many"),
            Self::NoSegments => write!(f, "nothing to load"),
            Self::EntryPoint(entry) => write!(f, "the entry point {entry:#x} is not executable"),
            Self::InterpreterPath(bytes) => write!(f, "bad path of an interpreter: {bytes} bytes"),
        }
    }
}

impl fmt::Display for SegmentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alignment(align) => write!(f, "alignment {align:#x}"),
            Self::FileBytes(bytes) => write!(f, "{bytes:#x} bytes in the file are more than in memory"),
            Self::BeyondEnd(offset) => write!(f, "the part of the file at {offset:#x} goes beyond its end"),
            Self::Offset(offset) => write!(f, "offset {offset:#x} is elsewhere in its page than the address"),
            Self::Address(address) => write!(f, "address {address:#x} is outside of what a program may have"),
            Self::Overlap(address) => write!(f, "address {address:#x} is not behind the segment before"),
        }
    }
}

impl core::error::Error for ElfError {}
