//! Signals: what they are, what is done about them, which are pending. All of it is plain data and the rules over it;
//! who is signalled, woken, stopped or killed is decided by [`proc`](crate::proc), and a handler's frame is laid out by
//! the kernel.
//!
//! * [`Signal`], [`SignalSet`]: numbers and sets of them, as Linux counts them
//! * [`Action`], [`Actions`]: what a process does about each signal; held in an `Arc` and copied when it is changed
//! * [`Info`]: why a signal was sent: `siginfo_t`
//! * [`Pending`]: what has been sent and not yet taken; one a process and one a thread
//! * [`AlternateStack`]: where handlers run that asked for a stack of their own
//! * [`Delivery`]: everything that a handler's frame is made of; [`records`]: what of it comes in a list
//!
//! A signal's way: [`discarded_by`] says which pending signals it undoes; [`Actions::ignores`] whether it may be dropped at
//! once; [`Pending::post`] keeps it; [`take_next`] chooses it for a thread about to return to its program;
//! [`Actions::effective`] says what happens; and for a handler [`Delivery::plan`] works out stack and masks.
//!
//! There are no locks here: whoever holds a [`Pending`] or an [`Actions`] has one.

mod action;
mod alternate;
mod delivery;
mod info;
mod layout;
mod number;
mod pending;
pub mod records;
mod set;

pub use action::{Action, ActionFlags, Actions, Effective, Handler, Unchangeable};
pub use alternate::{AlternateStack, StackError, StackFlags, StackRequest};
pub use delivery::Delivery;
pub use info::{BadInfo, ChildEvent, Detail, Info, code};
pub use number::{DefaultAction, Signal};
pub use pending::{Pending, Posted, take_next};
pub use set::{MaskChange, SignalSet, discarded_by};

#[cfg(all(test, not(loom)))]
mod tests;
