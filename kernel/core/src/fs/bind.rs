//! Bind mounts: a directory or a file that is seen in a second place (`MS_BIND`).
//!
//! A place in the tree is an inode and nothing else, so what is seen through a bind mount is inodes of its own: a [`View`] is
//! the file behind it, and the mount through which it was found. All that it does the file does; the mount has a say in where
//! it is (`..` of its root), in what is mounted below it, and in what may be done here ([`MountFlags`]). Paths that lead
//! through no bind mount never meet one, and cost what they cost without. (BSD's `nullfs` works the same way.)

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

use super::covered::Covered;
use super::error::FileError;
use super::flags::OpenFlags;
use super::inode::{Changeable, DirectoryEntry, Inode, Link, Making, Renaming, Visit, same_file};
use super::metadata::{FileId, FileKind, FileSystemStatus, Metadata, Protection};
use super::mount::{MountFlags, Mountable};
use super::operations::FileOperations;
use crate::hal::Cpu;
use crate::sync::atomic::{AtomicU32, Ordering};
use crate::sync::{Rank, SpinLock};

/// A file, and the root of what is mounted on it.
type MountedOn = (FileId, Arc<dyn Inode>);

/// What all that is seen through one bind mount has in common.
struct Shared<C: Cpu> {
    /// The directory or the file that is seen.
    top: Arc<dyn Inode>,
    kind: &'static str,
    flags: AtomicU32,
    /// What it covers.
    covered: Covered<C>,
    /// What is mounted below it: on which file, and the root. Few, so they are looked through.
    covers: SpinLock<Vec<MountedOn>, C>,
}

/// A bind mount.
pub struct Bind<C: Cpu> {
    /// Where in its file system what it shows was when it was bound; empty for the root there.
    within: Vec<u8>,
    shared: Arc<Shared<C>>,
    root: Arc<View<C>>,
}

/// A file as it is seen through a bind mount.
struct View<C: Cpu> {
    shared: Arc<Shared<C>>,
    file: Arc<dyn Inode>,
}

impl<C: Cpu> Bind<C> {
    /// One that shows `file`, which is in a file system of this kind.
    #[must_use]
    pub fn new(file: &Arc<dyn Inode>, kind: &'static str) -> Self {
        // What is seen through another one is seen without it.
        let (top, flags) = match View::<C>::of(file) {
            Some(view) => (Arc::clone(&view.file), view.shared.flags()),
            None => (Arc::clone(file), file.mount_flags()),
        };
        let shared = Arc::new(Shared {
            top: Arc::clone(&top),
            kind,
            flags: AtomicU32::new(flags.bits()),
            covered: Covered::nothing(),
            covers: SpinLock::new(Rank::FileObject, Vec::new()),
        });
        Self { within: Vec::new(), root: Arc::new(View { shared: Arc::clone(&shared), file: top }), shared }
    }

    /// The same, of which is told that `within` is what it shows.
    #[must_use]
    pub fn of(self, within: Vec<u8>) -> Self {
        Self { within, ..self }
    }
}

impl<C: Cpu> Shared<C> {
    fn flags(&self) -> MountFlags {
        MountFlags::from_bits_truncate(self.flags.load(Ordering::Relaxed))
    }

    fn cover_of(&self, file: FileId) -> Option<Arc<dyn Inode>> {
        let covers = self.covers.lock();
        covers.iter().find(|(covered, _)| *covered == file).map(|(_, root)| Arc::clone(root))
    }

    fn set_cover(&self, file: FileId, root: Option<Arc<dyn Inode>>) -> Result<(), FileError> {
        let before = {
            let mut covers = self.covers.lock();
            let there = covers.iter().position(|(covered, _)| *covered == file);
            match (root, there) {
                (Some(_), Some(_)) => return Err(FileError::Busy),
                (Some(root), None) => {
                    covers.try_reserve(1).map_err(|_| FileError::OutOfMemory)?;
                    covers.push((file, root));
                    None
                }
                (None, there) => there.map(|index| covers.remove(index)),
            }
        };
        drop(before);
        Ok(())
    }
}

impl<C: Cpu> Mountable for Bind<C> {
    fn within(&self) -> &[u8] {
        if self.within.is_empty() { b"/" } else { &self.within }
    }

    fn is_read_only_everywhere(&self) -> bool {
        self.shared.top.mount_flags().contains(MountFlags::READ_ONLY)
    }

    fn kind(&self) -> &'static str {
        self.shared.kind
    }

    fn root(&self) -> Arc<dyn Inode> {
        Arc::clone(&self.root) as Arc<dyn Inode>
    }

    fn set_covered(&self, covered: Option<&Arc<dyn Inode>>) -> Result<(), FileError> {
        self.shared.covered.set(covered)
    }

    fn flags(&self) -> MountFlags {
        self.root.mount_flags()
    }

    fn set_flags(&self, flags: MountFlags) -> Result<(), FileError> {
        self.shared.flags.store(flags.bits(), Ordering::Relaxed);
        Ok(())
    }

    fn is_used(&self, own: usize) -> Result<bool, FileError> {
        // The mount has it, and its root.
        Ok(Arc::strong_count(&self.shared) > 2 || Arc::strong_count(&self.root) > own)
    }
}

impl<C: Cpu> View<C> {
    /// The view that an inode is, if it is one.
    fn of(inode: &Arc<dyn Inode>) -> Option<Arc<Self>> {
        let any: Arc<dyn Any + Send + Sync> = Arc::clone(inode) as Arc<dyn Any + Send + Sync>;
        any.downcast::<Self>().ok()
    }

