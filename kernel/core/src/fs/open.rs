//! Opening files, and making and removing them.

use alloc::sync::Arc;

use super::access::{AccessId, Wanted};
use super::context::Context;
use super::error::FileError;
use super::flags::OpenFlags;
use super::inode::{Inode, Made, Making};
use super::metadata::{DeviceNumber, FileKind, Protection};
use super::mount::MountFlags;
use super::open_file::{Hold, OpenFile};
use super::operations::FileOperations;
use super::path::{Base, Follow, Last, Missing, Parent, Walk, WalkRules, resolve_by_rules, resolve_parent};
use super::transfer::Writer;

/// openat(2): opens what `path` names. A file that [`CREATE`](OpenFlags::CREATE) makes gets `permissions` less the umask.
///
/// # Errors
///
/// Those of [`resolve`](super::resolve), and [`Exists`](FileError::Exists), [`IsDirectory`](FileError::IsDirectory),
/// [`ReadOnly`](FileError::ReadOnly), [`Invalid`](FileError::Invalid), [`Unsupported`](FileError::Unsupported), and what
/// the file's driver says.
pub fn open(
    context: &Context,
    base: Base<'_>,
    path: &[u8],
    flags: OpenFlags,
    permissions: u32,
    id: AccessId<'_>,
) -> Result<Arc<OpenFile>, FileError> {
    open_by_rules(context, base, path, flags, permissions, id, WalkRules::empty())
}

/// openat2(2): the same, on a way that keeps to rules.
///
/// # Errors
///
/// As of [`open`]; [`CrossDevice`](FileError::CrossDevice) and [`TooManyLinks`](FileError::TooManyLinks) where the way is against
/// the rules, [`WouldBlock`](FileError::WouldBlock) where that cannot be told, for somebody moves directories.
pub fn open_by_rules(
    context: &Context,
    base: Base<'_>,
    path: &[u8],
    flags: OpenFlags,
    permissions: u32,
    id: AccessId<'_>,
    rules: WalkRules,
) -> Result<Arc<OpenFile>, FileError> {
    if flags.contains(OpenFlags::PATH_ONLY) {
        return open_place(context, base, path, flags, id, rules);
    }
    if flags.contains(OpenFlags::TEMPORARY) {
        return open_unnamed(context, base, path, flags, permissions, id, rules);
    }
    if flags.contains(OpenFlags::CREATE | OpenFlags::DIRECTORY) {
        return Err(FileError::Invalid);
    }
    let create = flags.contains(OpenFlags::CREATE);
    let exclusive = create && flags.contains(OpenFlags::EXCLUSIVE);
    let follow = if exclusive || flags.contains(OpenFlags::NO_FOLLOW) { Follow::No } else { Follow::Yes };
    let walk = Walk::new(context, base, path, follow, id, rules)?;
    if !create {
        let inode = walk.run(path, Missing::Fail)?;
        return open_inode(context, inode, flags, id);
    }
    let mut made = false;
    let mut make = |directory: &Arc<dyn Inode>, name: &[u8]| {
        let outcome = make_in(context, directory, name, Made::Regular, permissions, id);
        made = outcome.is_ok();
        outcome
    };
    let inode = walk.run(path, Missing::Make(&mut make))?;
    match inode.protection().kind {
        // Who makes a file may use it as he asked, whatever permissions it gets.
        _ if made => open_checked(context, inode, flags.difference(OpenFlags::TRUNCATE), id),
        _ if exclusive => Err(FileError::Exists),
        FileKind::Directory => Err(FileError::IsDirectory),
        _ => open_inode(context, inode, flags, id),
    }
}

