//! Two processes at work on the same tables at once: wherever one of them counts, publishes or invalidates, the other does
//! a whole operation in between.
//!
//! Each pair of operations is run once for each such step of the first one. In the end both must see what they would
//! have seen had they run one after the other, the counts must be right and nothing may be lost. (Interleavings of single
//! loads and stores are the business of the loom models in `share::loom_models`.)

use std::cell::{Cell, RefCell};

use super::{PAGE, RW, check, end, expect_empty, fork, frame_at, map, start};
use crate::addr::{Asid, PhysFrame, UserAddr};
use crate::hal::Tlb;
use crate::paging::fake::{FakeLeaves, FakeMemory, FakeTables, Lab};
use crate::paging::sim::{Owner, Sim};
use crate::paging::table::{Released, TableCounts, TableSource};
use crate::paging::tests::{GIB, MIB_2, range};
use crate::paging::{Leaf, LeafCounts, Mmu, OutOfFrames, Rights, SharingMmu, UserAccess, UserTree, Write};

const PAGES: [u64; 4] = [0, PAGE, MIB_2, GIB];

/// What a process does.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Act {
    Store(u64),
    Unmap(u64, u64),
    Protect,
    Map,
    Fork,
    Exit,
}

const ACTS: [Act; 9] = [
    Act::Store(0),
    Act::Store(PAGE),
    Act::Store(MIB_2),
    Act::Unmap(0, PAGE),
    Act::Unmap(0, GIB),
    Act::Protect,
    Act::Map,
    Act::Fork,
    Act::Exit,
];

/// A lab in which something else happens at one step.
struct Interrupted<'a> {
    lab: &'a Lab,
    left: Cell<usize>,
    other: RefCell<Option<Box<dyn FnOnce() + 'a>>>,
}

impl Interrupted<'_> {
    fn step(&self) {
        match self.left.get().checked_sub(1) {
            Some(left) => self.left.set(left),
            None => {
                let other = self.other.borrow_mut().take();
                if let Some(other) = other {
                    other();
                }
            }
        }
    }
}

impl Mmu for Interrupted<'_> {
    type Memory = FakeMemory;
    type Tables = Self;
    type Tlb = Self;

    fn memory(&self) -> &FakeMemory {
        &self.lab.memory
    }

    fn tables(&self) -> &Self {
        self
    }

    fn tlb(&self) -> &Self {
        self
    }
}

impl SharingMmu for Interrupted<'_> {
    type Leaves = Self;

    fn leaves(&self) -> &Self {
        self
    }
}

fn tables<'a>(all: &Interrupted<'a>) -> &'a FakeTables {
    &all.lab.tables
}

fn leaves<'a>(all: &Interrupted<'a>) -> &'a FakeLeaves {
    &all.lab.leaves
}

fn sim<'a>(all: &Interrupted<'a>) -> &'a Sim {
    &all.lab.sim
}

// SAFETY: the lab's source, which keeps the promise.
unsafe impl TableSource for Interrupted<'_> {
    fn allocate(&self) -> Result<PhysFrame, OutOfFrames> {
        self.step();
        tables(self).allocate()
    }

    fn free(&self, frame: PhysFrame) {
        self.step();
        tables(self).free(frame);
    }

    fn release(&self, frame: PhysFrame) -> Released {
        self.step();
        tables(self).release(frame)
    }
}

// SAFETY: the lab's counts, which keep the promise.
unsafe impl TableCounts for Interrupted<'_> {
    fn share(&self, frame: PhysFrame) {
        tables(self).share(frame);
        self.step();
    }

    fn is_last(&self, frame: PhysFrame) -> bool {
        let last = tables(self).is_last(frame);
        self.step();
        last
    }
}

impl LeafCounts for Interrupted<'_> {
    fn share(&self, leaf: Leaf) {
        LeafCounts::share(leaves(self), leaf);
        self.step();
    }

    fn release(&self, leaf: Leaf) {
        self.step();
        leaves(self).release(leaf);
    }

    fn is_last(&self, leaf: Leaf) -> bool {
        let last = LeafCounts::is_last(leaves(self), leaf);
        self.step();
        last
    }
}

impl Tlb for Interrupted<'_> {
    fn publish(&self) {
        sim(self).publish();
        self.step();
    }

    fn flush_user_page(&self, asid: Asid, page: UserAddr) {
        sim(self).flush_user_page(asid, page);
        self.step();
    }

    fn flush_asid(&self, asid: Asid) {
        self.step();
        sim(self).flush_asid(asid);
        self.step();
    }

    fn flush_kernel_page(&self, page: crate::addr::VirtAddr) {
        sim(self).flush_kernel_page(page);
    }

    fn flush_all(&self) {
        sim(self).flush_all();
    }
}

