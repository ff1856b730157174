//! Files by name: `openat(2)`, `newfstatat(2)`, `statx(2)`, `faccessat(2)`, `readlinkat(2)`, `chdir(2)`, `getcwd(2)`, `umask(2)`.

use alloc::format;
use alloc::string::ToString as _;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

use kcore::addr::{PAGE_SIZE, UserAddr};
use kcore::fs::{
    self, AccessId, Base, Context, DescriptorFlags, DeviceNumber, Fd, FileError, FileKind, Follow, Inode, Link, Made,
    Nameless, OpenFile, OpenFlags, PATH_MAX, WalkRules, Wanted,
};
use kcore::hal::UserMemory;
use kcore::proc::cred::AccessIds;
use linux_raw_sys::general as linux;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::argument::{Bits, Descriptor, Text};
use super::errno::Errno;
use super::user::{self, Path};
use super::{Answer, Caller, WholeCaller, file};
use crate::arch::user_copy::CurrentUser;
use crate::task::filesystems::MOUNTS;

/// Looks `path` up from where `directory` says, as the caller's process may.
pub(super) fn with_context<T>(
    caller: &Caller<'_>,
    directory: Descriptor,
    path: &[u8],
    work: impl FnOnce(&Context, Base<'_>, AccessId<'_>) -> Result<T, FileError>,
) -> Result<T, Errno> {
    let context = caller.context()?;
    let credentials = caller.credentials();
    let id = access_id(credentials.access_ids());
    // An absolute path needs no base.
    if directory.0 == linux::AT_FDCWD || path.first() == Some(&b'/') {
        return Ok(work(&context, Base::Working, id)?);
    }
    let open = caller.file(directory)?;
    Ok(work(&context, Base::At(open.inode()), id)?)
}

/// Whose rights are asked for, in the words of the file system.
pub(super) fn access_id(ids: AccessIds<'_>) -> AccessId<'_> {
    AccessId { uid: ids.uid, gid: ids.gid, groups: ids.groups }
}

/// The node of a socket at `path`, which the caller may send to.
pub(super) fn socket_node(caller: &Caller<'_>, path: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
    with_context(caller, Descriptor(linux::AT_FDCWD), path, |context, base, id| {
        let node = fs::resolve(context, base, path, Follow::Yes, id)?;
        id.check(&*node, Wanted::WRITE)?;
        if node.protection().kind == FileKind::Socket { Ok(node) } else { Err(FileError::Refused) }
    })
}

/// Makes one.
pub(super) fn make_socket_node(caller: &Caller<'_>, path: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
    with_context(caller, Descriptor(linux::AT_FDCWD), path, |context, base, id| {
        let made = fs::make(context, base, path, Made::Node(FileKind::Socket, DeviceNumber::NONE), 0o777, id);
        match made {
            Err(FileError::Exists) => return Err(FileError::AddressInUse),
            outcome => outcome?,
        }
        fs::resolve(context, base, path, Follow::No, id)
    })
}

pub(super) fn openat(
    caller: &mut WholeCaller<'_>,
    directory: Descriptor,
    path: Text,
    flags: Bits,
    mode: u32,
) -> Answer {
    let from = path;
    let mut path = Path::new();
    path.read(from)?;
    let flags = OpenFlags::from_linux(flags.0);
    // Who opens a FIFO waits for the other side.
    let open = caller.restarting(|caller| {
        with_context(caller, directory, path.bytes(), |context, base, id| {
            fs::open(context, base, path.bytes(), flags, mode & 0o7777, id)
        })
    })?;
    install_opened(caller, open, flags)
}

/// Gives the file the lowest free descriptor.
pub(super) fn install_opened(caller: &Caller<'_>, open: Arc<OpenFile>, flags: OpenFlags) -> Answer {
    let descriptor = if flags.contains(OpenFlags::CLOSE_ON_EXEC) {
        DescriptorFlags::CLOSE_ON_EXEC
    } else {
        DescriptorFlags::empty()
    };
    file::install(caller, open, descriptor, Fd::ZERO)
}

/// `struct open_how`.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct OpenHow {
    flags: u64,
    mode: u64,
    resolve: u64,
}

impl OpenHow {
    /// The structure of `bytes` bytes at `at`: one that is longer than it was when this was written says nothing in the rest.
    fn read(at: UserAddr, bytes: u64) -> Result<Self, Errno> {
        const KNOWN: usize = size_of::<OpenHow>();
        let bytes = usize::try_from(bytes).ok().filter(|&bytes| bytes <= PAGE_SIZE).ok_or(Errno::E2BIG)?;
        let rest = bytes.checked_sub(KNOWN).ok_or(Errno::EINVAL)?;
        let mut more = [0_u8; 64];
        let mut done = 0;
        while done < rest {
            let count = (rest - done).min(more.len());
            let from = at.checked_add((KNOWN + done) as u64).ok_or(Errno::EFAULT)?;
            CurrentUser.copy_in(from, &mut more[..count])?;
            if more[..count].iter().any(|&byte| byte != 0) {
                return Err(Errno::E2BIG);
            }
            done += count;
        }
        user::read(at)
    }

