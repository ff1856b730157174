//! The volume with what its journal has of newer contents.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::journal;
use crate::fs::block::Volume;
use crate::fs::error::FileError;
use crate::hal::Cpu;

/// A block whose contents are in the journal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Moved {
    /// Where it belongs.
    pub(super) block: u64,
    /// Where it is.
    pub(super) place: u64,
    /// Whether it begins with what each block of the journal itself begins with, and there has zeroes in its place.
    pub(super) is_escaped: bool,
}

/// Where the bytes of a file system come from.
pub(super) struct Disk<C: Cpu> {
    volume: Arc<Volume<C>>,
    /// A block has two to the power of this many bytes.
    block_bits: u32,
    /// In the order of where they belong, each once.
    moved: Vec<Moved>,
}

impl<C: Cpu> Disk<C> {
    /// Of a volume as it is.
    pub(super) const fn new(volume: Arc<Volume<C>>, block_bits: u32) -> Self {
        Self { volume, block_bits, moved: Vec::new() }
    }

    /// Reads these blocks from elsewhere from now on. They are in the order of where they belong, each once.
    pub(super) fn redirect(&mut self, moved: Vec<Moved>) {
        self.moved = moved;
    }

    /// Fills `bytes` from `at` on.
    ///
    /// # Errors
    ///
    /// [`Io`](FileError::Io), [`OutOfMemory`](FileError::OutOfMemory)
    pub(super) fn read_at(&self, at: u64, bytes: &mut [u8]) -> Result<(), FileError> {
        let (mut rest, mut at) = (bytes, at);
        while !rest.is_empty() {
            let block = at >> self.block_bits;
            let next = self.moved.get(self.moved.partition_point(|moved| moved.block < block));
            let here = next.filter(|moved| moved.block == block);
            let end = match here {
                Some(_) => block.saturating_add(1) << self.block_bits,
                None => next.map_or(u64::MAX, |moved| moved.block << self.block_bits),
            };
            let count = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX).min(rest.len());
            let (now, then) = core::mem::take(&mut rest).split_at_mut(count);
            match here {
                Some(moved) => self.read_moved(*moved, at.saturating_sub(block << self.block_bits), now)?,
                None => self.volume.read_at(at, now)?,
            }
            (rest, at) = (then, at.saturating_add(count as u64));
        }
        Ok(())
    }

    /// Fills `bytes` from `into` on in a block that is elsewhere, and has all of them.
    fn read_moved(&self, moved: Moved, into: u64, bytes: &mut [u8]) -> Result<(), FileError> {
        self.volume.read_at((moved.place << self.block_bits).saturating_add(into), bytes)?;
        if moved.is_escaped {
            let magic = journal::MAGIC.to_be_bytes();
            let left = usize::try_from(into).ok().and_then(|into| magic.get(into..)).unwrap_or_default();
            bytes.iter_mut().zip(left).for_each(|(byte, magic)| *byte = *magic);
        }
        Ok(())
    }
}
