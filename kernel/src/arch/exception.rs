//! The Rust side of the vectors.

use kcore::hal::syndrome::{Cause, Syndrome};

use super::cpu::header;
use super::upcall::{self, Fatal, FatalKind};
use super::vectors::Frame;
use super::{probe, semihosting};

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
        Cause::DataAbort(_) => {
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

#[unsafe(no_mangle)]
extern "C" fn exception_el0_sync(frame: &mut Frame) {
    upcall::fatal(Fatal { kind: FatalKind::Synchronous, frame })
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
