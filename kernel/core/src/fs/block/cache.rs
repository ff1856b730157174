//! A disk's pages in memory.
//!
//! ```text
//! read_at, write_at ──► Pages: frames by page number; dirty ones wait
//!                          │ missing, or to be written back
//!                          ▼
//!                        Queue ──► Device: the disk and its transfer buffer, one thread at a time
//! ```
//!
//! Who misses a page puts a request into the queue and then waits for the device; who has the device carries out requests,
//! anybody's, until his own is done. So what came together meanwhile goes to the disk as one transfer, and there is no
//! thread that belongs to the disk. Transfers go through one buffer, which is what a disk that reads memory by itself
//! would be given, too.
//!
//! **States of a page.** *Filling*: its frame is there and its bytes are not; nobody looks at it before the device is free
//! again. *Dirty*: the disk has older bytes. *Writing*: its bytes of a moment ago are on their way, and it may be dirty
//! again. A page goes when memory is wanted and it is none of these and *pinned* by nobody.
//!
//! **Errors.** A page that could not be read is not there, and the next who wants it tries again. One that could not be
//! written stays dirty: [`sync`](Cache::sync) says so, each time, until it succeeds. A cache that is full of such pages fails
//! writes, but not reads of what it has.
//!
//! **Locks.** The device has a sleeping lock, under which spin locks are taken for moments: `pages`, `queue`, never both.

mod evict;
mod pages;
mod transfer;
mod write_back;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use self::pages::{Look, Pages};
use super::disk::{BLOCK_SIZE, Disk};
use super::queue::{Completion, Kind, Queue, Request};
use crate::addr::{PAGE_SIZE, PhysFrame};
use crate::fs::error::FileError;
use crate::fs::offset::{Parked, Parking};
use crate::fs::pages::PageSource;
use crate::hal::Cpu;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Rank, SpinLock};

const PAGE: u64 = PAGE_SIZE as u64;
/// The most pages of one transfer: 128 KiB.
const BATCH: u64 = 32;

/// As many frames.
const BATCH_FRAMES: usize = 32;
type Frames = heapless::Vec<PhysFrame, BATCH_FRAMES>;

/// What a cache needs of the kernel.
#[derive(Clone)]
pub struct CacheNeeds {
    /// Its pages.
    pub pages: Arc<dyn PageSource>,
    /// Where threads wait for each other.
    pub parking: &'static dyn Parking,
    /// Called when a page becomes dirty and none was before; no spin lock is held.
    pub dirtied: fn(),
    /// The most pages that it has, but for what several threads read ahead at the same moment.
    pub most_pages: usize,
}

/// A disk with its pages.
pub struct Cache<C: Cpu> {
    source: Arc<dyn PageSource>,
    dirtied: fn(),
    most_pages: usize,
    bytes: u64,
    read_only: bool,
    pages: SpinLock<Pages, C>,
    queue: SpinLock<Queue, C>,
    device: Parked<Device>,
    /// How many pages could not be written so far.
    failures: AtomicU64,
}

/// What one thread at a time has.
struct Device {
    disk: Box<dyn Disk>,
    buffer: Vec<u8>,
    /// Nothing is moved any more.
    finished: bool,
}

/// A page that stays while somebody looks at it.
struct Pinned<'a, C: Cpu> {
    cache: &'a Cache<C>,
    index: u64,
    frame: PhysFrame,
}

impl<C: Cpu> Drop for Pinned<'_, C> {
    fn drop(&mut self) {
        self.cache.pages.lock().unpin(self.index);
    }
}

impl<C: Cpu> Cache<C> {
    /// Of `disk`, without a page yet.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`](FileError::OutOfMemory)
    pub fn new(disk: Box<dyn Disk>, needs: CacheNeeds) -> Result<Arc<Self>, FileError> {
        let most = usize::try_from(BATCH).unwrap_or(1).saturating_mul(PAGE_SIZE);
        let mut buffer = Vec::new();
        buffer.try_reserve_exact(most).map_err(|_| FileError::OutOfMemory)?;
        buffer.resize(most, 0);
        let bytes = disk.blocks().saturating_mul(BLOCK_SIZE as u64);
        let read_only = disk.is_read_only();
        Ok(Arc::new(Self {
            source: needs.pages,
            dirtied: needs.dirtied,
            most_pages: needs.most_pages.max(1),
            bytes,
            read_only,
            pages: SpinLock::new(Rank::FileObject, Pages::new()),
            queue: SpinLock::new(Rank::FileObject, Queue::new()),
            device: Parked::new(needs.parking, Device { disk, buffer, finished: false }),
            failures: AtomicU64::new(0),
        }))
    }

    /// The size of the disk.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether the disk does not let itself be written to.
    #[must_use]
    pub const fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// How many pages it has, and how many of them the disk has not.
    #[must_use]
    pub fn pages(&self) -> (usize, usize) {
        let pages = self.pages.lock();
        (pages.len(), pages.dirty())
    }

