//! Directories, to be read.

use super::Fat;
use super::chain::Next;
use super::geometry::Root;
use super::name::{LongName, Name, short_name};
use super::pending::{Block, Part};
use super::slot::{self, SLOT_BYTES, Slot};
use super::time::timestamp;
use crate::fs::block::BLOCK_SIZE;
use crate::fs::error::FileError;
use crate::fs::inode::Visit;
use crate::fs::metadata::Timestamp;
use crate::hal::Cpu;

const ENTRY_BYTES: u64 = SLOT_BYTES as u64;
/// The most entries of a directory: 2 MiB.
pub(super) const MOST_ENTRIES: u64 = 65_536;
const PIECE: u64 = BLOCK_SIZE as u64;
const PIECE_ENTRIES: u64 = 16;

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
    /// Where the entry is on the volume, in entries.
    pub(super) place: u64,
    /// The index, in the directory, of what follows.
    pub(super) next: u64,
    /// How many entries before it have its long name.
    pub(super) parts: u64,
}

/// One entry of 32 bytes, where it is.
pub(super) struct Seen<'a> {
    pub(super) slot: &'a Slot,
    /// On the volume, in entries.
    pub(super) place: u64,
    /// In the directory.
    pub(super) index: u64,
}

impl<C: Cpu> Fat<C> {
    /// Shows the files of a directory from the entry at `from` on, until `visit` has enough.
    ///
    /// # Errors
    ///
    /// [`Io`](FileError::Io) where the chain is broken or too long.
    pub(super) fn entries(
        &self,
        directory: Place,
        from: u64,
        visit: &mut dyn FnMut(&Entry) -> Visit,
    ) -> Result<(), FileError> {
        let mut long = LongName::new();
        self.slots(directory, from, &mut |seen| {
            let mut found = match take(seen.slot, &mut long) {
                Taken::End => return Visit::Enough,
                Taken::Nothing => return Visit::More,
                Taken::File(found) => found,
            };
            found.first_cluster &= self.geometry.width.cluster_mask();
            (found.place, found.next) = (seen.place, seen.index.saturating_add(1));
            visit(&found)
        })
    }

    /// The file whose entry is at this place, with its name of eight and three.
    ///
    /// # Errors
    ///
    /// [`Io`](FileError::Io) where there is none.
    pub(super) fn entry_at(&self, place: u64) -> Result<Entry, FileError> {
        let Taken::File(mut entry) = take(&self.slot(place)?, &mut LongName::new()) else { return Err(FileError::Io) };
        entry.first_cluster &= self.geometry.width.cluster_mask();
        entry.place = place;
        Ok(entry)
    }

    /// Shows all that there is room for in a directory, used or not, from the entry at `from` on.
    ///
    /// # Errors
    ///
    /// As those of [`entries`](Self::entries).
    pub(super) fn slots(
        &self,
        directory: Place,
        from: u64,
        visit: &mut dyn FnMut(&Seen<'_>) -> Visit,
    ) -> Result<(), FileError> {
        let mut pieces = Pieces::at(self, directory, from)?;
        let mut index = from;
        while let Some(at) = pieces.next()? {
            if index >= MOST_ENTRIES {
                return Err(FileError::Io);
            }
            let mut piece: Block = [0; BLOCK_SIZE];
            self.read_part(Part::Directories, at, &mut piece)?;
            let skipped = usize::try_from(index % PIECE_ENTRIES).unwrap_or(0);
            for (slot, offset) in piece.as_chunks::<SLOT_BYTES>().0.iter().zip(0_u64..).skip(skipped) {
                let place = (at / ENTRY_BYTES).saturating_add(offset);
                if visit(&Seen { slot, place, index }) == Visit::Enough {
                    return Ok(());
                }
                index = index.saturating_add(1);
            }
        }
        Ok(())
    }

    /// The first cluster of a directory that has any.
    pub(super) const fn first_cluster(&self, directory: Place) -> Option<u32> {
        match (directory, &self.geometry.root) {
            (Place::Root, Root::Fixed(_)) => None,
            (Place::Root, Root::Chain(first)) => Some(*first),
            (Place::Chain(first), _) => Some(first),
        }
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
    /// From the piece on that the entry at `index` is in; behind the end there are none.
    fn at(fs: &'a Fat<C>, place: Place, index: u64) -> Result<Self, FileError> {
        let offset = (index.min(MOST_ENTRIES) / PIECE_ENTRIES).saturating_mul(PIECE);
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
        let into = offset.checked_rem(bytes).unwrap_or(0);
        // The end of a cluster, so that what follows the last entry of the last is not looked for in the next.
        let steps = offset.checked_div(bytes).unwrap_or(0);
        let (steps, into) = if into == 0 && steps > 0 { (steps.saturating_sub(1), bytes) } else { (steps, into) };
        let Some(cluster) = fs.walk_within(first, steps)? else {
            return Ok(Self { fs, at: 0, end: 0, first, cluster: None });
        };
        let start = fs.geometry.place(cluster);
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
        self.at = at.saturating_add(PIECE);
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

fn take(entry: &Slot, long: &mut LongName) -> Taken {
    let [first, ..] = *entry;
    let attributes = slot::attributes(entry);
    if first == 0 {
        return Taken::End;
    }
    if first == slot::REMOVED {
        long.forget();
        return Taken::Nothing;
    }
    if slot::is_name_part(entry) {
        long.take(entry);
        return Taken::Nothing;
    }
    let Some(short) = entry.first_chunk::<11>() else { return Taken::Nothing };
    let parts = long.parts();
    let long_name = long.finish(short);
    if attributes & slot::VOLUME_LABEL != 0 {
        return Taken::Nothing;
    }
    let parts = if long_name.is_some() { parts } else { 0 };
    let short = short_name(short, slot::byte(entry, 12));
    let (name, short) = match (long_name, short) {
        (Some(long), short) => (long, short),
        (None, Some(short)) => (short, None),
        // `.` and `..` among them.
        (None, None) => return Taken::Nothing,
    };
    let is_directory = attributes & slot::DIRECTORY != 0;
    let half = |at| slot::half(entry, at);
    Taken::File(Entry {
        name,
        short,
        is_directory,
        is_read_only: attributes & slot::READ_ONLY != 0,
        first_cluster: slot::cluster(entry),
        size: if is_directory { 0 } else { slot::size(entry) },
        born: timestamp(half(16), half(14), slot::byte(entry, 13)),
        accessed: timestamp(half(18), 0, 0),
        modified: timestamp(half(24), half(22), 0),
        place: 0,
        next: 0,
        parts,
    })
}
