//! The table: which cluster follows which.

use super::geometry::FIRST_CLUSTER;
use super::pending::Part;
use super::{Fat, Width};
use crate::fs::error::FileError;
use crate::fs::inode::Visit;
use crate::hal::Cpu;

/// How much of the table is read at a time to look for what is free.
const PIECE: usize = 3 * 512;

/// What an entry of the table says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Next {
    /// The chain goes on here.
    Cluster(u32),
    /// It ends.
    End,
    /// The cluster is in no chain.
    Free,
    /// It is marked bad, or nonsense.
    Bad,
}

impl<C: Cpu> Fat<C> {
    /// What follows `cluster`, which there is.
    pub(super) fn next(&self, cluster: u32) -> Result<Next, FileError> {
        Ok(self.meaning(self.entry(cluster)?))
    }

    /// What an entry says.
    pub(super) fn meaning(&self, entry: u32) -> Next {
        match widened(entry, self.geometry.width) {
            0 => Next::Free,
            0x0fff_fff8.. => Next::End,
            cluster if self.geometry.has(cluster) => Next::Cluster(cluster),
            _ => Next::Bad,
        }
    }

    /// The entry of a cluster, or one of the two before those.
    pub(super) fn entry(&self, cluster: u32) -> Result<u32, FileError> {
        let (at, shift, bytes) = self.entry_place(cluster);
        let mut word = [0; 4];
        self.read_part(Part::Table, at, word.get_mut(..bytes).unwrap_or_default())?;
        Ok(u32::from_le_bytes(word) >> shift & self.geometry.width.end())
    }

    /// Where the entry of a cluster is: the byte, the bit in it, and how many bytes have part of it.
    pub(super) fn entry_place(&self, cluster: u32) -> (u64, u32, usize) {
        let width = self.geometry.width;
        let bit = u64::from(cluster).saturating_mul(width.bits());
        let at = self.geometry.table.saturating_add(bit / 8);
        match width {
            // Two entries are three bytes.
            Width::Twelve => (at, if bit.is_multiple_of(8) { 0 } else { 4 }, 2),
            Width::Sixteen => (at, 0, 2),
            Width::ThirtyTwo => (at, 0, 4),
        }
    }

    /// The cluster `steps` behind `cluster`.
    ///
    /// # Errors
    ///
    /// [`Io`](FileError::Io) where the chain ends before that or is broken.
    pub(super) fn walk(&self, cluster: u32, steps: u64) -> Result<u32, FileError> {
        self.walk_within(cluster, steps)?.ok_or(FileError::Io)
    }

    /// The same; `None` where the chain ends before that.
    ///
    /// # Errors
    ///
    /// [`Io`](FileError::Io) where it is broken.
    pub(super) fn walk_within(&self, cluster: u32, steps: u64) -> Result<Option<u32>, FileError> {
        // A chain cannot be longer than there are clusters: one that is goes in a circle, or ends before.
        if !self.geometry.has(cluster) {
            return Err(FileError::Io);
        }
        let mut at = cluster;
        for _ in 0..steps.min(self.geometry.clusters.into()) {
            match self.next(at)? {
                Next::Cluster(next) => at = next,
                Next::End => return Ok(None),
                Next::Free | Next::Bad => return Err(FileError::Io),
            }
        }
        if steps < self.geometry.clusters.into() { Ok(Some(at)) } else { Err(FileError::Io) }
    }

    /// The last cluster of a chain.
    ///
    /// # Errors
    ///
    /// [`Io`](FileError::Io) where it is broken.
    pub(super) fn last_of(&self, first: u32) -> Result<u32, FileError> {
        let mut at = self.walk(first, 0)?;
        for _ in 0..self.geometry.clusters {
            match self.next(at)? {
                Next::Cluster(next) => at = next,
                Next::End => return Ok(at),
                Next::Free | Next::Bad => break,
            }
        }
        Err(FileError::Io)
    }

    /// How many clusters are in no chain.
    pub(super) fn count_free(&self) -> Result<u32, FileError> {
        let mut free = 0_u32;
        self.each_entry(FIRST_CLUSTER, self.geometry.end_cluster(), &mut |_, entry| {
            free = free.saturating_add(u32::from(entry == 0));
            Visit::More
        })?;
        Ok(free)
    }

    /// The first cluster from `from` on, and before `end`, that is in no chain.
    pub(super) fn find_free(&self, from: u32, end: u32) -> Result<Option<u32>, FileError> {
        let mut found = None;
        self.each_entry(from, end, &mut |cluster, entry| {
            if entry != 0 {
                return Visit::More;
            }
            found = Some(cluster);
            Visit::Enough
        })?;
        Ok(found)
    }

    /// Shows the entries of clusters from `from` on and before `end`.
    pub(super) fn each_entry(
        &self,
        from: u32,
        end: u32,
        visit: &mut dyn FnMut(u32, u32) -> Visit,
    ) -> Result<(), FileError> {
        let bits = self.geometry.width.bits();
        // Entries of a piece: a whole number.
        let per_piece = (PIECE as u64).saturating_mul(8).checked_div(bits).unwrap_or(1);
        let per_piece = u32::try_from(per_piece).unwrap_or(1);
        let table_end = u64::from(self.geometry.end_cluster()).saturating_mul(bits).div_ceil(8);
        let mut cluster = from;
        let mut buffer = [0; PIECE];
        while cluster < end {
            let index = cluster.checked_div(per_piece).unwrap_or(0);
            let first = index.saturating_mul(per_piece);
            let start = u64::from(index).saturating_mul(PIECE as u64);
            let count = usize::try_from(table_end.saturating_sub(start)).unwrap_or(PIECE).min(PIECE);
            let piece = buffer.get_mut(..count).unwrap_or_default();
            self.read_part(Part::Table, self.geometry.table.saturating_add(start), piece)?;
            let stop = first.saturating_add(per_piece).min(end);
            while cluster < stop {
                let entry = entry_in(piece, cluster.saturating_sub(first), self.geometry.width);
                if visit(cluster, entry) == Visit::Enough {
                    return Ok(());
                }
                cluster = cluster.saturating_add(1);
            }
        }
        Ok(())
    }
}

/// The entry with this index in a piece of the table.
fn entry_in(piece: &[u8], index: u32, width: Width) -> u32 {
    let index = usize::try_from(index).unwrap_or(usize::MAX);
    let half =
        |at: usize| piece.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |half| u16::from_le_bytes(*half));
    match width {
        Width::Twelve => {
            let both = half((index / 2).saturating_mul(3).saturating_add(index % 2));
            (if index.is_multiple_of(2) { both & 0xfff } else { both >> 4 }).into()
        }
        Width::Sixteen => half(index.saturating_mul(2)).into(),
        Width::ThirtyTwo => {
            let at = index.saturating_mul(4);
            (u32::from(half(at)) | u32::from(half(at.saturating_add(2))) << 16) & 0x0fff_ffff
        }
    }
}

/// An entry of fewer bits, with the highest numbers, which stand for other things, where those of 28 bits are.
const fn widened(entry: u32, width: Width) -> u32 {
    if entry >= width.end() & !8 { entry | 0x0fff_fff0 } else { entry }
}
