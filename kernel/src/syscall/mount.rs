//! Mounting: `mount(2)`, `umount2(2)`. There are file systems in memory, `tmpfs`, and one of them with the nodes of devices,
//! `devtmpfs`.

use core::sync::atomic::{AtomicU32, Ordering};

use kcore::fs::DeviceNumber;
use kcore::fs::tmpfs::Limits;
use linux_raw_sys::general as linux;

use super::argument::{Bits, Descriptor, Maybe, Text};
use super::errno::Errno;
use super::path::find;
use super::user::Path;
use super::{Answer, Caller};
use crate::task::MOUNTS;

/// The number of the next file system that is made.
static NEXT_DEVICE: AtomicU32 = AtomicU32::new(32);

/// What is not there: other names for what is mounted, moving, and telling other name spaces.
const MISSING: u32 = linux::MS_BIND | linux::MS_MOVE | linux::MS_SHARED | linux::MS_SLAVE | linux::MS_UNBINDABLE;

pub(super) fn mount(
    caller: &mut Caller<'_>,
    _source: Maybe,
    target: Text,
    kind: Maybe,
    flags: Bits,
    data: Maybe,
) -> Answer {
    caller.must_be_root()?;
    let at = find(caller, Descriptor(linux::AT_FDCWD), target, 0)?;
    if flags.0 & MISSING != 0 {
        return Err(Errno::EINVAL);
    }
    let first = MOUNTS.first().ok_or(Errno::ENODEV)?;
    let mut options = Path::new();
    if let Some(data) = data.0 {
        options.read(Text(data))?;
    }
    let read_only = flags.0 & linux::MS_RDONLY != 0;
    if flags.0 & linux::MS_REMOUNT != 0 {
        let fs = MOUNTS.find(&at).ok_or(Errno::EINVAL)?;
        let Options { limits, .. } = Options::parse(options.bytes(), fs.limits())?;
        fs.set_limits(limits);
        fs.set_read_only(read_only);
        return Ok(0);
    }
    let mut name = Path::new();
    name.read(Text(kind.0.ok_or(Errno::EFAULT)?))?;
    let with_devices = match name.bytes() {
        b"tmpfs" => false,
        b"devtmpfs" => true,
        _ => return Err(Errno::ENODEV),
    };
    let Options { limits, mode, uid, gid } = Options::parse(options.bytes(), first.usual_limits())?;
    let mode = mode.unwrap_or(if with_devices { 0o755 } else { 0o1777 });
    let device = DeviceNumber::new(0, NEXT_DEVICE.fetch_add(1, Ordering::Relaxed));
    let fs = first.beside(device, limits);
    let root = fs.make_root(mode, uid, gid)?;
    if with_devices {
        fs.add_devices(&root)?;
    }
    fs.set_read_only(read_only);
    MOUNTS.mount(&fs, &root, &at)?;
    Ok(0)
}

/// Whoever uses the file system goes on with it, as with `MNT_DETACH`.
pub(super) fn umount2(caller: &mut Caller<'_>, target: Text, flags: Bits) -> Answer {
    let known = linux::MNT_FORCE | linux::MNT_DETACH | linux::UMOUNT_NOFOLLOW;
    if flags.0 & !known != 0 {
        return Err(Errno::EINVAL);
    }
    caller.must_be_root()?;
    let follow = if flags.0 & linux::UMOUNT_NOFOLLOW != 0 { linux::AT_SYMLINK_NOFOLLOW } else { 0 };
    let root = find(caller, Descriptor(linux::AT_FDCWD), target, follow)?;
    MOUNTS.unmount(&root)?;
    Ok(0)
}

/// What `tmpfs(5)` can be told.
struct Options {
    limits: Limits,
    mode: Option<u16>,
    uid: u32,
    gid: u32,
}

impl Options {
    fn parse(text: &[u8], usual: Limits) -> Result<Self, Errno> {
        let mut options = Self { limits: usual, mode: None, uid: 0, gid: 0 };
        for option in text.split(|&byte| byte == b',').filter(|option| !option.is_empty()) {
            let option = core::str::from_utf8(option).map_err(|_| Errno::EINVAL)?;
            let (name, value) = option.split_once('=').ok_or(Errno::EINVAL)?;
            match name {
                "size" => options.limits.pages = bounded(size(value, usual)?.div_ceil(PAGE)),
                "nr_blocks" => options.limits.pages = bounded(number(value)?),
                "nr_inodes" => options.limits.files = bounded(number(value)?),
                "mode" => options.mode = Some(u16::from_str_radix(value, 8).map_err(|_| Errno::EINVAL)? & 0o7777),
                "uid" => options.uid = value.parse().map_err(|_| Errno::EINVAL)?,
                "gid" => options.gid = value.parse().map_err(|_| Errno::EINVAL)?,
                _ => return Err(Errno::EINVAL),
            }
        }
        Ok(options)
    }
}

const PAGE: u64 = 4096;

/// No bound, where none is asked for.
const fn bounded(number: u64) -> u64 {
    if number == 0 { u64::MAX } else { number }
}

/// A size in bytes, or as a part of all memory, of which `usual` is the half.
fn size(text: &str, usual: Limits) -> Result<u64, Errno> {
    let Some(percent) = text.strip_suffix('%') else { return number(text) };
    let percent: u64 = percent.parse().map_err(|_| Errno::EINVAL)?;
    Ok((usual.pages * 2).saturating_mul(percent) / 100 * PAGE)
}

/// A number, with `k`, `m` or `g` behind it or without.
fn number(text: &str) -> Result<u64, Errno> {
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 10),
        Some(b'm' | b'M') => (&text[..text.len() - 1], 20),
        Some(b'g' | b'G') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let number: u64 = digits.parse().map_err(|_| Errno::EINVAL)?;
    number.checked_mul(1 << shift).ok_or(Errno::EINVAL)
}
