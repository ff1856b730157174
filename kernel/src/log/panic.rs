//! The last words: what happened, where, the registers, a backtrace; then the end that `panic=` asks for.
//!
//! No lock is taken and nothing is allocated. The first CPU to get here stops the others and reports; a panic within
//! the report ends it. Lines are made for tools as well as people: `elr 0x…`, `bt 0x…` are what `tine console` puts
//! names to.

use core::fmt::Write;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use abi::symbols::{Place, Table};
use kcore::addr::{CpuSet, VirtAddr};
use kcore::boot::command_line::Trace;
use kcore::hal::Cpu;
use kcore::hal::syndrome::{Cause, Syndrome};

use super::console::{self, Emergency};
use super::{backtrace, trace};
use crate::arch::cpu::Arm;
use crate::arch::upcall::{Fatal, FatalKind};
use crate::arch::vectors::Frame;
use crate::arch::{cpu, mmu, semihosting, unwind};
use crate::board::led;
use crate::mem::layout;

/// What the kernel does after a panic (`panic=` on the command line).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum AfterPanic {
    /// Stay, so that the report can be read; the ACT LED blinks.
    Halt,
    /// Start again.
    Reboot,
    /// Leave QEMU with a status that says so.
    Exit,
}

static AFTER: AtomicU8 = AtomicU8::new(AfterPanic::Exit as u8);
/// The CPU that panics, plus one; zero while none does.
static DYING: AtomicU8 = AtomicU8::new(0);
/// Whether a fault in the report has been met.
static DIED_REPORTING: AtomicBool = AtomicBool::new(false);
/// How the layers above stop the other CPUs and reset the board; set once they can.
static LAST_ACTIONS: spin::Once<LastActions> = spin::Once::new();

/// What a panic needs of the layers above.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LastActions {
    /// Stops every CPU in the set, for good; must not wait or lock.
    pub(crate) stop_cpus: fn(CpuSet),
    /// Resets the board; returns only where that fails.
    pub(crate) reboot: fn(),
}

/// Chooses what follows a panic.
pub(crate) fn set_after(after: AfterPanic) {
    AFTER.store(after as u8, Ordering::Relaxed);
}

/// Names the layers above.
pub(crate) fn set_last_actions(actions: LastActions) {
    LAST_ACTIONS.call_once(|| actions);
}

#[panic_handler]
fn on_panic(info: &PanicInfo<'_>) -> ! {
    let fp = unwind::frame_pointer();
    die(|out| {
        let _ = writeln!(out, "{}", info.message());
        if let Some(location) = info.location() {
            let _ = writeln!(out, "at {location}");
        }
        write_backtrace(out, fp);
    })
}

/// Reports a fatal exception and ends.
#[unsafe(no_mangle)]
fn tine_fatal(report: Fatal<'_>) -> ! {
    die(|out| write_exception(out, report))
}

fn die(report: impl FnOnce(&mut Emergency)) -> ! {
    cpu::irqs_mask_all();
    let me = cpu::hardware_id();
    match DYING.compare_exchange(0, me + 1, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => {}
        // A fault in the report: no second try, but the end that was asked for.
        Err(first) if first == me + 1 && !DIED_REPORTING.swap(true, Ordering::AcqRel) => end(),
        Err(_) => cpu::park(),
    }
    if let Some(actions) = LAST_ACTIONS.get() {
        (actions.stop_cpus)(CpuSet::from_bits(!(1 << me)));
    }
    // From here on the order of locks is nobody's concern, least of all that of the lock whose misuse is being reported.
    Arm::held_ranks().store(0, Ordering::Relaxed);
    console::rescue();
    let mut out = Emergency::new();
    if trace::place() == Trace::Console {
        // Ends a record that was cut short, so that the report is not taken for its rest.
        out.end_record();
    }
    let _ = write!(out, "\npanic on cpu {me}: ");
    report(&mut out);
    let _ = writeln!(out, "end of panic");
    end()
}

