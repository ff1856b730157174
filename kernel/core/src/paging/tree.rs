//! The translation tables of one half of one address space.

use super::Mmu;
use super::address::{HalfAddress, Index, Level, Span};
use super::descriptor::{Descriptor, Groups};
use super::table::{OutOfFrames, OwnedTable, Table};
use super::unmap::MappedLeaf;
use crate::addr::PhysFrame;
use crate::hal::{FrameAccess, Tlb};

/// A root table, all that hangs below it, and the tag that its translations carry in the TLB.
///
/// A tree must end in [`destroy`](Self::destroy); a drop leaks its tables.
#[must_use = "a dropped tree is lost frames"]
#[derive(Debug)]
pub struct Tree<A: HalfAddress> {
    pub(super) root: OwnedTable,
    pub(super) tag: A::Tag,
    pub(super) usage: Usage,
    /// Which entries of the root are in use. Of the other tables their parents' descriptors hold the number.
    pub(super) used: Used,
}

/// Whether a walker may be at work in the tree.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Usage {
    /// No TTBR ever held the root.
    Offline,
    /// A TTBR may hold the root.
    Live,
}

impl<A: HalfAddress> Tree<A> {
    /// A tree that maps nothing.
    pub fn new(mmu: &impl Mmu, tag: A::Tag) -> Result<Self, OutOfFrames> {
        let root = OwnedTable::allocate(Level::One, mmu.memory(), mmu.tables())?;
        Ok(Self { root, tag, usage: Usage::Offline, used: Used::default() })
    }

    /// The tree below a root that is in use already.
    pub fn from_live_root(root: OwnedTable, memory: &impl FrameAccess, tag: A::Tag) -> Self {
        let mut used = Used::default();
        root.view(memory).in_use(u16::MAX, Groups::ALL, |index, _| used.set(index, true));
        Self { root, tag, usage: Usage::Live, used }
    }

    /// The root's frame, for a TTBR. From here on the tree counts as live. Whoever loads the TTBR sees to it that the
    /// root leaves every TTBR before [`destroy`](Self::destroy).
    pub fn activate(&mut self) -> PhysFrame {
        self.usage = Usage::Live;
        self.root.frame()
    }

    /// The root's frame.
    #[must_use]
    pub fn root_frame(&self) -> PhysFrame {
        self.root.frame()
    }

    /// The tag that the tree's translations carry in the TLB.
    pub fn tag(&self) -> A::Tag {
        self.tag
    }

    /// Ends the tree: forgets the whole address space at once, then hands every leaf to `release` and every table to
    /// its source. No TTBR holds the root any more.
    pub fn destroy(self, mmu: &impl Mmu, mut release: impl FnMut(MappedLeaf<A>)) {
        if self.usage == Usage::Live {
            mmu.tlb().publish();
            A::flush_space(mmu.tlb(), self.tag);
        }
        let root = self.root.view(mmu.memory());
        self.used.for_each(|index| {
            let start = Level::One.entry_size() * index.get() as u64;
            discard_entry(root, index, root.descriptor(index), start, mmu, &mut release);
        });
        self.root.free_empty(mmu.tables());
    }

    /// Notes which entries of the root are in use now, of those that translate something of `span`.
    pub(super) fn note_used(&mut self, memory: &impl FrameAccess, span: Span) {
        let root = self.root.view(memory);
        for (index, _) in Level::One.pieces(span) {
            self.used.set(index, root.descriptor(index).is_valid());
        }
    }

    /// The root.
    pub(super) fn root_table<'m>(&'m self, memory: &'m impl FrameAccess) -> Table<'m> {
        self.root.view(memory)
    }
}

/// The entries of the root that are in use. A program uses two or three of them, and neither its fork nor its exit looks
/// at the others; if it ever uses many, all are looked at from then on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Used {
    /// The first `count` of them, in order.
    few: [Index; Self::FEW],
    /// Or [`MANY`](Self::MANY).
    count: u16,
}

impl Used {
    const FEW: usize = 7;
    const MANY: u16 = u16::MAX;

