//! Directories: entries of 32 bytes.
//!
//! ```text
//! 0-10 short name  11 attributes  12 case  13 tenths  14-17 born  18 read  20 cluster, high  22-25 written  26 low  28-31 size
//! ```

use super::Fat;
use super::chain::Next;
use super::geometry::Root;
use super::name::{LongName, Name, short_name};
use super::time::timestamp;
use crate::fs::error::FileError;
use crate::fs::inode::Visit;
use crate::fs::metadata::Timestamp;
use crate::hal::Cpu;

const ENTRY: usize = 32;
const ENTRY_BYTES: u64 = ENTRY as u64;
/// The most entries of a directory: 2 MiB.
const MOST_ENTRIES: u64 = 65_536;
/// How much is read at a time.
const PIECE: usize = 512;
const PIECE_ENTRIES: u64 = 16;

const READ_ONLY: u8 = 0x01;
const VOLUME_LABEL: u8 = 0x08;
const DIRECTORY: u8 = 0x10;
/// All of read-only, hidden, system, label: part of a long name.
const LONG_NAME: u8 = 0x0f;
const REMOVED: u8 = 0xe5;

/// Where a directory's entries are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// The root, wherever that is.
    Root,
    /// In clusters, this one first.
    Chain(u32),
}

/// What a directory says of a file.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) name: Name,
    /// The name of eight and three, if it is another.
    pub(super) short: Option<Name>,
    pub(super) is_directory: bool,
    pub(super) is_read_only: bool,
    pub(super) first_cluster: u32,
    pub(super) size: u32,
    pub(super) born: Timestamp,
    pub(super) accessed: Timestamp,
    pub(super) modified: Timestamp,
    /// Where the entry is on the volume, in entries: the file's number.
    pub(super) number: u64,
    /// The index, in the directory, of what follows.
    pub(super) next: u64,
}

impl<C: Cpu> Fat<C> {
    /// Shows the entries of a directory from the one at `from` on, until `visit` has enough.
    ///
    /// # Errors
    ///
    /// [`Io`](FileError::Io) where the chain is broken or too long.
    pub(super) fn entries(
        &self,
        place: Place,
        from: u64,
        visit: &mut dyn FnMut(&Entry) -> Visit,
    ) -> Result<(), FileError> {
        let mut long = LongName::new();
        let mut pieces = Pieces::at(self, place, from)?;
        let mut index = from;
        while let Some(at) = pieces.next()? {
            let mut piece = [0; PIECE];
            self.volume.read_at(at, &mut piece)?;
            let skipped = usize::try_from(index % PIECE_ENTRIES).unwrap_or(0);
            for (entry, offset) in piece.as_chunks::<ENTRY>().0.iter().zip(0_u64..).skip(skipped) {
                index = index.saturating_add(1);
                let mut found = match take(entry, &mut long) {
                    Taken::End => return Ok(()),
                    Taken::Nothing => continue,
                    Taken::File(found) => found,
                };
                found.first_cluster &= self.geometry.width.cluster_mask();
                (found.number, found.next) = ((at / ENTRY_BYTES).saturating_add(offset), index);
                if visit(&found) == Visit::Enough {
                    return Ok(());
                }
            }
            if index >= MOST_ENTRIES {
                return Err(FileError::Io);
            }
        }
        Ok(())
    }

    /// The file whose number is `number`, with its name of eight and three.
    ///
    /// # Errors
    ///
    /// [`Stale`](FileError::Stale) where there is none.
    pub(super) fn entry(&self, number: u64) -> Result<Entry, FileError> {
        let mut bytes = [0; ENTRY];
        self.volume.read_at(number.saturating_mul(ENTRY_BYTES), &mut bytes)?;
        let Taken::File(mut entry) = take(&bytes, &mut LongName::new()) else { return Err(FileError::Stale) };
        entry.first_cluster &= self.geometry.width.cluster_mask();
        entry.number = number;
        Ok(entry)
    }
}

/// The pieces of a directory, one after the other.
struct Pieces<'a, C: Cpu> {
    fs: &'a Fat<C>,
    /// What is left of the part that is being read.
    at: u64,
    end: u64,
    first: u32,
    cluster: Option<u32>,
}