fn end() -> ! {
    let after = AFTER.load(Ordering::Relaxed);
    if after == AfterPanic::Exit as u8 {
        semihosting::exit(abi::exit::PANIC);
    } else if after == AfterPanic::Reboot as u8
        && let Some(actions) = LAST_ACTIONS.get()
    {
        (actions.reboot)();
    }
    led::end()
}

fn write_exception(out: &mut Emergency, report: Fatal<'_>) {
    let frame = report.frame;
    let syndrome = Syndrome::decode(frame.esr);
    let _ = match report.kind {
        FatalKind::Synchronous => writeln!(out, "{syndrome}"),
        FatalKind::StackOverflow => writeln!(out, "kernel stack overflow"),
        FatalKind::SError => writeln!(out, "asynchronous external abort (SError)"),
        FatalKind::Fiq => writeln!(out, "unexpected FIQ"),
        FatalKind::ImpossibleVector => writeln!(out, "an exception vector that cannot be reached"),
    };
    let _ = writeln!(out, "esr {:#010x} (class {:#04x}: {syndrome})", frame.esr, syndrome.class());
    if let Cause::DataAbort(abort) | Cause::InstructionAbort(abort) = syndrome.cause
        && abort.address_valid
    {
        write_address(out, frame.far);
    }
    let _ = writeln!(out, "elr {:#018x}", frame.elr);
    let _ = writeln!(out, "spsr {:#010x} (EL{}, {})", frame.spsr(), frame.spsr() >> 2 & 3, masks(frame.spsr()));
    write_registers(out, frame);
    write_call(out, frame.elr, frame.elr);
    if frame.spsr() & 0xf != 0 {
        write_backtrace(out, frame.x[29]);
    }
}

fn write_address(out: &mut Emergency, far: u64) {
    let address = VirtAddr::new(far);
    let _ = match (mmu::translate_read(address), mmu::translate_write(address)) {
        (None, _) => writeln!(out, "far {far:#018x} (not mapped)"),
        (Some(at), None) => writeln!(out, "far {far:#018x} (read-only, physical {at})"),
        (Some(at), Some(_)) => writeln!(out, "far {far:#018x} (writable, physical {at})"),
    };
}

fn masks(spsr: u64) -> &'static str {
    if spsr & 1 << 7 == 0 { "interrupts on" } else { "interrupts masked" }
}

fn write_registers(out: &mut Emergency, frame: &Frame) {
    for (row, registers) in frame.x.chunks(4).enumerate() {
        for (column, value) in registers.iter().enumerate() {
            let _ = write!(out, "x{:<2} {value:016x}  ", row * 4 + column);
        }
        if row == frame.x.len() / 4 {
            let _ = write!(out, "sp  {:016x}", frame.sp);
        }
        let _ = writeln!(out);
    }
}

fn write_backtrace(out: &mut Emergency, fp: u64) {
    let mut last = None;
    let mut repeated = 0;
    for address in backtrace::from(fp) {
        if last == Some(address) {
            repeated += 1;
            continue;
        }
        write_repeated(out, core::mem::take(&mut repeated));
        last = Some(address);
        // A return address may be the first of the next function: the call is before it.
        write_call(out, address, address.wrapping_sub(4));
    }
    write_repeated(out, repeated);
}

/// A line for `address`, with the name of the function that `within` lies in, if the image has the names.
fn write_call(out: &mut Emergency, address: u64, within: u64) {
    let place = Table::new(layout::function_names()).and_then(|table| table.find(within));
    let _ = match place {
        Some(Place { function, offset }) => writeln!(out, "bt {address:#018x} {function}+{offset:#x}"),
        None => writeln!(out, "bt {address:#018x}"),
    };
}

fn write_repeated(out: &mut Emergency, times: u32) {
    if times > 0 {
        let _ = writeln!(out, "   ... {times} times more");
    }
}
