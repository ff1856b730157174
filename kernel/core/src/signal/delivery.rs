//! What a handler's frame is made of.

use super::action::{Action, ActionFlags, Handler};
use super::alternate::{AlternateStack, StackRequest};
use super::info::Info;
use super::set::SignalSet;
use crate::addr::UserAddr;

/// A handler about to run: all that its frame and its thread's new state are made of, but for the registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Delivery {
    /// The signal and why.
    pub info: Info,
    /// The handler.
    pub handler: UserAddr,
    /// Where it returns to; `None`: to the kernel's own trampoline.
    pub restorer: Option<UserAddr>,
    /// The frame goes below this.
    pub stack: UserAddr,
    /// Whether the handler wants `siginfo_t` and context as its second and third argument.
    pub wants_info: bool,
    /// Whether a call that was interrupted is made again after the handler.
    pub restarts: bool,
    /// Whether the signal's action goes back to the default.
    pub resets: bool,
    /// `uc_sigmask`: what is blocked again after the handler.
    pub saved_mask: SignalSet,
    /// What is blocked while the handler runs.
    pub mask: SignalSet,
    /// `uc_stack`: the alternate stack as `rt_sigreturn` sets it again.
    pub saved_stack: StackRequest,
    /// The alternate stack while the handler runs.
    pub alternate: AlternateStack,
}

impl Delivery {
    /// Works out how the handler of `action` takes `info`; `None` if it has none.
    ///
    /// `blocked` is the thread's mask now, `saved` the one that it returns to: another one if a call like `sigsuspend`
    /// exchanged it for as long as it waited.
    #[must_use]
    pub fn plan(
        info: Info,
        action: &Action,
        blocked: SignalSet,
        saved: SignalSet,
        alternate: &AlternateStack,
        stack_pointer: UserAddr,
    ) -> Option<Self> {
        let Handler::At(handler) = action.handler else { return None };
        let flags = action.flags;
        let own =
            if flags.contains(ActionFlags::NO_DEFER) { SignalSet::EMPTY } else { SignalSet::EMPTY.with(info.signal) };
        let other_stack = if flags.contains(ActionFlags::ON_STACK) { alternate.top(stack_pointer) } else { None };
        Some(Self {
            info,
            handler,
            restorer: flags.contains(ActionFlags::RESTORER).then_some(action.restorer),
            stack: other_stack.unwrap_or(stack_pointer),
            wants_info: flags.contains(ActionFlags::INFO),
            restarts: flags.contains(ActionFlags::RESTART),
            resets: flags.contains(ActionFlags::RESET),
            saved_mask: saved,
            mask: (blocked | action.mask | own).difference(SignalSet::UNBLOCKABLE),
            saved_stack: alternate.describe(stack_pointer),
            alternate: alternate.while_handling(),
        })
    }
}
