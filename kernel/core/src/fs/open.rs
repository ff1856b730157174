//! Opening files, and making and removing names.

use alloc::sync::Arc;

use super::access::{AccessId, Wanted};
use super::context::Context;
use super::error::FileError;
use super::flags::OpenFlags;
use super::inode::{Inode, Made, Making};
use super::metadata::{DeviceNumber, FileKind};
use super::open_file::OpenFile;
use super::operations::FileOperations;
use super::path::{Base, Follow, Last, Missing, Parent, Walk, resolve_parent};

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
    if flags.contains(OpenFlags::PATH_ONLY) {
        return open_place(context, base, path, flags, id);
    }
    check_combination(flags)?;
    let create = flags.contains(OpenFlags::CREATE);
    let exclusive = create && flags.contains(OpenFlags::EXCLUSIVE);
    let follow = if exclusive || flags.contains(OpenFlags::NO_FOLLOW) { Follow::No } else { Follow::Yes };
    let walk = Walk::new(context, base, path, follow, id)?;
    if !create {
        let inode = walk.run(path, Missing::Fail)?;
        return open_inode(context, inode, flags, id);
    }
    let mut made = false;
    let mut make = |directory: &Arc<dyn Inode>, name: &[u8]| {
        made = true;
        make_in(context, directory, name, Made::Regular, permissions, id)
    };
    let inode = walk.run(path, Missing::Make(&mut make))?;
    match inode.protection().kind {
        // Who makes a file may use it as he asked, whatever permissions it gets.
        _ if made => open_checked(context, inode, flags),
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
    open_checked(context, inode, flags)
}

/// Opens a program's file for exec: a regular file that may be executed. Reading it needs no permission of its own.
///
/// # Errors
///
/// Those of [`resolve`](super::resolve); [`Denied`](FileError::Denied) for anything else than a regular file, and where
/// nobody may execute it.
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
    open_checked(context, inode, OpenFlags::empty())
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
    let what = directory.lookup(name)?;
    id.check(&*directory, Wanted::WRITE | Wanted::EXECUTE)?;
    check_sticky(&*directory, &*what, id)?;
    match (what.protection().kind == FileKind::Directory, removal) {
        (true, Removal::File) => return Err(FileError::IsDirectory),
        (false, Removal::Directory) => return Err(FileError::NotDirectory),
        (false, Removal::File) if matches!(last, Last::Directory(_)) => return Err(FileError::NotDirectory),
        _ => {}
    }
    directory.remove(name, &what)
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
    let permissions = (permissions & 0o7777) as u16 & !context.umask();
    directory.make(name, &Making { what, permissions, uid: id.uid, gid: id.gid })
}

fn open_place(
    context: &Context,
    base: Base<'_>,
    path: &[u8],
    flags: OpenFlags,
    id: AccessId<'_>,
) -> Result<Arc<OpenFile>, FileError> {
    let flags = flags & (OpenFlags::PATH_ONLY | OpenFlags::DIRECTORY | OpenFlags::NO_FOLLOW);
    let follow = if flags.contains(OpenFlags::NO_FOLLOW) { Follow::No } else { Follow::Yes };
    let inode = super::resolve(context, base, path, follow, id)?;
    if flags.contains(OpenFlags::DIRECTORY) && inode.protection().kind != FileKind::Directory {
        return Err(FileError::NotDirectory);
    }
    Ok(OpenFile::place(inode, flags, context.parking()))
}

fn open_checked(context: &Context, inode: Arc<dyn Inode>, flags: OpenFlags) -> Result<Arc<OpenFile>, FileError> {
    let operations: Arc<dyn FileOperations> = Arc::clone(&inode).open(flags)?;
    Ok(OpenFile::new(inode, operations, flags, context.parking()))
}

fn check_combination(flags: OpenFlags) -> Result<(), FileError> {
    if flags.contains(OpenFlags::TEMPORARY) {
        return Err(FileError::Unsupported);
    }
    if flags.contains(OpenFlags::CREATE | OpenFlags::DIRECTORY) {
        return Err(FileError::Invalid);
    }
    Ok(())
}
