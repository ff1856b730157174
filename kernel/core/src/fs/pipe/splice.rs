//! Bytes that go from a pipe to another file, or from one into a pipe, without a program's buffer: `splice(2)`, `tee(2)`,
//! `vmsplice(2)`.
//!
//! The ring's lock is not held while another file takes or gives bytes, for that may last, and may be a stream with a lock of
//! the same rank. Who takes bytes **holds** the ring instead: other readers find it empty, bytes that come go behind the
//! others, and what the other file has taken leaves the ring only then. Who puts bytes in has pages of his own, filled from
//! the other file, which become slots; where somebody else was faster, the ring has a few more than it should for a while:
//! so nothing that came out of a stream is lost.

use alloc::vec::Vec;

use super::end::PipeEnd;
use super::ring::Page;
use super::{FileError, Pipe};
use crate::addr::PAGE_SIZE;
use crate::fs::operations::{Blocking, Readiness};
use crate::fs::surroundings::Surroundings;
use crate::fs::transfer::Sink;
use crate::sync::atomic::Ordering;

/// Fills a page from another file, and says with how many bytes.
type Read<'a> = dyn FnMut(&mut [u8], First) -> Result<usize, FileError> + 'a;

/// How many bytes are on their way out at a time.
const CHUNK: usize = 4 * PAGE_SIZE;

/// What becomes of the bytes that go from one pipe into another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Original {
    /// They are gone: `splice(2)`.
    Moved,
    /// They can still be read: `tee(2)`.
    Kept,
}

/// A ring that only the holder takes bytes from.
struct Hold<'a, S: Surroundings> {
    pipe: &'a Pipe<S>,
}

impl<S: Surroundings> Hold<'_, S> {
    /// Copies bytes that lie behind the first `skipped` ones.
    fn peek(&self, skipped: usize, out: &mut [u8]) -> usize {
        self.pipe.ring.lock().peek(skipped, out)
    }

    /// Gives bytes to another pipe, without waiting.
    fn give(&self, to: &Pipe<S>, most: usize, original: Original) -> Result<usize, FileError> {
        let mut skipped: usize = 0;
        let given = to.take_from(most, Blocking::No, &mut |page, _| {
            let bytes = self.peek(skipped, page);
            skipped = skipped.saturating_add(bytes);
            Ok(bytes)
        })?;
        if original == Original::Moved {
            self.consume(given);
        }
        Ok(given)
    }

    /// Drops the first bytes.
    fn consume(&self, bytes: usize) {
        let page_came = {
            let mut ring = self.pipe.ring.lock();
            let was_full = ring.is_full();
            ring.consume(bytes);
            self.pipe.note(&ring);
            was_full && !ring.is_full()
        };
        if page_came {
            self.pipe.to_write.wake_one();
            self.pipe.watchers.notify(Readiness::WRITE | Readiness::WRITE_NORMAL);
        }
    }
}

impl<S: Surroundings> Drop for Hold<'_, S> {
    fn drop(&mut self) {
        let pipe = self.pipe;
        {
            let mut ring = pipe.ring.lock();
            ring.set_held(false);
            pipe.is_held.store(false, Ordering::Release);
            pipe.note(&ring);
        }
        // Who came meanwhile found nothing: bytes that are left, or the end.
        pipe.to_read.wake_all();
        if pipe.has_bytes.load(Ordering::Acquire) {
            pipe.watchers.notify(Readiness::READ | Readiness::READ_NORMAL);
        }
    }
}