/// Does `act` in the process `tree`; `next` is the ASID of a child. What is left of the family is returned.
fn perform(lab: &Lab, mmu: &impl SharingMmu, mut tree: UserTree, act: Act, next: u16) -> Vec<UserTree> {
    match act {
        Act::Store(at) => store(lab, mmu, &mut tree, at),
        Act::Unmap(at, bytes) => drop(tree.unmap(mmu, range(at, bytes)).unwrap()),
        Act::Protect => tree.protect(mmu, range(0, GIB), UserAccess::ReadOnly).unwrap(),
        Act::Map => {
            let page = lab.leaves.allocate(1);
            tree.map_pages(mmu, range(MIB_2 + PAGE, PAGE), page.start(), RW).unwrap();
        }
        Act::Fork => {
            let mut child = tree.fork(mmu, Asid(next)).unwrap();
            lab.load_ttbr(Owner::User(next), child.activate());
            return vec![tree, child];
        }
        Act::Exit => {
            lab.sim.detach(tree.tables().root_frame());
            tree.destroy(mmu);
            return Vec::new();
        }
    }
    vec![tree]
}

fn store(lab: &Lab, mmu: &impl SharingMmu, tree: &mut UserTree, at: u64) {
    if tree.write(mmu, UserAddr::new(at), UserAccess::ReadWrite).unwrap() != Write::Granted {
        let copy = lab.leaves.allocate(1);
        let old = tree.replace(mmu, UserAddr::new(at), copy.start(), RW).unwrap();
        mmu.leaves().release(old.leaf);
    }
}

/// Runs `first` in the parent and `second` in the child at the parent's step `at`. Says whether there was such a step.
fn run(owners: usize, first: Act, second: Act, at: usize) -> bool {
    let lab = Lab::new(64, &PAGES);
    let mut parent = start(&lab, 1);
    PAGES.iter().for_each(|&page| map(&lab, &mut parent, page, 1));
    let frames = PAGES.map(|page| frame_at(&lab, &parent, page));
    let child = fork(&lab, &mut parent, 2);
    // A third owner, or none: the tables of the two are last or not last.
    let third = (owners > 2).then(|| fork(&lab, &mut parent, 3));

    let result = RefCell::new(None);
    let came = {
        let act = || *result.borrow_mut() = Some(perform(&lab, &lab, child, second, 20));
        let other: Box<dyn FnOnce()> = Box::new(act);
        let mmu = Interrupted { lab: &lab, left: Cell::new(at), other: RefCell::new(Some(other)) };
        let mut family = perform(&lab, &mmu, parent, first, 10);
        let late = mmu.other.borrow_mut().take();
        let came = late.is_none();
        late.into_iter().for_each(|late| late());
        family.append(&mut result.borrow_mut().take().expect("the second acted"));
        family.extend(third);
        judge(&lab, &family, frames, first, second);
        family.into_iter().for_each(|tree| end(&lab, tree));
        came
    };
    expect_empty(&lab);
    came
}

/// Everybody sees his own actions and nobody else's.
fn judge(lab: &Lab, family: &[UserTree], frames: [Option<PhysFrame>; 4], first: Act, second: Act) {
    check(lab, &family.iter().collect::<Vec<_>>(), &[]);
    for tree in family {
        let act = match tree.tables().tag().0 {
            1 | 10 => first,
            2 | 20 => second,
            _ => Act::Fork,
        };
        for (&page, &frame) in PAGES.iter().zip(&frames) {
            let mapping = tree.tables().walk(&*lab.memory, UserAddr::new(page)).mapping();
            let writable = mapping.is_some_and(|mapping| mapping.rights.intersects(Rights::WRITE));
            match act {
                Act::Store(at) if at == page => assert!(writable, "{act:?} at {page:#x}"),
                Act::Unmap(at, bytes) if (at..at + bytes).contains(&page) => assert_eq!(mapping, None),
                _ => assert_eq!(frame_at(lab, tree, page), frame, "{act:?} at {page:#x}"),
            }
        }
        let mapped = frame_at(lab, tree, MIB_2 + PAGE).is_some();
        assert_eq!(mapped, act == Act::Map);
    }
}

#[test]
#[cfg_attr(miri, ignore = "the unsafe code is that of the other tests, and this takes Miri minutes")]
fn a_second_owner_may_act_between_any_two_steps_of_the_first() {
    let mut steps = 0;
    for owners in [2, 3] {
        for (&first, &second) in ACTS.iter().flat_map(|first| ACTS.iter().map(move |second| (first, second))) {
            steps += (0..).take_while(|&at| run(owners, first, second, at)).count();
        }
    }
    assert!(steps > 1000, "the operations have steps to act between: {steps}");
}
