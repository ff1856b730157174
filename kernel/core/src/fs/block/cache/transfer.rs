//! Between the disk and the pages.

use core::ops::Range;

use super::super::disk::{BLOCK_SIZE, DiskError};
use super::super::queue::{Batch, Completion, Kind};
use super::{BATCH, Cache, Device, PAGE};
use crate::addr::PAGE_SIZE;
use crate::hal::Cpu;
use crate::sync::atomic::Ordering;

const BLOCKS_PER_PAGE: u64 = PAGE / BLOCK_SIZE as u64;

impl<C: Cpu> Cache<C> {
    /// Waits until the request is done; does it, and what stands before it, if nobody else does.
    pub(super) fn carry_out(&self, completion: &Completion) {
        let mut device = self.device.lock();
        self.carry_out_with(&mut device, completion);
    }

    /// The same, by who has the device.
    pub(super) fn carry_out_with(&self, device: &mut Device, completion: &Completion) {
        while !completion.is_done() {
            let batch = self.queue.lock().take(BATCH);
            let Some(batch) = batch else { return };
            self.perform(device, &batch);
        }
    }

    /// Does all that waits.
    pub(super) fn drain(&self, device: &mut Device) {
        loop {
            let batch = self.queue.lock().take(BATCH);
            let Some(batch) = batch else { return };
            self.perform(device, &batch);
        }
    }

    /// One transfer. If it fails, each page is tried by itself, so that a bad block takes no others with it.
    fn perform(&self, device: &mut Device, batch: &Batch) {
        let mut first = batch.pages.start;
        // A request that is longer than the buffer by itself goes in pieces.
        while first < batch.pages.end {
            let end = batch.pages.end.min(first.saturating_add(BATCH));
            if self.transfer(device, batch.kind, first..end).is_err() {
                self.one_by_one(device, batch, first..end);
            }
            first = end;
        }
        batch.requests.iter().for_each(|request| request.completion.finish());
    }

    fn one_by_one(&self, device: &mut Device, batch: &Batch, pages: Range<u64>) {
        for index in pages {
            if self.transfer(device, batch.kind, index..index.saturating_add(1)).is_err() {
                self.give_up(batch, index);
            }
        }
    }

    /// The pages are as before, should it fail.
    fn transfer(&self, device: &mut Device, kind: Kind, pages: Range<u64>) -> Result<(), DiskError> {
        let Device { disk, buffer, finished } = device;
        if *finished {
            return Err(DiskError::Failed);
        }
        let start = pages.start.saturating_mul(BLOCKS_PER_PAGE);
        let end = pages.end.saturating_mul(BLOCKS_PER_PAGE).min(disk.blocks());
        let bytes = usize::try_from(end.saturating_sub(start)).unwrap_or(usize::MAX).saturating_mul(BLOCK_SIZE);
        match kind {
            Kind::Read => {
                disk.read(start, buffer.get_mut(..bytes).ok_or(DiskError::OutOfRange)?)?;
                // What the last page has behind the disk's end.
                buffer.get_mut(bytes..).unwrap_or_default().fill(0);
                for (index, bytes) in pages.zip(buffer.chunks(PAGE_SIZE)) {
                    let frame = self.pages.lock().filling(index);
                    if let Some(frame) = frame {
                        self.source.write(frame, 0, bytes);
                        self.pages.lock().filled(index);
                    }
                }
                Ok(())
            }
            Kind::Write => {
                for (index, bytes) in pages.clone().zip(buffer.chunks_mut(PAGE_SIZE)) {
                    let frame = self.pages.lock().writing(index).ok_or(DiskError::Failed)?;
                    self.source.read(frame, 0, bytes);
                }
                disk.write(start, buffer.get(..bytes).ok_or(DiskError::OutOfRange)?)?;
                pages.for_each(|index| self.pages.lock().written(index, true));
                Ok(())
            }
        }
    }

    fn give_up(&self, batch: &Batch, index: u64) {
        match batch.kind {
            Kind::Read => self.forget_filling(index),
            Kind::Write => {
                self.pages.lock().written(index, false);
                self.failures.fetch_add(1, Ordering::AcqRel);
            }
        }
        batch.requests.iter().filter(|request| request.pages.contains(&index)).for_each(|it| it.completion.fail(index));
    }
}
