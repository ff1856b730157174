//! The first processes, which nobody can fork: the system's own, and from it the kernel's threads and process 1.

use alloc::sync::Arc;
use core::cell::Cell;

use super::arena::Slot;
use super::attach::Attachments;
use super::body::{Belongings, Body, Control, Handlers, Said, Threads};
use super::cred::Credentials;
use super::fork::{ForkError, ForkFlags, ForkRequest, Forked, fork1};
use super::id::Pid;
use super::limit::Limits;
use super::process::{Process, ProcessFlags};
use super::system::{OutOfMemory, Start, System};
use super::thread::{Inherited, Thread, TidPointers};
use super::usage::Usage;
use crate::fs::{Context, FileTable};
use crate::sched::{ThreadName, Tid};
use crate::signal::{AlternateStack, Pending, SignalSet};
use crate::sync::{Rank, SpinLock};
use crate::time::{Sampled, Split};

/// Makes process 0, the system's own: without memory or files, at the root of `context`. It never runs; its thread
/// stands for the kernel where a parent is called for.
///
/// # Errors
///
/// [`OutOfMemory`]
pub fn boot<S: System>(context: Context) -> Result<Arc<Thread<S>>, OutOfMemory> {
    let processes = S::processes();
    let account = processes.account(0);
    account.charge();
    let body = Body {
        threads: Threads::new(),
        belongings: Some(Belongings {
            space: None,
            files: Arc::new(SpinLock::new(Rank::FileTable, FileTable::default())),
            context: Arc::new(SpinLock::new(Rank::FileContext, context)),
            program: None,
        }),
        pending: Pending::new(),
        handlers: Handlers::Own(Said::NOTHING),
        control: Control::default(),
        credentials: Arc::new(Credentials::ROOT),
        account,
        limits: Arc::new(Limits::initial(u64::from(processes.counts.max_processes()))),
        name: ThreadName::new("system"),
        nice: 0,
        exit_signal: None,
        vfork_parent: None,
        ended_usage: Usage::ZERO,
        ended_time: Sampled::ZERO,
        told_time: Cell::new(Split::ZERO),
        children_usage: Usage::ZERO,
        attached: Attachments::default(),
        timers: None,
    };
    let mut tree = processes.tree();
    let number = tree.reserve_thread(&mut S::uniform).map_err(|_| OutOfMemory)?;
    let mut main = None;
    let make = |slot: Slot| {
        let process = Process::new(Pid::SYSTEM, slot, Pid::SYSTEM, ProcessFlags::SYSTEM, body);
        let inherited =
            Inherited { mask: SignalSet::EMPTY, alternate: AlternateStack::DISABLED, name: ThreadName::new("system") };
        let thread = Thread::new(Arc::clone(&process), number, Tid(Pid::SYSTEM.0), inherited, TidPointers::default());
        process.body().threads.set_first(Arc::clone(&thread));
        main = Some(Arc::clone(&thread));
        (process, thread)
    };
    tree.plant(make, number).map_err(|_| OutOfMemory)?;
    drop(tree);
    main.ok_or(OutOfMemory)
}

/// Makes a process of the kernel, forked from the `system` process: one thread at `function`. With
/// [`ForkFlags::IDLE`] it is bound to its CPU and never queued.
///
/// # Errors
///
/// [`ForkError`]
pub fn kernel_thread<S: System>(
    system: &Arc<Thread<S>>,
    name: &str,
    function: fn(usize),
    argument: usize,
    more: ForkFlags,
) -> Result<Forked<S>, ForkError> {
    let flags = ForkFlags::SHAREVM | ForkFlags::SHAREFILES | ForkFlags::NOZOMBIE | ForkFlags::SYSTEM | more;
    let request = ForkRequest {
        exit_signal: None,
        name: Some(ThreadName::new(name)),
        ..ForkRequest::new(flags, Start::Kernel(function, argument))
    };
    fork1(system, &request)
}

/// Forks process 1 from the `system` process. It begins in the kernel, at `function`, which executes its program.
///
/// # Errors
///
/// [`ForkError`]
pub fn start_init<S: System>(
    system: &Arc<Thread<S>>,
    function: fn(usize),
    argument: usize,
) -> Result<Forked<S>, ForkError> {
    let request = ForkRequest {
        name: Some(ThreadName::new("init")),
        ..ForkRequest::new(ForkFlags::FORK, Start::Kernel(function, argument))
    };
    fork1(system, &request)
}
