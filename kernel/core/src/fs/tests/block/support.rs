//! A disk, and what a cache stands on.

use std::boxed::Box;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};
use std::vec::Vec;

use crate::fs::block::{BLOCK_SIZE, Cache, CacheNeeds, Disk, DiskError};
use crate::fs::tests::support::{FakeSource, PARKING};
use crate::hal::fake::FakeCpu;

/// What a disk was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::fs::tests) enum Asked {
    Read(u64, usize),
    Write(u64, usize),
    Flush,
}

/// What a disk was told, with the bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::fs::tests) enum Transfer {
    Write(u64, Vec<u8>),
    Flush,
}

/// A disk's state.
#[derive(Default)]
pub(in crate::fs::tests) struct State {
    /// What the disk says that it has.
    pub(in crate::fs::tests) bytes: Vec<u8>,
    /// What it has without power.
    pub(in crate::fs::tests) durable: Vec<u8>,
    pub(in crate::fs::tests) asked: Vec<Asked>,
    /// All that came since somebody wanted to know.
    pub(in crate::fs::tests) log: Option<Vec<Transfer>>,
    /// Blocks that can neither be read nor written.
    pub(in crate::fs::tests) bad: BTreeSet<u64>,
    pub(in crate::fs::tests) gone: bool,
    pub(in crate::fs::tests) read_only: bool,
}

/// A disk that the test keeps a hand on.
#[derive(Clone)]
pub(in crate::fs::tests) struct FakeDisk(Arc<Mutex<State>>);

impl FakeDisk {
    /// With each block filled with its number.
    pub(in crate::fs::tests) fn new(blocks: usize) -> Self {
        Self::with((0..blocks).flat_map(|block| [block.to_le_bytes()[0]; BLOCK_SIZE]).collect())
    }

    /// With these bytes.
    pub(in crate::fs::tests) fn with(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(State { durable: bytes.clone(), bytes, ..State::default() })))
    }

    pub(in crate::fs::tests) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// What it was asked for since this was asked.
    pub(in crate::fs::tests) fn asked(&self) -> Vec<Asked> {
        core::mem::take(&mut self.state().asked)
    }
}

impl State {
    fn check(&self, block: u64, bytes: usize) -> Result<core::ops::Range<usize>, DiskError> {
        assert!(bytes > 0 && bytes.is_multiple_of(BLOCK_SIZE), "whole blocks");
        let first = usize::try_from(block).unwrap() * BLOCK_SIZE;
        assert!(first + bytes <= self.bytes.len(), "what is not on the disk is not asked for");
        let end = block + (bytes / BLOCK_SIZE) as u64;
        if self.gone || self.bad.range(block..end).next().is_some() {
            return Err(DiskError::Failed);
        }
        Ok(first..first + bytes)
    }
}

impl Disk for FakeDisk {
    fn blocks(&self) -> u64 {
        (self.state().bytes.len() / BLOCK_SIZE) as u64
    }

    fn is_read_only(&self) -> bool {
        self.state().read_only
    }

    fn read(&mut self, block: u64, into: &mut [u8]) -> Result<(), DiskError> {
        let mut state = self.state();
        state.asked.push(Asked::Read(block, into.len() / BLOCK_SIZE));
        let range = state.check(block, into.len())?;
        into.copy_from_slice(&state.bytes[range]);
        Ok(())
    }

    fn write(&mut self, block: u64, from: &[u8]) -> Result<(), DiskError> {
        let mut state = self.state();
        state.asked.push(Asked::Write(block, from.len() / BLOCK_SIZE));
        let range = state.check(block, from.len())?;
        state.bytes[range].copy_from_slice(from);
        if let Some(log) = &mut state.log {
            log.push(Transfer::Write(block, from.to_vec()));
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), DiskError> {
        let mut state = self.state();
        state.asked.push(Asked::Flush);
        if state.gone {
            return Err(DiskError::Failed);
        }
        state.durable = state.bytes.clone();
        if let Some(log) = &mut state.log {
            log.push(Transfer::Flush);
        }
        Ok(())
    }
}

pub(in crate::fs::tests) type TestCache = Cache<FakeCpu>;

fn dirtied() {}

/// A cache of `most_pages` pages over a disk of `blocks` blocks.
pub(in crate::fs::tests) fn cache(blocks: usize, most_pages: usize) -> (FakeDisk, Arc<TestCache>, Arc<FakeSource>) {
    let disk = FakeDisk::new(blocks);
    let source = Arc::new(FakeSource::default());
    let cache = over(&disk, &source, most_pages);
    (disk, cache, source)
}

pub(in crate::fs::tests) fn over(disk: &FakeDisk, source: &Arc<FakeSource>, most_pages: usize) -> Arc<TestCache> {
    let needs = CacheNeeds { pages: source.clone(), parking: &PARKING, dirtied, most_pages };
    Cache::new(Box::new(disk.clone()), needs).unwrap()
}
