//! What the tests of translation tables, and of those who use them, stand on: memory, a source of tables that counts,
//! and a [`Lab`] that puts both together with the software MMU of [`sim`](super::sim).

use std::collections::{BTreeMap, BTreeSet};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use super::Mmu;
use super::descriptor::Leaf;
use super::share::{LeafCounts, SharingMmu};
use super::sim::{Owner, Sim};
use super::table::{OutOfFrames, Released, TableCounts, TableSource};
use crate::addr::{PAGE_SIZE, PhysAddr, PhysFrame};
use crate::hal::FrameAccess;

/// Frames on the host's heap.
pub struct FakeMemory {
    first: u64,
    frames: Vec<FakeFrame>,
}

#[repr(C, align(4096))]
struct FakeFrame([AtomicU64; PAGE_SIZE / 8]);

impl FakeMemory {
    /// `count` frames from number `first` on, full of rubbish.
    pub fn new(first: u64, count: usize) -> Self {
        let rubbish = || FakeFrame([(); PAGE_SIZE / 8].map(|()| AtomicU64::new(RUBBISH)));
        Self { first, frames: (0..count).map(|_| rubbish()).collect() }
    }

    /// All frames.
    pub fn frames(&self) -> impl Iterator<Item = PhysFrame> + use<> {
        (self.first..).take(self.frames.len()).map(PhysFrame::from_number)
    }

    /// The 64-bit word `index` of `frame`.
    pub fn read(&self, frame: PhysFrame, index: usize) -> u64 {
        self.words(frame)[index].load(Relaxed)
    }

    /// Changes the word `index` of `frame`.
    pub fn write(&self, frame: PhysFrame, index: usize, value: u64) {
        self.words(frame)[index].store(value, Relaxed);
    }

    fn words(&self, frame: PhysFrame) -> &[AtomicU64; PAGE_SIZE / 8] {
        let index = usize::try_from(frame.number() - self.first).expect("a small machine");
        &self.frames[index].0
    }

    /// Fills `frame` with rubbish.
    fn spoil(&self, frame: PhysFrame) {
        self.words(frame).iter().for_each(|word| word.store(RUBBISH, Relaxed));
    }
}

const RUBBISH: u64 = 0xa5a5_a5a5_a5a5_a5a5;

// SAFETY: each frame is a page-aligned array of cells of its own that lives as long as the value.
unsafe impl FrameAccess for FakeMemory {
    fn frame_ptr(&self, frame: PhysFrame) -> NonNull<u8> {
        NonNull::from(self.words(frame)).cast()
    }
}

/// A source of tables that counts the references to each, can run dry on purpose, and asks the sim about each that comes
/// back.
pub struct FakeTables {
    memory: Arc<FakeMemory>,
    sim: Arc<Sim>,
    free: Mutex<Vec<PhysFrame>>,
    used: Mutex<BTreeMap<PhysFrame, u32>>,
    budget: Mutex<Option<usize>>,
}

impl FakeTables {
    /// Lets so many more allocations succeed; `None` for as many as there are frames.
    pub fn set_budget(&self, budget: Option<usize>) {
        *self.budget.lock().unwrap() = budget;
    }

    /// Whether the next allocation fails.
    pub fn is_dry(&self) -> bool {
        *self.budget.lock().unwrap() == Some(0)
    }

    /// The tables that are out.
    pub fn used(&self) -> BTreeSet<PhysFrame> {
        self.used.lock().unwrap().keys().copied().collect()
    }

    /// The tables that are out, and how many references there are to each.
    pub fn counts(&self) -> BTreeMap<PhysFrame, u32> {
        self.used.lock().unwrap().clone()
    }
}

// SAFETY: the frames are those of the lab's memory, and each is in `free` or in `used`, never in both.
unsafe impl TableSource for FakeTables {
    fn allocate(&self) -> Result<PhysFrame, OutOfFrames> {
        {
            let mut budget = self.budget.lock().unwrap();
            *budget = budget.map(|left| left.checked_sub(1).ok_or(OutOfFrames)).transpose()?;
        }
        let frame = self.free.lock().unwrap().pop().ok_or(OutOfFrames)?;
        self.used.lock().unwrap().insert(frame, 1);
        Ok(frame)
    }

