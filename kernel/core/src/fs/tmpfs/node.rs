//! A file of any kind: what all have in common, and how the rest of the kernel sees it.

use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use super::Tmpfs;
use super::contents::{ArchivePages, Contents};
use super::directory::Directory;
use crate::addr::PhysFrame;
use crate::fs::error::FileError;
use crate::fs::flags::OpenFlags;
use crate::fs::inode::{Changeable, DirectoryEntry, Inode, Link, Made, Making, Renaming, Visit};
use crate::fs::metadata::{DeviceNumber, FileId, FileKind, FileSystemStatus, Metadata, Protection, Timestamp};
use crate::fs::mount::{MountFlags, topmost};
use crate::fs::operations::{Allocation, Appended, Blocking, Extent, FileOperations, Mapping, Place, Seeking};
use crate::fs::pipe::NamedPipe;
use crate::fs::transfer::{Sink, Source, Writer};
use crate::fs::write_count::WriteCount;
use crate::hal::Cpu;
use crate::paging::FewFrames;
use crate::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use crate::sync::{Rank, SpinLock};
use crate::vm::{FileNumbers, Pager, PagerError};

/// The most names of a file.
const MOST_LINKS: u32 = 1 << 20;
/// As long as a file's access time is not older than a day, and not older than its last change, it stays as it is (`relatime`).
const ACCESS_SECONDS: i64 = 24 * 60 * 60;
/// What a file's memory is counted in: pages.
const BLOCK_BYTES: u32 = 4096;
const SET_UID: u16 = 0o4000;
const SET_GID: u16 = 0o2000;
const GROUP_EXECUTE: u16 = 0o010;

pub(super) struct Node<C: Cpu> {
    pub(super) fs: Arc<Tmpfs<C>>,
    number: u64,
    pub(super) kind: FileKind,
    /// How many names it has; of a directory, with those that it and its directories have for it: 0 once it is removed.
    pub(super) links: AtomicU32,
    /// Whether it may get a name though it has none.
    nameable: AtomicBool,
    /// Of what is no directory: whether something is mounted on it, so that a lookup need not ask.
    is_covered: AtomicBool,
    writes: WriteCount,
    born: Option<Timestamp>,
    attributes: SpinLock<Attributes, C>,
    pub(super) body: Body<C>,
}

/// What makes a file of its kind.
pub(super) enum Body<C: Cpu> {
    Regular(Contents<C>, SpinLock<Weak<SharedView<C>>, C>),
    Directory(Directory<C>),
    Symlink(Target),
    Device(DeviceNumber),
    Fifo(Arc<dyn NamedPipe>),
    Socket,
}

/// Where a symbolic link leads.
pub(super) enum Target {
    Archive(&'static [u8]),
    Own(Box<[u8]>),
}

/// What a file begins with.
#[derive(Clone, Copy)]
pub(super) struct Beginning {
    pub(super) protection: Protection,
    pub(super) links: u32,
    pub(super) time: Timestamp,
    pub(super) born: Option<Timestamp>,
}

#[derive(Clone, Copy)]
struct Attributes {
    permissions: u16,
    uid: u32,
    gid: u32,
    accessed: Timestamp,
    modified: Timestamp,
    changed: Timestamp,
}

/// Which of a file's times are to be now.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Touch {
    /// Something about it changed.
    Changed,
    /// Its contents changed.
    Modified,
}

impl<C: Cpu> Node<C> {
    /// A file that has no name yet.
    pub(super) fn new(
        fs: &Arc<Tmpfs<C>>,
        beginning: &Beginning,
        body: impl FnOnce() -> Body<C>,
    ) -> Result<Arc<Self>, FileError> {
        fs.files.take(1)?;
        if !fs.source().has_room() {
            fs.files.give_back(1);
            return Err(FileError::OutOfMemory);
        }
        Ok(Self::begin(fs, beginning, body()))
    }

    /// A file of the archive: its number is within no limit, and who read the archive has asked for room.
    pub(super) fn adopt(fs: &Arc<Tmpfs<C>>, beginning: &Beginning, body: Body<C>) -> Arc<Self> {
        fs.files.force(1);
        Self::begin(fs, beginning, body)
    }

