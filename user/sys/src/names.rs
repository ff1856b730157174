//! Names of files and what is behind them, beyond what `std` shows.

use std::ffi::CStr;
use std::os::fd::{AsRawFd, FromRawFd as _, OwnedFd};

use bsd::Errno;

use crate::call::{call, input, int, output, text, to_int};
use crate::number;

/// Paths are seen from the current directory.
const AT_FDCWD: i32 = -100;

/// Flags of `open`, to be added up.
pub mod flag {
    /// For writing only.
    pub const WRITE: usize = 1;
    /// For reading and writing.
    pub const READ_WRITE: usize = 2;
    /// Made where it is not there.
    pub const CREATE: usize = 0o100;
    /// Each write goes to the end.
    pub const APPEND: usize = 0o2000;
    /// A directory, nothing else.
    pub const DIRECTORY: usize = 0o4_0000;
    /// Only the place.
    pub const PATH: usize = 0o1000_0000;
    /// A file without a name, in this directory.
    pub const TEMPORARY: usize = 0o2000_0000 | DIRECTORY;
}

/// Opens a file; a new one gets the permissions `mode`.
///
/// # Errors
///
/// As of `openat`.
pub fn open(path: &CStr, flags: usize, mode: usize) -> Result<OwnedFd, Errno> {
    // SAFETY: the path is read.
    let descriptor = unsafe { call(number::OPENAT, [int(AT_FDCWD), text(path), flags, mode]) }?;
    // SAFETY: new, and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(to_int(descriptor)) })
}

/// Makes a node: a file type and permissions, and a device.
///
/// # Errors
///
/// As of `mknodat`.
pub fn make_node(path: &CStr, mode: usize, device: usize) -> Result<(), Errno> {
    // SAFETY: the path is read.
    unsafe { call(number::MKNODAT, [int(AT_FDCWD), text(path), mode, device]) }?;
    Ok(())
}

/// `renameat2`: 1 fails where the new name is taken, 2 exchanges both.
///
/// # Errors
///
/// As of the call.
pub fn rename(from: &CStr, to: &CStr, flags: usize) -> Result<(), Errno> {
    let [old, new] = [from, to].map(text);
    // SAFETY: the paths are read.
    unsafe { call(number::RENAMEAT2, [int(AT_FDCWD), old, int(AT_FDCWD), new, flags]) }?;
    Ok(())
}

/// Gives an open file a name (`linkat` with `AT_EMPTY_PATH`).
///
/// # Errors
///
/// As of the call.
pub fn link_open(file: &impl AsRawFd, path: &CStr) -> Result<(), Errno> {
    const AT_EMPTY_PATH: usize = 0x1000;
    let file = int(file.as_raw_fd());
    // SAFETY: the paths are read.
    unsafe { call(number::LINKAT, [file, text(c""), int(AT_FDCWD), text(path), AT_EMPTY_PATH]) }?;
    Ok(())
}

/// `fallocate`.
///
/// # Errors
///
/// As of the call.
pub fn allocate(file: &impl AsRawFd, mode: usize, start: usize, bytes: usize) -> Result<(), Errno> {
    // SAFETY: no memory.
    unsafe { call(number::FALLOCATE, [int(file.as_raw_fd()), mode, start, bytes]) }?;
    Ok(())
}

/// `lseek` with any `whence`: 3 looks for data, 4 for a hole.
///
/// # Errors
///
/// As of the call.
pub fn seek(file: &impl AsRawFd, by: usize, whence: usize) -> Result<usize, Errno> {
    // SAFETY: no memory.
    unsafe { call(number::LSEEK, [int(file.as_raw_fd()), by, whence]) }
}

/// `sendfile` from the file's offset.
///
/// # Errors
///
/// As of the call.
pub fn send(to: &impl AsRawFd, from: &impl AsRawFd, bytes: usize) -> Result<usize, Errno> {
    // SAFETY: no memory.
    unsafe { call(number::SENDFILE, [int(to.as_raw_fd()), int(from.as_raw_fd()), 0, bytes]) }
}

/// `copy_file_range` from and to places of its own; moves them on.
///
/// # Errors
///
/// As of the call.
pub fn copy(
    from: &impl AsRawFd,
    from_place: &mut u64,
    to: &impl AsRawFd,
    to_place: &mut u64,
    bytes: usize,
) -> Result<usize, Errno> {
    let [from, to] = [from.as_raw_fd(), to.as_raw_fd()].map(int);
    // SAFETY: two numbers are read and stored.
    unsafe { call(number::COPY_FILE_RANGE, [from, output(from_place), to, output(to_place), bytes, 0]) }
}

/// Type, blocks, free blocks, files and free files of the file system that `path` is in.
///
/// # Errors
///
/// As of `statfs`.
pub fn file_system(path: &CStr) -> Result<[u64; 5], Errno> {
    let mut status = [0_u64; 15];
    // SAFETY: a `struct statfs` of 120 bytes is stored.
    unsafe { call(number::STATFS, [text(path), output(&mut status)]) }?;
    let [kind, _, blocks, free, _, files, free_files, ..] = status;
    Ok([kind, blocks, free, files, free_files])
}

/// `utimensat`: seconds and nanoseconds of the access and of the change.
///
/// # Errors
///
/// As of the call.
pub fn set_times(path: &CStr, times: Option<&[[i64; 2]; 2]>) -> Result<(), Errno> {
    let times = times.map_or(0, input);
    // SAFETY: two `struct timespec` are read.
    unsafe { call(number::UTIMENSAT, [int(AT_FDCWD), text(path), times, 0]) }?;
    Ok(())
}
