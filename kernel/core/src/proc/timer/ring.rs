//! Timers go off.

use alloc::sync::Arc;

use super::calls::Interval;
use super::schedule::LEAST_NS;
use super::set::{Clock, Readings, Recipient};
use crate::proc::process::Process;
use crate::proc::signal::post_to;
use crate::proc::system::System;
use crate::proc::thread::Thread;
use crate::signal::{Info, Posted};

/// The timers of a process that follow a clock are looked at.
pub(super) fn ring<S: System>(process: &Arc<Process<S>>) {
    ring_all(process, Clock::is_a_clock);
    let body = process.body();
    if body.control.exit.is_none()
        && let Some(timers) = &body.timers
    {
        timers.set_alarm();
    }
}

/// By a thread on its way to its program: its process's timers that follow processor time are looked at. Returns how much of
/// it passes until the next one goes off.
#[cold]
#[inline(never)]
pub(in crate::proc) fn ring_for_processor_time<S: System>(thread: &Arc<Thread<S>>) -> Option<u64> {
    let number = thread.number();
    let concerned = |clock| match clock {
        Clock::User | Clock::Process => true,
        Clock::Thread(of) => of == number,
        Clock::Monotonic | Clock::Wall | Clock::Ended => false,
    };
    ring_all(thread.process(), concerned);
    let body = thread.process().body();
    let timers = body.timers.as_ref()?;
    let readings = body.readings();
    let threads = u64::try_from(body.threads.len()).unwrap_or(u64::MAX).max(1);
    let left = |clock, next_ns: Option<u64>| {
        let left_ns = next_ns?.saturating_sub(body.reading(&readings, clock));
        // Where all threads run at once, a process's time passes as many times as fast.
        let share = if matches!(clock, Clock::Thread(_)) { 1 } else { threads };
        left_ns.checked_div(share)
    };
    let intervals = [Interval::Virtual, Interval::Profiling];
    let intervals = intervals.map(|which| left(which.clock(), timers.intervals[which as usize].next_ns()));
    let created = timers.created.iter().filter(|timer| concerned(timer.clock) && timer.recipient != Recipient::Nobody);
    created.filter_map(|timer| left(timer.clock, timer.schedule.next_ns())).chain(intervals.into_iter().flatten()).min()
}

/// Lets those timers go off that are due by the clocks that are `looked_at`. Each time with the locks taken anew: they may
/// be many.
fn ring_all<S: System>(process: &Arc<Process<S>>, looked_at: impl Fn(Clock) -> bool) {
    let readings = process.body().readings();
    for which in Interval::ALL.into_iter().filter(|which| looked_at(which.clock())) {
        ring_interval(process, which, &readings);
    }
    let mut from = 0;
    while let Some(at) = ring_next(process, from, &looked_at, &readings) {
        from = at.saturating_add(1);
    }
}

fn ring_interval<S: System>(process: &Arc<Process<S>>, which: Interval, readings: &Readings) {
    let mut tree = S::processes().tree();
    let mut body = process.body();
    let now_ns = body.reading(readings, which.clock());
    let due = body.timers.as_mut().is_some_and(|timers| timers.intervals[which as usize].goes_off(now_ns));
    if !due || body.control.exit.is_some() {
        return;
    }
    let _merged = post_to(&mut tree, process, body, None, Info::kernel(which.signal()));
    let mut body = process.body();
    // Processor time is used by a program that runs, and so can take the signal: nothing piles up.
    let waits = which == Interval::Real && body.pending.set().contains(which.signal());
    if let Some(timers) = &mut body.timers
        && !waits
    {
        let _missed = timers.intervals[which as usize].settle(now_ns, LEAST_NS);
    }
}

/// Lets the first timer from place `from` on that is due go off; says where it was.
fn ring_next<S: System>(
    process: &Arc<Process<S>>,
    from: usize,
    looked_at: impl Fn(Clock) -> bool,
    readings: &Readings,
) -> Option<usize> {
    let mut tree = S::processes().tree();
    let mut body = process.body();
    if body.control.exit.is_some() {
        return None;
    }
    let mut timers = body.timers.take()?;
    let due = timers.created.iter_mut().enumerate().skip(from).find_map(|(at, timer)| {
        let goes_off = timer.recipient != Recipient::Nobody
            && looked_at(timer.clock)
            && timer.schedule.goes_off(body.reading(readings, timer.clock));
        goes_off.then(|| (at, timer.id, timer.recipient, timer.info()))
    });
    body.timers = Some(timers);
    let (at, id, recipient, info) = due?;
    let thread = match recipient {
        Recipient::Thread(number) => body.threads.iter().find(|thread| thread.number() == number).map(Arc::clone),
        Recipient::Process | Recipient::Nobody => None,
    };
    if post_to(&mut tree, process, body, thread.as_ref(), info) != Posted::Queued {
        // Nobody wants it, or there is no memory for it now.
        process.body().settle_created(id, readings);
    }
    Some(at)
}
