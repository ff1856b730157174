//! Copying one table that others may be copying at the same time.

use super::counts::{LeafCounts, SharingMmu};
use crate::paging::address::{Index, Level};
use crate::paging::attr::{SoftwareBits, UserAccess};
use crate::paging::descriptor::{Descriptor, Entry, Groups, Leaf};
use crate::paging::table::{OutOfFrames, OwnedTable, Table};

/// A copy of `old`, in which `live` entries are in use, all of them in `groups`. What hangs below is in both afterwards,
/// counted and read-only.
///
/// `old` may be shared; the caller holds a reference to it, and no walker stores through it.
pub(super) fn copy_table(
    old: Table<'_>,
    live: u16,
    groups: Groups,
    mmu: &impl SharingMmu,
) -> Result<OwnedTable, OutOfFrames> {
    let copy = OwnedTable::allocate(old.level(), mmu.memory(), mmu.tables())?;
    let new = copy.view(mmu.memory());
    match old.level() {
        Level::Three => old.in_use(live, groups, |index, descriptor| copy_page(old, new, index, descriptor, mmu)),
        _ => old.in_use(live, groups, |index, descriptor| copy_entry(old, new, index, descriptor, mmu)),
    }
    Ok(copy)
}

/// Copies the entry at `index` of `old`, which reads `descriptor`, to the vacant place in `new`.
pub(super) fn copy_entry(old: Table<'_>, new: Table<'_>, index: Index, descriptor: Descriptor, mmu: &impl SharingMmu) {
    match descriptor.decode_ours(old.level()) {
        Entry::Invalid | Entry::Reserved => {}
        Entry::Table(_) => {
            old.share_with(new, index, mmu.tables());
        }
        Entry::Block(leaf) | Entry::Page(leaf) => copy_leaf(old, new, index, descriptor, leaf, mmu),
    }
}

/// [`copy_entry`] of a table of level 3: few instructions, for there may be many.
#[inline]
pub(super) fn copy_page(old: Table<'_>, new: Table<'_>, index: Index, descriptor: Descriptor, mmu: &impl SharingMmu) {
    if let Some(leaf) = descriptor.decode_ours(Level::Three).leaf() {
        copy_leaf(old, new, index, descriptor, leaf, mmu);
    }
}

#[inline]
fn copy_leaf(old: Table<'_>, new: Table<'_>, index: Index, descriptor: Descriptor, leaf: Leaf, mmu: &impl SharingMmu) {
    mmu.leaves().share(leaf);
    let marked = descriptor.marked();
    if marked != descriptor {
        old.copy_leaf(index, marked);
    }
    new.copy_leaf(index, marked);
}

/// Whether what `leaf` maps is the process's own, to be copied when there are two.
pub(super) fn is_private(leaf: Leaf) -> bool {
    !leaf.attributes.software.contains(SoftwareBits::SHARED)
}

/// What is left of `access` without the right to store.
#[must_use]
pub fn without_store(access: UserAccess) -> UserAccess {
    match access {
        UserAccess::None => UserAccess::None,
        UserAccess::ReadOnly | UserAccess::ReadWrite => UserAccess::ReadOnly,
        UserAccess::ReadExecute | UserAccess::ReadWriteExecute => UserAccess::ReadExecute,
    }
}
