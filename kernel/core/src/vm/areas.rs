//! The areas of an address space, in the order of their addresses.
//!
//! A list in one piece: a fault finds its area by bisection, in cells that lie next to each other. Areas that can be one
//! are made one as they come, so that the list is short for all but the strangest programs, and there is a most
//! ([`MAX_AREAS`]) for those.
//!
//! A child shares the list with its parent. Who changes it copies it first (`Areas::change`), and takes the memory for
//! what he is going to add at the same time; after that nothing can fail, and the tables may be changed along with it.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use super::area::{Area, AreaFlags};
#[cfg(all(test, not(loom)))]
use super::area::{Protection, Sharing};
use super::failure::MapFailure;
use super::range::PageRange;
use crate::addr::UserAddr;

/// The most areas that an address space may have: Linux's number.
pub(super) const MAX_AREAS: usize = 65_530;
/// What a copy has to spare, so that the next few changes need no memory.
const SPARE: usize = 8;

/// The list, as one address space has it: possibly shared.
#[derive(Debug)]
pub(super) struct Areas {
    list: Arc<AreaList>,
}

/// The list itself.
#[derive(Debug, Default)]
pub(super) struct AreaList {
    /// Ordered; no two of them have an address in common.
    areas: Vec<Area>,
    totals: Totals,
}

/// Sums over areas, in pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Totals {
    pub(super) pages: u64,
    /// Private and writable, but not stack.
    pub(super) data: u64,
    pub(super) stack: u64,
    pub(super) locked: u64,
    /// Counted as promised.
    pub(super) charged: u64,
    /// Of areas that fork has to look at.
    pub(super) special: u64,
}

impl Totals {
    pub(super) fn of(area: &Area) -> Self {
        let pages = area.range.pages();
        let only = |condition: bool| if condition { pages } else { 0 };
        let stack = area.flags.contains(AreaFlags::GROWS_DOWN);
        Self {
            pages,
            data: only(area.is_private_writable() && !stack),
            stack: only(stack),
            locked: only(area.flags.contains(AreaFlags::LOCKED)),
            charged: only(area.flags.contains(AreaFlags::CHARGED)),
            special: only(area.is_special()),
        }
    }

    fn add(&mut self, area: &Area) {
        self.add_sums(Self::of(area));
    }

    fn add_sums(&mut self, more: Self) {
        self.pages += more.pages;
        self.data += more.data;
        self.stack += more.stack;
        self.locked += more.locked;
        self.charged += more.charged;
        self.special += more.special;
    }

    fn take(&mut self, area: &Area) {
        let less = Self::of(area);
        self.pages -= less.pages;
        self.data -= less.data;
        self.stack -= less.stack;
        self.locked -= less.locked;
        self.charged -= less.charged;
        self.special -= less.special;
    }
}

impl Areas {
    /// No areas.
    pub(super) fn new() -> Self {
        Self { list: Arc::new(AreaList::default()) }
    }

    /// The same list for another address space.
    pub(super) fn share(&self) -> Self {
        Self { list: Arc::clone(&self.list) }
    }

    /// All of them, in order.
    pub(super) fn as_slice(&self) -> &[Area] {
        &self.list.areas
    }

    /// Their sums.
    pub(super) fn totals(&self) -> Totals {
        self.list.totals
    }

    /// The sums over what lies in `range`.
    pub(super) fn totals_in(&self, range: PageRange) -> Totals {
        let mut totals = Totals::default();
        self.overlapping(range).iter().filter_map(|area| area.part(range)).for_each(|part| totals.add(&part));
        totals
    }

    /// The area that has `at`.
    pub(super) fn find(&self, at: UserAddr) -> Option<&Area> {
        let area = self.list.areas.get(self.list.first_ending_after(at))?;
        area.range.contains(at).then_some(area)
    }

    /// Whether all of them end at `at` or below.
    pub(super) fn end_by(&self, at: UserAddr) -> bool {
        self.list.areas.last().is_none_or(|last| last.range.end() <= at)
    }

    /// The areas that end after `at`: the one that has it, if there is one, and those above.
    pub(super) fn from(&self, at: UserAddr) -> &[Area] {
        self.list.areas.get(self.list.first_ending_after(at)..).unwrap_or_default()
    }

