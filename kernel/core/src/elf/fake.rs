//! A small linker: program files for tests, with contents that tell where they come from.

#![expect(clippy::arithmetic_side_effects, clippy::indexing_slicing, reason = "a test that overflows fails")]

use std::vec::Vec;

use ::elf::abi;
use ::elf::segment::ProgramHeader;

/// A program file to be.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) kind: u16,
    pub(crate) machine: u16,
    pub(crate) entry: u64,
    pub(crate) table_offset: u64,
    pub(crate) headers: Vec<ProgramHeader>,
    /// The file's length.
    pub(crate) bytes: usize,
    /// What is put into it: at which offset, which bytes.
    pub(crate) contents: Vec<(u64, Vec<u8>)>,
}

/// Loadable, readable.
pub(crate) const R: u32 = abi::PF_R;
/// Loadable, readable and executable.
pub(crate) const RX: u32 = abi::PF_R | abi::PF_X;
/// Loadable, readable and writable.
pub(crate) const RW: u32 = abi::PF_R | abi::PF_W;

/// A `PT_LOAD`: what it may be used for, where it is in the file and in memory, and its sizes there.
pub(crate) fn load(p_flags: u32, p_offset: u64, p_vaddr: u64, sizes: (u64, u64), p_align: u64) -> ProgramHeader {
    let (p_filesz, p_memsz) = sizes;
    ProgramHeader { p_type: abi::PT_LOAD, p_flags, p_offset, p_vaddr, p_paddr: p_vaddr, p_filesz, p_memsz, p_align }
}

/// What a file has at `offset` unless it was told otherwise: never zero.
pub(crate) fn filler(offset: u64) -> u8 {
    u8::try_from(offset % 251).unwrap() + 1
}

impl Program {
    /// A file with these segments, its program headers behind the file header.
    pub(crate) fn new(kind: u16, entry: u64, headers: &[ProgramHeader]) -> Self {
        let end = headers.iter().map(|header| header.p_offset + header.p_filesz).max().unwrap_or(0);
        let bytes = usize::try_from(end.max(4096)).unwrap();
        let headers = headers.to_vec();
        Self { kind, machine: abi::EM_AARCH64, entry, table_offset: 64, headers, bytes, contents: Vec::new() }
    }

    /// What `rust-lld` makes of a static program for musl: pages are mapped twice where segments meet in the file.
    pub(crate) fn musl(align: u64) -> Self {
        Self::musl_at(abi::ET_EXEC, 0x20_0000, align)
    }

    /// The same as a static-PIE.
    pub(crate) fn musl_pie(align: u64) -> Self {
        Self::musl_at(abi::ET_DYN, 0, align)
    }

    /// Two segments and no more: what a tiny program is.
    pub(crate) fn tiny() -> Self {
        let headers =
            [load(RX, 0, 0x40_0000, (0x200, 0x200), 0x1000), load(RW, 0x200, 0x40_1200, (0x10, 0x3000), 0x1000)];
        Self::new(abi::ET_EXEC, 0x40_0100, &headers)
    }

    /// The same without a place of its own: what an interpreter is.
    pub(crate) fn tiny_pie() -> Self {
        let headers = [load(RX, 0, 0, (0x200, 0x200), 0x1000), load(RW, 0x200, 0x1200, (0x10, 0x3000), 0x1000)];
        Self::new(abi::ET_DYN, 0x100, &headers)
    }

    fn musl_at(kind: u16, base: u64, align: u64) -> Self {
        let headers = [
            Self::other(abi::PT_PHDR, 0x40, base + 0x40, 0x1f8),
            load(R, 0, base, (0x3b9c, 0x3b9c), align),
            load(RX, 0x3b9c, base + align + 0x3b9c, (0xc78c, 0xc78c), align),
            load(RW, 0x1_0328, base + align * 2 + 0x1_0328, (0x38, 0xcd8), align),
            load(RW, 0x1_0360, base + align * 3 + 0x1_0360, (0x108, 0x1_8888), align),
            Self::other(abi::PT_TLS, 0x1_0328, base + align * 2 + 0x1_0328, 0x10),
            Self::other(abi::PT_GNU_RELRO, 0x1_0328, base + align * 2 + 0x1_0328, 0xcd8),
            Self::other(abi::PT_GNU_EH_FRAME, 0x17f4, base + 0x17f4, 0x554),
            Self::stack(RW),
        ];
        Self::new(kind, base + align + 0x3b9c, &headers)
    }

    /// A program header that is no segment.
    pub(crate) fn other(p_type: u32, p_offset: u64, p_vaddr: u64, bytes: u64) -> ProgramHeader {
        ProgramHeader { p_type, ..load(R, p_offset, p_vaddr, (bytes, bytes), 8) }
    }

    /// What says how the stack is used.
    pub(crate) fn stack(p_flags: u32) -> ProgramHeader {
        ProgramHeader { p_flags, ..Self::other(abi::PT_GNU_STACK, 0, 0, 0) }
    }

    /// The same with an interpreter, whose path is put at the end of the file.
    pub(crate) fn with_interpreter(mut self, path: &str) -> Self {
        let offset = u64::try_from(self.bytes).unwrap();
        let mut bytes = path.as_bytes().to_vec();
        bytes.push(0);
        self.bytes += bytes.len();
        self.headers.insert(0, Self::other(abi::PT_INTERP, offset, 0, u64::try_from(bytes.len()).unwrap()));
        self.contents.push((offset, bytes));
        self
    }

    /// The file.
    pub(crate) fn link(&self) -> Vec<u8> {
        let mut file: Vec<u8> = (0..).map(filler).take(self.bytes).collect();
        let mut put = |offset: u64, bytes: &[u8]| {
            let offset = usize::try_from(offset).unwrap();
            file[offset..offset + bytes.len()].copy_from_slice(bytes);
        };
        for (offset, bytes) in &self.contents {
            put(*offset, bytes);
        }
        put(0, &self.file_header());
        let table: Vec<u8> = self.headers.iter().flat_map(program_header).collect();
        put(self.table_offset, &table);
        file
    }

    fn file_header(&self) -> Vec<u8> {
        let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
        bytes.resize(16, 0);
        bytes.extend(self.kind.to_le_bytes());
        bytes.extend(self.machine.to_le_bytes());
        bytes.extend(1_u32.to_le_bytes());
        bytes.extend(self.entry.to_le_bytes());
        bytes.extend(self.table_offset.to_le_bytes());
        bytes.extend([0; 12]);
        for half in [64, 56, u16::try_from(self.headers.len()).unwrap(), 64, 0, 0] {
            bytes.extend(half.to_le_bytes());
        }
        bytes
    }
}

fn program_header(header: &ProgramHeader) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(header.p_type.to_le_bytes());
    bytes.extend(header.p_flags.to_le_bytes());
    for word in [header.p_offset, header.p_vaddr, header.p_paddr, header.p_filesz, header.p_memsz, header.p_align] {
        bytes.extend(word.to_le_bytes());
    }
    bytes
}
