//! Every error of the kernel that can reach a program, as a number.

use kcore::elf::stack::ArgumentsError;
use kcore::fs::{FileError, TableError};
use kcore::hal::UserFault;
use kcore::proc::cred::{GroupsError, NotPermitted};
use kcore::proc::exec::ExecError;
use kcore::proc::limit::LimitError;
use kcore::proc::{ForkError, GroupError, SignalError, TforkError, TimerError, UnshareError, WaitError};
use kcore::vm::MapFailure;

use super::errno::Errno;
use crate::task::program::ExecFailure;

impl From<UserFault> for Errno {
    fn from(_: UserFault) -> Self {
        Self::EFAULT
    }
}

impl From<FileError> for Errno {
    fn from(error: FileError) -> Self {
        match error {
            FileError::NotFound => Self::ENOENT,
            FileError::NotDirectory => Self::ENOTDIR,
            FileError::IsDirectory => Self::EISDIR,
            FileError::NameTooLong => Self::ENAMETOOLONG,
            FileError::TooManyLinks => Self::ELOOP,
            FileError::NotEmpty => Self::ENOTEMPTY,
            FileError::Exists => Self::EEXIST,
            FileError::Denied => Self::EACCES,
            FileError::NotPermitted => Self::EPERM,
            FileError::ReadOnly => Self::EROFS,
            FileError::BadFile => Self::EBADF,
            FileError::Invalid | FileError::TooSmall => Self::EINVAL,
            FileError::Overflow => Self::EOVERFLOW,
            FileError::Fault(_) => Self::EFAULT,
            FileError::Interrupted => Self::EINTR,
            FileError::WouldBlock => Self::EAGAIN,
            FileError::NotSeekable => Self::ESPIPE,
            FileError::NotTty => Self::ENOTTY,
            FileError::NoDevice => Self::ENXIO,
            FileError::NotMappable => Self::ENODEV,
            FileError::NoSpace => Self::ENOSPC,
            FileError::Pipe => Self::EPIPE,
            FileError::Executed => Self::ETXTBSY,
            FileError::Busy => Self::EBUSY,
            FileError::Unsupported => Self::EOPNOTSUPP,
            FileError::NoProcess => Self::ESRCH,
            FileError::Io => Self::EIO,
            FileError::Damaged => Self::EUCLEAN,
            FileError::Checksum => Self::EBADMSG,
            FileError::NotConnected => Self::ENOTCONN,
            FileError::IsConnected => Self::EISCONN,
            FileError::Refused => Self::ECONNREFUSED,
            FileError::Reset => Self::ECONNRESET,
            FileError::AddressInUse => Self::EADDRINUSE,
            FileError::WrongType => Self::EPROTOTYPE,
            FileError::MessageTooLong => Self::EMSGSIZE,
            FileError::TooManyReferences => Self::ETOOMANYREFS,
            FileError::OutOfMemory => Self::ENOMEM,
            FileError::CrossDevice => Self::EXDEV,
            FileError::TooManyNames => Self::EMLINK,
            FileError::TooLarge | FileError::Limit => Self::EFBIG,
            FileError::Deadlock => Self::EDEADLK,
            FileError::NoLocks => Self::ENOLCK,
            FileError::ClockSet => Self::ECANCELED,
            FileError::Stale => Self::ESTALE,
        }
    }
}

impl From<TableError> for Errno {
    fn from(error: TableError) -> Self {
        match error {
            TableError::BadFile => Self::EBADF,
            TableError::Full => Self::EMFILE,
            TableError::Invalid => Self::EINVAL,
            TableError::OutOfMemory => Self::ENOMEM,
        }
    }
}

impl From<MapFailure> for Errno {
    fn from(failure: MapFailure) -> Self {
        match failure {
            MapFailure::Invalid | MapFailure::Locked | MapFailure::Unsupported => Self::EINVAL,
            MapFailure::Occupied { .. } => Self::EEXIST,
            MapFailure::TooLow => Self::EPERM,
            MapFailure::NotMapped { .. }
            | MapFailure::NoGap
            | MapFailure::TooManyAreas
            | MapFailure::Limit
            | MapFailure::LockLimit
            | MapFailure::OverCommit
            | MapFailure::OutOfMemory => Self::ENOMEM,
            MapFailure::WriteAndExecute | MapFailure::Forbidden => Self::EACCES,
        }
    }
}

