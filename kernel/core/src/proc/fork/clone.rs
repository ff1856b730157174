//! The calls that make processes and threads, and what each asks of [`fork1`] and [`thread_fork`].

use alloc::sync::Arc;

use bitflags::bitflags;

use super::thread::{OnFault, ThreadRequest, thread_fork};
use super::{ContextSharing, Family, ForkError, ForkFlags, ForkRequest, fork1};
use crate::addr::{USER_END, UserAddr};
use crate::hal::{UserFault, UserMemory};
use crate::proc::attach::Promises;
use crate::proc::id::Pid;
use crate::proc::process::ProcessFlags;
use crate::proc::system::{Start, System};
use crate::proc::thread::{Thread, TidPointers};
use crate::sched::Tid;
use crate::signal::Signal;

/// `fork`
///
/// # Errors
///
/// [`ForkError`]
pub fn fork<S: System>(caller: &Arc<Thread<S>>) -> Result<Pid, ForkError> {
    let is_reported = check_promise(caller, Promises::PROC)?;
    let mut flags = ForkFlags::FORK;
    flags.set(ForkFlags::PTRACE, is_reported);
    fork1(caller, &ForkRequest::new(flags, Start::Fork)).map(|forked| forked.pid)
}

/// `vfork`: the child gets a copy of the memory, not the memory itself, so it cannot spoil the parent's; the parent
/// waits. A tracer is never told.
///
/// # Errors
///
/// [`ForkError`]
pub fn vfork<S: System>(caller: &Arc<Thread<S>>) -> Result<Pid, ForkError> {
    check_promise(caller, Promises::PROC)?;
    fork1(caller, &ForkRequest::new(ForkFlags::VFORK | ForkFlags::PPWAIT, Start::Fork)).map(|forked| forked.pid)
}

/// `__tfork`: a thread.
///
/// # Errors
///
/// [`ForkError`]
pub fn tfork<S: System>(caller: &Arc<Thread<S>>, parameters: &TforkParameters) -> Result<Tid, ForkError> {
    check_promise(caller, Promises::STDIO)?;
    let given = |address: UserAddr| (address.get() != 0).then_some(address);
    let request = ThreadRequest {
        stack: parameters.stack,
        tls: Some(parameters.tcb),
        tid_pointer: given(parameters.tid),
        on_fault: OnFault::Signal,
        child: TidPointers::default(),
    };
    thread_fork(caller, &request)
}

/// As [`check_attached`], which few have to be asked.
#[inline]
fn check_promise<S: System>(caller: &Arc<Thread<S>>, needed: Promises) -> Result<bool, ForkError> {
    if caller.process().flags().contains(ProcessFlags::ATTACHED) { check_attached(caller, needed) } else { Ok(false) }
}

/// Checks that what the caller has promised leaves room for `needed`. Says whether its forks are reported to a tracer.
#[cold]
#[inline(never)]
fn check_attached<S: System>(caller: &Arc<Thread<S>>, needed: Promises) -> Result<bool, ForkError> {
    let body = caller.process().body();
    let attached = body.attached.get();
    if Promises::allow(attached.promises, needed) { Ok(attached.reports_forks()) } else { Err(ForkError::NotPromised) }
}

/// What a program hands to `__tfork`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TforkParameters {
    /// The thread pointer.
    pub tcb: UserAddr,
    /// Where the number is stored, or 0.
    pub tid: UserAddr,
    /// The stack pointer.
    pub stack: UserAddr,
}

/// Why they cannot be had.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TforkError {
    /// Of no size, or larger than the structure.
    Size,
    /// They cannot be read.
    Fault(UserFault),
    /// The thread pointer is none that the machine can hold.
    ThreadPointer,
}

impl TforkParameters {
    /// The size of the structure.
    pub const BYTES: usize = 24;

    /// Reads `bytes` of them at `at`; the rest is zero.
    ///
    /// # Errors
    ///
    /// [`TforkError`], the first that applies.
    pub fn read(memory: &dyn UserMemory, at: UserAddr, bytes: u64) -> Result<Self, TforkError> {
        let size =
            usize::try_from(bytes).ok().filter(|size| (1..=Self::BYTES).contains(size)).ok_or(TforkError::Size)?;
        let mut raw = [0; Self::BYTES];
        memory.copy_in(at, &mut raw[..size]).map_err(TforkError::Fault)?;
        let mut words = raw.chunks_exact(8).map(|word| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(word);
            UserAddr::new(u64::from_le_bytes(bytes))
        });
        let mut word = || words.next().unwrap_or_default();
        let parameters = Self { tcb: word(), tid: word(), stack: word() };
        if parameters.tcb.get() >= USER_END {
            return Err(TforkError::ThreadPointer);
        }
        Ok(parameters)
    }
}

