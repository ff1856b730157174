//! Files and directories, made as they are looked up.

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};

use super::Fat;
use super::directory::{Entry, Place};
use super::name::same;
use crate::addr::{PAGE_SIZE, PhysFrame};
use crate::fs::error::FileError;
use crate::fs::flags::OpenFlags;
use crate::fs::inode::{DirectoryEntry, Inode, Visit};
use crate::fs::metadata::{FileId, FileKind, FileSystemStatus, Metadata, Protection, Timestamp};
use crate::fs::mount::MountFlags;
use crate::fs::operations::{Blocking, FileOperations, Mapping, Seeking};
use crate::fs::transfer::{Sink, Source, give};
use crate::hal::Cpu;
use crate::paging::FewFrames;
use crate::sync::{Rank, SpinLock};
use crate::vm::{Pager, PagerError, each_ready};

const PAGE: u64 = PAGE_SIZE as u64;
/// The number of the root. Others' are places on the volume, and behind it.
const ROOT: u64 = 1;
/// Cookies of `.` and `..`.
const DOTS: u64 = 2;
/// How much is on its way to a program at a time.
const CHUNK: usize = 2048;

/// A file or a directory.
pub(super) struct Node<C: Cpu> {
    fs: Arc<Fat<C>>,
    parent: Option<Arc<Self>>,
    itself: Weak<Self>,
    number: u64,
    is_directory: bool,
    permissions: u16,
    place: Place,
    first_cluster: u32,
    size: u32,
    born: Timestamp,
    accessed: Timestamp,
    modified: Timestamp,
    /// Which cluster of the file was found last, and its number: reads mostly go on from there.
    found: SpinLock<(u64, u32), C>,
    /// Pages that programs have mapped; they stay as long as the node.
    mapped: SpinLock<BTreeMap<u64, PhysFrame>, C>,
    /// The number by which they are known.
    object: u64,
}

impl<C: Cpu> Node<C> {
    pub(super) fn root(fs: &Arc<Fat<C>>) -> Arc<Self> {
        let none = Timestamp::default();
        Arc::new_cyclic(|itself| Self {
            fs: Arc::clone(fs),
            parent: None,
            itself: Weak::clone(itself),
            number: ROOT,
            is_directory: true,
            permissions: 0o755,
            place: Place::Root,
            first_cluster: 0,
            size: 0,
            born: none,
            accessed: none,
            modified: none,
            found: SpinLock::new(Rank::FileObject, (0, 0)),
            mapped: SpinLock::new(Rank::SharedMemory, BTreeMap::new()),
            object: fs.new_object(),
        })
    }

    fn child(&self, entry: &Entry) -> Arc<Self> {
        Arc::new_cyclic(|itself| Self {
            fs: Arc::clone(&self.fs),
            parent: self.itself.upgrade(),
            itself: Weak::clone(itself),
            number: entry.number,
            is_directory: entry.is_directory,
            permissions: if entry.is_read_only { 0o555 } else { 0o755 },
            place: Place::Chain(entry.first_cluster),
            first_cluster: entry.first_cluster,
            size: entry.size,
            born: entry.born,
            accessed: entry.accessed,
            modified: entry.modified,
            found: SpinLock::new(Rank::FileObject, (0, entry.first_cluster)),
            mapped: SpinLock::new(Rank::SharedMemory, BTreeMap::new()),
            object: self.fs.new_object(),
        })
    }

    const fn kind(&self) -> FileKind {
        if self.is_directory { FileKind::Directory } else { FileKind::Regular }
    }

    /// The cluster with this index in the file.
    fn cluster(&self, index: u64) -> Result<u32, FileError> {
        let (before, cluster) = *self.found.lock();
        let (from, steps) = match index.checked_sub(before) {
            Some(steps) => (cluster, steps),
            None => (self.first_cluster, index),
        };
        let cluster = self.fs.walk(from, steps)?;
        *self.found.lock() = (index, cluster);
        Ok(cluster)
    }

    /// The number of the file that has this name, in whichever case, or this short name.
    fn search(&self, name: &[u8]) -> Result<Option<u64>, FileError> {
        let mut found = None;
        self.fs.entries(self.place, 0, &mut |entry| {
            if same(&entry.name, name) || entry.short.as_ref().is_some_and(|short| same(short, name)) {
                found = Some(entry.number);
                return Visit::Enough;
            }
            Visit::More
        })?;
        Ok(found)
    }

    /// Fills `into` from `at` on, all of which is in the file.
    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<(), FileError> {
        let bytes = u64::from(self.fs.geometry.cluster_bytes);
        let mut rest = into;
        let mut at = at;
        while !rest.is_empty() {
            let index = at.checked_div(bytes).unwrap_or(0);
            let offset = at.checked_rem(bytes).unwrap_or(0);
            let count = usize::try_from(bytes.saturating_sub(offset)).unwrap_or(usize::MAX).min(rest.len());
            let (now, then) = core::mem::take(&mut rest).split_at_mut(count);
            let place = self.fs.geometry.place(self.cluster(index)?);
            self.fs.volume.read_at(place.saturating_add(offset), now)?;
            (rest, at) = (then, at.saturating_add(count as u64));
        }
        Ok(())
    }

    fn mapped_page(&self, index: u64) -> Option<PhysFrame> {
        let mapped = self.mapped.lock();
        let frame = *mapped.get(&index)?;
        self.fs.pages.add_reference(frame);
        Some(frame)
    }