    /// What it asks for. Nothing that is not known, or means nothing, is ignored.
    fn check(&self) -> Result<(OpenFlags, u32, WalkRules), Errno> {
        const PLACE: OpenFlags = OpenFlags::PATH_ONLY
            .union(OpenFlags::DIRECTORY)
            .union(OpenFlags::NO_FOLLOW)
            .union(OpenFlags::CLOSE_ON_EXEC);
        let bits = u32::try_from(self.flags).map_err(|_| Errno::EINVAL)?;
        let flags = OpenFlags::from_bits(bits).ok_or(Errno::EINVAL)?;
        let cached = u64::from(linux::RESOLVE_CACHED);
        let rules = WalkRules::from_bits(self.resolve & !cached).ok_or(Errno::EINVAL)?;
        let makes = flags.intersects(OpenFlags::CREATE | OpenFlags::TEMPORARY);
        let most = if makes { 0o7777 } else { 0 };
        let mode = u32::try_from(self.mode).ok().filter(|mode| mode & !most == 0).ok_or(Errno::EINVAL)?;
        let is_bad = rules.contains(WalkRules::SCOPED)
            || (flags.contains(OpenFlags::PATH_ONLY) && !PLACE.contains(flags))
            || (flags.contains(OpenFlags::TEMPORARY) && !flags.contains(OpenFlags::DIRECTORY));
        if is_bad {
            return Err(Errno::EINVAL);
        }
        // Nothing is kept of paths that were walked before.
        if self.resolve & cached != 0 { Err(Errno::EAGAIN) } else { Ok((flags, mode, rules)) }
    }
}

pub(super) fn openat2(
    caller: &mut WholeCaller<'_>,
    directory: Descriptor,
    path: Text,
    how: UserAddr,
    bytes: u64,
) -> Answer {
    let (flags, mode, rules) = OpenHow::read(how, bytes)?.check()?;
    let from = path;
    let mut path = Path::new();
    path.read(from)?;
    let open = caller.restarting(|caller| {
        let open = |context: &Context, base: Base<'_>, id: AccessId<'_>| {
            fs::open_by_rules(context, base, path.bytes(), flags, mode, id, rules)
        };
        // The directory matters to an absolute path, too, if the walk begins there all the same.
        let decides = if rules.contains(WalkRules::IN_ROOT) { &[] } else { path.bytes() };
        with_context(caller, directory, decides, open)
    })?;
    install_opened(caller, open, flags)
}

/// The file that `path` names; with `AT_EMPTY_PATH` and an empty path, the open file itself.
pub(super) fn find(
    caller: &Caller<'_>,
    directory: Descriptor,
    path: Text,
    flags: u32,
) -> Result<Arc<dyn Inode>, Errno> {
    let from = path;
    let mut path = Path::new();
    path.read(from)?;
    if path.bytes().is_empty() && flags & linux::AT_EMPTY_PATH != 0 {
        if directory.0 == linux::AT_FDCWD {
            return Ok(Arc::clone(caller.context()?.directory()));
        }
        return Ok(Arc::clone(caller.file(directory)?.inode()));
    }
    let follow = if flags & linux::AT_SYMLINK_NOFOLLOW != 0 { Follow::No } else { Follow::Yes };
    with_context(caller, directory, path.bytes(), |context, base, id| {
        fs::resolve(context, base, path.bytes(), follow, id)
    })
}

const STAT_FLAGS: u32 = linux::AT_SYMLINK_NOFOLLOW | linux::AT_EMPTY_PATH | linux::AT_NO_AUTOMOUNT;

pub(super) fn newfstatat(
    caller: &mut Caller<'_>,
    directory: Descriptor,
    path: Text,
    to: UserAddr,
    flags: Bits,
) -> Answer {
    if flags.0 & !STAT_FLAGS != 0 {
        return Err(Errno::EINVAL);
    }
    let stat = find(caller, directory, path, flags.0)?.metadata().to_stat();
    CurrentUser.copy_out(&stat, to)?;
    Ok(0)
}

pub(super) fn statx(
    caller: &mut Caller<'_>,
    directory: Descriptor,
    path: Text,
    flags: Bits,
    wanted: Bits,
    to: UserAddr,
) -> Answer {
    let known = STAT_FLAGS | linux::AT_STATX_FORCE_SYNC | linux::AT_STATX_DONT_SYNC;
    if flags.0 & !known != 0 || wanted.0 & linux::STATX__RESERVED != 0 {
        return Err(Errno::EINVAL);
    }
    let stat = find(caller, directory, path, flags.0)?.metadata().to_statx();
    CurrentUser.copy_out(&stat, to)?;
    Ok(0)
}

pub(super) fn faccessat(caller: &mut Caller<'_>, directory: Descriptor, path: Text, mode: Bits) -> Answer {
    faccessat2(caller, directory, path, mode, Bits(0))
}

