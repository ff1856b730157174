//! The superblock: where things are, and what there is.
//!
//! ```text
//! 1024  superblock (1 KiB)
//! then, in each group of blocks: descriptors of all groups (in some), bitmaps, inodes, data
//! ```

use super::Kind;
use super::checksum::{START, START_16, crc16, crc32c};
use super::features::{Compatible, Incompatible, ReadOnlyCompatible};
use super::fields::{byte, half, wide, word};
use super::problem::{Part, Problem};

/// Where the superblock is, from the beginning of the volume.
pub(super) const SUPERBLOCK_AT: u64 = 1024;
pub(super) const SUPERBLOCK_BYTES: usize = 1024;
/// The inode of the root directory.
pub(super) const ROOT: u32 = 2;
/// What the smallest inodes have, and the fields that all have.
pub(super) const OLD_INODE_BYTES: u16 = 128;
const MAGIC: u16 = 0xef53;
const MOST_LOG_BLOCK: u32 = 6;
const CHECKSUM_AT: usize = 0x3fc;

/// A superblock's bytes.
pub(super) type Superblock = [u8; SUPERBLOCK_BYTES];

/// Where everything is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Layout {
    /// A block has two to the power of this many bytes: 10 to 16.
    pub(super) block_bits: u32,
    pub(super) blocks: u64,
    /// The first of the first group: 0, or 1 where the superblock has a block before it.
    pub(super) first_block: u64,
    pub(super) blocks_per_group: u32,
    pub(super) groups: u32,
    pub(super) inodes: u32,
    pub(super) inodes_per_group: u32,
    pub(super) inode_bytes: u16,
    /// The lowest number of an inode that is in a directory, but for the root's.
    pub(super) first_inode: u32,
    pub(super) descriptor_bytes: u16,
    pub(super) incompatible: Incompatible,
    pub(super) read_only_compatible: ReadOnlyCompatible,
    compatible: Compatible,
    first_meta_group: u32,
    superblock_groups: [u32; 2],
    /// Checksums begin with it.
    pub(super) seed: u32,
    /// Those of group descriptors of the older kind do.
    pub(super) group_seed: u16,
    /// What is taken by the file system itself, in blocks.
    pub(super) overhead: u64,
    pub(super) free_blocks: u64,
    pub(super) free_inodes: u32,
    pub(super) has_errors: bool,
    /// The journal's inode, if it has one.
    pub(super) journal: Option<u32>,
}

impl Layout {
    /// Reads the superblock of a volume of `bytes` bytes. `Ok(None)` where there is no such file system.
    pub(super) fn parse(block: &Superblock, bytes: u64, kind: Kind) -> Result<Option<Self>, Problem> {
        if half(block, 0x38) != MAGIC {
            return Ok(None);
        }
        let incompatible = Incompatible::from_bits_retain(word(block, 0x60));
        let compatible = Compatible::from_bits_retain(word(block, 0x5c));
        let read_only_compatible = ReadOnlyCompatible::from_bits_retain(word(block, 0x64));
        check_features(incompatible, compatible, kind)?;
        if read_only_compatible.contains(ReadOnlyCompatible::CHECKSUMS) {
            check_sum(block)?;
        }
        let log = word(block, 0x18);
        if log > MOST_LOG_BLOCK {
            return Err(Problem::Superblock("block size"));
        }
        let uuid = block.get(0x68..0x78).unwrap_or_default();
        let seed = if incompatible.contains(Incompatible::SEED) { word(block, 0x270) } else { crc32c(START, uuid) };
        let is_long = incompatible.contains(Incompatible::LONG_NUMBERS);
        let count = |low, high| wide(block, low, if is_long { word(block, high) } else { 0 });
        // A revision without such fields has these numbers.
        let is_old = word(block, 0x4c) == 0;
        let mut layout = Self {
            block_bits: log.saturating_add(10),
            blocks: count(0x4, 0x150),
            first_block: word(block, 0x14).into(),
            blocks_per_group: word(block, 0x20),
            groups: 0,
            inodes: word(block, 0x0),
            inodes_per_group: word(block, 0x28),
            inode_bytes: if is_old { OLD_INODE_BYTES } else { half(block, 0x58) },
            first_inode: if is_old { 11 } else { word(block, 0x54) },
            descriptor_bytes: if is_long { half(block, 0xfe) } else { 32 },
            incompatible,
            read_only_compatible,
            compatible,
            first_meta_group: word(block, 0x104),
            superblock_groups: [word(block, 0x24c), word(block, 0x250)],
            seed,
            group_seed: crc16(START_16, uuid),
            overhead: 0,
            free_blocks: count(0xc, 0x158),
            free_inodes: word(block, 0x10),
            has_errors: half(block, 0x3a) & 2 != 0,
            journal: Some(word(block, 0xe0)).filter(|&number| number != 0),
        };
        layout.check()?;
        if layout.blocks > bytes >> layout.block_bits {
            return Err(Problem::Truncated);
        }
        // Both are counted in clusters, which are blocks but with `bigalloc`.
        let cluster_bits = word(block, 0x1c).saturating_sub(log).min(16);
        layout.overhead = (u64::from(word(block, 0x248)) << cluster_bits).min(layout.blocks);
        layout.free_blocks = layout.free_blocks.min(layout.blocks) << cluster_bits;
        layout.free_blocks = layout.free_blocks.min(layout.blocks.saturating_sub(layout.overhead));
        layout.free_inodes = layout.free_inodes.min(layout.inodes);
        Ok(Some(layout))
    }

