//! The bytes in a pipe.
//!
//! A queue of slots, each a page with the bytes that lie in it. Bytes are put behind those of the last slot, and into new
//! ones after that. The bytes of a packet have slots of their own: a read takes one of them and drops what it has no room
//! for.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::addr::PAGE_SIZE;
use crate::fs::error::FileError;
use crate::fs::transfer::{Sink, Source};
use crate::hal::UserFault;

/// How many pages are kept for bytes to come: a stream needs no more than these to go on.
const KEPT: usize = 2;

pub(super) type Page = Box<[u8]>;

/// A page and the bytes in it, which are not none.
struct Slot {
    page: Page,
    start: usize,
    end: usize,
    /// Nothing is put behind its bytes.
    is_packet: bool,
}

impl Slot {
    const fn length(&self) -> usize {
        self.end.saturating_sub(self.start)
    }

    /// How many bytes can be put behind its own.
    const fn room(&self) -> usize {
        if self.is_packet { 0 } else { PAGE_SIZE.saturating_sub(self.end) }
    }
}

/// What was put in, and why no more was if that is not for want of room.
pub(super) struct Filled {
    pub(super) bytes: usize,
    pub(super) error: Option<FileError>,
}

/// The ring.
pub(super) struct Ring {
    slots: VecDeque<Slot>,
    /// How many slots there may be.
    most: usize,
    bytes: usize,
    kept: heapless::Vec<Page, KEPT>,
    /// Somebody takes bytes out step by step: for all others there are none.
    is_held: bool,
}

