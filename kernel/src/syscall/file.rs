//! Open files: `read(2)`, `write(2)` and their kin, `lseek(2)`, `fstat(2)`, `getdents64(2)`, `fcntl(2)`, `ioctl(2)`, `dup(2)`,
//! `close(2)`.

use alloc::sync::Arc;

use kcore::addr::UserAddr;
use kcore::fs::{DescriptorFlags, Fd, OpenFile, OpenFlags, Whence};
use kcore::hal::UserMemory;
use kcore::proc::Parting;
use kcore::proc::limit::Resource;
use kcore::vm::MemorySystem;
use linux_raw_sys::{general as linux, ioctl};

use super::argument::{Bits, Descriptor};
use super::errno::Errno;
use super::user::Pieces;
use super::{Answer, Caller, WholeCaller, lock, pipe, process};
use crate::arch::user_copy::CurrentUser;
use crate::mem::user::MEMORY;

pub(super) fn read(caller: &mut WholeCaller<'_>, file: Descriptor, to: UserAddr, bytes: u64) -> Answer {
    transfer_in(caller, file, Pieces::one(to, bytes))
}

pub(super) fn write(caller: &mut WholeCaller<'_>, file: Descriptor, from: UserAddr, bytes: u64) -> Answer {
    transfer_out(caller, file, Pieces::one(from, bytes))
}

pub(super) fn readv(caller: &mut WholeCaller<'_>, file: Descriptor, pieces: UserAddr, count: i32) -> Answer {
    transfer_in(caller, file, Pieces::many(pieces, count)?)
}

pub(super) fn writev(caller: &mut WholeCaller<'_>, file: Descriptor, pieces: UserAddr, count: i32) -> Answer {
    transfer_out(caller, file, Pieces::many(pieces, count)?)
}

fn transfer_in(caller: &mut WholeCaller<'_>, file: Descriptor, mut pieces: Pieces) -> Answer {
    let file = caller.file(file)?;
    caller.restarting(|_| Ok(file.read(&mut pieces)? as u64))
}

fn transfer_out(caller: &mut WholeCaller<'_>, file: Descriptor, mut pieces: Pieces) -> Answer {
    let file = caller.file(file)?;
    caller.restarting(|caller| Ok(caller.heeding_limit(file.write(&mut pieces))? as u64))
}

/// An offset that may not be negative.
pub(super) fn offset(offset: i64) -> Result<u64, Errno> {
    u64::try_from(offset).map_err(|_| Errno::EINVAL)
}

pub(super) fn pread64(caller: &mut Caller<'_>, file: Descriptor, to: UserAddr, bytes: u64, at: i64) -> Answer {
    let at = offset(at)?;
    let file = caller.file(file)?;
    Ok(file.read_at(at, &mut Pieces::one(to, bytes))? as u64)
}

pub(super) fn pwrite64(caller: &mut Caller<'_>, file: Descriptor, from: UserAddr, bytes: u64, at: i64) -> Answer {
    let at = offset(at)?;
    let file = caller.file(file)?;
    let written = file.write_at(at, &mut Pieces::one(from, bytes));
    Ok(caller.heeding_limit(written)? as u64)
}

pub(super) fn lseek(caller: &mut Caller<'_>, file: Descriptor, by: i64, whence: u32) -> Answer {
    let file = caller.file(file)?;
    let whence = Whence::from_linux(whence).ok_or(Errno::EINVAL)?;
    Ok(file.seek(by, whence)?)
}

pub(super) fn fstat(caller: &mut Caller<'_>, file: Descriptor, to: UserAddr) -> Answer {
    let stat = caller.file(file)?.metadata().to_stat();
    CurrentUser.copy_out(&stat, to)?;
    Ok(0)
}

pub(super) fn getdents64(caller: &mut Caller<'_>, file: Descriptor, to: UserAddr, bytes: u64) -> Answer {
    let file = caller.file(file)?;
    Ok(file.read_directory(&mut Pieces::one(to, bytes))? as u64)
}

pub(super) fn ioctl(caller: &mut WholeCaller<'_>, file: Descriptor, request: u32, argument: u64) -> Answer {
    let number = file;
    let file = caller.file(file)?;
    match request {
        ioctl::FIOCLEX => set_descriptor_flags(caller, number, DescriptorFlags::CLOSE_ON_EXEC),
        ioctl::FIONCLEX => set_descriptor_flags(caller, number, DescriptorFlags::empty()),
        _ => caller.restarting(|_| Ok(file.ioctl(request, argument, &CurrentUser)?)),
    }
}

fn set_descriptor_flags(caller: &Caller<'_>, file: Descriptor, flags: DescriptorFlags) -> Answer {
    caller.files()?.lock().set_flags(file.fd()?, flags)?;
    Ok(0)
}

