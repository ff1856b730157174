//! The change from one thread to another.
//!
//! Everything here runs with interrupts masked on the CPU that changes, and touches only what is that CPU's own, but for
//! the scheduler's queues, which have their locks. The order of a change is that of `kcore::sched`: charge, decide,
//! switch stacks, and on the new stack say what becomes of the previous thread.

use alloc::sync::Arc;
use core::cell::UnsafeCell;
use core::mem::ManuallyDrop;
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering, fence};

use kcore::addr::{CpuId, CpuSet};
use kcore::hal::Cpu;
use kcore::sched::{Class, Decision, Leaving, Placement, Poke, Scheduler, Slice, Switch};
use kcore::sync::{Padded, PerCpu, assert_none_held};

use super::thread::{self, Machine, Thread};
use super::timers;
use crate::arch::context;
use crate::arch::cpu::{self, Arm};
use crate::dev::clock;
use crate::dev::irq::{self, Ipi};

/// The run queues.
pub(super) static SCHEDULER: Scheduler<Machine, Arm> = Scheduler::new();

/// What a CPU's switches need; only that CPU touches it, with interrupts masked.
struct Switcher {
    /// The thread that was left by a switch which has not been finished yet.
    previous: UnsafeCell<Option<(Arc<Thread>, Leaving)>>,
    /// The CPU's idle thread; set once, before the CPU schedules.
    idle: AtomicPtr<Thread>,
    /// When the current thread was last charged. Only its own CPU writes it.
    charged_ns: AtomicU64,
    /// Switches so far. Only its own CPU writes it.
    switches: AtomicU64,
}

impl Switcher {
    /// The current thread is being charged: how long it has run since the last time.
    #[inline]
    fn charge(&self, now_ns: u64) -> u64 {
        let ran_ns = now_ns.saturating_sub(self.charged_ns.load(Ordering::Relaxed));
        self.charged_ns.store(now_ns, Ordering::Relaxed);
        ran_ns
    }
}

// SAFETY: `previous` is reached by its own CPU only, with interrupts masked, for the moment between two stacks.
unsafe impl Sync for Switcher {}

static SWITCHERS: PerCpu<Switcher> = PerCpu::new(
    [const {
        Padded(Switcher {
            previous: UnsafeCell::new(None),
            idle: AtomicPtr::new(core::ptr::null_mut()),
            charged_ns: AtomicU64::new(0),
            switches: AtomicU64::new(0),
        })
    }; kcore::addr::MAX_CPUS],
);

/// The kernel, as `kcore::sched` asks of it.
pub(crate) struct Kernel;

impl Switch for Kernel {
    type Payload = Machine;
    type Cpu = Arm;

    fn current() -> Arc<Thread> {
        with_current(Arc::clone)
    }

    fn block() {
        leave(Leaving::Blocked);
    }

    fn block_until(deadline_ns: u64) {
        let timer = with_current(|me| Arc::clone(thread::timer_of(me)));
        timers::arm(&timer, deadline_ns);
        leave(Leaving::Blocked);
        timers::disarm(&timer);
    }

    fn now_ns() -> u64 {
        clock::now_ns()
    }

    #[inline(never)]
    fn make_runnable(thread: Arc<Thread>) {
        tell(SCHEDULER.make_runnable(thread));
    }
}

/// The CPUs that run threads.
pub(crate) fn online() -> CpuSet {
    SCHEDULER.online()
}

/// How long `cpu` had nothing to do, in nanoseconds.
pub(crate) fn idle_ns(cpu: CpuId) -> u64 {
    let switcher = SWITCHERS.of(cpu);
    let pointer = switcher.idle.load(Ordering::Acquire).cast_const();
    // SAFETY: null, or an idle thread, which is for good.
    let Some(idle) = (unsafe { pointer.as_ref() }) else { return 0 };
    let before_ns = idle.cpu_time_ns();
    // It is not charged while it runs. A switch in between counts that stretch once or twice, in a sum that is statistics.
    let runs = SCHEDULER.is_idle(cpu);
    let since_ns = clock::now_ns().saturating_sub(switcher.charged_ns.load(Ordering::Relaxed));
    before_ns.saturating_add(if runs { since_ns } else { 0 })
}

