//! Regular files of the initial file system.

use alloc::sync::Arc;

use super::Attributes;
use crate::addr::PhysFrame;
use crate::fs::error::FileError;
use crate::fs::flags::OpenFlags;
use crate::fs::inode::Inode;
use crate::fs::operations::{Blocking, FileOperations, Mapping, Seeking};
use crate::fs::pages::Pages;
use crate::fs::transfer::{Sink, Source};
use crate::paging::FewFrames;
use crate::vm::{Pager, PagerError};

/// A file: inode, open file and pager in one, so that opening it makes nothing new.
pub(super) struct File {
    attributes: Attributes,
    pages: Pages,
}

impl File {
    pub(super) const fn new(attributes: Attributes, pages: Pages) -> Self {
        Self { attributes, pages }
    }
}

impl Inode for File {
    read_only_by_attributes!();

    fn open(self: Arc<Self>, _flags: OpenFlags) -> Result<Arc<dyn FileOperations>, FileError> {
        Ok(self)
    }
}

impl FileOperations for File {
    fn read(&self, at: u64, _blocking: Blocking, sink: &mut dyn Sink) -> Result<usize, FileError> {
        let rest = usize::try_from(at).ok().and_then(|at| self.pages.contents().get(at..)).unwrap_or_default();
        if rest.is_empty() { Ok(0) } else { Ok(sink.put(rest)?) }
    }

    fn write(&self, _at: u64, _blocking: Blocking, _source: &mut dyn Source) -> Result<usize, FileError> {
        Err(FileError::ReadOnly)
    }

    fn seeking(&self) -> Seeking {
        Seeking::Bytes { end: self.attributes.size }
    }

    fn mapping(self: Arc<Self>) -> Mapping {
        Mapping::Pager(self)
    }
}

impl Pager for File {
    fn page(&self, index: u64) -> Result<PhysFrame, PagerError> {
        self.pages.page(index)
    }

    fn ready(&self, first: u64, wanted: u16, frames: &mut FewFrames) -> u16 {
        self.pages.ready(first, wanted, frames)
    }

    fn bytes(&self) -> u64 {
        self.attributes.size
    }

    /// Where it is in memory: inodes do not move, and kernel addresses are like no other numbers.
    fn identity(&self) -> u64 {
        core::ptr::from_ref(self).addr() as u64
    }
}
