//! Threads as this machine runs them: `kcore::sched` decides, this module switches.
//!
//! * [`thread`]: what the machine keeps of a thread; making one, ending one, waiting for its end
//! * [`switch`]: the change from one thread to another, and preemption
//! * [`timers`]: the queue of timers, and the sleep that uses it
//! * `lower_half`: which program's space a thread runs in
//! * `program`: what programs ask of the kernel
//! * [`idle`]: what a CPU does when there is nothing to do
//! * [`smp`]: bringing up the other CPUs
//!
//! The running thread's `Arc` is held by the CPU: the pointer in its header counts as one reference.

pub(crate) mod idle;
mod lower_half;
mod program;
pub(crate) mod smp;
pub(crate) mod switch;
pub(crate) mod thread;
pub(crate) mod timers;

use core::time::Duration;

use kcore::sched::{SleepMutex, Switch, WaitQueue};

pub(crate) use switch::Kernel;
pub(crate) use thread::SpawnError;

/// A queue of threads that wait for one event.
pub(crate) type Waiters = WaitQueue<Kernel>;
/// A mutex whose waiters sleep.
#[cfg_attr(not(feature = "ktest"), expect(dead_code, reason = "nothing of the kernel sleeps with a lock yet"))]
pub(crate) type Mutex<T> = SleepMutex<T, Kernel>;

/// Sleeps for at least `time`.
pub(crate) fn sleep(time: Duration) {
    let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    // Nothing interrupts it.
    let _ = sleep_until(Kernel::now_ns().saturating_add(ns), || false);
}

/// How a sleep ended.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Slept {
    /// At its deadline.
    ToTheEnd,
    /// `interrupted` said so.
    Interrupted,
}

/// Sleeps until the clock shows `deadline_ns`, or until somebody wakes the thread and `interrupted` is true.
pub(crate) fn sleep_until(deadline_ns: u64, interrupted: impl Fn() -> bool) -> Slept {
    let me = Kernel::current();
    loop {
        me.park().prepare();
        if interrupted() {
            me.park().cancel();
            return Slept::Interrupted;
        }
        if Kernel::now_ns() >= deadline_ns {
            me.park().cancel();
            return Slept::ToTheEnd;
        }
        Kernel::block_until(deadline_ns);
    }
}