impl From<ForkError> for Errno {
    fn from(error: ForkError) -> Self {
        match error {
            ForkError::TableFull(_) | ForkError::UserLimit => Self::EAGAIN,
            ForkError::OutOfMemory => Self::ENOMEM,
            ForkError::Invalid => Self::EINVAL,
            ForkError::NotPromised => Self::EPERM,
            ForkError::Interrupted => Self::EINTR,
        }
    }
}

impl From<UnshareError> for Errno {
    fn from(error: UnshareError) -> Self {
        match error {
            UnshareError::Threads => Self::EINVAL,
            UnshareError::OutOfMemory => Self::ENOMEM,
        }
    }
}

impl From<TforkError> for Errno {
    fn from(error: TforkError) -> Self {
        match error {
            TforkError::Size | TforkError::ThreadPointer => Self::EINVAL,
            TforkError::Fault(_) => Self::EFAULT,
        }
    }
}

impl From<WaitError> for Errno {
    fn from(error: WaitError) -> Self {
        match error {
            WaitError::NoChild => Self::ECHILD,
            WaitError::Interrupted => Self::EINTR,
        }
    }
}

impl From<SignalError> for Errno {
    fn from(error: SignalError) -> Self {
        match error {
            SignalError::NoSuchProcess => Self::ESRCH,
            SignalError::NotPermitted => Self::EPERM,
            SignalError::Full => Self::EAGAIN,
        }
    }
}

impl From<TimerError> for Errno {
    fn from(error: TimerError) -> Self {
        match error {
            TimerError::None => Self::EINVAL,
            TimerError::TooMany => Self::EAGAIN,
            TimerError::OutOfMemory => Self::ENOMEM,
        }
    }
}

impl From<GroupError> for Errno {
    fn from(error: GroupError) -> Self {
        match error {
            GroupError::NoSuchProcess => Self::ESRCH,
            GroupError::HasExecuted => Self::EACCES,
            GroupError::NotPermitted => Self::EPERM,
        }
    }
}

impl From<NotPermitted> for Errno {
    fn from(_: NotPermitted) -> Self {
        Self::EPERM
    }
}

impl From<GroupsError> for Errno {
    fn from(error: GroupsError) -> Self {
        match error {
            GroupsError::NotPermitted => Self::EPERM,
            GroupsError::TooMany => Self::EINVAL,
        }
    }
}

impl From<LimitError> for Errno {
    fn from(error: LimitError) -> Self {
        match error {
            LimitError::Crossed => Self::EINVAL,
            LimitError::NotPermitted => Self::EPERM,
        }
    }
}

impl From<ArgumentsError> for Errno {
    fn from(error: ArgumentsError) -> Self {
        match error {
            ArgumentsError::TooLong => Self::E2BIG,
            ArgumentsError::OutOfMemory => Self::ENOMEM,
        }
    }
}

impl From<ExecFailure> for Errno {
    fn from(failure: ExecFailure) -> Self {
        match failure {
            ExecFailure::Refused(error) => error.into(),
            // The thread ends on its way out; nobody sees this.
            ExecFailure::Ended => Self::EINTR,
        }
    }
}

impl From<ExecError<FileError>> for Errno {
    fn from(error: ExecError<FileError>) -> Self {
        match error {
            ExecError::NotAProgram(_) | ExecError::BadScript(_) => Self::ENOEXEC,
            // As Linux says of an interpreter that is none.
            ExecError::BadInterpreter(_) => Self::ELIBBAD,
            ExecError::TooDeep => Self::ELOOP,
            ExecError::Open(error) => error.into(),
            ExecError::Io => Self::EIO,
            ExecError::NotMappable | ExecError::WriteAndExecute => Self::EACCES,
            ExecError::ArgumentsTooLong => Self::E2BIG,
            ExecError::NoPlace | ExecError::OutOfMemory => Self::ENOMEM,
        }
    }
}
