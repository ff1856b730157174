//! Every CPU runs threads and answers the others.

use core::sync::atomic::{AtomicU32, Ordering};

use alloc::sync::Arc;
use kcore::addr::{CpuId, CpuSet, MAX_CPUS};
use kcore::hal::Cpu;
use kcore::sched::Priority;

use super::harness::{Outcome, Team, cpus, ensure, on_each_cpu, spin_for};
use crate::arch::cpu::{self, Arm};
use crate::dev::irq::{self, Ipi};

/// Fails without `irqs_unmask` in `first_steps`.
pub(super) fn every_cpu_starts_a_thread() -> Outcome {
    let started = Arc::new([const { AtomicU32::new(0) }; MAX_CPUS]);
    let seen = Arc::clone(&started);
    on_each_cpu("start", move |cpu| {
        // The first things a thread does: nothing has changed the state since the trampoline.
        let (masked, preempt) = (cpu::irqs_masked(), cpu::header().preempt_count());
        let held = Arm::held_ranks().load(Ordering::Relaxed);
        ensure!(!masked, "interrupts are masked in a new thread on cpu {cpu}");
        ensure!(preempt == 0 && held == 0, "cpu {cpu}: preemption count {preempt}, lock ranks {held:#x}");
        ensure!(Arm::id() == cpu, "a thread bound to cpu {cpu} is on {}", Arm::id());
        ensure!(usize::from(cpu::hardware_id()) == cpu.index(), "cpu {cpu} is core {}", cpu::hardware_id());
        seen[cpu.index()].fetch_add(1, Ordering::Relaxed);
        Ok(())
    })?;
    for cpu in cpus() {
        let count = started[cpu.index()].load(Ordering::Relaxed);
        ensure!(count == 1, "cpu {cpu} started {count} threads of 1");
    }
    Ok(())
}

static PINGS: [AtomicU32; MAX_CPUS] = [const { AtomicU32::new(0) }; MAX_CPUS];

fn pings() -> [u32; MAX_CPUS] {
    core::array::from_fn(|cpu| PINGS[cpu].load(Ordering::Acquire))
}

/// Fails, on both boards, when `irq::send` shifts the targets of pings by one.
pub(super) fn a_ping_reaches_each_cpu_from_each_and_no_other() -> Outcome {
    const ROUNDS: usize = 10;
    irq::on_ping(|| {
        PINGS[Arm::id().index()].fetch_add(1, Ordering::AcqRel);
    });
    for from in cpus() {
        let mut team = Team::default();
        team.add("ping", Priority::DEFAULT, CpuSet::only(from), move || {
            (0..ROUNDS).try_for_each(|_| cpus().try_for_each(|to| ping(from, to)))
        })?;
        team.join()?;
    }
    Ok(())
}

fn ping(from: CpuId, to: CpuId) -> Outcome {
    let mut expected = pings();
    expected[to.index()] += 1;
    irq::send(CpuSet::only(to), Ipi::Ping);
    spin_for("the answer to a ping", || PINGS[to.index()].load(Ordering::Acquire) == expected[to.index()])?;
    let found = pings();
    ensure!(found == expected, "from {from} to {to}: pings {found:?}, not {expected:?}");
    Ok(())
}
