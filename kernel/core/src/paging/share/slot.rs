//! A page's place in the tables: the one descent that a fault makes.
//!
//! Most faults need no more than three loads to find their place, and a store or two there. [`UserTree::slot`] goes down
//! once, makes ours what is shared on the way, and hands out the place where it ended. What is to be done there follows
//! from what stands there and from the area, which tables know nothing of; so the decision is the caller's:
//! [`fill`](Slot::fill) a vacant place, [`write`](Slot::write) or [`replace`](Slot::replace) a page.

use super::copy::is_private;
use super::counts::{LeafCounts, SharingMmu};
use super::page::Write;
use super::tree::UserTree;
use super::unshare::{open_path, page_at};
use crate::addr::{Asid, PAGE_SIZE, PhysFrame, UserAddr};
use crate::hal::{FrameAccess, Tlb};
use crate::paging::address::{HalfAddress, Index, Level, VirtRange};
use crate::paging::attr::{Access, Attributes, TableLimits, UserAccess};
use crate::paging::descriptor::{Groups, Leaf};
use crate::paging::table::{OutOfFrames, OwnedTable, Table};
use crate::paging::tree::Used;
use crate::paging::unmap::MappedLeaf;

/// So many pages are filled at once, at most.
pub const FEW_PAGES: usize = 16;
/// A frame for each of them.
pub type FewFrames = [PhysFrame; FEW_PAGES];
/// Room for them.
pub const NO_FRAMES: FewFrames = [PhysFrame::from_number(0); FEW_PAGES];

/// Why there is no slot. Nothing that a program can tell was changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SlotError {
    /// The address is not in a program's half.
    OutOfHalf,
    /// The path is shared, and there is no frame for a table.
    OutOfFrames,
}

/// The place of one page in a tree: all tables on the way to it are the tree's own.
#[must_use = "the place is as it was"]
pub struct Slot<'t, X> {
    mmu: &'t X,
    tag: Asid,
    used: &'t mut Used,
    /// Where the page begins.
    offset: u64,
    trail: Trail<'t>,
}

/// Where a walk ended.
#[derive(Clone, Copy)]
struct Trail<'t> {
    /// The last table: of level 3, or one whose entry names no table.
    table: Table<'t>,
    /// The entry.
    index: Index,
    /// The descriptor that names the table, unless it is the root.
    parent: Option<(Table<'t>, Index)>,
    /// Whether a descriptor on the way is read-only, so that the table may be shared.
    restricted: bool,
}

impl<'t> Trail<'t> {
    /// Walks to `offset`.
    #[inline]
    fn follow(root: Table<'t>, memory: &'t impl FrameAccess, offset: u64) -> Self {
        let mut trail = Self { table: root, index: root.level().index(offset), parent: None, restricted: false };
        while let Some((child, entry)) = trail.table.child(memory, trail.index) {
            trail = Self {
                table: child,
                index: child.level().index(offset),
                parent: Some((trail.table, trail.index)),
                restricted: trail.restricted | entry.limits.contains(TableLimits::READ_ONLY),
            };
        }
        trail
    }

    /// Counts `more` entries of the last table in, all of them in `groups`.
    #[inline]
    fn add_live(&self, used: &mut Used, more: u16, groups: Groups) {
        match self.parent {
            None => used.set(self.index, true),
            Some((table, index)) => table.add_live(index, more, groups),
        }
    }
}

impl UserTree {
    /// The place of the page that holds `at`. The tables on the way to it, as far as there are any, are ours then.
    ///
    /// # Errors
    ///
    /// [`SlotError::OutOfFrames`] if a table is shared and cannot be copied.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a slot that is returned is copied twice; a fault has one")]
    pub fn slot<'t, X: SharingMmu>(&'t mut self, mmu: &'t X, at: UserAddr) -> Result<Slot<'t, X>, SlotError> {
        let offset = at.page_down().offset().ok_or(SlotError::OutOfHalf)?;
        let tag = self.tree.tag;
        let root = self.tree.root.view(mmu.memory());
        let mut trail = Trail::follow(root, mmu.memory(), offset);
        if trail.restricted {
            let opened = open_path(root, tag, mmu, page_at(offset), offset);
            let _ = opened.map_err(|OutOfFrames| SlotError::OutOfFrames)?;
            trail = Trail::follow(root, mmu.memory(), offset);
        }
        Ok(Slot { mmu, tag, used: &mut self.tree.used, offset, trail })
    }

