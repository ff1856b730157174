//! Changing files by name: `mkdirat(2)`, `mknodat(2)`, `symlinkat(2)`, `linkat(2)`, `unlinkat(2)`, `renameat2(2)`,
//! `truncate(2)`; their permissions, owners and times: `fchmodat(2)`, `fchownat(2)`, `utimensat(2)`; `statfs(2)`.

use alloc::sync::Arc;

use kcore::addr::UserAddr;
use kcore::fs::{
    self, AccessId, Base, DeviceNumber, FileError, FileKind, IfTaken, Inode, Made, NewTime, OpenFile, OpenFlags,
    Removal, Side, Timestamp, Wanted,
};
use kcore::hal::UserMemory;
use linux_raw_sys::general as linux;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::argument::{Bits, Descriptor, Maybe, Text};
use super::errno::Errno;
use super::path::{access_id, find, with_context};
use super::user::{self, Path, writer};
use super::{Answer, Caller};
use crate::arch::user_copy::CurrentUser;

/// Makes what the path at `at` names.
fn make(caller: &Caller<'_>, directory: Descriptor, at: Text, what: Made<'_>, mode: u32) -> Answer {
    let mut path = Path::new();
    path.read(at)?;
    with_context(caller, directory, path.bytes(), |context, base, id| {
        fs::make(context, base, path.bytes(), what, mode, id)
    })?;
    Ok(0)
}

pub(super) fn mkdirat(caller: &mut Caller<'_>, directory: Descriptor, path: Text, mode: u32) -> Answer {
    make(caller, directory, path, Made::Directory, mode)
}

pub(super) fn mknodat(caller: &mut Caller<'_>, directory: Descriptor, path: Text, mode: u32, device: u32) -> Answer {
    let what = match FileKind::from_mode(mode) {
        None if mode & FileKind::MASK == 0 => Made::Regular,
        None => return Err(Errno::EINVAL),
        Some(FileKind::Regular) => Made::Regular,
        Some(FileKind::Directory) => return Err(Errno::EPERM),
        Some(FileKind::Symlink | FileKind::Nameless) => return Err(Errno::EINVAL),
        Some(kind @ (FileKind::CharacterDevice | FileKind::BlockDevice)) => {
            Made::Node(kind, DeviceNumber::decoded(device.into()))
        }
        Some(kind @ (FileKind::Fifo | FileKind::Socket)) => Made::Node(kind, DeviceNumber::NONE),
    };
    make(caller, directory, path, what, mode)
}

pub(super) fn symlinkat(caller: &mut Caller<'_>, target: Text, directory: Descriptor, path: Text) -> Answer {
    let mut text = Path::new();
    text.read(target)?;
    if text.bytes().is_empty() {
        return Err(Errno::ENOENT);
    }
    make(caller, directory, path, Made::Symlink(text.bytes()), 0o777)
}

