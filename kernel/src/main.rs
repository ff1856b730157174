//! Tine: a small Unix kernel for the Raspberry Pi 3 and 4.
#![no_std]
#![no_main]

extern crate alloc;

mod arch;
mod board;
mod dev;
mod log;
mod mem;
mod task;

use crate::log::println;

#[unsafe(no_mangle)]
extern "C" fn kernel_entry(tree: u64, entered: u64) -> ! {
    let board = board::current();
    let facts = board::facts::gather(board, tree);
    log::console::init(None);
    mem::init(&facts.memory, &facts.reserved).unwrap();
    task::smp::release(&facts.release);
    dev::irq::init();
    dev::irq::init_cpu();
    dev::clock::init();
    task::smp::adopt_boot_cpu().unwrap();
    let cpus = task::smp::gather();
    println!("Tine {} ({}, {} cores, {} MiB)", env!("TINE_VERSION"), board.name, cpus.iter().count(), facts.memory_bytes() >> 20);
    println!("boot: {} us from entry", (dev::clock::now_ns() - dev::clock::ticks_to_ns(entered)) / 1000);
    println!("{}", facts.source);
    for i in 0..6 {
        task::thread::spawn("test", kcore::sched::Priority::DEFAULT, kcore::addr::CpuSet::ALL, move || {
            for j in 0..5 {
                println!("thread {i} round {j} on {}", <arch::cpu::Arm as kcore::hal::Cpu>::id());
                task::sleep(core::time::Duration::from_millis(100));
            }
            if i == 5 { panic!("that is all"); }
        }).unwrap();
    }
    task::idle::run()
}
