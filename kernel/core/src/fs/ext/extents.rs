//! Trees of extents.
//!
//! A node has a header and entries of 12 bytes; the root is in the inode, the others have a block each. Whoever goes down
//! knows which blocks of the file a node is for, and that it is one level lower than the one before: so there is no way in a
//! circle, and five levels are the most.
//!
//! ```text
//! header  0 0xf30a  2 entries  4 room for  6 levels below
//! index   0 first block of the file  4 node  8 node, high
//! leaf    0 first block of the file  4 how many  6 place, high  8 place
//! ```

use alloc::vec::Vec;
use core::ops::Range;

use super::Ext;
use super::checksum::crc32c;
use super::fields::{half, word};
use super::map::Run;
use super::problem::{Part, Problem};
use super::record::Record;
use crate::fs::error::FileError;
use crate::hal::Cpu;

const MAGIC: u16 = 0xf30a;
const ENTRY: usize = 12;
/// The most levels below the root.
const MOST_LEVELS: u16 = 5;
/// More blocks than that, and the entry is for blocks that were never written.
const MOST_BLOCKS: u16 = 0x8000;
/// What 32 bits can number.
const BLOCKS: u64 = 1 << 32;

impl<C: Cpu> Ext<C> {
    /// The run that `block` is in.
    pub(super) fn extent(&self, record: &Record, block: u64) -> Result<Run, FileError> {
        if block >= BLOCKS {
            return Err(self.damaged(Part::Map(record.number), "it is longer than it can be"));
        }
        let mut within = 0..BLOCKS;
        let mut level = self.check_node(record, &record.map)?;
        if level > MOST_LEVELS {
            return Err(self.damaged(Part::Map(record.number), "there are too many levels"));
        }
        if level == 0 {
            return self.find_in_leaf(record, &record.map, block, &within);
        }
        let mut next = self.find_in_index(record, &record.map, block, &mut within)?;
        let mut node = self.block_buffer()?;
        loop {
            // Before the first there is nothing.
            let Some(at) = next else { return Ok(hole(&within)) };
            self.read(at, 0, &mut node, Part::Map(record.number))?;
            let below = self.check_node(record, &node)?;
            if level.checked_sub(1) != Some(below) {
                return Err(self.damaged(Part::Map(record.number), "a node is on the wrong level"));
            }
            self.check_node_sum(record, &node)?;
            level = below;
            if level == 0 {
                return self.find_in_leaf(record, &node, block, &within);
            }
            next = self.find_in_index(record, &node, block, &mut within)?;
        }
    }

    /// A block's worth of bytes.
    pub(super) fn block_buffer(&self) -> Result<Vec<u8>, FileError> {
        let bytes = 1_usize.wrapping_shl(self.layout.block_bits);
        let mut buffer = Vec::new();
        buffer.try_reserve_exact(bytes).map_err(|_| FileError::OutOfMemory)?;
        buffer.resize(bytes, 0);
        Ok(buffer)
    }

    /// Checks a node's header, and says on which level it is.
    fn check_node(&self, record: &Record, node: &[u8]) -> Result<u16, FileError> {
        let (entries, room, level) = (half(node, 2), half(node, 4), half(node, 6));
        let most = node.len().saturating_sub(ENTRY) / ENTRY;
        if half(node, 0) != MAGIC || entries > room || usize::from(room) > most || level > 0 && entries == 0 {
            return Err(self.damaged(Part::Map(record.number), "a node has a bad header"));
        }
        Ok(level)
    }

    /// The checksum of a node with a block of its own is behind the room for its entries.
    fn check_node_sum(&self, record: &Record, node: &[u8]) -> Result<(), FileError> {
        if !self.layout.has_checksums() {
            return Ok(());
        }
        let end = usize::from(half(node, 4)).saturating_add(1).saturating_mul(ENTRY);
        let sum = crc32c(record.seed, node.get(..end).unwrap_or_default());
        let fits = node.len().checked_sub(4).is_some_and(|last| end <= last);
        if fits && sum == word(node, end) {
            Ok(())
        } else {
            Err(self.problem(Problem::Checksum(Part::Map(record.number))))
        }
    }

    /// The node below that is for `block`; and which blocks that is for. `None` if none is: then those that there are not.
    fn find_in_index(
        &self,
        record: &Record,
        node: &[u8],
        block: u64,
        within: &mut Range<u64>,
    ) -> Result<Option<u64>, FileError> {
        let mut found = None;
        let mut before = None;
        let all = within.clone();
        let mut end = all.end;
        for entry in entries(node) {
            let first = u64::from(word(entry, 0));
            if !all.contains(&first) || before.is_some_and(|before| before >= first) {
                return Err(self.damaged(Part::Map(record.number), "nodes are in disorder"));
            }
            if first <= block {
                found = Some((first, u64::from(half(entry, 8)) << 32 | u64::from(word(entry, 4))));
            } else {
                end = end.min(first);
            }
            before = Some(first);
        }
        *within = found.map_or(all.start, |(first, _)| first)..end;
        Ok(found.map(|(_, node)| node))
    }

    fn find_in_leaf(&self, record: &Record, node: &[u8], block: u64, within: &Range<u64>) -> Result<Run, FileError> {
        let mut empty = within.clone();
        let mut found = None;
        let mut before = within.start;
        for entry in entries(node) {
            let first = u64::from(word(entry, 0));
            let (count, is_written) = match half(entry, 4) {
                count @ ..=MOST_BLOCKS => (u64::from(count), true),
                count => (u64::from(count.saturating_sub(MOST_BLOCKS)), false),
            };
            let end = first.saturating_add(count);
            if count == 0 || first < before || end > within.end {
                return Err(self.damaged(Part::Map(record.number), "extents are in disorder"));
            }
            let run = Run {
                first,
                count,
                start: is_written.then(|| u64::from(half(entry, 6)) << 32 | u64::from(word(entry, 8))),
            };
            if run.has(block) {
                found = Some(run);
            } else if end <= block {
                empty.start = end;
            } else {
                empty.end = empty.end.min(first);
            }
            before = end;
        }
        Ok(found.unwrap_or_else(|| hole(&empty)))
    }
}

fn entries(node: &[u8]) -> impl Iterator<Item = &[u8; ENTRY]> {
    node.as_chunks::<ENTRY>().0.iter().skip(1).take(half(node, 2).into())
}

fn hole(blocks: &Range<u64>) -> Run {
    Run { first: blocks.start, count: blocks.end.saturating_sub(blocks.start), start: None }
}
