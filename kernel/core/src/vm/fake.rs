//! A machine for tests of address spaces, and of those who use them: a [`Lab`] for the tables and the TLB, and pages that
//! have contents.
//!
//! No page's frame number comes twice, so that the use of one that was given back is noticed; and giving one back asks
//! the sim whether a TLB still leads to it.

use std::boxed::Box;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::vec::Vec;

use super::commit::{Commitments, OverCommitted};
use super::shared::SharedMemory;
use super::system::{MemorySystem, Pager, PagerError, each_ready};
use crate::addr::{PAGE_SIZE, PhysFrame};
use crate::hal::fake::FakeCpu;
use crate::paging::fake::{FakeMemory, FakeTables, Lab};
use crate::paging::sim::Sim;
use crate::paging::{FewFrames, Leaf, LeafCounts, Mmu, OutOfFrames, SharingMmu};

type Page = [u8; PAGE_SIZE];

/// The machine. It lives for ever, as the machine does that a kernel runs on.
pub struct Machine {
    /// Tables and TLB, and the counts of pages.
    pub lab: Lab,
    contents: Mutex<BTreeMap<PhysFrame, Box<Page>>>,
    zero: PhysFrame,
    total: u64,
    commitments: Commitments,
    /// How many more pages can be had.
    budget: Mutex<Option<usize>>,
    room: Mutex<bool>,
    /// Pages that were made executable, in order.
    executable: Mutex<Vec<PhysFrame>>,
    me: OnceLock<&'static Self>,
}

/// All machines: so that they are not lost, as a leak checker sees it.
static MACHINES: Mutex<Vec<&'static Machine>> = Mutex::new(Vec::new());

impl Machine {
    /// A machine with `tables` frames for tables and `total` for pages, whose TLB looks at the pages at `watched`.
    pub fn new(tables: usize, total: u64, watched: &[u64]) -> &'static Self {
        let lab = Lab::new(tables, watched);
        let zero = lab.leaves.allocate(1);
        let machine: &'static Self = Box::leak(Box::new(Self {
            lab,
            contents: Mutex::new(BTreeMap::from([(zero, Box::new([0; PAGE_SIZE]))])),
            zero,
            total,
            commitments: Commitments::new(),
            budget: Mutex::new(None),
            room: Mutex::new(true),
            executable: Mutex::default(),
            me: OnceLock::new(),
        }));
        assert!(machine.me.set(machine).is_ok());
        MACHINES.lock().unwrap().push(machine);
        machine
    }

    /// A machine that is large enough, without a TLB.
    pub fn plain() -> &'static Self {
        Self::new(256, 65_536, &[])
    }

    /// Lets so many more pages be had; `None` for as many as there are.
    pub fn set_page_budget(&self, budget: Option<usize>) {
        *self.budget.lock().unwrap() = budget;
    }

    /// Says whether there is memory for small objects.
    pub fn set_room(&self, room: bool) {
        *self.room.lock().unwrap() = room;
    }

    /// The first byte of a page.
    pub fn first_byte(&self, frame: PhysFrame) -> u8 {
        self.contents.lock().unwrap()[&frame][0]
    }

    /// The pages that were made executable since the last question.
    pub fn take_executable(&self) -> Vec<PhysFrame> {
        core::mem::take(&mut self.executable.lock().unwrap())
    }

    /// The pages that are out, and how many references there are to each; without the page of zeroes.
    pub fn pages(&self) -> BTreeMap<PhysFrame, u32> {
        let mut counts = self.lab.leaves.counts();
        counts.remove(&self.zero);
        counts
    }

    /// Proves that nothing is out, nothing promised, and the MMU saw no mistake.
    pub fn expect_empty(&self) {
        assert_eq!(self.lab.sim.mistakes(), []);
        assert_eq!(self.lab.tables.counts(), BTreeMap::new(), "a table is lost");
        assert_eq!(self.pages(), BTreeMap::new(), "a page is lost");
        assert_eq!(self.contents.lock().unwrap().len(), 1, "a page is lost");
        assert_eq!(self.commitments.pages(), 0, "a promise is lost");
    }

    /// Proves that no page is out.
    pub fn expect_no_pages(&self) {
        assert_eq!(self.pages(), BTreeMap::new());
    }

    fn fresh(&self, fill: u8) -> Result<PhysFrame, OutOfFrames> {
        if self.free_frames() == 0 {
            return Err(OutOfFrames);
        }
        {
            let mut budget = self.budget.lock().unwrap();
            *budget = budget.map(|left| left.checked_sub(1).ok_or(OutOfFrames)).transpose()?;
        }
        let frame = self.lab.leaves.allocate(1);
        self.contents.lock().unwrap().insert(frame, Box::new([fill; PAGE_SIZE]));
        Ok(frame)
    }
}

impl Mmu for Machine {
    type Memory = FakeMemory;
    type Tables = FakeTables;
    type Tlb = Sim;

    fn memory(&self) -> &FakeMemory {
        &self.lab.memory
    }

    fn tables(&self) -> &FakeTables {
        &self.lab.tables
    }

    fn tlb(&self) -> &Sim {
        &self.lab.sim
    }
}

impl SharingMmu for Machine {
    type Leaves = Self;

    fn leaves(&self) -> &Self {
        self
    }
}

impl LeafCounts for Machine {
    fn share(&self, leaf: Leaf) {
        self.add_reference(PhysFrame::containing(leaf.output));
    }

    fn release(&self, leaf: Leaf) {
        MemorySystem::release(self, PhysFrame::containing(leaf.output));
    }

