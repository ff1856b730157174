//! Permissions, owners and times of files: chmod(2), chown(2), utimensat(2).

use super::access::{AccessId, Wanted};
use super::error::FileError;
use super::inode::{Changeable, Inode};
use super::metadata::{FileKind, Timestamp};
use super::tmpfs::without_set_id;

const SET_GID: u16 = 0o2000;

/// fchmodat(2): gives `inode` the permission bits of `mode`. The set-gid bit is only for members of the file's group.
///
/// # Errors
///
/// [`NotPermitted`](FileError::NotPermitted) for anybody but the owner and root, [`ReadOnly`](FileError::ReadOnly),
/// [`Unsupported`](FileError::Unsupported) for symbolic links, which have none that count.
pub fn set_permissions(inode: &dyn Inode, mode: u32, id: AccessId<'_>) -> Result<(), FileError> {
    let permissions = (mode & 0o7777) as u16;
    inode.change(&mut |file| {
        if !id.owns(file.protection) {
            return Err(FileError::NotPermitted);
        }
        if file.protection.kind == FileKind::Symlink {
            return Err(FileError::Unsupported);
        }
        let of_group = id.uid == 0 || id.is_of(file.protection.gid);
        file.protection.permissions = if of_group { permissions } else { permissions & !SET_GID };
        Ok(())
    })
}

/// fchownat(2): gives `inode` another owner, another group, or both. What is executed with the owner's rights is not any more.
///
/// # Errors
///
/// [`NotPermitted`](FileError::NotPermitted): only root gives files away; an owner gives his to a group that he is of.
/// [`ReadOnly`](FileError::ReadOnly).
pub fn set_owner(inode: &dyn Inode, uid: Option<u32>, gid: Option<u32>, id: AccessId<'_>) -> Result<(), FileError> {
    inode.change(&mut |file| {
        let Changeable { protection, .. } = file;
        let owns = id.owns(*protection);
        let keeps_owner = uid.is_none_or(|uid| uid == protection.uid && owns);
        let group_is_his = gid.is_none_or(|gid| owns && (gid == protection.gid || id.is_of(gid)));
        if id.uid != 0 && !(keeps_owner && group_is_his) {
            return Err(FileError::NotPermitted);
        }
        protection.uid = uid.unwrap_or(protection.uid);
        protection.gid = gid.unwrap_or(protection.gid);
        if protection.kind != FileKind::Directory {
            protection.permissions = without_set_id(protection.permissions);
        }
        Ok(())
    })
}

/// What becomes of one of a file's times.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NewTime {
    /// It stays (`UTIME_OMIT`).
    Keep,
    /// It is now (`UTIME_NOW`).
    Now,
    /// It is this.
    At(Timestamp),
}

/// utimensat(2): sets when `inode` was last read and last written.
///
/// # Errors
///
/// [`NotPermitted`](FileError::NotPermitted) for anybody but the owner and root; who may write the file may set both to now,
/// and who may not is [`Denied`](FileError::Denied) that. [`ReadOnly`](FileError::ReadOnly).
pub fn set_times(inode: &dyn Inode, accessed: NewTime, modified: NewTime, id: AccessId<'_>) -> Result<(), FileError> {
    if (accessed, modified) == (NewTime::Keep, NewTime::Keep) {
        return Ok(());
    }
    inode.change(&mut |file| {
        let only_touches = (accessed, modified) == (NewTime::Now, NewTime::Now);
        match (id.owns(file.protection), only_touches) {
            (true, _) => {}
            (false, true) if id.may(file.protection, Wanted::WRITE) => {}
            (false, true) => return Err(FileError::Denied),
            (false, false) => return Err(FileError::NotPermitted),
        }
        let now = file.now;
        for (time, new) in [(&mut file.accessed, accessed), (&mut file.modified, modified)] {
            match new {
                NewTime::Keep => {}
                NewTime::Now => *time = now,
                NewTime::At(new) => *time = new,
            }
        }
        Ok(())
    })
}
