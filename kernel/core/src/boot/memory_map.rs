//! The memory that is really free: what the board has, minus what somebody already sits on.
//!
//! Ranges come from the device tree, the mailbox or a built-in table, and may overlap, touch or be unaligned. Free
//! memory is rounded inwards to pages and reserved memory outwards, so a page that is reserved in part is reserved.
//! Until the frame allocator runs, [`MemoryMap::carve`] is the only allocator there is.

use heapless::Vec;

use super::PhysRange;
use crate::addr::{PAGE_SIZE, PhysAddr};

/// The most separate free ranges that a map can hold. A board with every reservation listed in `HARDWARE.md` needs 8.
pub const MAX_FREE_RANGES: usize = 32;

/// Why a memory map could not be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MapError {
    /// More than [`MAX_FREE_RANGES`] separate ranges; this one did not fit.
    TooManyRanges(PhysRange),
}

/// Free physical memory, as a sorted list of disjoint, non-touching ranges of whole pages.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MemoryMap {
    /// Sorted by address; no two overlap or touch; none is empty.
    free: Vec<PhysRange, MAX_FREE_RANGES>,
}

impl MemoryMap {
    /// What is in some range of `usable` and in none of `reserved`.
    ///
    /// # Errors
    ///
    /// [`MapError::TooManyRanges`] where the result, or a step towards it, is too much in pieces. Nothing is dropped
    /// silently: a lost reservation would be handed out as free memory.
    pub fn build(
        usable: impl IntoIterator<Item = PhysRange>,
        reserved: impl IntoIterator<Item = PhysRange>,
    ) -> Result<Self, MapError> {
        let mut map = Self { free: Vec::new() };
        for range in usable {
            map.add(range)?;
        }
        for range in &mut map.free {
            *range = range.pages_inside();
        }
        map.free.retain(|range| !range.is_empty());
        for range in reserved {
            map.subtract(range.pages_around())?;
        }
        Ok(map)
    }

    /// The free ranges, lowest first.
    #[must_use]
    pub fn free(&self) -> &[PhysRange] {
        &self.free
    }

    /// The sum of all free ranges.
    #[must_use]
    pub fn free_bytes(&self) -> u64 {
        self.free.iter().fold(0, |sum, range| sum.saturating_add(range.bytes()))
    }

    /// Takes `bytes` bytes, rounded up to pages, at a multiple of `align` and wholly below `below`, out of the map for
    /// good. The highest place that fits is taken: low memory is what devices with short address lines need later.
    ///
    /// `None` where nothing fits, where `bytes` is 0 or where `align` is not a power of two. An alignment below a page
    /// is a page. The map never loses a range here: where a piece taken from the middle would need one range more than
    /// there is room for, the next lower place is tried.
    #[must_use]
    pub fn carve(&mut self, bytes: u64, align: u64, below: PhysAddr) -> Option<PhysRange> {
        if bytes == 0 || !align.is_power_of_two() {
            return None;
        }
        let page = PAGE_SIZE as u64;
        let bytes = bytes.checked_next_multiple_of(page)?;
        let align = align.max(page);
        for index in (0..self.free.len()).rev() {
            let range = *self.free.get(index)?;
            if let Some(piece) = highest_fit(range, bytes, align, below)
                && self.subtract(piece).is_ok()
            {
                return Some(piece);
            }
        }
        None
    }

    /// Adds a range, merging it with every range that it overlaps or touches.
    fn add(&mut self, range: PhysRange) -> Result<(), MapError> {
        if range.is_empty() {
            return Ok(());
        }
        let (mut start, mut end) = (range.start(), range.end());
        self.free.retain(|old| {
            let apart = old.end() < start || old.start() > end;
            if !apart {
                start = start.min(old.start());
                end = end.max(old.end());
            }
            apart
        });
        PhysRange::new(start, end).map_or(Ok(()), |merged| self.insert(merged))
    }

    /// Takes `hole` out of every range that it overlaps. On an error the map is as before.
    fn subtract(&mut self, hole: PhysRange) -> Result<(), MapError> {
        let middle = self.free.iter().find(|r| r.overlaps(hole) && r.start() < hole.start() && hole.end() < r.end());
        if let (Some(&range), true) = (middle, self.free.is_full()) {
            return Err(MapError::TooManyRanges(range));
        }
        let mut upper_half = None;
        for range in &mut self.free {
            if !range.overlaps(hole) {
                continue;
            }
            let below = PhysRange::new(range.start(), hole.start()).filter(|r| !r.is_empty());
            let above = PhysRange::new(hole.end(), range.end()).filter(|r| !r.is_empty());
            *range = match (below, above) {
                (Some(below), Some(above)) => {
                    upper_half = Some(above);
                    below
                }
                (Some(rest), None) | (None, Some(rest)) => rest,
                (None, None) => PhysRange::EMPTY,
            };
        }
        self.free.retain(|range| !range.is_empty());
        upper_half.map_or(Ok(()), |range| self.insert(range))
    }

    /// Puts a range that overlaps none in its place.
    fn insert(&mut self, range: PhysRange) -> Result<(), MapError> {
        let place = self.free.partition_point(|other| other.start() < range.start());
        self.free.insert(place, range).map_err(MapError::TooManyRanges)
    }
}

/// The highest aligned piece of `bytes` bytes inside `range` and below `below`.
fn highest_fit(range: PhysRange, bytes: u64, align: u64, below: PhysAddr) -> Option<PhysRange> {
    let end = range.end().min(below);
    let start = PhysAddr::new(end.get().checked_sub(bytes)?).align_down(align);
    if start < range.start() {
        return None;
    }
    PhysRange::from_size(start, bytes)
}

#[cfg(test)]
mod tests;
