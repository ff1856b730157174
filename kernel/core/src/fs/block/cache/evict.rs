//! Frames for pages, and frames back.

use super::Cache;
use super::pages::Evict;
use crate::addr::PhysFrame;
use crate::fs::error::FileError;
use crate::hal::Cpu;

/// How often room is made for one page before it is given up.
const TRIES: usize = 4;

impl<C: Cpu> Cache<C> {
    /// A frame for a page more, of zeroes. If there are enough pages, or no memory, others go for it.
    pub(super) fn fresh(&self) -> Result<PhysFrame, FileError> {
        for _ in 0..TRIES {
            if let Some(frame) = self.spare(0) {
                return Ok(frame);
            }
            if self.shrink(1) == 0 {
                // All are in use or dirty.
                self.write_back()?;
            }
        }
        Err(FileError::OutOfMemory)
    }

    /// One for which nothing has to go, when `taken` others were taken already.
    fn spare(&self, taken: usize) -> Option<PhysFrame> {
        if self.is_full(taken) || !self.source.has_room() { None } else { self.source.fresh() }
    }

    /// One for a page that is read ahead: of those that are there only one that nobody had lately goes for it.
    pub(super) fn ahead(&self, taken: usize) -> Option<PhysFrame> {
        if self.is_full(taken) {
            let idle = self.pages.lock().evict(Evict::Idle)?;
            self.source.release(idle);
        }
        self.spare(taken)
    }

    fn is_full(&self, taken: usize) -> bool {
        self.pages.lock().len().saturating_add(taken) >= self.most_pages
    }

    /// Gives all pages back that the disk has, too, and nobody uses.
    pub fn forget(&self) {
        let mut from = 0;
        loop {
            let next = self.pages.lock().evict_from(from);
            let Some((index, frame)) = next else { return };
            self.source.release(frame);
            from = index;
        }
    }

    /// Gives up to `count` pages back that the disk has, too; says how many. Does not sleep.
    pub fn shrink(&self, count: usize) -> usize {
        (0..count).map_while(|_| self.pages.lock().evict(Evict::Any)).map(|frame| self.source.release(frame)).count()
    }

    pub(super) fn forget_filling(&self, index: u64) {
        let frame = self.pages.lock().remove_filling(index);
        if let Some(frame) = frame {
            self.source.release(frame);
        }
    }
}

impl<C: Cpu> Drop for Cache<C> {
    fn drop(&mut self) {
        while let Some(frame) = self.pages.get_mut().pop() {
            self.source.release(frame);
        }
    }
}
