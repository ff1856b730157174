//! Terminals and pseudo-terminals.

use std::ffi::CString;
use std::os::fd::{AsRawFd, OwnedFd};

use bsd::{Errno, Pid};

use crate::call::{call, input, int, output};
use crate::{file, number};

/// `O_RDWR`, `O_NOCTTY`, `O_CLOEXEC`.
const READ_WRITE: usize = 2;
const NOT_CONTROLLING: usize = 0o400;
const CLOSE_ON_EXEC: usize = 0o200_0000;

const TCGETS: usize = 0x5401;
const TCSETS: usize = 0x5402;
const TIOCSCTTY: usize = 0x540e;
const TIOCGPGRP: usize = 0x540f;
const TIOCSPGRP: usize = 0x5410;
const TIOCGSID: usize = 0x5429;
const FIONREAD: usize = 0x541b;
const TIOCGPTN: usize = 0x8004_5430;
const TIOCSPTLCK: usize = 0x4004_5431;

/// The kernel's `struct termios`.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[repr(C)]
pub struct Settings {
    /// What is done to input.
    pub input: u32,
    /// What is done to output.
    pub output: u32,
    /// The line.
    pub control: u32,
    /// Editing, echo and signals.
    pub local: u32,
    discipline: u8,
    /// The special characters: the sixth and seventh are `VTIME` and `VMIN`.
    pub characters: [u8; 19],
}

const _: () = assert!(size_of::<Settings>() == 36);

/// Opens a new pseudo-terminal's master, and lets its slave be opened; also the slave's name.
///
/// # Errors
///
/// As of `openat`, `NOSPC`.
pub fn open_master() -> Result<(OwnedFd, CString), Errno> {
    let master = file::open(c"/dev/ptmx", READ_WRITE | NOT_CONTROLLING | CLOSE_ON_EXEC)?;
    let unlocked = 0_i32;
    let mut index = 0_u32;
    // SAFETY: an `int` is read.
    unsafe { call(number::IOCTL, [int(master.as_raw_fd()), TIOCSPTLCK, input(&unlocked)]) }?;
    // SAFETY: an `int` is stored.
    unsafe { call(number::IOCTL, [int(master.as_raw_fd()), TIOCGPTN, output(&mut index)]) }?;
    let name = CString::new(format!("/dev/pts/{index}")).map_err(|_| Errno::INVAL)?;
    Ok((master, name))
}

/// Opens a terminal, which becomes the controlling one of a session's leader that has none.
///
/// # Errors
///
/// As of `openat`.
pub fn open(name: &std::ffi::CStr) -> Result<OwnedFd, Errno> {
    file::open(name, READ_WRITE | CLOSE_ON_EXEC)
}

/// Opens a terminal and nothing more.
///
/// # Errors
///
/// As of `openat`.
pub fn open_only(name: &std::ffi::CStr) -> Result<OwnedFd, Errno> {
    file::open(name, READ_WRITE | CLOSE_ON_EXEC | NOT_CONTROLLING)
}

/// Its settings.
///
/// # Errors
///
/// `NOTTY`.
pub fn settings(terminal: &impl AsRawFd) -> Result<Settings, Errno> {
    let mut settings = Settings::default();
    // SAFETY: a `struct termios` is stored.
    unsafe { call(number::IOCTL, [int(terminal.as_raw_fd()), TCGETS, output(&mut settings)]) }?;
    Ok(settings)
}

/// Changes them at once.
///
/// # Errors
///
/// `NOTTY`, `INTR` and `IO` from the background.
pub fn set_settings(terminal: &impl AsRawFd, settings: &Settings) -> Result<(), Errno> {
    // SAFETY: a `struct termios` is read.
    unsafe { call(number::IOCTL, [int(terminal.as_raw_fd()), TCSETS, input(settings)]) }?;
    Ok(())
}

/// Makes it the terminal of the session that the caller leads.
///
/// # Errors
///
/// `PERM`.
pub fn acquire(terminal: &impl AsRawFd) -> Result<(), Errno> {
    // SAFETY: no memory.
    unsafe { call(number::IOCTL, [int(terminal.as_raw_fd()), TIOCSCTTY, 0]) }?;
    Ok(())
}

fn number_of(terminal: &impl AsRawFd, request: usize) -> Result<i32, Errno> {
    let mut number = 0_i32;
    // SAFETY: an `int` is stored.
    unsafe { call(number::IOCTL, [int(terminal.as_raw_fd()), request, output(&mut number)]) }?;
    Ok(number)
}

/// The group in its foreground.
///
/// # Errors
///
/// `NOTTY` if it is not the caller's.
pub fn foreground(terminal: &impl AsRawFd) -> Result<Pid, Errno> {
    number_of(terminal, TIOCGPGRP).map(Pid)
}

/// Its session.
///
/// # Errors
///
/// `NOTTY` if it is not the caller's.
pub fn session(terminal: &impl AsRawFd) -> Result<Pid, Errno> {
    number_of(terminal, TIOCGSID).map(Pid)
}

/// How many bytes can be read.
///
/// # Errors
///
/// `NOTTY`.
pub fn readable(terminal: &impl AsRawFd) -> Result<i32, Errno> {
    number_of(terminal, FIONREAD)
}

/// Puts a group into its foreground.
///
/// # Errors
///
/// `NOTTY`, `SRCH`, `PERM`.
pub fn set_foreground(terminal: &impl AsRawFd, group: Pid) -> Result<(), Errno> {
    // SAFETY: an `int` is read.
    unsafe { call(number::IOCTL, [int(terminal.as_raw_fd()), TIOCSPGRP, input(&group.0)]) }?;
    Ok(())
}