bitflags! {
    /// `CLONE_*`, with Linux's numbers; the lowest byte is the exit signal's.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct CloneFlags: u64 {
        /// One address space.
        const VM = 0x100;
        /// One root, working directory and file mode mask.
        const FS = 0x200;
        /// One table of file descriptors.
        const FILES = 0x400;
        /// One table of signal actions.
        const SIGHAND = 0x800;
        /// A descriptor that stands for the child.
        const PIDFD = 0x1000;
        /// A tracer gets the child.
        const PTRACE = 0x2000;
        /// The caller waits until the child executes a program or exits.
        const VFORK = 0x4000;
        /// The child is the caller's sibling.
        const PARENT = 0x8000;
        /// A thread of the caller's process.
        const THREAD = 0x1_0000;
        /// A mount namespace.
        const NEWNS = 0x2_0000;
        /// One set of semaphore adjustments.
        const SYSVSEM = 0x4_0000;
        /// The thread pointer is set.
        const SETTLS = 0x8_0000;
        /// The number is stored in the caller's memory.
        const PARENT_SETTID = 0x10_0000;
        /// Zero is stored when the thread ends.
        const CHILD_CLEARTID = 0x20_0000;
        /// Of no effect.
        const DETACHED = 0x40_0000;
        /// No tracer can force itself on the child.
        const UNTRACED = 0x80_0000;
        /// The number is stored in the child's memory.
        const CHILD_SETTID = 0x100_0000;
        /// A control-group namespace.
        const NEWCGROUP = 0x200_0000;
        /// A namespace of host names.
        const NEWUTS = 0x400_0000;
        /// A namespace of System V objects.
        const NEWIPC = 0x800_0000;
        /// A namespace of users.
        const NEWUSER = 0x1000_0000;
        /// A namespace of processes.
        const NEWPID = 0x2000_0000;
        /// A namespace of networks.
        const NEWNET = 0x4000_0000;
        /// One context of input and output.
        const IO = 0x8000_0000;
        /// Signal actions go back to their defaults.
        const CLEAR_SIGHAND = 0x1_0000_0000;
        /// A control group.
        const INTO_CGROUP = 0x2_0000_0000;
        /// A namespace of time.
        const NEWTIME = 0x80;
        /// Bits without a meaning are kept, for the check to find.
        const _ = !0;
    }
}

impl CloneFlags {
    /// What is done, or asks for nothing that this kernel could do otherwise.
    const SUPPORTED: Self = Self::VM
        .union(Self::FS)
        .union(Self::FILES)
        .union(Self::SIGHAND)
        .union(Self::PTRACE)
        .union(Self::VFORK)
        .union(Self::PARENT)
        .union(Self::THREAD)
        .union(Self::SYSVSEM)
        .union(Self::SETTLS)
        .union(Self::PARENT_SETTID)
        .union(Self::CHILD_CLEARTID)
        .union(Self::DETACHED)
        .union(Self::UNTRACED)
        .union(Self::CHILD_SETTID)
        .union(Self::IO)
        .union(Self::CLEAR_SIGHAND);
    /// What a thread has in common with its siblings.
    const OF_THREADS: Self = Self::VM.union(Self::SIGHAND).union(Self::FILES).union(Self::FS);
}

/// What Linux's `clone` and `clone3` ask for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CloneArguments {
    /// `CLONE_*`, without the exit signal.
    pub flags: CloneFlags,
    /// The signal that tells the parent of the child's end; 0 for none.
    pub exit_signal: u32,
    /// The stack pointer; else the caller's.
    pub stack: Option<UserAddr>,
    /// For [`CloneFlags::SETTLS`].
    pub tls: UserAddr,
    /// For [`CloneFlags::PARENT_SETTID`].
    pub parent_tid: UserAddr,
    /// For [`CloneFlags::CHILD_SETTID`] and [`CloneFlags::CHILD_CLEARTID`].
    pub child_tid: UserAddr,
}

