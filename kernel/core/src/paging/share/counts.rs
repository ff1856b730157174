//! What sharing needs of its surroundings: counts.

use crate::paging::Mmu;
use crate::paging::descriptor::Leaf;
use crate::paging::table::TableCounts;

/// An [`Mmu`] whose tables are counted, and the counts of what leaves map.
pub trait SharingMmu: Mmu<Tables: TableCounts> {
    /// The counts of what leaves map.
    type Leaves: LeafCounts;

    /// The counts of what leaves map.
    fn leaves(&self) -> &Self::Leaves;
}

/// The references of leaves to memory: one for each leaf.
///
/// Which memory is counted is decided behind this trait: that of devices is not, nor is a page of zeroes that everybody
/// maps. For those [`is_last`](Self::is_last) is false, so that a private page of them is copied when it is written.
///
/// The orderings are those of [`TableCounts`]: who is told that his reference is the last sees all that former holders did.
pub trait LeafCounts {
    /// Makes one more reference to what `leaf` maps. The caller holds one.
    fn share(&self, leaf: Leaf);

    /// Gives up a reference to what `leaf` maps, and frees the memory if it was the last. No CPU can use the
    /// memory by way of that leaf any more.
    fn release(&self, leaf: Leaf);

    /// Whether `leaf` has the only reference to what it maps. The caller holds it; so it stays the only one until he
    /// shares it.
    fn is_last(&self, leaf: Leaf) -> bool;
}
