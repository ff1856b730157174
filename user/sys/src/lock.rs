//! Locks on files: `flock`, and those of `fcntl`.

use std::os::fd::AsRawFd;

use bsd::Errno;

use crate::call::{call, input, int, output};
use crate::number;

/// A lock on a whole file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Whole {
    /// Others may have it, too.
    Shared = 1,
    /// Nobody else has one.
    Exclusive = 2,
    /// None.
    None = 8,
}

/// `flock` without waiting.
///
/// # Errors
///
/// As of the call; `AGAIN` where it would have to wait.
pub fn whole(file: &impl AsRawFd, lock: Whole) -> Result<(), Errno> {
    const NONBLOCK: usize = 4;
    // SAFETY: no memory.
    unsafe { call(number::FLOCK, [int(file.as_raw_fd()), lock as usize | NONBLOCK]) }?;
    Ok(())
}

/// `flock`.
///
/// # Errors
///
/// As of the call.
pub fn wait_whole(file: &impl AsRawFd, lock: Whole) -> Result<(), Errno> {
    // SAFETY: no memory.
    unsafe { call(number::FLOCK, [int(file.as_raw_fd()), lock as usize]) }?;
    Ok(())
}

/// A lock on a range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Others may read, too.
    Read = 0,
    /// Nobody else has one.
    Write = 1,
    /// None.
    Unlock = 2,
}

/// Whose it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner {
    /// The process's.
    Process = 5,
    /// The open file's.
    OpenFile = 36,
}

/// Bytes of a file; to its end, if there are none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    /// The first.
    pub start: i64,
    /// How many.
    pub bytes: i64,
}

/// `struct flock`.
#[repr(C)]
struct Lock {
    kind: i16,
    whence: i16,
    start: i64,
    bytes: i64,
    pid: i32,
}

impl Lock {
    const fn new(kind: Kind, range: Range) -> Self {
        Self { kind: kind as i16, whence: 0, start: range.start, bytes: range.bytes, pid: 0 }
    }
}

fn control(file: &impl AsRawFd, command: usize, lock: &Lock) -> Result<(), Errno> {
    // SAFETY: a `struct flock` is read.
    unsafe { call(number::FCNTL, [int(file.as_raw_fd()), command, input(lock)]) }?;
    Ok(())
}

/// Sets a lock, or takes it away, without waiting.
///
/// # Errors
///
/// As of `fcntl`; `AGAIN` where it would have to wait.
pub fn set(file: &impl AsRawFd, owner: Owner, kind: Kind, range: Range) -> Result<(), Errno> {
    control(file, owner as usize + 1, &Lock::new(kind, range))
}

/// The same, and waits.
///
/// # Errors
///
/// As of `fcntl`.
pub fn wait(file: &impl AsRawFd, owner: Owner, kind: Kind, range: Range) -> Result<(), Errno> {
    control(file, owner as usize + 2, &Lock::new(kind, range))
}

/// What is in the way of a lock: its kind, its range and the number of its process.
///
/// # Errors
///
/// As of `fcntl`.
pub fn find(file: &impl AsRawFd, owner: Owner, kind: Kind, range: Range) -> Result<Option<(Kind, Range, i32)>, Errno> {
    let mut lock = Lock::new(kind, range);
    // SAFETY: a `struct flock` is read and stored.
    unsafe { call(number::FCNTL, [int(file.as_raw_fd()), owner as usize, output(&mut lock)]) }?;
    let found = match lock.kind {
        0 => Kind::Read,
        1 => Kind::Write,
        _ => return Ok(None),
    };
    Ok(Some((found, Range { start: lock.start, bytes: lock.bytes }, lock.pid)))
}
