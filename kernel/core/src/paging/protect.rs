//! Changing permissions of what is mapped.
//!
//! Permissions may be changed in place, without break-before-make (Arm ARM D8.16.1): the output address, the memory
//! type and the size stay. The invalidation comes before the return also when rights are only added, for a TLB may
//! hold the refusal.

use super::Mmu;
use super::address::{HalfAddress, Span, VirtRange};
use super::descriptor::{Entry, Leaf};
use super::flush::Pending;
use super::table::Table;
use super::tree::Tree;
use super::unmap::{MappedLeaf, PartialBlock};

impl<A: HalfAddress> Tree<A> {
    /// Gives all that is mapped in `range` the permissions `access`.
    pub fn protect(&mut self, mmu: &impl Mmu, range: VirtRange<A>, access: A::Access) -> Result<(), PartialBlock<A>> {
        self.protect_each(mmu, range, |_| access)
    }

    /// Gives each leaf of `range` the permissions that `choose` finds for it: a page that is to be copied when it is
    /// written stays read-only in an area that becomes writable.
    pub fn protect_each(
        &mut self,
        mmu: &impl Mmu,
        range: VirtRange<A>,
        choose: impl FnMut(MappedLeaf<A>) -> A::Access,
    ) -> Result<(), PartialBlock<A>> {
        self.check_whole_leaves(mmu, range)?;
        change(self, mmu, range.span(), choose);
        Ok(())
    }
}

/// Changes the permissions in `span`, which cuts no block.
pub(super) fn change<A: HalfAddress>(
    tree: &mut Tree<A>,
    mmu: &impl Mmu,
    span: Span,
    mut choose: impl FnMut(MappedLeaf<A>) -> A::Access,
) {
    let mut pending = Pending::new();
    protect_table(tree.root_table(mmu.memory()), mmu, span, &mut choose, &mut pending);
    pending.finish(mmu.tlb(), tree.tag);
}

fn protect_table<A: HalfAddress>(
    table: Table<'_>,
    mmu: &impl Mmu,
    span: Span,
    choose: &mut impl FnMut(MappedLeaf<A>) -> A::Access,
    pending: &mut Pending<A>,
) {
    let level = table.level();
    for (index, piece) in level.pieces(span) {
        match table.entry(index) {
            Entry::Invalid | Entry::Reserved => {}
            Entry::Table(_) => {
                if let Some((child, _)) = table.child(mmu.memory(), index) {
                    protect_table(child, mmu, piece, choose, pending);
                }
            }
            Entry::Block(leaf) | Entry::Page(leaf) => {
                let start = A::from_offset(piece.start);
                let access = choose(MappedLeaf { start, level, leaf });
                let changed = Leaf { attributes: leaf.attributes.with_access(access.into()), ..leaf };
                if changed != leaf {
                    table.set_leaf(index, changed);
                    pending.add(start);
                }
            }
        }
    }
}