    /// Notes that `index` is in use, or is no more.
    pub(super) fn set(&mut self, index: Index, used: bool) {
        let Some(few) = self.few.get(..usize::from(self.count)) else { return };
        let place = few.partition_point(|&other| other < index);
        let last = few.len();
        match (few.get(place) == Some(&index), used) {
            (false, true) if last < Self::FEW => {
                self.few.copy_within(place..last, place.wrapping_add(1));
                self.few[place] = index;
                self.count = self.count.wrapping_add(1);
            }
            (false, true) => self.count = Self::MANY,
            (true, false) => {
                self.few.copy_within(place.wrapping_add(1)..last, place);
                self.count = self.count.wrapping_sub(1);
            }
            (true, true) | (false, false) => {}
        }
    }

    /// Calls `each` for all that are in use, in order, and perhaps for others.
    #[inline]
    pub(super) fn for_each(&self, mut each: impl FnMut(Index)) {
        match self.few.get(..usize::from(self.count)) {
            Some(few) => few.iter().for_each(|&index| each(index)),
            None => Index::all().for_each(each),
        }
    }
}

/// Frees `table`, which no walker can reach, and gives up the references to all tables below it; `release` gets the
/// leaves of those that nobody else has. The table begins at
/// `start` of its half and has `live` entries in use, all of them in `groups`; the search for them ends with the last one.
pub(super) fn discard<A: HalfAddress>(
    table: OwnedTable,
    live: u16,
    groups: Groups,
    start: u64,
    mmu: &impl Mmu,
    release: &mut impl FnMut(MappedLeaf<A>),
) {
    let view = table.view(mmu.memory());
    let shift = match view.level() {
        Level::Three => return discard_pages(table, live, groups, start, mmu, release),
        upper => upper.shift(),
    };
    if live > 0 {
        view.in_use(live, groups, |index, descriptor| {
            let offset = start | (index.get() as u64) << shift;
            discard_entry(view, index, descriptor, offset, mmu, release);
        });
    }
    table.free_empty(mmu.tables());
}

/// [`discard`] of a table of level 3: most of what there is to give up are pages, and of these most are shared.
#[inline(never)]
fn discard_pages<A: HalfAddress>(
    table: OwnedTable,
    live: u16,
    groups: Groups,
    start: u64,
    mmu: &impl Mmu,
    release: &mut impl FnMut(MappedLeaf<A>),
) {
    let view = table.view(mmu.memory());
    if live > 0 {
        view.in_use(live, groups, |index, descriptor| {
            if let Some(leaf) = descriptor.decode_ours(Level::Three).leaf() {
                let start = A::from_offset(start | (index.get() as u64) << Level::Three.shift());
                release(MappedLeaf { start, level: Level::Three, leaf });
            }
            // The frame's next user need not fill it with zeroes.
            view.empty(index);
        });
    }
    table.free_empty(mmu.tables());
}

/// Gives up what the entry of a table above level 3 refers to, and empties it. It begins at `start` of its half.
fn discard_entry<A: HalfAddress>(
    table: Table<'_>,
    index: Index,
    descriptor: Descriptor,
    start: u64,
    mmu: &impl Mmu,
    release: &mut impl FnMut(MappedLeaf<A>),
) {
    let level = table.level();
    if let Some((child, below)) = table.unlink(index) {
        if let Some(child) = child.release(mmu.tables()) {
            discard(child, below.live, below.groups, start, mmu, release);
        }
        return;
    }
    table.empty(index);
    if let Some(leaf) = descriptor.decode_ours(level).leaf() {
        release(MappedLeaf { start: A::from_offset(start), level, leaf });
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    fn listed(used: &Used) -> Vec<usize> {
        let mut list = Vec::new();
        used.for_each(|index| list.push(index.get()));
        list
    }

    #[test]
    fn the_entries_in_use_come_in_order_and_go_one_by_one() {
        let mut used = Used::default();
        let places = [0, 1, 63, 64, 300, 510, 511];
        for place in [511, 64, 1, 300, 0, 63, 510, 1] {
            used.set(Index::within(place), true);
        }
        used.set(Index::within(2), false);
        for left in 0..places.len() {
            assert_eq!(listed(&used), places[left..]);
            used.set(Index::within(places[left]), false);
        }
        assert_eq!(listed(&used), []);
    }

    #[test]
    fn where_many_entries_are_in_use_all_are_looked_at() {
        let mut used = Used::default();
        (0..8).for_each(|place| used.set(Index::within(place * 50), true));
        assert_eq!(listed(&used), (0..512).collect::<Vec<_>>());
        (0..8).for_each(|place| used.set(Index::within(place * 50), false));
        assert_eq!(listed(&used).len(), 512);
    }
}
