//! Descriptors, beyond what `std` shows.

use std::ffi::CStr;
use std::os::fd::{AsRawFd, FromRawFd as _, IntoRawFd as _, OwnedFd};

use bsd::Errno;

use crate::call::{call, input, int, text, to_int};
use crate::number;

/// Paths are seen from the current directory.
const AT_FDCWD: i32 = -100;
/// Close-on-exec, as a descriptor's flag.
const FD_CLOEXEC: usize = 1;
/// Close-on-exec, as a flag of `open` and `dup3`.
const O_CLOEXEC: usize = 0o200_0000;

/// Whether a descriptor outlives `execve`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnExec {
    /// It is closed.
    Close,
    /// It stays.
    Keep,
}

/// Opens a file with flags of `open`, [`OnExec::Keep`] unless they say otherwise.
///
/// # Errors
///
/// As of `openat`.
pub fn open(path: &CStr, flags: usize) -> Result<OwnedFd, Errno> {
    // SAFETY: the path is read.
    let descriptor = unsafe { call(number::OPENAT, [int(AT_FDCWD), text(path), flags, 0]) }?;
    // SAFETY: new, and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(to_int(descriptor)) })
}

/// `memfd_create`: a file in memory without a name.
///
/// # Errors
///
/// `INVAL` for a name that is too long, and for flags that there are not.
pub fn in_memory(name: &CStr, flags: usize) -> Result<OwnedFd, Errno> {
    // SAFETY: the name is read.
    let descriptor = unsafe { call(number::MEMFD_CREATE, [text(name), flags]) }?;
    // SAFETY: new, and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(to_int(descriptor)) })
}

/// How a file is opened: `struct open_how`.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[repr(C)]
pub struct How {
    /// Flags of `open`.
    pub flags: u64,
    /// Permissions of a file that is made.
    pub mode: u64,
    /// Rules for the way there, of [`rules`].
    pub resolve: u64,
    /// What no kernel knows yet.
    pub beyond: u64,
}

/// Rules for the way to a file.
pub mod rules {
    /// Only one file system.
    pub const NO_XDEV: u64 = 1;
    /// No links of the kernel's own.
    pub const NO_MAGICLINKS: u64 = 2;
    /// No links.
    pub const NO_SYMLINKS: u64 = 4;
    /// Below a directory.
    pub const BENEATH: u64 = 8;
    /// With a directory as the root.
    pub const IN_ROOT: u64 = 0x10;
    /// Without waiting for a medium.
    pub const CACHED: u64 = 0x20;
}

/// Bytes of [`How`] that `openat2` has always known.
pub const HOW_BYTES: usize = 24;

/// `openat2`, from a directory, with a structure of so many bytes.
///
/// # Errors
///
/// As of the call.
pub fn open_by(directory: &impl AsRawFd, path: &CStr, how: &How, bytes: usize) -> Result<OwnedFd, Errno> {
    // One that is longer than the structure would be read beyond it.
    let bytes = if bytes > 4096 { bytes } else { bytes.min(size_of::<How>()) };
    let arguments = [int(directory.as_raw_fd()), text(path), input(how), bytes];
    // SAFETY: the path and as much of the structure as there is are read; more than a page never is.
    let descriptor = unsafe { call(number::OPENAT2, arguments) }?;
    // SAFETY: new, and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(to_int(descriptor)) })
}

/// What [`close_range`] does beside closing: in a table of the process's own.
pub const UNSHARE: usize = 2;

/// `close_range` of this one descriptor.
///
/// # Errors
///
/// As of the call.
pub fn close_range(file: OwnedFd, flags: usize) -> Result<(), Errno> {
    let file = int(file.into_raw_fd());
    // SAFETY: no memory; the descriptor is given up.
    unsafe { call(number::CLOSE_RANGE, [file, file, flags]) }.map(drop)
}

/// Makes another descriptor for the same open file, the lowest that is free.
///
/// # Errors
///
/// `BADF`, `MFILE`.
pub fn duplicate(file: &impl AsRawFd) -> Result<OwnedFd, Errno> {
    // SAFETY: no memory.
    let descriptor = unsafe { call(number::DUP, [int(file.as_raw_fd())]) }?;
    // SAFETY: new, and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(to_int(descriptor)) })
}

/// Makes `to` another descriptor for the open file of `file`.
///
/// # Errors
///
/// As of `dup3`.
pub fn duplicate_to(file: &impl AsRawFd, to: &mut OwnedFd, on_exec: OnExec) -> Result<(), Errno> {
    let flags = if on_exec == OnExec::Close { O_CLOEXEC } else { 0 };
    // SAFETY: `to` is ours to change.
    unsafe { call(number::DUP3, [int(file.as_raw_fd()), int(to.as_raw_fd()), flags]) }?;
    Ok(())
}