impl<S: Surroundings> Pipe<S> {
    /// Holds the ring, if there are bytes and nobody else does.
    fn try_hold(&self) -> Option<Hold<'_, S>> {
        let mut ring = self.ring.lock();
        if ring.is_empty() {
            return None;
        }
        ring.set_held(true);
        self.is_held.store(true, Ordering::Release);
        self.note(&ring);
        Some(Hold { pipe: self })
    }

    /// Waits for bytes. Says whether there may be some, or whether this is the end.
    fn wait_for_bytes(&self, blocking: Blocking) -> Result<bool, FileError> {
        loop {
            let is_open = self.writers.load(Ordering::Acquire) > 0;
            if self.has_bytes.load(Ordering::Acquire) {
                return Ok(true);
            }
            if !is_open && self.is_at_end() {
                return Ok(false);
            }
            if blocking == Blocking::No {
                return Err(FileError::WouldBlock);
            }
            self.to_read.wait_to_be_woken(|| self.must_wait_to_read() && !S::interrupted());
            if self.must_wait_to_read() {
                return Err(FileError::Interrupted);
            }
        }
    }

    /// Waits until a page can be begun.
    fn wait_for_room(&self, blocking: Blocking) -> Result<(), FileError> {
        loop {
            if self.readers.load(Ordering::Acquire) == 0 {
                S::broken_pipe();
                return Err(FileError::Pipe);
            }
            if self.has_page.load(Ordering::Acquire) {
                return Ok(());
            }
            if blocking == Blocking::No {
                return Err(FileError::WouldBlock);
            }
            self.to_write.wait_to_be_woken(|| self.must_wait_to_write() && !S::interrupted());
            if self.must_wait_to_write() {
                return Err(FileError::Interrupted);
            }
        }
    }

    /// How many pages can be begun.
    fn free_pages(&self) -> usize {
        let ring = self.ring.lock();
        ring.pages().saturating_sub(ring.in_use())
    }

    /// A page of the ring's or a new one.
    fn take_page(&self) -> Result<Page, FileError> {
        self.ring.lock().page(S::has_room)
    }

    /// Makes the first bytes of a page a slot.
    fn put_page(&self, page: Page, bytes: usize) -> Result<(), FileError> {
        let was_empty = {
            let mut ring = self.ring.lock();
            let was_empty = ring.is_empty();
            ring.push(page, bytes)?;
            self.note(&ring);
            was_empty
        };
        if was_empty {
            self.to_read.wake_one();
        }
        self.watchers.notify(Readiness::READ | Readiness::READ_NORMAL);
        Ok(())
    }

    /// Who has waited for a page and leaves one wakes the next.
    fn pass_room_on(&self) {
        if self.has_page.load(Ordering::Acquire) {
            self.to_write.wake_one();
        }
    }

    /// Puts in what `read` gives, up to `most` bytes: as many as there is room for, once there is some. Only the first call of
    /// `read` may wait.
    fn take_from(&self, most: usize, blocking: Blocking, read: &mut Read<'_>) -> Result<usize, FileError> {
        self.wait_for_room(blocking)?;
        let mut done: usize = 0;
        let mut first = First::Yes;
        let outcome = loop {
            let left = most.saturating_sub(done).min(PAGE_SIZE);
            if left == 0 || (first == First::No && self.free_pages() == 0) {
                break Ok(());
            }
            let step = self.take_page().and_then(|mut page| {
                let bytes = read(page.get_mut(..left).unwrap_or_default(), first)?;
                if bytes > 0 {
                    self.put_page(page, bytes)?;
                }
                Ok(bytes)
            });
            first = First::No;
            match step {
                Ok(bytes) => {
                    done = done.saturating_add(bytes);
                    if bytes < left {
                        break Ok(());
                    }
                }
                Err(error) => break Err(error),
            }
        };
        self.pass_room_on();
        outcome.map_or_else(|error| if done == 0 { Err(error) } else { Ok(done) }, |()| Ok(done))
    }

    /// Gives `write` bytes, up to `most`, until it takes fewer than it could or none are left. Waits for the first.
    fn give_to(
        &self,
        most: usize,
        blocking: Blocking,
        write: &mut dyn FnMut(&[u8]) -> Result<usize, FileError>,
    ) -> Result<usize, FileError> {
        let hold = loop {
            if !self.wait_for_bytes(blocking)? {
                return Ok(0);
            }
            if let Some(hold) = self.try_hold() {
                break hold;
            }
        };
        let mut buffer = Vec::new();
        buffer.try_reserve_exact(CHUNK.min(most)).map_err(|_| FileError::OutOfMemory)?;
        buffer.resize(CHUNK.min(most), 0);
        let mut done: usize = 0;
        loop {
            let wanted = most.saturating_sub(done).min(CHUNK);
            let place = buffer.get_mut(..wanted).unwrap_or_default();
            let there = hold.peek(0, place);
            if there == 0 {
                return Ok(done);
            }
            match write(place.get(..there).unwrap_or_default()) {
                Ok(taken) => {
                    hold.consume(taken);
                    done = done.saturating_add(taken);
                    if taken < there {
                        return Ok(done);
                    }
                }
                Err(error) if done == 0 => return Err(error),
                Err(_) => return Ok(done),
            }
        }
    }

    /// Gives bytes to another pipe: as many as are there and have room there, once there are both.
    fn give_to_pipe(&self, to: &Self, most: usize, blocking: Blocking, original: Original) -> Result<usize, FileError> {
        loop {
            if !self.wait_for_bytes(blocking)? {
                return Ok(0);
            }
            to.wait_for_room(blocking)?;
            let given = self.try_hold().map_or(Err(FileError::WouldBlock), |hold| hold.give(to, most, original));
            // Somebody may have been faster at either end.
            if given != Err(FileError::WouldBlock) || blocking == Blocking::No {
                return given;
            }
            to.pass_room_on();
        }
    }
}

