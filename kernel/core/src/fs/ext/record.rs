//! Inodes, as they are on the disk.
//!
//! ```text
//! 0 mode  2 uid  4 size  8-20 read, changed, written, deleted  24 gid  26 links  28 blocks of 512 bytes  32 flags
//! 40-99 where the blocks are, or what there is instead  100 generation  104 attributes  108 size, high
//! 116-123 high halves  124 checksum
//! 128 how much of what follows there is  130 checksum, high  132-151 parts of seconds and later years  144 made
//! ```

use alloc::vec::Vec;

use super::Ext;
use super::checksum::{crc16, crc32c};
use super::features::{Incompatible, ReadOnlyCompatible};
use super::fields::{half, word};
use super::layout::{OLD_INODE_BYTES, ROOT};
use super::problem::{Part, Problem};
use crate::fs::error::FileError;
use crate::fs::metadata::{DeviceNumber, FileKind, Protection, Timestamp};
use crate::hal::Cpu;

/// How much of an inode says where its blocks are.
pub(super) const MAP_BYTES: usize = 60;
const OLD_BYTES: usize = OLD_INODE_BYTES as usize;
/// What is looked at of an inode in all.
const LOOKED_AT: usize = 160;
const CHECKSUM_AT: usize = 0x7c;
const HIGH_CHECKSUM_AT: usize = 0x82;
const NONE: &str = "there is none of that number";

/// `i_flags`.
mod flag {
    pub(super) const COMPRESSED: u32 = 0x4;
    pub(super) const ENCRYPTED: u32 = 0x800;
    pub(super) const INDEX: u32 = 0x1000;
    pub(super) const BLOCKS_ARE_LARGE: u32 = 0x4_0000;
    pub(super) const EXTENTS: u32 = 0x8_0000;
    pub(super) const INLINE: u32 = 0x1000_0000;
}

/// What an inode says.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) number: u32,
    pub(super) kind: FileKind,
    pub(super) permissions: u16,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) links: u32,
    pub(super) size: u64,
    /// How many units of 512 bytes it takes.
    pub(super) blocks: u64,
    pub(super) accessed: Timestamp,
    pub(super) modified: Timestamp,
    pub(super) changed: Timestamp,
    pub(super) born: Option<Timestamp>,
    pub(super) map: [u8; MAP_BYTES],
    /// The checksums of what belongs to it begin with it.
    pub(super) seed: u32,
    /// Where it is on the volume.
    pub(super) place: u64,
    /// How much of it is fields; attributes follow.
    pub(super) field_bytes: u16,
    flags: u32,
    has_attribute_block: bool,
}

impl Record {
    pub(super) const fn protection(&self) -> Protection {
        Protection { kind: self.kind, permissions: self.permissions, uid: self.uid, gid: self.gid }
    }

    pub(super) const fn has_extents(&self) -> bool {
        self.flags & flag::EXTENTS != 0
    }

    pub(super) const fn is_inline(&self) -> bool {
        self.flags & flag::INLINE != 0
    }

    pub(super) const fn has_index(&self) -> bool {
        self.flags & flag::INDEX != 0
    }

    /// Whether its bytes are others than those on the disk.
    pub(super) const fn is_transformed(&self) -> bool {
        self.flags & (flag::COMPRESSED | flag::ENCRYPTED) != 0
    }

    /// The device that a node is for. The older form has 16 bits.
    pub(super) fn represents(&self) -> DeviceNumber {
        match (self.kind, word(&self.map, 0)) {
            (FileKind::CharacterDevice | FileKind::BlockDevice, 0) => {
                let number = word(&self.map, 4);
                DeviceNumber::new(number >> 8 & 0xfff, number & 0xff | number >> 12 & 0xf_ff00)
            }
            (FileKind::CharacterDevice | FileKind::BlockDevice, number) => {
                DeviceNumber::new(number >> 8 & 0xff, number & 0xff)
            }
            _ => DeviceNumber::NONE,
        }
    }
}

impl<C: Cpu> Ext<C> {
    /// The inode of this number, which a directory has.
    ///
    /// # Errors
    ///
    /// [`Damaged`](FileError::Damaged), [`Checksum`](FileError::Checksum), [`Io`](FileError::Io)
    pub(super) fn record(&self, number: u32) -> Result<Record, FileError> {
        if number != ROOT && number < self.layout.first_inode {
            return Err(self.damaged(Part::Inode(number), NONE));
        }
        self.any_record(number)
    }

