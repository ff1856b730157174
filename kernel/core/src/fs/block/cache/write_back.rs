//! From dirty pages to the disk.

use alloc::sync::Arc;

use super::super::disk::DiskError;
use super::super::queue::{Completion, Kind, Request};
use super::{Cache, PAGE};
use crate::fs::error::FileError;
use crate::hal::Cpu;

impl<C: Cpu> Cache<C> {
    /// Writes all dirty pages to the disk, in their order.
    ///
    /// # Errors
    ///
    /// [`Io`](FileError::Io) if one could not be written: it is still dirty. The others have been.
    pub fn write_back(&self) -> Result<(), FileError> {
        self.write_back_range(0, u64::MAX)
    }

    /// The same for the pages that the bytes from `at` on and before `end` are in.
    pub(super) fn write_back_range(&self, at: u64, end: u64) -> Result<(), FileError> {
        let end = end.div_ceil(PAGE);
        let mut from = at / PAGE;
        let mut outcome = Ok(());
        while from < end {
            // Pages are taken by who has the device, so there are none on their way when nobody has it: who waits for it has
            // waited for what others took.
            let mut device = self.device.lock();
            let run = self.pages.lock().take_dirty(from, end);
            let Some(run) = run else { break };
            let completion = Arc::new(Completion::new());
            let request = Request { kind: Kind::Write, pages: run.clone(), completion: Arc::clone(&completion) };
            let pushed = self.queue.lock().push(request);
            if let Err(error) = pushed {
                let mut pages = self.pages.lock();
                run.for_each(|index| pages.written(index, false));
                return Err(error);
            }
            self.carry_out_with(&mut device, &completion);
            drop(device);
            if completion.failed().is_some() {
                outcome = Err(FileError::Io);
            }
            from = run.end;
        }
        outcome
    }

    /// Writes all dirty pages and waits until the disk keeps them without power: sync(2), fsync(2).
    ///
    /// # Errors
    ///
    /// [`Io`](FileError::Io) if something could not be written.
    pub fn sync(&self) -> Result<(), FileError> {
        self.sync_range(0, u64::MAX)
    }

    /// The same for the bytes from `at` on and before `end`.
    ///
    /// # Errors
    ///
    /// [`Io`](FileError::Io) if something could not be written.
    pub fn sync_range(&self, at: u64, end: u64) -> Result<(), FileError> {
        if self.read_only {
            return Ok(());
        }
        let before = self.failures();
        let outcome = self.write_back_range(at, end);
        // What others are writing meanwhile counts, too: with the device, whatever waits in the queue is done first.
        let mut device = self.device.lock();
        self.drain(&mut device);
        device.disk.flush().map_err(|_: DiskError| FileError::Io)?;
        drop(device);
        if self.failures() == before { outcome } else { Err(FileError::Io) }
    }

    /// Waits until the disk is idle, which it is from now on: whoever reads or writes is told that it failed.
    ///
    /// # Errors
    ///
    /// [`Io`](FileError::Io)
    pub fn finish(&self) -> Result<(), FileError> {
        let mut device = self.device.lock();
        device.finished = true;
        device.disk.flush().map_err(|_: DiskError| FileError::Io)
    }

    /// Whether any page is dirty.
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        self.pages.lock().dirty() > 0
    }

    /// Who writes much pays for it: from a quarter of all pages on, dirty ones are written by those who make more.
    pub(super) fn throttle(&self) -> Result<(), FileError> {
        let dirty = self.pages.lock().dirty();
        if dirty > self.most_pages / 4 { self.write_back() } else { Ok(()) }
    }
}
