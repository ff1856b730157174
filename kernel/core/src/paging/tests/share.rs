//! Tests of fork by shared tables: single verbs in `verbs`, all together against a model in `model`, and two processes at
//! work at once in `interleaved`.

mod interleaved;
mod model;
mod verbs;

use std::cell::Cell;
use std::collections::BTreeMap;

use super::range;
use crate::addr::{Asid, PhysFrame, UserAddr};
use crate::paging::address::Level;
use crate::paging::fake::Lab;
use crate::paging::sim::Owner;
use crate::paging::{
    Attributes, Descriptor, Entry, Leaf, OutOfFrames, Pages, SoftwareBits, TableLimits, UserAccess, UserTree, Write,
};

const PAGE: u64 = 4096;
const RW: Attributes<UserAccess> = Attributes::normal(UserAccess::ReadWrite);

/// A live tree that maps nothing.
fn start(lab: &Lab, asid: u16) -> UserTree {
    let mut tree = UserTree::new(lab, Asid(asid)).expect("a fresh lab has frames");
    lab.load_ttbr(Owner::User(asid), tree.activate());
    tree
}

/// Forks `parent` and lets a CPU run the child.
fn fork(lab: &Lab, parent: &mut UserTree, asid: u16) -> UserTree {
    let mut child = parent.fork(lab, Asid(asid)).expect("there is a frame for the root");
    lab.load_ttbr(Owner::User(asid), child.activate());
    child
}

/// Pages for a fork that divides some, as many as `left` says.
struct Supply<'a, F> {
    lab: &'a Lab,
    left: Cell<usize>,
    copied: F,
}

impl<F: Fn(PhysFrame, PhysFrame)> Pages for Supply<'_, F> {
    fn take(&self) -> Result<PhysFrame, OutOfFrames> {
        self.left.set(self.left.get().checked_sub(1).ok_or(OutOfFrames)?);
        Ok(self.lab.leaves.allocate(1))
    }

    fn take_two(&self) -> Option<[PhysFrame; 2]> {
        if self.left.get() < 2 { None } else { Some([self.take().ok()?, self.take().ok()?]) }
    }

    fn copy(&self, from: PhysFrame, to: PhysFrame) {
        (self.copied)(from, to);
    }
}

/// Maps fresh private pages.
fn map(lab: &Lab, tree: &mut UserTree, at: u64, pages: u64) {
    let first = lab.leaves.allocate(pages);
    tree.map_pages(lab, range(at, pages * PAGE), first.start(), RW).expect("the range is free and there are tables");
}

/// What a fault handler does when a writable page is written to. Says into which frame the store goes.
fn store(lab: &Lab, tree: &mut UserTree, at: u64) -> PhysFrame {
    match tree.write(lab, UserAddr::new(at), UserAccess::ReadWrite).expect("there are tables") {
        Write::Granted => {}
        Write::Copy(_) => {
            let copy = lab.leaves.allocate(1);
            let old = tree.replace(lab, UserAddr::new(at), copy.start(), RW).expect("the path is ours");
            lab.leaves.drop(PhysFrame::containing(old.leaf.output));
        }
        Write::NotMapped => panic!("{at:#x} is not mapped"),
    }
    frame_at(lab, tree, at).expect("mapped")
}

/// Where `at` leads to.
fn frame_at(lab: &Lab, tree: &UserTree, at: u64) -> Option<PhysFrame> {
    tree.tables().walk(&*lab.memory, UserAddr::new(at)).mapping().map(|mapping| PhysFrame::containing(mapping.phys))
}

/// Ends a tree.
fn end(lab: &Lab, tree: UserTree) {
    lab.sim.detach(tree.tables().root_frame());
    tree.destroy(lab);
}

/// Proves that nothing is left.
fn expect_empty(lab: &Lab) {
    assert_eq!(lab.sim.mistakes(), []);
    assert_eq!(lab.tables.counts(), BTreeMap::new(), "a table is lost");
    assert_eq!(lab.leaves.counts(), BTreeMap::new(), "a page is lost");
}

/// The invariants of shared tables, for `trees`, which are all there are. `held` are references to pages that no leaf has.
fn check(lab: &Lab, trees: &[&UserTree], held: &[PhysFrame]) {
    assert_eq!(lab.sim.mistakes(), []);
    let mut found = Found::default();
    for tree in trees {
        found.tables.insert(tree.tables().root_frame(), 1);
        found.look(lab, tree.tables().root_frame(), Level::One);
    }
    for &frame in held {
        *found.leaves.entry(frame).or_default() += 1;
    }
    assert_eq!(found.tables, lab.tables.counts(), "counts of tables");
    assert_eq!(found.leaves, lab.leaves.counts(), "counts of pages");
    for (frame, count) in &found.tables {
        assert!(*count == 1 || !found.named_writable.contains(frame), "{frame:?} is shared by a writable descriptor");
    }
    check_writers(lab, trees);
}

/// What is found by walking, each table once however many trees share it.
#[derive(Default)]
struct Found {
    tables: BTreeMap<PhysFrame, u32>,
    leaves: BTreeMap<PhysFrame, u32>,
    named_writable: Vec<PhysFrame>,
}

impl Found {
    /// Looks through a table, and returns how many entries it has in use.
    fn look(&mut self, lab: &Lab, table: PhysFrame, level: Level) -> u16 {
        let mut live = 0;
        for index in 0..512 {
            match Descriptor::from_raw(lab.memory.read(table, index)).decode(level) {
                Entry::Invalid => continue,
                Entry::Table(entry) => {
                    let count = self.tables.entry(entry.frame).or_default();
                    *count += 1;
                    if *count == 1 {
                        let found = self.look(lab, entry.frame, level.below().expect("a table is not below level 3"));
                        assert_eq!((found, entry.live > 0), (entry.live, true), "entries in use of {:?}", entry.frame);
                    }
                    if !entry.limits.contains(TableLimits::READ_ONLY) {
                        self.named_writable.push(entry.frame);
                    }
                }
                Entry::Page(leaf) => *self.leaves.entry(PhysFrame::containing(leaf.output)).or_default() += 1,
                other => panic!("{other:?} in a program's tree"),
            }
            live += 1;
        }
        live
    }
}

/// No private page that somebody can write to is mapped a second time.
fn check_writers(lab: &Lab, trees: &[&UserTree]) {
    let mut mappings: BTreeMap<PhysFrame, Vec<bool>> = BTreeMap::new();
    for tree in trees {
        let whole = range(0, crate::paging::address::HALF_SIZE);
        let _: std::ops::ControlFlow<()> = tree.tables().visit(&*lab.memory, whole, |visited| {
            if let Some(leaf) = visited.entry.leaf().filter(is_private) {
                let rights = leaf.attributes.access.effective(visited.limits);
                let writable = rights.intersects(crate::paging::Rights::WRITE);
                mappings.entry(PhysFrame::containing(leaf.output)).or_default().push(writable);
            }
            std::ops::ControlFlow::Continue(())
        });
    }
    for (frame, writable) in mappings {
        assert!(writable.len() == 1 || !writable.contains(&true), "{frame:?} is written under somebody's eyes");
    }
}

fn is_private(leaf: &Leaf) -> bool {
    !leaf.attributes.software.contains(SoftwareBits::SHARED)
}
