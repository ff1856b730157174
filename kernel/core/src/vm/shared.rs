//! Memory that several programs map: an object of zeroes, made of frames as they are touched.

use alloc::collections::BTreeMap;
use core::ptr;

use super::commit::OverCommitted;
use super::range::PAGE;
use super::system::{MemorySystem, Pager, PagerError, each_ready};
use crate::addr::PhysFrame;
use crate::hal::Cpu;
use crate::paging::{FewFrames, OutOfFrames};
use crate::sync::{Rank, SpinLock};

/// Shared anonymous memory (`MAP_SHARED | MAP_ANONYMOUS`), and what other memory objects are made of.
///
/// Its pages are promised when it is made. A page is there from the first touch until the object goes, with its
/// last mapping; so each has one reference of the object's own, beside those of leaves.
pub struct SharedMemory<S: MemorySystem + 'static, C: Cpu> {
    system: &'static S,
    pages: u64,
    frames: SpinLock<BTreeMap<u64, PhysFrame>, C>,
}

impl<S: MemorySystem + 'static, C: Cpu> SharedMemory<S, C> {
    /// An object of `pages` pages of zeroes.
    pub fn new(system: &'static S, pages: u64) -> Result<Self, OverCommitted> {
        system.commitments().charge(pages, system.total_frames())?;
        let frames = SpinLock::new(Rank::SharedMemory, BTreeMap::new());
        Ok(Self { system, pages, frames })
    }

    /// The page, if it has been touched, with one reference more.
    fn existing(&self, index: u64) -> Option<PhysFrame> {
        let frame = self.frames.lock().get(&index).copied();
        // It stays while we are here: the object holds it until it is dropped.
        frame.inspect(|&frame| self.system.add_reference(frame))
    }
}

impl<S: MemorySystem + 'static, C: Cpu> Pager for SharedMemory<S, C> {
    fn page(&self, index: u64) -> Result<PhysFrame, PagerError> {
        if index >= self.pages {
            return Err(PagerError::BeyondEnd);
        }
        if let Some(frame) = self.existing(index) {
            return Ok(frame);
        }
        if !self.system.has_room() {
            return Err(PagerError::OutOfFrames);
        }
        let fresh = self.system.zeroed().map_err(|OutOfFrames| PagerError::OutOfFrames)?;
        let kept = *self.frames.lock().entry(index).or_insert(fresh);
        self.system.add_reference(kept);
        if kept != fresh {
            // Somebody else was first.
            self.system.release(fresh);
        }
        Ok(kept)
    }

    fn ready(&self, first: u64, wanted: u16, frames: &mut FewFrames) -> u16 {
        each_ready(first, wanted, frames, |index| self.existing(index))
    }

    fn bytes(&self) -> u64 {
        self.pages * PAGE
    }

    /// Its address: no two living objects have the same.
    fn identity(&self) -> u64 {
        ptr::from_ref(self).addr() as u64
    }
}

impl<S: MemorySystem + 'static, C: Cpu> Drop for SharedMemory<S, C> {
    fn drop(&mut self) {
        for &frame in self.frames.get_mut().values() {
            self.system.release(frame);
        }
        self.system.commitments().uncharge(self.pages);
    }
}
