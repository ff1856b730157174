//! Tests of the verbs: each by itself here, all together against a model in `model`.

mod basic;
mod model;
mod oracle;
mod share;

use proptest::test_runner::Config;

use super::address::{HalfAddress, VirtRange};
use super::fake::Lab;
use super::sim::Owner;
use super::tree::Tree;
use super::unmap::MappedLeaf;
use crate::addr::{Asid, UserAddr, VirtAddr};

pub(super) const MIB_2: u64 = 2 << 20;
pub(super) const GIB: u64 = 1 << 30;

/// Proptest's settings: `cases` of them, a few under Miri, and nothing written to disk.
pub(crate) fn dose(cases: u32) -> Config {
    let cases = if cfg!(miri) { cases.min(3) } else { cases };
    Config { cases, failure_persistence: None, ..Config::default() }
}

/// A half whose trees can be made in a [`Lab`].
trait TestHalf: HalfAddress {
    const TEST_TAG: Self::Tag;
    const OWNER: Owner;
    const ACCESSES: &'static [Self::Access];
}

impl TestHalf for UserAddr {
    const TEST_TAG: Asid = Asid(7);
    const OWNER: Owner = Owner::User(7);
    const ACCESSES: &'static [Self::Access] = &[
        super::UserAccess::None,
        super::UserAccess::ReadOnly,
        super::UserAccess::ReadWrite,
        super::UserAccess::ReadExecute,
        super::UserAccess::ReadWriteExecute,
    ];
}

impl TestHalf for VirtAddr {
    const TEST_TAG: () = ();
    const OWNER: Owner = Owner::Kernel;
    const ACCESSES: &'static [Self::Access] =
        &[super::KernelAccess::ReadOnly, super::KernelAccess::ReadWrite, super::KernelAccess::ReadExecute];
}

/// A live tree in a lab.
fn live_tree<A: TestHalf>(lab: &Lab) -> Tree<A> {
    let mut tree = Tree::new(lab, A::TEST_TAG).expect("a fresh lab has frames");
    lab.load_ttbr(A::OWNER, tree.activate());
    tree
}

/// Ends the tree and proves that no table is lost and the MMU saw no mistake.
fn finish<A: TestHalf>(lab: &Lab, tree: Tree<A>) {
    assert_eq!(lab.sim.mistakes(), []);
    lab.sim.detach(tree.root_frame());
    tree.destroy(lab, |leaf| expect_forgotten(lab, &leaf));
    assert!(lab.tables.used().is_empty(), "a table is lost");
    assert_eq!(lab.sim.mistakes(), []);
}

/// Checks that no TLB translates what `leaf` did.
fn expect_forgotten<A: TestHalf>(lab: &Lab, leaf: &MappedLeaf<A>) {
    let offset = leaf.start.offset().expect("an address of the half");
    lab.sim.expect_forgotten(A::OWNER, offset, leaf.level.entry_size());
}

fn range<A: HalfAddress>(offset: u64, bytes: u64) -> VirtRange<A> {
    VirtRange::new(A::from_offset(offset), bytes).expect("a range of the half")
}
