//! The kernel heap: `embedded-alloc`'s two-level segregated fit on one block of frames, of a fixed size.
//!
//! The allocator asks for a critical section around each call. Ours masks interrupts and takes one lock, which is what
//! makes the heap safe on four cores and in interrupt handlers; a section within a section on the same CPU is part of
//! the outer one.

use core::sync::atomic::{AtomicU8, Ordering};

use critical_section::RawRestoreState;
use embedded_alloc::TlsfHeap;
use kcore::addr::PAGE_SIZE;
use kcore::frame::{FrameUse, Order, OutOfFrames, Zeroing};
use kcore::hal::Cpu;
use kcore::sync::Rank;

use super::frames::frames;
use crate::arch::cpu::{self, Arm};

/// 2^8 frames: 1 MiB.
const ORDER: u8 = 8;

#[global_allocator]
static HEAP: TlsfHeap = TlsfHeap::empty();

/// Gives the heap its memory. Called once, by the boot CPU.
pub(super) fn init() -> Result<(), OutOfFrames> {
    let order = Order::new(ORDER).expect("below the largest order");
    let block = frames().allocate(order, FrameUse::KernelHeap, Zeroing::Unspecified)?;
    let start = block.as_ptr().addr().get();
    // The heap keeps its frames for good.
    let _frames = block.into_raw();
    // SAFETY: the block is mapped, ours alone, and never given back; this is the only call.
    unsafe { HEAP.init(start, PAGE_SIZE << ORDER) };
    Ok(())
}

/// Bytes of the heap: in use, and in all.
pub(crate) fn usage() -> (usize, usize) {
    let total = PAGE_SIZE << ORDER;
    (total.saturating_sub(HEAP.free()), total)
}

struct Section;

critical_section::set_impl!(Section);

/// The CPU inside the section, plus one; zero when there is none.
static OWNER: AtomicU8 = AtomicU8::new(0);

/// Restore state of a nested section: there is nothing to undo.
const NESTED: RawRestoreState = u64::MAX;

// SAFETY: `acquire` returns only when no other CPU is inside, with interrupts masked so that nothing else on this CPU gets
// in but code called from within the section, which may; `release` undoes the outermost one. The orderings make each
// section happen after the one before.
unsafe impl critical_section::Impl for Section {
    unsafe fn acquire() -> RawRestoreState {
        let state = cpu::irq_save_raw();
        let me = owner_number();
        if OWNER.load(Ordering::Relaxed) == me {
            return NESTED;
        }
        if cfg!(debug_assertions) {
            let held = Arm::held_ranks();
            Rank::Heap.check_order(held.load(Ordering::Relaxed));
            held.fetch_or(Rank::Heap.bit(), Ordering::Relaxed);
        }
        while OWNER.compare_exchange_weak(0, me, Ordering::Acquire, Ordering::Relaxed).is_err() {
            Arm::relax();
        }
        state
    }

    unsafe fn release(state: RawRestoreState) {
        if state == NESTED {
            return;
        }
        OWNER.store(0, Ordering::Release);
        if cfg!(debug_assertions) {
            Arm::held_ranks().fetch_and(!Rank::Heap.bit(), Ordering::Relaxed);
        }
        cpu::irq_restore_raw(state);
    }
}

fn owner_number() -> u8 {
    1 + u8::try_from(Arm::id().index()).expect("four cores")
}
