//! What a file system gives to the walk over its names.

use alloc::sync::Arc;
use core::any::Any;

use super::error::FileError;
use super::flags::OpenFlags;
use super::metadata::{DeviceNumber, FileId, FileKind, FileSystemStatus, Metadata, Protection, Timestamp};
use super::mount::MountFlags;
use super::operations::FileOperations;

/// A file of any kind, in the file system that it belongs to. Names, directories and metadata are the inode's business;
/// the bytes are that of the [`FileOperations`] that [`open`](Self::open) returns.
///
/// A file system implements what its kinds of files can do: what it leaves out fails as it does for a kind of file that
/// cannot do it. `.` and `..` never reach [`lookup`](Self::lookup): the walk knows them.
pub trait Inode: Any + Send + Sync {
    /// What tells this file from all others.
    fn id(&self) -> FileId;

    /// Who may do what. Asked at each step of a walk, so it should cost nothing.
    fn protection(&self) -> Protection;

    /// All that stat(2) tells.
    fn metadata(&self) -> Metadata;

    /// Whether its file system cannot be changed.
    fn is_read_only(&self) -> bool;

    /// Which bind mount it was found through; 0 for none, as `mount` of what a file system makes always is.
    fn mount(&self) -> u64 {
        0
    }

    /// What may be done where it was found.
    fn mount_flags(&self) -> MountFlags {
        MountFlags::empty()
    }

    /// Somebody opens it for writing; [`end_writing`](Self::end_writing) follows.
    ///
    /// # Errors
    ///
    /// [`Executed`](FileError::Executed) while it is executed, [`ReadOnly`](FileError::ReadOnly).
    fn begin_writing(&self) -> Result<(), FileError> {
        Ok(())
    }

    /// One who had it open for writing has closed it.
    fn end_writing(&self) {}

    /// Somebody executes it; [`allow_writing`](Self::allow_writing) follows.
    ///
    /// # Errors
    ///
    /// [`Executed`](FileError::Executed) while it is open for writing.
    fn deny_writing(&self) -> Result<(), FileError> {
        Ok(())
    }

    /// One who executed it is done.
    fn allow_writing(&self) {}

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

    /// As [`lookup`](Self::lookup), whatever is mounted there: for a bind mount, which has mounts of its own.
    ///
    /// # Errors
    ///
    /// As those of `lookup`.
    fn lookup_here(&self, name: &[u8]) -> Result<Arc<dyn Inode>, FileError> {
        self.lookup(name)
    }

