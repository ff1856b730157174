//! Ends a run in which a test hangs.
//!
//! Each CPU has a timer of its own that looks, every few seconds, whether the current test is over its time. So a test
//! that hangs with interrupts masked on one CPU, or with all its threads asleep, is reported by another.

use alloc::sync::Arc;
use core::fmt::Write;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use core::time::Duration;

use kcore::addr::MAX_CPUS;
use kcore::hal::Cpu;
use kcore::sync::Once;

use super::TESTS;
use super::harness::{Outcome, from_now, on_each_cpu};
use crate::arch::cpu::{self, Arm};
use crate::arch::semihosting;
use crate::dev::clock;
use crate::log::console::{self, Emergency};
use crate::task::timers::{self, Action, Timer};

/// What a test may take. All of them together take less.
const LIMIT: Duration = Duration::from_secs(60);
/// How often each CPU looks.
const PERIOD: Duration = Duration::from_secs(5);

static DOGS: [Once<Arc<Timer>>; MAX_CPUS] = [const { Once::new() }; MAX_CPUS];
static DEADLINE_NS: AtomicU64 = AtomicU64::new(u64::MAX);
/// The index of the current test.
static CURRENT: AtomicUsize = AtomicUsize::new(0);
/// How many have failed.
static FAILED: AtomicUsize = AtomicUsize::new(0);
static BITTEN: AtomicBool = AtomicBool::new(false);

/// Puts a dog on each CPU. That takes threads that start and end, so it is watched as the first test is.
pub(super) fn start() -> Outcome {
    watch(0, 0);
    on_each_cpu("watchdog", |cpu| {
        timers::arm(DOGS[cpu.index()].call_once(|| Arc::new(Timer::new(Action::Call(look)))), from_now(PERIOD));
        Ok(())
    })
}

/// The test of this index begins, after so many failures.
pub(super) fn watch(index: usize, failed: usize) {
    CURRENT.store(index, Ordering::Relaxed);
    FAILED.store(failed, Ordering::Relaxed);
    DEADLINE_NS.store(from_now(LIMIT), Ordering::Relaxed);
}

/// In the interrupt handler of each CPU.
fn look() {
    if clock::now_ns() >= DEADLINE_NS.load(Ordering::Relaxed) {
        bite();
    }
    if let Some(dog) = DOGS[Arm::id().index()].get() {
        timers::arm(dog, from_now(PERIOD));
    }
}

/// Ends the run. Whoever hangs may hold any lock, so the words go past the console's.
fn bite() -> ! {
    if !BITTEN.swap(true, Ordering::Relaxed) {
        let (current, failed) = (CURRENT.load(Ordering::Relaxed), FAILED.load(Ordering::Relaxed));
        console::rescue();
        let mut out = Emergency::new();
        let _ = writeln!(out, "FAILED: {} had no end after {LIMIT:?}", TESTS[current].name);
        let _ = writeln!(out, "ktest: {} passed, {} failed", current.saturating_sub(failed), failed + 1);
        semihosting::exit(abi::exit::KTEST_FAILED);
    }
    cpu::park()
}
