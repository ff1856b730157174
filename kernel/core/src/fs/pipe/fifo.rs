//! Pipes with a name: `fifo(7)`.

use alloc::sync::{Arc, Weak};

use super::end::{PipeEnd, Sides};
use super::{Pipe, Pipes};
use crate::fs::error::FileError;
use crate::fs::flags::OpenFlags;
use crate::fs::metadata::Timestamp;
use crate::fs::operations::FileOperations;
use crate::fs::surroundings::Surroundings;
use crate::sync::atomic::{AtomicU32, Ordering};
use crate::sync::{Rank, SpinLock};

/// What stands behind the node of a FIFO, whatever the machine: a file system makes one with the node and asks it when the
/// node is opened.
pub trait NamedPipe: Send + Sync {
    /// Opens the FIFO. Who opens it for one side waits for the other, unless `flags` have
    /// [`NONBLOCK`](OpenFlags::NONBLOCK). No lock of a file system is held.
    ///
    /// # Errors
    ///
    /// [`Interrupted`](FileError::Interrupted); [`NoDevice`](FileError::NoDevice) for a writer who does not wait and finds no
    /// reader; [`OutOfMemory`](FileError::OutOfMemory).
    fn open(&self, flags: OpenFlags) -> Result<Arc<dyn FileOperations>, FileError>;
}

/// A FIFO. There is a pipe as long as somebody has it open; what is in it goes with the last.
pub struct Fifo<S: Surroundings> {
    pipe: SpinLock<Weak<Pipe<S>>, S::Cpu>,
    pipes: &'static Pipes<S>,
    owner: (u32, u32),
}

impl<S: Surroundings> Fifo<S> {
    /// One that nobody has open. Its pipes are counted among those of `pipes`, and of its owner `(uid, gid)`.
    #[must_use]
    pub fn new(pipes: &'static Pipes<S>, owner: (u32, u32)) -> Arc<Self> {
        Arc::new(Self { pipe: SpinLock::new(Rank::FileObject, Weak::new()), pipes, owner })
    }

    /// The pipe that others have open, or else a new one.
    fn pipe(&self) -> Result<Arc<Pipe<S>>, FileError> {
        let open = self.pipe.lock().upgrade();
        if let Some(pipe) = open {
            return Ok(pipe);
        }
        let new = self.pipes.make(self.owner, Timestamp::default(), false)?;
        let (pipe, _old) = {
            let mut place = self.pipe.lock();
            match place.upgrade() {
                // Somebody was faster; the new one goes without the lock.
                Some(pipe) => (pipe, Weak::new()),
                None => {
                    let old = core::mem::replace(&mut *place, Arc::downgrade(&new));
                    (Arc::clone(&new), old)
                }
            }
        };
        Ok(pipe)
    }
}

impl<S: Surroundings> NamedPipe for Fifo<S> {
    fn open(&self, flags: OpenFlags) -> Result<Arc<dyn FileOperations>, FileError> {
        let pipe = self.pipe()?;
        let sides = Sides::of(flags);
        let waits = !flags.contains(OpenFlags::NONBLOCK);
        if sides == Sides::WRITE && !waits && pipe.readers.load(Ordering::Acquire) == 0 {
            return Err(FileError::NoDevice);
        }
        let (there, ever) = other_side(&pipe, sides);
        let ever_before = ever.load(Ordering::Acquire);
        // Asked before the end is made: who waits for it may come back, do his work and be gone as soon as he sees it.
        let is_awaited = there.load(Ordering::Acquire) != 0;
        let end = PipeEnd::new(Arc::clone(&pipe), sides, flags);
        pipe.to_open.wake_all();
        let is_alone = || there.load(Ordering::Acquire) == 0 && ever.load(Ordering::Acquire) == ever_before;
        if waits && !is_awaited && sides.reads != sides.writes {
            // One that came and has gone again was there.
            pipe.to_open.wait_while(|| is_alone() && !S::interrupted());
            if is_alone() {
                return Err(FileError::Interrupted);
            }
        }
        Ok(end)
    }
}

/// How many there are of those whom one who opens `sides` waits for, and how many there have ever been.
const fn other_side<S: Surroundings>(pipe: &Pipe<S>, sides: Sides) -> (&AtomicU32, &AtomicU32) {
    if sides.reads { (&pipe.writers, &pipe.writers_ever) } else { (&pipe.readers, &pipe.readers_ever) }
}
