//! Pipes: `pipe(7)`.
//!
//! ```text
//! OpenFile ─ PipeEnd ─► Pipe ─► Ring     pages, taken as bytes come and given back as they go
//! Fifo ───────────────► Pipe             the same under a name, for as long as somebody has it open
//! Pipes                                  numbers of pipes; how much of them each user has
//! ```
//!
//! The ring has a sleeping lock, held while bytes are copied from or to a program, which may fault. Beside it stand, in atomics,
//! the two things that waiters ask: whether there is a byte, and whether there is a page to begin. They are changed with the
//! ring locked, and whoever changes them wakes afterwards.
//!
//! **Who is woken.** One reader when the first byte comes, one writer when the ring is full no more. Whoever has waited and
//! leaves something behind wakes the next, however his wait ended: so nobody sleeps beside bytes, and a crowd of waiters costs
//! no more than one.
//!
//! **Other files.** Bytes that go to one without a program's buffer are held until it has taken them: see `splice`.
//!
//! Writes of up to [`PIPE_BUF`] bytes go in whole. Longer ones go in as there is room, between those of others.

mod end;
mod fifo;
mod ring;
mod splice;
mod users;

use alloc::sync::Arc;

pub use end::PipeEnd;
pub use fifo::{Fifo, NamedPipe};
pub use splice::{First, Original};
pub use users::Pipes;

use super::error::FileError;
use super::flags::OpenFlags;
use super::inode::Inode;
use super::metadata::{DeviceNumber, FileId, FileKind, Metadata, Protection, Timestamp};
use super::operations::{Blocking, FileOperations, Readiness};
use super::surroundings::Surroundings;
use super::transfer::{Sink, Source};
use super::watch::WatchList;
use crate::addr::PAGE_SIZE;
use crate::sched::{SleepMutex, WaitQueue};
use crate::sync::Rank;
use crate::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use end::Sides;
use ring::{Filled, Ring};
use users::Charge;

/// Writes of up to so many bytes are not mixed with others'.
pub const PIPE_BUF: usize = PAGE_SIZE;
/// How many pages a new pipe may have: 64 KiB.
const DEFAULT_PAGES: usize = 16;
/// The same for a user whose pipes have as many pages as they may.
const FEW_PAGES: usize = 2;
/// The file system that pipes without a name are in.
const DEVICE: DeviceNumber = DeviceNumber::new(0, 13);

/// A pipe: bytes between those who write and those who read.
pub struct Pipe<S: Surroundings> {
    ring: SleepMutex<Ring, S>,
    /// Whether there is a byte. Changed with the ring locked.
    has_bytes: AtomicBool,
    /// Whether somebody takes bytes out step by step ([`splice`]): there are none for others. Changed with the ring locked.
    is_held: AtomicBool,
    /// Whether there is a page to begin. Changed with the ring locked.
    has_page: AtomicBool,
    /// How many ends read.
    readers: AtomicU32,
    /// How many ends write.
    writers: AtomicU32,
    /// How many ends that read were ever opened; wraps.
    readers_ever: AtomicU32,
    /// How many ends that write were ever opened; wraps.
    writers_ever: AtomicU32,
    /// Those who wait for bytes.
    to_read: WaitQueue<S>,
    /// Those who wait for a page.
    to_write: WaitQueue<S>,
    /// Those who open a FIFO and wait for the other side.
    to_open: WaitQueue<S>,
    watchers: WatchList<S::Cpu>,
    number: u64,
    owner: (u32, u32),
    made: Timestamp,
    charge: Charge<S>,
}

impl<S: Surroundings> Pipe<S> {
    fn new(number: u64, owner: (u32, u32), made: Timestamp, pages: usize, charge: Charge<S>) -> Arc<Self> {
        Arc::new(Self {
            ring: SleepMutex::new(Rank::Stream, Ring::new(pages)),
            has_bytes: AtomicBool::new(false),
            is_held: AtomicBool::new(false),
            has_page: AtomicBool::new(true),
            readers: AtomicU32::new(0),
            writers: AtomicU32::new(0),
            readers_ever: AtomicU32::new(0),
            writers_ever: AtomicU32::new(0),
            to_read: WaitQueue::new(),
            to_write: WaitQueue::new(),
            to_open: WaitQueue::new(),
            watchers: WatchList::new(),
            number,
            owner,
            made,
            charge,
        })
    }

    /// Takes out bytes.
    fn read(&self, blocking: Blocking, sink: &mut dyn Sink) -> Result<usize, FileError> {
        let mut waited = false;
        let outcome = loop {
            if sink.room() == 0 {
                break Ok(0);
            }
            // Asked first: who wrote and then left has written by then.
            let is_open = self.writers.load(Ordering::Acquire) > 0;
            if self.has_bytes.load(Ordering::Acquire) {
                match self.drain(sink) {
                    // Somebody was faster.
                    Ok(0) => continue,
                    outcome => break outcome,
                }
            }
            if !is_open && self.is_at_end() {
                break Ok(0);
            }
            if blocking == Blocking::No {
                break Err(FileError::WouldBlock);
            }
            waited = true;
            self.to_read.wait_to_be_woken(|| self.must_wait_to_read() && !S::interrupted());
            if self.must_wait_to_read() {
                break Err(FileError::Interrupted);
            }
        };
        if waited && self.has_bytes.load(Ordering::Acquire) {
            self.to_read.wake_one();
        }
        outcome
    }