    fn begin(fs: &Arc<Tmpfs<C>>, beginning: &Beginning, body: Body<C>) -> Arc<Self> {
        let Beginning { protection, links, time, born } = *beginning;
        let Protection { kind, permissions, uid, gid } = protection;
        let attributes = Attributes { permissions, uid, gid, accessed: time, modified: time, changed: time };
        Arc::new(Self {
            fs: Arc::clone(fs),
            number: fs.next_number.fetch_add(1, Ordering::Relaxed),
            kind,
            links: AtomicU32::new(links),
            nameable: AtomicBool::new(false),
            is_covered: AtomicBool::new(false),
            writes: WriteCount::new(),
            born,
            attributes: SpinLock::new(Rank::FileObject, attributes),
            body,
        })
    }

    /// The root directory.
    pub(super) fn new_root(fs: &Arc<Tmpfs<C>>, permissions: u16, uid: u32, gid: u32) -> Result<Arc<Self>, FileError> {
        let protection = Protection { kind: FileKind::Directory, permissions, uid, gid };
        let time = fs.now();
        let beginning = Beginning { protection, links: 2, time, born: Some(time) };
        Self::new(fs, &beginning, || Body::Directory(Directory::new(Weak::new())))
    }

    /// What `making` says, to get a name in `parent`, or nowhere.
    pub(super) fn from_making(
        fs: &Arc<Tmpfs<C>>,
        making: &Making<'_>,
        parent: Option<&Arc<Self>>,
    ) -> Result<Arc<Self>, FileError> {
        let (kind, permissions) = match making.what {
            Made::Regular => (FileKind::Regular, making.permissions),
            Made::Directory => (FileKind::Directory, making.permissions),
            Made::Symlink(_) => (FileKind::Symlink, 0o777),
            Made::Node(kind, _) => (kind, making.permissions),
        };
        let target = match making.what {
            Made::Symlink(target) => Some(Target::copy(target)?),
            _ => None,
        };
        let protection = Protection { kind, permissions, uid: making.uid, gid: making.gid };
        let links = match (kind, parent) {
            (FileKind::Directory, _) => 2,
            (_, Some(_)) => 1,
            (_, None) => 0,
        };
        let time = fs.now();
        let beginning = Beginning { protection, links, time, born: Some(time) };
        Self::new(fs, &beginning, || match (kind, making.what, target) {
            (FileKind::Regular, ..) => Body::regular(Contents::new(fs)),
            (FileKind::Directory, ..) => {
                Body::Directory(Directory::new(parent.map(Arc::downgrade).unwrap_or_default()))
            }
            (_, _, Some(target)) => Body::Symlink(target),
            (FileKind::CharacterDevice | FileKind::BlockDevice, Made::Node(_, device), _) => Body::Device(device),
            (FileKind::Fifo, ..) => Body::Fifo((fs.needs.fifo)((making.uid, making.gid))),
            _ => Body::Socket,
        })
    }

    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    /// Whether it belongs to the same file system.
    pub(super) fn is_beside(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.fs, &other.fs)
    }

    pub(super) fn touch(&self, touch: Touch) {
        let now = self.fs.now();
        let mut attributes = self.attributes.lock();
        attributes.changed = now;
        if touch == Touch::Modified {
            attributes.modified = now;
        }
    }

    /// Notes that `writer` has changed the contents: the times, and the set-id bits, which must not outlive what they were
    /// given to.
    fn note_write(&self, writer: Writer) {
        let now = self.fs.now();
        let mut attributes = self.attributes.lock();
        (attributes.modified, attributes.changed) = (now, now);
        if !writer.keeps_set_id {
            attributes.permissions = without_set_id(attributes.permissions);
        }
    }

    /// Counts one more name.
    pub(super) fn add_link(&self) -> Result<(), FileError> {
        let nameable = self.nameable.load(Ordering::Relaxed);
        let added = self.links.fetch_update(Ordering::AcqRel, Ordering::Acquire, |links| {
            links.checked_add(1).filter(|_| links < MOST_LINKS && (links > 0 || nameable))
        });
        match added {
            Ok(_) => Ok(()),
            Err(0) => Err(FileError::NotFound),
            Err(_) => Err(FileError::TooManyNames),
        }
    }

    /// Counts one name less.
    pub(super) fn drop_link(&self) {
        self.links.fetch_sub(1, Ordering::AcqRel);
    }

    /// What it is as a directory.
    pub(super) const fn directory(&self) -> Result<&Directory<C>, FileError> {
        match &self.body {
            Body::Directory(directory) => Ok(directory),
            _ => Err(FileError::NotDirectory),
        }
    }

    fn contents(&self) -> Result<&Contents<C>, FileError> {
        match &self.body {
            Body::Regular(contents, _) => Ok(contents),
            Body::Directory(_) => Err(FileError::IsDirectory),
            Body::Symlink(_) | Body::Device(_) | Body::Fifo(_) | Body::Socket => Err(FileError::Invalid),
        }
    }

    /// Whether something is mounted on it.
    pub(super) fn is_covered(&self) -> bool {
        match &self.body {
            Body::Directory(directory) => directory.is_covered(),
            _ => self.is_covered.load(Ordering::Acquire),
        }
    }

    /// Where it is in memory: nodes do not move, and kernel addresses are like no other numbers.
    fn place(&self) -> u64 {
        core::ptr::from_ref(self).addr() as u64
    }
}

