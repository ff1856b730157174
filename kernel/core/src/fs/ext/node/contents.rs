//! The bytes of regular files, to be read and to be mapped.

use super::Node;
use crate::addr::{PAGE_SIZE, PhysFrame};
use crate::fs::error::FileError;
use crate::fs::operations::{Blocking, Extent, FileOperations, Mapping, Seeking};
use crate::fs::pages::read_page;
use crate::fs::transfer::{Sink, Source, give};
use crate::hal::Cpu;
use crate::paging::FewFrames;
use crate::vm::{Pager, PagerError, each_ready};

use super::super::map::Run;

const PAGE: u64 = PAGE_SIZE as u64;
/// How much is on its way to a program at a time.
const CHUNK: usize = 2048;
/// How many runs are looked at for data or a hole.
const MOST_RUNS: usize = 1024;

impl<C: Cpu> Node<C> {
    /// The run that this block of the file is in.
    fn run(&self, block: u64) -> Result<Run, FileError> {
        let last = *self.found.lock();
        if last.has(block) {
            return Ok(last);
        }
        let run = self.fs.run(&self.record, block)?;
        *self.found.lock() = run;
        Ok(run)
    }

    /// Fills `into` from `at` on, all of which is in the file.
    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<(), FileError> {
        if self.record.is_inline() {
            return self.fs.read_inline(&self.record, at, into);
        }
        let bits = self.fs.layout.block_bits;
        let (mut rest, mut at) = (into, at);
        while !rest.is_empty() {
            let run = self.run(at >> bits)?;
            let (first, end) = (run.first << bits, run.first.saturating_add(run.count) << bits);
            let count = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX).min(rest.len());
            let (now, then) = core::mem::take(&mut rest).split_at_mut(count);
            match run.start {
                Some(start) => {
                    let into = at.saturating_sub(first);
                    self.fs.disk.read_at((start << bits).saturating_add(into), now)?;
                }
                None => now.fill(0),
            }
            (rest, at) = (then, at.saturating_add(count as u64));
        }
        Ok(())
    }

    fn mapped_page(&self, index: u64) -> Option<PhysFrame> {
        let mapped = self.mapped.lock();
        let frame = *mapped.get(&index)?;
        self.fs.needs.pages.add_reference(frame);
        Some(frame)
    }

    /// Reads a page into a frame of its own; whoever was first keeps his.
    fn make_page(&self, index: u64) -> Result<PhysFrame, PagerError> {
        let size = self.record.size;
        let at = index.checked_mul(PAGE).filter(|&at| at < size).ok_or(PagerError::BeyondEnd)?;
        let pages = &self.fs.needs.pages;
        let bytes = size.saturating_sub(at).min(PAGE);
        let frame = read_page(&**pages, bytes, |offset, into| self.read_at(at.saturating_add(offset), into))?;
        let first = *self.mapped.lock().entry(index).or_insert(frame);
        if first != frame {
            pages.release(frame);
        }
        pages.add_reference(first);
        Ok(first)
    }
}

impl<C: Cpu> FileOperations for Node<C> {
    fn read(&self, at: u64, _blocking: Blocking, sink: &mut dyn Sink) -> Result<usize, FileError> {
        if self.is_directory() {
            return Err(FileError::IsDirectory);
        }
        let left = |at| usize::try_from(self.record.size.saturating_sub(at)).unwrap_or(usize::MAX);
        give(sink, at, &mut [0; CHUNK], |at, wanted| wanted.min(left(at)), |at, bytes| self.read_at(at, bytes))
    }

    fn write(&self, _at: u64, _blocking: Blocking, _source: &mut dyn Source) -> Result<usize, FileError> {
        Err(FileError::ReadOnly)
    }

    fn seeking(&self) -> Seeking {
        if self.is_directory() { Seeking::Cookies } else { Seeking::Bytes { end: self.record.size } }
    }

    /// As far as a number of runs can tell; what is behind them counts as data.
    fn find(&self, at: u64, end: u64, what: Extent) -> Option<u64> {
        let bits = self.fs.layout.block_bits;
        let mut at = at;
        for _ in 0..MOST_RUNS {
            // What cannot be read is for those to find who read it.
            let is_data = self.record.is_inline() || self.run(at >> bits).is_ok_and(|run| run.start.is_some());
            if is_data == (what == Extent::Data) {
                return Some(at);
            }
            if self.record.is_inline() {
                break;
            }
            let Ok(run) = self.run(at >> bits) else { break };
            at = run.first.saturating_add(run.count) << bits;
            if at >= end {
                break;
            }
        }
        match what {
            Extent::Data if at >= end => None,
            Extent::Data => Some(at),
            Extent::Hole => Some(end),
        }
    }

    fn mapping(self: alloc::sync::Arc<Self>) -> Mapping {
        if self.is_directory() { Mapping::None } else { Mapping::Pager(self) }
    }

    /// Nothing changes.
    fn sync(&self) -> Result<(), FileError> {
        Ok(())
    }
}

impl<C: Cpu> Pager for Node<C> {
    fn page(&self, index: u64) -> Result<PhysFrame, PagerError> {
        match self.mapped_page(index) {
            Some(frame) => Ok(frame),
            None => self.make_page(index),
        }
    }

    fn ready(&self, first: u64, wanted: u16, frames: &mut FewFrames) -> u16 {
        each_ready(first, wanted, frames, |index| self.mapped_page(index))
    }

    fn bytes(&self) -> u64 {
        self.record.size
    }

    fn identity(&self) -> u64 {
        self.object
    }
}
