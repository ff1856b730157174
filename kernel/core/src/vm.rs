//! A program's address space: areas, mappings, faults, fork.

use crate::addr::PhysFrame;

/// Why a pager has no page.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PagerError {
    /// The page is past the last one of the object.
    BeyondEnd,
    /// There is no memory for it.
    OutOfFrames,
    /// It could not be read.
    Io,
}

/// File contents as memory.
pub trait Pager: Send + Sync {
    /// The frame that holds page `index`, with one reference for the caller.
    ///
    /// # Errors
    ///
    /// [`PagerError`]
    fn page(&self, index: u64) -> Result<PhysFrame, PagerError>;

    /// The same if it can be had at once, without waiting and without a copy. A fault maps such neighbours of the page
    /// that it is about, too.
    fn ready(&self, index: u64) -> Option<PhysFrame> {
        let _ = index;
        None
    }

    /// The length of the object now.
    fn bytes(&self) -> u64;

    /// A number that no other living object has.
    fn identity(&self) -> u64;
}