/// How many descriptors the caller may have.
pub(super) fn most_files(caller: &Caller<'_>) -> u64 {
    caller.process().limits().soft(Resource::OpenFiles)
}

/// Gives `file` the lowest free descriptor from `least` on.
pub(super) fn install(caller: &Caller<'_>, file: Arc<OpenFile>, flags: DescriptorFlags, least: Fd) -> Answer {
    if !MEMORY.has_room() {
        return Err(Errno::ENOMEM);
    }
    let most = most_files(caller);
    let fd = caller.files()?.lock().insert(file, flags, least, most)?;
    Ok(fd.get().into())
}

pub(super) fn close_on_exec(set: bool) -> DescriptorFlags {
    if set { DescriptorFlags::CLOSE_ON_EXEC } else { DescriptorFlags::empty() }
}

pub(super) fn dup(caller: &mut Caller<'_>, file: Descriptor) -> Answer {
    let open = caller.file(file)?;
    install(caller, open, DescriptorFlags::empty(), Fd::ZERO)
}

pub(super) fn dup3(caller: &mut Caller<'_>, from: Descriptor, to: Descriptor, flags: Bits) -> Answer {
    if flags.0 & !linux::O_CLOEXEC != 0 || from == to {
        return Err(Errno::EINVAL);
    }
    let most = most_files(caller);
    let flags = close_on_exec(flags.0 & linux::O_CLOEXEC != 0);
    let replaced = caller.files()?.lock().duplicate_to(from.fd()?, to.fd()?, flags, most)?;
    // Closed without the table's lock.
    drop(replaced);
    Ok(to.fd()?.get().into())
}

pub(super) fn fcntl(caller: &mut WholeCaller<'_>, file: Descriptor, command: u32, argument: u64) -> Answer {
    let number = file;
    let file = caller.file(file)?;
    if lock::is_command(command) {
        return lock::control(caller, number, &file, command, UserAddr::new(argument));
    }
    #[expect(clippy::cast_possible_truncation, reason = "an int in a register")]
    let argument = argument as u32;
    match command {
        linux::F_DUPFD | linux::F_DUPFD_CLOEXEC => {
            if u64::from(argument) >= most_files(caller) {
                return Err(Errno::EINVAL);
            }
            install(caller, file, close_on_exec(command == linux::F_DUPFD_CLOEXEC), Fd::new(argument))
        }
        linux::F_GETFD => {
            let flags = caller.files()?.lock().flags(number.fd()?).ok_or(Errno::EBADF)?;
            Ok(flags.bits().into())
        }
        linux::F_SETFD => set_descriptor_flags(caller, number, DescriptorFlags::from_bits_truncate(argument)),
        linux::F_GETFL => Ok(file.status().bits().into()),
        linux::F_SETFL => {
            let flags = OpenFlags::from_linux(argument);
            file.set_status(flags)?;
            pipe::set_packets(&file, flags);
            Ok(0)
        }
        linux::F_SETPIPE_SZ => pipe::set_capacity(caller, &file, argument),
        pipe::F_GETPIPE_SZ => pipe::capacity(&file),
        _ => Err(Errno::EINVAL),
    }
}

pub(super) fn close(caller: &mut Caller<'_>, file: Descriptor) -> Answer {
    let closed = caller.files()?.lock().close(file.fd()?);
    // Dropped without the table's lock: the last reference ends more than the descriptor.
    closed.map_or(Err(Errno::EBADF), |_| Ok(0))
}

/// `CLOSE_RANGE_UNSHARE`, `CLOSE_RANGE_CLOEXEC` (`linux/close_range.h`).
const CLOSE_RANGE_UNSHARE: u32 = 1 << 1;
const CLOSE_RANGE_CLOEXEC: u32 = 1 << 2;

pub(super) fn close_range(caller: &mut Caller<'_>, first: u32, last: u32, flags: Bits) -> Answer {
    if first > last || flags.0 & !(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC) != 0 {
        return Err(Errno::EINVAL);
    }
    if flags.0 & CLOSE_RANGE_UNSHARE != 0 {
        process::part(caller, Parting { files: true, context: false })?;
    }
    let files = caller.files()?;
    let (mut first, last) = (Fd::new(first), Fd::new(last));
    if flags.0 & CLOSE_RANGE_CLOEXEC != 0 {
        files.lock().mark_close_on_exec(first, last);
        return Ok(0);
    }
    // One at a time, so that none is ended under the lock.
    loop {
        let closed = files.lock().close_next(first, last);
        match closed.and_then(|(fd, _)| fd.next()) {
            Some(next) => first = next,
            None => return Ok(0),
        }
    }
}