/// Whether bytes are asked for the first time: later, nobody waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum First {
    /// It is.
    Yes,
    /// Some have come.
    No,
}

impl<S: Surroundings> PipeEnd<S> {
    /// Whether the other end is one of the same pipe.
    #[must_use]
    pub fn is_of_same_pipe(&self, other: &Self) -> bool {
        core::ptr::eq(self.pipe(), other.pipe())
    }

    /// Gives `write` bytes of the pipe, up to `most`, until it takes fewer than it could or none are left; waits for the
    /// first. What was not taken stays. Says how many were taken: 0 is the end.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](FileError::WouldBlock), [`Interrupted`](FileError::Interrupted),
    /// [`OutOfMemory`](FileError::OutOfMemory), and those of `write` for the first.
    pub fn splice_out(
        &self,
        most: usize,
        blocking: Blocking,
        mut write: impl FnMut(&[u8]) -> Result<usize, FileError>,
    ) -> Result<usize, FileError> {
        self.pipe().give_to(most, blocking, &mut write)
    }

    /// Puts what `read` gives into the pipe, up to `most` bytes: as many as there is room for, once there is some. Says how
    /// many: 0 is the end of the other file.
    ///
    /// # Errors
    ///
    /// As of [`splice_out`](Self::splice_out); [`Pipe`](FileError::Pipe) where nobody reads.
    pub fn splice_in(
        &self,
        most: usize,
        blocking: Blocking,
        mut read: impl FnMut(&mut [u8], First) -> Result<usize, FileError>,
    ) -> Result<usize, FileError> {
        self.pipe().take_from(most, blocking, &mut read)
    }

    /// Gives bytes to another pipe, which it is not itself: as many as are there and have room, once there are both. Says how
    /// many: 0 is the end.
    ///
    /// # Errors
    ///
    /// As of [`splice_in`](Self::splice_in).
    pub fn splice_to(
        &self,
        to: &Self,
        most: usize,
        blocking: Blocking,
        original: Original,
    ) -> Result<usize, FileError> {
        self.pipe().give_to_pipe(to.pipe(), most, blocking, original)
    }

    /// Takes bytes out as a read does, but waits or not as it is told.
    ///
    /// # Errors
    ///
    /// As of read(2).
    pub fn read_with(&self, blocking: Blocking, sink: &mut dyn Sink) -> Result<usize, FileError> {
        self.pipe().read(blocking, sink)
    }
}
