//! Files of any kind, made as they are looked up.

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use super::Ext;
use super::map::Run;
use super::problem::Part;
use super::record::{MAP_BYTES, Record};
use crate::addr::PhysFrame;
use crate::fs::error::FileError;
use crate::fs::flags::OpenFlags;
use crate::fs::inode::{DirectoryEntry, Inode, Link, Visit};
use crate::fs::metadata::{FileId, FileKind, FileSystemStatus, Metadata, Protection};
use crate::fs::mount::MountFlags;
use crate::fs::operations::FileOperations;
use crate::fs::path::PATH_MAX;
use crate::fs::pipe::NamedPipe;
use crate::hal::Cpu;
use crate::sync::{Rank, SpinLock};

mod contents;

/// Cookies of `.` and `..`.
const DOTS: u64 = 2;

/// A file.
pub(super) struct Node<C: Cpu> {
    fs: Arc<Ext<C>>,
    /// The directory that it was found in.
    parent: Option<Arc<Self>>,
    itself: Weak<Self>,
    record: Record,
    /// Of a symbolic link: where it leads.
    target: Result<Vec<u8>, FileError>,
    /// Which blocks of the file were found last: reads mostly go on there.
    found: SpinLock<Run, C>,
    /// Pages that programs have mapped; they stay as long as the node.
    mapped: SpinLock<BTreeMap<u64, PhysFrame>, C>,
    /// The number by which they are known.
    object: u64,
}

impl<C: Cpu> Node<C> {
    /// The root, whose inode is `record`.
    pub(super) fn root(fs: &Arc<Ext<C>>, record: Record) -> Result<Arc<Self>, FileError> {
        if record.kind != FileKind::Directory {
            return Err(fs.damaged(Part::Inode(record.number), "the root is no directory"));
        }
        Self::new(fs, None, record)
    }

    fn new(fs: &Arc<Ext<C>>, parent: Option<Arc<Self>>, record: Record) -> Result<Arc<Self>, FileError> {
        if !fs.needs.pages.has_room() {
            return Err(FileError::OutOfMemory);
        }
        let target = if record.kind == FileKind::Symlink { fs.target(&record) } else { Err(FileError::Invalid) };
        Ok(Arc::new_cyclic(|itself| Self {
            fs: Arc::clone(fs),
            parent,
            itself: Weak::clone(itself),
            record,
            target,
            found: SpinLock::new(Rank::FileObject, Run::default()),
            mapped: SpinLock::new(Rank::SharedMemory, BTreeMap::new()),
            object: fs.new_object(),
        }))
    }

    fn is_directory(&self) -> bool {
        self.record.kind == FileKind::Directory
    }

    /// The node of this file that has its pages: the first that was opened, as long as it is.
    fn opened(self: Arc<Self>) -> Result<Arc<Self>, FileError> {
        let mut open = self.fs.open.lock();
        match open.binary_search_by_key(&self.record.number, |(number, _)| *number) {
            Ok(index) => {
                let place = open.get_mut(index).map(|(_, node)| node);
                if let Some(first) = place.as_ref().and_then(|node| node.upgrade()) {
                    drop(open);
                    return Ok(first);
                }
                // That one is about to go.
                if let Some(place) = place {
                    place.clone_from(&self.itself);
                }
            }
            Err(index) => {
                open.try_reserve(1).map_err(|_| FileError::OutOfMemory)?;
                open.insert(index, (self.record.number, Weak::clone(&self.itself)));
            }
        }
        drop(open);
        Ok(self)
    }

    /// The pipe of a FIFO, the same for all who open it. It stays as long as the file system: who opens it later may come while
    /// the pipe is in use.
    fn pipe(&self) -> Result<Arc<dyn NamedPipe>, FileError> {
        let is_it = |known: &&(u32, Arc<dyn NamedPipe>)| known.0 == self.record.number;
        let new = (self.fs.needs.fifo)((self.record.uid, self.record.gid));
        let mut fifos = self.fs.fifos.lock();
        let known = fifos.iter().find(is_it).map(|(_, known)| Arc::clone(known));
        if known.is_none() {
            fifos.try_reserve(1).map_err(|_| FileError::OutOfMemory)?;
            fifos.push((self.record.number, Arc::clone(&new)));
        }
        drop(fifos);
        Ok(known.unwrap_or(new))
    }

    /// The inode that a directory has under this name.
    fn search(&self, name: &[u8]) -> Result<Option<u64>, FileError> {
        let mut found = None;
        self.fs.entries(&self.record, 0, &mut |entry| {
            if entry.name == name {
                found = Some(entry.inode.into());
                return Visit::Enough;
            }
            Visit::More
        })?;
        Ok(found)
    }

    /// Whether a directory is above this one, or is this.
    fn is_below(&self, number: u32) -> bool {
        let mut at = Some(self);
        while let Some(node) = at {
            if node.record.number == number {
                return true;
            }
            at = node.parent.as_deref();
        }
        false
    }
}

impl<C: Cpu> Ext<C> {
    /// Where a symbolic link leads.
    fn target(&self, record: &Record) -> Result<Vec<u8>, FileError> {
        let part = Part::Inode(record.number);
        let most = if self.is_short_link(record) { MAP_BYTES } else { PATH_MAX };
        let count = usize::try_from(record.size).ok().filter(|count| (1..most).contains(count));
        let count = count.ok_or_else(|| self.damaged(part, "the link's length cannot be"))?;
        let mut target = Vec::new();
        target.try_reserve_exact(count).map_err(|_| FileError::OutOfMemory)?;
        target.resize(count, 0);
        if self.is_short_link(record) {
            target.copy_from_slice(record.map.get(..count).unwrap_or_default());
        } else if record.is_inline() {
            self.read_inline(record, 0, &mut target)?;
        } else {
            self.read_target(record, &mut target)?;
        }
        if target.contains(&0) {
            return Err(self.damaged(part, "there is a zero in the link"));
        }
        Ok(target)
    }

