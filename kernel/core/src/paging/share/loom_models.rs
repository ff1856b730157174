//! Models of two owners at work on the same tables: loom runs the verbs themselves, with every interleaving of their loads
//! and stores that a few preemptions can make, and with every value that the orderings allow a load to return.
//!
//! Tables have two entries here. Invalidations do nothing and order nothing, so that only the counts stand between an
//! owner and another's half-done work.

use std::sync::Mutex;
use std::vec::Vec;

use core::ptr::NonNull;
use loom::sync::Arc;
use loom::sync::atomic::AtomicU64;
use loom::thread;

use super::{LeafCounts, Pages, SharingMmu, UserTree, Write};
use crate::addr::{Asid, PhysFrame, UserAddr, VirtAddr};
use crate::frame::count::{Dropped, ReferenceCount};
use crate::hal::{FrameAccess, Tlb};
use crate::paging::address::{ENTRIES, VirtRange};
use crate::paging::{Attributes, Leaf, Mmu, OutOfFrames, Released, Rights, TableCounts, TableSource, UserAccess};

const RW: Attributes<UserAccess> = Attributes::normal(UserAccess::ReadWrite);
/// Two pages, each in its own table of level 3, both below the same table of level 2.
const PAGES: [UserAddr; 2] = [UserAddr::new(0), UserAddr::new(2 << 20)];

const TABLES: usize = 16;
const LEAVES: usize = 8;

/// Table frames have the numbers from 0 on, those that leaves map the numbers from `TABLES` on.
struct Machine {
    tables: Vec<[AtomicU64; ENTRIES]>,
    counts: Vec<ReferenceCount>,
    /// What loom need not look at.
    books: Mutex<Books>,
}

/// Which frames are out. None is handed out twice, so that the use of one that was given back is noticed.
struct Books {
    out: [bool; TABLES + LEAVES],
    tables: usize,
    leaves: usize,
}

impl Machine {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            tables: (0..TABLES).map(|_| [(); ENTRIES].map(|()| AtomicU64::new(0))).collect(),
            counts: (0..TABLES + LEAVES).map(|_| ReferenceCount::new()).collect(),
            books: Mutex::new(Books { out: [false; TABLES + LEAVES], tables: 0, leaves: TABLES }),
        })
    }

    fn new_leaf(&self) -> PhysFrame {
        let number = {
            let mut books = self.books.lock().unwrap();
            books.leaves += 1;
            books.leaves - 1
        };
        self.hand_out(number)
    }

    fn hand_out(&self, number: usize) -> PhysFrame {
        self.books.lock().unwrap().out[number] = true;
        self.counts[number].set(1);
        PhysFrame::from_number(number as u64)
    }

    /// The number of a frame that is out.
    fn number(&self, frame: PhysFrame) -> usize {
        let number = usize::try_from(frame.number()).unwrap();
        assert!(self.books.lock().unwrap().out[number], "{frame:?} was given back");
        number
    }

    fn count(&self, frame: PhysFrame) -> &ReferenceCount {
        &self.counts[self.number(frame)]
    }

    fn take_back(&self, frame: PhysFrame) {
        let number = self.number(frame);
        self.books.lock().unwrap().out[number] = false;
    }

    fn expect_empty(&self) {
        assert_eq!(self.books.lock().unwrap().out, [false; TABLES + LEAVES], "a frame is lost");
    }
}

// SAFETY: for table frames, which are all that are asked for: arrays of their own, as long as the value lives. They are as
// large as the table of a model is.
unsafe impl FrameAccess for Machine {
    fn frame_ptr(&self, frame: PhysFrame) -> NonNull<u8> {
        NonNull::from(&self.tables[self.number(frame)]).cast()
    }
}

// SAFETY: each frame is handed out once.
unsafe impl TableSource for Machine {
    fn allocate(&self) -> Result<PhysFrame, OutOfFrames> {
        let number = {
            let mut books = self.books.lock().unwrap();
            books.tables += 1;
            books.tables - 1
        };
        Ok(self.hand_out(number))
    }

