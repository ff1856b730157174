//! Making processes and threads: [`fork1`] and [`thread_fork`].
//!
//! Both begin with everything that can fail, in the order in which a caller is told of it: the table of threads, the
//! table of processes, the user's limit, the kernel stack, memory. What was claimed until then gives itself back. Then
//! comes the **point of no return**, and after it nothing can fail: what follows only puts together what is there.
//!
//! The seeds hold one lock from the first step to the last. Here the steps are seen by other CPUs as they happen, so
//! their order is what makes them right:
//!
//! * The numbers are reserved when they are drawn. No two forks can draw the same one.
//! * The child is an embryo until it is complete; whoever walks the tree passes embryos by. It joins its parent's group
//!   and the parent's children in one step, so a signal to the group or a wait sees it entirely or not at all.
//! * What the parent will wait for in `vfork` is set before the child can run, so the child's wake-up is not lost.
//! * A thread's number is where its creator wants it before the thread runs.
//! * Only when the child is runnable is anybody told of it.

mod clone;
mod reserve;
mod thread;

pub use self::clone::{CloneArguments, CloneFlags, Cloned, TforkError, TforkParameters, clone, fork, tfork, vfork};
pub use self::thread::{OnFault, ThreadRequest, thread_fork};

use alloc::sync::Arc;
use core::cell::Cell;
use core::sync::atomic::Ordering::Relaxed;

use bitflags::bitflags;

use self::reserve::{Parent, Reserved};
use super::attach::Attached;
use super::body::{Belongings, Body, Control, Threads};
use super::count::Table;
use super::exit::begin_exit;
use super::id::Pid;
use super::process::{Process, ProcessFlags};
use super::signal::{post, signal};
use super::system::{Start, System};
use super::thread::{Inherited, Thread, TidPointers};
use super::tree::{self, Place};
use super::usage::Usage;
use super::wait::ChildKind;
use crate::addr::UserAddr;
use crate::sched::{self, ThreadName, Tid};
use crate::signal::{AlternateStack, Info, Pending, Signal};
use crate::time::{Sampled, Split};

bitflags! {
    /// What a child shares with its parent, and what becomes of both.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct ForkFlags: u32 {
        /// `fork`
        const FORK = 0x1;
        /// `vfork`
        const VFORK = 0x2;
        /// The child idles: it is bound to its CPU and in no queue.
        const IDLE = 0x4;
        /// The parent waits until the child executes a program or exits.
        const PPWAIT = 0x8;
        /// One table of files for both.
        const SHAREFILES = 0x10;
        /// The child is the kernel's.
        const SYSTEM = 0x20;
        /// The child leaves no zombie.
        const NOZOMBIE = 0x40;
        /// One address space for both.
        const SHAREVM = 0x80;
        /// One table of signal actions for both, which only those can have who share their memory.
        const SIGHAND = 0x200;
        /// The parent's tracer traces the child, too.
        const PTRACE = 0x400;
        /// Bits without a meaning are kept, for the check to find.
        const _ = !0;
    }
}

impl ForkFlags {
    const KNOWN: u32 = 0x6ff;

    /// # Panics
    ///
    /// When the kernel asks for what does not exist.
    fn check(self) {
        assert!(self.bits() & !Self::KNOWN == 0, "unknown fork flags {:#x}", self.bits());
        assert!(
            !self.contains(Self::SIGHAND) || self.contains(Self::SHAREVM),
            "handlers are shared by those who share memory"
        );
    }
}

/// Whether the child has a working directory, root and file mode mask of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ContextSharing {
    /// Of its own, the same for now.
    #[default]
    Copy,
    /// One for both.
    Share,
}

/// Whose child the new process is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Family {
    /// The caller's.
    #[default]
    Child,
    /// The caller's parent's.
    Sibling,
}

/// A process to be made.
#[derive(Clone, Debug)]
pub struct ForkRequest {
    /// What is shared, and what happens.
    pub flags: ForkFlags,
    /// Where the child begins.
    pub start: Start,
    /// By which signal its parent is told of its end.
    pub exit_signal: Option<Signal>,
    /// Working directory and the like.
    pub context: ContextSharing,
    /// Whose child.
    pub family: Family,
    /// Whether the child's signals go back to their defaults.
    pub clear_handlers: bool,
    /// Where, in the parent's memory, the child's number is stored before the child runs.
    pub parent_tid: Option<UserAddr>,
    /// Where, in the child's.
    pub child: TidPointers,
    /// The child's name; else it has its parent's.
    pub name: Option<ThreadName>,
}

