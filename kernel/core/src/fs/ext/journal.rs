//! The journal: what was written last, and may not be in its places yet (Linux's `Documentation/filesystems/ext4/journal.rst`).
//!
//! ```text
//! superblock │ descriptor  block  block …  revocations  commit │ descriptor …    transactions, one after the other, round
//!               └ tags: where each of them belongs    └ blocks that nothing older may bring back
//! ```
//!
//! Linux copies the blocks of whole transactions to their places when it mounts. Nothing is written here, so each is read from
//! the journal instead, its newest contents ([`Disk`](super::disk::Disk)): what is seen is the same. A transaction without its
//! commit did not happen.
//!
//! Numbers are big-endian, unlike everywhere else.

use alloc::vec::Vec;
use core::cell::Cell;

use bitflags::bitflags;

use super::Ext;
use super::checksum::{START, crc32c};
use super::disk::Moved;
use super::fields::{big_half, big_word, byte};
use super::layout::SUPERBLOCK_BYTES;
use super::map::Run;
use super::problem::{Part, Problem};
use super::record::Record;
use crate::fs::error::FileError;
use crate::hal::Cpu;

/// What each block of the journal begins with that is not a block of something else.
pub(super) const MAGIC: u32 = 0xc03b_3998;
/// Such a block: the magic, what it is, the number of its transaction.
const HEADER: usize = 12;
/// What it is.
mod kind {
    pub(super) const DESCRIPTOR: u32 = 1;
    pub(super) const COMMIT: u32 = 2;
    pub(super) const SUPERBLOCK_WITHOUT_FEATURES: u32 = 3;
    pub(super) const SUPERBLOCK: u32 = 4;
    pub(super) const REVOCATIONS: u32 = 5;
}
/// Of a tag.
mod flag {
    pub(super) const ESCAPED: u32 = 1;
    pub(super) const SAME_UUID: u32 = 2;
    pub(super) const LAST: u32 = 8;
}
const UUID: usize = 16;
const SUM: usize = 4;
/// Where the superblock and a commit have theirs.
const SUPERBLOCK_SUM_AT: usize = 0xfc;
const COMMIT_SUM_AT: usize = 0x10;
const CRC32C: u8 = 4;

bitflags! {
    /// What one must know of to read it.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    struct Features: u32 {
        const REVOCATIONS = 0x1;
        /// Numbers of blocks have 64 bits.
        const LONG_NUMBERS = 0x2;
        /// There are checksums; in tags, half of them.
        const HALF_SUMS = 0x8;
        /// And whole ones.
        const WHOLE_SUMS = 0x10;
        const _ = !0;
    }
}

impl Features {
    const KNOWN: Self = Self::REVOCATIONS.union(Self::LONG_NUMBERS).union(Self::HALF_SUMS).union(Self::WHOLE_SUMS);

    const fn has_sums(self) -> bool {
        self.intersects(Self::HALF_SUMS.union(Self::WHOLE_SUMS))
    }

    /// The length of a tag. That with half a sum is two bytes longer than what is in it.
    const fn tag_bytes(self) -> usize {
        match (self.contains(Self::WHOLE_SUMS), self.contains(Self::HALF_SUMS), self.contains(Self::LONG_NUMBERS)) {
            (true, ..) => 16,
            (_, true, true) => 14,
            (_, true, false) => 10,
            (.., true) => 12,
            _ => 8,
        }
    }
}

/// What the journal says of a block.
#[derive(Clone, Copy)]
struct Said {
    /// The block, by where it belongs.
    block: u64,
    /// Where its contents are; `None` where nothing of this transaction or an older one may be brought back.
    contents: Option<Contents>,
    /// In which transaction, counted from the first that is read.
    transaction: u32,
    /// How many were said before.
    order: u32,
}

/// A block in the journal.
#[derive(Clone, Copy)]
struct Contents {
    /// Where it is on the volume.
    place: u64,
    /// What its bytes and the number of its transaction add up to.
    sum: u32,
    is_escaped: bool,
}

