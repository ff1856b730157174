//! One end of a pipe, or both.

use alloc::sync::Arc;
use core::any::Any;

use super::Pipe;
use crate::addr::UserAddr;
use crate::fs::error::FileError;
use crate::fs::flags::OpenFlags;
use crate::fs::operations::{Blocking, FileOperations, Readiness};
use crate::fs::surroundings::Surroundings;
use crate::fs::transfer::{Sink, Source};
use crate::fs::watch::Watched;
use crate::hal::UserMemory;
use crate::sync::atomic::{AtomicBool, Ordering};

/// The ioctl(2) request for the number of bytes that can be read.
const FIONREAD: u32 = 0x541b;

/// Which sides of a pipe an end is: one, or with a FIFO that is open for both, two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Sides {
    pub(super) reads: bool,
    pub(super) writes: bool,
}

impl Sides {
    pub(super) const READ: Self = Self { reads: true, writes: false };
    pub(super) const WRITE: Self = Self { reads: false, writes: true };

    /// Those of a file that is opened with these flags.
    pub(super) const fn of(flags: OpenFlags) -> Self {
        Self { reads: flags.is_readable(), writes: flags.is_writable() }
    }
}

/// An end of a pipe, as an open file has it. The pipe knows that the end is there until it is dropped.
pub struct PipeEnd<S: Surroundings> {
    pipe: Arc<Pipe<S>>,
    sides: Sides,
    /// How many writers there had ever been when it was opened: there is no hang-up before the first that comes after.
    writers_before: u32,
    /// Whether each write is a packet: `O_DIRECT`.
    packets: AtomicBool,
}

impl<S: Surroundings> PipeEnd<S> {
    /// Another end of `pipe`. Who waits for such an end is told.
    pub(super) fn new(pipe: Arc<Pipe<S>>, sides: Sides, flags: OpenFlags) -> Arc<Self> {
        let writers_before = pipe.writers_ever.load(Ordering::Acquire);
        let was_open = pipe.writers.load(Ordering::Acquire) > 0;
        // One who comes to a writer sees him go.
        let writers_before = if was_open { writers_before.wrapping_sub(1) } else { writers_before };
        if sides.reads {
            pipe.readers.fetch_add(1, Ordering::AcqRel);
            pipe.readers_ever.fetch_add(1, Ordering::AcqRel);
        }
        if sides.writes {
            pipe.writers.fetch_add(1, Ordering::AcqRel);
            pipe.writers_ever.fetch_add(1, Ordering::AcqRel);
        }
        let packets = AtomicBool::new(flags.contains(OpenFlags::DIRECT));
        Arc::new(Self { pipe, sides, writers_before, packets })
    }

    /// Whether each write is a packet from now on: `O_DIRECT` with `F_SETFL`.
    pub fn set_packets(&self, packets: bool) {
        self.packets.store(packets, Ordering::Relaxed);
    }

    pub(super) fn pipe(&self) -> &Pipe<S> {
        &self.pipe
    }

    /// How many bytes the pipe has room for: `F_GETPIPE_SZ`.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.pipe.capacity()
    }

    /// Gives the pipe room for `bytes`, rounded up, and says for how many: `F_SETPIPE_SZ`.
    ///
    /// # Errors
    ///
    /// [`NotPermitted`](FileError::NotPermitted) where the user may not have so much, [`Busy`](FileError::Busy) where there are
    /// more bytes in it, [`Invalid`](FileError::Invalid) for a size that is none.
    pub fn set_capacity(&self, bytes: usize, privileged: bool) -> Result<usize, FileError> {
        self.pipe.set_capacity(bytes, privileged)
    }
}

impl<S: Surroundings> Drop for PipeEnd<S> {
    fn drop(&mut self) {
        let pipe = &self.pipe;
        if self.sides.reads && pipe.readers.fetch_sub(1, Ordering::AcqRel) == 1 {
            pipe.to_write.wake_all();
            pipe.watchers.notify(Readiness::ERROR | Readiness::WRITE | Readiness::WRITE_NORMAL);
        }
        if self.sides.writes && pipe.writers.fetch_sub(1, Ordering::AcqRel) == 1 {
            pipe.to_read.wake_all();
            pipe.watchers.notify(Readiness::HANG_UP | Readiness::READ | Readiness::READ_NORMAL);
        }
    }
}

impl<S: Surroundings> FileOperations for PipeEnd<S> {
    fn read(&self, _at: u64, blocking: Blocking, sink: &mut dyn Sink) -> Result<usize, FileError> {
        self.pipe.read(blocking, sink)
    }

    fn write(&self, _at: u64, blocking: Blocking, source: &mut dyn Source) -> Result<usize, FileError> {
        self.pipe.write(blocking, source, self.packets.load(Ordering::Relaxed))
    }

    fn ioctl(&self, request: u32, argument: u64, memory: &dyn UserMemory) -> Result<u64, FileError> {
        if request != FIONREAD {
            return Err(FileError::NotTty);
        }
        let bytes = u32::try_from(self.pipe.bytes()).unwrap_or(u32::MAX);
        memory.copy_out(&bytes.to_le_bytes(), UserAddr::new(argument))?;
        Ok(0)
    }

    fn readiness(&self) -> Readiness {
        let pipe = &self.pipe;
        let mut ready = Readiness::empty();
        if self.sides.reads {
            let is_open = pipe.writers.load(Ordering::Acquire) > 0;
            if pipe.has_bytes.load(Ordering::Acquire) {
                ready |= Readiness::READ | Readiness::READ_NORMAL;
            }
            if !is_open && pipe.writers_ever.load(Ordering::Acquire) != self.writers_before {
                ready |= Readiness::HANG_UP;
            }
        }
        if self.sides.writes {
            if pipe.has_page.load(Ordering::Acquire) {
                ready |= Readiness::WRITE | Readiness::WRITE_NORMAL;
            }
            if pipe.readers.load(Ordering::Acquire) == 0 {
                ready |= Readiness::ERROR;
            }
        }
        ready
    }

    fn watched(&self) -> Option<&dyn Watched> {
        Some(&self.pipe.watchers)
    }

    fn as_any(self: Arc<Self>) -> Option<Arc<dyn Any + Send + Sync>> {
        Some(self)
    }
}
