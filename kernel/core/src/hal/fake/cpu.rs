//! A CPU made of a host thread.
//!
//! Each thread has its own interrupt mask, preemption count, held ranks and CPU number (0 until
//! [`FakeCpu::set_id`]). Under loom each of loom's threads does.

use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::boxed::Box;
use std::sync::{Mutex, PoisonError};
use std::vec::Vec;

use crate::addr::CpuId;
use crate::hal::Cpu;

/// The CPU of the host thread that asks.
#[derive(Clone, Copy, Debug)]
pub enum FakeCpu {}

impl FakeCpu {
    /// Lets this thread be CPU `id` from now on.
    pub fn set_id(id: CpuId) {
        #[expect(clippy::cast_possible_truncation, reason = "below MAX_CPUS")]
        state().id.store(id.index() as u8, Relaxed);
    }

    /// Whether this thread has its interrupts masked.
    #[must_use]
    pub fn irqs_masked() -> bool {
        state().irqs_masked.load(Relaxed)
    }

    /// How many times preemption is disabled on this thread.
    #[must_use]
    pub fn preempt_depth() -> u32 {
        state().preempt_depth.load(Relaxed)
    }
}

impl Cpu for FakeCpu {
    type IrqState = bool;

    fn id() -> CpuId {
        CpuId::new(usize::from(state().id.load(Relaxed))).expect("set_id took it from a CpuId")
    }

    fn irq_save() -> bool {
        state().irqs_masked.swap(true, Relaxed)
    }

    fn irq_restore(masked: bool) {
        state().irqs_masked.store(masked, Relaxed);
    }

    fn preempt_disable() {
        state().preempt_depth.fetch_add(1, Relaxed);
    }

    fn preempt_enable() {
        let before = state().preempt_depth.fetch_sub(1, Relaxed);
        assert!(before > 0, "preemption enabled more often than disabled");
    }

    fn relax() {
        // Who spins waits for another thread: the host and Miri have few CPUs, and loom must be told to change over.
        #[cfg(not(loom))]
        std::thread::yield_now();
        #[cfg(loom)]
        loom::thread::yield_now();
    }

    fn held_ranks() -> &'static AtomicU64 {
        &state().held_ranks
    }
}

/// What a real CPU keeps in its registers and per-CPU area.
#[derive(Default)]
struct State {
    id: AtomicU8,
    irqs_masked: AtomicBool,
    preempt_depth: AtomicU32,
    held_ranks: AtomicU64,
}

/// States of threads that have ended, for the next ones: `held_ranks` must live for ever.
static SPARE: Mutex<Vec<&'static State>> = Mutex::new(Vec::new());

/// A thread's claim on a state.
struct Claim(&'static State);

impl Claim {
    fn new() -> Self {
        let spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Self(spare.unwrap_or_else(|| Box::leak(Box::default())))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.0.id.store(0, Relaxed);
        self.0.irqs_masked.store(false, Relaxed);
        self.0.preempt_depth.store(0, Relaxed);
        self.0.held_ranks.store(0, Relaxed);
        SPARE.lock().unwrap_or_else(PoisonError::into_inner).push(self.0);
    }
}

#[cfg(not(loom))]
std::thread_local! {
    static CLAIM: Claim = Claim::new();
}

#[cfg(loom)]
loom::thread_local! {
    static CLAIM: Claim = Claim::new();
}

fn state() -> &'static State {
    CLAIM.with(|claim| claim.0)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn each_thread_is_its_own_cpu() {
        FakeCpu::set_id(CpuId::new(2).unwrap());
        let outer = FakeCpu::irq_save();
        let other = std::thread::spawn(|| (FakeCpu::id(), FakeCpu::irqs_masked())).join().unwrap();
        assert_eq!(other, (CpuId::BOOT, false));
        assert_eq!((FakeCpu::id().index(), FakeCpu::irqs_masked()), (2, true));
        FakeCpu::irq_restore(outer);
        assert!(!FakeCpu::irqs_masked());
    }

    #[test]
    #[should_panic(expected = "preemption enabled more often than disabled")]
    fn an_unpaired_preempt_enable_is_caught() {
        FakeCpu::preempt_enable();
    }
}
