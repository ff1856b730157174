//! What a file system gives to the walk over its names.

use alloc::sync::Arc;

use super::error::FileError;
use super::flags::OpenFlags;
use super::metadata::{DeviceNumber, FileId, FileKind, Metadata, Protection};
use super::operations::FileOperations;

/// A file of any kind, in the file system that it belongs to. Names, directories and metadata are the inode's business;
/// the bytes are that of the [`FileOperations`] that [`open`](Self::open) returns.
///
/// A file system implements what its kinds of files can do: what it leaves out fails as it does for a kind of file that
/// cannot do it. `.` and `..` never reach [`lookup`](Self::lookup): the walk knows them.
pub trait Inode: Send + Sync {
    /// What tells this file from all others.
    fn id(&self) -> FileId;

    /// Who may do what. Asked at each step of a walk, so it should cost nothing.
    fn protection(&self) -> Protection;

    /// All that stat(2) tells.
    fn metadata(&self) -> Metadata;

    /// Whether its file system cannot be changed.
    fn is_read_only(&self) -> bool;

    /// What reads and writes the file; permissions have been checked.
    ///
    /// # Errors
    ///
    /// [`NoDevice`](FileError::NoDevice) where there is nothing behind a device node, and what a driver says.
    fn open(self: Arc<Self>, flags: OpenFlags) -> Result<Arc<dyn FileOperations>, FileError>;

    /// Of a directory: what `name` stands for.
    ///
    /// # Errors
    ///
    /// [`NotFound`](FileError::NotFound), [`NotDirectory`](FileError::NotDirectory)
    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>, FileError> {
        let _ = name;
        Err(FileError::NotDirectory)
    }

    /// Of a directory: the one above it. `None` for the root of a file system that is mounted nowhere, and for a directory
    /// that was removed.
    fn parent(&self) -> Option<Arc<dyn Inode>> {
        None
    }

    /// Of a directory: the number by which the directory above knows it. For the root of a file system that is mounted
    /// somewhere it is that of the directory that it covers, for all others their own.
    fn number_above(&self) -> u64 {
        self.id().inode
    }

    /// Of a directory: shows its entries, `.` and `..` among them, from the cookie `from` on, until `visit` has enough.
    /// The first cookie is 0; the others are those that entries carry.
    ///
    /// # Errors
    ///
    /// [`NotDirectory`](FileError::NotDirectory)
    fn read_directory(&self, from: u64, visit: &mut dyn FnMut(DirectoryEntry<'_>) -> Visit) -> Result<(), FileError> {
        let _ = (from, visit);
        Err(FileError::NotDirectory)
    }

    /// Of a symbolic link: where it leads.
    ///
    /// # Errors
    ///
    /// [`Invalid`](FileError::Invalid) where this is none.
    fn link(&self) -> Result<Link<'_>, FileError> {
        Err(FileError::Invalid)
    }

    /// Of a directory: makes a file of the name `name`, which is not taken. Permissions have been checked.
    ///
    /// # Errors
    ///
    /// [`ReadOnly`](FileError::ReadOnly), and what the file system says.
    fn make(&self, name: &[u8], making: &Making<'_>) -> Result<Arc<dyn Inode>, FileError> {
        let _ = (name, making);
        Err(FileError::ReadOnly)
    }

    /// Of a directory: takes the name `name` away from `what` it stands for. Permissions have been checked.
    ///
    /// # Errors
    ///
    /// [`ReadOnly`](FileError::ReadOnly), and what the file system says.
    fn remove(&self, name: &[u8], what: &Arc<dyn Inode>) -> Result<(), FileError> {
        let _ = (name, what);
        Err(FileError::ReadOnly)
    }
}

/// Where a symbolic link leads.
pub enum Link<'a> {
    /// To what this path names, as seen from the directory where the link stands.
    Path(&'a [u8]),
    /// To this very file: links that the kernel makes up need no path.
    File(Arc<dyn Inode>),
}

/// A name in a directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DirectoryEntry<'a> {
    /// The number of the file.
    pub inode: u64,
    /// What kind of file it is.
    pub kind: FileKind,
    /// The name.
    pub name: &'a [u8],
    /// The cookie of what follows.
    pub next: u64,
}

/// Whether the reader of a directory wants more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Visit {
    /// It took the entry and wants the next.
    More,
    /// It did not take the entry, or wants no other.
    Enough,
}

/// A file to be made.
#[derive(Clone, Copy, Debug)]
pub struct Making<'a> {
    /// What it shall be.
    pub what: Made<'a>,
    /// Its permissions, after the umask.
    pub permissions: u16,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
}

/// What kind of file is to be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Made<'a> {
    /// An empty file.
    Regular,
    /// An empty directory.
    Directory,
    /// A symbolic link to this path.
    Symlink(&'a [u8]),
    /// A node of this kind, for this device if it is one.
    Node(FileKind, DeviceNumber),
}

/// Whether two names led to the same file. File systems that make up their inodes as they are asked for may have several
/// for one file.
#[must_use]
pub fn same_file(one: &Arc<dyn Inode>, other: &Arc<dyn Inode>) -> bool {
    core::ptr::addr_eq(Arc::as_ptr(one), Arc::as_ptr(other)) || one.id() == other.id()
}
