//! Where the blocks of a file are.

use super::Ext;
use super::problem::Part;
use super::record::Record;
use crate::fs::error::FileError;
use crate::hal::Cpu;

/// Blocks of a file that follow each other on the volume too, or are not there.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Run {
    /// The first, by its number in the file.
    pub(super) first: u64,
    /// How many; what is not there may go on behind.
    pub(super) count: u64,
    /// The first on the volume; `None` for what is all zeroes.
    pub(super) start: Option<u64>,
}

impl Run {
    pub(super) fn has(&self, block: u64) -> bool {
        block.checked_sub(self.first).is_some_and(|index| index < self.count)
    }

    /// Where a block that it has lies on the volume.
    pub(super) fn place(&self, block: u64) -> Option<u64> {
        self.start.map(|start| start.saturating_add(block.saturating_sub(self.first)))
    }
}

impl<C: Cpu> Ext<C> {
    /// The run that this block of a file is in; it begins there or before.
    ///
    /// # Errors
    ///
    /// [`Damaged`](FileError::Damaged), [`Checksum`](FileError::Checksum), [`Io`](FileError::Io),
    /// [`OutOfMemory`](FileError::OutOfMemory)
    pub(super) fn run(&self, record: &Record, block: u64) -> Result<Run, FileError> {
        let run = if record.has_extents() { self.extent(record, block)? } else { self.indirect(record, block)? };
        if run.start.is_some_and(|start| !self.layout.has_blocks(start, run.count)) {
            return Err(self.damaged(Part::Map(record.number), "they are not on the device"));
        }
        Ok(run)
    }
}