/// Whether a descriptor is closed by `execve`.
///
/// # Errors
///
/// `BADF`.
pub fn on_exec(file: &impl AsRawFd) -> Result<OnExec, Errno> {
    const GETFD: usize = 1;
    // SAFETY: no memory.
    let flags = unsafe { call(number::FCNTL, [int(file.as_raw_fd()), GETFD, 0]) }?;
    Ok(if flags & FD_CLOEXEC == 0 { OnExec::Keep } else { OnExec::Close })
}

/// Sets it.
///
/// # Errors
///
/// `BADF`.
pub fn set_on_exec(file: &impl AsRawFd, on_exec: OnExec) -> Result<(), Errno> {
    const SETFD: usize = 2;
    // SAFETY: no memory.
    unsafe { call(number::FCNTL, [int(file.as_raw_fd()), SETFD, usize::from(on_exec == OnExec::Close)]) }?;
    Ok(())
}

/// Lets no child have it (`FD_CLOFORK`); it is kept over `execve`.
///
/// # Errors
///
/// `BADF`.
pub fn set_close_on_fork(file: &impl AsRawFd) -> Result<(), Errno> {
    const SETFD: usize = 2;
    const FD_CLOFORK: usize = 2;
    // SAFETY: no memory.
    unsafe { call(number::FCNTL, [int(file.as_raw_fd()), SETFD, FD_CLOFORK]) }?;
    Ok(())
}

/// Whether this number is an open descriptor.
#[must_use]
pub fn is_open(descriptor: i32) -> bool {
    const GETFD: usize = 1;
    // SAFETY: no memory.
    unsafe { call(number::FCNTL, [int(descriptor), GETFD, 0]) }.is_ok()
}

/// Makes a pipe: the end to read from, and the one to write to.
///
/// # Errors
///
/// `MFILE`; `NOSYS` where there are none.
pub fn pipe() -> Result<(OwnedFd, OwnedFd), Errno> {
    let mut ends = [0_i32; 2];
    // SAFETY: two descriptors are stored.
    unsafe { call(number::PIPE2, [crate::call::output(&mut ends), 0]) }?;
    // SAFETY: new, and nobody else's.
    let read = unsafe { OwnedFd::from_raw_fd(ends[0]) };
    // SAFETY: new, and nobody else's.
    let write = unsafe { OwnedFd::from_raw_fd(ends[1]) };
    Ok((read, write))
}

/// Sets the mask of new files; returns the one before.
///
/// # Errors
///
/// `NOSYS`.
pub fn umask(mask: u32) -> Result<u32, Errno> {
    // SAFETY: no memory.
    let before = unsafe { call(number::UMASK, [mask as usize]) }?;
    Ok(u32::try_from(before).unwrap_or(0))
}

/// Makes the descriptors 0, 1 and 2 stand for this open file.
///
/// # Errors
///
/// As of `dup3`.
pub fn replace_standard(file: &impl AsRawFd) -> Result<(), Errno> {
    for descriptor in 0..3 {
        // SAFETY: input and output go elsewhere, and nobody has these descriptors as their own.
        unsafe { call(number::DUP3, [int(file.as_raw_fd()), descriptor, 0]) }?;
    }
    Ok(())
}

/// Reads.
///
/// # Errors
///
/// As of the call.
#[inline]
pub fn read(file: &impl AsRawFd, buffer: &mut [u8]) -> Result<usize, Errno> {
    let address = buffer.as_mut_ptr().expose_provenance();
    // SAFETY: at most the buffer's bytes are stored.
    unsafe { call(number::READ, [int(file.as_raw_fd()), address, buffer.len()]) }
}

/// Writes.
///
/// # Errors
///
/// As of the call.
#[inline]
pub fn write(file: &impl AsRawFd, bytes: &[u8]) -> Result<usize, Errno> {
    // SAFETY: the bytes are read.
    unsafe { call(number::WRITE, [int(file.as_raw_fd()), bytes.as_ptr().expose_provenance(), bytes.len()]) }
}

/// Looks at a file, and forgets what it saw.
///
/// # Errors
///
/// As of `newfstatat`.
pub fn status(path: &CStr) -> Result<(), Errno> {
    let mut status = [0_u64; 16];
    // SAFETY: a `struct stat` of 128 bytes is stored.
    unsafe { call(number::NEWFSTATAT, [int(AT_FDCWD), text(path), crate::call::output(&mut status), 0]) }?;
    Ok(())
}

