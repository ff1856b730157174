//! What this layer asks of the layers above it, bound at link time: no call through a table on the hottest paths.
//!
//! Each function has exactly one definition, marked `#[unsafe(no_mangle)]`, in the module named here.

use kcore::addr::UserAddr;
use kcore::hal::syndrome::{Access, Syndrome};

#[cfg(feature = "ktest")]
use super::ktest_user;
use super::vectors::Frame;

/// A system call: its six arguments, and the program's registers. What it returns is in the program's x0 when that goes on.
pub(crate) type SystemCall = extern "C" fn(u64, u64, u64, u64, u64, u64, &mut Frame) -> u64;

/// Behind the last number that is looked up in the tables.
pub(crate) const TABLE_NUMBERS: usize = 464;

/// Behind the last number that the vector looks up by itself. All calls go through [`system_call`] where a self-test may
/// stand in for the layers above.
pub(super) const QUICK_NUMBERS: usize = if cfg!(feature = "ktest") { 0 } else { TABLE_NUMBERS };

unsafe extern "Rust" {
    /// `syscall`: the system calls by number, called straight from the vector with interrupts on. Those that need a whole
    /// frame are [`system_call_whole`](super::vectors::system_call_whole).
    pub(super) safe static TINE_QUICK_CALLS: [SystemCall; TABLE_NUMBERS];
    /// `syscall`: the same, where those that need a whole frame are themselves.
    pub(super) safe static TINE_WHOLE_CALLS: [SystemCall; TABLE_NUMBERS];
}

unsafe extern "C" {
    /// `syscall`: a program's system call by any number, with a whole frame. Called with interrupts on; the program goes on as
    /// the frame says.
    safe fn tine_syscall(frame: &mut Frame);
}

unsafe extern "Rust" {
    /// `task`: what a program did cannot be done, or only with help: a fault, an undefined instruction, a breakpoint.
    /// Called with interrupts on; the program goes on as the frame says.
    safe fn tine_user_exception(frame: &mut Frame, syndrome: Syndrome);
    /// `task`: somebody asked for the attention of a thread that is about to go on in its program
    /// (`Header::request_attention`): a signal, a stop, its end. Called with interrupts on; the request is taken back
    /// before.
    safe fn tine_before_user(frame: &mut Frame);
    /// `task`: the kernel, in the name of the current program, met a fault at a user address. Called with interrupts on,
    /// where the thread may sleep. Says whether it is worth another try.
    safe fn tine_kernel_fault(address: UserAddr, access: Access) -> KernelFault;
    /// `task`: gives the CPU to another thread if one should run. Called with preemption allowed.
    safe fn tine_preempt();
    /// `task`: the same at the end of an interrupt, with interrupts masked.
    safe fn tine_preempt_from_interrupt();
    /// `dev`: handles every interrupt that is pending on this CPU.
    safe fn tine_dispatch_interrupts();
    /// `main`: an exception that the kernel cannot go on from.
    safe fn tine_fatal(report: Fatal<'_>) -> !;
}

/// What became of a fault of the kernel's at a user address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(crate) enum KernelFault {
    /// The access can be tried again.
    Resolved,
    /// It cannot: the program may not do what it asked the kernel to do.
    Refused,
}

/// Why an exception is fatal.
#[derive(Clone, Copy, Debug)]
pub(crate) enum FatalKind {
    /// A synchronous exception in the kernel.
    Synchronous,
    /// The kernel stack ran into its guard.
    StackOverflow,
    /// An asynchronous external abort.
    SError,
    /// A FIQ: nothing here is routed to it.
    Fiq,
    /// A vector that this kernel cannot reach.
    ImpossibleVector,
}

/// A fatal exception and what it interrupted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fatal<'a> {
    /// Why.
    pub(crate) kind: FatalKind,
    /// What was interrupted.
    pub(crate) frame: &'a Frame,
}

/// See [`tine_preempt`].
pub(crate) fn preempt() {
    tine_preempt();
}

/// See [`tine_preempt_from_interrupt`].
pub(crate) fn preempt_from_interrupt() {
    tine_preempt_from_interrupt();
}

/// See [`tine_dispatch_interrupts`].
pub(crate) fn dispatch_interrupts() {
    tine_dispatch_interrupts();
}

/// See [`tine_fatal`].
pub(crate) fn fatal(report: Fatal<'_>) -> ! {
    tine_fatal(report)
}

/// See [`tine_syscall`].
pub(super) extern "C" fn system_call(frame: &mut Frame) {
    #[cfg(feature = "ktest")]
    if ktest_user::system_call(frame) {
        return;
    }
    tine_syscall(frame);
}

/// See [`tine_user_exception`].
pub(super) fn user_exception(frame: &mut Frame, syndrome: Syndrome) {
    #[cfg(feature = "ktest")]
    if ktest_user::exception(frame, syndrome) {
        return;
    }
    tine_user_exception(frame, syndrome);
}

/// See [`tine_before_user`].
pub(super) fn before_user(frame: &mut Frame) {
    #[cfg(feature = "ktest")]
    if ktest_user::before_user(frame) {
        return;
    }
    tine_before_user(frame);
}

/// See [`tine_kernel_fault`].
pub(super) fn kernel_fault(address: UserAddr, access: Access) -> KernelFault {
    #[cfg(feature = "ktest")]
    if let Some(outcome) = ktest_user::kernel_fault(address, access) {
        return outcome;
    }
    tine_kernel_fault(address, access)
}
