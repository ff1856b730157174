//! The table: which cluster follows which.

use super::geometry::FIRST_CLUSTER;
use super::{Fat, Width};
use crate::fs::error::FileError;
use crate::hal::Cpu;

/// How much of the table is read at a time to count.
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
        let bit = u64::from(cluster).saturating_mul(self.geometry.width.bits());
        let at = self.geometry.table.saturating_add(bit / 8);
        let entry = match self.geometry.width {
            Width::Twelve => {
                let mut bytes = [0; 2];
                self.volume.read_at(at, &mut bytes)?;
                let both = u16::from_le_bytes(bytes);
                // Two entries are three bytes.
                let entry = if bit.is_multiple_of(8) { both & 0xfff } else { both >> 4 };
                widened(entry.into(), 0xfff)
            }
            Width::Sixteen => {
                let mut bytes = [0; 2];
                self.volume.read_at(at, &mut bytes)?;
                widened(u16::from_le_bytes(bytes).into(), 0xffff)
            }
            Width::ThirtyTwo => {
                let mut bytes = [0; 4];
                self.volume.read_at(at, &mut bytes)?;
                u32::from_le_bytes(bytes) & 0x0fff_ffff
            }
        };
        Ok(match entry {
            0 => Next::Free,
            0x0fff_fff8.. => Next::End,
            cluster if self.geometry.has(cluster) => Next::Cluster(cluster),
            _ => Next::Bad,
        })
    }

    /// The cluster `steps` behind `cluster`.
    ///
    /// # Errors
    ///
    /// [`Io`](FileError::Io) where the chain ends before that or is broken.
    pub(super) fn walk(&self, cluster: u32, steps: u64) -> Result<u32, FileError> {
        // A chain cannot be longer than there are clusters.
        if !self.geometry.has(cluster) || steps >= self.geometry.clusters.into() {
            return Err(FileError::Io);
        }
        let mut at = cluster;
        for _ in 0..steps {
            match self.next(at)? {
                Next::Cluster(next) => at = next,
                Next::End | Next::Free | Next::Bad => return Err(FileError::Io),
            }
        }
        Ok(at)
    }

    /// How many clusters are in no chain.
    pub(super) fn free_clusters(&self) -> Result<u64, FileError> {
        let bits = self.geometry.width.bits();
        let end = u64::from(self.geometry.clusters).saturating_add(FIRST_CLUSTER.into());
        let bytes = end.saturating_mul(bits).div_ceil(8);
        let mut free = 0_u64;
        let mut done = 0_u64;
        let mut number = 0_u64;
        let mut buffer = [0; PIECE];
        while done < bytes {
            let count = usize::try_from(bytes.saturating_sub(done)).unwrap_or(PIECE).min(PIECE);
            let piece = buffer.get_mut(..count).unwrap_or_default();
            self.volume.read_at(self.geometry.table.saturating_add(done), piece)?;
            let mut count_one = |entry: u32| {
                let is_cluster = (u64::from(FIRST_CLUSTER)..end).contains(&number);
                free = free.saturating_add(u64::from(is_cluster && entry == 0));
                number = number.saturating_add(1);
            };
            match self.geometry.width {
                // A piece has whole pairs of entries, but for the last.
                Width::Twelve => piece.chunks(3).for_each(|pair| {
                    let byte = |index: usize| u32::from(pair.get(index).copied().unwrap_or(0xff));
                    count_one(byte(0) | (byte(1) & 0xf) << 8);
                    count_one(byte(1) >> 4 | byte(2) << 4);
                }),
                Width::Sixteen => {
                    piece.as_chunks::<2>().0.iter().for_each(|entry| count_one(u16::from_le_bytes(*entry).into()));
                }
                Width::ThirtyTwo => piece
                    .as_chunks::<4>()
                    .0
                    .iter()
                    .for_each(|entry| count_one(u32::from_le_bytes(*entry) & 0x0fff_ffff)),
            }
            done = done.saturating_add(count as u64);
        }
        Ok(free)
    }
}

/// An entry of fewer bits, with the highest numbers, which stand for other things, where those of 28 bits are.
const fn widened(entry: u32, most: u32) -> u32 {
    if entry >= most & !8 { entry | 0x0fff_fff0 } else { entry }
}
