//! Partitions: the master boot record with its chain of logical partitions, and the GUID partition table (UEFI 2.10, 5.2
//! and 5.3).
//!
//! A table comes from whoever had the card before. Entries that make no sense are left out and reported; the others are
//! there all the same, with the numbers that Linux gives them. Nothing is read twice for a chain that bites its tail.

mod gpt;
mod mbr;

use core::fmt;

use heapless::Vec;

use super::disk::{BLOCK_SIZE, DiskError};

/// The most partitions that are kept: numbers 1 to 31, as many minors as a card has.
pub const MAX_PARTITIONS: usize = 31;
/// The most problems that are told.
const MAX_PROBLEMS: usize = 8;

/// A block of a disk.
pub type Block = [u8; BLOCK_SIZE];

/// A part of a disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Partition {
    /// Its number, from 1 on: not always its place in the list.
    pub number: u32,
    /// Its first block.
    pub first: u64,
    /// How many blocks it has; not 0.
    pub blocks: u64,
}

impl Partition {
    /// The first block behind it.
    const fn end(&self) -> u64 {
        self.first.saturating_add(self.blocks)
    }
}

/// What kind of table a disk has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum TableKind {
    /// None: the disk is empty, or all one file system.
    #[default]
    None,
    /// A master boot record.
    Mbr,
    /// A GUID partition table.
    Gpt,
}

/// What was found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Table {
    /// The kind of table.
    pub kind: TableKind,
    /// The partitions, by ascending numbers.
    pub partitions: Vec<Partition, MAX_PARTITIONS>,
    /// What was wrong, the first few.
    pub problems: Vec<Problem, MAX_PROBLEMS>,
}

/// What is wrong with a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Problem {
    /// This block cannot be read.
    Unreadable(u64),
    /// This partition begins or ends behind the disk.
    BeyondEnd(u32),
    /// This partition and an earlier one have blocks in common.
    Overlap(u32),
    /// The chain of logical partitions leads to this block, where there is none, or where it was already.
    BadChain(u64),
    /// There are more partitions than can be shown.
    TooMany,
    /// The GUID partition table's header at this block is damaged.
    BadHeader(u64),
    /// The entries of the header at this block are damaged.
    BadEntries(u64),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(block) => write!(f, "block {block} cannot be read"),
            Self::BeyondEnd(number) => write!(f, "partition {number} is not all on the disk"),
            Self::Overlap(number) => write!(f, "partition {number} overlaps another"),
            Self::BadChain(block) => write!(f, "the chain of logical partitions is broken at block {block}"),
            Self::TooMany => write!(f, "more than {MAX_PARTITIONS} partitions"),
            Self::BadHeader(block) => write!(f, "the partition table's header at block {block} is damaged"),
            Self::BadEntries(block) => write!(f, "the entries of the partition table at block {block} are damaged"),
        }
    }
}

/// Reads one block.
pub type ReadBlock<'a> = dyn FnMut(u64, &mut Block) -> Result<(), DiskError> + 'a;

/// Looks for partitions on a disk of `blocks` blocks.
pub fn find(blocks: u64, read: &mut ReadBlock<'_>) -> Table {
    let mut search = Search { blocks, read, table: Table::default() };
    let Some(record) = search.read(0) else { return search.table };
    match mbr::kind(&record) {
        TableKind::None => {}
        TableKind::Mbr => mbr::collect(&mut search, &record),
        TableKind::Gpt => gpt::collect(&mut search),
    }
    search.table
}

/// A disk, and what has been found on it.
struct Search<'a, 'b> {
    blocks: u64,
    read: &'a mut ReadBlock<'b>,
    table: Table,
}

impl Search<'_, '_> {
    fn read(&mut self, block: u64) -> Option<Block> {
        let mut bytes = [0; BLOCK_SIZE];
        if block < self.blocks && (self.read)(block, &mut bytes).is_ok() {
            return Some(bytes);
        }
        self.note(Problem::Unreadable(block));
        None
    }

    fn note(&mut self, problem: Problem) {
        // More than a few are not told.
        let _full = self.table.problems.push(problem);
    }

    /// Takes the partition in, if it is on the disk and no other has its blocks.
    fn add(&mut self, partition: Partition) {
        let number = partition.number;
        let on_disk = partition.first.checked_add(partition.blocks).is_some_and(|end| end <= self.blocks);
        let overlaps = |other: &Partition| partition.first < other.end() && other.first < partition.end();
        if !on_disk {
            self.note(Problem::BeyondEnd(number));
        } else if self.table.partitions.iter().any(overlaps) {
            self.note(Problem::Overlap(number));
        } else if number as usize > MAX_PARTITIONS || self.table.partitions.push(partition).is_err() {
            self.note(Problem::TooMany);
        }
    }
}

/// The 32 bits at `offset`, little-endian; 0 behind the end.
fn word(bytes: &[u8], offset: usize) -> u32 {
    bytes.get(offset..).and_then(|rest| rest.first_chunk()).map_or(0, |word| u32::from_le_bytes(*word))
}

/// The 64 bits at `offset`, little-endian; 0 behind the end.
fn long(bytes: &[u8], offset: usize) -> u64 {
    bytes.get(offset..).and_then(|rest| rest.first_chunk()).map_or(0, |long| u64::from_le_bytes(*long))
}
