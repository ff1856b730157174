//! The translation tables of one half of one address space.

use super::Mmu;
use super::address::{HalfAddress, Index, Level};
use super::descriptor::Entry;
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
    /// How many entries of the root are in use. The other tables have this in their parent's descriptor.
    pub(super) live: u16,
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
        Ok(Self { root, tag, usage: Usage::Offline, live: 0 })
    }

    /// The tree below a root that is in use already.
    pub fn from_live_root(root: OwnedTable, memory: &impl FrameAccess, tag: A::Tag) -> Self {
        let live = root.view(memory).count_live();
        Self { root, tag, usage: Usage::Live, live }
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
        discard(self.root, self.live, 0, mmu, &mut release);
    }

    /// The root.
    pub(super) fn root_table<'m>(&'m self, memory: &'m impl FrameAccess) -> Table<'m> {
        self.root.view(memory)
    }
}

/// Frees `table`, which no walker can reach, and gives up the references to all tables below it; `release` gets the
/// leaves of those that nobody else has. The table begins at
/// `start` of its half and has `live` entries in use; the search for them ends with the last one.
pub(super) fn discard<A: HalfAddress>(
    table: OwnedTable,
    mut live: u16,
    start: u64,
    mmu: &impl Mmu,
    release: &mut impl FnMut(MappedLeaf<A>),
) {
    let view = table.view(mmu.memory());
    let level = view.level();
    let mut offset = start;
    for index in Index::all() {
        if live == 0 {
            break;
        }
        let entry = view.entry(index);
        live -= u16::from(entry != Entry::Invalid);
        match entry {
            Entry::Invalid | Entry::Reserved => {}
            Entry::Block(leaf) | Entry::Page(leaf) => {
                release(MappedLeaf { start: A::from_offset(offset), level, leaf });
            }
            Entry::Table(below) => {
                if let Some(child) = view.unlink(index).and_then(|child| child.release(mmu.tables())) {
                    discard(child, below.live, offset, mmu, release);
                }
            }
        }
        offset += level.entry_size();
    }
    table.free(mmu.tables());
}