    /// Fills vacant pages of `range`, which has at most [`FEW_PAGES`] and lies within 2 MiB, if their table is there and
    /// ours. `supply` is asked once: bit `n` of its argument says that page `n` of the range is vacant, and bit `n` of its
    /// answer that entry `n` of the array is now a frame for that page, to whose reference the leaf succeeds. Returns how
    /// many pages were filled.
    pub fn fill_vacant(
        &mut self,
        mmu: &impl SharingMmu,
        range: VirtRange<UserAddr>,
        attributes: Attributes<UserAccess>,
        supply: impl FnOnce(u16, &mut FewFrames) -> u16,
    ) -> u64 {
        let span = range.span();
        debug_assert!(Level::Two.pieces(span).count() <= 1, "one table's pages");
        let trail = Trail::follow(self.tree.root.view(mmu.memory()), mmu.memory(), span.start);
        if trail.restricted || trail.table.level() != Level::Three {
            return 0;
        }
        let first = Level::Three.index(span.start).get();
        let mut vacant = 0;
        let pages = (span.end - span.start) >> Level::Three.shift();
        for number in 0..usize::try_from(pages).map_or(FEW_PAGES, |pages| pages.min(FEW_PAGES)) {
            let descriptor = trail.table.descriptor(Index::within(first + number));
            vacant |= u16::from(!descriptor.is_valid()) << number;
        }
        let mut frames = NO_FRAMES;
        let mut found = supply(vacant, &mut frames) & vacant;
        if found == 0 {
            return 0;
        }
        let filled = found.count_ones();
        let attributes = attributes.with_access(Access::User(attributes.access));
        let mut groups = Groups::default();
        for (number, frame) in frames.iter().enumerate() {
            if found & 1 != 0 {
                let index = Index::within(first + number);
                trail.table.set_leaf(index, Leaf { output: frame.start(), attributes });
                groups = groups.with(Groups::of(index));
            }
            found >>= 1;
        }
        trail.add_live(&mut self.tree.used, u16::try_from(filled).unwrap_or(0), groups);
        mmu.tlb().publish();
        u64::from(filled)
    }
}

impl<X: SharingMmu> Slot<'_, X> {
    /// What is mapped there.
    #[must_use]
    #[inline]
    pub fn leaf(&self) -> Option<Leaf> {
        self.trail.table.entry(self.trail.index).leaf()
    }

    /// The page's first address.
    #[must_use]
    pub fn start(&self) -> UserAddr {
        UserAddr::from_offset(self.offset)
    }

    /// Maps the vacant page to `frame`, to whose reference the leaf succeeds.
    ///
    /// # Errors
    ///
    /// [`OutOfFrames`] if a table is missing and cannot be had. The reference stays with the caller.
    #[inline]
    pub fn fill(&mut self, frame: PhysFrame, attributes: Attributes<UserAccess>) -> Result<(), OutOfFrames> {
        let Self { mmu, offset, trail, .. } = *self;
        let leaf = Leaf { output: frame.start(), attributes: attributes.with_access(Access::User(attributes.access)) };
        match trail.table.level().below() {
            None => trail.table.set_leaf(trail.index, leaf),
            Some(below) => {
                let groups = Groups::of(below.index(offset));
                trail.table.link(trail.index, grow(mmu, below, offset, leaf)?, 1, groups);
            }
        }
        trail.add_live(self.used, 1, Groups::of(trail.index));
        // An invalid entry is in no TLB: a new one needs no invalidation, it only needs to be seen.
        mmu.tlb().publish();
        Ok(())
    }

    /// Gives the leaf `access`, which is what the area lets the program do, unless the page is somebody else's, too.
    pub fn write(&mut self, access: UserAccess) -> Write {
        let Some(leaf) = self.leaf() else { return Write::NotMapped };
        let granted = Leaf { attributes: leaf.attributes.with_access(Access::User(access)), ..leaf };
        if granted != leaf {
            if is_private(leaf) && !self.mmu.leaves().is_last(leaf) {
                return Write::Copy(MappedLeaf { start: self.start(), level: self.trail.table.level(), leaf });
            }
            self.trail.table.set_leaf(self.trail.index, granted);
        }
        // Also where nothing changed: some TLB remembers the refusal, or there would have been no fault.
        self.refresh();
        Write::Granted
    }

    /// Makes TLBs forget what they remember of the page, maybe a refusal: for a fault that was spurious.
    pub fn refresh(&mut self) {
        self.mmu.tlb().publish();
        self.mmu.tlb().flush_user_page(self.tag, self.start());
    }

    /// Lets the page be `frame`, to whose reference the leaf succeeds, and returns the old leaf with *its* reference,
    /// when no CPU can use it any more. `None`, and nothing done, where nothing is mapped.
    ///
    /// In between, the address translates to nothing (break-before-make, Arm ARM D8.16.1): another thread's fault waits
    /// for the lock that the caller holds.
    pub fn replace(&mut self, frame: PhysFrame, attributes: Attributes<UserAccess>) -> Option<MappedLeaf<UserAddr>> {
        let leaf = self.leaf()?;
        let Trail { table, index, .. } = self.trail;
        table.clear_leaf(index);
        self.mmu.tlb().publish();
        self.mmu.tlb().flush_user_page(self.tag, self.start());
        let attributes = attributes.with_access(Access::User(attributes.access));
        table.set_leaf(index, Leaf { output: frame.start(), attributes });
        self.mmu.tlb().publish();
        Some(MappedLeaf { start: self.start(), level: table.level(), leaf })
    }
}

/// A table of `level`, and those below it, that map the page at `offset` by `leaf` and nothing else.
#[cold]
fn grow(mmu: &impl SharingMmu, level: Level, offset: u64, leaf: Leaf) -> Result<OwnedTable, OutOfFrames> {
    debug_assert!(offset.is_multiple_of(PAGE_SIZE as u64));
    let table = OwnedTable::allocate(level, mmu.memory(), mmu.tables())?;
    let index = level.index(offset);
    let Some(below) = level.below() else {
        table.view(mmu.memory()).set_leaf(index, leaf);
        return Ok(table);
    };
    match grow(mmu, below, offset, leaf) {
        Ok(child) => {
            table.view(mmu.memory()).link(index, child, 1, Groups::of(below.index(offset)));
            Ok(table)
        }
        Err(OutOfFrames) => {
            table.free(mmu.tables());
            Err(OutOfFrames)
        }
    }
}