impl ForkRequest {
    /// A request with these flags and nothing special.
    #[must_use]
    pub const fn new(flags: ForkFlags, start: Start) -> Self {
        Self {
            flags,
            start,
            exit_signal: Some(Signal::CHLD),
            context: ContextSharing::Copy,
            family: Family::Child,
            clear_handlers: false,
            parent_tid: None,
            child: TidPointers { announce: None, clear: None },
            name: None,
        }
    }
}

/// A process that was made.
pub struct Forked<S: System> {
    /// Its number.
    pub pid: Pid,
    /// Its thread.
    pub thread: Arc<Thread<S>>,
    /// What is scheduled of it, for who asked for [`ForkFlags::IDLE`]; else it has been started.
    pub idle: Option<Arc<sched::Thread<S::Payload>>>,
}

/// Why nothing was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ForkError {
    /// There are as many as there may be.
    TableFull(Table),
    /// The user has as many processes as the limit allows.
    UserLimit,
    /// There is no kernel stack, or no memory for the child.
    OutOfMemory,
    /// The request makes no sense.
    Invalid,
    /// The caller has promised not to.
    NotPromised,
    /// The caller has to act upon a signal first, and asks again after that: a child made before would not be among those
    /// that the signal was sent to.
    Interrupted,
}

/// Makes a process with one thread: the caller's copy, but for what the request says.
///
/// # Errors
///
/// [`ForkError`]; then nothing has happened.
///
/// # Panics
///
/// When the kernel asks for what does not exist.
pub fn fork1<S: System>(caller: &Arc<Thread<S>>, request: &ForkRequest) -> Result<Forked<S>, ForkError> {
    request.flags.check();
    let mut parent = Parent::of(caller)?;
    let program = parent.program.take();
    let claims = reserve::claim(&parent)?;
    let reserved = reserve::reserve(&parent, program, request)?;
    claims.keep();

    // The point of no return.
    let Reserved { seed, numbers, belongings, pages } = reserved;
    let numbers = numbers.keep();
    let space = belongings.space.as_ref().map(|space| space.join());
    let traced = parent.attached.get().tracing.is_some();
    let child = new_process(parent, request, numbers, belongings);
    let thread = new_thread(caller, request, &child, numbers.thread);
    child.body().threads.set_first(Arc::clone(&thread));
    if request.flags.contains(ForkFlags::PPWAIT) {
        caller.gate.shut();
    }
    let machine = S::make_thread(seed, &thread, request.start, space);
    thread.set_machine(&machine);
    count_kind::<S>(request.flags, pages);

    publish(caller, request, numbers, &thread);
    tell_number::<S>(request.parent_tid, child.pid());
    // Before the child runs, which may have a child itself before this thread goes on.
    S::processes().statistics.last_pid.store(child.pid().0, Relaxed);
    let idle = if request.flags.contains(ForkFlags::IDLE) {
        Some(machine)
    } else {
        S::start_thread(machine);
        None
    };
    note_fork(caller.process(), child.pid());
    count_sharing::<S>(request.flags);

    if request.flags.contains(ForkFlags::PPWAIT) {
        let waiting = &S::processes().statistics.uninterruptible;
        waiting.fetch_add(1, Relaxed);
        caller.gate.wait();
        waiting.fetch_sub(1, Relaxed);
    }
    if request.flags.contains(ForkFlags::PTRACE) && traced {
        let _merged = signal(caller.process(), Some(caller), Info::kernel(Signal::TRAP));
    }
    Ok(Forked { pid: child.pid(), thread, idle })
}

/// The process, with its copies and shares of what the parent has, known to nobody.
fn new_process<S: System>(
    parent: Parent<'_, S>,
    request: &ForkRequest,
    numbers: tree::Reserved,
    belongings: Belongings<S>,
) -> Arc<Process<S>> {
    let flags = request.flags;
    let attached = parent.attached.for_fork(flags.contains(ForkFlags::PTRACE));
    start_profile(attached.get());
    let handlers = parent.handlers_for(request);
    let body = Body {
        threads: Threads::new(),
        belongings: Some(belongings),
        pending: Pending::new(),
        handlers,
        control: Control::default(),
        credentials: parent.credentials,
        account: parent.account,
        limits: parent.limits,
        name: request.name.clone().unwrap_or(parent.name),
        nice: parent.nice,
        exit_signal: request.exit_signal,
        vfork_parent: flags.contains(ForkFlags::PPWAIT).then(|| Arc::clone(parent.thread)),
        ended_usage: Usage::ZERO,
        ended_time: Sampled::ZERO,
        told_time: Cell::new(Split::ZERO),
        children_usage: Usage::ZERO,
        attached,
        timers: None,
    };
    let mut state = parent.thread.process().flags() & ProcessFlags::INHERITED | ProcessFlags::FORKED;
    state.set(ProcessFlags::PPWAIT, flags.contains(ForkFlags::PPWAIT));
    state.set(ProcessFlags::NO_ZOMBIE, flags.contains(ForkFlags::NOZOMBIE));
    state.set(ProcessFlags::SYSTEM, flags.contains(ForkFlags::SYSTEM));
    Process::new(numbers.pid, numbers.slot, parent.thread.process().pid(), state, body)
}