impl Said {
    /// Later where it counts more.
    const fn rank(&self) -> (u32, bool, u32) {
        (self.transaction, self.contents.is_none(), self.order)
    }
}

/// The journal's file, as its superblock says.
struct Log<'a, C: Cpu> {
    fs: &'a Ext<C>,
    record: Record,
    /// The run that was found last.
    run: Cell<Run>,
    features: Features,
    seed: u32,
    /// The first block that is used again and again, and what is behind the last.
    first: u32,
    end: u32,
    /// Where the first transaction begins that may not be in its places; 0 if there is none.
    start: u32,
    /// Its number.
    sequence: u32,
    /// The block that was read last.
    block: Vec<u8>,
}

impl<C: Cpu> Ext<C> {
    /// The blocks whose newest contents are in the journal, in the order of where they belong.
    ///
    /// # Errors
    ///
    /// [`Invalid`](FileError::Invalid) where the journal is on another device or has features that are not known;
    /// [`Damaged`](FileError::Damaged), [`Checksum`](FileError::Checksum), [`Io`](FileError::Io),
    /// [`OutOfMemory`](FileError::OutOfMemory)
    pub(super) fn in_journal(&self) -> Result<Vec<Moved>, FileError> {
        let mut log = Log::open(self)?;
        let mut said = log.walk()?;
        // What counts of each block first; nothing else is asked for.
        said.sort_unstable_by(|one, other| (one.block, other.rank()).cmp(&(other.block, one.rank())));
        said.dedup_by_key(|said| said.block);
        let mut moved = Vec::new();
        moved.try_reserve_exact(said.len()).map_err(|_| FileError::OutOfMemory)?;
        for said in said {
            if let Some(contents) = said.contents {
                log.check(&said, contents)?;
                moved.push(Moved { block: said.block, place: contents.place, is_escaped: contents.is_escaped });
            }
        }
        Ok(moved)
    }
}

impl<'a, C: Cpu> Log<'a, C> {
    fn open(fs: &'a Ext<C>) -> Result<Self, FileError> {
        let number = fs.layout.journal.ok_or_else(|| fs.problem(Problem::Journal("is on another device")))?;
        let mut log = Self {
            fs,
            record: fs.any_record(number)?,
            run: Cell::default(),
            features: Features::empty(),
            seed: START,
            first: 0,
            end: 0,
            start: 0,
            sequence: 0,
            block: fs.block_buffer()?,
        };
        log.fetch(0)?;
        log.parse()?;
        Ok(log)
    }

    /// What the superblock says, which was read.
    fn parse(&mut self) -> Result<(), FileError> {
        let block = self.block.get_mut(..SUPERBLOCK_BYTES).unwrap_or_default();
        let is_old = big_word(block, 4) == kind::SUPERBLOCK_WITHOUT_FEATURES;
        if big_word(block, 0) != MAGIC || !is_old && big_word(block, 4) != kind::SUPERBLOCK {
            return Err(self.damaged("it has no superblock"));
        }
        self.features = Features::from_bits_retain(if is_old { 0 } else { big_word(block, 0x28) });
        if !Features::KNOWN.contains(self.features) {
            return Err(self.fs.problem(Problem::Journal("has features that are not known here")));
        }
        self.seed = crc32c(START, block.get(0x30..0x40).unwrap_or_default());
        if self.features.has_sums() && (byte(block, 0x50) != CRC32C || !is_its_sum(START, block, SUPERBLOCK_SUM_AT)) {
            return Err(self.wrong_sum());
        }
        (self.first, self.end) = (big_word(block, 0x14), big_word(block, 0x10));
        (self.sequence, self.start) = (big_word(block, 0x18), big_word(block, 0x1c));
        let most = (self.record.size >> self.fs.layout.block_bits).min(self.fs.layout.blocks);
        let is_right = big_word(block, 0xc) == self.fs.layout.block_bytes()
            && u64::from(self.end) <= most
            && (1..self.end).contains(&self.first)
            && (self.start == 0 || (self.first..self.end).contains(&self.start));
        if is_right { Ok(()) } else { Err(self.damaged("its superblock makes no sense")) }
    }