impl<C: Cpu> Body<C> {
    pub(super) fn regular(contents: Contents<C>) -> Self {
        Self::Regular(contents, SpinLock::new(Rank::FileObject, Weak::new()))
    }
}

impl Target {
    fn copy(target: &[u8]) -> Result<Self, FileError> {
        let mut copy = Vec::new();
        copy.try_reserve_exact(target.len()).map_err(|_| FileError::OutOfMemory)?;
        copy.extend_from_slice(target);
        Ok(Self::Own(copy.into_boxed_slice()))
    }

    pub(super) const fn bytes(&self) -> &[u8] {
        match self {
            Self::Archive(target) => target,
            Self::Own(target) => target,
        }
    }
}

impl<C: Cpu> Inode for Node<C> {
    fn id(&self) -> FileId {
        FileId { device: self.fs.device, inode: self.number }
    }

    fn protection(&self) -> Protection {
        let Attributes { permissions, uid, gid, .. } = *self.attributes.lock();
        Protection { kind: self.kind, permissions, uid, gid }
    }

    fn metadata(&self) -> Metadata {
        let attributes = *self.attributes.lock();
        let Attributes { permissions, uid, gid, accessed, modified, changed } = attributes;
        let (size, pages) = match &self.body {
            Body::Regular(contents, _) => (contents.size(), contents.pages()),
            Body::Directory(directory) => (directory.size(), 0),
            Body::Symlink(target) => (target.bytes().len() as u64, 0),
            Body::Device(_) | Body::Fifo(_) | Body::Socket => (0, 0),
        };
        Metadata {
            id: self.id(),
            protection: Protection { kind: self.kind, permissions, uid, gid },
            links: self.links.load(Ordering::Acquire),
            represents: if let Body::Device(device) = self.body { device } else { DeviceNumber::NONE },
            size,
            block_size: BLOCK_BYTES,
            blocks: pages.saturating_mul(u64::from(BLOCK_BYTES / 512)),
            accessed,
            modified,
            changed,
            born: self.born,
        }
    }

    fn is_read_only(&self) -> bool {
        self.fs.is_read_only()
    }

    fn mount_flags(&self) -> MountFlags {
        self.fs.flags()
    }

    fn begin_writing(&self) -> Result<(), FileError> {
        if !matches!(self.body, Body::Regular(..)) {
            return Ok(());
        }
        self.fs.state.begin_writing(&self.writes)
    }

    fn end_writing(&self) {
        if matches!(self.body, Body::Regular(..)) {
            self.fs.state.end_writing(&self.writes);
        }
    }

    fn deny_writing(&self) -> Result<(), FileError> {
        self.writes.deny_writing()
    }

    fn allow_writing(&self) {
        self.writes.allow_writing();
    }

