//! A range of physical memory.

use core::fmt;

use crate::addr::{PAGE_SIZE, PhysAddr};

/// Physical memory from `start` up to, not including, `end`. May be empty, never reversed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PhysRange {
    start: PhysAddr,
    end: PhysAddr,
}

impl PhysRange {
    /// No byte at all.
    pub const EMPTY: Self = Self { start: PhysAddr::new(0), end: PhysAddr::new(0) };

    /// From `start` up to `end`; `None` where `end` lies before `start`.
    #[must_use]
    pub const fn new(start: PhysAddr, end: PhysAddr) -> Option<Self> {
        if start.get() <= end.get() { Some(Self { start, end }) } else { None }
    }

    /// `bytes` bytes from `start`; `None` where that passes the end of the address space.
    #[must_use]
    pub const fn from_size(start: PhysAddr, bytes: u64) -> Option<Self> {
        match start.checked_add(bytes) {
            Some(end) => Some(Self { start, end }),
            None => None,
        }
    }

    /// The first byte.
    #[must_use]
    pub const fn start(self) -> PhysAddr {
        self.start
    }

    /// One past the last byte.
    #[must_use]
    pub const fn end(self) -> PhysAddr {
        self.end
    }

    /// The number of bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.end.get().saturating_sub(self.start.get())
    }

    /// Whether there is no byte in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.start.get() == self.end.get()
    }

    /// Whether some byte is in both.
    #[must_use]
    pub const fn overlaps(self, other: Self) -> bool {
        !self.is_empty()
            && !other.is_empty()
            && self.start.get() < other.end.get()
            && other.start.get() < self.end.get()
    }

    /// Whether every byte of `other` is in `self`.
    #[must_use]
    pub const fn covers(self, other: Self) -> bool {
        other.is_empty() || (self.start.get() <= other.start.get() && other.end.get() <= self.end.get())
    }

    /// The whole pages inside: what may be handed out.
    #[must_use]
    pub const fn pages_inside(self) -> Self {
        let end = self.end.page_down();
        match self.start.align_up(PAGE_SIZE as u64) {
            Some(start) if start.get() < end.get() => Self { start, end },
            _ => Self { start: end, end },
        }
    }

    /// The pages that hold some byte of it: what must be kept. At the very top of the address space the end stays
    /// unaligned, as its page has no end that fits 64 bits.
    #[must_use]
    pub const fn pages_around(self) -> Self {
        if self.is_empty() {
            return self;
        }
        match self.end.align_up(PAGE_SIZE as u64) {
            Some(end) => Self { start: self.start.page_down(), end },
            None => Self { start: self.start.page_down(), end: self.end },
        }
    }
}

impl fmt::Debug for PhysRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}..{:#x}", self.start.get(), self.end.get())
    }
}

impl fmt::Display for PhysRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}..{:#x}", self.start.get(), self.end.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: u64, end: u64) -> PhysRange {
        PhysRange::new(PhysAddr::new(start), PhysAddr::new(end)).unwrap()
    }

    #[test]
    fn a_reversed_range_cannot_be_made() {
        assert_eq!(PhysRange::new(PhysAddr::new(2), PhysAddr::new(1)), None);
        assert_eq!(PhysRange::from_size(PhysAddr::new(u64::MAX), 2), None);
    }

    #[test]
    fn free_ranges_shrink_to_pages_and_reserved_ones_grow() {
        assert_eq!(range(0x1001, 0x3fff).pages_inside(), range(0x2000, 0x3000));
        assert_eq!(range(0x1001, 0x3fff).pages_around(), range(0x1000, 0x4000));
        assert!(range(0x1001, 0x1fff).pages_inside().is_empty());
        assert!(range(0x1800, 0x2800).pages_inside().is_empty());
        assert_eq!(range(0x1800, 0x1800).pages_around(), range(0x1800, 0x1800));
        assert!(range(u64::MAX - 1, u64::MAX).pages_inside().is_empty());
    }

    #[test]
    fn touching_ranges_do_not_overlap() {
        assert!(!range(0, 0x1000).overlaps(range(0x1000, 0x2000)));
        assert!(range(0, 0x1001).overlaps(range(0x1000, 0x2000)));
        assert!(!range(0, 0x2000).overlaps(range(0x1000, 0x1000)));
        assert!(range(0, 0x2000).covers(range(0x1000, 0x2000)));
    }
}
