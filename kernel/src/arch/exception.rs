//! The Rust side of the vectors.

use kcore::hal::syndrome::{Cause, Syndrome};

use super::cpu::{self, header};
use super::upcall::{self, Fatal, FatalKind};
use super::user::UserArea;
use super::user_copy::{self, Recovery};
use super::vectors::Frame;
use super::{fp, probe, semihosting};

#[unsafe(no_mangle)]
extern "C" fn exception_irq(_frame: &mut Frame) {
    let current = header();
    current.enter_interrupt();
    upcall::dispatch_interrupts();
    current.leave_interrupt();
    if current.should_preempt() {
        upcall::preempt_from_interrupt();
    }
}

#[unsafe(no_mangle)]
extern "C" fn exception_el1_sync(frame: &mut Frame) {
    let syndrome = Syndrome::decode(frame.esr);
    match syndrome.cause {
        Cause::DataAbort(abort) => {
            if user_copy::recover(frame, abort) == Recovery::Recovered {
                return;
            }
            if let Some(landing) = probe::landing_for(frame.elr) {
                frame.elr = landing;
                return;
            }
        }
        Cause::Unknown if semihosting::is_exit_trap(frame.elr) => {
            frame.elr += 4;
            return;
        }
        _ => {}
    }
    upcall::fatal(Fatal { kind: FatalKind::Synchronous, frame })
}

/// What a program did that was no system call.
#[unsafe(no_mangle)]
extern "C" fn exception_el0_sync(area: &mut UserArea) {
    let syndrome = Syndrome::decode(area.frame.esr);
    if syndrome.cause == Cause::FpTrapped {
        // With interrupts masked: until the registers are this thread's, no switch may come between.
        fp::on_trap(&area.fp);
        return;
    }
    cpu::irqs_unmask();
    upcall::user_exception(&mut area.frame, syndrome);
}

/// `AArch32` code cannot run here: no frame with such a state is ever made. Should one be, it is its program's fault.
#[unsafe(no_mangle)]
extern "C" fn exception_el0_32_sync(frame: &mut Frame) {
    const ILLEGAL_STATE: u64 = 0x0e << 26;
    frame.esr = ILLEGAL_STATE;
    frame.set_flags(0);
    cpu::irqs_unmask();
    upcall::user_exception(frame, Syndrome::decode(ILLEGAL_STATE));
}

#[unsafe(no_mangle)]
extern "C" fn exception_el0_32_irq(frame: &mut Frame) {
    exception_irq(frame);
    exception_el0_32_sync(frame);
}

/// Something is to be done before the program goes on. Called with interrupts masked; the caller masks them again and
/// asks once more.
#[unsafe(no_mangle)]
extern "C" fn exception_before_user(frame: &mut Frame) {
    cpu::irqs_unmask();
    debug_assert_eq!(header().preempt_count(), 0, "a program goes on with preemption off");
    if header().resched_requested() {
        upcall::preempt();
    }
    if header().take_attention() {
        upcall::before_user(frame);
    }
}

#[unsafe(no_mangle)]
extern "C" fn exception_fiq(frame: &mut Frame) {
    upcall::fatal(Fatal { kind: FatalKind::Fiq, frame })
}

#[unsafe(no_mangle)]
extern "C" fn exception_serror(frame: &mut Frame) {
    upcall::fatal(Fatal { kind: FatalKind::SError, frame })
}

#[unsafe(no_mangle)]
extern "C" fn exception_impossible(frame: &mut Frame) {
    upcall::fatal(Fatal { kind: FatalKind::ImpossibleVector, frame })
}

#[unsafe(no_mangle)]
extern "C" fn exception_stack_overflow(frame: &mut Frame) -> ! {
    upcall::fatal(Fatal { kind: FatalKind::StackOverflow, frame })
}
