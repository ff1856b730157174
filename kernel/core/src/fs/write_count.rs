//! Who writes a file, and who executes it: never both (`ETXTBSY`).

use super::error::FileError;
use crate::sync::atomic::{AtomicI32, Ordering};

/// Above 0, how many have the file open for writing; below 0, how many execute it.
#[derive(Debug)]
pub(super) struct WriteCount(AtomicI32);

impl WriteCount {
    /// Nobody.
    pub(super) fn new() -> Self {
        Self(AtomicI32::new(0))
    }

    /// Somebody more writes.
    pub(super) fn begin_writing(&self) -> Result<(), FileError> {
        self.step(|count| if count < 0 { None } else { count.checked_add(1) })
    }

    /// One who [began](Self::begin_writing) is done.
    pub(super) fn end_writing(&self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }

    /// Somebody more executes it.
    pub(super) fn deny_writing(&self) -> Result<(), FileError> {
        self.step(|count| if count > 0 { None } else { count.checked_sub(1) })
    }

    /// One who [executed](Self::deny_writing) it is done.
    pub(super) fn allow_writing(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }

    fn step(&self, step: impl FnMut(i32) -> Option<i32>) -> Result<(), FileError> {
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, step).map(drop).map_err(|_| FileError::Executed)
    }
}
