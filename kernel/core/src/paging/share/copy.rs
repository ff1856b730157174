//! Copying one table that others may be copying at the same time.

use super::counts::{LeafCounts, SharingMmu};
use crate::paging::address::Index;
use crate::paging::attr::{Access, SoftwareBits, TableLimits, UserAccess};
use crate::paging::descriptor::{Entry, Leaf, TableEntry};
use crate::paging::table::{OutOfFrames, OwnedTable, Table};

/// A copy of `old`, in which `live` entries are in use. What hangs below is in both afterwards, counted and read-only.
///
/// `old` may be shared; the caller holds a reference to it, and no walker stores through it.
pub(super) fn copy_table(old: Table<'_>, mut live: u16, mmu: &impl SharingMmu) -> Result<OwnedTable, OutOfFrames> {
    let copy = OwnedTable::allocate(old.level(), mmu.memory(), mmu.tables())?;
    let new = copy.view(mmu.memory());
    for index in Index::all() {
        if live == 0 {
            break;
        }
        let entry = old.entry(index);
        live -= u16::from(entry != Entry::Invalid);
        match entry {
            Entry::Invalid | Entry::Reserved => {}
            Entry::Table(_) => share_table(old, new, index, mmu),
            Entry::Block(leaf) | Entry::Page(leaf) => share_leaf(old, new, index, leaf, mmu),
        }
    }
    Ok(copy)
}

fn share_table(old: Table<'_>, new: Table<'_>, index: Index, mmu: &impl SharingMmu) {
    if let Some((reference, entry)) = old.share(index, mmu.tables()) {
        let limits = entry.limits | TableLimits::READ_ONLY;
        old.set_limits(index, limits);
        new.link_shared(index, reference, TableEntry { limits, ..entry });
    }
}

fn share_leaf(old: Table<'_>, new: Table<'_>, index: Index, leaf: Leaf, mmu: &impl SharingMmu) {
    mmu.leaves().share(leaf);
    let marked = marked(leaf);
    if marked != leaf {
        old.set_leaf(index, marked);
    }
    new.set_leaf(index, marked);
}

/// The leaf as it may stand in two tables: private memory is not written by way of either.
fn marked(leaf: Leaf) -> Leaf {
    match leaf.attributes.access {
        Access::User(access) if is_private(leaf) => {
            Leaf { attributes: leaf.attributes.with_access(Access::User(without_store(access))), ..leaf }
        }
        Access::User(_) | Access::Kernel(_) => leaf,
    }
}

/// Whether what `leaf` maps is the process's own, to be copied when there are two.
pub(super) fn is_private(leaf: Leaf) -> bool {
    !leaf.attributes.software.contains(SoftwareBits::SHARED)
}

/// What is left of `access` without the right to store.
pub(super) fn without_store(access: UserAccess) -> UserAccess {
    match access {
        UserAccess::None => UserAccess::None,
        UserAccess::ReadOnly | UserAccess::ReadWrite => UserAccess::ReadOnly,
        UserAccess::ReadExecute | UserAccess::ReadWriteExecute => UserAccess::ReadExecute,
    }
}
