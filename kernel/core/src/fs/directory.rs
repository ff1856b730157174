//! Directory entries, as getdents64(2) delivers them.
//!
//! `struct linux_dirent64`: number of the file, cookie of what follows, size of the record, kind, then the name and its
//! NUL, padded to a multiple of eight bytes.

use super::error::FileError;
use super::inode::{DirectoryEntry, Visit};
use super::path::NAME_MAX;
use super::transfer::Sink;

/// Bytes before the name.
const FIXED: usize = 19;
/// What a record is padded to.
const ALIGN: usize = 8;
/// The longest record.
const LONGEST: usize = (FIXED + NAME_MAX + 1).next_multiple_of(ALIGN);

/// Puts entries into a buffer until one no longer fits.
pub(super) struct Encoder<'a> {
    sink: &'a mut dyn Sink,
    /// Bytes put.
    count: usize,
    /// Where the next reader begins.
    next: u64,
    /// Why the first entry could not be put.
    error: Option<FileError>,
}

impl<'a> Encoder<'a> {
    pub(super) fn new(sink: &'a mut dyn Sink, from: u64) -> Self {
        Self { sink, count: 0, next: from, error: None }
    }

    pub(super) fn take(&mut self, entry: DirectoryEntry<'_>) -> Visit {
        match self.put(entry) {
            Ok(bytes) => {
                self.count = self.count.saturating_add(bytes);
                self.next = entry.next;
                Visit::More
            }
            Err(error) => {
                self.error = Some(error);
                Visit::Enough
            }
        }
    }

    /// How many bytes were put, and where the next reader begins.
    pub(super) fn finish(self) -> Result<(usize, u64), FileError> {
        match self.error {
            Some(error) if self.count == 0 => Err(error),
            _ => Ok((self.count, self.next)),
        }
    }

    fn put(&mut self, entry: DirectoryEntry<'_>) -> Result<usize, FileError> {
        let mut buffer = [0; LONGEST];
        let record = encode(entry, &mut buffer).ok_or(FileError::NameTooLong)?;
        if record.len() > self.sink.room() {
            return Err(FileError::Invalid);
        }
        let mut rest: &[u8] = record;
        while !rest.is_empty() {
            let count = self.sink.put(rest)?;
            rest = rest.get(count..).filter(|_| count > 0).ok_or(FileError::Io)?;
        }
        Ok(record.len())
    }
}

fn encode<'b>(entry: DirectoryEntry<'_>, buffer: &'b mut [u8; LONGEST]) -> Option<&'b [u8]> {
    let name_end = entry.name.len().checked_add(FIXED)?;
    let size = name_end.checked_add(1)?.checked_next_multiple_of(ALIGN)?;
    let record = buffer.get_mut(..size)?;
    record.get_mut(0..8)?.copy_from_slice(&entry.inode.to_le_bytes());
    record.get_mut(8..16)?.copy_from_slice(&entry.next.to_le_bytes());
    record.get_mut(16..18)?.copy_from_slice(&u16::try_from(size).ok()?.to_le_bytes());
    *record.get_mut(18)? = entry.kind.entry_type();
    record.get_mut(FIXED..name_end)?.copy_from_slice(entry.name);
    Some(record)
}
