//! Tine: a small Unix kernel for the Raspberry Pi 3 and 4.
#![no_std]
#![no_main]

extern crate alloc;

mod arch;
mod board;
mod dev;
mod log;
mod mem;

use crate::log::println;

#[unsafe(no_mangle)]
extern "C" fn kernel_entry(tree: u64, _entered: u64) -> ! {
    let board = board::current();
    let facts = board::facts::gather(board, tree);
    log::console::init(None);
    println!("Tine {} ({}, {} cores, {} MiB)", env!("TINE_VERSION"), board.name, 1, facts.memory_bytes() >> 20);
    println!("{}", facts.source);
    mem::init(&facts.memory, &facts.reserved).unwrap();
    println!("{:?}", mem::frames::frames().statistics());
    let s = mem::stacks::KernelStack::new().unwrap();
    println!("stack top {:#x}", s.top());
    drop(s);
    panic!("that is all");
}

#[unsafe(no_mangle)]
extern "C" fn secondary_entry() -> ! {
    arch::cpu::park()
}

#[unsafe(no_mangle)]
fn tine_preempt() {}
#[unsafe(no_mangle)]
fn tine_preempt_from_interrupt() {}