pub(super) fn linkat(
    caller: &mut Caller<'_>,
    old_directory: Descriptor,
    old: Text,
    directory: Descriptor,
    new: Text,
    flags: Bits,
) -> Answer {
    if flags.0 & !(linux::AT_SYMLINK_FOLLOW | linux::AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    // Whoever was only handed a descriptor gives its file no name.
    if flags.0 & linux::AT_EMPTY_PATH != 0 && !caller.credentials().is_root() {
        return Err(Errno::ENOENT);
    }
    let follow = if flags.0 & linux::AT_SYMLINK_FOLLOW != 0 { 0 } else { linux::AT_SYMLINK_NOFOLLOW };
    let what = find(caller, old_directory, old, follow | flags.0 & linux::AT_EMPTY_PATH)?;
    let mut path = Path::new();
    path.read(new)?;
    with_context(caller, directory, path.bytes(), |context, base, id| {
        fs::link(context, &what, base, path.bytes(), id)
    })?;
    Ok(0)
}

pub(super) fn unlinkat(caller: &mut Caller<'_>, directory: Descriptor, at: Text, flags: Bits) -> Answer {
    let removal = match flags.0 {
        0 => Removal::File,
        linux::AT_REMOVEDIR => Removal::Directory,
        _ => return Err(Errno::EINVAL),
    };
    let mut path = Path::new();
    path.read(at)?;
    with_context(caller, directory, path.bytes(), |context, base, id| {
        fs::remove(context, base, path.bytes(), removal, id)
    })?;
    Ok(0)
}

pub(super) fn renameat(
    caller: &mut Caller<'_>,
    old_directory: Descriptor,
    old: Text,
    new_directory: Descriptor,
    new: Text,
) -> Answer {
    renameat2(caller, old_directory, old, new_directory, new, Bits(0))
}

/// `RENAME_WHITEOUT`, which is for layers of file systems, is `EINVAL`.
pub(super) fn renameat2(
    caller: &mut Caller<'_>,
    old_directory: Descriptor,
    old: Text,
    new_directory: Descriptor,
    new: Text,
    flags: Bits,
) -> Answer {
    let if_taken = match flags.0 {
        0 => IfTaken::Replace,
        linux::RENAME_NOREPLACE => IfTaken::Fail,
        linux::RENAME_EXCHANGE => IfTaken::Exchange,
        _ => return Err(Errno::EINVAL),
    };
    let (mut from, mut to) = (Path::new(), Path::new());
    from.read(old)?;
    to.read(new)?;
    let bases = [base(caller, old_directory, &from)?, base(caller, new_directory, &to)?];
    let context = caller.context()?;
    let credentials = caller.credentials();
    let [from_base, to_base] = bases.each_ref().map(|open| match open {
        Some(open) => Base::At(open.inode()),
        None => Base::Working,
    });
    let from = Side { base: from_base, path: from.bytes() };
    let to = Side { base: to_base, path: to.bytes() };
    fs::rename(&context, from, to, if_taken, access_id(credentials.access_ids()))?;
    Ok(0)
}

/// What a path is relative to, if it is to anything but the working directory.
fn base(caller: &Caller<'_>, directory: Descriptor, path: &Path) -> Result<Option<Arc<OpenFile>>, Errno> {
    if directory.0 == linux::AT_FDCWD || path.bytes().first() == Some(&b'/') {
        return Ok(None);
    }
    caller.file(directory).map(Some)
}

pub(super) fn truncate(caller: &mut Caller<'_>, path: Text, bytes: i64) -> Answer {
    let bytes = u64::try_from(bytes).map_err(|_| Errno::EINVAL)?;
    let inode = find(caller, Descriptor(linux::AT_FDCWD), path, 0)?;
    match inode.protection().kind {
        FileKind::Regular => {}
        FileKind::Directory => return Err(Errno::EISDIR),
        _ => return Err(Errno::EINVAL),
    }
    let credentials = caller.credentials();
    access_id(credentials.access_ids()).check(&*inode, Wanted::WRITE)?;
    inode.begin_writing()?;
    let resized = Arc::clone(&inode).open(OpenFlags::WRITE_ONLY).and_then(|file| file.resize(bytes, writer()));
    inode.end_writing();
    caller.heeding_limit(resized)?;
    Ok(0)
}

/// Changes something about a file in the caller's name.
fn change(
    caller: &Caller<'_>,
    inode: &dyn Inode,
    change: impl FnOnce(&dyn Inode, AccessId<'_>) -> Result<(), FileError>,
) -> Answer {
    let credentials = caller.credentials();
    change(inode, access_id(credentials.access_ids()))?;
    Ok(0)
}

/// The file of a descriptor that was not opened for its place only.
fn opened(caller: &Caller<'_>, file: Descriptor) -> Result<Arc<OpenFile>, Errno> {
    let open = caller.file(file)?;
    if open.operations().is_some() { Ok(open) } else { Err(Errno::EBADF) }
}

pub(super) fn fchmod(caller: &mut Caller<'_>, file: Descriptor, mode: u32) -> Answer {
    let open = opened(caller, file)?;
    change(caller, &**open.inode(), |inode, id| fs::set_permissions(inode, mode, id))
}

pub(super) fn fchmodat(caller: &mut Caller<'_>, directory: Descriptor, path: Text, mode: u32) -> Answer {
    fchmodat2(caller, directory, path, mode, Bits(0))
}

pub(super) fn fchmodat2(caller: &mut Caller<'_>, directory: Descriptor, path: Text, mode: u32, flags: Bits) -> Answer {
    check_at_flags(flags)?;
    let inode = find(caller, directory, path, flags.0)?;
    change(caller, &*inode, |inode, id| fs::set_permissions(inode, mode, id))
}

/// An id to be set; the largest number says that it stays.
fn new_id(id: u32) -> Option<u32> {
    (id != u32::MAX).then_some(id)
}

pub(super) fn fchown(caller: &mut Caller<'_>, file: Descriptor, uid: u32, gid: u32) -> Answer {
    let open = opened(caller, file)?;
    change(caller, &**open.inode(), |inode, id| fs::set_owner(inode, new_id(uid), new_id(gid), id))
}

pub(super) fn fchownat(
    caller: &mut Caller<'_>,
    directory: Descriptor,
    path: Text,
    uid: u32,
    gid: u32,
    flags: Bits,
) -> Answer {
    check_at_flags(flags)?;
    let inode = find(caller, directory, path, flags.0)?;
    change(caller, &*inode, |inode, id| fs::set_owner(inode, new_id(uid), new_id(gid), id))
}

fn check_at_flags(flags: Bits) -> Result<(), Errno> {
    let known = linux::AT_SYMLINK_NOFOLLOW | linux::AT_EMPTY_PATH;
    if flags.0 & !known == 0 { Ok(()) } else { Err(Errno::EINVAL) }
}

/// `struct timespec`, with what only this call knows.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct FileTime {
    seconds: i64,
    nanoseconds: i64,
}

/// `UTIME_NOW` and `UTIME_OMIT` (`linux/stat.h`).
const UTIME_NOW: i64 = (1 << 30) - 1;
const UTIME_OMIT: i64 = (1 << 30) - 2;

impl FileTime {
    fn decode(self) -> Result<NewTime, Errno> {
        match self.nanoseconds {
            UTIME_NOW => Ok(NewTime::Now),
            UTIME_OMIT => Ok(NewTime::Keep),
            0..1_000_000_000 => {
                let nanoseconds = u32::try_from(self.nanoseconds).map_err(|_| Errno::EINVAL)?;
                Ok(NewTime::At(Timestamp { seconds: self.seconds, nanoseconds }))
            }
            _ => Err(Errno::EINVAL),
        }
    }
}

pub(super) fn utimensat(
    caller: &mut Caller<'_>,
    directory: Descriptor,
    path: Maybe,
    times: Maybe,
    flags: Bits,
) -> Answer {
    let [accessed, modified] = match user::read_if::<[FileTime; 2]>(times)? {
        Some([accessed, modified]) => [accessed.decode()?, modified.decode()?],
        None => [NewTime::Now; 2],
    };
    if (accessed, modified) == (NewTime::Keep, NewTime::Keep) {
        return Ok(0);
    }
    check_at_flags(flags)?;
    let inode = match path.0 {
        Some(path) => find(caller, directory, Text(path), flags.0)?,
        None if directory.0 == linux::AT_FDCWD => return Err(Errno::EFAULT),
        None if flags.0 != 0 => return Err(Errno::EINVAL),
        None => Arc::clone(opened(caller, directory)?.inode()),
    };
    change(caller, &*inode, |inode, id| fs::set_times(inode, accessed, modified, id))
}

pub(super) fn statfs(caller: &mut Caller<'_>, path: Text, to: UserAddr) -> Answer {
    let inode = find(caller, Descriptor(linux::AT_FDCWD), path, 0)?;
    CurrentUser.copy_out(&inode.file_system().to_statfs(), to)?;
    Ok(0)
}

pub(super) fn fstatfs(caller: &mut Caller<'_>, file: Descriptor, to: UserAddr) -> Answer {
    let status = caller.file(file)?.inode().file_system().to_statfs();
    CurrentUser.copy_out(&status, to)?;
    Ok(0)
}
