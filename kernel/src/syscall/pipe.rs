//! Pipes: `pipe2(2)`, and what `fcntl(2)` knows of them.

use alloc::sync::Arc;

use kcore::addr::UserAddr;
use kcore::fs::pipe::PipeEnd;
use kcore::fs::{DescriptorFlags, Fd, OpenFile, OpenFlags};
use linux_raw_sys::general as linux;

use super::argument::Bits;
use super::errno::Errno;
use super::{Answer, Caller, file, user};
use crate::dev::clock;
use crate::task::{Kernel, PARKING, PIPES};

pub(super) fn pipe2(caller: &mut Caller<'_>, ends: UserAddr, flags: Bits) -> Answer {
    if flags.0 & !(linux::O_CLOEXEC | linux::O_NONBLOCK | linux::O_DIRECT) != 0 {
        return Err(Errno::EINVAL);
    }
    let credentials = caller.credentials();
    let owner = (credentials.uid.fs, credentials.gid.fs);
    let descriptors = file::close_on_exec(flags.0 & linux::O_CLOEXEC != 0);
    let flags = OpenFlags::from_linux(flags.0 & !linux::O_CLOEXEC);
    let (read, write) = PIPES.open(owner, clock::timestamp(), flags, credentials.is_root(), &PARKING)?;
    install_both(caller, [read, write], descriptors, ends)
}

/// Gives two files the lowest free descriptors, and stores these at `to`; both or neither.
pub(super) fn install_both(
    caller: &Caller<'_>,
    files: [Arc<OpenFile>; 2],
    flags: DescriptorFlags,
    to: UserAddr,
) -> Answer {
    let [first, second] = files;
    let first = descriptor(file::install(caller, first, flags, Fd::ZERO)?);
    let second = match file::install(caller, second, flags, Fd::ZERO) {
        Ok(second) => descriptor(second),
        Err(error) => {
            close(caller, first)?;
            return Err(error);
        }
    };
    if let Err(error) = user::write(to, &[first, second]) {
        close(caller, first)?;
        close(caller, second)?;
        return Err(error);
    }
    Ok(0)
}

/// A descriptor out of a register.
#[expect(clippy::cast_possible_truncation, reason = "descriptors have 32 bits")]
pub(super) const fn descriptor(register: u64) -> u32 {
    register as u32
}

/// Closes a descriptor that the caller has just been given.
pub(super) fn close(caller: &Caller<'_>, descriptor: u32) -> Result<(), Errno> {
    let closed = caller.files()?.lock().close(Fd::new(descriptor));
    drop(closed);
    Ok(())
}

/// `F_GETPIPE_SZ` (`linux/fcntl.h`).
pub(super) const F_GETPIPE_SZ: u32 = linux::F_SETPIPE_SZ + 1;

/// The end of a pipe that `file` is, if it is one.
pub(super) fn end(file: &OpenFile) -> Option<Arc<PipeEnd<Kernel>>> {
    let operations = Arc::clone(file.operations()?);
    operations.as_any()?.downcast().ok()
}

/// `F_GETPIPE_SZ`
pub(super) fn capacity(file: &OpenFile) -> Answer {
    Ok(end(file).ok_or(Errno::EBADF)?.capacity() as u64)
}

/// `F_SETPIPE_SZ`
pub(super) fn set_capacity(caller: &Caller<'_>, file: &OpenFile, bytes: u32) -> Answer {
    let end = end(file).ok_or(Errno::EBADF)?;
    if bytes > 1 << 31 {
        return Err(Errno::EINVAL);
    }
    Ok(end.set_capacity(bytes as usize, caller.credentials().is_root())? as u64)
}

/// Lets a pipe know of `O_DIRECT`, which `F_SETFL` has changed.
pub(super) fn set_packets(file: &OpenFile, flags: OpenFlags) {
    if let Some(end) = end(file) {
        end.set_packets(flags.contains(OpenFlags::DIRECT));
    }
}