    fn read_target(&self, record: &Record, target: &mut [u8]) -> Result<(), FileError> {
        let block = usize::try_from(self.layout.block_bytes()).unwrap_or(usize::MAX);
        for (index, piece) in (0..).zip(target.chunks_mut(block)) {
            let place = self.run(record, index)?.place(index);
            let place = place.ok_or_else(|| self.damaged(Part::Map(record.number), "the link is not there"))?;
            self.disk.read_at(place << self.layout.block_bits, piece)?;
        }
        Ok(())
    }
}

impl<C: Cpu> Drop for Node<C> {
    fn drop(&mut self) {
        for frame in self.mapped.get_mut().values() {
            self.fs.needs.pages.release(*frame);
        }
        if self.record.kind == FileKind::Regular {
            let mut open = self.fs.open.lock();
            // Another may have come into its place.
            if let Ok(index) = open.binary_search_by_key(&self.record.number, |(number, _)| *number)
                && open.get(index).is_some_and(|(_, node)| core::ptr::eq(Weak::as_ptr(node), self))
            {
                open.remove(index);
            }
        }
        // One after the other: a walk may have gone so deep that the stack would not do.
        let mut above = self.parent.take();
        while let Some(mut last) = above.and_then(Arc::into_inner) {
            above = last.parent.take();
        }
    }
}

impl<C: Cpu> Inode for Node<C> {
    fn mount_flags(&self) -> MountFlags {
        self.fs.flags()
    }

    fn id(&self) -> FileId {
        FileId { device: self.fs.device, inode: self.record.number.into() }
    }

    fn protection(&self) -> Protection {
        self.record.protection()
    }

    fn metadata(&self) -> Metadata {
        Metadata {
            links: self.record.links,
            represents: self.record.represents(),
            size: self.record.size,
            block_size: self.fs.layout.block_bytes(),
            blocks: self.record.blocks,
            accessed: self.record.accessed,
            changed: self.record.changed,
            born: self.record.born,
            ..Metadata::without_contents(self.id(), self.protection(), self.record.modified)
        }
    }

    fn is_read_only(&self) -> bool {
        true
    }

    fn open(self: Arc<Self>, flags: OpenFlags) -> Result<Arc<dyn FileOperations>, FileError> {
        match self.record.kind {
            FileKind::Directory => Ok(self),
            // What Linux says of an encrypted file whose key it has not is not known here.
            FileKind::Regular if self.record.is_transformed() => Err(FileError::Unsupported),
            FileKind::Regular => Ok(self.opened()?),
            FileKind::Symlink => Err(FileError::TooManyLinks),
            FileKind::CharacterDevice | FileKind::BlockDevice => {
                self.fs.needs.devices.open(self.record.kind, self.record.represents(), flags)
            }
            FileKind::Fifo => self.pipe()?.open(flags),
            FileKind::Socket | FileKind::Nameless => Err(FileError::NoDevice),
        }
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>, FileError> {
        if !self.is_directory() {
            return Err(FileError::NotDirectory);
        }
        let found =
            self.fs.names.find(self.record.number.into(), name, || self.search(name))?.ok_or(FileError::NotFound)?;
        // It was such a number.
        let record = self.fs.record(u32::try_from(found).unwrap_or(0))?;
        if record.kind == FileKind::Directory && self.is_below(record.number) {
            let _ = self.fs.damaged(Part::Inode(record.number), "the directory is below itself");
            return Err(FileError::TooManyLinks);
        }
        Ok(Self::new(&self.fs, self.itself.upgrade(), record)?)
    }

    fn link(&self) -> Result<Link<'_>, FileError> {
        match &self.target {
            Ok(target) => Ok(Link::Path(target)),
            Err(error) => Err(*error),
        }
    }

    fn parent(&self) -> Option<Arc<dyn Inode>> {
        match &self.parent {
            Some(parent) => Some(Arc::clone(parent) as Arc<dyn Inode>),
            None => self.fs.covered.get()?.parent(),
        }
    }

    fn number_above(&self) -> u64 {
        match &self.parent {
            Some(_) => self.record.number.into(),
            None => self.fs.covered.get().map_or(self.record.number.into(), |covered| covered.number_above()),
        }
    }

    fn read_directory(&self, from: u64, visit: &mut dyn FnMut(DirectoryEntry<'_>) -> Visit) -> Result<(), FileError> {
        if !self.is_directory() {
            return Err(FileError::NotDirectory);
        }
        let itself = u64::from(self.record.number);
        let above = self.parent().map_or(itself, |parent| parent.id().inode);
        let dots: [(u64, u64, &[u8]); 2] = [(0, itself, b"."), (1, above, b"..")];
        for (cookie, inode, name) in dots.into_iter().filter(|(cookie, ..)| *cookie >= from) {
            let next = cookie.saturating_add(1);
            if visit(DirectoryEntry { inode, kind: FileKind::Directory, name, next }) == Visit::Enough {
                return Ok(());
            }
        }
        self.fs.entries(&self.record, from.saturating_sub(DOTS), &mut |entry| {
            // Where the directory does not say it, the inode does.
            let kind = entry.kind.or_else(|| self.fs.record(entry.inode).ok().map(|record| record.kind));
            let kind = kind.unwrap_or(FileKind::Nameless);
            let next = entry.next.saturating_add(DOTS);
            visit(DirectoryEntry { inode: entry.inode.into(), kind, name: entry.name, next })
        })
    }

    fn file_system(&self) -> FileSystemStatus {
        self.fs.status()
    }
}