    fn open(self: Arc<Self>, flags: OpenFlags) -> Result<Arc<dyn FileOperations>, FileError> {
        match &self.body {
            Body::Regular(..) | Body::Directory(_) => Ok(self),
            Body::Symlink(_) => Err(FileError::TooManyLinks),
            Body::Device(device) => self.fs.needs.devices.open(self.kind, *device, flags),
            Body::Fifo(fifo) => fifo.open(flags),
            Body::Socket => Err(FileError::NoDevice),
        }
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>, FileError> {
        let child = self.directory()?.find(name).ok_or(FileError::NotFound)?;
        match child.covering() {
            Some(root) => Ok(topmost(root)),
            None => Ok(child),
        }
    }

    fn lookup_here(&self, name: &[u8]) -> Result<Arc<dyn Inode>, FileError> {
        let child = self.directory()?.find(name).ok_or(FileError::NotFound)?;
        Ok(child)
    }

    #[inline]
    fn covering(&self) -> Option<Arc<dyn Inode>> {
        match &self.body {
            Body::Directory(directory) => directory.cover(),
            _ if self.is_covered.load(Ordering::Acquire) => self.fs.file_cover(self.number),
            _ => None,
        }
    }

    fn parent(&self) -> Option<Arc<dyn Inode>> {
        let directory = self.directory().ok()?;
        match directory.parent() {
            Some(parent) => Some(parent),
            None if directory.is_removed() => None,
            None => self.fs.covered.get()?.parent(),
        }
    }

    fn number_above(&self) -> u64 {
        let is_root = self.directory().is_ok_and(|directory| directory.parent().is_none() && !directory.is_removed());
        let covered = if is_root { self.fs.covered.get() } else { None };
        covered.map_or(self.number, |covered| covered.number_above())
    }

    fn cover(&self, root: Option<Arc<dyn Inode>>) -> Result<(), FileError> {
        match &self.body {
            Body::Directory(directory) => directory.set_cover(root),
            _ => self.fs.set_file_cover(self.number, &self.is_covered, root),
        }
    }

    fn read_directory(&self, from: u64, visit: &mut dyn FnMut(DirectoryEntry<'_>) -> Visit) -> Result<(), FileError> {
        self.show_directory(from, visit)
    }

    fn link(&self) -> Result<Link<'_>, FileError> {
        match &self.body {
            Body::Symlink(target) => Ok(Link::Path(target.bytes())),
            _ => Err(FileError::Invalid),
        }
    }

    fn make(self: Arc<Self>, name: &[u8], making: &Making<'_>) -> Result<Arc<dyn Inode>, FileError> {
        let made: Arc<dyn Inode> = self.make_in(name, making)?;
        Ok(made)
    }

    fn make_unnamed(&self, making: &Making<'_>, nameable: bool) -> Result<Arc<dyn Inode>, FileError> {
        self.fs.check_writable()?;
        let made = Self::from_making(&self.fs, making, None)?;
        made.nameable.store(nameable, Ordering::Relaxed);
        Ok(made)
    }

    fn remove(&self, name: &[u8], what: &Arc<dyn Inode>) -> Result<(), FileError> {
        self.remove_name(name, what)
    }

    fn add_name(&self, name: &[u8], what: &Arc<dyn Inode>) -> Result<(), FileError> {
        self.link_name(name, what)
    }

    fn rename(self: Arc<Self>, renaming: &Renaming<'_>) -> Result<(), FileError> {
        self.rename_from(renaming)
    }

    fn change(&self, change: &mut dyn FnMut(&mut Changeable) -> Result<(), FileError>) -> Result<(), FileError> {
        self.fs.check_writable()?;
        let now = self.fs.now();
        let mut attributes = self.attributes.lock();
        let Attributes { permissions, uid, gid, accessed, modified, .. } = *attributes;
        let protection = Protection { kind: self.kind, permissions, uid, gid };
        let mut changeable = Changeable { protection, accessed, modified, now };
        change(&mut changeable)?;
        let Changeable { protection, accessed, modified, .. } = changeable;
        let Protection { permissions, uid, gid, .. } = protection;
        *attributes = Attributes { permissions, uid, gid, accessed, modified, changed: now };
        Ok(())
    }

    fn note_access(&self) {
        if self.fs.flags().keep_access_time(self.kind == FileKind::Directory) {
            return;
        }
        let now = self.fs.now();
        let mut attributes = self.attributes.lock();
        let Attributes { accessed, modified, changed, .. } = *attributes;
        let is_old = now.seconds.saturating_sub(accessed.seconds) >= ACCESS_SECONDS;
        if is_old || accessed <= modified || accessed <= changed {
            attributes.accessed = now;
        }
    }

    fn file_system(&self) -> FileSystemStatus {
        self.fs.status()
    }
}

impl<C: Cpu> FileOperations for Node<C> {
    fn read(&self, at: u64, _blocking: Blocking, sink: &mut dyn Sink) -> Result<usize, FileError> {
        self.contents()?.read(&self.fs, at, sink)
    }

    fn write(&self, at: u64, _blocking: Blocking, source: &mut dyn Source) -> Result<usize, FileError> {
        let contents = self.contents()?;
        let _alone = contents.lock();
        let count = contents.write(&self.fs, at, source)?;
        if count > 0 {
            self.note_write(source.writer());
        }
        Ok(count)
    }

    fn append(&self, _blocking: Blocking, source: &mut dyn Source) -> Result<Appended, FileError> {
        let contents = self.contents()?;
        let _alone = contents.lock();
        let at = contents.size();
        let bytes = contents.write(&self.fs, at, source)?;
        if bytes > 0 {
            self.note_write(source.writer());
        }
        Ok(Appended { at, bytes })
    }

    fn seeking(&self) -> Seeking {
        match &self.body {
            Body::Regular(contents, _) => Seeking::Bytes { end: contents.size() },
            _ => Seeking::Cookies,
        }
    }

