//! Translation tables of the AArch64 VMSA, stage 1, 4 KiB granule, 39-bit halves (T0SZ = T1SZ = 25).
//!
//! Three levels. The root is a level-1 table of 512 entries of 1 GiB each; a program uses two or three of them. The
//! same code serves both halves of the address space: [`Tree<UserAddr>`](Tree) is what TTBR0 points at,
//! [`Tree<VirtAddr>`](Tree) what TTBR1 points at, and the half decides by type which permissions a leaf can have and
//! how its translations are invalidated.
//!
//! Ownership: a [`Tree`] owns its root, and each table owns the tables that its descriptors name. Who owns the memory
//! that leaves map is the caller's affair; [`Tree::unmap`] hands each leaf back to him. A table holds how many of its
//! entries are in use (in its parent's descriptor, in bits that the walker ignores), so the last `unmap` frees it
//! without looking at its 512 entries. A program's [`UserTree`] *shares*: there a table may be named by the descriptors
//! of several trees, and tables and pages are counted.
//!
//! Modules, from the bits to the verbs:
//!
//! * [`address`]: the two halves, levels, ranges
//! * [`attr`]: memory types and permissions; what cannot be expressed cannot be mapped
//! * [`descriptor`]: one entry, encoded and decoded
//! * [`table`]: 512 entries in a frame; the only module here with `unsafe`
//! * [`tree`]: a root and its tag
//! * [`walk`], [`map`], [`unmap`], [`protect`], [`split`]: the verbs
//! * [`share`]: fork by sharing tables, and the verbs that take shared tables apart again
//! * [`flush`]: pending invalidations
//! * `fake`, `sim`: memory and a software MMU for tests
//!
//! Order that all verbs obey: descriptor stores, `publish`, TLBI and DSB, and only then is a frame given back. Where
//! an output address or a block size changes, the entry is invalid and flushed in between (break-before-make, Arm ARM
//! D8.16.1). Only permissions and ignored bits are changed in place. TLBI always in the form for all levels, for table
//! descriptors may sit in walk caches.
//!
//! Locks: none here. Whoever holds `&mut Tree` holds the lock of that address space. Shared tables have none either:
//! [`share`] says why.

pub mod address;
pub mod attr;
pub mod descriptor;
#[cfg(test)]
#[cfg(not(loom))]
pub mod fake;
pub mod flush;
pub mod map;
pub mod protect;
pub mod share;
#[cfg(test)]
#[cfg(not(loom))]
pub mod sim;
pub mod split;
pub mod table;
#[cfg(test)]
#[cfg(not(loom))]
pub(crate) mod tests;
pub mod tree;
pub mod unmap;
pub mod walk;

pub use address::{HalfAddress, Level, RangeError, VirtRange};
pub use attr::{Access, Attributes, KernelAccess, MemoryType, Rights, SoftwareBits, TableLimits, UserAccess};
pub use descriptor::{Descriptor, Entry, Groups, Leaf, TableEntry};
pub use map::MapError;
pub use share::{
    FEW_PAGES, FewFrames, LeafCounts, NO_FRAMES, Pages, ReplaceError, SharingMmu, Slot, SlotError, TableCensus,
    Unshared, UserTree, Write,
};
pub use split::SplitError;
pub use table::{OutOfFrames, OwnedTable, Released, Table, TableCounts, TableReference, TableSource};
pub use tree::Tree;
pub use unmap::{MappedLeaf, PartialBlock};
pub use walk::{Mapping, Step, Translation, Visited, Walk};

use crate::hal::{FrameAccess, Tlb};

/// What the verbs need of the machine: memory to see tables in, frames to make tables of, and the TLB. On the boards
/// all three are zero-sized.
///
/// A tree belongs to the `Mmu` that it was made with.
pub trait Mmu {
    /// Reach into table frames.
    type Memory: FrameAccess;
    /// Where table frames come from.
    type Tables: TableSource;
    /// Translation maintenance.
    type Tlb: Tlb;

    /// The memory that holds the tables.
    fn memory(&self) -> &Self::Memory;

    /// Where table frames come from and go to.
    fn tables(&self) -> &Self::Tables;

    /// The TLB of all CPUs.
    fn tlb(&self) -> &Self::Tlb;
}
