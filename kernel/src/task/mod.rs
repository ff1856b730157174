//! Threads as this machine runs them: `kcore::sched` decides, this module switches.
//!
//! * [`thread`]: what the machine keeps of a thread; making one, ending one, waiting for its end
//! * [`switch`]: the change from one thread to another, and preemption
//! * [`timers`]: the queue of timers, and the sleep that uses it
//! * `lower_half`: which program's space a thread runs in
//! * `mappings`: where files are mapped
//! * `system`: the kernel as `kcore::proc` needs it
//! * [`program`]: what programs ask of the kernel beside system calls; executing one
//! * [`signals`]: running a program's signal handlers
//! * [`futexes`], `robust`: who waits for which word; locks of threads that ended
//! * `streams`: pipes, sockets and sets of watched files
//! * [`init`]: the first program
//! * [`filesystems`]: what is mounted, and what `/proc` tells; [`names`]: what `uname` tells
//! * [`statistics`]: what CPUs and threads did, by samples
//! * [`idle`]: what a CPU does when there is nothing to do
//! * [`smp`]: bringing up the other CPUs
//!
//! The running thread's `Arc` is held by the CPU: the pointer in its header counts as one reference.

pub(crate) mod filesystems;
pub(crate) mod futexes;
pub(crate) mod idle;
pub(crate) mod init;
mod lower_half;
mod mappings;
pub(crate) mod names;
pub(crate) mod program;
mod robust;
pub(crate) mod signals;
pub(crate) mod smp;
pub(crate) mod statistics;
mod streams;
pub(crate) mod switch;
mod system;
pub(crate) mod thread;
pub(crate) mod timers;

use alloc::sync::Arc;
use core::time::Duration;

use kcore::addr::CpuSet;
use kcore::proc;
use kcore::sched::{EmptyAffinity, Priority, SleepMutex, Switch, WaitQueue};

pub(crate) use futexes::FUTEXES;
pub(crate) use init::PARKING;
pub(crate) use program::{exit_process, exit_thread, space_limits};
pub(crate) use streams::{NESTING, PIPES, SOCKETS};
pub(crate) use switch::{Kernel, online, yield_now};
pub(crate) use thread::{SpawnError, forget_files, with_files, with_seat};

/// A thread of a program.
pub(crate) type UserThread = proc::Thread<Kernel>;
/// A process.
pub(crate) type UserProcess = proc::Process<Kernel>;

/// A queue of threads that wait for one event.
pub(crate) type Waiters = WaitQueue<Kernel>;
/// A mutex whose waiters sleep.
#[cfg_attr(not(feature = "ktest"), expect(dead_code, reason = "the self-tests use it; others say SleepMutex"))]
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

/// Sleeps until a signal comes.
pub(crate) fn wait_for_signal(interrupted: impl Fn() -> bool) {
    let me = Kernel::current();
    loop {
        me.park().prepare();
        if interrupted() {
            me.park().cancel();
            return;
        }
        Kernel::block();
    }
}

/// Shows the current thread of a program to `look`.
///
/// # Panics
///
/// In a thread of the kernel's own: only what runs in a program's name may ask.
pub(crate) fn with_current_user<T>(look: impl FnOnce(&Arc<UserThread>) -> T) -> T {
    switch::with_current(|me| match me.payload().program() {
        Some(thread) => look(thread),
        None => no_program(),
    })
}

/// Out of the way: every system call asks.
#[cold]
#[inline(never)]
fn no_program() -> ! {
    panic!("the caller runs in no program's name")
}

/// The CPUs that `thread` may run on.
pub(crate) fn affinity(thread: &UserThread) -> CpuSet {
    thread.machine().map_or(CpuSet::EMPTY, |machine| machine.affinity())
}

/// Makes a process as nice as this, and its threads compete accordingly: a level for each step down, half a level for each
/// step up.
pub(crate) fn set_nice(process: &UserProcess, nice: i8) {
    process.set_nice(nice);
    let step = if nice < 0 { nice / 2 } else { nice };
    let level = Priority::DEFAULT.get().saturating_add_signed(step).min(Priority::WORST.get());
    let Some(priority) = Priority::new(level) else { return };
    process.each_thread(|thread| {
        if let Some(machine) = thread.machine() {
            machine.set_priority(priority);
        }
    });
}

/// Binds `thread` to `cpus`. If it runs elsewhere, it moves before it goes on in its program.
pub(crate) fn set_affinity(thread: &UserThread, cpus: CpuSet) -> Result<(), EmptyAffinity> {
    let Some(machine) = thread.machine() else { return Ok(()) };
    machine.set_affinity(cpus)?;
    switch::make_move(&machine);
    Ok(())
}