    /// The same of one that no directory needs to have.
    pub(super) fn any_record(&self, number: u32) -> Result<Record, FileError> {
        let part = Part::Inode(number);
        if !(1..=self.layout.inodes).contains(&number) {
            return Err(self.damaged(part, NONE));
        }
        let place = self.place(number)?;
        let mut bytes = [0; LOOKED_AT];
        let count = LOOKED_AT.min(self.layout.inode_bytes.into());
        self.disk.read_at(place, bytes.get_mut(..count).unwrap_or_default())?;
        let extra = if self.layout.inode_bytes > OLD_INODE_BYTES { half(&bytes, 0x80) } else { 0 };
        let field_bytes = OLD_INODE_BYTES.saturating_add(extra);
        if field_bytes > self.layout.inode_bytes || !extra.is_multiple_of(4) {
            return Err(self.damaged(part, "its fields are longer than it is"));
        }
        // What is behind the fields is something else.
        bytes.get_mut(field_bytes.into()..).unwrap_or_default().fill(0);
        let seed = crc32c(crc32c(self.layout.seed, &number.to_le_bytes()), &word(&bytes, 0x64).to_le_bytes());
        if self.layout.has_checksums() {
            self.check_sum(place, seed, field_bytes, number)?;
        }
        self.parse(number, place, seed, &bytes, field_bytes)
    }

    fn parse(
        &self,
        number: u32,
        place: u64,
        seed: u32,
        bytes: &[u8; LOOKED_AT],
        field_bytes: u16,
    ) -> Result<Record, FileError> {
        let part = Part::Inode(number);
        let mode = half(bytes, 0);
        let kind = FileKind::from_mode(mode.into()).ok_or_else(|| self.damaged(part, "its kind is none"))?;
        let links = half(bytes, 0x1a);
        if links == 0 {
            return Err(self.damaged(part, "it was removed and is in a directory"));
        }
        let flags = word(bytes, 0x20);
        // The high half means something else where directories cannot be that large.
        let is_long = kind == FileKind::Regular || self.layout.incompatible.contains(Incompatible::LARGE_DIRECTORIES);
        let high = if is_long { word(bytes, 0x6c) } else { 0 };
        let size = u64::from(high) << 32 | u64::from(word(bytes, 4));
        if i64::try_from(size).is_err() {
            return Err(self.damaged(part, "its size is negative"));
        }
        let both = |low, high| u32::from(half(bytes, high)) << 16 | u32::from(half(bytes, low));
        let time = |at, extra| timestamp(word(bytes, at), word(bytes, extra));
        let mut map = [0; MAP_BYTES];
        map.copy_from_slice(bytes.get(0x28..0x64).unwrap_or(&[0; MAP_BYTES]));
        Ok(Record {
            number,
            kind,
            permissions: mode & 0o7777,
            uid: both(2, 0x78),
            gid: both(0x18, 0x7a),
            links: links.into(),
            size,
            blocks: self.sectors(flags, word(bytes, 0x1c), half(bytes, 0x74)),
            accessed: time(0x8, 0x8c),
            modified: time(0x10, 0x88),
            changed: time(0xc, 0x84),
            born: (field_bytes >= 0x98).then(|| time(0x90, 0x94)),
            map,
            seed,
            place,
            field_bytes,
            flags,
            has_attribute_block: word(bytes, 0x68) != 0 || half(bytes, 0x76) != 0,
        })
    }

    /// How many units of 512 bytes an inode says that it has.
    fn sectors(&self, flags: u32, low: u32, high: u16) -> u64 {
        if !self.layout.read_only_compatible.contains(ReadOnlyCompatible::HUGE_FILES) {
            return low.into();
        }
        let count = u64::from(high) << 32 | u64::from(low);
        let unit = if flags & flag::BLOCKS_ARE_LARGE != 0 { self.layout.block_bits.saturating_sub(9) } else { 0 };
        // 48 bits, and at most seven more.
        count.wrapping_shl(unit)
    }

    /// Whether the target of a symbolic link is in its inode: then it has no blocks, but one of attributes.
    pub(super) fn is_short_link(&self, record: &Record) -> bool {
        let attributes = if record.has_attribute_block { u64::from(self.layout.block_bytes()) / 512 } else { 0 };
        !record.is_inline() && record.blocks <= attributes
    }