/// How many threads run or wait for a CPU.
pub(crate) fn runnable() -> u32 {
    SCHEDULER.runnable()
}

/// How often the CPUs have changed from one thread to another.
pub(crate) fn switches() -> u64 {
    let of = |cpu| SWITCHERS.of(cpu).switches.load(Ordering::Relaxed);
    CpuId::all().map(of).fold(0, u64::wrapping_add)
}

/// How many threads wait for `cpu`, and how often it has switched.
pub(crate) fn load(cpu: CpuId) -> (u32, u64) {
    (SCHEDULER.queued(cpu), SWITCHERS.of(cpu).switches.load(Ordering::Relaxed))
}

/// Shows the current thread to `look`.
///
/// # Panics
///
/// On a CPU that has no thread yet.
#[inline]
pub(crate) fn with_current<T>(look: impl FnOnce(&Arc<Thread>) -> T) -> T {
    let pointer = cpu::header().thread.load(Ordering::Relaxed).cast::<Thread>().cast_const();
    if pointer.is_null() {
        no_thread();
    }
    // SAFETY: the header of a running thread holds an `Arc` that was turned into a pointer, and the thread, being the
    // caller, runs; so the count is not given up meanwhile. `ManuallyDrop` leaves it where it is.
    let current = ManuallyDrop::new(unsafe { Arc::from_raw(pointer) });
    look(&current)
}

/// Out of the way: [`with_current`] is nearly everywhere.
#[cold]
#[inline(never)]
fn no_thread() -> ! {
    panic!("this CPU has no thread yet")
}

/// Queues a new thread, on an idle CPU if there is one.
pub(super) fn start(thread: Arc<Thread>) {
    tell(SCHEDULER.start(thread));
}

/// Tells the CPUs that a placement concerns.
fn act_on(placement: Placement) {
    tell(placement);
}

/// As [`act_on`], in its place.
#[inline(always)]
fn tell(placement: Placement) {
    let poked = placement.poked();
    if poked.is_empty() {
        return;
    }
    let state = Arm::irq_save();
    let me = Arm::id();
    if poked.contains(me) {
        if placement.cpu == me && placement.poke == Poke::ArmSlice {
            // The current thread goes on, and its slice has an end from now on: no pass is needed for that.
            let charged_ns = SWITCHERS.of(me).charged_ns.load(Ordering::Relaxed);
            let end_ns = with_current(|current| SCHEDULER.slice_end(current, charged_ns));
            timers::set_slice_end(me, Some(end_ns));
            if placement.thief.is_none() {
                Arm::irq_restore_only(state);
                return;
            }
        } else {
            cpu::header().request_resched();
        }
    }
    irq::send(poked.without(me), Ipi::Reschedule);
    // If interrupts were on, the request is answered here.
    Arm::irq_restore(state);
}

/// Lets `thread` come by `tine_before_user` before it goes on in its program, soon if it runs there. What was written before
/// is seen there.
#[cfg_attr(not(feature = "ktest"), expect(dead_code, reason = "signals are its other caller"))]
pub(crate) fn request_attention(thread: &Thread) {
    thread.payload().header.request_attention();
    // As in `switch`: either this sees where the thread has gone, or the thread sees the request.
    fence(Ordering::SeqCst);
    // Only an interrupt gets a CPU out of a program. If the thread goes to another CPU meanwhile, it comes by on its way.
    let state = Arm::irq_save();
    irq::send(CpuSet::only(thread.last_cpu()).without(Arm::id()), Ipi::Reschedule);
    Arm::irq_restore(state);
}