    fn free(&self, frame: PhysFrame) {
        self.take_back(frame);
    }

    fn release(&self, frame: PhysFrame) -> Released {
        match self.count(frame).decrement() {
            Dropped::Last => Released::Last,
            Dropped::Shared => Released::Shared,
            Dropped::Underflow => panic!("{frame:?} was released too often"),
        }
    }
}

// SAFETY: the counts are those of the frame allocator, which keep the promise.
unsafe impl TableCounts for Machine {
    fn share(&self, frame: PhysFrame) {
        self.count(frame).increment();
    }

    fn is_last(&self, frame: PhysFrame) -> bool {
        self.count(frame).get() == 1
    }
}

impl LeafCounts for Machine {
    fn share(&self, leaf: Leaf) {
        self.count(PhysFrame::containing(leaf.output)).increment();
    }

    fn release(&self, leaf: Leaf) {
        let frame = PhysFrame::containing(leaf.output);
        if self.count(frame).decrement() == Dropped::Last {
            self.take_back(frame);
        }
    }

    fn is_last(&self, leaf: Leaf) -> bool {
        self.count(PhysFrame::containing(leaf.output)).get() == 1
    }
}

impl Tlb for Machine {
    fn publish(&self) {}
    fn flush_user_page(&self, _: Asid, _: UserAddr) {}
    fn flush_asid(&self, _: Asid) {}
    fn flush_kernel_page(&self, _: VirtAddr) {}
    fn flush_all(&self) {}
}

impl Mmu for Machine {
    type Memory = Self;
    type Tables = Self;
    type Tlb = Self;

    fn memory(&self) -> &Self {
        self
    }

    fn tables(&self) -> &Self {
        self
    }

    fn tlb(&self) -> &Self {
        self
    }
}

impl SharingMmu for Machine {
    type Leaves = Self;

    fn leaves(&self) -> &Self {
        self
    }
}

/// A parent with `pages` and its child.
fn family(machine: &Machine, pages: &[UserAddr]) -> (UserTree, UserTree) {
    let mut parent = UserTree::new(machine, Asid(1)).unwrap();
    for &page in pages {
        let frame = machine.new_leaf();
        parent.map_pages(machine, VirtRange::page(page).unwrap(), frame.start(), RW).unwrap();
    }
    let child = parent.fork(machine, Asid(2)).unwrap();
    (parent, child)
}

/// A store to `page`, by way of the fault handler.
fn store(machine: &Machine, tree: &mut UserTree, page: UserAddr) {
    if let Write::Copy(_) = tree.write(machine, page, UserAccess::ReadWrite).unwrap() {
        let copy = machine.new_leaf();
        let old = tree.replace(machine, page, copy.start(), RW).unwrap();
        LeafCounts::release(machine, old.leaf);
    }
}

/// Whoever stored has a page of his own that he can store to, whatever the other did.
fn expect_own_page(machine: &Machine, tree: &UserTree, page: UserAddr) -> PhysFrame {
    let mapping = tree.tables().walk(machine, page).mapping().unwrap();
    assert!(mapping.rights.contains(Rights::WRITE), "{page:?} cannot be stored to");
    let frame = PhysFrame::containing(mapping.phys);
    assert_eq!(machine.count(frame).get(), 1, "somebody else has {page:?} as well");
    frame
}

/// Lets two threads run, each with one of the family, with at most `preemptions` changes between them that neither asked
/// for; then judges.
fn model(
    preemptions: usize,
    pages: &'static [UserAddr],
    parents: fn(&Machine, UserTree) -> Vec<UserTree>,
    childs: fn(&Machine, UserTree) -> Vec<UserTree>,
    judge: fn(&Machine, &[UserTree]),
) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(move || {
        let machine = Machine::new();
        let (parent, child) = family(&machine, pages);
        let far = Arc::clone(&machine);
        let other = thread::spawn(move || childs(&far, child));
        let mut trees = parents(&machine, parent);
        trees.extend(other.join().unwrap());
        judge(&machine, &trees);
        trees.into_iter().for_each(|tree| tree.destroy(&*machine));
        machine.expect_empty();
    });
}

