//! The fixed part of a newc entry.

use core::ops::Range;

use super::{ArchiveError, Entry};

/// The numbers of a header, in the archive's order but for the checksum, which newc leaves zero.
pub(super) struct Header {
    inode: u32,
    mode: u32,
    uid: u32,
    gid: u32,
    links: u32,
    mtime_s: u32,
    pub(super) data_bytes: usize,
    device: (u32, u32),
    node: (u32, u32),
    /// With the NUL.
    pub(super) name_bytes: usize,
}

impl Header {
    /// The size of a header.
    pub(super) const BYTES: usize = 110;

    /// Reads the header at the start of `bytes`, which is at `offset` of the whole.
    pub(super) fn read(bytes: &[u8], offset: usize) -> Result<Self, ArchiveError> {
        let (magic, digits) = bytes.split_first_chunk::<6>().ok_or(ArchiveError::Truncated(offset))?;
        match magic {
            b"070701" => {}
            b"070702" | b"070707" | [0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd, ..] | [0xfd, b'7', b'z', ..] => {
                return Err(ArchiveError::UnsupportedFormat(offset));
            }
            _ => return Err(ArchiveError::BadMagic(offset)),
        }
        let (digits, _) = digits.as_chunks::<8>();
        let digits = digits.first_chunk::<13>().ok_or(ArchiveError::Truncated(offset))?;
        let bad = ArchiveError::BadNumber(offset);
        let mut numbers = [0_u32; 13];
        for (number, digits) in numbers.iter_mut().zip(digits) {
            *number = hexadecimal(digits).ok_or(bad)?;
        }
        let [inode, mode, uid, gid, links, mtime_s, data, dev_major, dev_minor, node_major, node_minor, name, _] =
            numbers;
        Ok(Self {
            inode,
            mode,
            uid,
            gid,
            links,
            mtime_s,
            data_bytes: usize::try_from(data).map_err(|_| bad)?,
            device: (dev_major, dev_minor),
            node: (node_major, node_minor),
            name_bytes: usize::try_from(name).map_err(|_| bad)?,
        })
    }

    /// The entry that this header opens.
    pub(super) fn entry(self, name: &[u8], data: Range<usize>) -> Entry<'_> {
        Entry {
            name,
            inode: self.inode,
            device: self.device,
            mode: self.mode,
            uid: self.uid,
            gid: self.gid,
            links: self.links,
            mtime_s: self.mtime_s,
            node: self.node,
            data,
        }
    }
}

/// Exactly eight hexadecimal digits: no sign, no space, either case.
fn hexadecimal(digits: &[u8; 8]) -> Option<u32> {
    digits.iter().try_fold(0_u32, |value, &digit| {
        let digit = char::from(digit).to_digit(16)?;
        Some(value << 4 | digit)
    })
}
