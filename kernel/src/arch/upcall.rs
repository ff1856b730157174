//! What this layer asks of the layers above it, bound at link time: no call through a table on the hottest paths.
//!
//! Each function has exactly one definition, marked `#[unsafe(no_mangle)]`, in the module named here.

use kcore::addr::UserAddr;
use kcore::hal::syndrome::{Access, Syndrome};

#[cfg(feature = "ktest")]
use super::ktest_user;
use super::vectors::Frame;

unsafe extern "C" {
    /// `task`: a program's system call. Called straight from the vector, with interrupts on; when it returns, the program
    /// goes on as the frame says.
    pub(super) safe fn tine_syscall(frame: &mut Frame);
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
#[cfg(feature = "ktest")]
pub(super) extern "C" fn system_call(frame: &mut Frame) {
    if !ktest_user::system_call(frame) {
        tine_syscall(frame);
    }
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