    fn mapping(self: Arc<Self>) -> Mapping {
        match &self.body {
            Body::Regular(contents, _) => {
                contents.note_mapping();
                Mapping::Pager(self)
            }
            _ => Mapping::None,
        }
    }

    fn shared_mapping(self: Arc<Self>) -> Mapping {
        let Body::Regular(contents, view) = &self.body else { return Mapping::None };
        contents.note_mapping();
        let known = view.lock().upgrade();
        if let Some(known) = known {
            return Mapping::Pager(known);
        }
        let fresh = Arc::new(SharedView { node: Arc::clone(&self) });
        // Mappings of one view that are beside each other are one area; of two they are two, and no harm done.
        let before = core::mem::replace(&mut *view.lock(), Arc::downgrade(&fresh));
        drop(before);
        Mapping::Pager(fresh)
    }

    fn resize(&self, bytes: u64, writer: Writer) -> Result<(), FileError> {
        self.fs.check_writable()?;
        let Body::Regular(contents, _) = &self.body else { return Err(FileError::Invalid) };
        let _alone = contents.lock();
        contents.resize(&self.fs, bytes, writer, self.place())?;
        self.note_write(writer);
        Ok(())
    }

    fn allocate(&self, how: Allocation, place: Place, writer: Writer) -> Result<(), FileError> {
        self.fs.check_writable()?;
        let Body::Regular(contents, _) = &self.body else { return Err(FileError::NotMappable) };
        let _alone = contents.lock();
        contents.allocate(&self.fs, how, place, writer, self.place())?;
        self.note_write(writer);
        Ok(())
    }

    fn find(&self, at: u64, end: u64, what: Extent) -> Option<u64> {
        match &self.body {
            Body::Regular(contents, _) => contents.find(at, end, what),
            _ => None,
        }
    }

    fn sync(&self) -> Result<(), FileError> {
        Ok(())
    }
}

/// A file as memory that keeps its stores to itself.
impl<C: Cpu> Pager for Node<C> {
    fn page(&self, index: u64) -> Result<PhysFrame, PagerError> {
        self.contents().map_err(|_| PagerError::Io)?.private_page(&self.fs, index)
    }

    fn ready(&self, first: u64, wanted: u16, frames: &mut FewFrames) -> u16 {
        let ready =
            |contents: &Contents<C>| contents.ready(self.fs.source(), first, wanted, frames, ArchivePages::Ready);
        self.contents().map_or(0, ready)
    }

    fn bytes(&self) -> u64 {
        self.contents().map_or(0, Contents::size)
    }

    fn identity(&self) -> u64 {
        self.place()
    }

    fn file(&self) -> Option<FileNumbers> {
        let FileId { device, inode } = self.id();
        Some(FileNumbers { device: (device.major, device.minor), inode })
    }
}

/// A file as memory that is shared: its pages are its own, never the archive's.
pub(super) struct SharedView<C: Cpu> {
    node: Arc<Node<C>>,
}

impl<C: Cpu> Pager for SharedView<C> {
    fn page(&self, index: u64) -> Result<PhysFrame, PagerError> {
        self.node.contents().map_err(|_| PagerError::Io)?.shared_page(&self.node.fs, index)
    }

    fn ready(&self, first: u64, wanted: u16, frames: &mut FewFrames) -> u16 {
        let source = self.node.fs.source();
        let ready = |contents: &Contents<C>| contents.ready(source, first, wanted, frames, ArchivePages::Kept);
        self.node.contents().map_or(0, ready)
    }

    fn bytes(&self) -> u64 {
        self.node.bytes()
    }

    fn identity(&self) -> u64 {
        self.node.place()
    }

    fn file(&self) -> Option<FileNumbers> {
        self.node.file()
    }
}

impl<C: Cpu> Drop for Node<C> {
    fn drop(&mut self) {
        match &mut self.body {
            Body::Regular(contents, _) => contents.destroy(&self.fs),
            Body::Directory(directory) => directory.destroy(),
            Body::Symlink(_) | Body::Device(_) | Body::Fifo(_) | Body::Socket => {}
        }
        self.fs.files.give_back(1);
    }
}

/// Permissions of a file that somebody changed who does not keep set-id bits. Without permission to execute, the group's bit
/// means something else, and stays (`should_remove_suid`).
pub(in crate::fs) const fn without_set_id(permissions: u16) -> u16 {
    let permissions = permissions & !SET_UID;
    if permissions & GROUP_EXECUTE != 0 { permissions & !SET_GID } else { permissions }
}