/// Asks for the real user, unless `AT_EACCESS` asks for the effective one.
pub(super) fn faccessat2(
    caller: &mut Caller<'_>,
    directory: Descriptor,
    path: Text,
    mode: Bits,
    flags: Bits,
) -> Answer {
    let known = linux::AT_EACCESS | linux::AT_SYMLINK_NOFOLLOW | linux::AT_EMPTY_PATH;
    if mode.0 & !0o7 != 0 || flags.0 & !known != 0 {
        return Err(Errno::EINVAL);
    }
    let inode = find(caller, directory, path, flags.0)?;
    let mut wanted = Wanted::empty();
    wanted.set(Wanted::READ, mode.0 & 4 != 0);
    wanted.set(Wanted::WRITE, mode.0 & 2 != 0);
    wanted.set(Wanted::EXECUTE, mode.0 & 1 != 0);
    let credentials = caller.credentials();
    let effective = flags.0 & linux::AT_EACCESS != 0;
    let ids = if effective { credentials.access_ids() } else { credentials.real_access_ids() };
    access_id(ids).check(&*inode, wanted)?;
    Ok(0)
}

pub(super) fn readlinkat(
    caller: &mut Caller<'_>,
    directory: Descriptor,
    path: Text,
    to: UserAddr,
    bytes: i64,
) -> Answer {
    let room = usize::try_from(bytes).ok().filter(|&room| room > 0).ok_or(Errno::EINVAL)?;
    let inode = find(caller, directory, path, linux::AT_SYMLINK_NOFOLLOW | linux::AT_EMPTY_PATH)?;
    inode.note_access();
    match inode.link()? {
        Link::Path(target) => store(target, to, room),
        Link::File(file) => store(&description(caller, &file)?, to, room),
    }
}

/// Stores as much of `text` as there is room for.
fn store(text: &[u8], to: UserAddr, room: usize) -> Answer {
    let length = text.len().min(room);
    CurrentUser.copy_out(&text[..length], to)?;
    Ok(length as u64)
}

/// What a link of the kernel's own says of the file that it leads to: its path, or what it is where it has none.
fn description(caller: &Caller<'_>, file: &Arc<dyn Inode>) -> Result<Vec<u8>, Errno> {
    let context = caller.context()?;
    let start = MOUNTS.root_of(&**file);
    match start.map_or(Err(FileError::NotFound), |start| fs::path_of(context.root(), &start, file)) {
        Err(FileError::NotFound) => {}
        found => return Ok(found?),
    }
    let number = file.id().inode;
    let text = match file.protection().kind {
        FileKind::Fifo => format!("pipe:[{number}]"),
        FileKind::Socket => format!("socket:[{number}]"),
        FileKind::Nameless => {
            let nameless = (&**file as &dyn Any).downcast_ref::<Nameless>();
            format!("anon_inode:{}", nameless.map_or("", Nameless::what))
        }
        _ => "(deleted)".to_string(),
    };
    Ok(text.into_bytes())
}

pub(super) fn chdir(caller: &mut Caller<'_>, path: Text) -> Answer {
    let inode = find(caller, Descriptor(linux::AT_FDCWD), path, 0)?;
    enter(caller, inode)
}

pub(super) fn fchdir(caller: &mut Caller<'_>, directory: Descriptor) -> Answer {
    let inode = Arc::clone(caller.file(directory)?.inode());
    enter(caller, inode)
}

fn enter(caller: &Caller<'_>, directory: Arc<dyn Inode>) -> Answer {
    fs::check_directory(&*directory, access_id(caller.credentials().access_ids()))?;
    let before = caller.shared_context()?.lock().set_directory(directory);
    drop(before);
    Ok(0)
}

pub(super) fn chroot(caller: &mut Caller<'_>, path: Text) -> Answer {
    let inode = find(caller, Descriptor(linux::AT_FDCWD), path, 0)?;
    fs::check_directory(&*inode, access_id(caller.credentials().access_ids()))?;
    caller.must_be_root()?;
    let before = caller.shared_context()?.lock().set_root(inode);
    drop(before);
    Ok(0)
}

/// Returns the length with the NUL, as Linux's call does.
pub(super) fn getcwd(caller: &mut Caller<'_>, to: UserAddr, bytes: u64) -> Answer {
    let mut buffer = Vec::new();
    buffer.try_reserve_exact(PATH_MAX).map_err(|_| Errno::ENOMEM)?;
    buffer.resize(PATH_MAX, 0);
    let context = caller.context()?;
    let end = buffer.len() - 1;
    let length = match fs::absolute_path(context.root(), context.directory(), &mut buffer[..end]) {
        Ok(path) => path.len(),
        Err(FileError::TooSmall) => return Err(Errno::ENAMETOOLONG),
        Err(error) => return Err(error.into()),
    };
    // The path stands at the end, and behind it a NUL.
    let with_nul = length + 1;
    if bytes < with_nul as u64 {
        return Err(Errno::ERANGE);
    }
    CurrentUser.copy_out(&buffer[PATH_MAX - with_nul..], to)?;
    Ok(with_nul as u64)
}

pub(super) fn umask(caller: &mut Caller<'_>, mask: u32) -> Answer {
    Ok(caller.shared_context()?.lock().set_umask(mask).into())
}
