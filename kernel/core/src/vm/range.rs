//! Whole pages of a program's half.

use super::failure::MapFailure;
use crate::addr::{PAGE_SIZE, USER_END, UserAddr};
use crate::paging::VirtRange;

/// Bytes in a page.
pub const PAGE: u64 = PAGE_SIZE as u64;

/// The pages from `start` up to `end`: at least one, all in the program's half.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PageRange {
    start: UserAddr,
    end: UserAddr,
}

impl PageRange {
    /// The pages that `bytes` bytes from `start` on touch.
    ///
    /// # Errors
    ///
    /// [`MapFailure::Invalid`] where `start` is not on a page border or there are no bytes, [`MapFailure::NoGap`] where they
    /// are more than a program's half has.
    pub fn new(start: UserAddr, bytes: u64) -> Result<Self, MapFailure> {
        if !start.is_aligned(PAGE) || bytes == 0 {
            return Err(MapFailure::Invalid);
        }
        let end = start.checked_add(bytes).and_then(|end| end.align_up(PAGE)).ok_or(MapFailure::NoGap)?;
        Self::between(start, end).ok_or(MapFailure::NoGap)
    }

    /// From one page border to another; `None` where they are none, or no page is between them, or not in the half.
    #[must_use]
    pub const fn between(start: UserAddr, end: UserAddr) -> Option<Self> {
        let sound = start.is_aligned(PAGE) && end.is_aligned(PAGE) && start.get() < end.get() && end.get() <= USER_END;
        if sound { Some(Self { start, end }) } else { None }
    }

    /// The page that holds `at`.
    #[must_use]
    pub const fn page(at: UserAddr) -> Option<Self> {
        if at.get() >= USER_END {
            return None;
        }
        let start = at.page_down();
        Some(Self { start, end: UserAddr::new(start.get() + PAGE) })
    }

    /// The first address.
    #[must_use]
    pub const fn start(self) -> UserAddr {
        self.start
    }

    /// The first address behind it.
    #[must_use]
    pub const fn end(self) -> UserAddr {
        self.end
    }

    /// Its length.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.end.get() - self.start.get()
    }

    /// Its length in pages.
    #[must_use]
    pub const fn pages(self) -> u64 {
        self.bytes() / PAGE
    }

    /// Whether it has `at`.
    #[must_use]
    pub const fn contains(self, at: UserAddr) -> bool {
        self.start.get() <= at.get() && at.get() < self.end.get()
    }

    /// What both have.
    #[must_use]
    pub fn and(self, other: Self) -> Option<Self> {
        Self::between(self.start.max(other.start), self.end.min(other.end))
    }

    /// The first address of each page.
    pub fn each(self) -> impl Iterator<Item = UserAddr> {
        (self.start.get()..self.end.get()).step_by(PAGE_SIZE).map(UserAddr::new)
    }

    /// The range, as tables know it.
    #[must_use]
    pub fn tables(self) -> VirtRange<UserAddr> {
        VirtRange::new(self.start, self.bytes()).expect("whole pages of the half, as `between` found")
    }
}
