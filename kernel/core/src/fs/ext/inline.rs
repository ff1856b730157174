//! Data in the inode: sixty bytes where the map would be, the rest in the attribute `system.data`, which is in the inode, too.
//!
//! ```text
//! attributes  0 0xea020000, then entries
//! entry       0 length of the name  1 its prefix's number  2 where the value is, from the first entry on
//!             4 inode of the value  8 its length  12 hash  16 name, up to a multiple of four
//! ```

use super::Ext;
use super::fields::{byte, half, word};
use super::problem::Part;
use super::record::{MAP_BYTES, Record};
use crate::fs::error::FileError;
use crate::hal::Cpu;

const MAGIC: u32 = 0xea02_0000;
const ENTRY: usize = 16;
/// The number of the prefix `system.`.
const SYSTEM: u8 = 7;
const NAME: &[u8] = b"data";
const IN_MAP: u64 = MAP_BYTES as u64;

impl<C: Cpu> Ext<C> {
    /// Fills `into` from `at` on in a file whose data is in its inode. The caller asks for no more than its size.
    pub(super) fn read_inline(&self, record: &Record, at: u64, into: &mut [u8]) -> Result<(), FileError> {
        let here = usize::try_from(IN_MAP.saturating_sub(at)).unwrap_or(0).min(into.len());
        let (now, then) = into.split_at_mut(here);
        if let Some(bytes) = usize::try_from(at).ok().and_then(|at| record.map.get(at..)?.get(..here)) {
            now.copy_from_slice(bytes);
        }
        if then.is_empty() {
            return Ok(());
        }
        let (place, bytes) = self.inline_rest(record)?;
        let from = at.max(IN_MAP).saturating_sub(IN_MAP);
        if from.saturating_add(then.len() as u64) > bytes {
            return Err(self.damaged(Part::Inode(record.number), "its data is shorter than its size"));
        }
        self.disk.read_at(place.saturating_add(from), then)
    }

    /// Where on the volume the rest is, and how long.
    fn inline_rest(&self, record: &Record) -> Result<(u64, u64), FileError> {
        let bad = || self.damaged(Part::Inode(record.number), "its attributes make no sense");
        let start = record.place.saturating_add(record.field_bytes.into());
        let end = record.place.saturating_add(self.layout.inode_bytes.into());
        let first = start.saturating_add(4);
        let mut magic = [0; 4];
        if first > end {
            return Ok((end, 0));
        }
        self.disk.read_at(start, &mut magic)?;
        if u32::from_le_bytes(magic) != MAGIC {
            return Ok((end, 0));
        }
        let mut at = first;
        // Each entry takes some of what there is.
        while at.saturating_add(4) <= end {
            let mut entry = [0; ENTRY + NAME.len()];
            let count = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX).min(entry.len());
            self.disk.read_at(at, entry.get_mut(..count).unwrap_or_default())?;
            if word(&entry, 0) == 0 {
                break;
            }
            let name_length = byte(&entry, 0);
            if byte(&entry, 1) == SYSTEM && usize::from(name_length) == NAME.len() && entry.ends_with(NAME) {
                let place = first.saturating_add(half(&entry, 2).into());
                let bytes = u64::from(word(&entry, 8));
                let is_here = word(&entry, 4) == 0 && place.saturating_add(bytes) <= end;
                return if is_here { Ok((place, bytes)) } else { Err(bad()) };
            }
            at = at.saturating_add(ENTRY as u64).saturating_add(u64::from(name_length).next_multiple_of(4));
        }
        Ok((end, 0))
    }
}
