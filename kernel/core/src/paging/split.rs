//! Splitting a block into a table of smaller leaves.
//!
//! The size of a translation may only change by break-before-make (Arm ARM D8.16.1; neither board has `FEAT_BBM`): for
//! a moment the block's addresses translate to nothing on any CPU. A program does not notice, since its fault is
//! handled under the lock that the splitter holds, and then retried. The kernel cannot bear it: the block may hold the
//! stack, the tables or the vectors of any CPU. So a live kernel tree refuses; what the kernel wants in pages it maps
//! in pages, or splits before the tree goes into TTBR1.

use super::Mmu;
use super::address::{HalfAddress, Index, Level};
use super::descriptor::{Entry, Groups, Leaf};
use super::flush::Pending;
use super::table::{OwnedTable, Table};
use super::tree::{Tree, Usage};
use crate::addr::PhysAddr;
use crate::hal::Tlb;

/// Why a block was not split. It is as it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SplitError<A> {
    /// No block translates the address.
    NotABlock {
        /// The address.
        at: A,
    },
    /// The block is in the kernel's live half.
    Live {
        /// The address.
        at: A,
    },
    /// There is no frame for the table.
    OutOfFrames,
}

impl<A: HalfAddress> Tree<A> {
    /// Splits the block that translates `at` into 512 leaves of the next level that map the same.
    pub fn split(&mut self, mmu: &impl Mmu, at: A) -> Result<(), SplitError<A>> {
        let (offset, block) = at
            .offset()
            .and_then(|offset| Some((offset, find_block(self.root_table(mmu.memory()), mmu, offset)?)))
            .ok_or(SplitError::NotABlock { at })?;
        if self.usage == Usage::Live && !A::TOLERATES_GAPS {
            return Err(SplitError::Live { at });
        }
        let fresh = OwnedTable::allocate(block.below, mmu.memory(), mmu.tables());
        let fresh = fresh.map_err(|_| SplitError::OutOfFrames)?;
        let live = block.copy_into(fresh.view(mmu.memory()));

        block.table.clear_leaf(block.index);
        let mut gap = Pending::new();
        gap.add(A::from_offset(offset));
        gap.finish(mmu.tlb(), self.tag);
        block.table.link(block.index, fresh, live, Groups::ALL);
        mmu.tlb().publish();
        Ok(())
    }
}

/// A block, where it stands, and the level of its parts.
struct Block<'m> {
    table: Table<'m>,
    index: Index,
    leaf: Leaf,
    below: Level,
}

fn find_block<'m>(mut table: Table<'m>, mmu: &'m impl Mmu, offset: u64) -> Option<Block<'m>> {
    loop {
        let index = table.level().index(offset);
        match table.entry(index) {
            Entry::Block(leaf) => return Some(Block { table, index, leaf, below: table.level().below()? }),
            Entry::Table(_) => table = table.child(mmu.memory(), index)?.0,
            Entry::Invalid | Entry::Page(_) | Entry::Reserved => return None,
        }
    }
}

impl Block<'_> {
    /// Writes the block's parts into `table`, which nobody sees yet, and returns their number.
    fn copy_into(&self, table: Table<'_>) -> u16 {
        let mut output = self.leaf.output.get();
        let mut parts = 0;
        for index in Index::all() {
            table.set_leaf(index, Leaf { output: PhysAddr::new(output), ..self.leaf });
            output += self.below.entry_size();
            parts += 1;
        }
        parts
    }
}