/// Opens `inode`, which a path or a link of the kernel's led to.
///
/// # Errors
///
/// As [`open`], but those of the path.
pub fn open_inode(
    context: &Context,
    inode: Arc<dyn Inode>,
    flags: OpenFlags,
    id: AccessId<'_>,
) -> Result<Arc<OpenFile>, FileError> {
    let kind = inode.protection().kind;
    let wanted = flags.wanted();
    match kind {
        _ if flags.contains(OpenFlags::DIRECTORY) && kind != FileKind::Directory => {
            return Err(FileError::NotDirectory);
        }
        FileKind::Symlink => return Err(FileError::TooManyLinks),
        FileKind::Directory if wanted.contains(Wanted::WRITE) => return Err(FileError::IsDirectory),
        _ => {}
    }
    id.check(&*inode, wanted)?;
    if matches!(kind, FileKind::CharacterDevice | FileKind::BlockDevice)
        && inode.mount_flags().contains(MountFlags::NO_DEVICES)
    {
        return Err(FileError::Denied);
    }
    if flags.contains(OpenFlags::NO_ACCESS_TIME) && !id.owns(inode.protection()) {
        return Err(FileError::NotPermitted);
    }
    open_checked(context, inode, flags, id)
}

/// Opens a program's file for exec: a regular file that may be executed. Reading it needs no permission of its own.
///
/// # Errors
///
/// Those of [`resolve`](super::resolve); [`Denied`](FileError::Denied) for anything else than a regular file, and where
/// nobody may execute it; [`Executed`](FileError::Executed) where it is open for writing. As long as the open file is there,
/// nobody opens it for that.
pub fn open_program(
    context: &Context,
    base: Base<'_>,
    path: &[u8],
    follow: Follow,
    id: AccessId<'_>,
) -> Result<Arc<OpenFile>, FileError> {
    open_program_inode(context, super::resolve(context, base, path, follow, id)?, id)
}

/// As [`open_program`], where the file has been found already: `execveat` with a descriptor alone.
///
/// # Errors
///
/// As `open_program`, but those of the path.
pub fn open_program_inode(
    context: &Context,
    inode: Arc<dyn Inode>,
    id: AccessId<'_>,
) -> Result<Arc<OpenFile>, FileError> {
    match inode.protection().kind {
        FileKind::Regular => {}
        FileKind::Symlink => return Err(FileError::TooManyLinks),
        _ => return Err(FileError::Denied),
    }
    id.check(&*inode, Wanted::EXECUTE)?;
    if inode.mount_flags().contains(MountFlags::NO_EXECUTION) {
        return Err(FileError::Denied);
    }
    inode.deny_writing()?;
    match Arc::clone(&inode).open(OpenFlags::empty()) {
        Ok(operations) => {
            Ok(OpenFile::holding(inode, operations, OpenFlags::empty(), context.parking(), Hold::DeniesWriting))
        }
        Err(error) => {
            inode.allow_writing();
            Err(error)
        }
    }
}

/// mkdirat(2), mknodat(2), symlinkat(2): makes what `path` names.
///
/// # Errors
///
/// Those of [`resolve`](super::resolve); [`Exists`](FileError::Exists), [`ReadOnly`](FileError::ReadOnly),
/// [`NotPermitted`](FileError::NotPermitted) for a device node by anybody but root.
pub fn make(
    context: &Context,
    base: Base<'_>,
    path: &[u8],
    what: Made<'_>,
    permissions: u32,
    id: AccessId<'_>,
) -> Result<(), FileError> {
    let Parent { directory, last } = resolve_parent(context, base, path, id)?;
    let name = match last {
        Last::Name(name) | Last::Directory(name) => name,
        Last::Itself | Last::Above | Last::Root => return Err(FileError::Exists),
    };
    match directory.lookup(name) {
        Ok(_) => return Err(FileError::Exists),
        Err(FileError::NotFound) => {}
        Err(error) => return Err(error),
    }
    if matches!(last, Last::Directory(_)) && what != Made::Directory {
        return Err(FileError::NotFound);
    }
    if let Made::Node(_, device) = what
        && device != DeviceNumber::NONE
        && id.uid != 0
    {
        return Err(FileError::NotPermitted);
    }
    make_in(context, &directory, name, what, permissions, id).map(drop)
}