/// Gives the CPU away, if the scheduler finds somebody for it. Returns when the thread runs again.
pub(crate) fn leave(leaving: Leaving) {
    assert_none_held::<Arm>(None);
    let state = Arm::irq_save();
    pass(leaving);
    Arm::irq_restore(state);
}

/// How long `thread` has run, in nanoseconds: the current one up to now, others up to when they were last charged for it.
pub(crate) fn run_time_ns(thread: &Thread) -> u64 {
    if !with_current(|me| core::ptr::eq(Arc::as_ptr(me), thread)) {
        return thread.cpu_time_ns();
    }
    // Nothing may charge it between the two looks, or the same time would be told twice, or not at all.
    let state = Arm::irq_save();
    let charged_ns = SWITCHERS.of(Arm::id()).charged_ns.load(Ordering::Relaxed);
    let before_ns = thread.cpu_time_ns();
    let since_ns = clock::now_ns().saturating_sub(charged_ns);
    Arm::irq_restore_only(state);
    before_ns.saturating_add(since_ns)
}

/// By an interrupt handler: charges the current thread for the time until `now_ns`. Its slice is not over, or nobody waits
/// for it to end.
pub(super) fn charge_running(now_ns: u64) {
    let ran_ns = SWITCHERS.of(Arm::id()).charge(now_ns);
    with_current(|me| {
        let _slice = SCHEDULER.charge(me, ran_ns);
    });
}

/// Sees to it that `thread`, whose affinity was changed, leaves a CPU where it may not run any more.
pub(super) fn make_move(thread: &Thread) {
    // Either this sees where the thread has gone, or `finish` sees its affinity there.
    fence(Ordering::SeqCst);
    let state = Arm::irq_save();
    let (here, cpu) = (Arm::id(), thread.last_cpu());
    if !thread.affinity().contains(cpu) {
        if cpu == here {
            cpu::header().request_resched();
        } else {
            irq::send(CpuSet::only(cpu), Ipi::Reschedule);
        }
    }
    Arm::irq_restore(state);
}

/// Lets others of the same level go first.
pub(crate) fn yield_now() {
    leave(Leaving::Yielded);
}

/// A pass through the scheduler, with interrupts masked.
pub(super) fn pass(leaving: Leaving) {
    let header = cpu::header();
    header.clear_resched();
    let here = Arm::id();
    let now_ns = clock::now_ns();
    let switcher = SWITCHERS.of(here);
    let ran_ns = switcher.charge(now_ns);
    let decision = with_current(|me| {
        let leaving = match (SCHEDULER.charge(me, ran_ns), leaving) {
            (Slice::Over, Leaving::Preempted) => Leaving::SliceOver,
            (_, leaving) => leaving,
        };
        (SCHEDULER.next(here, me, leaving), leaving)
    });
    match decision {
        (Decision::Keep, _) => renew_slice(here, now_ns),
        (Decision::Run(next), leaving) => change(switcher, next, leaving),
        (Decision::Idle, leaving) => {
            let idle = idle_of(switcher);
            if with_current(|me| Arc::ptr_eq(me, &idle)) {
                renew_slice(here, now_ns);
            } else {
                change(switcher, idle, leaving);
            }
        }
    }
}

/// Sets the end of the current thread's slice, if somebody waits for it; it was charged at `now_ns`, and runs `here`.
#[inline]
fn renew_slice(here: CpuId, now_ns: u64) {
    with_current(|me| timers::set_slice_end(here, SCHEDULER.slice_deadline(here, me, now_ns)));
}

