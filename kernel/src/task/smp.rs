//! Bringing up the other CPUs.
//!
//! They are released as early as memory allows, so that they wake up while the boot CPU sets up everything else, and wait
//! at a gate until there is a scheduler. A CPU that does not come is not waited for: QEMU can be told to leave some off,
//! and a board may have lost one. One that comes late joins late.

use core::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use kcore::addr::{CpuId, CpuSet, MAX_CPUS, PhysAddr};
use kcore::hal::Cpu;

use super::{idle, switch, thread};
use crate::arch::cpu::{self, Arm};
use crate::arch::mmu;
use crate::dev::{clock, irq};
use crate::mem::spin_table;

/// The CPUs that have reached Rust.
static ARRIVED: AtomicU8 = AtomicU8::new(0);
/// Opened when there is a scheduler.
static GATE: AtomicBool = AtomicBool::new(false);

/// How long the first of the others is waited for once everything else is done. They were released long before.
const FIRST_NS: u64 = 14_000_000;
/// How long the rest are waited for once one has come.
const REST_NS: u64 = 1_000_000_000;

/// Sends the other CPUs on their way, through the addresses that the stub polls.
pub(crate) fn release(addresses: &[PhysAddr; MAX_CPUS]) {
    for cpu in CpuId::all().skip(1) {
        spin_table::release(addresses[cpu.index()]);
    }
    spin_table::release_early_entrants();
    cpu::send_event();
}

/// Waits for the others to arrive, within bounds; opens the gate; waits until they take threads; says which CPUs do.
pub(crate) fn gather() -> CpuSet {
    let start = clock::now_ns();
    loop {
        let others = ARRIVED.load(Ordering::Acquire);
        let waited = clock::now_ns().saturating_sub(start);
        let enough = others == CpuSet::ALL.without(CpuId::BOOT).bits();
        let bound = if others == 0 { FIRST_NS } else { REST_NS };
        if enough || waited > bound {
            break;
        }
        Arm::relax();
    }
    let present = CpuSet::from_bits(ARRIVED.load(Ordering::Acquire)).with(CpuId::BOOT);
    GATE.store(true, Ordering::Release);
    cpu::send_event();
    let opened = clock::now_ns();
    while switch::online().and(present) != present && clock::now_ns().saturating_sub(opened) < REST_NS {
        Arm::relax();
    }
    switch::online()
}

/// Where the other CPUs come out of the head, with the MMU on, on their boot stacks.
#[unsafe(no_mangle)]
extern "C" fn secondary_entry() -> ! {
    mmu::leave_identity();
    let here = Arm::id();
    ARRIVED.fetch_or(CpuSet::only(here).bits(), Ordering::AcqRel);
    while !GATE.load(Ordering::Acquire) {
        cpu::wait_for_event();
    }
    irq::init_cpu();
    clock::init_cpu();
    match thread::new_idle(here, IDLE_NAMES[here.index()]) {
        Ok(idle) => switch::adopt_idle(idle),
        // A CPU without an idle thread cannot run anything.
        Err(_) => cpu::park(),
    }
    idle::run()
}

const IDLE_NAMES: [&str; MAX_CPUS] = ["idle0", "idle1", "idle2", "idle3"];

/// Makes what the boot CPU has been running its idle thread.
pub(crate) fn adopt_boot_cpu() -> Result<(), super::SpawnError> {
    let idle = thread::new_idle(CpuId::BOOT, IDLE_NAMES[0])?;
    switch::adopt_idle(idle);
    Ok(())
}