/// What `clone` made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cloned {
    /// A process.
    Process(Pid),
    /// A thread.
    Thread(Tid),
}

impl Cloned {
    /// The number that the caller is told.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::Process(pid) => pid.0,
            Self::Thread(tid) => tid.0,
        }
    }
}

impl CloneArguments {
    /// Checks that the flags go together.
    fn check(&self) -> Result<Option<Signal>, ForkError> {
        let has = |flags| self.flags.contains(flags);
        let signal = Signal::new(self.exit_signal);
        let sound = CloneFlags::SUPPORTED.contains(self.flags)
            && (signal.is_some() || self.exit_signal == 0)
            && (!has(CloneFlags::THREAD) || has(CloneFlags::SIGHAND))
            && (!has(CloneFlags::SIGHAND) || has(CloneFlags::VM))
            && !has(CloneFlags::SIGHAND | CloneFlags::CLEAR_SIGHAND)
            // A thread of this kernel shares all that threads can share, and its creator does not wait for it.
            && (!has(CloneFlags::THREAD) || has(CloneFlags::OF_THREADS) && !has(CloneFlags::VFORK));
        if sound { Ok(signal) } else { Err(ForkError::Invalid) }
    }

    fn when(&self, flag: CloneFlags, address: UserAddr) -> Option<UserAddr> {
        self.flags.contains(flag).then_some(address)
    }

    fn child_pointers(&self) -> TidPointers {
        TidPointers {
            announce: self.when(CloneFlags::CHILD_SETTID, self.child_tid),
            clear: self.when(CloneFlags::CHILD_CLEARTID, self.child_tid),
        }
    }

    fn fork_flags(&self) -> ForkFlags {
        let has = |flag| self.flags.contains(flag);
        let mut flags = if has(CloneFlags::VFORK) { ForkFlags::VFORK | ForkFlags::PPWAIT } else { ForkFlags::FORK };
        flags.set(ForkFlags::SHAREVM, has(CloneFlags::VM));
        flags.set(ForkFlags::SHAREFILES, has(CloneFlags::FILES));
        flags.set(ForkFlags::SIGHAND, has(CloneFlags::SIGHAND));
        flags
    }
}

/// `clone`, `clone3`. A child with [`CloneFlags::VM`] runs in the caller's own memory, as Linux promises.
///
/// # Errors
///
/// [`ForkError`]
pub fn clone<S: System>(caller: &Arc<Thread<S>>, arguments: &CloneArguments) -> Result<Cloned, ForkError> {
    let exit_signal = arguments.check()?;
    let tls = arguments.when(CloneFlags::SETTLS, arguments.tls);
    let parent_tid = arguments.when(CloneFlags::PARENT_SETTID, arguments.parent_tid);
    if arguments.flags.contains(CloneFlags::THREAD) {
        check_promise(caller, Promises::STDIO)?;
        let request = ThreadRequest {
            stack: arguments.stack.unwrap_or_default(),
            tls,
            tid_pointer: parent_tid,
            on_fault: OnFault::Ignore,
            child: arguments.child_pointers(),
        };
        return thread_fork(caller, &request).map(Cloned::Thread);
    }
    let is_reported = check_promise(caller, Promises::PROC)?;
    let is_sibling = arguments.flags.contains(CloneFlags::PARENT);
    if is_sibling && caller.process().pid() == Pid::INIT {
        return Err(ForkError::Invalid);
    }
    let mut flags = arguments.fork_flags();
    flags.set(ForkFlags::PTRACE, is_reported && flags.contains(ForkFlags::FORK));
    let start = match (arguments.stack, tls) {
        (None, None) => Start::Fork,
        (stack, tls) => Start::Thread { stack, tls },
    };
    let request = ForkRequest {
        // A sibling's end is announced as the caller's own will be.
        exit_signal: if is_sibling { caller.process().exit_signal() } else { exit_signal },
        context: if arguments.flags.contains(CloneFlags::FS) { ContextSharing::Share } else { ContextSharing::Copy },
        family: if is_sibling { Family::Sibling } else { Family::Child },
        clear_handlers: arguments.flags.contains(CloneFlags::CLEAR_SIGHAND),
        parent_tid,
        child: arguments.child_pointers(),
        ..ForkRequest::new(flags, start)
    };
    fork1(caller, &request).map(|forked| Cloned::Process(forked.pid))
}
