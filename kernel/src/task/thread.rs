//! What the machine keeps of a thread.

use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use kcore::addr::CpuSet;
use kcore::sched::{self, Leaving, Priority, Tid};
use kcore::sync::{Once, Rank, SpinLock};

use super::Waiters;
use super::lower_half::LowerHalf;
use super::switch::{self, SCHEDULER};
use super::timers::{Action, Timer};
use crate::arch::context::Context;
use crate::arch::cpu::{self, Arm, Header};
use crate::mem::stacks::{KernelStack, NoStack};

/// A thread.
pub(crate) type Thread = sched::Thread<Machine>;

/// The machine's share of a thread.
pub(crate) struct Machine {
    /// What the lowest layers keep; `TPIDR_EL1` points here while the thread runs.
    pub(super) header: Header,
    /// The registers while it does not run.
    pub(super) context: ContextCell,
    /// The program's space that it runs in.
    pub(crate) lower_half: LowerHalf,
    /// Wakes it at a deadline.
    timer: Once<Arc<Timer>>,
    /// Set when it has ended, before `joiners` are woken.
    ended: AtomicBool,
    joiners: Waiters,
    /// What it shall run; taken by its first instructions.
    start: SpinLock<Option<Box<dyn FnOnce() + Send>>, Arm>,
    /// Its stack; an idle thread has its CPU's boot stack.
    _stack: Option<KernelStack>,
}

/// Registers of a thread that is switched away from.
pub(super) struct ContextCell(UnsafeCell<Context>);

// SAFETY: only `switch` reaches the context, and only on the one CPU that is leaving or entering the thread: the
// scheduler queues a thread after it has left its CPU, and gives it to one CPU at a time.
unsafe impl Sync for ContextCell {}

impl ContextCell {
    /// Where the registers are kept.
    pub(super) fn get(&self) -> *mut Context {
        self.0.get()
    }
}

/// The timer that wakes `thread`; most threads never need one.
pub(super) fn timer_of(thread: &Arc<Thread>) -> &Arc<Timer> {
    thread.payload().timer.call_once(|| Arc::new(Timer::new(Action::Unpark(Arc::downgrade(thread)))))
}

/// Why there is no new thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SpawnError {
    /// No stack, or no memory for the thread's objects.
    OutOfMemory,
}

impl From<NoStack> for SpawnError {
    fn from(_: NoStack) -> Self {
        Self::OutOfMemory
    }
}

/// Every thread, for lists; ended ones are swept when a new one comes.
static THREADS: SpinLock<Vec<Weak<Thread>>, Arm> = SpinLock::new(Rank::Threads, Vec::new());
static NEXT_ID: AtomicU32 = AtomicU32::new(1);

/// Starts a kernel thread on one of `cpus`.
pub(crate) fn spawn(
    name: &str,
    priority: Priority,
    cpus: CpuSet,
    run: impl FnOnce() + Send + 'static,
) -> Result<Arc<Thread>, SpawnError> {
    let stack = KernelStack::new()?;
    let top = stack.top();
    let machine = Machine {
        header: Header::new(0, 0),
        context: ContextCell(UnsafeCell::new(Context::new(top, first_steps, 0))),
        lower_half: LowerHalf::none(),
        timer: Once::new(),
        ended: AtomicBool::new(false),
        joiners: Waiters::new(),
        start: SpinLock::new(Rank::ThreadStart, Some(Box::new(run))),
        _stack: Some(stack),
    };
    let thread = Thread::new(Tid(NEXT_ID.fetch_add(1, Ordering::Relaxed)), name, priority, machine);
    // A thread for no CPU is a thread for all of them.
    let _ = thread.set_affinity(cpus);
    register(&thread)?;
    switch::act_on(SCHEDULER.start(Arc::clone(&thread)));
    Ok(thread)
}

/// The idle thread of a CPU: it is made of what the CPU boots with.
pub(super) fn new_idle(cpu: kcore::addr::CpuId, name: &str) -> Result<Arc<Thread>, SpawnError> {
    let machine = Machine {
        header: Header::new(0, 0),
        context: ContextCell(UnsafeCell::new(Context::default())),
        lower_half: LowerHalf::none(),
        timer: Once::new(),
        ended: AtomicBool::new(false),
        joiners: Waiters::new(),
        start: SpinLock::new(Rank::ThreadStart, None),
        _stack: None,
    };
    machine.header.set_cpu(cpu);
    let thread = Thread::idle(Tid(NEXT_ID.fetch_add(1, Ordering::Relaxed)), name, cpu, machine);
    register(&thread)?;
    Ok(thread)
}

fn register(thread: &Arc<Thread>) -> Result<(), SpawnError> {
    let mut threads = THREADS.lock();
    threads.retain(|thread| thread.strong_count() > 0);
    threads.try_reserve(1).map_err(|_| SpawnError::OutOfMemory)?;
    threads.push(Arc::downgrade(thread));
    Ok(())
}

/// Every thread that there is.
pub(crate) fn all() -> Vec<Arc<Thread>> {
    THREADS.lock().iter().filter_map(Weak::upgrade).collect()
}

/// Waits until `thread` has ended.
#[cfg_attr(not(feature = "ktest"), expect(dead_code, reason = "the kernel's own threads never end"))]
pub(crate) fn join(thread: &Thread) {
    let machine = thread.payload();
    machine.joiners.wait_while(|| !machine.ended.load(Ordering::Acquire));
}

/// Where a new thread starts: in the scheduler, with interrupts masked. It takes no kernel-wide lock, for there is none.
extern "C" fn first_steps(_argument: usize) -> ! {
    switch::finish();
    cpu::irqs_unmask();
    let run = switch::with_current(|me| me.payload().start.lock().take());
    if let Some(run) = run {
        run();
    }
    end()
}

/// Ends the current thread.
fn end() -> ! {
    switch::with_current(|me| {
        me.payload().ended.store(true, Ordering::Release);
        me.payload().joiners.wake_all();
    });
    switch::leave(Leaving::Exited);
    unreachable!("an ended thread is not switched to")
}
