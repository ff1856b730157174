//! Locks on files: `flock(2)`, and those of `fcntl(2)`.

use alloc::sync::Arc;

use kcore::addr::UserAddr;
use kcore::fs::{Blocking, FileLocks, LockKind, LockOwner, LockRange, OpenFile, RangeLock, Seeking, Whence};
use linux_raw_sys::general as linux;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::argument::{Bits, Descriptor};
use super::errno::Errno;
use super::{Answer, WholeCaller, user};
use crate::task::Kernel;

/// All locks.
static LOCKS: FileLocks<Kernel> = FileLocks::new();

pub(super) fn flock(caller: &mut WholeCaller<'_>, file: Descriptor, operation: Bits) -> Answer {
    let open = caller.file(file)?;
    if open.operations().is_none() {
        return Err(Errno::EBADF);
    }
    let blocking = if operation.0 & linux::LOCK_NB != 0 { Blocking::No } else { Blocking::Yes };
    let kind = match operation.0 & !linux::LOCK_NB {
        linux::LOCK_SH => LockKind::Shared,
        linux::LOCK_EX => LockKind::Exclusive,
        linux::LOCK_UN => {
            LOCKS.unlock_whole(open.inode().id(), open.lock_owner(&LOCKS));
            return Ok(0);
        }
        _ => return Err(Errno::EINVAL),
    };
    let owner = open.lock_owner(&LOCKS);
    caller.restarting(|_| Ok(LOCKS.lock_whole(open.inode().id(), owner, kind, blocking)?))?;
    Ok(0)
}

/// `struct flock`.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Lock {
    kind: i16,
    whence: i16,
    padding: i32,
    start: i64,
    bytes: i64,
    pid: i32,
    padding_behind: i32,
}

/// `F_RDLCK`, `F_WRLCK`, `F_UNLCK`.
const READ: i16 = 0;
const WRITE: i16 = 1;
const UNLOCK: i16 = 2;

/// Whether `fcntl` with this command is about locks.
pub(super) fn is_command(command: u32) -> bool {
    matches!(
        command,
        linux::F_GETLK
            | linux::F_SETLK
            | linux::F_SETLKW
            | linux::F_OFD_GETLK
            | linux::F_OFD_SETLK
            | linux::F_OFD_SETLKW
    )
}

/// Such an `fcntl`.
pub(super) fn control(
    caller: &mut WholeCaller<'_>,
    number: Descriptor,
    open: &Arc<OpenFile>,
    command: u32,
    at: UserAddr,
) -> Answer {
    if open.operations().is_none() {
        return Err(Errno::EBADF);
    }
    let mut lock: Lock = user::read(at)?;
    let of_file = matches!(command, linux::F_OFD_GETLK | linux::F_OFD_SETLK | linux::F_OFD_SETLKW);
    if of_file && lock.pid != 0 {
        return Err(Errno::EINVAL);
    }
    let range = range(open, &lock)?;
    let owner =
        if of_file { LockOwner::File(open.lock_owner(&LOCKS)) } else { caller.files()?.lock().lock_owner(&LOCKS) };
    let pid = caller.process().pid().0;
    let file = open.inode().id();
    let kind = match lock.kind {
        READ => LockKind::Shared,
        WRITE => LockKind::Exclusive,
        UNLOCK if !matches!(command, linux::F_GETLK | linux::F_OFD_GETLK) => {
            LOCKS.unset(file, owner, range)?;
            return Ok(0);
        }
        _ => return Err(Errno::EINVAL),
    };
    let wanted = RangeLock { owner, pid, kind, range };
    let blocking = match command {
        linux::F_GETLK | linux::F_OFD_GETLK => {
            describe(&mut lock, LOCKS.conflict(file, &wanted));
            user::write(at, &lock)?;
            return Ok(0);
        }
        linux::F_SETLKW | linux::F_OFD_SETLKW => Blocking::Yes,
        _ => Blocking::No,
    };
    let allowed = match kind {
        LockKind::Shared => open.status().is_readable(),
        LockKind::Exclusive => open.status().is_writable(),
    };
    if !allowed {
        return Err(Errno::EBADF);
    }
    caller.restarting(|_| Ok(LOCKS.set(file, wanted, blocking)?))?;
    // Another thread may have closed the descriptor meanwhile, and with it given up a lock that was not there yet.
    let is_open = {
        let files = caller.files()?;
        let files = files.lock();
        files.file(number.fd()?).is_some_and(|now| Arc::ptr_eq(now, open))
    };
    if !of_file && !is_open {
        LOCKS.unset(file, owner, range)?;
        return Err(Errno::EBADF);
    }
    Ok(0)
}

/// The bytes that a program means: from `start` on, or before it where there are less than none; to the end for none.
fn range(open: &OpenFile, lock: &Lock) -> Result<LockRange, Errno> {
    let base = match Whence::from_linux(u32::from(lock.whence.cast_unsigned())) {
        Some(Whence::Start) => 0,
        Some(Whence::Current) => open.seek(0, Whence::Current).unwrap_or(0).cast_signed(),
        Some(Whence::End) => match open.operations().map(|file| file.seeking()) {
            Some(Seeking::Bytes { end }) => end.cast_signed(),
            _ => 0,
        },
        _ => return Err(Errno::EINVAL),
    };
    let start = base.checked_add(lock.start).ok_or(Errno::EOVERFLOW)?;
    let (first, last) = match lock.bytes {
        0 => (start, LockRange::END.cast_signed()),
        1.. => (start, start.checked_add(lock.bytes - 1).ok_or(Errno::EOVERFLOW)?),
        _ => (start.checked_add(lock.bytes).ok_or(Errno::EINVAL)?, start - 1),
    };
    let [first, last] = [first, last].map(|byte| u64::try_from(byte).map_err(|_| Errno::EINVAL));
    Ok(LockRange { first: first?, last: last? })
}

/// What `F_GETLK` tells of a lock that is in the way, or that there is none.
fn describe(lock: &mut Lock, found: Option<RangeLock>) {
    let Some(RangeLock { owner, pid, kind, range }) = found else {
        lock.kind = UNLOCK;
        return;
    };
    lock.kind = if kind == LockKind::Shared { READ } else { WRITE };
    lock.whence = 0;
    lock.start = range.first.cast_signed();
    lock.bytes = if range.last == LockRange::END { 0 } else { (range.last - range.first + 1).cast_signed() };
    lock.pid = match owner {
        LockOwner::Table(_) => pid.cast_signed(),
        LockOwner::File(_) => -1,
    };
}