impl<'a, C: Cpu> Pieces<'a, C> {
    /// From the piece on that the entry at `index` is in.
    fn at(fs: &'a Fat<C>, place: Place, index: u64) -> Result<Self, FileError> {
        let offset = (index.min(MOST_ENTRIES) / PIECE_ENTRIES).saturating_mul(PIECE as u64);
        let first = match (place, &fs.geometry.root) {
            (Place::Root, Root::Fixed(range)) => {
                return Ok(Self {
                    fs,
                    at: range.start.saturating_add(offset),
                    end: range.end,
                    first: 0,
                    cluster: None,
                });
            }
            (Place::Root, Root::Chain(first)) => *first,
            (Place::Chain(first), _) => first,
        };
        let bytes = u64::from(fs.geometry.cluster_bytes);
        let cluster = fs.walk(first, offset.checked_div(bytes).unwrap_or(0))?;
        let start = fs.geometry.place(cluster);
        let into = offset.checked_rem(bytes).unwrap_or(0);
        Ok(Self { fs, at: start.saturating_add(into), end: start.saturating_add(bytes), first, cluster: Some(cluster) })
    }

    fn next(&mut self) -> Result<Option<u64>, FileError> {
        if self.at >= self.end {
            let Some(cluster) = self.cluster else { return Ok(None) };
            match self.fs.next(cluster)? {
                Next::End => return Ok(None),
                Next::Free | Next::Bad => return Err(FileError::Io),
                // The circles that are made most easily; larger ones end with the most entries that there may be.
                Next::Cluster(next) if next == cluster || next == self.first => return Err(FileError::Io),
                Next::Cluster(next) => {
                    self.cluster = Some(next);
                    self.at = self.fs.geometry.place(next);
                    self.end = self.at.saturating_add(self.fs.geometry.cluster_bytes.into());
                }
            }
        }
        let at = self.at;
        self.at = at.saturating_add(PIECE as u64);
        Ok(Some(at))
    }
}

/// What an entry is.
#[expect(clippy::large_enum_variant, reason = "it is looked at where it is made, and needs no memory")]
enum Taken {
    /// There are no more.
    End,
    /// Removed, a label, part of a name, or nonsense.
    Nothing,
    /// A file, whose place is to be filled in.
    File(Entry),
}

fn take(entry: &[u8; ENTRY], long: &mut LongName) -> Taken {
    let half =
        |at: usize| entry.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |half| u16::from_le_bytes(*half));
    let [first, ..] = *entry;
    let attributes = entry.get(11).copied().unwrap_or_default();
    if first == 0 {
        return Taken::End;
    }
    if first == REMOVED {
        long.forget();
        return Taken::Nothing;
    }
    if attributes & 0x3f == LONG_NAME {
        long.take(entry);
        return Taken::Nothing;
    }
    let Some(short) = entry.first_chunk::<11>() else { return Taken::Nothing };
    let long_name = long.finish(short);
    if attributes & VOLUME_LABEL != 0 {
        return Taken::Nothing;
    }
    let case = entry.get(12).copied().unwrap_or_default();
    let short = short_name(short, case);
    let (name, short) = match (long_name, short) {
        (Some(long), short) => (long, short),
        (None, Some(short)) => (short, None),
        // `.` and `..` among them.
        (None, None) => return Taken::Nothing,
    };
    let is_directory = attributes & DIRECTORY != 0;
    let first_cluster = u32::from(half(20)) << 16 | u32::from(half(26));
    let size = u32::from(half(28)) | u32::from(half(30)) << 16;
    Taken::File(Entry {
        name,
        short,
        is_directory,
        is_read_only: attributes & READ_ONLY != 0,
        first_cluster,
        size: if is_directory { 0 } else { size },
        born: timestamp(half(16), half(14), entry.get(13).copied().unwrap_or_default()),
        accessed: timestamp(half(18), 0, 0),
        modified: timestamp(half(24), half(22), 0),
        number: 0,
        next: 0,
    })
}