    fn free(&self, frame: PhysFrame) {
        assert_eq!(self.used.lock().unwrap().remove(&frame), Some(1), "{frame:?} is not the caller's alone");
        self.sim.expect_table_unreachable(frame);
        self.memory.spoil(frame);
        self.free.lock().unwrap().push(frame);
        let mut budget = self.budget.lock().unwrap();
        *budget = budget.map(|left| left + 1);
    }

    fn free_zeroed(&self, frame: PhysFrame) {
        assert!((0..512).all(|index| self.memory.read(frame, index) == 0), "{frame:?} does not hold zeroes");
        self.free(frame);
    }

    fn release(&self, frame: PhysFrame) -> Released {
        match self.used.lock().unwrap().get_mut(&frame).expect("a table that is out") {
            1 => Released::Last,
            count => {
                *count -= 1;
                Released::Shared
            }
        }
    }
}

// SAFETY: a map of counts, used by one thread.
unsafe impl TableCounts for FakeTables {
    fn share(&self, frame: PhysFrame) {
        *self.used.lock().unwrap().get_mut(&frame).expect("a table that is out") += 1;
    }

    fn is_last(&self, frame: PhysFrame) -> bool {
        self.used.lock().unwrap()[&frame] == 1
    }
}

/// Counts of the memory that leaves map. There is no such memory: it is only counted.
pub struct FakeLeaves {
    sim: Arc<Sim>,
    counts: Mutex<BTreeMap<PhysFrame, u32>>,
    next: Mutex<u64>,
}

impl FakeLeaves {
    /// `count` frames in a row that nobody had before, with one reference each. Returns the first.
    pub fn allocate(&self, count: u64) -> PhysFrame {
        let first = {
            let mut next = self.next.lock().unwrap();
            *next += count;
            *next - count
        };
        self.counts.lock().unwrap().extend((first..first + count).map(|number| (PhysFrame::from_number(number), 1)));
        PhysFrame::from_number(first)
    }

    /// One more reference.
    pub fn add(&self, frame: PhysFrame) {
        *self.counts.lock().unwrap().get_mut(&frame).expect("memory in use") += 1;
    }

    /// One reference less; with the last one no TLB may lead to the frame.
    pub fn drop(&self, frame: PhysFrame) {
        let _ = self.give_up(frame);
    }

    /// The same. Says whether it was the last one.
    pub fn give_up(&self, frame: PhysFrame) -> bool {
        let mut counts = self.counts.lock().unwrap();
        let count = counts.get_mut(&frame).expect("memory in use");
        *count -= 1;
        let last = *count == 0;
        if last {
            counts.remove(&frame);
            self.sim.expect_output_unreachable(frame.start().get(), PAGE_SIZE as u64);
        }
        last
    }

    /// All that is in use.
    pub fn counts(&self) -> BTreeMap<PhysFrame, u32> {
        self.counts.lock().unwrap().clone()
    }
}

impl LeafCounts for FakeLeaves {
    fn share(&self, leaf: Leaf) {
        self.add(PhysFrame::containing(leaf.output));
    }

    fn release(&self, leaf: Leaf) {
        self.drop(PhysFrame::containing(leaf.output));
    }

    fn is_last(&self, leaf: Leaf) -> bool {
        self.counts.lock().unwrap()[&PhysFrame::containing(leaf.output)] == 1
    }
}

/// A machine for tests.
pub struct Lab {
    /// Memory for tables.
    pub memory: Arc<FakeMemory>,
    /// Tables in that memory.
    pub tables: FakeTables,
    /// What leaves map.
    pub leaves: FakeLeaves,
    /// The TLB.
    pub sim: Arc<Sim>,
}

impl Lab {
    /// A machine with `count` table frames, whose TLB looks at the pages at `watched` offsets.
    pub fn new(count: usize, watched: &[u64]) -> Self {
        let memory = Arc::new(FakeMemory::new(0x100, count));
        let sim = Arc::new(Sim::new(Arc::clone(&memory), watched));
        let tables = FakeTables {
            memory: Arc::clone(&memory),
            sim: Arc::clone(&sim),
            free: Mutex::new(memory.frames().collect()),
            used: Mutex::default(),
            budget: Mutex::new(None),
        };
        let leaves = FakeLeaves { sim: Arc::clone(&sim), counts: Mutex::default(), next: Mutex::new(0x10_0000) };
        Self { memory, tables, leaves, sim }
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

impl SharingMmu for Lab {
    type Leaves = FakeLeaves;

    fn leaves(&self) -> &FakeLeaves {
        &self.leaves
    }
}