/// `posix_fadvise` for the whole file.
///
/// # Errors
///
/// `INVAL` for advice that nobody knows, `SPIPE` for a pipe.
pub fn advise(file: &impl AsRawFd, advice: usize) -> Result<(), Errno> {
    // SAFETY: no memory is named.
    unsafe { call(number::FADVISE64, [int(file.as_raw_fd()), 0, 0, advice]) }.map(drop)
}

/// `sync_file_range` of the first bytes of a file.
///
/// # Errors
///
/// `INVAL` for flags that nobody knows and for less than nothing, `SPIPE` for what has no range, and what `fsync` says.
pub fn sync_range(file: &impl AsRawFd, bytes: isize, flags: usize) -> Result<(), Errno> {
    // SAFETY: no memory is named.
    unsafe { call(number::SYNC_FILE_RANGE, [int(file.as_raw_fd()), 0, bytes.cast_unsigned(), flags]) }.map(drop)
}

/// `readahead` of all.
///
/// # Errors
///
/// `BADF`, `INVAL` for what is no file of bytes.
pub fn read_ahead(file: &impl AsRawFd) -> Result<(), Errno> {
    // SAFETY: no memory is named.
    unsafe { call(number::READAHEAD, [int(file.as_raw_fd()), 0, usize::MAX]) }.map(drop)
}

/// `getxattr`: how many bytes the attribute has.
///
/// # Errors
///
/// `OPNOTSUPP` where the file system has none.
pub fn attribute(path: &CStr, name: &CStr) -> Result<usize, Errno> {
    // SAFETY: the strings are read; nothing is stored, for there is no room.
    unsafe { call(number::GETXATTR, [text(path), text(name), 0, 0]) }
}

/// `flistxattr`: how many bytes the names of a file's attributes have.
///
/// # Errors
///
/// `BADF`.
pub fn attributes(file: &impl AsRawFd) -> Result<usize, Errno> {
    // SAFETY: nothing is stored, for there is no room.
    unsafe { call(number::FLISTXATTR, [int(file.as_raw_fd()), 0, 0]) }
}

/// `mount`, without flags and options.
///
/// # Errors
///
/// `PERM` unless root, `NODEV` for a kind that there is not, `BUSY`, `NOTDIR` and those of paths.
pub fn mount(source: &CStr, target: &CStr, kind: &CStr) -> Result<(), Errno> {
    // SAFETY: the strings are read.
    unsafe { call(number::MOUNT, [text(source), text(target), text(kind), 0, 0]) }.map(drop)
}

/// `umount2`
///
/// # Errors
///
/// `PERM` unless root, `INVAL` where nothing is mounted, `BUSY`.
pub fn unmount(target: &CStr) -> Result<(), Errno> {
    // SAFETY: the string is read.
    unsafe { call(number::UMOUNT2, [text(target), 0]) }.map(drop)
}

/// `mount`, with flags and without options.
///
/// # Errors
///
/// As of [`mount`]; `ROFS`, `INVAL`.
pub fn mount_with(source: &CStr, target: &CStr, kind: &CStr, flags: usize) -> Result<(), Errno> {
    // SAFETY: the strings are read.
    unsafe { call(number::MOUNT, [text(source), text(target), text(kind), flags, 0]) }.map(drop)
}

/// `mount`, with flags and options.
///
/// # Errors
///
/// As of [`mount_with`].
pub fn mount_with_options(
    source: &CStr,
    target: &CStr,
    kind: &CStr,
    flags: usize,
    options: &CStr,
) -> Result<(), Errno> {
    // SAFETY: the strings are read.
    unsafe { call(number::MOUNT, [text(source), text(target), text(kind), flags, text(options)]) }.map(drop)
}

/// `syncfs`: all that was written in the file system of an open file is where it stays.
///
/// # Errors
///
/// `IO`, `BADF`.
pub fn sync_file_system(file: &impl AsRawFd) -> Result<(), Errno> {
    // SAFETY: no memory.
    unsafe { call(number::SYNCFS, [int(file.as_raw_fd())]) }.map(drop)
}

/// `umount2`, with flags.
///
/// # Errors
///
/// As of [`unmount`].
pub fn unmount_with(target: &CStr, flags: usize) -> Result<(), Errno> {
    // SAFETY: the string is read.
    unsafe { call(number::UMOUNT2, [text(target), flags]) }.map(drop)
}
