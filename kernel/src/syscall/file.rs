//! Open files: `read(2)`, `write(2)` and their kin, `lseek(2)`, `fstat(2)`, `getdents64(2)`, `fcntl(2)`, `ioctl(2)`, `dup(2)`,
//! `close(2)`, `ppoll(2)`.

use alloc::sync::Arc;
use alloc::vec::Vec;

use kcore::addr::UserAddr;
use kcore::fs::{DescriptorFlags, Fd, OpenFile, OpenFlags, Readiness, Whence};
use kcore::hal::UserMemory;
use kcore::proc::limit::Resource;
use kcore::vm::MemorySystem;
use linux_raw_sys::{general as linux, ioctl};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::argument::{Bits, Descriptor, Maybe};
use super::errno::Errno;
use super::time::TimeSpec;
use super::user::{self, Pieces};
use super::{Again, Answer, Caller};
use crate::arch::user_copy::CurrentUser;
use crate::dev::clock;
use crate::mem::user::MEMORY;
use crate::task::{self, Slept};

pub(super) fn read(caller: &mut Caller<'_>, file: Descriptor, to: UserAddr, bytes: u64) -> Answer {
    transfer_in(caller, file, Pieces::one(to, bytes))
}

pub(super) fn write(caller: &mut Caller<'_>, file: Descriptor, from: UserAddr, bytes: u64) -> Answer {
    transfer_out(caller, file, Pieces::one(from, bytes))
}

pub(super) fn readv(caller: &mut Caller<'_>, file: Descriptor, pieces: UserAddr, count: i32) -> Answer {
    transfer_in(caller, file, Pieces::many(pieces, count)?)
}

pub(super) fn writev(caller: &mut Caller<'_>, file: Descriptor, pieces: UserAddr, count: i32) -> Answer {
    transfer_out(caller, file, Pieces::many(pieces, count)?)
}

fn transfer_in(caller: &mut Caller<'_>, file: Descriptor, mut pieces: Pieces) -> Answer {
    let file = caller.file(file)?;
    caller.restarting(|_| Ok(file.read(&mut pieces)? as u64))
}

fn transfer_out(caller: &mut Caller<'_>, file: Descriptor, mut pieces: Pieces) -> Answer {
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

pub(super) fn ioctl(caller: &mut Caller<'_>, file: Descriptor, request: u32, argument: u64) -> Answer {
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
fn most_files(caller: &Caller<'_>) -> u64 {
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

fn close_on_exec(set: bool) -> DescriptorFlags {
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

pub(super) fn fcntl(caller: &mut Caller<'_>, file: Descriptor, command: u32, argument: u64) -> Answer {
    let number = file;
    let file = caller.file(file)?;
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
            file.set_status(OpenFlags::from_linux(argument))?;
            Ok(0)
        }
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
        return Err(Errno::EOPNOTSUPP);
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

/// `struct pollfd`.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct PollFile {
    file: i32,
    events: u16,
    found: u16,
}

/// `POLLERR`, `POLLHUP` and `POLLNVAL` are told whether they were asked for or not.
const ALWAYS_TOLD: u16 = 0x8 | 0x10 | 0x20;
const POLLNVAL: u16 = 0x20;
/// How long a look at files that are not ready lasts before the next one.
const LOOK_NS: u64 = 1_000_000;

pub(super) fn ppoll(
    caller: &mut Caller<'_>,
    array: UserAddr,
    count: u32,
    timeout: Maybe,
    mask: Maybe,
    mask_bytes: u64,
) -> Answer {
    let most = most_files(caller);
    if u64::from(count) > most {
        return Err(Errno::EINVAL);
    }
    let timeout_ns = user::read_if::<TimeSpec>(timeout)?.map(TimeSpec::to_ns).transpose()?;
    let mask = mask.0.map(|mask| super::signal::read_set(mask, mask_bytes)).transpose()?;
    let count = count as usize;
    let mut files = Vec::new();
    files.try_reserve_exact(count).map_err(|_| Errno::ENOMEM)?;
    for index in 0..count {
        files.push(user::read::<PollFile>(at(array, index)?)?);
    }
    let deadline_ns = timeout_ns.map(|ns| clock::now_ns().saturating_add(ns));
    caller.again = Again::Never;
    let ready = caller.with_mask(mask, |caller| caller.restarting(|caller| poll(caller, &mut files, deadline_ns)))?;
    for (index, file) in files.iter().enumerate() {
        user::write(at(array, index)?, file)?;
    }
    Ok(ready)
}

fn at(array: UserAddr, index: usize) -> Result<UserAddr, Errno> {
    array.checked_add((index * size_of::<PollFile>()) as u64).ok_or(Errno::EFAULT)
}

fn poll(caller: &Caller<'_>, files: &mut [PollFile], deadline_ns: Option<u64>) -> Answer {
    loop {
        let ready = files.iter_mut().map(|file| u64::from(look(caller, file))).sum();
        let now_ns = clock::now_ns();
        if ready > 0 || deadline_ns.is_some_and(|deadline_ns| deadline_ns <= now_ns) {
            return Ok(ready);
        }
        let again_ns = deadline_ns.unwrap_or(u64::MAX).min(now_ns.saturating_add(LOOK_NS));
        let again_ns = if files.is_empty() { deadline_ns.unwrap_or(u64::MAX) } else { again_ns };
        if task::sleep_until(again_ns, || caller.is_interrupted()) == Slept::Interrupted {
            return Err(Errno::EINTR);
        }
    }
}

/// Notes what is the matter with a file, and says whether that is worth telling.
fn look(caller: &Caller<'_>, file: &mut PollFile) -> bool {
    file.found = 0;
    if file.file < 0 {
        return false;
    }
    let ready = caller.file(Descriptor(file.file)).ok().and_then(|open| open.readiness().ok());
    file.found = match ready.map(|ready: Readiness| ready.bits()) {
        Some(ready) => u16::try_from(ready).unwrap_or(0) & (file.events | ALWAYS_TOLD),
        None => POLLNVAL,
    };
    file.found != 0
}