impl Ring {
    /// An empty one of up to `most` pages.
    pub(super) const fn new(most: usize) -> Self {
        Self { slots: VecDeque::new(), most, bytes: 0, kept: heapless::Vec::new(), is_held: false }
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether there is nothing for a reader.
    pub(super) const fn is_empty(&self) -> bool {
        self.bytes == 0 || self.is_held
    }

    pub(super) const fn set_held(&mut self, is_held: bool) {
        self.is_held = is_held;
    }

    /// Whether no page can be begun.
    pub(super) fn is_full(&self) -> bool {
        self.slots.len() >= self.most
    }

    /// How many pages it may have.
    pub(super) const fn pages(&self) -> usize {
        self.most
    }

    /// How many it has.
    pub(super) fn in_use(&self) -> usize {
        self.slots.len()
    }

    /// Changes how many pages it may have, to no fewer than it has.
    pub(super) fn set_pages(&mut self, most: usize) {
        self.most = most;
    }

    /// How many bytes can be put in.
    pub(super) fn room(&self, packets: bool) -> usize {
        let behind = if packets { 0 } else { self.slots.back().map_or(0, Slot::room) };
        self.most.saturating_sub(self.slots.len()).saturating_mul(PAGE_SIZE).saturating_add(behind)
    }

    /// Puts in as many bytes as there is room for. In its place, by force: a round trip over a pipe takes 40 instructions less.
    #[inline(always)]
    pub(super) fn fill(&mut self, source: &mut dyn Source, packets: bool, has_room: impl Fn() -> bool) -> Filled {
        let mut bytes: usize = 0;
        let error = loop {
            match self.fill_one(source, packets, &has_room) {
                Ok(0) => break None,
                Ok(count) => bytes = bytes.saturating_add(count),
                Err(error) => break Some(error),
            }
        };
        self.bytes = self.bytes.saturating_add(bytes);
        Filled { bytes, error }
    }

    /// Puts bytes into one slot and says how many; 0 where there is no room or nothing left.
    fn fill_one(
        &mut self,
        source: &mut dyn Source,
        packets: bool,
        has_room: impl Fn() -> bool,
    ) -> Result<usize, FileError> {
        let left = source.left();
        if left == 0 {
            return Ok(0);
        }
        if !packets && let Some(last) = self.slots.back_mut().filter(|slot| slot.room() > 0) {
            let end = last.end.saturating_add(left).min(PAGE_SIZE);
            let count = source.take(last.page.get_mut(last.end..end).unwrap_or_default())?;
            last.end = last.end.saturating_add(count);
            return Ok(count);
        }
        if self.is_full() {
            return Ok(0);
        }
        self.slots.try_reserve(1).map_err(|_| FileError::OutOfMemory)?;
        let mut page = self.page(has_room)?;
        let taken = source.take(page.get_mut(..left.min(PAGE_SIZE)).unwrap_or_default());
        match taken {
            Ok(end) if end > 0 => {
                self.slots.push_back(Slot { page, start: 0, end, is_packet: packets });
                Ok(end)
            }
            nothing => {
                self.keep(page);
                Ok(nothing?)
            }
        }
    }

    /// Makes the first bytes of a page, which are not none, a slot, whether there is room for one or not.
    pub(super) fn push(&mut self, page: Page, bytes: usize) -> Result<(), FileError> {
        self.slots.try_reserve(1).map_err(|_| FileError::OutOfMemory)?;
        self.slots.push_back(Slot { page, start: 0, end: bytes, is_packet: false });
        self.bytes = self.bytes.saturating_add(bytes);
        Ok(())
    }

    /// Copies bytes that lie behind the first `skipped` ones, and says how many.
    pub(super) fn peek(&self, mut skipped: usize, mut out: &mut [u8]) -> usize {
        let mut done: usize = 0;
        for slot in &self.slots {
            let bytes = slot.page.get(slot.start..slot.end).unwrap_or_default();
            let bytes = bytes.get(skipped..).unwrap_or_default();
            skipped = skipped.saturating_sub(slot.length());
            let count = bytes.len().min(out.len());
            let (place, rest) = out.split_at_mut(count);
            place.copy_from_slice(bytes.get(..count).unwrap_or_default());
            out = rest;
            done = done.saturating_add(count);
        }
        done
    }

    /// Drops the first `bytes` bytes, or all.
    pub(super) fn consume(&mut self, mut bytes: usize) {
        while bytes > 0
            && let Some(first) = self.slots.front_mut()
        {
            let gone = first.length().min(bytes);
            first.start = first.start.saturating_add(gone);
            let is_over = first.length() == 0;
            self.bytes = self.bytes.saturating_sub(gone);
            bytes = bytes.saturating_sub(gone);
            if is_over && let Some(slot) = self.slots.pop_front() {
                self.keep(slot.page);
            }
        }
    }

    /// Takes out as many bytes as `sink` has room for, or one packet.
    pub(super) fn drain(&mut self, sink: &mut dyn Sink) -> Result<usize, UserFault> {
        if self.is_held {
            return Ok(0);
        }
        let mut done: usize = 0;
        while sink.room() > 0
            && let Some(first) = self.slots.front_mut()
        {
            let is_packet = first.is_packet;
            if is_packet && done > 0 {
                break;
            }
            let count = match sink.put(first.page.get(first.start..first.end).unwrap_or_default()) {
                Ok(count) => count,
                Err(_) if done > 0 => break,
                Err(fault) => return Err(fault),
            };
            done = done.saturating_add(count);
            let gone = if is_packet { first.length() } else { count };
            first.start = first.start.saturating_add(gone);
            let is_over = first.length() == 0;
            self.bytes = self.bytes.saturating_sub(gone);
            if is_over && let Some(slot) = self.slots.pop_front() {
                self.keep(slot.page);
            }
            if is_packet || !is_over {
                break;
            }
        }
        Ok(done)
    }

    /// A page for bytes: one of those that were kept, or a new one.
    pub(super) fn page(&mut self, has_room: impl Fn() -> bool) -> Result<Page, FileError> {
        if let Some(page) = self.kept.pop() {
            return Ok(page);
        }
        if !has_room() {
            return Err(FileError::OutOfMemory);
        }
        let mut page = Vec::new();
        page.try_reserve_exact(PAGE_SIZE).map_err(|_| FileError::OutOfMemory)?;
        page.resize(PAGE_SIZE, 0);
        Ok(page.into_boxed_slice())
    }

    /// Keeps a page that is over, if there is a place for it.
    fn keep(&mut self, page: Page) {
        // Beyond that it is given back.
        let _ = self.kept.push(page);
    }
}
