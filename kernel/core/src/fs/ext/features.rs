//! What a file system has that not all have.

use core::fmt;

use bitflags::bitflags;

bitflags! {
    /// Features that one must know to read it.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Incompatible: u32 {
        /// Entries of directories say the kinds of files.
        const FILE_TYPE = 0x2;
        /// The journal is to be written back.
        const RECOVER = 0x4;
        /// Descriptors are not all behind the superblock.
        const META_GROUPS = 0x10;
        /// Files may be mapped by extents.
        const EXTENTS = 0x40;
        /// Numbers of blocks have more than 32 bits.
        const LONG_NUMBERS = 0x80;
        /// Who writes it says so; for those who write.
        const MULTIPLE_MOUNTS = 0x100;
        /// A group's tables are anywhere.
        const FLEXIBLE_GROUPS = 0x200;
        /// Attributes may have inodes of their own.
        const ATTRIBUTE_INODES = 0x400;
        /// The seed of checksums is in the superblock.
        const SEED = 0x2000;
        /// Directories may be of 2 GiB and more.
        const LARGE_DIRECTORIES = 0x4000;
        /// Data may be in the inode.
        const INLINE_DATA = 0x8000;
        /// All others, so that they are kept.
        const _ = !0;
    }
}

bitflags! {
    /// Features that one must know to write it.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub(super) struct ReadOnlyCompatible: u32 {
        /// Copies of the superblock are in few groups.
        const SPARSE_SUPERBLOCKS = 0x1;
        /// Numbers of blocks of a file have 48 bits.
        const HUGE_FILES = 0x8;
        /// Group descriptors have a checksum of 16 bits.
        const GROUP_CHECKSUMS = 0x10;
        /// Everything has one of 32.
        const CHECKSUMS = 0x400;
        const _ = !0;
    }
}

bitflags! {
    /// Features that nobody needs to know.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub(super) struct Compatible: u32 {
        /// There is a journal.
        const JOURNAL = 0x4;
        /// Copies of the superblock are in two groups.
        const TWO_SUPERBLOCKS = 0x200;
        const _ = !0;
    }
}

impl Incompatible {
    /// All that are known here.
    pub(super) const KNOWN: Self = Self::KNOWN_TO_EXT3
        .union(Self::EXTENTS)
        .union(Self::LONG_NUMBERS)
        .union(Self::MULTIPLE_MOUNTS)
        .union(Self::FLEXIBLE_GROUPS)
        .union(Self::ATTRIBUTE_INODES)
        .union(Self::SEED)
        .union(Self::LARGE_DIRECTORIES)
        .union(Self::INLINE_DATA);
    /// Those of ext3.
    pub(super) const KNOWN_TO_EXT3: Self = Self::KNOWN_TO_EXT2.union(Self::RECOVER);
    /// Those of ext2.
    pub(super) const KNOWN_TO_EXT2: Self = Self::FILE_TYPE.union(Self::META_GROUPS);
}

/// As `tune2fs` calls those that are not known, or by their bits.
impl fmt::Display for Incompatible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const WORDS: [(u32, &str); 5] = [
            (0x1, "compression"),
            (0x8, "journal_dev"),
            (0x1000, "dirdata"),
            (0x1_0000, "encrypt"),
            (0x2_0000, "casefold"),
        ];
        let mut rest = self.bits();
        for (bit, word) in WORDS.into_iter().filter(|(bit, _)| self.bits() & bit != 0) {
            rest &= !bit;
            write!(f, " {word}")?;
        }
        if rest == 0 { Ok(()) } else { write!(f, " {rest:#x}") }
    }
}