fn store_first(machine: &Machine, mut tree: UserTree) -> Vec<UserTree> {
    store(machine, &mut tree, PAGES[0]);
    std::vec![tree]
}

fn store_second(machine: &Machine, mut tree: UserTree) -> Vec<UserTree> {
    store(machine, &mut tree, PAGES[1]);
    std::vec![tree]
}

#[test]
fn loom_two_owners_that_write_the_same_page_have_one_each() {
    model(2, &PAGES[..1], store_first, store_first, |machine, trees| {
        let frames = [0, 1].map(|owner| expect_own_page(machine, &trees[owner], PAGES[0]));
        assert_ne!(frames[0], frames[1]);
    });
}

#[test]
fn loom_two_owners_that_write_neighbours_share_what_neither_wrote() {
    model(2, &PAGES, store_first, store_second, |machine, trees| {
        expect_own_page(machine, &trees[0], PAGES[0]);
        expect_own_page(machine, &trees[1], PAGES[1]);
        for (tree, page) in [(&trees[0], PAGES[1]), (&trees[1], PAGES[0])] {
            let mapping = tree.tables().walk(machine, page).mapping().unwrap();
            assert!(!mapping.rights.intersects(Rights::WRITE), "{page:?} can be stored to by both");
        }
    });
}

#[test]
fn loom_one_owner_writes_while_the_other_exits() {
    let exit = |machine: &Machine, tree: UserTree| {
        tree.destroy(machine);
        Vec::new()
    };
    model(3, &PAGES, store_first, exit, |machine, trees| {
        expect_own_page(machine, &trees[0], PAGES[0]);
    });
}

#[test]
fn loom_one_owner_forks_while_the_other_writes() {
    let fork = |machine: &Machine, mut tree: UserTree| {
        let child = tree.fork(machine, Asid(3)).unwrap();
        std::vec![tree, child]
    };
    model(2, &PAGES[..1], fork, store_first, |machine, trees| {
        let own = expect_own_page(machine, &trees[2], PAGES[0]);
        for tree in &trees[..2] {
            let mapping = tree.tables().walk(machine, PAGES[0]).mapping().unwrap();
            assert!(!mapping.rights.intersects(Rights::WRITE));
            assert_ne!(PhysFrame::containing(mapping.phys), own);
        }
    });
}

#[test]
fn loom_one_owner_forks_and_divides_while_the_other_writes_a_neighbour() {
    let fork = |machine: &Machine, mut tree: UserTree| {
        // From here on the path to the first page is its own, and below it the other's table is shared.
        store(machine, &mut tree, PAGES[0]);
        let page = VirtRange::page(PAGES[0]).unwrap();
        let child = tree.fork_dividing(machine, Asid(3), Some(page), &Fresh(machine)).unwrap();
        std::vec![tree, child]
    };
    model(2, &PAGES, fork, store_second, |machine, trees| {
        let frames = [0, 1].map(|owner| expect_own_page(machine, &trees[owner], PAGES[0]));
        assert_ne!(frames[0], frames[1]);
        let own = expect_own_page(machine, &trees[2], PAGES[1]);
        for tree in &trees[..2] {
            let mapping = tree.tables().walk(machine, PAGES[1]).mapping().unwrap();
            assert!(!mapping.rights.intersects(Rights::WRITE));
            assert_ne!(PhysFrame::containing(mapping.phys), own);
        }
    });
}

/// Pages without contents.
struct Fresh<'a>(&'a Machine);

impl Pages for Fresh<'_> {
    fn take(&self) -> Result<PhysFrame, OutOfFrames> {
        Ok(self.0.new_leaf())
    }

    fn copy(&self, _from: PhysFrame, _to: PhysFrame) {}
}
