//! What the tests of translation tables, and of those who use them, stand on: memory, a source of tables that counts,
//! and a [`Lab`] that puts both together with the software MMU of [`sim`](super::sim).

use std::cell::{Cell, RefCell, UnsafeCell};
use std::collections::BTreeSet;
use std::ptr::NonNull;
use std::rc::Rc;

use super::Mmu;
use super::sim::{Owner, Sim};
use super::table::{OutOfFrames, TableSource};
use crate::addr::{PAGE_SIZE, PhysAddr, PhysFrame};
use crate::hal::FrameAccess;

/// Frames on the host's heap.
pub struct FakeMemory {
    first: u64,
    frames: Vec<FakeFrame>,
}

#[repr(C, align(4096))]
struct FakeFrame(UnsafeCell<[u64; PAGE_SIZE / 8]>);

impl FakeMemory {
    /// `count` frames from number `first` on, full of rubbish.
    pub fn new(first: u64, count: usize) -> Self {
        let rubbish = || FakeFrame(UnsafeCell::new([0xa5a5_a5a5_a5a5_a5a5; PAGE_SIZE / 8]));
        Self { first, frames: (0..count).map(|_| rubbish()).collect() }
    }

    /// All frames.
    pub fn frames(&self) -> impl Iterator<Item = PhysFrame> + use<> {
        (self.first..).take(self.frames.len()).map(PhysFrame::from_number)
    }

    /// The 64-bit word `index` of `frame`.
    pub fn read(&self, frame: PhysFrame, index: usize) -> u64 {
        // SAFETY: the word is in a cell of ours, and tests have one thread.
        unsafe { self.word(frame, index).read() }
    }

    /// Changes the word `index` of `frame`.
    pub fn write(&self, frame: PhysFrame, index: usize, value: u64) {
        // SAFETY: the word is in a cell of ours, and tests have one thread.
        unsafe { self.word(frame, index).write(value) };
    }

    fn word(&self, frame: PhysFrame, index: usize) -> NonNull<u64> {
        assert!(index < PAGE_SIZE / 8);
        // SAFETY: the index was found to be inside the frame.
        unsafe { self.frame_ptr(frame).cast::<u64>().add(index) }
    }

    /// Fills `frame` with rubbish.
    fn spoil(&self, frame: PhysFrame) {
        // SAFETY: the frame is a cell of ours, and tests have one thread.
        unsafe { self.frame_ptr(frame).write_bytes(0xa5, PAGE_SIZE) };
    }
}

// SAFETY: each frame is a page-aligned cell of its own that lives as long as the value.
unsafe impl FrameAccess for FakeMemory {
    fn frame_ptr(&self, frame: PhysFrame) -> NonNull<u8> {
        let index = usize::try_from(frame.number() - self.first).expect("a small machine");
        NonNull::new(self.frames[index].0.get().cast()).expect("a cell has an address")
    }
}

/// A source of tables that knows which are out, can run dry on purpose, and asks the sim about each that comes back.
pub struct FakeTables {
    memory: Rc<FakeMemory>,
    sim: Rc<Sim>,
    free: RefCell<Vec<PhysFrame>>,
    used: RefCell<BTreeSet<PhysFrame>>,
    budget: Cell<Option<usize>>,
}

impl FakeTables {
    /// Lets so many more allocations succeed; `None` for as many as there are frames.
    pub fn set_budget(&self, budget: Option<usize>) {
        self.budget.set(budget);
    }

    /// The tables that are out.
    pub fn used(&self) -> BTreeSet<PhysFrame> {
        self.used.borrow().clone()
    }
}

// SAFETY: the frames are those of the lab's memory, and each is in `free` or in `used`, never in both.
unsafe impl TableSource for FakeTables {
    fn allocate(&self) -> Result<PhysFrame, OutOfFrames> {
        if let Some(left) = self.budget.get() {
            self.budget.set(Some(left.checked_sub(1).ok_or(OutOfFrames)?));
        }
        let frame = self.free.borrow_mut().pop().ok_or(OutOfFrames)?;
        self.used.borrow_mut().insert(frame);
        Ok(frame)
    }

    fn free(&self, frame: PhysFrame) {
        assert!(self.used.borrow_mut().remove(&frame), "{frame:?} was not out");
        self.sim.expect_table_unreachable(frame);
        self.memory.spoil(frame);
        self.free.borrow_mut().push(frame);
    }
}

/// A machine for tests.
pub struct Lab {
    /// Memory for tables.
    pub memory: Rc<FakeMemory>,
    /// Tables in that memory.
    pub tables: FakeTables,
    /// The TLB.
    pub sim: Rc<Sim>,
}

impl Lab {
    /// A machine with `count` table frames, whose TLB looks at the pages at `watched` offsets.
    pub fn new(count: usize, watched: &[u64]) -> Self {
        let memory = Rc::new(FakeMemory::new(0x100, count));
        let sim = Rc::new(Sim::new(Rc::clone(&memory), watched));
        let tables = FakeTables {
            memory: Rc::clone(&memory),
            sim: Rc::clone(&sim),
            free: RefCell::new(memory.frames().collect()),
            used: RefCell::default(),
            budget: Cell::new(None),
        };
        Self { memory, tables, sim }
    }

    /// Puts `root` into a TTBR.
    pub fn load_ttbr(&self, owner: Owner, root: PhysFrame) {
        self.sim.attach(owner, root);
    }

    /// Checks that no TLB can reach the `bytes` from `output` on.
    pub fn expect_unreachable(&self, output: PhysAddr, bytes: u64) {
        self.sim.expect_output_unreachable(output.get(), bytes);
    }
}

impl Mmu for Lab {
    type Memory = FakeMemory;
    type Tables = FakeTables;
    type Tlb = Sim;

    fn memory(&self) -> &FakeMemory {
        &self.memory
    }

    fn tables(&self) -> &FakeTables {
        &self.tables
    }

    fn tlb(&self) -> &Sim {
        &self.sim
    }
}
