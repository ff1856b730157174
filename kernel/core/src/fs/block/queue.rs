//! What is asked of a disk and not done yet.
//!
//! Requests stand in the order of their pages. A turn takes those that lie behind the last one's end, then begins again at
//! the lowest (C-LOOK): a disk's head, if it has one, sweeps; and nobody waits for more than one sweep. Requests of one
//! kind whose pages touch or overlap become one transfer.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use crate::fs::error::FileError;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::fs) enum Kind {
    Read,
    Write,
}

/// Whether a request is done, and how.
#[derive(Debug)]
pub(in crate::fs) struct Completion {
    done: AtomicBool,
    /// The first of its pages that failed; `u64::MAX` if none did.
    failed: AtomicU64,
}

impl Completion {
    pub(in crate::fs) fn new() -> Self {
        Self { done: AtomicBool::new(false), failed: AtomicU64::new(u64::MAX) }
    }

    pub(in crate::fs) fn is_done(&self) -> bool {
        self.done.load(Ordering::Acquire)
    }

    /// The first page that failed.
    pub(in crate::fs) fn failed(&self) -> Option<u64> {
        Some(self.failed.load(Ordering::Acquire)).filter(|&page| page != u64::MAX)
    }

    pub(in crate::fs) fn fail(&self, page: u64) {
        self.failed.fetch_min(page, Ordering::AcqRel);
    }

    pub(in crate::fs) fn finish(&self) {
        self.done.store(true, Ordering::Release);
    }
}

/// Pages to be read or written.
#[derive(Clone, Debug)]
pub(in crate::fs) struct Request {
    pub(in crate::fs) kind: Kind,
    pub(in crate::fs) pages: Range<u64>,
    pub(in crate::fs) completion: Arc<Completion>,
}

/// One transfer, for one request or several.
#[derive(Debug)]
pub(in crate::fs) struct Batch {
    pub(in crate::fs) kind: Kind,
    pub(in crate::fs) pages: Range<u64>,
    pub(in crate::fs) requests: Vec<Request>,
}

/// The queue.
#[derive(Debug, Default)]
pub(in crate::fs) struct Queue {
    /// By their first page.
    pending: Vec<Request>,
    /// Where the last turn ended.
    head: u64,
}

impl Queue {
    /// Empty.
    pub(in crate::fs) const fn new() -> Self {
        Self { pending: Vec::new(), head: 0 }
    }

    /// Takes a request, which has pages.
    pub(in crate::fs) fn push(&mut self, request: Request) -> Result<(), FileError> {
        self.pending.try_reserve(1).map_err(|_| FileError::OutOfMemory)?;
        let place = self.pending.partition_point(|other| other.pages.start <= request.pages.start);
        self.pending.insert(place, request);
        Ok(())
    }

    /// The next transfer, of at most `most` pages where the first request is not longer by itself.
    pub(in crate::fs) fn take(&mut self, most: u64) -> Option<Batch> {
        let ahead = self.pending.partition_point(|request| request.pages.start < self.head);
        let first = if ahead < self.pending.len() { ahead } else { 0 };
        let Request { kind, mut pages, .. } = self.pending.get(first)?.clone();
        let mut count = 1_usize;
        for other in self.pending.get(first..)?.iter().skip(1) {
            let end = pages.end.max(other.pages.end);
            let touches = other.pages.start <= pages.end;
            if other.kind != kind || !touches || end.saturating_sub(pages.start) > most {
                break;
            }
            pages.end = end;
            count = count.saturating_add(1);
        }
        self.head = pages.end;
        let requests = self.pending.drain(first..first.saturating_add(count)).collect();
        Some(Batch { kind, pages, requests })
    }
}
