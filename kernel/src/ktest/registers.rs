//! A thread finds its registers as it left them.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use core::time::Duration;

use kcore::addr::{CpuId, CpuSet};
use kcore::hal::Cpu;
use kcore::sched::Priority;

use super::harness::{Outcome, Team, cpus, ensure, on_each_cpu};
use crate::arch::cpu::Arm;
use crate::arch::ktest_asm::{self, Round};
use crate::task::{self, switch};

/// On each CPU one thread waits, all registers filled, for an interrupt; and each time it is preempted there by a better
/// one that wakes up, and that fills them with something else.
///
/// Fails with x18 cleared at the end of `restore_and_return`, and with the N flag cleared in what it puts into `SPSR_EL1`.
pub(super) fn every_register_survives_an_interrupt_and_a_switch() -> Outcome {
    const ROUNDS: u64 = 200;
    let mut team = Team::default();
    for cpu in cpus() {
        let done = Arc::new(AtomicBool::new(false));
        let intrusions = Arc::new(AtomicU32::new(0));
        let (over, count) = (Arc::clone(&done), Arc::clone(&intrusions));
        team.add("intruder", Priority::KERNEL, CpuSet::only(cpu), move || intrude(cpu, &over, &count))?;
        team.add("registers", Priority::DEFAULT, CpuSet::only(cpu), move || {
            let checked = (0..ROUNDS).try_for_each(|round| check_interrupt(cpu, round));
            done.store(true, Ordering::Release);
            checked?;
            let switches = intrusions.load(Ordering::Relaxed);
            ensure!(u64::from(switches) >= ROUNDS / 2, "cpu {cpu}: {switches} switches in {ROUNDS} waits");
            Ok(())
        })?;
    }
    team.join()
}

/// Comes every 100 microseconds and leaves other values in the registers.
fn intrude(cpu: CpuId, over: &AtomicBool, count: &AtomicU32) -> Outcome {
    while !over.load(Ordering::Acquire) {
        check_call(cpu, 0xb00 + u64::from(count.fetch_add(1, Ordering::Relaxed)), nothing)?;
        task::sleep(Duration::from_micros(100));
    }
    Ok(())
}

fn check_interrupt(cpu: CpuId, seed: u64) -> Outcome {
    let mut round = Round::new(seed << 2 | cpu.index() as u64);
    ktest_asm::across_interrupt(&mut round);
    for (number, (put, found)) in round.put.x.iter().zip(round.found.x).enumerate() {
        ensure!(*put == found, "cpu {cpu}, round {seed}: x{number} was {put:#x} and is {found:#x}");
    }
    ensure!(round.put == round.found, "cpu {cpu}, round {seed}: {:x?}", round);
    Ok(())
}

extern "C" fn nothing() {
    core::hint::black_box(());
}

extern "C" fn give_way() {
    switch::yield_now();
}

/// Two threads on each CPU fill what a callee preserves and give way to each other; then once more across the bare
/// `context_switch`.
///
/// Fails without the load of x27 and x28 in `context_switch`, by the second part: on the way to a switch of threads Rust
/// keeps most registers on the stack.
pub(super) fn preserved_registers_survive_a_switch() -> Outcome {
    const ROUNDS: u64 = 500;
    let mut team = Team::default();
    for cpu in cpus() {
        for twin in [0x100_u64, 0x200] {
            team.add("twin", Priority::DEFAULT, CpuSet::only(cpu), move || {
                (0..ROUNDS).try_for_each(|round| check_call(cpu, twin << 16 | round, give_way))
            })?;
        }
    }
    team.join()?;
    on_each_cpu("switch", |cpu| {
        let mut round = Round::new(0x300);
        ktest_asm::across_switch(&mut round);
        check_preserved(cpu, &round)
    })
}

fn check_call(cpu: CpuId, seed: u64, callee: extern "C" fn()) -> Outcome {
    let mut round = Round::new(seed);
    ktest_asm::across_call(&mut round, callee);
    check_preserved(cpu, &round)
}

fn check_preserved(cpu: CpuId, round: &Round) -> Outcome {
    for number in 19..30 {
        let (put, found) = (round.put.x[number], round.found.x[number]);
        ensure!(put == found, "cpu {cpu}: x{number} was {put:#x} and is {found:#x}");
    }
    let (put, found) = (round.put.sp, round.found.sp);
    ensure!(put == found, "cpu {cpu}: sp was {put:#x} and is {found:#x}");
    Ok(())
}

/// Nothing saves the FP registers at a switch within the kernel, for an instruction that used them would trap.
///
/// Fails with `CPACR_EL1.FPEN` set to 3 in the head.
pub(super) fn floating_point_is_trapped_in_the_kernel() -> Outcome {
    on_each_cpu("fp", |cpu| {
        let enabled = ktest_asm::fp_enabled();
        ensure!(enabled & 1 == 0, "cpu {} ({cpu}): CPACR_EL1.FPEN is {enabled}", Arm::id());
        Ok(())
    })
}