/// Switches to `next`; returns when the caller's thread is switched to again.
fn change(switcher: &Switcher, next: Arc<Thread>, leaving: Leaving) {
    let here = Arm::id();
    switcher.switches.store(switcher.switches.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    let next = ManuallyDrop::new(next);
    let header = &next.payload().header;
    let load = next.payload().context.get().cast_const();
    header.set_cpu(here);
    // The header keeps the reference.
    header.thread.store(Arc::as_ptr(&next).cast_mut().cast(), Ordering::Relaxed);
    let current = cpu::header().thread.load(Ordering::Relaxed).cast::<Thread>().cast_const();
    // SAFETY: the pointer came from `Arc::into_raw` when this thread was switched to, and from here on the CPU holds the
    // next thread's instead; the count moves to `previous`.
    let current = unsafe { Arc::from_raw(current) };
    let save = current.payload().context.get();
    current.payload().lower_half.change_to(&next.payload().lower_half);
    // SAFETY: only this CPU reaches the slot, and interrupts are masked. The last switch was finished, so the slot is empty:
    // there is nothing to drop in it.
    unsafe { switcher.previous.get().write(Some((current, leaving))) };
    // SAFETY: interrupts are masked; `save` belongs to the caller, kept alive by `previous` at least until the switch is
    // finished; `load` and `header` belong to `next`, kept alive by its header's reference, which the scheduler took out
    // of its queue for this CPU alone.
    unsafe { context::switch(save, load, header) };
    finish();
}

/// Says what becomes of the thread that this CPU has just left, and gives the one that it runs now the end of its slice.
/// The first thing after a switch, of old threads and new ones. The thread may have come from another CPU, and long ago:
/// nothing that was read before the switch holds.
pub(super) fn finish() {
    let here = Arm::id();
    let switcher = SWITCHERS.of(here);
    let slot = switcher.previous.get();
    // SAFETY: only this CPU reaches the slot, and interrupts are masked.
    let previous = unsafe { (*slot).take() };
    // The time of the switch, by which the previous thread was charged.
    let now_ns = switcher.charged_ns.load(Ordering::Relaxed);
    if let Some((thread, leaving)) = previous {
        if thread.class() == Class::Idle {
            timers::begin_samples(here, now_ns);
        } else if let Some(placement) = SCHEDULER.finish_switch(here, thread, leaving) {
            act_on(placement);
        }
    }
    // The scheduler chose by an affinity that may have changed before it could be known that the thread runs here.
    if with_current(|me| !me.affinity().contains(here) && !me.affinity().and(SCHEDULER.online()).is_empty()) {
        cpu::header().request_resched();
    }
    renew_slice(here, now_ns);
}

/// Makes `idle` the thread that this CPU has been running since it booted, and lets the CPU take others.
pub(super) fn adopt_idle(idle: Arc<Thread>) {
    let here = Arm::id();
    let switcher = SWITCHERS.of(here);
    SCHEDULER.come_online(here, &idle);
    // Idle threads are for good: one reference for the CPU's list, one for its header.
    let pointer = Arc::into_raw(Arc::clone(&idle));
    switcher.idle.store(Arc::into_raw(idle).cast_mut(), Ordering::Release);
    switcher.charged_ns.store(clock::now_ns(), Ordering::Relaxed);
    // SAFETY: the reference just leaked keeps the thread for good.
    let header = unsafe { &(*pointer).payload().header };
    header.thread.store(pointer.cast_mut().cast(), Ordering::Relaxed);
    // SAFETY: the header lives for good, belongs to this CPU, and interrupts are masked while a CPU boots.
    unsafe { cpu::adopt_header(header) };
}

fn idle_of(switcher: &Switcher) -> Arc<Thread> {
    let pointer = switcher.idle.load(Ordering::Acquire).cast_const();
    assert!(!pointer.is_null(), "a CPU has an idle thread before it schedules");
    // SAFETY: the pointer came from `Arc::into_raw` and its reference is never given up.
    unsafe { Arc::increment_strong_count(pointer) };
    // SAFETY: the count just added is this `Arc`'s.
    unsafe { Arc::from_raw(pointer) }
}

/// The vectors and the locks call this when the thread may be preempted and should be.
#[unsafe(no_mangle)]
fn tine_preempt() {
    leave(Leaving::Preempted);
}

#[unsafe(no_mangle)]
fn tine_preempt_from_interrupt() {
    pass(Leaving::Preempted);
}