    fn is_last(&self, leaf: Leaf) -> bool {
        let frame = PhysFrame::containing(leaf.output);
        frame != self.zero && self.lab.leaves.is_last(leaf)
    }
}

impl MemorySystem for Machine {
    fn zeroed(&self) -> Result<PhysFrame, OutOfFrames> {
        self.fresh(0)
    }

    fn unspecified(&self) -> Result<PhysFrame, OutOfFrames> {
        self.fresh(0xa5)
    }

    fn unspecified_two(&self) -> Option<[PhysFrame; 2]> {
        let first = self.unspecified().ok()?;
        let second = self.unspecified().inspect_err(|_| MemorySystem::release(self, first)).ok()?;
        Some([first, second])
    }

    fn copy(&self, from: PhysFrame, to: PhysFrame) {
        assert_ne!(to, self.zero);
        let mut contents = self.contents.lock().unwrap();
        let page = contents[&from].clone();
        *contents.get_mut(&to).expect("a page that is out") = page;
    }

    fn copy_beginning(&self, from: PhysFrame, to: PhysFrame, bytes: usize) {
        assert_ne!(to, self.zero);
        let mut contents = self.contents.lock().unwrap();
        let page = contents[&from].clone();
        contents.get_mut(&to).expect("a page that is out")[..bytes].copy_from_slice(&page[..bytes]);
    }

    fn read(&self, frame: PhysFrame, offset: usize, to: &mut [u8]) {
        to.copy_from_slice(&self.contents.lock().unwrap()[&frame][offset..offset + to.len()]);
    }

    fn write(&self, frame: PhysFrame, offset: usize, from: &[u8]) {
        assert_ne!(frame, self.zero, "the page of zeroes is written");
        let mut contents = self.contents.lock().unwrap();
        let page = contents.get_mut(&frame).expect("a page that is out");
        page[offset..offset + from.len()].copy_from_slice(from);
    }

    fn add_reference(&self, frame: PhysFrame) {
        if frame != self.zero {
            self.lab.leaves.add(frame);
        }
    }

    fn release(&self, frame: PhysFrame) {
        if frame == self.zero {
            return;
        }
        if self.lab.leaves.give_up(frame) {
            self.contents.lock().unwrap().remove(&frame);
        }
    }

    fn zero_page(&self) -> PhysFrame {
        self.zero
    }

    fn make_executable(&self, frame: PhysFrame) {
        self.executable.lock().unwrap().push(frame);
    }

    fn has_room(&self) -> bool {
        *self.room.lock().unwrap()
    }

    fn free_frames(&self) -> u64 {
        self.total.saturating_sub(self.contents.lock().unwrap().len() as u64 - 1)
    }

    fn total_frames(&self) -> u64 {
        self.total
    }

    fn commitments(&self) -> &Commitments {
        &self.commitments
    }

    fn shared_memory(&self, pages: u64) -> Result<Arc<dyn Pager>, OverCommitted> {
        let me: &'static Self = self.me.get().expect("set when it was made");
        Ok(Arc::new(SharedMemory::<Self, FakeCpu>::new(me, pages)?))
    }
}

/// A file for tests: page `n` of it is full of `first + n`.
pub struct FakeFile {
    machine: &'static Machine,
    frames: Vec<PhysFrame>,
    bytes: u64,
    ready: bool,
}

impl FakeFile {
    /// A file of `bytes` bytes. What lies behind its end on the last page is zero.
    pub fn new(machine: &'static Machine, bytes: usize, first: u8) -> Arc<Self> {
        Arc::new(Self::unshared(machine, bytes, first, false))
    }

    /// The same, whose pages are all ready to be mapped at once.
    pub fn ready(machine: &'static Machine, bytes: usize, first: u8) -> Arc<Self> {
        Arc::new(Self::unshared(machine, bytes, first, true))
    }

    /// A file with these contents.
    pub fn with_contents(machine: &'static Machine, contents: &[u8]) -> Arc<Self> {
        let file = Self::unshared(machine, contents.len(), 0, true);
        for (frame, piece) in file.frames.iter().zip(contents.chunks(PAGE_SIZE)) {
            machine.write(*frame, 0, piece);
        }
        Arc::new(file)
    }

    fn unshared(machine: &'static Machine, bytes: usize, first: u8, ready: bool) -> Self {
        let page = |index: usize| {
            let frame = machine.zeroed().expect("a machine with memory");
            let length = (bytes - index * PAGE_SIZE).min(PAGE_SIZE);
            let value = first.wrapping_add(u8::try_from(index % 256).expect("below 256"));
            machine.write(frame, 0, &[value; PAGE_SIZE][..length]);
            frame
        };
        let frames = (0..bytes.div_ceil(PAGE_SIZE)).map(page).collect();
        Self { machine, frames, bytes: bytes as u64, ready }
    }
}

impl Pager for FakeFile {
    fn page(&self, index: u64) -> Result<PhysFrame, PagerError> {
        let index = usize::try_from(index).map_err(|_| PagerError::BeyondEnd)?;
        let frame = *self.frames.get(index).ok_or(PagerError::BeyondEnd)?;
        self.machine.add_reference(frame);
        Ok(frame)
    }

    fn ready(&self, first: u64, wanted: u16, frames: &mut FewFrames) -> u16 {
        if self.ready { each_ready(first, wanted, frames, |index| self.page(index).ok()) } else { 0 }
    }

    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn identity(&self) -> u64 {
        std::ptr::from_ref(self).addr() as u64
    }
}

impl Drop for FakeFile {
    fn drop(&mut self) {
        self.frames.iter().for_each(|&frame| MemorySystem::release(self.machine, frame));
    }
}
