//! Processes and their threads.
//!
//! A [`Process`] owns what its threads share: an [`AddressSpace`], files, signal actions, limits, credentials. A
//! [`Thread`] is what the scheduler's thread is to its process. All of them are in [`Processes`]: a tree under one short
//! lock (parents and children, groups and sessions, numbers), and counts. What is needed of the machine comes in through
//! [`System`].
//!
//! ```text
//! Processes ── tree ─► Process ─┬─ Thread ◄─► sched::Thread
//!                         │     └─ Thread
//!                         ├─ AddressSpace ─ vm::Space       shared by threads, and by processes that ask for it
//!                         ├─ fs::FileTable, fs::Context     the same
//!                         └─ signal::Actions, Limits, Credentials   shared until changed
//! ```
//!
//! The calls, by what they do:
//!
//! * making: [`fork()`], [`vfork`], [`tfork`], [`clone`]; below them [`fork1`], [`thread_fork`]; first of all [`boot()`],
//!   then [`start_init`], [`kernel_thread`]; in the child, before its program, [`child_return`]
//! * executing: [`exec_commit`]
//! * ending: [`exit_process`], [`exit_thread`]; waiting: [`wait()`]
//! * signals: [`kill`], [`queue`], [`kill_thread`], [`queue_thread`], [`signal()`], [`signal_group`], [`post_fault`];
//!   on the way back to the program, if [`Thread::attention`], [`before_user`]; in sleeps [`interrupted`]; and
//!   [`take_signal`], [`wait_for_signal`]
//! * timers: [`set_interval`], [`get_interval`], [`create_timer`], [`set_timer`], [`get_timer`], [`timer_overrun`],
//!   [`delete_timer`], [`clock_was_set`], [`serve_alarms`]
//! * groups and sessions: [`set_group`], [`set_session`], [`group_of`], [`session_of`], [`is_orphaned`],
//!   [`acquire_terminal`], [`terminal_of`], [`set_foreground`]; for terminals, [`JobControl`](crate::tty::JobControl)
//! * looking: [`Process::standing`], [`Process::run_state`], [`Process::signal_info`]
//! * finding: [`find`], [`find_thread`], [`relations`], [`Processes::each`], [`Processes::next_from`]
//!
//! # Locks
//!
//! `ProcessTree`, then one `Process`, then `SignalActions` or `Thread`. An address space's lock sleeps and stands before
//! all of these. A thread is woken with the tree and its process locked: scheduler and wait queues come after.

#[cfg(test)]
#[cfg(not(loom))]
pub(crate) mod fake;
#[cfg(test)]
#[cfg(not(loom))]
mod tests;

mod arena;
pub mod attach;
mod body;
mod boot;
mod commit;
pub mod count;
pub mod cred;
pub mod exec;
mod exit;
mod fork;
mod group;
mod handling;
mod id;
mod info;
pub mod limit;
#[cfg(test)]
#[cfg(loom)]
mod loom_models;
mod map;
mod news;
mod ppwait;
mod process;
mod processor_time;
mod signal;
mod space;
mod system;
mod table;
mod terminal;
mod thread;
mod timer;
mod tree;
mod unshare;
pub mod usage;
mod wait;

pub use boot::{boot, kernel_thread, start_init};
pub use commit::{Ended, NewImage, exec_commit};
pub use exit::{ExitStatus, exit_process, exit_thread};
pub use fork::{
    CloneArguments, CloneFlags, Cloned, ContextSharing, Family, ForkError, ForkFlags, ForkRequest, Forked, OnFault,
    TforkError, TforkParameters, ThreadRequest, clone, fork, fork1, tfork, thread_fork, vfork,
};
pub use group::{
    GroupError, Terminal, acquire_terminal, find, group_of, is_orphaned, relations, session_of, set_foreground,
    set_group, set_session, terminal_of,
};
pub use id::{MAX_PID, Numbering, Pid, RECENT, THREAD_OFFSET};
pub use info::{RunState, SignalInfo, Standing};
pub use process::{FileContext, Files, Process, ProcessFlags};
pub use processor_time::check_processor_time;
pub use signal::{
    FaultPosted, Next, SignalError, Target, Woken, before_user, child_return, interrupted, kill, kill_thread,
    post_fault, queue, queue_thread, signal, signal_group, take_signal, thread as find_thread, wait_for_signal,
};
pub use space::{AddressSpace, SpaceGuard};
pub use system::{OutOfMemory, Start, System};
pub use table::{Counted, Processes, Statistics};
pub use thread::{Mode, Thread, TidPointers};
pub use timer::{
    FileClock, Interval, Notice, TimerClock, TimerError, TimerFile, TimerSetting, Until, clock_was_set, create_timer,
    delete_timer, get_interval, get_timer, serve_alarms, set_interval, set_timer, timer_overrun,
};
pub use unshare::{Parting, UnshareError, unshare};
pub use wait::{ChildKind, Children, Delivery, Kinds, Patience, Selection, WaitError, WaitRequest, WaitResult, wait};