    /// Fills `into` from `at` on; all of it is on the disk.
    ///
    /// # Errors
    ///
    /// [`Invalid`](FileError::Invalid) where it is not, [`Io`](FileError::Io), [`OutOfMemory`](FileError::OutOfMemory);
    /// `into` holds anything then.
    pub fn read_at(&self, at: u64, into: &mut [u8]) -> Result<(), FileError> {
        self.check(at, into.len())?;
        let mut rest = into;
        let mut at = at;
        while !rest.is_empty() {
            let (index, offset, count) = piece(at, rest.len());
            let (now, then) = core::mem::take(&mut rest).split_at_mut(count);
            let page = self.pinned(index)?;
            self.source.read(page.frame, offset, now);
            (rest, at) = (then, at.saturating_add(count as u64));
        }
        Ok(())
    }

    /// Writes `from` at `at`; all of it is on the disk. The disk has it after [`sync`](Self::sync).
    ///
    /// # Errors
    ///
    /// [`Invalid`](FileError::Invalid) where it is not, [`NotPermitted`](FileError::NotPermitted) for a write-protected disk,
    /// [`Io`](FileError::Io), [`OutOfMemory`](FileError::OutOfMemory); some of it may have been written then.
    pub fn write_at(&self, at: u64, from: &[u8]) -> Result<(), FileError> {
        self.check(at, from.len())?;
        if self.read_only {
            return Err(FileError::NotPermitted);
        }
        let mut rest = from;
        let mut at = at;
        while !rest.is_empty() {
            let (index, offset, count) = piece(at, rest.len());
            let (now, then) = rest.split_at(count);
            if count < PAGE_SIZE || !self.put_whole(index, now)? {
                let page = self.pinned(index)?;
                if !self.source.has_room() {
                    return Err(FileError::OutOfMemory);
                }
                self.source.write(page.frame, offset, now);
                self.note_dirty(index);
            }
            self.throttle()?;
            (rest, at) = (then, at.saturating_add(count as u64));
        }
        Ok(())
    }

    fn check(&self, at: u64, count: usize) -> Result<(), FileError> {
        let end = at.checked_add(count as u64);
        if end.is_some_and(|end| end <= self.bytes) { Ok(()) } else { Err(FileError::Invalid) }
    }

    /// The page with its bytes, read if need be.
    fn pinned(&self, index: u64) -> Result<Pinned<'_, C>, FileError> {
        loop {
            // In a statement of its own: the lock is given back behind it.
            let look = self.pages.lock().pin(index);
            match look {
                Look::There(frame) => return Ok(Pinned { cache: self, index, frame }),
                // Its filler has the device, or is about to.
                Look::Filling => drop(self.device.lock()),
                Look::Missing => {
                    if let Some(page) = self.fill(index)? {
                        return Ok(page);
                    }
                }
            }
        }
    }

    /// Reads the page, and those behind it that will be wanted next. `None` where somebody else is doing it.
    fn fill(&self, index: u64) -> Result<Option<Pinned<'_, C>>, FileError> {
        let last = self.bytes.div_ceil(PAGE);
        let wanted = self.pages.lock().read_ahead(index, last);
        let mut frames = Frames::new();
        let frame = self.fresh()?;
        let _fits = frames.push(frame);
        // What is read ahead pushes out only what nobody had lately.
        while (frames.len() as u64) < wanted
            && let Some(frame) = self.ahead(frames.len())
        {
            let _fits = frames.push(frame);
        }
        let count = {
            let mut pages = self.pages.lock();
            let mut inserted = (index..).zip(&frames).map(|(at, frame)| pages.insert_filling(at, *frame, at == index));
            inserted.by_ref().take_while(|inserted| *inserted).count()
        };
        frames.iter().skip(count).for_each(|frame| self.source.release(*frame));
        frames.truncate(count);
        if frames.is_empty() {
            return Ok(None);
        }
        let pages = index..index.saturating_add(frames.len() as u64);
        let completion = Arc::new(Completion::new());
        let request = Request { kind: Kind::Read, pages: pages.clone(), completion: Arc::clone(&completion) };
        let pushed = self.queue.lock().push(request);
        if let Err(error) = pushed {
            pages.for_each(|page| self.forget_filling(page));
            return Err(error);
        }
        self.carry_out(&completion);
        // A page that could not be read is gone, and its pin with it.
        if completion.failed() == Some(index) {
            return Err(FileError::Io);
        }
        Ok(Some(Pinned { cache: self, index, frame }))
    }

    /// Puts a page that nobody has, whole, without reading what it was. Says whether it did.
    fn put_whole(&self, index: u64, bytes: &[u8]) -> Result<bool, FileError> {
        if self.pages.lock().is_known(index) {
            return Ok(false);
        }
        let fresh = self.fresh()?;
        self.source.write(fresh, 0, bytes);
        let put = self.pages.lock().insert_dirty(index, fresh);
        match put {
            None => self.source.release(fresh),
            Some(first) if first => (self.dirtied)(),
            Some(_) => {}
        }
        Ok(put.is_some())
    }

    /// The page's bytes have changed; it is pinned.
    fn note_dirty(&self, index: u64) {
        let first = self.pages.lock().mark_dirty(index);
        if first {
            (self.dirtied)();
        }
    }

    fn failures(&self) -> u64 {
        self.failures.load(Ordering::Acquire)
    }
}

/// The page that `at` is in, where in it that is, and how many of `wanted` bytes are in it.
fn piece(at: u64, wanted: usize) -> (u64, usize, usize) {
    let offset = usize::try_from(at % PAGE).unwrap_or(0);
    (at / PAGE, offset, wanted.min(PAGE_SIZE.saturating_sub(offset)))
}