    fn must_wait_to_read(&self) -> bool {
        (self.writers.load(Ordering::Acquire) > 0 || self.is_held.load(Ordering::Acquire))
            && !self.has_bytes.load(Ordering::Acquire)
    }

    /// Whether nothing comes any more, with nobody who writes: not where somebody takes bytes out step by step, who may leave some.
    #[cold]
    fn is_at_end(&self) -> bool {
        self.ring.lock().bytes() == 0
    }

    fn drain(&self, sink: &mut dyn Sink) -> Result<usize, FileError> {
        let (outcome, page_came) = {
            let mut ring = self.ring.lock();
            let was_full = ring.is_full();
            let outcome = ring.drain(sink);
            self.note(&ring);
            (outcome, was_full && !ring.is_full())
        };
        if page_came {
            self.to_write.wake_one();
            self.watchers.notify(Readiness::WRITE | Readiness::WRITE_NORMAL);
        }
        Ok(outcome?)
    }

    /// Puts in bytes, as a packet of their own or several if `packets` is set.
    fn write(&self, blocking: Blocking, source: &mut dyn Source, packets: bool) -> Result<usize, FileError> {
        let is_whole = source.left() <= PIPE_BUF;
        let mut done: usize = 0;
        let mut waited = false;
        let end = loop {
            if source.left() == 0 {
                break None;
            }
            if self.readers.load(Ordering::Acquire) == 0 {
                S::broken_pipe();
                break Some(FileError::Pipe);
            }
            let filled = self.fill(source, is_whole, packets);
            done = done.saturating_add(filled.bytes);
            if filled.error.is_some() {
                break filled.error;
            }
            if source.left() == 0 {
                break None;
            }
            if blocking == Blocking::No {
                break Some(FileError::WouldBlock);
            }
            waited = true;
            self.to_write.wait_to_be_woken(|| self.must_wait_to_write() && !S::interrupted());
            if self.must_wait_to_write() {
                break Some(FileError::Interrupted);
            }
        };
        if waited && self.has_page.load(Ordering::Acquire) {
            self.to_write.wake_one();
        }
        match end {
            Some(error) if done == 0 => Err(error),
            _ => Ok(done),
        }
    }

    fn must_wait_to_write(&self) -> bool {
        self.readers.load(Ordering::Acquire) > 0 && !self.has_page.load(Ordering::Acquire)
    }

    /// Puts in what there is room for; nothing where it is to go in whole and does not.
    fn fill(&self, source: &mut dyn Source, is_whole: bool, packets: bool) -> Filled {
        let (filled, bytes_came) = {
            let mut ring = self.ring.lock();
            if is_whole && ring.room(packets) < source.left() {
                return Filled { bytes: 0, error: None };
            }
            let was_empty = ring.is_empty();
            let filled = ring.fill(source, packets, S::has_room);
            self.note(&ring);
            let bytes_came = was_empty && filled.bytes > 0;
            (filled, bytes_came)
        };
        if bytes_came {
            self.to_read.wake_one();
        }
        if filled.bytes > 0 {
            self.watchers.notify(Readiness::READ | Readiness::READ_NORMAL);
        }
        filled
    }

    /// Notes what waiters ask, with the ring locked.
    fn note(&self, ring: &Ring) {
        self.has_bytes.store(!ring.is_empty(), Ordering::Release);
        self.has_page.store(!ring.is_full(), Ordering::Release);
    }

    /// How many bytes can be read.
    fn bytes(&self) -> usize {
        self.ring.lock().bytes()
    }

    /// How many bytes it has room for: `F_GETPIPE_SZ`.
    fn capacity(&self) -> usize {
        self.ring.lock().pages().saturating_mul(PAGE_SIZE)
    }

    /// Gives it room for `bytes`, in whole pages and a power of two of them: `F_SETPIPE_SZ`.
    fn set_capacity(&self, bytes: usize, privileged: bool) -> Result<usize, FileError> {
        let pages = bytes.div_ceil(PAGE_SIZE).max(1).checked_next_power_of_two().ok_or(FileError::Invalid)?;
        let came = {
            let mut ring = self.ring.lock();
            let before = ring.pages();
            if pages < ring.in_use() {
                return Err(FileError::Busy);
            }
            self.charge.change(before, pages, privileged)?;
            let was_full = ring.is_full();
            ring.set_pages(pages);
            self.note(&ring);
            was_full && !ring.is_full()
        };
        if came {
            self.to_write.wake_one();
            self.watchers.notify(Readiness::WRITE | Readiness::WRITE_NORMAL);
        }
        Ok(pages.saturating_mul(PAGE_SIZE))
    }
}

impl<S: Surroundings> Drop for Pipe<S> {
    fn drop(&mut self) {
        let pages = self.ring.get_mut().pages();
        self.charge.give_back(pages);
    }
}

impl<S: Surroundings> Inode for Pipe<S> {
    fn id(&self) -> FileId {
        FileId { device: DEVICE, inode: self.number }
    }

    fn protection(&self) -> Protection {
        let (uid, gid) = self.owner;
        Protection { kind: FileKind::Fifo, permissions: 0o600, uid, gid }
    }

    fn metadata(&self) -> Metadata {
        Metadata::without_contents(self.id(), self.protection(), self.made)
    }

    fn is_read_only(&self) -> bool {
        false
    }

    /// As a FIFO that is open on both sides: nobody waits.
    fn open(self: Arc<Self>, flags: OpenFlags) -> Result<Arc<dyn FileOperations>, FileError> {
        Ok(PipeEnd::new(self, Sides::of(flags), flags))
    }
}
