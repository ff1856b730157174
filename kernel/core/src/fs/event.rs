//! Counters that one can wait for: `eventfd(2)`.

use alloc::sync::Arc;

use super::error::FileError;
use super::operations::{Blocking, FileOperations, Readiness};
use super::surroundings::Surroundings;
use super::transfer::{Sink, Source};
use super::watch::{WatchList, Watched};
use crate::sched::WaitQueue;
use crate::sync::atomic::{AtomicU64, Ordering};

/// What the counter never exceeds.
const MOST: u64 = u64::MAX - 1;
/// A number, as it is read and written.
const BYTES: usize = size_of::<u64>();

/// What a read takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Taking {
    /// All that was counted.
    All,
    /// One: `EFD_SEMAPHORE`.
    One,
}

/// A counter: writes add to it, reads take from it, and wait while it is 0.
pub struct EventCounter<S: Surroundings> {
    count: AtomicU64,
    taking: Taking,
    to_read: WaitQueue<S>,
    to_write: WaitQueue<S>,
    watchers: WatchList<S::Cpu>,
}

impl<S: Surroundings> EventCounter<S> {
    /// One that begins at `count`.
    #[must_use]
    pub fn new(count: u64, taking: Taking) -> Arc<Self> {
        Arc::new(Self {
            count: AtomicU64::new(count),
            taking,
            to_read: WaitQueue::new(),
            to_write: WaitQueue::new(),
            watchers: WatchList::new(),
        })
    }

    fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    /// Takes what a read does; nothing if there is nothing.
    fn take(&self) -> Option<u64> {
        let left = |count: u64| match self.taking {
            Taking::All => (count > 0).then_some(0),
            Taking::One => count.checked_sub(1),
        };
        let before = self.count.fetch_update(Ordering::AcqRel, Ordering::Acquire, left).ok()?;
        Some(if self.taking == Taking::One { 1 } else { before })
    }

    fn add(&self, more: u64) -> bool {
        let sum = |count: u64| count.checked_add(more).filter(|sum| *sum <= MOST);
        self.count.fetch_update(Ordering::AcqRel, Ordering::Acquire, sum).is_ok()
    }

    fn fits(&self, more: u64) -> bool {
        self.count().checked_add(more).is_some_and(|sum| sum <= MOST)
    }
}

impl<S: Surroundings> FileOperations for EventCounter<S> {
    fn read(&self, _at: u64, blocking: Blocking, sink: &mut dyn Sink) -> Result<usize, FileError> {
        if sink.room() < BYTES {
            return Err(FileError::Invalid);
        }
        let taken = loop {
            if let Some(taken) = self.take() {
                break taken;
            }
            if blocking == Blocking::No {
                return Err(FileError::WouldBlock);
            }
            self.to_read.wait_while(|| self.count() == 0 && !S::interrupted());
            if self.count() == 0 {
                return Err(FileError::Interrupted);
            }
        };
        self.to_write.wake_all();
        self.watchers.notify(Readiness::WRITE | Readiness::WRITE_NORMAL);
        // As on Linux, what was taken is gone where it cannot be stored.
        Ok(sink.put(&taken.to_ne_bytes())?)
    }

    fn write(&self, _at: u64, blocking: Blocking, source: &mut dyn Source) -> Result<usize, FileError> {
        let mut bytes = [0; BYTES];
        if source.left() < BYTES {
            return Err(FileError::Invalid);
        }
        if source.take(&mut bytes)? < BYTES {
            // The rest of it is not there.
            source.take(&mut bytes)?;
            return Err(FileError::Invalid);
        }
        let more = u64::from_ne_bytes(bytes);
        if more > MOST {
            return Err(FileError::Invalid);
        }
        while !self.add(more) {
            if blocking == Blocking::No {
                return Err(FileError::WouldBlock);
            }
            self.to_write.wait_while(|| !self.fits(more) && !S::interrupted());
            if !self.fits(more) {
                return Err(FileError::Interrupted);
            }
        }
        self.to_read.wake_all();
        self.watchers.notify(Readiness::READ | Readiness::READ_NORMAL);
        Ok(BYTES)
    }

    fn readiness(&self) -> Readiness {
        let mut ready = Readiness::empty();
        let count = self.count();
        if count > 0 {
            ready |= Readiness::READ | Readiness::READ_NORMAL;
        }
        if count < MOST {
            ready |= Readiness::WRITE | Readiness::WRITE_NORMAL;
        }
        ready
    }

    fn watched(&self) -> Option<&dyn Watched> {
        Some(&self.watchers)
    }
}
