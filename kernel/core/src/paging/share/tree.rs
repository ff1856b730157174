//! A program's translation tables.

use super::counts::{LeafCounts, SharingMmu};
use crate::addr::{Asid, PhysFrame, UserAddr};
use crate::paging::table::OutOfFrames;
use crate::paging::tree::Tree;

/// A tree whose tables may be shared with other trees of its kind.
///
/// Must end in [`destroy`](Self::destroy); a drop leaks its tables and what they map. All verbs want the `mmu` that the
/// tree was made with.
#[must_use = "a dropped tree is lost frames"]
#[derive(Debug)]
pub struct UserTree {
    pub(super) tree: Tree<UserAddr>,
}

impl UserTree {
    /// A tree that maps nothing. `tag` is its own: no other living tree has it, and no TLB holds anything of an earlier
    /// one.
    pub fn new(mmu: &impl SharingMmu, tag: Asid) -> Result<Self, OutOfFrames> {
        Tree::new(mmu, tag).map(|tree| Self { tree })
    }

    /// The tables, to walk and to look at. What is found below a read-only descriptor may get marks from others at any
    /// time, and nothing else.
    pub fn tables(&self) -> &Tree<UserAddr> {
        &self.tree
    }

    /// The root's frame, for a TTBR: see [`Tree::activate`].
    pub fn activate(&mut self) -> PhysFrame {
        self.tree.activate()
    }

    /// Ends the tree: forgets the address space, gives up a reference to each table that the root names, and walks
    /// only what nobody else has. No TTBR holds the root any more.
    ///
    /// It takes as long as there are tables and pages that belong to this tree alone. It holds no lock meanwhile; the
    /// caller may be preempted as always.
    pub fn destroy(self, mmu: &impl SharingMmu) {
        self.tree.destroy(mmu, |mapped| mmu.leaves().release(mapped.leaf));
    }
}