    /// Where the inode of this number, which there is, lies on the volume.
    fn place(&self, number: u32) -> Result<u64, FileError> {
        let index = number.saturating_sub(1);
        // There are inodes in a group.
        let (Some(group), Some(index)) =
            (index.checked_div(self.layout.inodes_per_group), index.checked_rem(self.layout.inodes_per_group))
        else {
            return Err(FileError::Damaged);
        };
        let table = self.inode_table(group)?;
        let into = u64::from(index).saturating_mul(self.layout.inode_bytes.into());
        Ok((table << self.layout.block_bits).saturating_add(into))
    }

    /// The first block of the inodes of this group, which there is.
    fn inode_table(&self, group: u32) -> Result<u64, FileError> {
        let part = Part::Group(group);
        let (block, into) = self.layout.descriptor_place(group);
        let mut bytes = [0; 64];
        let count = usize::from(self.layout.descriptor_bytes);
        // Those of more than 64 bytes are not known to anybody; checksums cover them all the same.
        let mut rest = Vec::new();
        if let Some(more) = count.checked_sub(bytes.len()).filter(|&more| more > 0) {
            rest.try_reserve_exact(more).map_err(|_| FileError::OutOfMemory)?;
            rest.resize(more, 0);
            self.read(block, into.saturating_add(64), &mut rest, part)?;
        }
        let known = bytes.get_mut(..count.min(64)).unwrap_or_default();
        self.read(block, into, known, part)?;
        self.check_descriptor(group, known, &rest)?;
        let table = u64::from(word(&bytes, 0x28)) << 32 | u64::from(word(&bytes, 8));
        let inodes = u64::from(self.layout.inodes_per_group).saturating_mul(self.layout.inode_bytes.into());
        if !self.layout.has_blocks(table, inodes.div_ceil(self.layout.block_bytes().into())) {
            return Err(self.damaged(part, "its inodes are not on the device"));
        }
        Ok(table)
    }

    fn check_descriptor(&self, group: u32, known: &[u8], rest: &[u8]) -> Result<(), FileError> {
        const SUM_AT: usize = 0x1e;
        let (before, behind) = (known.get(..SUM_AT).unwrap_or_default(), known.get(0x20..).unwrap_or_default());
        let number = group.to_le_bytes();
        let sum = if self.layout.has_checksums() {
            let register = crc32c(crc32c(self.layout.seed, &number), before);
            let register = crc32c(crc32c(crc32c(register, &[0; 2]), behind), rest);
            u16::from_le_bytes([register.to_le_bytes()[0], register.to_le_bytes()[1]])
        } else if self.layout.read_only_compatible.contains(ReadOnlyCompatible::GROUP_CHECKSUMS) {
            let register = crc16(crc16(self.layout.group_seed, &number), before);
            crc16(crc16(register, behind), rest)
        } else {
            return Ok(());
        };
        if sum == half(known, SUM_AT) { Ok(()) } else { Err(self.problem(Problem::Checksum(Part::Group(group)))) }
    }

    /// Checks all of an inode, a piece at a time, taking its own checksum for zeroes.
    fn check_sum(&self, place: u64, seed: u32, field_bytes: u16, number: u32) -> Result<(), FileError> {
        let has_high = usize::from(field_bytes) >= HIGH_CHECKSUM_AT.saturating_add(2);
        let mut register = seed;
        let mut said = 0;
        let mut done = 0;
        let all = u64::from(self.layout.inode_bytes);
        while done < all {
            let mut piece = [0; OLD_BYTES];
            self.disk.read_at(place.saturating_add(done), &mut piece)?;
            let mut take = |at: usize| {
                let place = piece.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<2>());
                place.map_or(0, |place| u32::from(u16::from_le_bytes(core::mem::take(place))))
            };
            if done == 0 {
                said |= take(CHECKSUM_AT);
            } else if has_high && done == OLD_BYTES as u64 {
                said |= take(HIGH_CHECKSUM_AT.saturating_sub(OLD_BYTES)) << 16;
            }
            register = crc32c(register, &piece);
            done = done.saturating_add(OLD_BYTES as u64);
        }
        let known = if has_high { u32::MAX } else { 0xffff };
        if register & known == said { Ok(()) } else { Err(self.problem(Problem::Checksum(Part::Inode(number)))) }
    }
}

/// Seconds of 32 bits with a sign; two more bits, and parts of a second, in the other word.
fn timestamp(seconds: u32, extra: u32) -> Timestamp {
    let low = i64::from(seconds.cast_signed());
    let nanoseconds = extra >> 2;
    Timestamp {
        seconds: low.saturating_add(i64::from(extra & 3) << 32),
        nanoseconds: if nanoseconds < 1_000_000_000 { nanoseconds } else { 0 },
    }
}