    /// Another file, seen through the same mount.
    fn beside(&self, file: Arc<dyn Inode>) -> Arc<dyn Inode> {
        Arc::new(Self { shared: Arc::clone(&self.shared), file })
    }

    /// The file behind an inode that was found through the same mount.
    fn behind(&self, inode: &Arc<dyn Inode>) -> Result<Arc<dyn Inode>, FileError> {
        let view = Self::of(inode).filter(|view| Arc::ptr_eq(&view.shared, &self.shared));
        view.map(|view| Arc::clone(&view.file)).ok_or(FileError::CrossDevice)
    }

    fn is_top(&self) -> bool {
        same_file(&self.file, &self.shared.top)
    }

    fn covered(&self) -> Option<Arc<dyn Inode>> {
        self.shared.covered.get()
    }
}

impl<C: Cpu> Inode for View<C> {
    fn id(&self) -> FileId {
        self.file.id()
    }

    fn mount(&self) -> u64 {
        Arc::as_ptr(&self.shared).addr() as u64
    }

    fn mount_flags(&self) -> MountFlags {
        let file = if self.file.is_read_only() { MountFlags::READ_ONLY } else { MountFlags::empty() };
        self.shared.flags() | file
    }

    fn protection(&self) -> Protection {
        self.file.protection()
    }

    fn metadata(&self) -> Metadata {
        self.file.metadata()
    }

    fn is_read_only(&self) -> bool {
        self.mount_flags().contains(MountFlags::READ_ONLY)
    }

    fn open(self: Arc<Self>, flags: OpenFlags) -> Result<Arc<dyn FileOperations>, FileError> {
        Arc::clone(&self.file).open(flags)
    }

    fn begin_writing(&self) -> Result<(), FileError> {
        self.file.begin_writing()
    }

    fn end_writing(&self) {
        self.file.end_writing();
    }

    fn deny_writing(&self) -> Result<(), FileError> {
        self.file.deny_writing()
    }

    fn allow_writing(&self) {
        self.file.allow_writing();
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>, FileError> {
        let child = self.file.lookup_here(name)?;
        match self.shared.cover_of(child.id()) {
            Some(root) => Ok(super::mount::topmost(root)),
            None => Ok(self.beside(child)),
        }
    }

    fn parent(&self) -> Option<Arc<dyn Inode>> {
        if self.is_top() {
            return self.covered()?.parent();
        }
        // A directory that was moved out of what is seen has nothing above it here.
        let parent = self.file.parent().filter(|parent| parent.id().device == self.file.id().device)?;
        Some(self.beside(parent))
    }

    fn number_above(&self) -> u64 {
        let covered = if self.is_top() { self.covered() } else { None };
        covered.map_or_else(|| self.file.id().inode, |covered| covered.number_above())
    }

    fn cover(&self, root: Option<Arc<dyn Inode>>) -> Result<(), FileError> {
        self.shared.set_cover(self.file.id(), root)
    }

    fn covering(&self) -> Option<Arc<dyn Inode>> {
        self.shared.cover_of(self.file.id())
    }

    fn read_directory(&self, from: u64, visit: &mut dyn FnMut(DirectoryEntry<'_>) -> Visit) -> Result<(), FileError> {
        self.file.read_directory(from, visit)
    }

    fn link(&self) -> Result<Link<'_>, FileError> {
        self.file.link()
    }

    fn make(self: Arc<Self>, name: &[u8], making: &Making<'_>) -> Result<Arc<dyn Inode>, FileError> {
        Ok(self.beside(Arc::clone(&self.file).make(name, making)?))
    }

    fn make_unnamed(&self, making: &Making<'_>, nameable: bool) -> Result<Arc<dyn Inode>, FileError> {
        Ok(self.beside(self.file.make_unnamed(making, nameable)?))
    }

    fn remove(&self, name: &[u8], what: &Arc<dyn Inode>) -> Result<(), FileError> {
        // What is mounted on it stands in its way.
        let what = self.behind(what).map_err(|_| FileError::Busy)?;
        if self.shared.cover_of(what.id()).is_some() {
            return Err(FileError::Busy);
        }
        self.file.remove(name, &what)
    }

    fn add_name(&self, name: &[u8], what: &Arc<dyn Inode>) -> Result<(), FileError> {
        self.file.add_name(name, &self.behind(what)?)
    }

    fn rename(self: Arc<Self>, renaming: &Renaming<'_>) -> Result<(), FileError> {
        let (what, to) = (self.behind(renaming.what).map_err(|_| FileError::Busy)?, self.behind(renaming.to)?);
        let there = renaming.there.map(|there| self.behind(there).map_err(|_| FileError::Busy)).transpose()?;
        Arc::clone(&self.file).rename(&Renaming { what: &what, to: &to, there: there.as_ref(), ..*renaming })
    }

    fn change(&self, change: &mut dyn FnMut(&mut Changeable) -> Result<(), FileError>) -> Result<(), FileError> {
        if self.is_read_only() { Err(FileError::ReadOnly) } else { self.file.change(change) }
    }

    fn note_access(&self) {
        let is_directory = self.file.protection().kind == FileKind::Directory;
        if !self.mount_flags().keep_access_time(is_directory) {
            self.file.note_access();
        }
    }

    fn file_system(&self) -> FileSystemStatus {
        let flags = self.mount_flags();
        FileSystemStatus { flags, read_only: flags.contains(MountFlags::READ_ONLY), ..self.file.file_system() }
    }
}