    /// The root of what is mounted on it.
    fn covering(&self) -> Option<Arc<dyn Inode>> {
        None
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

    /// From now on whoever comes from above finds `root`, the root of another file system, in its place;
    /// or itself again.
    ///
    /// # Errors
    ///
    /// [`NotDirectory`](FileError::NotDirectory), [`Busy`](FileError::Busy) where there is a cover already,
    /// [`Invalid`](FileError::Invalid) for a directory that cannot be covered.
    fn cover(&self, root: Option<Arc<dyn Inode>>) -> Result<(), FileError> {
        let _ = root;
        Err(FileError::Invalid)
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
    /// [`ReadOnly`](FileError::ReadOnly), [`Exists`](FileError::Exists) where somebody else was first,
    /// [`NotFound`](FileError::NotFound) in a directory that was removed, and what the file system says.
    fn make(self: Arc<Self>, name: &[u8], making: &Making<'_>) -> Result<Arc<dyn Inode>, FileError> {
        let _ = (name, making);
        Err(FileError::ReadOnly)
    }

    /// Of a directory: makes a regular file in its file system that has no name, and may get one (`O_TMPFILE`) if
    /// `nameable`. Permissions have been checked.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](FileError::Unsupported), and what the file system says.
    fn make_unnamed(&self, making: &Making<'_>, nameable: bool) -> Result<Arc<dyn Inode>, FileError> {
        let _ = (making, nameable);
        Err(FileError::Unsupported)
    }

    /// Of a directory: takes the name `name` away from `what` it stands for. Permissions have been checked.
    ///
    /// # Errors
    ///
    /// [`ReadOnly`](FileError::ReadOnly), [`NotEmpty`](FileError::NotEmpty), [`Busy`](FileError::Busy),
    /// [`Stale`](FileError::Stale) where the name stands for something else by now, and what the file system says.
    fn remove(&self, name: &[u8], what: &Arc<dyn Inode>) -> Result<(), FileError> {
        let _ = (name, what);
        Err(FileError::ReadOnly)
    }

    /// Of a directory: gives `what`, which is no directory, the further name `name`. Permissions have been checked.
    ///
    /// # Errors
    ///
    /// [`ReadOnly`](FileError::ReadOnly), [`CrossDevice`](FileError::CrossDevice),
    /// [`TooManyNames`](FileError::TooManyNames), [`NotFound`](FileError::NotFound) for a file that has none any more, and
    /// those of [`make`](Self::make).
    fn add_name(&self, name: &[u8], what: &Arc<dyn Inode>) -> Result<(), FileError> {
        let _ = (name, what);
        Err(FileError::ReadOnly)
    }

    /// Of a directory: gives what is under one of its names another, here or in another directory. Permissions have been
    /// checked, and that kinds agree.
    ///
    /// # Errors
    ///
    /// [`ReadOnly`](FileError::ReadOnly), [`CrossDevice`](FileError::CrossDevice), [`NotEmpty`](FileError::NotEmpty),
    /// [`Busy`](FileError::Busy), [`Invalid`](FileError::Invalid) where a directory would come into itself,
    /// [`Stale`](FileError::Stale) where one of the names stands for something else by now.
    fn rename(self: Arc<Self>, renaming: &Renaming<'_>) -> Result<(), FileError> {
        let _ = renaming;
        Err(FileError::ReadOnly)
    }

    /// Lets `change` look at permissions, owner and times and change them, with nobody else between. It does not sleep. If it
    /// has no error, the time of the last change is now.
    ///
    /// # Errors
    ///
    /// [`ReadOnly`](FileError::ReadOnly), and those of `change`.
    fn change(&self, change: &mut dyn FnMut(&mut Changeable) -> Result<(), FileError>) -> Result<(), FileError> {
        let _ = change;
        Err(FileError::ReadOnly)
    }

    /// Somebody has read it: its access time is now, as far as the file system keeps that.
    fn note_access(&self) {}

    /// All that statfs(2) tells about its file system.
    fn file_system(&self) -> FileSystemStatus {
        FileSystemStatus::default()
    }
}

/// What of a file changes while its contents stay.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Changeable {
    /// Kind, permissions and owner. The kind does not change.
    pub protection: Protection,
    /// When it was last read.
    pub accessed: Timestamp,
    /// When its contents last changed.
    pub modified: Timestamp,
    /// Now.
    pub now: Timestamp,
}

/// A file on its way from one name to another.
#[derive(Clone, Copy)]
pub struct Renaming<'a> {
    /// The name that it has.
    pub name: &'a [u8],
    /// The file.
    pub what: &'a Arc<dyn Inode>,
    /// The directory of the name that it will have.
    pub to: &'a Arc<dyn Inode>,
    /// That name.
    pub new_name: &'a [u8],
    /// What has that name now.
    pub there: Option<&'a Arc<dyn Inode>>,
    /// What becomes of it.
    pub fate: Fate,
}

/// What becomes of the file that has the name which another one gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It loses it.
    Replaced,
    /// It gets the other's name.
    Exchanged,
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

/// Whether two are the same file in the same place: what is mounted twice is seen in two.
#[must_use]
pub fn same_place(one: &Arc<dyn Inode>, other: &Arc<dyn Inode>) -> bool {
    core::ptr::addr_eq(Arc::as_ptr(one), Arc::as_ptr(other)) || one.id() == other.id() && one.mount() == other.mount()
}
