//! Which program's space a thread runs in.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use kcore::addr::{Asid, PhysFrame};
use kcore::hal::Cpu;

use crate::arch::cpu::Arm;
use crate::arch::mmu;

const TAG_BITS: u32 = 16;

/// The lower half of a thread's address space: a root and its tag as one word, or 0 for none, which no program's is, for
/// the tag 0 is nobody's. Written by the thread itself, or before it runs.
#[derive(Debug, Default)]
pub(crate) struct LowerHalf(AtomicU64);

impl LowerHalf {
    /// That of a kernel thread.
    pub(crate) const fn none() -> Self {
        Self(AtomicU64::new(0))
    }

    /// The space below `root`, whose translations carry `tag`.
    pub(super) fn of(root: PhysFrame, tag: Asid) -> Self {
        Self(AtomicU64::new(word(root, tag)))
    }

    /// Whether there is one.
    pub(super) fn is_some(&self) -> bool {
        self.0.load(Relaxed) != 0
    }

    /// What a CPU does that leaves a thread of the space `self` for one of the space `next`. With interrupts masked.
    #[inline]
    pub(super) fn change_to(&self, next: &Self) {
        let next = next.0.load(Relaxed);
        if next != self.0.load(Relaxed) {
            load(next);
        }
    }

    /// Lets the thread, which is the caller, run in another space from now on. The caller keeps that space alive.
    pub(crate) fn enter(&self, root: PhysFrame, tag: Asid) {
        self.set(word(root, tag));
    }

    /// Lets the thread, which is the caller, run in no space.
    pub(crate) fn leave(&self) {
        self.set(0);
    }

    fn set(&self, word: u64) {
        // Between the two, a switch back to this thread would think it has what it has not.
        let interrupts = Arm::irq_save();
        self.0.store(word, Relaxed);
        load(word);
        Arm::irq_restore(interrupts);
    }
}

fn word(root: PhysFrame, tag: Asid) -> u64 {
    root.number() << TAG_BITS | u64::from(tag.0)
}

fn load(word: u64) {
    if word == 0 {
        mmu::leave_space();
    } else {
        #[expect(clippy::cast_possible_truncation, reason = "the tag is the low half-word")]
        let tag = Asid(word as u16);
        mmu::enter_space(PhysFrame::from_number(word >> TAG_BITS), tag);
    }
}
