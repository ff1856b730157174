//! Mounting: `mount(2)`, `umount2(2)`.

use alloc::sync::Arc;

use kcore::addr::UserAddr;
use kcore::fs::{self, FileKind, Inode, Mountable};
use linux_raw_sys::general as linux;

use super::argument::{Descriptor, Maybe, Text};
use super::errno::Errno;
use super::path::find;
use super::user::{PATH_MAX, Path};
use super::{Answer, Caller};
use crate::task::filesystems::{self, MOUNTS};

/// What a mount is asked to be, and is, without effect: nothing here is slower or less safe without it.
const WITHOUT_EFFECT: u32 = linux::MS_NOSUID
    | linux::MS_NODEV
    | linux::MS_NOEXEC
    | linux::MS_SYNCHRONOUS
    | linux::MS_DIRSYNC
    | linux::MS_NOATIME
    | linux::MS_NODIRATIME
    | linux::MS_RELATIME
    | linux::MS_STRICTATIME
    | linux::MS_LAZYTIME
    | linux::MS_SILENT;
/// How mounts spread to other namespaces: there is one.
const SPREAD: u32 = linux::MS_SHARED | linux::MS_PRIVATE | linux::MS_SLAVE | linux::MS_UNBINDABLE;

pub(super) fn mount(
    caller: &mut Caller<'_>,
    source: Maybe,
    target: Text,
    kind: Maybe,
    flags: u64,
    options: Maybe,
) -> Answer {
    caller.must_be_root()?;
    // Old programs put a magic number into the upper half.
    #[expect(clippy::cast_possible_truncation, reason = "flags are an int's bits")]
    let flags = flags as u32;
    let flags = if flags & 0xffff_0000 == linux::MS_MGC_VAL { flags & 0xffff } else { flags };
    let place = find(caller, Descriptor(linux::AT_FDCWD), target, 0)?;
    if flags & SPREAD != 0 {
        return MOUNTS.find(&place).map(|_| 0).ok_or(Errno::EINVAL);
    }
    let (read_only, changes) = (flags & linux::MS_RDONLY != 0, flags & linux::MS_REMOUNT != 0);
    if flags & !(WITHOUT_EFFECT | linux::MS_RDONLY | linux::MS_REMOUNT) != 0 {
        return Err(Errno::EINVAL);
    }
    if changes {
        MOUNTS.find(&place).ok_or(Errno::EINVAL)?.set_read_only(read_only)?;
        return Ok(0);
    }
    if place.protection().kind != FileKind::Directory {
        return Err(Errno::ENOTDIR);
    }
    let fs = make(caller, kind, source, options)?;
    if read_only {
        fs.set_read_only(true)?;
    }
    let source = text(source)?;
    mount_at(caller, source.bytes(), &place, fs)
}

fn mount_at(caller: &Caller<'_>, source: &[u8], place: &Arc<dyn Inode>, fs: Arc<dyn Mountable>) -> Answer {
    let mut buffer = alloc::vec::Vec::new();
    buffer.try_reserve_exact(PATH_MAX).map_err(|_| Errno::ENOMEM)?;
    buffer.resize(PATH_MAX, 0);
    let path = fs::absolute_path(caller.context()?.root(), place, &mut buffer)?;
    MOUNTS.mount(source, path, place, fs)?;
    Ok(0)
}

/// A string, empty where there is none.
fn text(from: Maybe) -> Result<Path, Errno> {
    let mut text = Path::new();
    if let Some(from) = from.0 {
        text.read(Text(UserAddr::new(from.get())))?;
    }
    Ok(text)
}

/// A file system of the kind that was asked for.
fn make(caller: &mut Caller<'_>, kind: Maybe, source: Maybe, options: Maybe) -> Result<Arc<dyn Mountable>, Errno> {
    let (kind, options) = (text(kind)?, text(options)?);
    match kind.bytes() {
        b"proc" => Ok(filesystems::proc()),
        b"tmpfs" => Ok(filesystems::tmpfs(options.bytes())?),
        b"devtmpfs" => Ok(filesystems::devices()?),
        b"devpts" => Ok(filesystems::terminals()?),
        b"vfat" | b"msdos" => on_disk(caller, source),
        b"" => Err(Errno::EINVAL),
        _ => Err(Errno::ENODEV),
    }
}

/// The file system on the disk, or the partition, that `source` names.
fn on_disk(caller: &mut Caller<'_>, source: Maybe) -> Result<Arc<dyn Mountable>, Errno> {
    let source = source.0.ok_or(Errno::EINVAL)?;
    let node = find(caller, Descriptor(linux::AT_FDCWD), Text(UserAddr::new(source.get())), 0)?;
    if node.protection().kind != FileKind::BlockDevice {
        return Err(Errno::ENOTBLK);
    }
    Ok(filesystems::fat(node.metadata().represents)?)
}

/// Takes a mount away, whoever is in it: those stay there. So `MNT_DETACH` and `MNT_FORCE` have no more to do.
pub(super) fn umount2(caller: &mut Caller<'_>, target: Text, flags: u32) -> Answer {
    const KNOWN: u32 = linux::MNT_FORCE | linux::MNT_DETACH | linux::UMOUNT_NOFOLLOW;
    caller.must_be_root()?;
    if flags & !KNOWN != 0 {
        return Err(Errno::EINVAL);
    }
    let follow = if flags & linux::UMOUNT_NOFOLLOW != 0 { linux::AT_SYMLINK_NOFOLLOW } else { 0 };
    let place = find(caller, Descriptor(linux::AT_FDCWD), target, follow)?;
    MOUNTS.unmount(&place)?;
    Ok(0)
}
