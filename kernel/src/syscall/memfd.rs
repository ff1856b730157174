//! `memfd_create(2)`: files in memory without a name.
//!
//! They are in a file system that is mounted nowhere and has the limits of others in memory. Seals are not there.

use alloc::sync::Arc;

use kcore::fs::{self, AccessId, Made, Making, Mountable, OpenFlags};
use kcore::sync::Once;
use linux_raw_sys::general as linux;

use super::argument::{Bits, Text};
use super::errno::Errno;
use super::user::Path;
use super::{Answer, Caller, path};
use crate::task::filesystems;

/// Where the files are.
static FILES: Once<Arc<dyn Mountable>> = Once::new();
/// The longest name: `NAME_MAX` less that of `memfd:` (mm/memfd.c).
const NAME_MAX: usize = fs::NAME_MAX - b"memfd:".len();
/// Anybody may do anything with the file, who has it.
const PERMISSIONS: u16 = 0o777;

pub(super) fn memfd_create(caller: &mut Caller<'_>, name: Text, flags: Bits) -> Answer {
    if flags.0 & !linux::MFD_CLOEXEC != 0 {
        return Err(Errno::EINVAL);
    }
    // It is for people who look at `/proc`, which does not show it.
    let mut shown = Path::new();
    shown.read(name)?;
    if shown.bytes().len() > NAME_MAX {
        return Err(Errno::EINVAL);
    }
    let who = caller.credentials();
    let making =
        Making { what: Made::Regular, permissions: PERMISSIONS, uid: who.uid.effective, gid: who.gid.effective };
    let root = match FILES.get() {
        Some(files) => files.root(),
        // Whoever was first is right.
        None => {
            let files = filesystems::tmpfs(b"")?;
            FILES.call_once(|| files).root()
        }
    };
    let inode = root.make_unnamed(&making, false)?;
    let close = if flags.0 & linux::MFD_CLOEXEC != 0 { OpenFlags::CLOSE_ON_EXEC } else { OpenFlags::empty() };
    let flags = OpenFlags::READ_WRITE | close;
    let open = fs::open_inode(&caller.context()?, inode, flags, AccessId::ROOT)?;
    path::install_opened(caller, open, flags)
}
