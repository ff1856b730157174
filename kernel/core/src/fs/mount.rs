//! Mounts: which file system covers which directory.
//!
//! A directory that is covered knows the root that covers it, and each walk goes on there; the root's file system knows the
//! directory, and so what is above. This list knows both, for those who mount and unmount. Whoever is in a file system that
//! is unmounted stays there: it goes with its last user.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::error::FileError;
use super::inode::{Inode, same_file};
use super::metadata::FileKind;
use super::tmpfs::Tmpfs;
use crate::hal::Cpu;
use crate::sync::{Rank, SpinLock};

/// All mounts. The kernel has one list, in a static.
pub struct Mounts<C: Cpu> {
    list: SpinLock<Vec<Mount<C>>, C>,
}

struct Mount<C: Cpu> {
    fs: Arc<Tmpfs<C>>,
    root: Arc<dyn Inode>,
    /// What it covers; nothing for the first.
    at: Option<Arc<dyn Inode>>,
}

impl<C: Cpu> Mounts<C> {
    /// None yet.
    #[cfg(not(loom))]
    #[must_use]
    pub const fn new() -> Self {
        Self { list: SpinLock::new(Rank::FileObject, Vec::new()) }
    }

    /// None yet.
    #[cfg(loom)]
    #[must_use]
    pub fn new() -> Self {
        Self { list: SpinLock::new(Rank::FileObject, Vec::new()) }
    }

    /// Takes note of the file system that covers nothing: the first.
    pub fn begin(&self, fs: &Arc<Tmpfs<C>>, root: &Arc<dyn Inode>) {
        self.list.lock().push(Mount { fs: Arc::clone(fs), root: Arc::clone(root), at: None });
    }

    /// The first file system.
    #[must_use]
    pub fn first(&self) -> Option<Arc<Tmpfs<C>>> {
        self.list.lock().first().map(|mount| Arc::clone(&mount.fs))
    }

    /// The file system whose root this is.
    #[must_use]
    pub fn find(&self, root: &Arc<dyn Inode>) -> Option<Arc<Tmpfs<C>>> {
        let id = root.id();
        self.list.lock().iter().find(|mount| mount.root.id() == id).map(|mount| Arc::clone(&mount.fs))
    }

    /// Covers the directory `at` with `root`, that of `fs`, which is mounted nowhere.
    ///
    /// # Errors
    ///
    /// [`NotDirectory`](FileError::NotDirectory), [`NotFound`](FileError::NotFound) for a directory that was removed,
    /// [`Busy`](FileError::Busy) for one that is covered, [`OutOfMemory`](FileError::OutOfMemory).
    pub fn mount(&self, fs: &Arc<Tmpfs<C>>, root: &Arc<dyn Inode>, at: &Arc<dyn Inode>) -> Result<(), FileError> {
        if at.protection().kind != FileKind::Directory {
            return Err(FileError::NotDirectory);
        }
        fs.set_covered(Some(Arc::clone(at)));
        let covered = at.cover(Some(Arc::clone(root))).and_then(|()| {
            let mut list = self.list.lock();
            list.try_reserve(1).map_err(|_| FileError::OutOfMemory)?;
            list.push(Mount { fs: Arc::clone(fs), root: Arc::clone(root), at: Some(Arc::clone(at)) });
            Ok(())
        });
        if covered.is_err() {
            fs.set_covered(None);
        }
        covered
    }

    /// Uncovers what the file system covers whose root this is.
    ///
    /// # Errors
    ///
    /// [`Invalid`](FileError::Invalid) where it is none, [`Busy`](FileError::Busy) for the first one, and where another is
    /// mounted in it.
    pub fn unmount(&self, root: &Arc<dyn Inode>) -> Result<(), FileError> {
        let device = root.id().device;
        let mount = {
            let mut list = self.list.lock();
            let place = list.iter().position(|mount| same_file(&mount.root, root)).ok_or(FileError::Invalid)?;
            let holds = |mount: &Mount<C>| mount.at.as_ref().is_some_and(|at| at.id().device == device);
            if place == 0 || list.iter().any(holds) {
                return Err(FileError::Busy);
            }
            list.remove(place)
        };
        if let Some(at) = &mount.at {
            at.cover(None)?;
        }
        mount.fs.set_covered(None);
        Ok(())
    }
}

impl<C: Cpu> Default for Mounts<C> {
    fn default() -> Self {
        Self::new()
    }
}
