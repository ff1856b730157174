//! Why a program was not loaded.

use core::fmt;

use crate::elf::stack::{ArgumentsError, StackError};
use crate::elf::{ElfError, ScriptError};
use crate::vm::MapFailure;

/// Why a file's contents could not be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReadError {
    /// There is no memory to read it into.
    OutOfMemory,
    /// The device that holds it failed.
    Io,
}

/// Why a program was not loaded. `E` is how opening a file fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExecError<E> {
    /// The file is no program.
    NotAProgram(ElfError),
    /// The file is a script without a usable first line.
    BadScript(ScriptError),
    /// Scripts that are each other's interpreters, too many of them.
    TooDeep,
    /// An interpreter, of a script or of a program, could not be opened.
    Open(E),
    /// The interpreter that a program names is no program.
    BadInterpreter(ElfError),
    /// The device that holds a file failed.
    Io,
    /// A file's contents cannot be had as memory.
    NotMappable,
    /// The program needs memory that is writable and executable at once, which is not allowed.
    WriteAndExecute,
    /// Arguments and environment are too long, by themselves or for the stack.
    ArgumentsTooLong,
    /// The program, its interpreter or its stack do not fit: into the user half, beside each other, or into the limits.
    NoPlace,
    /// There is no memory.
    OutOfMemory,
}

impl<E> From<ReadError> for ExecError<E> {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::OutOfMemory => Self::OutOfMemory,
            ReadError::Io => Self::Io,
        }
    }
}

impl<E> From<ScriptError> for ExecError<E> {
    fn from(error: ScriptError) -> Self {
        Self::BadScript(error)
    }
}

impl<E> From<ArgumentsError> for ExecError<E> {
    fn from(error: ArgumentsError) -> Self {
        match error {
            ArgumentsError::TooLong => Self::ArgumentsTooLong,
            ArgumentsError::OutOfMemory => Self::OutOfMemory,
        }
    }
}

impl<E> From<StackError> for ExecError<E> {
    fn from(error: StackError) -> Self {
        match error {
            StackError::NoRoom => Self::ArgumentsTooLong,
            StackError::OutOfMemory => Self::OutOfMemory,
        }
    }
}

impl<E> From<MapFailure> for ExecError<E> {
    fn from(error: MapFailure) -> Self {
        match error {
            MapFailure::OutOfMemory | MapFailure::OverCommit => Self::OutOfMemory,
            MapFailure::WriteAndExecute => Self::WriteAndExecute,
            _ => Self::NoPlace,
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for ExecError<E> {}

impl<E: fmt::Display> fmt::Display for ExecError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAProgram(error) => error.fmt(f),
            Self::BadScript(error) => error.fmt(f),
            Self::TooDeep => write!(f, "scripts are each other's interpreters"),
            Self::Open(error) => write!(f, "no interpreter: {error}"),
            Self::BadInterpreter(error) => write!(f, "the interpreter: {error}"),
            Self::Io => write!(f, "the file cannot be read"),
            Self::NotMappable => write!(f, "the file cannot be mapped"),
            Self::WriteAndExecute => write!(f, "the program needs memory that is writable and executable"),
            Self::ArgumentsTooLong => write!(f, "arguments and environment are too long"),
            Self::NoPlace => write!(f, "the program does not fit into its address space"),
            Self::OutOfMemory => write!(f, "no memory for the program"),
        }
    }
}
