//! Extended attributes (`xattr(7)`). No file system here has any: a file has an empty list of them, and to read, set or remove
//! one is `EOPNOTSUPP`, once the file and the attribute's name have been found sound.

use kcore::addr::UserAddr;
use linux_raw_sys::general as linux;

use super::argument::{Bits, Descriptor, Text};
use super::errno::Errno;
use super::path::find;
use super::user::Path;
use super::{Answer, Caller};

/// The longest name of an attribute: `XATTR_NAME_MAX`.
const NAME_MAX: usize = 255;

/// Looks for the file of a path, and at its last link where `flags` do not say otherwise.
fn at_path(caller: &Caller<'_>, path: Text, flags: u32) -> Result<(), Errno> {
    find(caller, Descriptor(linux::AT_FDCWD), path, flags).map(drop)
}

fn at_file(caller: &Caller<'_>, file: Descriptor) -> Result<(), Errno> {
    caller.file(file).map(drop)
}

/// The answer for any attribute of a file that is there.
fn none(name: Text) -> Answer {
    let mut text = Path::new();
    text.read(name)?;
    if (1..=NAME_MAX).contains(&text.bytes().len()) { Err(Errno::EOPNOTSUPP) } else { Err(Errno::ERANGE) }
}

/// The same for one that is to be set.
fn none_to_set(name: Text, flags: Bits) -> Answer {
    let known = linux::XATTR_CREATE | linux::XATTR_REPLACE;
    if flags.0 & !known != 0 { Err(Errno::EINVAL) } else { none(name) }
}

macro_rules! on_files {
    ($($by_path:ident, $by_link:ident, $by_file:ident($($argument:ident: $type:ty),*) => $answer:expr;)*) => {$(
        pub(super) fn $by_path(caller: &mut Caller<'_>, path: Text $(, $argument: $type)*) -> Answer {
            at_path(caller, path, 0)?;
            $answer
        }

        pub(super) fn $by_link(caller: &mut Caller<'_>, path: Text $(, $argument: $type)*) -> Answer {
            at_path(caller, path, linux::AT_SYMLINK_NOFOLLOW)?;
            $answer
        }

        pub(super) fn $by_file(caller: &mut Caller<'_>, file: Descriptor $(, $argument: $type)*) -> Answer {
            at_file(caller, file)?;
            $answer
        }
    )*};
}

on_files! {
    setxattr, lsetxattr, fsetxattr(name: Text, _value: UserAddr, _bytes: u64, flags: Bits) => none_to_set(name, flags);
    getxattr, lgetxattr, fgetxattr(name: Text, _to: UserAddr, _bytes: u64) => none(name);
    removexattr, lremovexattr, fremovexattr(name: Text) => none(name);
    listxattr, llistxattr, flistxattr(_to: UserAddr, _bytes: u64) => Ok(0);
}