    /// Goes through the transactions, to the first that is not whole.
    fn walk(&mut self) -> Result<Vec<Said>, FileError> {
        let mut all = Vec::new();
        let (mut at, mut transaction, mut last_time) = (self.start, 0_u32, 0);
        let mut is_suspect = false;
        let mut whole = 0;
        // It is gone round once at most.
        let mut left = if self.start == 0 { 0 } else { self.end };
        while let Some(fewer) = left.checked_sub(1) {
            left = fewer;
            self.fetch(at)?;
            at = self.next(at);
            let sequence = self.sequence.wrapping_add(transaction);
            if big_word(&self.block, 0) != MAGIC || big_word(&self.block, 8) != sequence {
                break;
            }
            match big_word(&self.block, 4) {
                kind::DESCRIPTOR => {
                    is_suspect |= !self.is_tail_right();
                    let before = all.len();
                    at = self.tags(at, transaction, &mut all)?;
                    let blocks = u32::try_from(all.len().saturating_sub(before)).unwrap_or(u32::MAX);
                    left = left.saturating_sub(blocks);
                }
                kind::REVOCATIONS => {
                    is_suspect |= !self.is_tail_right();
                    self.revocations(transaction, &mut all)?;
                }
                kind::COMMIT => {
                    let Some(time) = self.commit(is_suspect, last_time)? else { break };
                    last_time = time;
                    transaction = transaction.saturating_add(1);
                    whole = all.len();
                }
                _ => break,
            }
        }
        all.truncate(whole);
        Ok(all)
    }

    /// When the transaction was that ends with the commit that was read; `None` if it did not happen. Before the commit there
    /// may be something that is not what its checksum says.
    fn commit(&mut self, is_suspect: bool, last_time: u64) -> Result<Option<u64>, FileError> {
        let time = u64::from(big_word(&self.block, 0x30)) << 32 | u64::from(big_word(&self.block, 0x34));
        let is_right = !self.features.has_sums() || is_its_sum(self.seed, &mut self.block, COMMIT_SUM_AT);
        if is_right && !is_suspect {
            return Ok(Some(time));
        }
        // What is older than the last is left from an earlier round. If not, this one is damaged.
        if time >= last_time {
            let error = self.wrong_sum();
            if is_suspect {
                return Err(error);
            }
        }
        Ok(None)
    }

    /// Takes the tags of the descriptor that was read; the first block is at `at`. Says what is behind the last.
    fn tags(&self, at: u32, transaction: u32, all: &mut Vec<Said>) -> Result<u32, FileError> {
        let size = self.features.tag_bytes();
        let room = self.block.get(..self.without_tail()).unwrap_or_default();
        let is_whole = self.features.contains(Features::WHOLE_SUMS);
        let (mut at, mut from) = (at, HEADER);
        while let Some(tag) = room.get(from..from.saturating_add(size)) {
            let (flags, sum) = if is_whole {
                (big_word(tag, 4), big_word(tag, 12))
            } else {
                (big_half(tag, 6).into(), big_half(tag, 4).into())
            };
            let high = if self.features.contains(Features::LONG_NUMBERS) { big_word(tag, 8) } else { 0 };
            let block = u64::from(high) << 32 | u64::from(big_word(tag, 0));
            let place = self.place(at)?.ok_or_else(|| self.damaged("a block of it is not there"))?;
            let contents = Contents { place, sum, is_escaped: flags & flag::ESCAPED != 0 };
            say(all, block, Some(contents), transaction)?;
            at = self.next(at);
            let uuid = if flags & flag::SAME_UUID == 0 { UUID } else { 0 };
            from = from.saturating_add(size).saturating_add(uuid);
            if flags & flag::LAST != 0 {
                break;
            }
        }
        Ok(at)
    }

