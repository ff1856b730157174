//! Directories: blocks of entries, one behind the other.
//!
//! ```text
//! 0 inode  4 length of the entry  6 length of the name  7 kind  8 name
//! ```
//!
//! One with an index has that in blocks whose entries look empty: the whole is read as if it had none. A block ends with an
//! entry that has the block's checksum; one of the index has another elsewhere.

use super::Ext;
use super::checksum::crc32c;
use super::features::Incompatible;
use super::fields::{byte, half, word};
use super::map::Run;
use super::problem::{Part, Problem};
use super::record::{MAP_BYTES, Record};
use crate::fs::error::FileError;
use crate::fs::inode::Visit;
use crate::fs::metadata::FileKind;
use crate::hal::Cpu;

/// The longest directory that is read, in bytes: a walk looks at all of it, so it has an end. A million files have room.
const MOST_BYTES: u64 = 64 << 20;
/// An entry without its name.
const HEAD: usize = 8;
/// The entry with a checksum.
const TAIL: usize = 12;
const TAIL_KIND: u8 = 0xde;
/// Where the inode of the directory above is in one whose entries are in the inode: they follow.
const INLINE_ABOVE: usize = 4;

/// What a directory says of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a> {
    pub(super) inode: u32,
    /// The kind, where directories say that.
    pub(super) kind: Option<FileKind>,
    pub(super) name: &'a [u8],
    /// The offset behind it.
    pub(super) next: u64,
}

/// Whether to go on behind some entries.
type Outcome = Result<Visit, FileError>;

