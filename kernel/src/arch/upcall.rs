//! What this layer asks of the layers above it, bound at link time: no call through a table on the hottest paths.
//!
//! Each function has exactly one definition, marked `#[unsafe(no_mangle)]`, in the module named here.

use super::vectors::Frame;

unsafe extern "Rust" {
    /// `task`: gives the CPU to another thread if one should run. Called with preemption allowed.
    safe fn tine_preempt();
    /// `task`: the same at the end of an interrupt, with interrupts masked.
    safe fn tine_preempt_from_interrupt();
    /// `dev`: handles every interrupt that is pending on this CPU.
    safe fn tine_dispatch_interrupts();
    /// `main`: an exception that the kernel cannot go on from.
    safe fn tine_fatal(report: Fatal<'_>) -> !;
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
