//! Mounting: `mount(2)`, `umount2(2)`.

use alloc::sync::Arc;
use alloc::vec::Vec;

use kcore::addr::UserAddr;
use kcore::fs::{
    self, AccessId, Base, Bind, DeviceNumber, FileError, FileKind, Follow, Inode, MountFlags, Mountable, Users, ext,
};
use linux_raw_sys::general as linux;

use super::argument::{Descriptor, Maybe, Text};
use super::errno::Errno;
use super::path::find;
use super::user::Path;
use super::{Answer, Caller};
use crate::arch::cpu::Arm;
use crate::task::filesystems::{self, MOUNTS};

/// What a mount is asked to be, and is, without effect: nothing is written later than it is written, and access times are
/// kept as with `relatime`.
const WITHOUT_EFFECT: u32 = linux::MS_SYNCHRONOUS
    | linux::MS_DIRSYNC
    | linux::MS_RELATIME
    | linux::MS_STRICTATIME
    | linux::MS_LAZYTIME
    | linux::MS_SILENT;
/// How mounts spread to their bind mounts, and to other namespaces.
const SPREAD: u32 = linux::MS_PRIVATE | linux::MS_SLAVE | linux::MS_UNBINDABLE | linux::MS_SHARED;

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
    let known = WITHOUT_EFFECT | SPREAD | linux::MS_REMOUNT | linux::MS_BIND | linux::MS_REC | linux::MS_MOVE;
    let wanted = MountFlags::from_bits_truncate(flags);
    if flags & !(known | wanted.bits()) != 0 {
        return Err(Errno::EINVAL);
    }
    if flags & linux::MS_REMOUNT != 0 {
        let fs = MOUNTS.find(&place).ok_or(Errno::EINVAL)?;
        fs.sync()?;
        fs.set_flags(wanted)?;
        // What somebody wrote just before it was forbidden.
        fs.sync()?;
        return Ok(0);
    }
    if flags & linux::MS_BIND != 0 {
        let with_others = flags & linux::MS_REC != 0;
        return bind(caller, source, &place, with_others);
    }
    if flags & SPREAD != 0 {
        return spread(&place, flags);
    }
    if flags & linux::MS_MOVE != 0 {
        return relocate(caller, source, &place);
    }
    if place.protection().kind != FileKind::Directory {
        return Err(Errno::ENOTDIR);
    }
    let fs = make(caller, kind, source, options)?;
    // One more of the same would hide nothing and show nothing.
    if MOUNTS.find(&place).is_some_and(|there| there.root().id().device == fs.root().id().device) {
        return Err(Errno::EBUSY);
    }
    // What cannot be written is mounted all the same.
    fs.set_flags(wanted | fs.flags().intersection(MountFlags::READ_ONLY))?;
    let source = text(source)?;
    let path = path_of(caller, &place)?;
    MOUNTS.mount(source.bytes(), &path, &place, fs)?;
    Ok(0)
}

