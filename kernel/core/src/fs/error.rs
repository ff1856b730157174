//! Why a file operation failed.

use core::fmt;

use crate::hal::UserFault;

/// Why an operation on a file or on a path failed. Each stands for one errno, named in its description; only the border
/// to programs knows the number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileError {
    /// `ENOENT`: a component of the path is not there, or the path is empty.
    NotFound,
    /// `ENOTDIR`: a component that must be a directory is none.
    NotDirectory,
    /// `EISDIR`: it is a directory, and the operation is for files.
    IsDirectory,
    /// `ENAMETOOLONG`: a component over 255 bytes, or a path over 4095.
    NameTooLong,
    /// `ELOOP`: more symbolic links than 40, or one where none may be.
    TooManyLinks,
    /// `ENOTEMPTY`: the directory has entries.
    NotEmpty,
    /// `EEXIST`: the name is taken.
    Exists,
    /// `EACCES`: the permission bits say no.
    Denied,
    /// `EPERM`: this is for the owner or for root.
    NotPermitted,
    /// `EROFS`: the file system cannot be changed.
    ReadOnly,
    /// `EBADF`: the descriptor is not open, or not for this.
    BadFile,
    /// `EINVAL`: a number out of range, or an operation that this file does not have.
    Invalid,
    /// `ERANGE`: the answer does not fit the buffer.
    TooSmall,
    /// `EOVERFLOW`: the offset does not fit.
    Overflow,
    /// `EFAULT`: the program named memory that it does not have.
    Fault(UserFault),
    /// `EINTR`: a signal came first. The call may be started again.
    Interrupted,
    /// `EAGAIN`: it would have to wait, and the program does not want to.
    WouldBlock,
    /// `ESPIPE`: a stream has no offsets.
    NotSeekable,
    /// `ENOTTY`: the device knows no such request.
    NotTty,
    /// `ENXIO`: no driver for this device number, or no offset of the kind that was asked for.
    NoDevice,
    /// `ENODEV`: the file cannot be mapped.
    NotMappable,
    /// `ENOSPC`: the device is full.
    NoSpace,
    /// `EPIPE`: nobody reads what is written.
    Pipe,
    /// `EBUSY`: it is in use.
    Busy,
    /// `EOPNOTSUPP`: the file system cannot do this.
    Unsupported,
    /// `ESRCH`: there is no such process, or group of processes.
    NoProcess,
    /// `EIO`: the device failed.
    Io,
    /// `EUCLEAN`: the file system on the disk contradicts itself.
    Damaged,
    /// `EBADMSG`: what is on the disk is not what its checksum says.
    Checksum,
    /// `ENOTCONN`: the socket has no peer.
    NotConnected,
    /// `EISCONN`: the socket has a peer.
    IsConnected,
    /// `ECONNREFUSED`: nobody listens at this name.
    Refused,
    /// `ECONNRESET`: the peer went and left something unread.
    Reset,
    /// `EADDRINUSE`: the name is another socket's.
    AddressInUse,
    /// `EPROTOTYPE`: the socket of this name is of another type.
    WrongType,
    /// `EMSGSIZE`: the message is too long to be sent whole.
    MessageTooLong,
    /// `ETOOMANYREFS`: a socket would wait in a place that only itself leads to.
    TooManyReferences,
    /// `ENOMEM`: no memory.
    OutOfMemory,
    /// `EXDEV`: two names are in different file systems.
    CrossDevice,
    /// `EMLINK`: the file has as many names as it may have.
    TooManyNames,
    /// `EFBIG`: no file can be that long.
    TooLarge,
    /// `EFBIG`, and `SIGXFSZ`: the writer's limit is reached.
    Limit,
    /// `EDEADLK`: everybody would wait for ever.
    Deadlock,
    /// `ENOLCK`: there is no memory for more locks.
    NoLocks,
    /// `ECANCELED`: the clock that it goes by was set.
    ClockSet,
    /// `ETXTBSY`: a program that runs is not written, and what is written is not executed.
    Executed,
    /// `ESTALE`: what a name stands for has changed meanwhile. Calls look again, so no program sees it.
    Stale,
}

impl From<UserFault> for FileError {
    fn from(fault: UserFault) -> Self {
        Self::Fault(fault)
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Executed => "text file busy",
            Self::NotFound => "no such file or directory",
            Self::NotDirectory => "not a directory",
            Self::IsDirectory => "is a directory",
            Self::NameTooLong => "file name too long",
            Self::TooManyLinks => "too many symbolic links",
            Self::NotEmpty => "directory not empty",
            Self::Exists => "file exists",
            Self::Denied => "permission denied",
            Self::NotPermitted => "not permitted",
            Self::ReadOnly => "read-only file system",
            Self::BadFile => "bad file descriptor",
            Self::Invalid => "invalid argument",
            Self::TooSmall => "buffer too small",
            Self::Overflow => "offset too large",
            Self::Fault(fault) => return write!(f, "bad address {}", fault.at),
            Self::Interrupted => "interrupted",
            Self::WouldBlock => "would block",
            Self::NotSeekable => "a stream has no offsets",
            Self::NotTty => "no such request for this device",
            Self::NoDevice => "no such device or offset",
            Self::NotMappable => "cannot be mapped",
            Self::NoSpace => "no space left",
            Self::Pipe => "broken pipe",
            Self::Busy => "busy",
            Self::Unsupported => "not supported",
            Self::NoProcess => "no such process",
            Self::Io => "input/output error",
            Self::Damaged => "structure needs cleaning",
            Self::Checksum => "bad checksum",
            Self::NotConnected => "not connected",
            Self::IsConnected => "connected already",
            Self::Refused => "connection refused",
            Self::Reset => "connection reset",
            Self::AddressInUse => "address in use",
            Self::WrongType => "wrong type of socket",
            Self::MessageTooLong => "message too long",
            Self::TooManyReferences => "too many references",
            Self::OutOfMemory => "out of memory",
            Self::CrossDevice => "other file system",
            Self::TooManyNames => "too many names",
            Self::TooLarge => "file too large",
            Self::Limit => "file size limit exceeded",
            Self::Deadlock => "everybody would wait",
            Self::NoLocks => "no memory for locks",
            Self::ClockSet => "the clock was set",
            Self::Stale => "changed meanwhile",
        })
    }
}