/// What a name is taken away from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Removal {
    /// Anything but a directory: unlinkat(2).
    File,
    /// A directory: unlinkat(2) with `AT_REMOVEDIR`.
    Directory,
}

/// unlinkat(2): removes what `path` names.
///
/// # Errors
///
/// Those of [`resolve`](super::resolve); [`IsDirectory`](FileError::IsDirectory),
/// [`NotDirectory`](FileError::NotDirectory), [`ReadOnly`](FileError::ReadOnly), [`Busy`](FileError::Busy) for `/`,
/// [`Invalid`](FileError::Invalid) for `.`, [`NotEmpty`](FileError::NotEmpty) for `..`.
pub fn remove(
    context: &Context,
    base: Base<'_>,
    path: &[u8],
    removal: Removal,
    id: AccessId<'_>,
) -> Result<(), FileError> {
    let Parent { directory, last } = resolve_parent(context, base, path, id)?;
    let name = match (last, removal) {
        (Last::Name(name) | Last::Directory(name), _) => name,
        (_, Removal::File) => return Err(FileError::IsDirectory),
        (Last::Itself, Removal::Directory) => return Err(FileError::Invalid),
        (Last::Above, Removal::Directory) => return Err(FileError::NotEmpty),
        (Last::Root, Removal::Directory) => return Err(FileError::Busy),
    };
    let trailing = matches!(last, Last::Directory(_));
    loop {
        let what = directory.lookup(name)?;
        check_removable(&*directory, &*what, id)?;
        match (what.protection().kind == FileKind::Directory, removal) {
            (true, Removal::File) => return Err(FileError::IsDirectory),
            (false, Removal::Directory) => return Err(FileError::NotDirectory),
            (false, Removal::File) if trailing => return Err(FileError::NotDirectory),
            _ => {}
        }
        match directory.remove(name, &what) {
            Err(FileError::Stale) => {}
            outcome => return outcome,
        }
    }
}

/// Whether `what` may lose its name in `directory`.
pub(super) fn check_removable(directory: &dyn Inode, what: &dyn Inode, id: AccessId<'_>) -> Result<(), FileError> {
    id.check(directory, Wanted::WRITE | Wanted::EXECUTE)?;
    check_sticky(directory, what, id)
}

/// In a directory with the sticky bit only the owner of a file, or of the directory, removes a name.
fn check_sticky(directory: &dyn Inode, what: &dyn Inode, id: AccessId<'_>) -> Result<(), FileError> {
    const STICKY: u16 = 0o1000;
    let above = directory.protection();
    let owned = id.uid == 0 || id.uid == above.uid || id.uid == what.protection().uid;
    if owned || above.permissions & STICKY == 0 { Ok(()) } else { Err(FileError::NotPermitted) }
}

fn make_in(
    context: &Context,
    directory: &Arc<dyn Inode>,
    name: &[u8],
    what: Made<'_>,
    permissions: u32,
    id: AccessId<'_>,
) -> Result<Arc<dyn Inode>, FileError> {
    id.check(&**directory, Wanted::WRITE | Wanted::EXECUTE)?;
    let making = making(context, directory.protection(), what, permissions, id);
    Arc::clone(directory).make(name, &making)
}

/// A file to be made in a directory of the protection `above`. In a directory with the set-gid bit files get its group, and
/// directories the bit as well; others get it only from who is of the group.
fn making<'a>(context: &Context, above: Protection, what: Made<'a>, permissions: u32, id: AccessId<'_>) -> Making<'a> {
    const SET_GID: u16 = 0o2000;
    const SET_GID_EXECUTABLE: u16 = SET_GID | 0o010;
    let most = if what == Made::Directory { 0o1777 } else { 0o7777 };
    let mut permissions = (permissions & 0o7777) as u16 & most & !context.umask();
    let mut gid = id.gid;
    if above.permissions & SET_GID != 0 {
        gid = above.gid;
        if what == Made::Directory {
            permissions |= SET_GID;
        } else if permissions & SET_GID_EXECUTABLE == SET_GID_EXECUTABLE && id.uid != 0 && !id.is_of(gid) {
            permissions &= !SET_GID;
        }
    }
    Making { what, permissions, uid: id.uid, gid }
}