/// How a mount spreads. All are private. One that is shared would have to spread to its bind mounts, and one that cannot be
/// bound would have to refuse that: these are refused.
fn spread(place: &Arc<dyn Inode>, flags: u32) -> Answer {
    MOUNTS.find(place).ok_or(Errno::EINVAL)?;
    match flags & SPREAD {
        // A private mount that shall follow others has nobody to follow.
        linux::MS_PRIVATE | linux::MS_SLAVE => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}

/// Shows what `source` names in the place of `place`, too; with `with_others`, what is mounted below it as well.
fn bind(caller: &Caller<'_>, source: Maybe, place: &Arc<dyn Inode>, with_others: bool) -> Answer {
    let source = Text(UserAddr::new(source.0.ok_or(Errno::EINVAL)?.get()));
    let shown = find(caller, Descriptor(linux::AT_FDCWD), source, 0)?;
    let path = path_of(caller, place)?;
    let mut below = Vec::new();
    if with_others && shown.protection().kind == FileKind::Directory {
        // Before the new one, which may come to be among them.
        let from = path_of(caller, &shown)?;
        for index in 0.. {
            let Some(one) = MOUNTS.inside(&from, index) else { break };
            below.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            below.push(one);
        }
    }
    bind_one(&shown, place, &path)?;
    let context = caller.context()?;
    for (rest, root) in below {
        let mut path = path.clone();
        path.try_reserve_exact(rest.len()).map_err(|_| Errno::ENOMEM)?;
        path.extend_from_slice(&rest);
        // What is hidden by another mount cannot be seen there either.
        let Ok(place) = fs::resolve(&context, Base::Working, &path, Follow::No, AccessId::ROOT) else { continue };
        match bind_one(&root, &place, &path) {
            // There is something else by now.
            Err(Errno::ENOTDIR) => {}
            bound => bound?,
        }
    }
    Ok(0)
}

fn bind_one(shown: &Arc<dyn Inode>, place: &Arc<dyn Inode>, path: &[u8]) -> Result<(), Errno> {
    let kind = MOUNTS.of(&**shown).ok_or(Errno::EINVAL)?.kind();
    let source = MOUNTS.source_of(&**shown)?;
    let bind = Bind::<Arm>::new(shown, kind).of(within(shown)?);
    Ok(MOUNTS.mount(&source, path, place, Arc::new(bind))?)
}

/// Where `shown` is in its file system.
fn within(shown: &Arc<dyn Inode>) -> Result<Vec<u8>, Errno> {
    let fs = MOUNTS.of(&**shown).ok_or(Errno::EINVAL)?;
    let root = fs.root();
    let path = fs::path_of(&root, &root, shown);
    let (above, below) = match &path {
        Ok(path) => (fs.within(), path.strip_prefix(b"/").unwrap_or(path)),
        // As Linux says of what has lost its name.
        Err(FileError::NotFound) => (&b"/"[..], &b"/deleted"[..]),
        Err(error) => return Err((*error).into()),
    };
    let mut within = Vec::new();
    within.try_reserve_exact(above.len() + 1 + below.len()).map_err(|_| Errno::ENOMEM)?;
    within.extend_from_slice(above);
    if !below.is_empty() {
        if above != b"/" {
            within.push(b'/');
        }
        within.extend_from_slice(below);
    }
    Ok(within)
}

/// Moves what is mounted at `source` to `place`.
fn relocate(caller: &Caller<'_>, source: Maybe, place: &Arc<dyn Inode>) -> Answer {
    let source = Text(UserAddr::new(source.0.ok_or(Errno::EINVAL)?.get()));
    let root = find(caller, Descriptor(linux::AT_FDCWD), source, 0)?;
    MOUNTS.find(&root).ok_or(Errno::EINVAL)?;
    let path = path_of(caller, place)?;
    MOUNTS.relocate(&root, place, &path)?;
    Ok(0)
}

/// Where `place` is, as the caller sees it.
fn path_of(caller: &Caller<'_>, place: &Arc<dyn Inode>) -> Result<Vec<u8>, Errno> {
    let context = caller.context()?;
    let start = MOUNTS.root_of(&**place).ok_or(FileError::NotFound)?;
    Ok(fs::path_of(context.root(), &start, place)?)
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
        b"devtmpfs" => Ok(again(filesystems::devices()?)),
        b"devpts" => Ok(again(filesystems::terminals()?)),
        b"vfat" | b"msdos" => Ok(filesystems::fat(disk(caller, source)?, options.bytes())?),
        b"ext2" => Ok(filesystems::ext(ext::Kind::Ext2, disk(caller, source)?, options.bytes())?),
        b"ext3" => Ok(filesystems::ext(ext::Kind::Ext3, disk(caller, source)?, options.bytes())?),
        b"ext4" => Ok(filesystems::ext(ext::Kind::Ext4, disk(caller, source)?, options.bytes())?),
        b"" => Err(Errno::EINVAL),
        _ => Err(Errno::ENODEV),
    }
}

/// The disk, or the partition, whose node `source` names.
fn disk(caller: &Caller<'_>, source: Maybe) -> Result<DeviceNumber, Errno> {
    let source = source.0.ok_or(Errno::EINVAL)?;
    let node = find(caller, Descriptor(linux::AT_FDCWD), Text(UserAddr::new(source.get())), 0)?;
    if node.protection().kind != FileKind::BlockDevice {
        return Err(Errno::ENOTBLK);
    }
    Ok(node.metadata().represents)
}

/// A file system of which there is one: seen in one more place, if it is mounted already.
fn again(fs: Arc<dyn Mountable>) -> Arc<dyn Mountable> {
    let root = fs.root();
    if MOUNTS.find(&root).is_some() { Arc::new(Bind::<Arm>::new(&root, fs.kind())) } else { fs }
}

/// Takes a mount away. `MNT_FORCE` has no more to do: no file system here waits for anybody.
pub(super) fn umount2(caller: &mut Caller<'_>, target: Text, flags: u32) -> Answer {
    const KNOWN: u32 = linux::MNT_FORCE | linux::MNT_DETACH | linux::UMOUNT_NOFOLLOW;
    caller.must_be_root()?;
    if flags & !KNOWN != 0 {
        return Err(Errno::EINVAL);
    }
    let follow = if flags & linux::UMOUNT_NOFOLLOW != 0 { linux::AT_SYMLINK_NOFOLLOW } else { 0 };
    let place = find(caller, Descriptor(linux::AT_FDCWD), target, follow)?;
    let users = if flags & linux::MNT_DETACH != 0 { Users::Detached } else { Users::Stay };
    MOUNTS.unmount(&place, users)?;
    Ok(0)
}
