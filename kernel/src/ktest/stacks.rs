//! Kernel stacks: where they are, what lies below, and that they come back.

use kcore::addr::{CpuSet, PAGE_SIZE, VirtAddr};
use kcore::frame::FrameUse;
use kcore::sched::Priority;
use kcore::sync::NoPreempt;

use super::harness::{Failure, Outcome, Team, cpus, ensure, on_each_cpu};
use crate::arch::boot::STACK_SIZE;
use crate::arch::cpu::Arm;
use crate::arch::mmu;
use crate::mem::frames::frames;
use crate::mem::stacks::{self, KernelStack};
use crate::task;

/// Fails when `KernelStack` maps a page more, below the stack.
pub(super) fn a_guard_lies_below_a_stack() -> Outcome {
    on_each_cpu("stack", |cpu| {
        let here = 0_u8;
        let page = PAGE_SIZE as u64;
        let bottom = VirtAddr::new((&raw const here).addr() as u64).align_down(STACK_SIZE as u64).get();
        for address in (bottom..bottom + STACK_SIZE as u64).step_by(PAGE_SIZE) {
            let address = VirtAddr::new(address);
            ensure!(mmu::translate_write(address).is_some(), "cpu {cpu}: {address} of a stack is not writable");
        }
        for address in [bottom - 1, bottom - page, bottom - STACK_SIZE as u64, bottom + STACK_SIZE as u64] {
            let address = VirtAddr::new(address);
            ensure!(mmu::translate_read(address).is_none(), "cpu {cpu}: {address} beside a stack is mapped");
        }
        Ok(())
    })
}

/// Fails when the destructor of a stack, or of a cached one, leaks a frame.
pub(super) fn an_ended_thread_gives_its_memory_back() -> Outcome {
    const GENERATIONS: usize = 8;
    const THREADS: usize = 12;
    let books = || {
        stacks::drain();
        let statistics = frames().statistics();
        let heap = statistics.used_for(FrameUse::KernelHeap);
        (statistics.used_for(FrameUse::Stack), statistics.used_for(FrameUse::PageTable), statistics.used() - heap)
    };
    let before = books();
    for _ in 0..GENERATIONS {
        let mut team = Team::default();
        for number in 0..THREADS {
            let cpu = cpus().nth(number % cpus().count()).unwrap_or_default();
            team.add("mayfly", Priority::DEFAULT, CpuSet::only(cpu), || {
                task::switch::yield_now();
                Ok(())
            })?;
        }
        team.join()?;
    }
    let after = books();
    ensure!(before == after, "stacks, tables and all in use but the heap's: {before:?} before, {after:?} after");
    Ok(())
}

/// Fails when a stack that is cached stays counted as a thread's, and when `KernelStack::new` does not look into the cache.
pub(super) fn a_stack_is_used_again() -> Outcome {
    on_each_cpu("stack", |cpu| {
        let guard = NoPreempt::<Arm>::new();
        let first = KernelStack::new().map_err(|error| Failure::new(format_args!("cpu {cpu}: {error:?}")))?;
        let top = first.top();
        drop(first);
        let second = KernelStack::new().map_err(|error| Failure::new(format_args!("cpu {cpu}: {error:?}")))?;
        let again = second.top();
        drop(second);
        drop(guard);
        ensure!(top == again, "cpu {cpu}: a stack at {top:#x}, then one at {again:#x}");
        Ok(())
    })
}