    /// Finds out how many groups there are, if all numbers go together.
    fn check(&mut self) -> Result<(), Problem> {
        let wrong = |field| Err(Problem::Superblock(field));
        let block = self.block_bytes();
        if !self.inode_bytes.is_power_of_two()
            || self.inode_bytes < OLD_INODE_BYTES
            || u32::from(self.inode_bytes) > block
        {
            return wrong("inode size");
        }
        let least = if self.incompatible.contains(Incompatible::LONG_NUMBERS) { 64 } else { 32 };
        if !self.descriptor_bytes.is_power_of_two() || !(least..=1024).contains(&self.descriptor_bytes) {
            return wrong("descriptor size");
        }
        // Groups of clusters have more blocks; a bitmap of either is a block.
        if self.blocks_per_group == 0 {
            return wrong("number of blocks in a group");
        }
        if self.inodes_per_group == 0 || self.inodes_per_group > block.saturating_mul(8) {
            return wrong("number of inodes in a group");
        }
        if self.first_block > 1 || self.first_block >= self.blocks {
            return wrong("first block");
        }
        let in_groups = self.blocks.saturating_sub(self.first_block);
        let groups = u32::try_from(in_groups.div_ceil(self.blocks_per_group.into()));
        let Ok(groups) = groups else { return wrong("number of groups") };
        if u64::from(groups).saturating_mul(self.inodes_per_group.into()) != u64::from(self.inodes) {
            return wrong("number of inodes");
        }
        if self.first_inode <= ROOT || self.first_inode > self.inodes {
            return wrong("first inode");
        }
        self.groups = groups;
        Ok(())
    }

    pub(super) const fn block_bytes(&self) -> u32 {
        1 << self.block_bits
    }

    pub(super) const fn has_checksums(&self) -> bool {
        self.read_only_compatible.contains(ReadOnlyCompatible::CHECKSUMS)
    }

    /// Whether there can be `count` blocks of data from `first` on.
    pub(super) fn has_blocks(&self, first: u64, count: u64) -> bool {
        first > self.first_block && first.checked_add(count).is_some_and(|end| end <= self.blocks)
    }

    /// The block of the descriptor of this group, and how far into it that is.
    pub(super) fn descriptor_place(&self, group: u32) -> (u64, u64) {
        let bytes = u64::from(self.descriptor_bytes);
        // A power of two of at most a block.
        let per_block = u64::from(self.block_bytes()).checked_div(bytes).unwrap_or(1);
        let (index, rest) = (u64::from(group).checked_div(per_block), u64::from(group).checked_rem(per_block));
        let (index, into) = (index.unwrap_or(0), rest.unwrap_or(0).saturating_mul(bytes));
        if !self.incompatible.contains(Incompatible::META_GROUPS) || index < self.first_meta_group.into() {
            // The superblock has the first block but where blocks are larger than it and what is before it.
            let superblock = u64::from(self.block_bits == 10);
            return (superblock.saturating_add(1).saturating_add(index), into);
        }
        let first = index.saturating_mul(per_block);
        let start = self.first_block.saturating_add(first.saturating_mul(self.blocks_per_group.into()));
        let has_superblock = u32::try_from(first).is_ok_and(|first| self.has_superblock(first));
        // With a first block 0 of 1 KiB the superblock is one further.
        let behind = u64::from(first == 0 && self.block_bits == 10 && self.first_block == 0);
        (start.saturating_add(has_superblock.into()).saturating_add(behind), into)
    }

    /// Whether a group begins with a copy of the superblock.
    fn has_superblock(&self, group: u32) -> bool {
        if group == 0 {
            return true;
        }
        if self.compatible.contains(Compatible::TWO_SUPERBLOCKS) {
            return self.superblock_groups.contains(&group);
        }
        let is_power_of = |base: u32| core::iter::successors(Some(base), |n| n.checked_mul(base)).any(|n| n == group);
        !self.read_only_compatible.contains(ReadOnlyCompatible::SPARSE_SUPERBLOCKS)
            || group == 1
            || [3, 5, 7].into_iter().any(is_power_of)
    }
}

fn check_features(features: Incompatible, compatible: Compatible, kind: Kind) -> Result<(), Problem> {
    let unknown = features.difference(Incompatible::KNOWN);
    if !unknown.is_empty() {
        return Err(Problem::Features(unknown));
    }
    let fits = match kind {
        Kind::Ext2 => Incompatible::KNOWN_TO_EXT2.contains(features),
        Kind::Ext3 => Incompatible::KNOWN_TO_EXT3.contains(features) && compatible.contains(Compatible::JOURNAL),
        Kind::Ext4 => true,
    };
    if !fits {
        return Err(Problem::NotThatKind(kind));
    }
    Ok(())
}

/// Checks the superblock's checksum, which must be CRC-32C.
fn check_sum(block: &Superblock) -> Result<(), Problem> {
    if byte(block, 0x175) != 1 {
        return Err(Problem::Superblock("kind of checksum"));
    }
    let sum = crc32c(START, block.get(..CHECKSUM_AT).unwrap_or_default());
    if sum == word(block, CHECKSUM_AT) { Ok(()) } else { Err(Problem::Checksum(Part::Superblock)) }
}
