//! Pages of files: counted, promised, and freed.

use core::mem::ManuallyDrop;

use super::Tmpfs;
use crate::addr::PhysFrame;
use crate::fs::error::FileError;
use crate::fs::pages::PageSource;
use crate::hal::Cpu;

impl<C: Cpu> Tmpfs<C> {
    pub(super) fn source(&self) -> &dyn PageSource {
        &*self.needs.pages
    }

    /// Counts and promises `pages` pages, whose frames are [made](Self::fresh) later.
    pub(super) fn reserve(&self, pages: u64) -> Result<(), FileError> {
        self.pages.take(pages)?;
        if self.source().promise(pages) {
            return Ok(());
        }
        self.pages.give_back(pages);
        Err(FileError::NoSpace)
    }

    /// Takes the reservation of `pages` pages back.
    pub(super) fn unreserve(&self, pages: u64) {
        self.source().take_back(pages);
        self.pages.give_back(pages);
    }

    /// A page of zeroes that was reserved.
    pub(super) fn fresh(&self) -> Result<PhysFrame, FileError> {
        self.source().fresh().ok_or(FileError::OutOfMemory)
    }

    /// A page of zeroes.
    pub(super) fn allocate(&self) -> Result<PhysFrame, FileError> {
        self.reserve(1)?;
        self.fresh().inspect_err(|_| self.unreserve(1))
    }

    /// Gives up a file's reference to a page of its own, which is not the file's any more.
    pub(super) fn free(&self, frame: PhysFrame) {
        self.source().release(frame);
        self.unreserve(1);
    }
}

/// A reference to a page that is given up at the end.
pub(super) struct Held<'a> {
    source: &'a dyn PageSource,
    frame: PhysFrame,
}

impl<'a> Held<'a> {
    /// One more reference to `frame`.
    pub(super) fn new(source: &'a dyn PageSource, frame: PhysFrame) -> Self {
        source.add_reference(frame);
        Self { source, frame }
    }

    pub(super) const fn frame(&self) -> PhysFrame {
        self.frame
    }

    /// The reference, to be given up by somebody else.
    pub(super) fn keep(self) -> PhysFrame {
        ManuallyDrop::new(self).frame
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.source.release(self.frame);
    }
}
