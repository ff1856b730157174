//! The inode of files that have no name and no place: event counters, timers, sets of watched files.

use alloc::sync::Arc;

use super::error::FileError;
use super::flags::OpenFlags;
use super::inode::Inode;
use super::metadata::{DeviceNumber, FileId, FileKind, Metadata, Protection, Timestamp};
use super::operations::FileOperations;

/// The file system that they are in, if they are in one.
const DEVICE: DeviceNumber = DeviceNumber::new(0, 14);

/// Such an inode. It says nothing of the file but what it is, and when it was made.
pub struct Nameless {
    what: &'static str,
    made: Timestamp,
}

impl Nameless {
    /// Of a file that is made now. `what` is what a link to it in `/proc` says behind `anon_inode:`.
    #[must_use]
    pub fn new(what: &'static str, made: Timestamp) -> Arc<Self> {
        Arc::new(Self { what, made })
    }

    /// What the file is.
    #[must_use]
    pub const fn what(&self) -> &'static str {
        self.what
    }
}

impl Inode for Nameless {
    fn id(&self) -> FileId {
        FileId { device: DEVICE, inode: 1 }
    }

    fn protection(&self) -> Protection {
        Protection { kind: FileKind::Nameless, permissions: 0o600, uid: 0, gid: 0 }
    }

    fn metadata(&self) -> Metadata {
        Metadata::without_contents(self.id(), self.protection(), self.made)
    }

    fn is_read_only(&self) -> bool {
        false
    }

    fn open(self: Arc<Self>, _flags: OpenFlags) -> Result<Arc<dyn FileOperations>, FileError> {
        Err(FileError::NoDevice)
    }
}