    /// Reads a page into a frame of its own; whoever was first keeps his.
    fn make_page(&self, index: u64) -> Result<PhysFrame, PagerError> {
        let at = index.checked_mul(PAGE).filter(|&at| at < self.size.into()).ok_or(PagerError::BeyondEnd)?;
        if !self.fs.pages.has_room() {
            return Err(PagerError::OutOfFrames);
        }
        let frame = self.fs.pages.fresh().ok_or(PagerError::OutOfFrames)?;
        let left = u64::from(self.size).saturating_sub(at).min(PAGE);
        let mut buffer = [0; CHUNK];
        let mut done = 0;
        while done < left {
            let count = left.saturating_sub(done).min(CHUNK as u64);
            let bytes = buffer.get_mut(..usize::try_from(count).unwrap_or(CHUNK)).unwrap_or_default();
            if self.read_at(at.saturating_add(done), bytes).is_err() {
                self.fs.pages.release(frame);
                return Err(PagerError::Io);
            }
            self.fs.pages.write(frame, usize::try_from(done).unwrap_or(0), bytes);
            done = done.saturating_add(count);
        }
        let first = *self.mapped.lock().entry(index).or_insert(frame);
        if first != frame {
            self.fs.pages.release(frame);
        }
        self.fs.pages.add_reference(first);
        Ok(first)
    }
}

impl<C: Cpu> Drop for Node<C> {
    fn drop(&mut self) {
        for frame in self.mapped.get_mut().values() {
            self.fs.pages.release(*frame);
        }
    }
}

impl<C: Cpu> Inode for Node<C> {
    fn mount_flags(&self) -> MountFlags {
        self.fs.flags()
    }

    fn id(&self) -> FileId {
        FileId { device: self.fs.device, inode: self.number }
    }

    fn protection(&self) -> Protection {
        Protection { kind: self.kind(), permissions: self.permissions, uid: 0, gid: 0 }
    }

    fn metadata(&self) -> Metadata {
        let cluster = u64::from(self.fs.geometry.cluster_bytes);
        let size = if self.is_directory { cluster } else { self.size.into() };
        Metadata {
            links: if self.is_directory { 2 } else { 1 },
            size,
            block_size: self.fs.geometry.cluster_bytes,
            blocks: size.checked_next_multiple_of(cluster).unwrap_or(size) / 512,
            accessed: self.accessed,
            born: Some(self.born),
            ..Metadata::without_contents(self.id(), self.protection(), self.modified)
        }
    }

    fn is_read_only(&self) -> bool {
        true
    }

    fn open(self: Arc<Self>, _flags: OpenFlags) -> Result<Arc<dyn FileOperations>, FileError> {
        Ok(self)
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>, FileError> {
        if !self.is_directory {
            return Err(FileError::NotDirectory);
        }
        let number = self.fs.names.find(self.number, name, || self.search(name))?;
        let entry = self.fs.entry(number.ok_or(FileError::NotFound)?)?;
        Ok(self.child(&entry))
    }

    fn parent(&self) -> Option<Arc<dyn Inode>> {
        match &self.parent {
            Some(parent) => Some(Arc::clone(parent) as Arc<dyn Inode>),
            None => self.fs.covered.get()?.parent(),
        }
    }

    fn number_above(&self) -> u64 {
        match &self.parent {
            Some(_) => self.number,
            None => self.fs.covered.get().map_or(self.number, |covered| covered.number_above()),
        }
    }

    fn read_directory(&self, from: u64, visit: &mut dyn FnMut(DirectoryEntry<'_>) -> Visit) -> Result<(), FileError> {
        if !self.is_directory {
            return Err(FileError::NotDirectory);
        }
        let above = self.parent().map_or(self.number, |parent| parent.id().inode);
        let dots: [(u64, u64, &[u8]); 2] = [(0, self.number, b"."), (1, above, b"..")];
        for (cookie, inode, name) in dots.into_iter().filter(|(cookie, ..)| *cookie >= from) {
            let next = cookie.saturating_add(1);
            if visit(DirectoryEntry { inode, kind: FileKind::Directory, name, next }) == Visit::Enough {
                return Ok(());
            }
        }
        self.fs.entries(self.place, from.saturating_sub(DOTS), &mut |entry| {
            let kind = if entry.is_directory { FileKind::Directory } else { FileKind::Regular };
            let next = entry.next.saturating_add(DOTS);
            visit(DirectoryEntry { inode: entry.number, kind, name: &entry.name, next })
        })
    }

    fn file_system(&self) -> FileSystemStatus {
        self.fs.status()
    }
}

impl<C: Cpu> FileOperations for Node<C> {
    fn read(&self, at: u64, _blocking: Blocking, sink: &mut dyn Sink) -> Result<usize, FileError> {
        if self.is_directory {
            return Err(FileError::IsDirectory);
        }
        let left = |at| usize::try_from(u64::from(self.size).saturating_sub(at)).unwrap_or(usize::MAX);
        give(sink, at, &mut [0; CHUNK], |at, wanted| wanted.min(left(at)), |at, bytes| self.read_at(at, bytes))
    }

    fn write(&self, _at: u64, _blocking: Blocking, _source: &mut dyn Source) -> Result<usize, FileError> {
        Err(FileError::ReadOnly)
    }

    fn seeking(&self) -> Seeking {
        if self.is_directory { Seeking::Cookies } else { Seeking::Bytes { end: self.size.into() } }
    }

    fn mapping(self: Arc<Self>) -> Mapping {
        if self.is_directory { Mapping::None } else { Mapping::Pager(self) }
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
        self.size.into()
    }

    fn identity(&self) -> u64 {
        self.object
    }
}
