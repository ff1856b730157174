//! `execve(2)` and `execveat(2)`: another program in the place of the caller's.

use alloc::sync::Arc;

use kcore::addr::UserAddr;
use kcore::elf::stack::{Arguments, FillError, Piece, total_limit};
use kcore::fs::{self, Base, Follow};
use kcore::proc::limit::Resource;
use linux_raw_sys::general as linux;

use super::argument::{Bits, Descriptor, Text};
use super::errno::Errno;
use super::path::access_id;
use super::user::Path;
use super::{Answer, WholeCaller};
use crate::arch::user_copy;
use crate::task::program;

pub(super) fn execve(caller: &mut WholeCaller<'_>, path: Text, arguments: UserAddr, environment: UserAddr) -> Answer {
    execveat(caller, Descriptor(linux::AT_FDCWD), path, arguments, environment, Bits(0))
}

pub(super) fn execveat(
    caller: &mut WholeCaller<'_>,
    directory: Descriptor,
    path: Text,
    arguments: UserAddr,
    environment: UserAddr,
    flags: Bits,
) -> Answer {
    if flags.0 & !(linux::AT_EMPTY_PATH | linux::AT_SYMLINK_NOFOLLOW) != 0 {
        return Err(Errno::EINVAL);
    }
    let from = path;
    let mut path = Path::new();
    path.read(from)?;
    let follow = if flags.0 & linux::AT_SYMLINK_NOFOLLOW != 0 { Follow::No } else { Follow::Yes };
    let context = caller.context()?;
    let credentials = caller.credentials();
    let id = access_id(credentials.access_ids());
    let file = if path.bytes().is_empty() && flags.0 & linux::AT_EMPTY_PATH != 0 {
        fs::open_program_inode(&context, Arc::clone(caller.file(directory)?.inode()), id)?
    } else if directory.0 == linux::AT_FDCWD || path.bytes().first() == Some(&b'/') {
        fs::open_program(&context, Base::Working, path.bytes(), follow, id)?
    } else {
        let base = caller.file(directory)?;
        fs::open_program(&context, Base::At(base.inode()), path.bytes(), follow, id)?
    };
    let stack = caller.process().limits().soft(Resource::Stack);
    let mut strings = Arguments::new(total_limit(stack));
    gather(&mut strings, arguments)?;
    strings.begin_environment();
    gather(&mut strings, environment)?;
    *caller.whole_frame() = program::execute(caller.thread, file, path.bytes(), strings)?;
    // The new program begins with all registers zero.
    Ok(0)
}

/// Adds the strings of an array of pointers, which ends with a null pointer and may be null itself.
fn gather(strings: &mut Arguments, array: UserAddr) -> Result<(), Errno> {
    if array.get() == 0 {
        return Ok(());
    }
    let mut at = array;
    loop {
        let string = user_copy::load_u64(at)?;
        if string == 0 {
            return Ok(());
        }
        strings
            .fill(|offset, room| {
                let from = UserAddr::new(string).checked_add(offset as u64).ok_or(Errno::EFAULT)?;
                let end = user_copy::copy_in_string(from, room)?;
                Ok::<Piece, Errno>(end.map_or(Piece::More(room.len()), Piece::Last))
            })
            .map_err(|error| match error {
                FillError::Refused(refused) => refused.into(),
                FillError::Failed(errno) => errno,
            })?;
        at = at.checked_add(8).ok_or(Errno::EFAULT)?;
    }
}
