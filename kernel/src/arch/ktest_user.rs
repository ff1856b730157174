//! Programs of the self-tests: a test stands in for the layers above, for the thread that it runs in.
//!
//! The program has a kernel stack of its own, beside the one that the test's thread runs on. The change from one to the
//! other and back is a switch of contexts under one header, so that to all others it is one thread, which is preempted
//! and moves between CPUs like any.

use core::cell::UnsafeCell;
use core::sync::atomic::Ordering;

use kcore::addr::UserAddr;
use kcore::hal::Cpu;
use kcore::hal::syndrome::{Access, Syndrome};

use super::context::{self, Context};
use super::cpu::{self, Arm, header};
use super::fp::FpState;
use super::upcall::KernelFault;
use super::user::{self, UserArea};
use super::vectors::Frame;

/// What becomes of a program that came into the kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Next {
    /// It goes on as its frame says.
    GoOn,
    /// It ends here.
    End,
}

/// What a test does where a program asks the kernel.
pub(crate) trait Supervisor: Sync {
    /// A system call.
    fn system_call(&self, frame: &mut Frame) -> Next;
    /// Anything else that a program does.
    fn exception(&self, frame: &mut Frame, syndrome: Syndrome) -> Next;
    /// Attention was requested.
    fn before_user(&self, _frame: &mut Frame) -> Next {
        Next::GoOn
    }
    /// The kernel met a fault.
    fn kernel_fault(&self, _address: UserAddr, _access: Access) -> KernelFault {
        KernelFault::Refused
    }
}

/// The two sides of a run, for the switches between them.
struct Run<'a> {
    supervisor: &'a dyn Supervisor,
    caller: UnsafeCell<Context>,
    program: UnsafeCell<Context>,
}

/// Runs a program that begins as `frame` says, on the kernel stack that ends at `stack_top`, until `supervisor` ends it.
/// Its address space is the current thread's.
///
/// # Safety
///
/// The stack is nobody else's.
pub(crate) unsafe fn run(stack_top: u64, supervisor: &dyn Supervisor, frame: Frame) {
    // SAFETY: the stack is ours, and the area is within it.
    unsafe { user::area_of(stack_top).write(UserArea { frame, fp: FpState::new() }) };
    let program = Context::for_program(stack_top, begin, 0, 0);
    let run = Run { supervisor, caller: UnsafeCell::default(), program: UnsafeCell::new(program) };
    let interrupts = Arm::irq_save();
    let before = header().supervisor.swap((&raw const run).cast_mut().cast(), Ordering::Relaxed);
    assert!(before.is_null(), "a thread runs one program at a time");
    // SAFETY: interrupts are masked; both contexts are this thread's and under its header, and live until the switch back.
    unsafe { context::switch(run.caller.get(), run.program.get(), header()) };
    header().supervisor.store(core::ptr::null_mut(), Ordering::Relaxed);
    Arm::irq_restore(interrupts);
}

/// The first thing on the program's stack; there is nothing to finish.
extern "C" fn begin(_argument: usize) {}

fn current() -> Option<&'static Run<'static>> {
    let run: *const Run<'static> = header().supervisor.load(Ordering::Relaxed).cast_const().cast();
    // SAFETY: `run` keeps it there as long as the program is this thread's, and everything here is called by it.
    unsafe { run.as_ref() }
}

fn act(run: &Run<'_>, next: Next) {
    if next == Next::End {
        cpu::irqs_mask_all();
        // SAFETY: as in `run`; the caller's side was saved there and waits.
        unsafe { context::switch(run.program.get(), run.caller.get(), header()) };
    }
}

pub(super) fn system_call(frame: &mut Frame) -> bool {
    let run = current();
    run.inspect(|run| act(run, run.supervisor.system_call(frame))).is_some()
}

pub(super) fn exception(frame: &mut Frame, syndrome: Syndrome) -> bool {
    let run = current();
    run.inspect(|run| act(run, run.supervisor.exception(frame, syndrome))).is_some()
}

pub(super) fn before_user(frame: &mut Frame) -> bool {
    let run = current();
    run.inspect(|run| act(run, run.supervisor.before_user(frame))).is_some()
}

pub(super) fn kernel_fault(address: UserAddr, access: Access) -> Option<KernelFault> {
    current().map(|run| run.supervisor.kernel_fault(address, access))
}
