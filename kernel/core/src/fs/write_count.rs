//! Who writes a file, and who executes it: never both (`ETXTBSY`). Who writes in a file system: nobody, once it is read only.

use super::error::FileError;
use super::mount::MountFlags;
use crate::sync::atomic::{AtomicI32, AtomicU32, Ordering};

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

/// What may be done in a file system, and how many have a file of it open for writing.
///
/// Who begins to write counts himself and then looks whether he may; who makes it read only says so and then looks whether
/// somebody writes. So one of the two sees the other.
#[derive(Debug)]
pub(super) struct MountState {
    flags: AtomicU32,
    writers: AtomicU32,
}

impl MountState {
    /// Nobody writes yet.
    pub(super) fn new(flags: MountFlags) -> Self {
        Self { flags: AtomicU32::new(flags.bits()), writers: AtomicU32::new(0) }
    }

    /// What may be done.
    pub(super) fn flags(&self) -> MountFlags {
        MountFlags::from_bits_truncate(self.flags.load(Ordering::SeqCst))
    }

    /// Lets that be done from now on, whoever writes.
    pub(super) fn force(&self, flags: MountFlags) {
        self.flags.store(flags.bits(), Ordering::SeqCst);
    }

    /// Refuses who would change something that must not change.
    pub(super) fn check_writable(&self) -> Result<(), FileError> {
        if self.flags().contains(MountFlags::READ_ONLY) { Err(FileError::ReadOnly) } else { Ok(()) }
    }

    /// Somebody more writes `file`.
    pub(super) fn begin_writing(&self, file: &WriteCount) -> Result<(), FileError> {
        file.begin_writing()?;
        self.writers.fetch_add(1, Ordering::SeqCst);
        self.check_writable().inspect_err(|_| self.end_writing(file))
    }

    /// One who [began](Self::begin_writing) is done.
    pub(super) fn end_writing(&self, file: &WriteCount) {
        file.end_writing();
        self.writers.fetch_sub(1, Ordering::SeqCst);
    }

    /// Lets that be done from now on; where nothing shall be changed any more and nobody writes, after `settle`. If that
    /// fails, all is as before.
    pub(super) fn set_flags(
        &self,
        flags: MountFlags,
        settle: impl FnOnce() -> Result<(), FileError>,
    ) -> Result<(), FileError> {
        let before = self.flags.swap(flags.bits(), Ordering::SeqCst);
        let closes = flags.contains(MountFlags::READ_ONLY) && before & MountFlags::READ_ONLY.bits() == 0;
        if !closes {
            return Ok(());
        }
        let outcome = if self.writers.load(Ordering::SeqCst) == 0 { settle() } else { Err(FileError::Busy) };
        outcome.inspect_err(|_| self.force(MountFlags::from_bits_truncate(before)))
    }
}
