//! Who may do what.

use bitflags::bitflags;

use super::error::FileError;
use super::inode::Inode;
use super::metadata::{FileKind, Protection};

/// In whose name a file is looked for and opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AccessId<'a> {
    /// The user: the file-system uid, or the real one for `access`.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// Further groups.
    pub groups: &'a [u32],
}

impl AccessId<'static> {
    /// The kernel itself, and root.
    pub const ROOT: Self = Self { uid: 0, gid: 0, groups: &[] };
}

bitflags! {
    /// What somebody wants to do with a file; the numbers are those of the mode bits and of `access(2)`.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Wanted: u16 {
        /// To execute it; to search a directory.
        const EXECUTE = 1;
        /// To write it.
        const WRITE = 2;
        /// To read it.
        const READ = 4;
    }
}

impl AccessId<'_> {
    /// Whether the file is this user's, or the user is root.
    #[must_use]
    pub const fn owns(&self, protection: Protection) -> bool {
        self.uid == 0 || self.uid == protection.uid
    }

    /// Whether the user is of this group.
    #[must_use]
    pub fn is_of(&self, gid: u32) -> bool {
        self.gid == gid || self.groups.contains(&gid)
    }

    /// Whether a file of this protection may be used so. Root may all, but execute only what somebody may execute.
    #[must_use]
    pub fn may(&self, protection: Protection, wanted: Wanted) -> bool {
        let permissions = protection.permissions;
        if self.uid == 0 {
            let executable = protection.kind == FileKind::Directory || permissions & 0o111 != 0;
            return executable || !wanted.contains(Wanted::EXECUTE);
        }
        let granted = if self.uid == protection.uid {
            permissions >> 6
        } else if self.is_of(protection.gid) {
            permissions >> 3
        } else {
            permissions
        };
        Wanted::from_bits_truncate(granted).contains(wanted)
    }

    /// Checks that `inode` may be used so: a file system that cannot be changed is asked before the permissions are.
    /// Devices can be written to wherever their nodes are.
    ///
    /// # Errors
    ///
    /// [`ReadOnly`](FileError::ReadOnly), [`Denied`](FileError::Denied)
    pub fn check(&self, inode: &dyn Inode, wanted: Wanted) -> Result<(), FileError> {
        let protection = inode.protection();
        if wanted.contains(Wanted::WRITE)
            && matches!(protection.kind, FileKind::Regular | FileKind::Directory | FileKind::Symlink)
            && inode.is_read_only()
        {
            return Err(FileError::ReadOnly);
        }
        if self.may(protection, wanted) { Ok(()) } else { Err(FileError::Denied) }
    }

    /// Checks that a directory may be searched.
    pub(super) fn check_search(&self, directory: &dyn Inode) -> Result<(), FileError> {
        self.check_search_of(directory.protection())
    }

    /// Checks that a directory of this protection may be searched.
    #[inline]
    pub(super) fn check_search_of(&self, protection: Protection) -> Result<(), FileError> {
        if self.uid == 0 || self.may(protection, Wanted::EXECUTE) { Ok(()) } else { Err(FileError::Denied) }
    }
}
