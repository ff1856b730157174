//! Kernel ELF to raw image: the loadable segments laid out by *physical* address, from the load address on.
//!
//! The image has no header. An arm64 `Image` header would make QEMU and the firmware load it elsewhere, and an ELF
//! handed to QEMU would be entered at EL3 by all four cores at once.

use std::fmt;

use abi::symbols;
use anyhow::Context as _;
use object::read::elf::{ElfFile64, FileHeader as _, ProgramHeader as _};
use object::{Endianness, Object as _, ObjectSection as _, elf};

use crate::function_names;

/// Where firmware and QEMU put a 64-bit kernel without a header.
pub const LOAD_ADDRESS: u64 = 0x8_0000;

/// The most that a kernel image is allowed to span in memory: from here on QEMU puts the initrd, or where that is
/// missing the device tree.
const SPAN_LIMIT: u64 = 0x0800_0000 - LOAD_ADDRESS;

/// A raw kernel image.
#[derive(Debug, PartialEq, Eq)]
pub struct Image {
    /// What is to be put at [`LOAD_ADDRESS`].
    pub bytes: Vec<u8>,
    /// How much memory the kernel takes once it runs: the image and the zeroed data behind it.
    pub span: u64,
}

/// Why an ELF is no kernel.
#[derive(Debug, PartialEq, Eq)]
pub enum Error {
    /// Not for AArch64, but for this `e_machine`.
    Machine(u16),
    /// No segment is to be loaded.
    Empty,
    /// The lowest segment lies elsewhere than at [`LOAD_ADDRESS`].
    Start(u64),
    /// The segment at this physical address begins inside the one before it.
    Overlap(u64),
    /// The kernel reaches up to this address, where QEMU puts the initrd.
    TooLong(u64),
    /// The table of function names has so many bytes more than its section has room for.
    TooManyNames(u64),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Machine(machine) => write!(f, "not an AArch64 executable (e_machine {machine})"),
            Self::Empty => f.write_str("no loadable segment"),
            Self::Start(address) => write!(f, "starts at {address:#x}, not at {LOAD_ADDRESS:#x}"),
            Self::Overlap(address) => write!(f, "the segment at {address:#x} overlaps the one before it"),
            Self::TooManyNames(excess) => {
                write!(f, "the function names need {excess} bytes more than {} has", symbols::SECTION)
            }
            Self::TooLong(end) => {
                write!(f, "ends at {end:#x}, above {:#x} where QEMU puts the initrd", LOAD_ADDRESS + SPAN_LIMIT)
            }
        }
    }
}

impl std::error::Error for Error {}

impl Image {
    /// The image of the kernel in `elf`.
    ///
    /// # Errors
    ///
    /// When `elf` is no ELF file, or one of [`Error`]'s reasons.
    pub fn from_elf(elf: &[u8]) -> anyhow::Result<Self> {
        let file = ElfFile64::<Endianness>::parse(elf).context("not a 64-bit ELF file")?;
        let endian = file.endian();
        let machine = file.elf_header().e_machine(endian);
        if machine != elf::EM_AARCH64 {
            return Err(Error::Machine(machine.0).into());
        }
        let mut segments = Vec::new();
        for header in file.elf_program_headers() {
            if header.p_type(endian) != elf::PT_LOAD || header.p_memsz(endian) == 0 {
                continue;
            }
            let data = header.data(endian, elf).ok().context("a segment reaches past the end of the file")?;
            segments.push(Segment { address: header.p_paddr(endian), data, memory_size: header.p_memsz(endian) });
        }
        let mut image = Self::from_segments(segments)?;
        image.write_names(&file, elf)?;
        Ok(image)
    }

    /// Puts the table of function names into its section, if the kernel has one.
    fn write_names(&mut self, file: &ElfFile64<'_, Endianness>, elf: &[u8]) -> anyhow::Result<()> {
        let Some(section) = file.section_by_name(symbols::SECTION) else { return Ok(()) };
        let table = function_names::table(elf)?;
        let length = u64::try_from(table.len())?;
        if length > section.size() {
            return Err(Error::TooManyNames(length - section.size()).into());
        }
        let start = usize::try_from(section.address() - symbols::BASE - LOAD_ADDRESS)?;
        self.bytes
            .get_mut(start..start + table.len())
            .context("the names lie outside the image")?
            .copy_from_slice(&table);
        Ok(())
    }

