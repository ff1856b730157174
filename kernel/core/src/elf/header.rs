//! The file header.

use alloc::boxed::Box;

use ::elf::abi;
use ::elf::endian::LittleEndian;
use ::elf::file::{Class, ELF64_EHDR_TAILSIZE, FileHeader, parse_ident};
use ::elf::parse::ParseError;

use super::error::ElfError;
use super::image::Image;

/// Size of the file header.
pub const HEADER_BYTES: usize = abi::EI_NIDENT.saturating_add(ELF64_EHDR_TAILSIZE);
/// Size of a program header.
pub const PROGRAM_HEADER_BYTES: u16 = 56;
/// The most program headers of a file: together they have less than a page. Usual are about ten.
pub const MAX_PROGRAM_HEADERS: u16 = 64;

/// Whether a file says where it wants to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Its addresses are what they are: `ET_EXEC`.
    Fixed,
    /// Its addresses are relative to a base that the loader chooses: `ET_DYN`.
    Relocatable,
}

/// A file header that can be a program's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    kind: Kind,
    entry: u64,
    table: TableRange,
    count: u16,
}

/// Where in a file the program headers are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TableRange {
    /// From where.
    pub offset: u64,
    /// How much: less than a page.
    pub bytes: usize,
}

impl Header {
    /// Reads the header from the first bytes of a file; [`HEADER_BYTES`] are enough.
    ///
    /// # Errors
    ///
    /// [`ElfError`], for a file that is no program, whatever follows.
    pub fn parse(head: &[u8]) -> Result<Self, ElfError> {
        let header = decode(head)?;
        if header.e_machine != abi::EM_AARCH64 {
            return Err(ElfError::Machine(header.e_machine));
        }
        let kind = match header.e_type {
            abi::ET_EXEC => Kind::Fixed,
            abi::ET_DYN => Kind::Relocatable,
            other => return Err(ElfError::Kind(other)),
        };
        if header.e_phentsize != PROGRAM_HEADER_BYTES {
            return Err(ElfError::EntrySize(header.e_phentsize));
        }
        let count = header.e_phnum;
        if count == 0 || count > MAX_PROGRAM_HEADERS {
            return Err(ElfError::EntryCount(count));
        }
        let bytes = usize::from(count).saturating_mul(usize::from(PROGRAM_HEADER_BYTES));
        Ok(Self { kind, entry: header.e_entry, table: TableRange { offset: header.e_phoff, bytes }, count })
    }

    /// Where the program headers are.
    #[must_use]
    pub const fn table(&self) -> TableRange {
        self.table
    }

    /// What the program is made of. `table` is what the file has at [`table`](Self::table), the file `file_bytes` long.
    ///
    /// # Errors
    ///
    /// [`ElfError`], when one of the rules is broken that the [module](super) tells.
    pub fn image(&self, table: &[u8], file_bytes: u64) -> Result<Box<Image>, ElfError> {
        let beyond = ElfError::TableBeyondEnd(self.table.offset);
        let table = table.get(..self.table.bytes).ok_or(beyond)?;
        Image::gather(self, table, file_bytes)
    }

    pub(super) const fn kind(&self) -> Kind {
        self.kind
    }

    pub(super) const fn entry(&self) -> u64 {
        self.entry
    }

    pub(super) const fn count(&self) -> u16 {
        self.count
    }
}

fn decode(head: &[u8]) -> Result<FileHeader<LittleEndian>, ElfError> {
    let truncated = ElfError::Truncated(head.len());
    // The crate wants exactly the sixteen bytes.
    let (ident, rest) = head.split_first_chunk::<{ abi::EI_NIDENT }>().ok_or(truncated)?;
    let ident = parse_ident::<LittleEndian>(ident).map_err(|error| match error {
        ParseError::UnsupportedElfClass(class) => ElfError::Class(class),
        ParseError::UnsupportedElfEndianness(encoding) => ElfError::Encoding(encoding),
        ParseError::UnsupportedVersion(_) => ElfError::Version(byte(ident, abi::EI_VERSION)),
        _ => ElfError::Magic([byte(ident, 0), byte(ident, 1), byte(ident, 2), byte(ident, 3)]),
    })?;
    if ident.1 != Class::ELF64 {
        return Err(ElfError::Class(abi::ELFCLASS32));
    }
    let tail = rest.first_chunk::<ELF64_EHDR_TAILSIZE>().ok_or(truncated)?;
    FileHeader::parse_tail(ident, tail).map_err(|_| truncated)
}

fn byte(ident: &[u8], index: usize) -> u8 {
    ident.get(index).copied().unwrap_or_default()
}
