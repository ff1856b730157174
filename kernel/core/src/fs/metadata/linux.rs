//! The layouts in which Linux/aarch64 programs receive [`Metadata`].

use super::{FileSystemStatus, Metadata, MountFlags, Timestamp};
use crate::fs::path::NAME_MAX;

/// Bytes of `struct stat`.
const STAT_BYTES: usize = 128;
/// Bytes of `struct statfs`.
const STATFS_BYTES: usize = 120;
/// Bytes of `struct statx`.
const STATX_BYTES: usize = 256;

/// `STATX_BASIC_STATS`: all that `struct stat` has.
const STATX_BASIC_STATS: u32 = 0x7ff;
/// `STATX_BTIME`.
const STATX_BTIME: u32 = 0x800;

impl Metadata {
    /// As `struct stat` (`asm-generic/stat.h`).
    #[must_use]
    pub fn to_stat(&self) -> [u8; STAT_BYTES] {
        let mut out = Layout::<STAT_BYTES>::new();
        out.u64(self.id.device.encoded());
        out.u64(self.id.inode);
        out.u32(self.protection.mode());
        out.u32(self.links);
        out.u32(self.protection.uid);
        out.u32(self.protection.gid);
        out.u64(self.represents.encoded());
        out.u64(0);
        out.u64(self.size);
        out.u32(self.block_size);
        out.u32(0);
        out.u64(self.blocks);
        for time in [self.accessed, self.modified, self.changed] {
            out.i64(time.seconds);
            out.u64(u64::from(time.nanoseconds));
        }
        out.bytes
    }

    /// As `struct statx` (`linux/stat.h`). All that is known is filled in, asked for or not, as statx(2) allows.
    #[must_use]
    pub fn to_statx(&self) -> [u8; STATX_BYTES] {
        let mut out = Layout::<STATX_BYTES>::new();
        out.u32(STATX_BASIC_STATS | self.born.map_or(0, |_| STATX_BTIME));
        out.u32(self.block_size);
        out.u64(0);
        out.u32(self.links);
        out.u32(self.protection.uid);
        out.u32(self.protection.gid);
        // `stx_mode` has 16 bits, and two bytes of padding follow: the same in little-endian order.
        out.u32(self.protection.mode());
        out.u64(self.id.inode);
        out.u64(self.size);
        out.u64(self.blocks);
        out.u64(0);
        for time in [self.accessed, self.born.unwrap_or_default(), self.changed, self.modified] {
            out.statx_time(time);
        }
        for number in [self.represents, self.id.device] {
            out.u32(number.major);
            out.u32(number.minor);
        }
        out.bytes
    }
}

impl FileSystemStatus {
    /// As `struct statfs` (`asm-generic/statfs.h`). What is free is free for all: nothing is kept for root.
    #[must_use]
    pub fn to_statfs(&self) -> [u8; STATFS_BYTES] {
        const ST_RDONLY: u64 = 1;
        const ST_NOSUID: u64 = 2;
        const ST_NODEV: u64 = 4;
        const ST_NOEXEC: u64 = 8;
        const ST_VALID: u64 = 0x20;
        const ST_NOATIME: u64 = 0x400;
        const ST_NODIRATIME: u64 = 0x800;
        const ST_RELATIME: u64 = 0x1000;
        let mut out = Layout::<STATFS_BYTES>::new();
        out.u64(self.magic);
        out.u64(self.block_size);
        out.u64(self.blocks);
        out.u64(self.free_blocks);
        out.u64(self.free_blocks);
        out.u64(self.files);
        out.u64(self.free_files);
        out.u64(self.device.encoded());
        out.u64(NAME_MAX as u64);
        out.u64(self.block_size);
        let relative = if self.flags.contains(MountFlags::NO_ACCESS_TIME) { 0 } else { ST_RELATIME };
        let mut flags = ST_VALID | relative | if self.read_only { ST_RDONLY } else { 0 };
        for (flag, bit) in [
            (MountFlags::NO_SET_ID, ST_NOSUID),
            (MountFlags::NO_DEVICES, ST_NODEV),
            (MountFlags::NO_EXECUTION, ST_NOEXEC),
            (MountFlags::NO_ACCESS_TIME, ST_NOATIME),
            (MountFlags::NO_DIRECTORY_ACCESS_TIME, ST_NODIRATIME),
        ] {
            if self.flags.contains(flag) {
                flags |= bit;
            }
        }
        out.u64(flags);
        out.bytes
    }
}

/// A structure being filled from its first byte on; what is not written stays zero.
struct Layout<const N: usize> {
    bytes: [u8; N],
    at: usize,
}

impl<const N: usize> Layout<N> {
    const fn new() -> Self {
        Self { bytes: [0; N], at: 0 }
    }

    fn put<const M: usize>(&mut self, field: [u8; M]) {
        let end = self.at.saturating_add(M);
        if let Some(place) = self.bytes.get_mut(self.at..end) {
            place.copy_from_slice(&field);
        }
        self.at = end;
    }

    fn u32(&mut self, value: u32) {
        self.put(value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.put(value.to_le_bytes());
    }

    fn i64(&mut self, value: i64) {
        self.put(value.to_le_bytes());
    }

    fn statx_time(&mut self, time: Timestamp) {
        self.i64(time.seconds);
        self.u32(time.nanoseconds);
        self.u32(0);
    }
}
