//! Tine: a small Unix kernel for the Raspberry Pi 3 and 4.
//!
//! This crate is the half of it that knows the machine; what is true on any machine is in `kcore`, registers and
//! protocols of devices are in `drivers`. Modules, lowest first, each importing only what stands below it:
//!
//! * [`arch`]: assembly and system registers
//! * [`mem`], [`board`], [`log`]: memory, what machine this is, what the kernel says
//! * [`task`], [`dev`]: threads and programs; devices as the kernel uses them
//! * [`syscall`]: what programs can ask for
//! * [`monitor`] (or `ktest`, the kernel's tests of itself), and this file: the order in which everything starts

#![no_std]
#![no_main]
#![cfg_attr(feature = "ktest", expect(dead_code, reason = "what only the monitor uses"))]

extern crate alloc;

mod arch;
mod board;
mod dev;
#[cfg(feature = "ktest")]
mod ktest;
mod log;
mod mem;
#[cfg(not(feature = "ktest"))]
mod monitor;
mod syscall;
mod task;

use core::time::Duration;

use drivers::extra_uart::ExtraUart;
use kcore::addr::{CpuSet, PhysAddr};
use kcore::boot::command_line::{CommandLine, Console, PanicAction, Verbosity};
use kcore::random::Quality;
use kcore::sched::Priority;

use crate::board::facts::{self, Facts};
use crate::board::led::{self, Trouble};
use crate::dev::trace::NoLine;
use crate::log::panic::AfterPanic;
use crate::log::println;

/// The boot, in order. The head calls this on the boot CPU with what x0 held and the counter's value at entry; from the
/// end on the boot CPU is an idle CPU like any other.
#[unsafe(no_mangle)]
extern "C" fn kernel_entry(x0: u64, entered: u64) -> ! {
    let board = board::current();
    if !board::is_known() {
        led::set_stage(Trouble::UnknownBoard);
        panic!("the core is none of a Raspberry Pi 3 or 4");
    }
    let pins = dev::pins::init();
    let facts = facts::gather(board, x0);
    log::console::init(board::uart_clock_hz());
    led::set_stage(Trouble::NoMemory);
    dev::power::init();
    mem::init(&facts.memory, &facts.reserved).expect("a kernel needs its memory");
    led::set_stage(Trouble::Panic);
    task::smp::release(&facts.release);
    let options = CommandLine::parse(&facts.command_line);
    let trace_line = apply(&options);
    dev::irq::init();
    dev::irq::init_cpu();
    dev::clock::init();
    let quality = dev::random::init(&facts.seed);
    if let Some(tree) = facts.tree {
        mem::firmware::wipe_seeds(tree);
    }
    task::smp::adopt_boot_cpu().expect("there is memory for the first threads");
    dev::trace::init().expect("there is memory for the first threads");
    task::timers::init().expect("there is memory for the first threads");
    #[cfg(not(feature = "ktest"))]
    dev::card::init(facts.emmc2_dma);
    let cpus = task::smp::gather();
    announce(board, &facts, cpus);
    pins.expect("the console's pins are not reserved");
    report(&facts, &options, quality, trace_line);
    let boot_us = (dev::clock::now_ns() - dev::clock::ticks_to_ns(entered)) / 1000;
    println!("boot: {boot_us} us from entry");
    defmt::info!("boot took {=u64} us with {=usize} cpus", boot_us, cpus.iter().count());
    dev::uart::init();
    task::filesystems::describe(&facts.model, &facts.command_line);
    start(&facts, &options);
    if !facts.source.is_tree() {
        // For who has no serial line: this board lacks what others have, and may lack more for it.
        spawn(|| led::show(Trouble::NoTree, 10, |ms| task::sleep(Duration::from_millis(ms.into()))));
    }
    task::idle::run()
}

/// Starts the first program, or what there is instead of programs.
#[cfg(not(feature = "ktest"))]
fn start(facts: &Facts, options: &CommandLine<'_>) {
    let Some(place) = facts.initrd else {
        println!("no initramfs, so no init: the kernel's monitor");
        return spawn(|| monitor::run());
    };
    let archive = mem::initramfs::take(place);
    dev::tty::init().expect("there is memory for the first threads");
    if let Err(error) = task::init::start(archive, options, || monitor::run()) {
        println!("init: cannot be made: {error:?}");
        spawn(|| monitor::run());
    }
    dev::card::offer_found();
}

/// Starts the self-tests.
#[cfg(feature = "ktest")]
fn start(_facts: &Facts, _options: &CommandLine<'_>) {
    spawn(|| ktest::run());
}

fn spawn(first: fn()) {
    task::thread::spawn("main", Priority::DEFAULT, CpuSet::ALL, first).expect("there is memory for the first threads");
}

/// Does what the command line asks for. What came of the trace is for the report, which comes after the first line.
#[cold]
fn apply(options: &CommandLine<'_>) -> Result<Option<ExtraUart>, NoLine> {
    log::panic::set_after(match options.on_panic {
        PanicAction::Reboot => AfterPanic::Reboot,
        PanicAction::Halt => AfterPanic::Halt,
        PanicAction::Exit => AfterPanic::Exit,
    });
    dev::trace::send_to(options.trace)
}

/// The first line: scripts wait for it.
fn announce(board: &board::Board, facts: &Facts, cpus: CpuSet) {
    println!(
        "Tine {} ({}, {} cores, {} MiB)",
        env!("TINE_VERSION"),
        board.name,
        cpus.iter().count(),
        facts.memory_bytes() >> 20,
    );
}

/// What a person wants to know of this machine, and what was wrong.
#[cold]
fn report(facts: &Facts, options: &CommandLine<'_>, quality: Quality, trace_line: Result<Option<ExtraUart>, NoLine>) {
    if options.verbosity == Verbosity::Normal {
        println!("facts: {}", facts.source);
        if !facts.model.is_empty() {
            println!("model: {}", facts.model);
        }
        report_initramfs(facts);
    }
    match quality {
        Quality::JitterOnly => println!("random: WARNING: {quality}"),
        Quality::Hardware | Quality::Seed if options.verbosity == Verbosity::Normal => println!("random: {quality}"),
        Quality::Hardware | Quality::Seed => {}
    }
    for oddity in &facts.oddities {
        println!("{oddity}");
    }
    if options.console == Some(Console::MiniUart) {
        println!("command line: the console is uart0; uart1 is the trace's line");
    }
    match trace_line {
        Ok(Some(uart)) if options.verbosity == Verbosity::Normal => {
            println!("trace: {uart} at GPIO {}, {} baud", uart.transmit_pin().number(), dev::trace::BAUD);
        }
        Ok(_) => {}
        Err(why) => {
            let (asked, instead) = (options.trace.name(), log::trace::place().name());
            println!("command line: trace={asked}: {why}; the trace goes to {instead}");
        }
    }
    for problem in &options.problems {
        println!("command line: {problem}");
    }
}

/// Counts what is in the initramfs. A torn archive is reported, and what came before the tear is there.
#[cold]
fn report_initramfs(facts: &Facts) {
    let Some(place) = facts.initrd else { return };
    let (start, end): (PhysAddr, PhysAddr) = (place.start(), place.end());
    let mut count = 0_u32;
    for entry in kcore::boot::initramfs::entries(mem::firmware::initramfs(place)) {
        match entry {
            Ok(_) => count += 1,
            Err(error) => {
                println!("initramfs: {error}");
                break;
            }
        }
    }
    println!("initramfs: {count} files at {start}..{end}");
}
