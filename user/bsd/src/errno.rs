//! Why a call failed.

use core::fmt;

/// An error number, as Linux has them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Errno(pub u16);

/// The kernel returns errors as `-1` to `-MAX`.
const MAX: isize = 4095;

macro_rules! errnos {
    ($($name:ident = $value:literal, $text:literal;)+) => {
        impl Errno {
            $(#[doc = $text] pub const $name: Self = Self($value);)+

            /// Its name in C without the `E`, where it has one here.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some(stringify!($name)),)+
                    _ => None,
                }
            }
        }
    };
}

errnos! {
    PERM = 1, "Not permitted.";
    NOENT = 2, "No such file.";
    SRCH = 3, "No such process.";
    INTR = 4, "Interrupted by a signal.";
    IO = 5, "Input or output failed.";
    NXIO = 6, "No such device or place.";
    TOOBIG = 7, "Arguments too long.";
    NOEXEC = 8, "Not a program.";
    BADF = 9, "No such descriptor.";
    CHILD = 10, "No such child.";
    AGAIN = 11, "Not now, or a limit is reached.";
    NOMEM = 12, "No memory.";
    ACCES = 13, "Access denied.";
    FAULT = 14, "Bad address.";
    BUSY = 16, "Busy.";
    EXIST = 17, "There already.";
    XDEV = 18, "Another file system.";
    NODEV = 19, "No such device.";
    NOTDIR = 20, "Not a directory.";
    ISDIR = 21, "A directory.";
    INVAL = 22, "Invalid argument.";
    MFILE = 24, "Too many open files.";
    NOTTY = 25, "Not a terminal.";
    TXTBSY = 26, "A program that runs.";
    FBIG = 27, "File too large.";
    NOSPC = 28, "No space.";
    SPIPE = 29, "Not seekable.";
    ROFS = 30, "Read-only file system.";
    PIPE = 32, "Nobody reads it.";
    RANGE = 34, "Out of range.";
    DEADLK = 35, "Would deadlock.";
    NAMETOOLONG = 36, "Name too long.";
    NOSYS = 38, "No such call.";
    NOTEMPTY = 39, "Directory not empty.";
    LOOP = 40, "Too many symbolic links.";
    OVERFLOW = 75, "Value too large.";
    NOTSOCK = 88, "Not a socket.";
    PROTOTYPE = 91, "Another type of socket.";
    OPNOTSUPP = 95, "Not supported.";
    AFNOSUPPORT = 97, "No such family of addresses.";
    ADDRINUSE = 98, "The address is in use.";
    CONNRESET = 104, "The peer is gone.";
    NOTCONN = 107, "Not connected.";
    TOOMANYREFS = 109, "A socket would lead to itself only.";
    TIMEDOUT = 110, "Timed out.";
    CONNREFUSED = 111, "Nobody listens.";
    CANCELED = 125, "Cancelled.";
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "E{name}"),
            None => write!(f, "error {}", self.0),
        }
    }
}

impl core::error::Error for Errno {}

/// What a call returned, as a result.
///
/// # Errors
///
/// The error that it returned.
pub fn check(returned: isize) -> Result<usize, Errno> {
    match u16::try_from(returned.unsigned_abs()) {
        Ok(errno) if (-MAX..0).contains(&returned) => Err(Errno(errno)),
        _ => Ok(returned.cast_unsigned()),
    }
}