/// Its thread: with the caller's mask, name and alternate stack, and with nothing pending.
fn new_thread<S: System>(
    caller: &Arc<Thread<S>>,
    request: &ForkRequest,
    child: &Arc<Process<S>>,
    number: u32,
) -> Arc<Thread<S>> {
    // Who runs in the parent's memory beside the parent must not run on the parent's alternate stack.
    let alone = !request.flags.contains(ForkFlags::SHAREVM) || request.flags.contains(ForkFlags::PPWAIT);
    let (stack, name) = caller.stack_and_name();
    let inherited = Inherited {
        mask: caller.mask(),
        alternate: if alone { stack } else { AlternateStack::DISABLED },
        name: request.name.clone().unwrap_or(name),
    };
    Thread::new(Arc::clone(child), number, Tid(child.pid().0), inherited, request.child)
}

/// Enters the child in the tree, all at once: numbers, group, parent. A parent that is dying has no more children: a
/// child of one that was killed while it forked is born dead, or somebody could fork faster than he is killed.
fn publish<S: System>(
    caller: &Arc<Thread<S>>,
    request: &ForkRequest,
    numbers: tree::Reserved,
    thread: &Arc<Thread<S>>,
) {
    let (process, child) = (caller.process(), thread.process());
    let mut tree = S::processes().tree();
    let parent = match request.family {
        Family::Child => process.slot(),
        Family::Sibling => tree.parent(process.slot()).unwrap_or(process.slot()),
    };
    let kind = if request.exit_signal == Some(Signal::CHLD) { ChildKind::Ordinary } else { ChildKind::Clone };
    let place = Place { forker: process.slot(), parent, kind };
    tree.link(numbers, place, Arc::clone(child), Arc::clone(thread));
    child.set_parent_pid(tree.pid(parent));
    let terminal = process.flags() & ProcessFlags::TERMINAL;
    if !terminal.is_empty() && tree.terminal(tree.session(numbers.slot)).is_some() {
        child.set_flags(terminal);
    }
    report_to_tracer(process, child);
    child.set_started_ns(S::now_ns());
    // Whoever is killed is told to look.
    if caller.attention() {
        let doom = process.body().control.exit;
        if let Some(status) = doom {
            begin_exit(child, &mut child.body(), status);
        }
    }
    tree.hatch(numbers.slot);
    for signal in caller.take_missed().iter() {
        let _merged = post(&mut tree, child, None, Info::forgotten(signal));
    }
}

/// Stores a new number where the creator wants it. On Linux nobody is told if that fails.
fn tell_number<S: System>(at: Option<UserAddr>, pid: Pid) {
    if let Some(at) = at {
        let _ignored = S::user_memory().copy_out(&pid.0.to_le_bytes(), at);
    }
}

/// A child that is profiled starts its clock. Profiles attach here.
const fn start_profile(_attached: &Attached) {}

/// A traced child is the tracer's from now on, and both sides report the fork. Tracers attach here.
const fn report_to_tracer<S: System>(_parent: &Arc<Process<S>>, _child: &Arc<Process<S>>) {}

/// Whoever watches the parent learns of the child, which can run already. Event queues attach here.
const fn note_fork<S: System>(_parent: &Arc<Process<S>>, _child: Pid) {}

fn count_kind<S: System>(flags: ForkFlags, pages: u64) {
    let statistics = &S::processes().statistics;
    if flags.contains(ForkFlags::FORK) {
        statistics.fork.add(pages);
    } else if flags.contains(ForkFlags::VFORK) {
        statistics.vfork.add(pages);
    } else {
        statistics.kernel_threads.add(0);
    }
}

fn count_sharing<S: System>(flags: ForkFlags) {
    let statistics = &S::processes().statistics;
    statistics.count_fork(flags.contains(ForkFlags::PPWAIT), flags.contains(ForkFlags::SHAREVM));
}
