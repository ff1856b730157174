//! Kernel stacks: each the mapped upper half of a slot, above a guard that never is.

use kcore::addr::{PAGE_SIZE, VirtAddr};
use kcore::frame::{FrameUse, Order, Zeroing};
use kcore::sync::{IrqLock, Rank};

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

/// A kernel stack. Its pages go when it is dropped, so nothing may run on it then.
#[derive(Debug)]
pub(crate) struct KernelStack {
    slot: usize,
    /// The block under the stack; `None` only while it is dropped.
    _frames: frames::Frame,
}

impl KernelStack {
    /// A new stack.
    pub(crate) fn new() -> Result<Self, NoStack> {
        let order = Order::for_bytes(STACK_SIZE).ok_or(NoStack)?;
        let block = frames().allocate(order, FrameUse::Stack, Zeroing::Unspecified).map_err(|_| NoStack)?;
        let slot = take_slot().ok_or(NoStack)?;
        if kernel_map::map_pages(bottom(slot), block.frame(), PAGES).is_err() {
            give_slot(slot);
            return Err(NoStack);
        }
        Ok(Self { slot, _frames: block })
    }

    /// The address behind the stack's last byte: where the stack pointer starts.
    pub(crate) fn top(&self) -> u64 {
        bottom(self.slot).get() + STACK_SIZE as u64
    }
}

impl Drop for KernelStack {
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