    /// The areas that end at `at` or below.
    pub(super) fn below(&self, at: UserAddr) -> &[Area] {
        self.list.areas.get(..self.list.first_ending_after(at)).unwrap_or_default()
    }

    /// The areas that have something of `range`.
    pub(super) fn overlapping(&self, range: PageRange) -> &[Area] {
        self.list.areas.get(self.list.indices(range)).unwrap_or_default()
    }

    /// Checks that all of `range` is mapped.
    pub(super) fn check_mapped(&self, range: PageRange) -> Result<(), MapFailure> {
        let mut next = range.start();
        for area in self.overlapping(range) {
            if area.range.start() > next {
                break;
            }
            next = area.range.end();
        }
        if next >= range.end() { Ok(()) } else { Err(MapFailure::NotMapped { at: next }) }
    }

    /// The list, to take out what lies in `range`.
    pub(super) fn for_removal(&mut self, range: PageRange) -> Result<&mut AreaList, MapFailure> {
        // Two areas are cut at most, and lose what was cut off. One that is cut twice leaves two.
        let parts = self.overlapping(range).len();
        let longer = if parts == 1 { self.cuts(range).saturating_sub(1) } else { 0 };
        self.change(longer)
    }

    /// The list, to put an area into `range`, whatever is there.
    pub(super) fn for_replacement(&mut self, range: PageRange) -> Result<&mut AreaList, MapFailure> {
        let parts = self.overlapping(range).len();
        let longer = (self.cuts(range) + 1).saturating_sub(parts);
        self.change(longer)
    }

    /// The list, to change areas of `range`.
    pub(super) fn for_update(&mut self, range: PageRange) -> Result<&mut AreaList, MapFailure> {
        self.change(self.cuts(range))
    }

    /// How many ends of `range` lie within an area.
    fn cuts(&self, range: PageRange) -> usize {
        let within = |at: UserAddr| self.find(at).is_some_and(|area| area.range.start() < at);
        usize::from(within(range.start())) + usize::from(within(range.end()))
    }

    /// The list, to change: ours alone, with room for one verb. It will be longer by `longer`.
    pub(super) fn change(&mut self, longer: usize) -> Result<&mut AreaList, MapFailure> {
        /// Two cuts and a new area.
        const ROOM: usize = 3;
        let count = self.list.areas.len();
        if longer > 0 && count + longer > MAX_AREAS {
            return Err(MapFailure::TooManyAreas);
        }
        if Arc::get_mut(&mut self.list).is_none() {
            let mut areas = Vec::new();
            areas.try_reserve_exact(count + ROOM + SPARE).map_err(|_| MapFailure::OutOfMemory)?;
            areas.extend_from_slice(&self.list.areas);
            self.list = Arc::new(AreaList { areas, totals: self.list.totals });
        }
        let list = Arc::get_mut(&mut self.list).ok_or(MapFailure::OutOfMemory)?;
        if list.areas.capacity() - count < ROOM {
            list.areas.try_reserve(ROOM + SPARE).map_err(|_| MapFailure::OutOfMemory)?;
        }
        Ok(list)
    }
}

impl AreaList {
    /// Their sums.
    pub(super) fn totals(&self) -> Totals {
        self.totals
    }

    /// Puts `area` where nothing is.
    pub(super) fn insert(&mut self, area: Area) {
        let index = self.first_ending_after(area.range.start());
        debug_assert!(self.areas.get(index).is_none_or(|next| next.range.start() >= area.range.end()));
        self.totals.add(&area);
        self.areas.insert(index, area);
        self.join(index..index + 1);
    }

    /// Puts `area`, whose sums are `more`, behind all others.
    pub(super) fn append(&mut self, area: Area, more: Totals) {
        debug_assert!(self.areas.last().is_none_or(|last| last.range.end() <= area.range.start()));
        self.totals.add_sums(more);
        if let Some(last) = self.areas.last_mut()
            && last.continues_in(&area)
            && let Some(whole) = PageRange::between(last.range.start(), area.range.end())
        {
            last.range = whole;
        } else {
            self.areas.push(area);
        }
    }

