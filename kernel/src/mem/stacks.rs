//! Kernel stacks: each the mapped upper half of a slot, above a guard that never is. Each CPU keeps a few for the next
//! threads.

use core::mem::ManuallyDrop;
use core::num::NonZero;

use heapless::Vec;
use kcore::addr::{MAX_CPUS, PAGE_SIZE, PhysFrame, VirtAddr};
use kcore::frame::{FrameUse, Order, Zeroing};
use kcore::hal::Cpu;
use kcore::sync::{IrqLock, Padded, PerCpu, Rank, StockLock};

use super::frames::frames;
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
static CACHES: PerCpu<StockLock<Vec<Mapped, CACHED>, Arm>> =
    PerCpu::new([const { Padded(StockLock::new(Rank::KernelStacks, Vec::new())) }; MAX_CPUS]);

/// The most stacks that a CPU keeps.
const CACHED: usize = 8;

/// A kernel stack. When it is dropped the next thread may get it, so nothing may run on it then.
#[derive(Debug)]
pub(crate) struct KernelStack(ManuallyDrop<Mapped>);

impl KernelStack {
    /// A stack for one thread. What is on it is what others left.
    #[inline]
    pub(crate) fn new() -> Result<Self, NoStack> {
        let cached = CACHES.of(Arm::id()).lock().pop();
        let mapped = match cached {
            Some(mapped) => mapped,
            None => Mapped::new()?,
        };
        Ok(Self(ManuallyDrop::new(mapped)))
    }

    /// The address behind the stack's last byte: where the stack pointer starts.
    #[inline]
    pub(crate) fn top(&self) -> u64 {
        self.0.slot.top()
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

/// A stack's memory, mapped. Small, for it is handed on a few times on its way into a thread.
#[derive(Debug)]
struct Mapped {
    slot: Slot,
    /// The number of the first frame of the block under the stack, whose one reference this is.
    block: u32,
}

impl Mapped {
    /// A new one, or where there is no memory for it one that another CPU keeps.
    #[cold]
    #[inline(never)]
    fn new() -> Result<Self, NoStack> {
        Self::map().or_else(|NoStack| take_any().ok_or(NoStack))
    }

    fn map() -> Result<Self, NoStack> {
        let order = Order::for_bytes(STACK_SIZE).ok_or(NoStack)?;
        let block = frames().allocate(order, FrameUse::Stack, Zeroing::Unspecified).map_err(|_| NoStack)?;
        let number = u32::try_from(block.frame().number()).map_err(|_| NoStack)?;
        let slot = Slot::take().ok_or(NoStack)?;
        if kernel_map::map_pages(slot.bottom(), block.frame(), PAGES).is_err() {
            slot.give();
            return Err(NoStack);
        }
        // From here on the number is the reference.
        let _frames = block.into_raw();
        Ok(Self { slot, block: number })
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        kernel_map::unmap_pages(self.slot.bottom(), PAGES);
        self.slot.give();
        // SAFETY: the number is a reference to the block, of which nobody makes a handle but this, and it is dropped once. No
        // TLB knows the frames under the stack's address any more.
        drop(unsafe { frames().from_raw(PhysFrame::from_number(self.block.into())) });
    }
}

const PAGES: u64 = (STACK_SIZE / PAGE_SIZE) as u64;

/// Which of the places for stacks, from 1 on: where the place ends is where its stack does.
#[derive(Clone, Copy, Debug)]
struct Slot(NonZero<u32>);

impl Slot {
    const SIZE: u64 = 2 * STACK_SIZE as u64;

    fn take() -> Option<Self> {
        let mut taken = TAKEN.lock();
        let word = taken.iter().position(|&word| word != u64::MAX)?;
        let bit = taken[word].trailing_ones() as usize;
        taken[word] |= 1 << bit;
        Self::from_index(word * WORD + bit)
    }

    fn give(self) {
        let index = self.index();
        TAKEN.lock()[index / WORD] &= !(1 << (index % WORD));
    }

    fn from_index(index: usize) -> Option<Self> {
        u32::try_from(index + 1).ok().and_then(NonZero::new).map(Self)
    }

    fn index(self) -> usize {
        self.0.get() as usize - 1
    }

    /// The address behind its last byte.
    #[inline]
    fn top(self) -> u64 {
        // The base is aligned to more than all slots are long, so this is a sum.
        const { assert!(layout::STACK_BASE.is_multiple_of((SLOTS as u64 * Self::SIZE + 1).next_power_of_two())) };
        layout::STACK_BASE | (u64::from(self.0.get()) * Self::SIZE)
    }

    /// The address of its stack's first byte.
    fn bottom(self) -> VirtAddr {
        VirtAddr::new(self.top() - STACK_SIZE as u64)
    }
}

#[cfg(feature = "ktest")]
impl KernelStack {
    /// Runs a program on this stack until its supervisor ends it.
    pub(crate) fn run_program(&mut self, supervisor: &dyn Supervisor, frame: Frame) {
        // SAFETY: the stack is borrowed exclusively, and nobody runs on it before.
        unsafe { ktest_user::run(self.top(), supervisor, frame) };
    }
}
