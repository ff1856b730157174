//! The timers of all CPUs, and the one-shot comparator that serves them, the end of time slices and the samples of
//! [`statistics`].
//!
//! There is no tick: the comparator is set for what comes first on its CPU, or not at all. When what comes first is put off
//! it stays as it is, for the next switch may bring that back: at worst it interrupts once for nothing, and is set anew.

use alloc::sync::{Arc, Weak};
use core::sync::atomic::{AtomicU64, Ordering};

use kcore::addr::{CpuId, CpuSet};
use kcore::hal::Cpu;
use kcore::proc;
use kcore::sched::{self, Priority};
use kcore::sync::{Padded, PerCpu};
use kcore::time::{Armed, Instant, TimerQueues};

use super::statistics;
use super::switch::{self, Kernel};
use super::thread::{self, SpawnError, Thread};
use crate::arch::cpu::{self, Arm};
use crate::dev::clock;

/// What a timer does.
pub(crate) enum Action {
    /// Wakes a thread.
    Unpark(Weak<Thread>),
    /// Lets a thread look at the processor time that its process has used.
    LookAtTime(Weak<Thread>),
    /// Calls a function, in the interrupt handler.
    #[cfg_attr(not(feature = "ktest"), expect(dead_code, reason = "so far only threads wait"))]
    Call(fn()),
}

/// A timer.
pub(crate) type Timer = kcore::time::Timer<Action>;

static TIMERS: TimerQueues<Action, Arm> = TimerQueues::new();
/// What a CPU waits for. Its own CPU writes it, with interrupts masked.
struct Ends {
    /// When the current slice ends; `u64::MAX` for never.
    slice_ns: AtomicU64,
    /// When the next sample is due; `u64::MAX` for never, which is so only while the CPU idles.
    sample_ns: AtomicU64,
    /// What the comparator is set for; `u64::MAX` for nothing.
    alarm_ns: AtomicU64,
}

static ENDS: PerCpu<Ends> = PerCpu::new(
    [const {
        Padded(Ends {
            slice_ns: AtomicU64::new(u64::MAX),
            sample_ns: AtomicU64::new(u64::MAX),
            alarm_ns: AtomicU64::new(u64::MAX),
        })
    }; kcore::addr::MAX_CPUS],
);

/// Starts the thread that serves the timers of processes. It goes before programs, so that they go off in time.
pub(crate) fn init() -> Result<(), SpawnError> {
    thread::spawn("timers", Priority::KERNEL, CpuSet::ALL, proc::serve_alarms::<Kernel>)?;
    Ok(())
}

/// Lets `timer` expire at `deadline_ns`, on this CPU.
pub(crate) fn arm(timer: &Arc<Timer>, deadline_ns: u64) {
    let state = Arm::irq_save();
    let here = Arm::id();
    if let Armed::First { cpu } = TIMERS.arm(timer, here, Instant::from_ns(deadline_ns))
        && cpu == here
    {
        program(here);
    }
    Arm::irq_restore(state);
}

/// Stops `timer`; its action has ended or will not run.
pub(crate) fn disarm(timer: &Timer) {
    // Which of the two it was is of no interest: the sleeper looks at the clock.
    let _ = TIMERS.cancel_and_wait(timer);
}

/// Notes when the current slice ends on this CPU, and sets the comparator. With interrupts masked.
#[inline]
pub(super) fn set_slice_end(here: CpuId, deadline_ns: Option<u64>) {
    let ends = ENDS.of(here);
    let end = deadline_ns.unwrap_or(u64::MAX);
    ends.slice_ns.store(end, Ordering::Relaxed);
    set_alarm_before(ends, end);
}

/// This CPU has left its idle thread, at `now_ns`: samples begin, if they have not gone on. With interrupts masked.
#[inline]
pub(super) fn begin_samples(here: CpuId, now_ns: u64) {
    let ends = ENDS.of(here);
    if ends.sample_ns.load(Ordering::Relaxed) == u64::MAX {
        let at_ns = now_ns.saturating_add(statistics::first_sample_ns(here));
        ends.sample_ns.store(at_ns, Ordering::Relaxed);
        set_alarm_before(ends, at_ns);
    }
}

/// When the next timer and the slice end on `cpu`.
pub(crate) fn next_on(cpu: CpuId) -> (Option<u64>, Option<u64>) {
    let slice = ENDS.of(cpu).slice_ns.load(Ordering::Relaxed);
    (TIMERS.next_deadline(cpu).map(Instant::as_ns), (slice != u64::MAX).then_some(slice))
}

fn program(here: CpuId) {
    let timer = TIMERS.next_deadline(here).map_or(u64::MAX, Instant::as_ns);
    let ends = ENDS.of(here);
    let ours = ends.slice_ns.load(Ordering::Relaxed).min(ends.sample_ns.load(Ordering::Relaxed));
    set_alarm_before(ends, timer.min(ours));
}

/// Sets the comparator for `end_ns`, if it is not set for that or an earlier time.
#[inline]
fn set_alarm_before(ends: &Ends, end_ns: u64) {
    if end_ns < ends.alarm_ns.load(Ordering::Relaxed) {
        ends.alarm_ns.store(end_ns, Ordering::Relaxed);
        clock::set_alarm(end_ns);
    }
}

/// The comparator's interrupt.
pub(crate) fn on_alarm() {
    let here = Arm::id();
    let now_ns = clock::now_ns();
    while let Some(expired) = TIMERS.expire(here, Instant::from_ns(now_ns)) {
        match expired.action() {
            Action::Unpark(thread) => {
                if let Some(thread) = thread.upgrade() {
                    let _ = sched::unpark::<Kernel>(thread);
                }
            }
            Action::LookAtTime(thread) => {
                if let Some(thread) = thread.upgrade() {
                    thread::look_at_processor_time(&thread);
                }
            }
            Action::Call(function) => function(),
        }
    }
    let ends = ENDS.of(here);
    let slice_over = ends.slice_ns.load(Ordering::Relaxed) <= now_ns;
    if ends.sample_ns.load(Ordering::Relaxed) <= now_ns {
        let next_ns = statistics::sample(here, now_ns);
        ends.sample_ns.store(next_ns.map_or(u64::MAX, |next_ns| now_ns.saturating_add(next_ns)), Ordering::Relaxed);
        // So that who looks at a thread that runs alone, for long, sees its time pass. A slice that is over is settled by the
        // pass through the scheduler that ends it.
        if !slice_over {
            switch::charge_running(now_ns);
        }
    }
    if slice_over {
        ends.slice_ns.store(u64::MAX, Ordering::Relaxed);
        cpu::header().request_resched();
    }
    // It has done what it was set for.
    ends.alarm_ns.store(u64::MAX, Ordering::Relaxed);
    clock::set_alarm(u64::MAX);
    program(here);
}