impl<C: Cpu> Ext<C> {
    /// Shows the entries of a directory that begin at `from` or behind, without `.` and `..`, until `visit` has enough.
    ///
    /// # Errors
    ///
    /// [`Damaged`](FileError::Damaged), [`Checksum`](FileError::Checksum), [`Io`](FileError::Io),
    /// [`OutOfMemory`](FileError::OutOfMemory); [`TooLarge`](FileError::TooLarge) for one of more than 64 MiB.
    pub(super) fn entries(
        &self,
        record: &Record,
        from: u64,
        visit: &mut dyn FnMut(&Entry<'_>) -> Visit,
    ) -> Result<(), FileError> {
        if record.is_inline() {
            return self.inline_entries(record, from, visit);
        }
        let part = |block| Part::Directory(record.number, block);
        if record.size > MOST_BYTES {
            return Err(FileError::TooLarge);
        }
        if !record.size.is_multiple_of(self.layout.block_bytes().into()) {
            return Err(self.damaged(part(0), "its size is not in blocks"));
        }
        let mut bytes = self.block_buffer()?;
        let mut run = Run::default();
        for block in from >> self.layout.block_bits..record.size >> self.layout.block_bits {
            if !run.has(block) {
                run = self.run(record, block)?;
            }
            let place = run.place(block).ok_or_else(|| self.damaged(part(block), "it is not there"))?;
            self.read(place, 0, &mut bytes, part(block))?;
            self.check_block(record, block, &bytes)?;
            let start = block << self.layout.block_bits;
            if self.entries_of(part(block), &bytes, start, from, visit)? == Visit::Enough {
                return Ok(());
            }
        }
        Ok(())
    }

    fn inline_entries(
        &self,
        record: &Record,
        from: u64,
        visit: &mut dyn FnMut(&Entry<'_>) -> Visit,
    ) -> Result<(), FileError> {
        let part = Part::Directory(record.number, 0);
        let size = usize::try_from(record.size).unwrap_or(usize::MAX);
        if size < MAP_BYTES || size > self.layout.inode_bytes.into() {
            return Err(self.damaged(part, "its size is not that of its inode"));
        }
        let mut buffer = self.block_buffer()?;
        let bytes = buffer.get_mut(..size).unwrap_or_default();
        self.read_inline(record, 0, bytes)?;
        let (first, rest) = bytes.split_at(MAP_BYTES);
        let first = first.get(INLINE_ABOVE..).unwrap_or_default();
        if self.entries_of(part, first, INLINE_ABOVE as u64, from, visit)? == Visit::More {
            self.entries_of(part, rest, MAP_BYTES as u64, from, visit)?;
        }
        Ok(())
    }

    /// Shows the entries of a piece of a directory that begins there at `start`.
    fn entries_of(
        &self,
        part: Part,
        bytes: &[u8],
        start: u64,
        from: u64,
        visit: &mut dyn FnMut(&Entry<'_>) -> Visit,
    ) -> Outcome {
        let mut at = 0;
        while let Some(head) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let length = self.entry_length(head);
            let name_length = usize::from(byte(head, 6));
            let fits = length >= name_length.saturating_add(HEAD) && length >= TAIL && length.is_multiple_of(4);
            let (Some(entry), true) = (head.get(..length), fits) else {
                return Err(self.damaged(part, "an entry has a bad length"));
            };
            let (begin, next) = (start.saturating_add(at as u64), at.saturating_add(length));
            at = next;
            let name = entry.get(HEAD..).and_then(|rest| rest.get(..name_length)).unwrap_or_default();
            let inode = word(entry, 0);
            if inode == 0 || begin < from || name == b"." || name == b".." {
                continue;
            }
            if name.is_empty() || name.iter().any(|&byte| matches!(byte, 0 | b'/')) {
                return Err(self.damaged(part, "an entry has a bad name"));
            }
            let kind = self.layout.incompatible.contains(Incompatible::FILE_TYPE).then(|| kind(byte(entry, 7)));
            let entry = Entry { inode, kind: kind.flatten(), name, next: start.saturating_add(next as u64) };
            if visit(&entry) == Visit::Enough {
                return Ok(Visit::Enough);
            }
        }
        Ok(Visit::More)
    }

    /// How long the entry is that begins here. In blocks of 64 KiB the longest has a mark for its length.
    fn entry_length(&self, head: &[u8]) -> usize {
        match half(head, 4) {
            0 | 0xffff if self.layout.block_bits == 16 => 1 << 16,
            length => length.into(),
        }
    }

    fn check_block(&self, record: &Record, block: u64, bytes: &[u8]) -> Result<(), FileError> {
        if !self.layout.has_checksums() {
            return Ok(());
        }
        // The root of an index has `.` and `..` before it, other blocks of one look like one empty entry.
        let is_index =
            record.has_index() && (block == 0 || word(bytes, 0) == 0 && self.entry_length(bytes) == bytes.len());
        let is_right = if is_index { index_sum_is_right(record, block, bytes) } else { sum_is_right(record, bytes) };
        let part = Part::Directory(record.number, block);
        if is_right { Ok(()) } else { Err(self.problem(Problem::Checksum(part))) }
    }
}

/// Whether the last entry has the checksum of what is before it.
fn sum_is_right(record: &Record, bytes: &[u8]) -> bool {
    let Some((entries, tail)) = bytes.len().checked_sub(TAIL).and_then(|at| bytes.split_at_checked(at)) else {
        return false;
    };
    word(tail, 0) == 0
        && usize::from(half(tail, 4)) == TAIL
        && byte(tail, 7) == TAIL_KIND
        && word(tail, 8) == crc32c(record.seed, entries)
}

/// The same of a block of an index: behind the room for its entries.
fn index_sum_is_right(record: &Record, block: u64, bytes: &[u8]) -> bool {
    const INDEX_ENTRY: usize = 8;
    // Behind two entries and what the root says; or one entry.
    let begin: usize = if block == 0 { 32 } else { 8 };
    let [room, used] = [begin, begin.saturating_add(2)].map(|at| usize::from(half(bytes, at)));
    let place = |count: usize| begin.saturating_add(count.saturating_mul(INDEX_ENTRY));
    let (Some(entries), Some(tail)) = (bytes.get(..place(used)), bytes.get(place(room)..)) else { return false };
    let Some(tail) = tail.first_chunk::<8>().filter(|_| used <= room) else { return false };
    let (reserved, _) = tail.split_at(4);
    word(tail, 4) == crc32c(crc32c(crc32c(record.seed, entries), reserved), &[0; 4])
}

/// The kind of file that an entry says.
const fn kind(number: u8) -> Option<FileKind> {
    Some(match number {
        1 => FileKind::Regular,
        2 => FileKind::Directory,
        3 => FileKind::CharacterDevice,
        4 => FileKind::BlockDevice,
        5 => FileKind::Fifo,
        6 => FileKind::Socket,
        7 => FileKind::Symlink,
        _ => return None,
    })
}