/// `O_TMPFILE`: opens a new file that has no name, in the file system of the directory that `path` names.
fn open_unnamed(
    context: &Context,
    base: Base<'_>,
    path: &[u8],
    flags: OpenFlags,
    permissions: u32,
    id: AccessId<'_>,
    rules: WalkRules,
) -> Result<Arc<OpenFile>, FileError> {
    let well_formed = flags.contains(OpenFlags::DIRECTORY) && !flags.contains(OpenFlags::CREATE) && flags.is_writable();
    if !well_formed {
        return Err(FileError::Invalid);
    }
    let follow = if flags.contains(OpenFlags::NO_FOLLOW) { Follow::No } else { Follow::Yes };
    let directory = resolve_by_rules(context, base, path, follow, id, rules)?;
    if directory.protection().kind != FileKind::Directory {
        return Err(FileError::NotDirectory);
    }
    id.check(&*directory, Wanted::WRITE | Wanted::EXECUTE)?;
    let making = making(context, directory.protection(), Made::Regular, permissions, id);
    let inode = directory.make_unnamed(&making, !flags.contains(OpenFlags::EXCLUSIVE))?;
    open_checked(context, inode, flags.difference(OpenFlags::TRUNCATE), id)
}

fn open_place(
    context: &Context,
    base: Base<'_>,
    path: &[u8],
    flags: OpenFlags,
    id: AccessId<'_>,
    rules: WalkRules,
) -> Result<Arc<OpenFile>, FileError> {
    let flags = flags & (OpenFlags::PATH_ONLY | OpenFlags::DIRECTORY | OpenFlags::NO_FOLLOW);
    let follow = if flags.contains(OpenFlags::NO_FOLLOW) { Follow::No } else { Follow::Yes };
    let inode = resolve_by_rules(context, base, path, follow, id, rules)?;
    if flags.contains(OpenFlags::DIRECTORY) && inode.protection().kind != FileKind::Directory {
        return Err(FileError::NotDirectory);
    }
    Ok(OpenFile::place(inode, flags, context.parking()))
}

fn open_checked(
    context: &Context,
    inode: Arc<dyn Inode>,
    flags: OpenFlags,
    id: AccessId<'_>,
) -> Result<Arc<OpenFile>, FileError> {
    if !flags.is_writable() && !flags.contains(OpenFlags::TRUNCATE) {
        let operations = Arc::clone(&inode).open(flags)?;
        return Ok(OpenFile::new(inode, operations, flags, context.parking()));
    }
    inode.begin_writing()?;
    match open_to_write(&inode, flags, id) {
        Ok(operations) if flags.is_writable() => {
            Ok(OpenFile::holding(inode, operations, flags, context.parking(), Hold::Writes))
        }
        outcome => {
            inode.end_writing();
            Ok(OpenFile::new(inode, outcome?, flags, context.parking()))
        }
    }
}

fn open_to_write(
    inode: &Arc<dyn Inode>,
    flags: OpenFlags,
    id: AccessId<'_>,
) -> Result<Arc<dyn FileOperations>, FileError> {
    let operations = Arc::clone(inode).open(flags)?;
    if flags.contains(OpenFlags::TRUNCATE) && inode.protection().kind == FileKind::Regular {
        operations.resize(0, Writer { keeps_set_id: id.uid == 0, ..Writer::KERNEL })?;
    }
    Ok(operations)
}
