//! Who runs where, and how to wait.
//!
//! * [`Thread`]: what is scheduled; always in an `Arc`. A process's share of it is the payload `P`
//! * [`park`]: how a thread goes to sleep without missing its wake-up: the heart of this module
//! * [`RunQueue`]: the runnable threads of a CPU, a FIFO for each of 32 levels
//! * [`Scheduler`]: a run queue for each CPU, where to put a thread, what to run next, when a slice is over
//! * [`WaitQueue`]: the threads that wait for one event; [`SleepMutex`]: a mutex whose waiters sleep
//! * [`LoadAverages`]: how much there was to do
//! * [`Switch`]: what these ask of the kernel: the current thread, and the change to another
//!
//! **Ownership.** A runnable thread's `Arc` is in one run queue, or it is the current one of one CPU. A sleeping thread's
//! is with whoever will wake it: a wait queue, a timer. The idle thread of each CPU is the kernel's own, in no queue ever.
//!
//! **A change of threads** on a CPU goes:
//!
//! 1. Interrupts are masked. [`Scheduler::charge`] accounts for the time that the current thread ran.
//! 2. [`Scheduler::next`] decides: keep the current thread, run another, or idle.
//! 3. The kernel switches stacks and registers.
//! 4. On the new stack: [`Scheduler::finish_switch`] says what becomes of the previous thread. Only now has it left the
//!    CPU, so only now may it be queued: queued any earlier, another CPU could run it on a stack still in use.
//!
//! **Locks.** A wait queue has one (`Rank::WaitQueue`), each run queue has one (`Rank::RunQueue`); never two of a kind
//! together. There is no lock over the scheduler as a whole. There is no unsafe code here: the links are those of
//! `intrusive-collections`, through its safe interface.

mod level;
mod link;
mod load;
pub mod park;
mod run_queue;
mod scheduler;
mod sleep_mutex;
mod switch;
mod thread;
mod wait_queue;

pub use level::{LEVELS, Level, Priority};
pub use load::{LOAD_BITS, LoadAverages};
pub use park::{Finished, ParkState, Parker, Unparked};
pub use run_queue::{Bar, GUARD_TURNS, RunQueue};
pub use scheduler::{Decision, Leaving, Placement, Poke, SLICE_NS, Scheduler, Slice};
pub use sleep_mutex::{SleepGuard, SleepMutex};
pub use switch::{Switch, unpark};
pub use thread::{Class, EmptyAffinity, Thread, ThreadName, Tid};
pub use wait_queue::{WaitQueue, Waited};

#[cfg(test)]
pub(crate) mod fake;
#[cfg(all(test, loom))]
mod loom_models;
#[cfg(all(test, not(loom)))]
mod tests;