    /// Takes out what lies in `range`.
    pub(super) fn remove(&mut self, range: PageRange) {
        let indices = self.cut(range);
        for area in self.areas.drain(indices) {
            self.totals.take(&area);
        }
    }

    /// Changes all areas of `range`, which are cut at its ends. The ranges stay.
    pub(super) fn update(&mut self, range: PageRange, mut change: impl FnMut(&mut Area)) {
        let indices = self.cut(range);
        for area in self.areas.get_mut(indices.clone()).unwrap_or_default() {
            self.totals.take(area);
            change(area);
            self.totals.add(area);
        }
        self.join(indices);
    }

    /// Lets the area that begins at `start` begin at `new_start`, below which nothing is.
    pub(super) fn grow_down(&mut self, start: UserAddr, new_start: UserAddr) {
        let index = self.first_ending_after(start);
        if let Some(area) = self.areas.get_mut(index)
            && let Some(range) = PageRange::between(new_start, area.range.end())
        {
            self.totals.take(area);
            area.range = range;
            self.totals.add(area);
            self.join(index..index + 1);
        }
    }

    fn first_ending_after(&self, at: UserAddr) -> usize {
        self.areas.partition_point(|area| area.range.end() <= at)
    }

    /// The same, at once where all areas end before: a program is mapped from the bottom to the top.
    fn place_of(&self, at: UserAddr) -> usize {
        match self.areas.last() {
            Some(last) if last.range.end() > at => self.first_ending_after(at),
            _ => self.areas.len(),
        }
    }

    fn indices(&self, range: PageRange) -> Range<usize> {
        let first = self.place_of(range.start());
        let above = self.areas.get(first..).unwrap_or_default();
        first..first + above.partition_point(|area| area.range.start() < range.end())
    }

    /// Cuts areas at the ends of `range`, and says which lie within.
    fn cut(&mut self, range: PageRange) -> Range<usize> {
        self.cut_at(range.start());
        self.cut_at(range.end());
        self.indices(range)
    }

    fn cut_at(&mut self, at: UserAddr) {
        let index = self.first_ending_after(at);
        let Some(area) = self.areas.get_mut(index) else { return };
        let (start, end) = (area.range.start(), area.range.end());
        let (Some(lower), Some(upper)) = (PageRange::between(start, at), PageRange::between(at, end)) else { return };
        if let (Some(lower), Some(upper)) = (area.part(lower), area.part(upper)) {
            *area = lower;
            self.areas.insert(index + 1, upper);
        }
    }

    /// Makes one of neighbours that may be, from the one before `indices` to the one behind.
    fn join(&mut self, indices: Range<usize>) {
        let mut index = indices.start.saturating_sub(1);
        let mut last = indices.end.min(self.areas.len().saturating_sub(1));
        while index < last {
            let (Some(this), Some(next)) = (self.areas.get(index), self.areas.get(index + 1)) else { return };
            if let Some(whole) =
                PageRange::between(this.range.start(), next.range.end()).filter(|_| this.continues_in(next))
            {
                self.areas.remove(index + 1);
                if let Some(area) = self.areas.get_mut(index) {
                    area.range = whole;
                }
                last -= 1;
            } else {
                index += 1;
            }
        }
    }

    /// Checks what must always be so.
    #[cfg(all(test, not(loom)))]
    pub(super) fn check(&self) {
        let mut totals = Totals::default();
        self.areas.iter().for_each(|area| totals.add(area));
        assert_eq!(totals, self.totals);
        for pair in self.areas.windows(2) {
            assert!(pair[0].range.end() <= pair[1].range.start(), "areas overlap: {pair:?}");
            assert!(!pair[0].continues_in(&pair[1]), "areas that could be one: {pair:?}");
        }
        for area in &self.areas {
            assert!(area.maximum.contains(area.protection) || area.protection == Protection::NONE, "{area:?}");
            assert!(area.sharing == Sharing::Private || !area.flags.contains(AreaFlags::CHARGED), "{area:?}");
        }
    }
}

#[cfg(all(test, not(loom)))]
impl Areas {
    /// Checks what must always be so.
    pub(super) fn check(&self) {
        self.list.check();
    }

    /// Whether another address space has the same list.
    pub(super) fn is_shared(&self) -> bool {
        Arc::strong_count(&self.list) > 1
    }
}
