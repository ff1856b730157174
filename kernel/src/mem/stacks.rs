//! Kernel stacks: each the mapped upper half of a slot, above a guard that never is. Each CPU keeps a few for the next
//! threads.

use core::mem::ManuallyDrop;

use heapless::Vec;
use kcore::addr::{MAX_CPUS, PAGE_SIZE, VirtAddr};
use kcore::frame::{FrameUse, Order, Zeroing};
use kcore::hal::Cpu;
use kcore::sync::{IrqLock, Padded, PerCpu, Rank};

use super::frames::{self, frames};
use super::{kernel_map, layout};
use crate::arch::boot::STACK_SIZE;
use crate::arch::cpu::Arm;
#[cfg(feature = "ktest")]
use crate::arch::ktest_user::{self, Supervisor};
#[cfg(feature = "ktest")]
use crate::arch::vectors::Frame;

/// The most kernel stacks at a time.
const SLOTS: usize = 4096;
const WORD: usize = 64;

/// Which slots are taken, a bit each.
static TAKEN: IrqLock<[u64; SLOTS / WORD], Arm> = IrqLock::new(Rank::KernelStacks, [0; SLOTS / WORD]);

/// There is no memory, or no slot, for a stack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct NoStack;

/// Stacks whose threads have ended, by the CPU where they did: mapped, for the next threads. Mapping a stack and taking it
/// away from every TLB costs more than all the rest of a fork.
static CACHES: PerCpu<IrqLock<Vec<Mapped, CACHED>, Arm>> =
    PerCpu::new([const { Padded(IrqLock::new(Rank::KernelStacks, Vec::new())) }; MAX_CPUS]);

/// The most stacks that a CPU keeps.
const CACHED: usize = 8;

/// A kernel stack. When it is dropped the next thread may get it, so nothing may run on it then.
#[derive(Debug)]
pub(crate) struct KernelStack(ManuallyDrop<Mapped>);

impl KernelStack {
    /// A stack for one thread. What is on it is what others left.
    pub(crate) fn new() -> Result<Self, NoStack> {
        let cached = CACHES.of(Arm::id()).lock().pop();
        let mapped = match cached {
            Some(mapped) => mapped,
            None => Mapped::new().or_else(|NoStack| take_any().ok_or(NoStack))?,
        };
        Ok(Self(ManuallyDrop::new(mapped)))
    }

    /// The address behind the stack's last byte: where the stack pointer starts.
    pub(crate) fn top(&self) -> u64 {
        self.0.top
    }
}

impl Drop for KernelStack {
    fn drop(&mut self) {
        // SAFETY: the stack is dropped once, and nobody sees it after that.
        let mapped = unsafe { ManuallyDrop::take(&mut self.0) };
        // Whatever does not fit goes when the lock is open again.
        let _overflow = CACHES.of(Arm::id()).lock().push(mapped);
    }
}

/// How many stacks threads have, and how many wait for threads.
pub(crate) fn usage() -> (usize, usize) {
    let each = u64::from(Order::for_bytes(STACK_SIZE).map_or(1, Order::frames));
    let cached: usize = CACHES.iter().map(|(_, cache)| cache.lock().len()).sum();
    let all = usize::try_from(frames().statistics().used_for(FrameUse::Stack) / each).unwrap_or(usize::MAX);
    (all.saturating_sub(cached), cached)
}

/// Gives the memory of all stacks that wait for threads back.
pub(crate) fn drain() {
    while take_any().is_some() {}
}

fn take_any() -> Option<Mapped> {
    CACHES.iter().find_map(|(_, cache)| cache.lock().pop())
}

/// A stack's memory, mapped.
#[derive(Debug)]
struct Mapped {
    slot: usize,
    /// The address behind its last byte.
    top: u64,
    /// The block under the stack.
    _frames: frames::Frame,
}

impl Mapped {
    fn new() -> Result<Self, NoStack> {
        let order = Order::for_bytes(STACK_SIZE).ok_or(NoStack)?;
        let block = frames().allocate(order, FrameUse::Stack, Zeroing::Unspecified).map_err(|_| NoStack)?;
        let slot = take_slot().ok_or(NoStack)?;
        if kernel_map::map_pages(bottom(slot), block.frame(), PAGES).is_err() {
            give_slot(slot);
            return Err(NoStack);
        }
        Ok(Self { slot, top: bottom(slot).get() + STACK_SIZE as u64, _frames: block })
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // The frames go back after this, as a field: by then no TLB knows them under the stack's address.
        kernel_map::unmap_pages(bottom(self.slot), PAGES);
        give_slot(self.slot);
    }
}

const PAGES: u64 = (STACK_SIZE / PAGE_SIZE) as u64;

fn bottom(slot: usize) -> VirtAddr {
    let size = STACK_SIZE as u64;
    VirtAddr::new(layout::STACK_BASE + slot as u64 * 2 * size + size)
}

fn take_slot() -> Option<usize> {
    let mut taken = TAKEN.lock();
    let word = taken.iter().position(|&word| word != u64::MAX)?;
    let bit = taken[word].trailing_ones() as usize;
    taken[word] |= 1 << bit;
    Some(word * WORD + bit)
}

fn give_slot(slot: usize) {
    TAKEN.lock()[slot / WORD] &= !(1 << (slot % WORD));
}

#[cfg(feature = "ktest")]
impl KernelStack {
    /// Runs a program on this stack until its supervisor ends it.
    pub(crate) fn run_program(&mut self, supervisor: &dyn Supervisor, frame: Frame) {
        // SAFETY: the stack is borrowed exclusively, and nobody runs on it before.
        unsafe { ktest_user::run(self.top(), supervisor, frame) };
    }
}