    fn from_segments(mut segments: Vec<Segment<'_>>) -> Result<Self, Error> {
        segments.sort_by_key(|segment| segment.address);
        let first = segments.first().ok_or(Error::Empty)?;
        if first.address != LOAD_ADDRESS {
            return Err(Error::Start(first.address));
        }
        let mut image = Self { bytes: Vec::new(), span: 0 };
        for segment in &segments {
            let offset = segment.address - LOAD_ADDRESS;
            if offset < image.span {
                return Err(Error::Overlap(segment.address));
            }
            let end = segment.address.saturating_add(segment.memory_size);
            if end > LOAD_ADDRESS + SPAN_LIMIT {
                return Err(Error::TooLong(end));
            }
            image.span = end - LOAD_ADDRESS;
            // What a segment has in memory but not in the file stays out, unless a later one has bytes behind it.
            if !segment.data.is_empty() {
                let offset = usize::try_from(offset).expect("below SPAN_LIMIT");
                image.bytes.resize(offset, 0);
                image.bytes.extend_from_slice(segment.data);
            }
        }
        Ok(image)
    }
}

/// One loadable segment.
struct Segment<'data> {
    address: u64,
    data: &'data [u8],
    memory_size: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(address: u64, data: &[u8], memory_size: u64) -> Segment<'_> {
        Segment { address, data, memory_size }
    }

    #[test]
    fn segments_are_laid_out_by_physical_address_whatever_their_order() {
        let image = Image::from_segments(vec![segment(0x8_0008, b"data", 64), segment(0x8_0000, b"text", 4)]).unwrap();
        assert_eq!(image.bytes, b"text\0\0\0\0data");
        assert_eq!(image.span, 8 + 64);
    }

    #[test]
    fn zeroed_data_at_the_end_takes_no_room_in_the_image() {
        let image = Image::from_segments(vec![segment(0x8_0000, b"text", 4), segment(0x8_1000, b"", 4096)]).unwrap();
        assert_eq!(image.bytes, b"text");
        assert_eq!(image.span, 0x2000);
    }

    #[test]
    fn overlapping_segments_are_refused() {
        let overlapping = vec![segment(0x8_0000, b"text", 16), segment(0x8_000f, b"d", 1)];
        assert_eq!(Image::from_segments(overlapping), Err(Error::Overlap(0x8_000f)));
    }

    #[test]
    fn a_kernel_linked_elsewhere_is_refused() {
        assert_eq!(Image::from_segments(vec![segment(0x20_0000, b"text", 4)]), Err(Error::Start(0x20_0000)));
        assert_eq!(Image::from_segments(vec![]), Err(Error::Empty));
    }

    #[test]
    fn a_kernel_that_reaches_the_initrd_is_refused() {
        assert_eq!(
            Image::from_segments(vec![segment(0x8_0000, b"text", SPAN_LIMIT + 1)]),
            Err(Error::TooLong(0x0800_0001))
        );
        assert_eq!(Image::from_segments(vec![segment(0x8_0000, b"", u64::MAX)]), Err(Error::TooLong(u64::MAX)));
    }

    /// A minimal ELF with one segment, its bytes at file offset 0x1000.
    fn elf_with_one_segment(machine: u16, physical: u64, data: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = object::write::elf::Writer::new(Endianness::Little, true, &mut bytes);
        writer.reserve_file_header();
        writer.reserve_program_headers(1);
        let size = u64::try_from(data.len()).unwrap();
        let offset = writer.reserve(size, 0x1000);
        let header = object::write::elf::FileHeader {
            os_abi: elf::ELFOSABI_NONE,
            abi_version: 0,
            e_type: elf::ET_EXEC,
            e_machine: elf::Machine(machine),
            e_entry: 0xffff_ffff_8008_0000,
            e_flags: elf::FileFlags(0),
        };
        writer.write_file_header(&header).unwrap();
        writer.write_align_program_headers();
        writer.write_program_header(&object::write::elf::ProgramHeader {
            p_type: elf::PT_LOAD,
            p_flags: elf::PF_R | elf::PF_X,
            p_offset: offset,
            p_vaddr: 0xffff_ffff_8008_0000,
            p_paddr: physical,
            p_filesz: size,
            p_memsz: size,
            p_align: 0x1000,
        });
        writer.write_align(0x1000);
        writer.write(data);
        bytes
    }

    #[test]
    fn the_physical_address_counts_not_the_virtual_one() {
        let image = Image::from_elf(&elf_with_one_segment(183, 0x8_0000, b"kernel")).unwrap();
        assert_eq!(image.bytes, b"kernel");
    }

    #[test]
    fn an_executable_for_another_machine_is_refused() {
        let error = Image::from_elf(&elf_with_one_segment(62, 0x8_0000, b"kernel")).unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&Error::Machine(62)));
    }

    #[test]
    fn a_file_that_is_no_elf_is_refused() {
        assert!(Image::from_elf(b"#!/bin/sh\n").is_err());
    }
}
