//! What processes ask of the kernel.

use alloc::sync::Arc;
use core::fmt;

use super::exit::ExitStatus;
use super::space::AddressSpace;
use super::table::Processes;
use super::thread::Thread;
use crate::addr::{Asid, PhysFrame, UserAddr};
use crate::hal::UserMemory;
use crate::sched::{self, Switch};
use crate::vm::MemorySystem;
pub use crate::vm::OutOfMemory;

/// Where a new thread begins.
#[derive(Clone, Copy, Debug)]
pub enum Start {
    /// Where its parent is, with 0 for the result of the parent's call.
    Fork,
    /// The same, on a stack and with a thread pointer of its own where they are given.
    Thread {
        /// The stack pointer.
        stack: Option<UserAddr>,
        /// The thread pointer.
        tls: Option<UserAddr>,
    },
    /// In the kernel, at a function with an argument.
    Kernel(fn(usize), usize),
}

/// The kernel, as processes need it. Host tests have a fake.
pub trait System: Switch + Sized {
    /// The memory of programs.
    type Memory: MemorySystem + 'static;
    /// What a new thread needs that can be refused: its kernel stack.
    type Seed: Send;

    /// All processes.
    fn processes() -> &'static Processes<Self>;

    /// The memory of programs.
    fn memory() -> &'static Self::Memory;

    /// Whether there is memory for kernel objects.
    fn has_room() -> bool;

    /// A random number below `bound`, each equally likely, that nobody can predict.
    fn uniform(bound: u64) -> u64;

    /// Puts one or more such numbers at the beginning of `out`, which is not empty, and says how many: several may cost
    /// little more than one.
    fn uniform_several(bound: u64, out: &mut [u64]) -> usize {
        out.iter_mut().take(1).for_each(|first| *first = Self::uniform(bound));
        1
    }

    /// Writes a line to the kernel's log.
    fn log(message: fmt::Arguments<'_>);

    /// An address-space identifier that nobody has.
    fn take_asid() -> Option<Asid>;

    /// Gives one back of which no translation cache knows anything any more.
    fn give_asid(asid: Asid);

    /// Makes ready what a thread needs; sees to it that there is [room](Self::has_room) for its objects, too.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`]
    fn reserve_thread() -> Result<Self::Seed, OutOfMemory>;

    /// Makes what is scheduled of a new thread. It cannot fail. Called by the parent thread, whose registers are copied if
    /// the new one starts as a copy. `space`: the root and the tag of the address space that it runs in.
    fn make_thread(
        seed: Self::Seed,
        thread: &Arc<Thread<Self>>,
        start: Start,
        space: Option<(PhysFrame, Asid)>,
    ) -> Arc<sched::Thread<Self::Payload>>;

    /// Queues a new thread, on an idle CPU if there is one.
    fn start_thread(thread: Arc<sched::Thread<Self::Payload>>);

    /// The process's thread that is scheduled with this payload, if it is one's.
    fn thread_of(payload: &Self::Payload) -> Option<&Arc<Thread<Self>>>;

    /// Sees to it that the thread looks at its [`attention`](Thread::attention) before it goes on in its program: if it runs
    /// there, its CPU passes through the kernel soon. Called with locks held, and before the thread is woken.
    fn kick(thread: &Arc<sched::Thread<Self::Payload>>);

    /// The same if `thread` is the current one, which with that does not fall asleep either; says whether it is. Where that
    /// is no cheaper, nobody need know.
    fn kick_current(thread: &Thread<Self>) -> bool {
        let _ = thread;
        false
    }

    /// How long a thread has run, in nanoseconds: the current one up to now, others up to when they were last charged for it.
    fn run_time_ns(thread: &sched::Thread<Self::Payload>) -> u64 {
        thread.cpu_time_ns()
    }

    /// What the wall clock showed when the system started, in nanoseconds since 1970.
    fn epoch_ns() -> u64 {
        0
    }

    /// Lets the current thread [look](super::check_processor_time) again at the time that its process has used, on its way
    /// back to its program, after `after_ns`.
    fn watch_processor_time(after_ns: u64);

    /// Lets a thread do so as soon as it can. Called with its process locked.
    fn look_at_processor_time(thread: &Arc<sched::Thread<Self::Payload>>);

    /// The memory of the current program.
    fn user_memory() -> &'static dyn UserMemory;

    /// The current thread runs in `space` from now on.
    fn adopt_space(space: &Arc<AddressSpace<Self>>);

    /// The current thread runs in no program's space from now on: the last reference to its own is about to go.
    fn leave_space();

    /// Wakes one thread that waits, in the current thread's space, on the futex at `at`.
    fn wake_futex(at: UserAddr);

    /// The current thread is about to leave its program for good, still in its space: its robust futexes are to be
    /// marked.
    fn thread_leaves(thread: &Arc<Thread<Self>>);

    /// The session that had this terminal has lost its leader: nobody uses the terminal any more who opened it before. Called
    /// with the tree of processes locked.
    fn hang_up_terminal(terminal: u64) {
        let _ = terminal;
    }

    /// Process 1 has exited; nobody is left to adopt orphans.
    fn init_exited(status: ExitStatus);
}
