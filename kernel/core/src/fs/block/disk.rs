//! What a driver of a disk gives.

use core::fmt;

use crate::fs::error::FileError;

/// The size of a disk's block in bytes.
pub const BLOCK_SIZE: usize = 512;

/// A disk, as its driver shows it. One caller at a time; all calls may sleep, and return after a bounded time.
pub trait Disk: Send {
    /// How many blocks it has.
    fn blocks(&self) -> u64;

    /// Whether it does not let itself be written to.
    fn is_read_only(&self) -> bool;

    /// Fills `into`, whole blocks, from `block` on.
    ///
    /// # Errors
    ///
    /// [`DiskError`]; `into` holds anything then.
    fn read(&mut self, block: u64, into: &mut [u8]) -> Result<(), DiskError>;

    /// Writes `from`, whole blocks, from `block` on.
    ///
    /// # Errors
    ///
    /// [`DiskError`]; each of the blocks is the old one, the new one, or cannot be read.
    fn write(&mut self, block: u64, from: &[u8]) -> Result<(), DiskError>;

    /// Waits until all that was written stays without power.
    ///
    /// # Errors
    ///
    /// [`DiskError`]
    fn flush(&mut self) -> Result<(), DiskError>;
}

/// Why a disk did not read or write. The driver has said more in the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DiskError {
    /// It failed.
    Failed,
    /// It does not let itself be written to.
    ReadOnly,
    /// These blocks are not on it.
    OutOfRange,
}

impl From<DiskError> for FileError {
    fn from(error: DiskError) -> Self {
        match error {
            DiskError::Failed => Self::Io,
            DiskError::ReadOnly => Self::NotPermitted,
            DiskError::OutOfRange => Self::NoSpace,
        }
    }
}

impl fmt::Display for DiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Failed => "the disk failed",
            Self::ReadOnly => "the disk is write-protected",
            Self::OutOfRange => "not on the disk",
        })
    }
}
