//! Where a process stands in the tree of files.

use alloc::sync::Arc;

use super::access::{AccessId, Wanted};
use super::error::FileError;
use super::inode::Inode;
use super::metadata::FileKind;
use super::offset::Parking;

/// A process's root and working directory and its file mode mask. Fork copies it; threads share it behind a lock that
/// the process brings. Walks may sleep, so they work on a copy made under that lock.
#[derive(Clone)]
pub struct Context {
    root: Arc<dyn Inode>,
    directory: Arc<dyn Inode>,
    umask: u16,
    parking: &'static dyn Parking,
}

impl Context {
    /// Of the first process: at `root`, with the mask 022. Files that are opened through it, and through its copies, let
    /// their users wait for each other in `parking`.
    #[must_use]
    pub fn new(root: Arc<dyn Inode>, parking: &'static dyn Parking) -> Self {
        let directory = Arc::clone(&root);
        Self { root, directory, umask: 0o022, parking }
    }

    /// Where `/` is.
    #[must_use]
    pub const fn root(&self) -> &Arc<dyn Inode> {
        &self.root
    }

    /// Where relative paths begin.
    #[must_use]
    pub const fn directory(&self) -> &Arc<dyn Inode> {
        &self.directory
    }

    /// The permissions that new files do not get.
    #[must_use]
    pub const fn umask(&self) -> u16 {
        self.umask
    }

    /// Where threads wait for each other.
    #[must_use]
    pub(super) const fn parking(&self) -> &'static dyn Parking {
        self.parking
    }

    /// chroot(2). Returns the old root, to be dropped without a lock. [`check_directory`] comes before.
    #[must_use = "the last reference to a directory is dropped without a lock"]
    pub fn set_root(&mut self, root: Arc<dyn Inode>) -> Arc<dyn Inode> {
        core::mem::replace(&mut self.root, root)
    }

    /// chdir(2). Returns the old directory, to be dropped without a lock. [`check_directory`] comes before.
    #[must_use = "the last reference to a directory is dropped without a lock"]
    pub fn set_directory(&mut self, directory: Arc<dyn Inode>) -> Arc<dyn Inode> {
        core::mem::replace(&mut self.directory, directory)
    }

    /// umask(2): takes the permission bits of `mask` and returns the old ones.
    pub const fn set_umask(&mut self, mask: u32) -> u16 {
        let mask = (mask & 0o777) as u16;
        core::mem::replace(&mut self.umask, mask)
    }
}

/// Checks that somebody may work in `inode`: that it is a directory, and may be searched.
///
/// # Errors
///
/// [`NotDirectory`](FileError::NotDirectory), [`Denied`](FileError::Denied)
pub fn check_directory(inode: &dyn Inode, id: AccessId<'_>) -> Result<(), FileError> {
    if inode.protection().kind != FileKind::Directory {
        return Err(FileError::NotDirectory);
    }
    id.check(inode, Wanted::EXECUTE)
}