    /// Takes the numbers of blocks of the block that was read.
    fn revocations(&self, transaction: u32, all: &mut Vec<Said>) -> Result<(), FileError> {
        const AT: usize = HEADER + 4;
        let end = usize::try_from(big_word(&self.block, HEADER)).unwrap_or(usize::MAX);
        if end > self.without_tail() {
            return Err(self.damaged("it revokes more than a block has room for"));
        }
        let is_long = self.features.contains(Features::LONG_NUMBERS);
        let numbers = self.block.get(AT..end).unwrap_or_default().chunks_exact(if is_long { 8 } else { 4 });
        for number in numbers {
            let block = u64::from(big_word(number, 0));
            let block = if is_long { block << 32 | u64::from(big_word(number, 4)) } else { block };
            say(all, block, None, transaction)?;
        }
        Ok(())
    }

    /// Checks a block that is to be read from here.
    fn check(&mut self, said: &Said, contents: Contents) -> Result<(), FileError> {
        if said.block >= self.fs.layout.blocks {
            return Err(self.damaged("it has blocks that are not on the device"));
        }
        if !self.features.has_sums() {
            return Ok(());
        }
        self.fs.disk.read_at(contents.place << self.fs.layout.block_bits, &mut self.block)?;
        let number = self.sequence.wrapping_add(said.transaction);
        let sum = crc32c(crc32c(self.seed, &number.to_be_bytes()), &self.block);
        let known = if self.features.contains(Features::WHOLE_SUMS) { u32::MAX } else { 0xffff };
        if sum & known == contents.sum { Ok(()) } else { Err(self.wrong_sum()) }
    }

    /// Reads a block of the journal, by its number there.
    fn fetch(&mut self, index: u32) -> Result<(), FileError> {
        match self.place(index)? {
            Some(place) => self.fs.disk.read_at(place << self.fs.layout.block_bits, &mut self.block),
            None => {
                self.block.fill(0);
                Ok(())
            }
        }
    }

    /// Where it is on the volume; `None` if nowhere.
    fn place(&self, index: u32) -> Result<Option<u64>, FileError> {
        if !self.run.get().has(index.into()) {
            self.run.set(self.fs.run(&self.record, index.into())?);
        }
        Ok(self.run.get().place(index.into()))
    }

    /// The block behind this one.
    fn next(&self, index: u32) -> u32 {
        let next = index.saturating_add(1);
        if next < self.end { next } else { self.first }
    }

    /// What a descriptor or block of revocations has room for.
    fn without_tail(&self) -> usize {
        self.block.len().saturating_sub(if self.features.has_sums() { SUM } else { 0 })
    }

    /// Whether a descriptor or block of revocations, which was read, is what the sum at its end says.
    fn is_tail_right(&mut self) -> bool {
        let at = self.without_tail();
        !self.features.has_sums() || is_its_sum(self.seed, &mut self.block, at)
    }

    fn damaged(&self, what: &'static str) -> FileError {
        self.fs.damaged(Part::Journal, what)
    }

    fn wrong_sum(&self) -> FileError {
        self.fs.problem(Problem::Checksum(Part::Journal))
    }
}

/// Adds what is said of a block.
fn say(all: &mut Vec<Said>, block: u64, contents: Option<Contents>, transaction: u32) -> Result<(), FileError> {
    all.try_reserve(1).map_err(|_| FileError::OutOfMemory)?;
    let order = u32::try_from(all.len()).unwrap_or(u32::MAX);
    all.push(Said { block, contents, transaction, order });
    Ok(())
}

/// Whether the sum at `at` is that of the block with zeroes in its place, which it has then.
fn is_its_sum(seed: u32, block: &mut [u8], at: usize) -> bool {
    let Some(sum) = block.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<SUM>()) else { return false };
    let said = u32::from_be_bytes(core::mem::take(sum));
    crc32c(seed, block) == said
}
