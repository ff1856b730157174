//! How long a process may compute: `RLIMIT_CPU`; and its [timers](super::timer) that go by processor time.
//!
//! There is no tick that could count. Instead each thread of a process with such a limit or timer looks by itself, on its way back
//! to its program: when it begins, when the limit is set, and from then on whenever so much time has passed as the process
//! has left, and so no sooner than the limit can be reached. Where all its threads run at once the time is divided by their
//! number. A process with neither pays nothing.
//!
//! As on Linux, the signal at the soft limit, `SIGXCPU`, comes again each second, and the soft limit that a program reads
//! moves on with it; the hard limit kills. (`setrlimit`(2); `kern_resource.c` looks each second, where this looks when it
//! may find something.)

use alloc::sync::Arc;

use super::limit::{INFINITY, Limit, Resource};
use super::signal::signal;
use super::system::System;
use super::thread::Thread;
use super::timer::ring_for_processor_time;
use crate::signal::{Info, Signal};

const NS_PER_SECOND: u64 = 1_000_000_000;
/// Threads that look so seldom cannot keep a CPU busy with it: what is left of a limit goes to zero in halves otherwise.
const LEAST_NS: u64 = 1_000_000;

/// What a process with this limit, that has used `used_ns`, is sent, and the limit that it has afterwards.
fn exceeded(limit: Limit, used_ns: u64) -> (Option<Signal>, Limit) {
    let used = used_ns / NS_PER_SECOND;
    if limit.hard != INFINITY && used >= limit.hard {
        (Some(Signal::KILL), limit)
    } else if limit.soft != INFINITY && used >= limit.soft {
        (Some(Signal::XCPU), Limit { soft: used.saturating_add(1).min(limit.hard), ..limit })
    } else {
        (None, limit)
    }
}

/// By a thread on its way to its program, with no lock held: sees whether its process has computed too long, and says when
/// the thread has to look again.
pub fn check_processor_time<S: System>(thread: &Arc<Thread<S>>) {
    let to_limit_ns = check_limit(thread);
    let to_timer_ns = if thread.process().body().timers.is_some() { ring_for_processor_time(thread) } else { None };
    if let Some(left_ns) = to_limit_ns.into_iter().chain(to_timer_ns).min() {
        S::watch_processor_time(left_ns.max(LEAST_NS));
    }
}

/// Sees whether a thread's process has reached its limit, and says how long it can run before it does at the earliest.
fn check_limit<S: System>(thread: &Arc<Thread<S>>) -> Option<u64> {
    let process = thread.process();
    let mut body = process.body();
    let limit = body.limits.get(Resource::Cpu);
    if limit == Limit::INFINITE {
        return None;
    }
    let used_ns = body.run_time_ns();
    let (due, next) = exceeded(limit, used_ns);
    if next != limit {
        Arc::make_mut(&mut body.limits).replace(Resource::Cpu, next);
    }
    let end_ns = next.soft.min(next.hard).saturating_mul(NS_PER_SECOND);
    let threads = u64::try_from(body.threads.len()).unwrap_or(u64::MAX).max(1);
    drop(body);
    if let Some(due) = due {
        let _merged = signal(process, None, Info::kernel(due));
    }
    (due != Some(Signal::KILL)).then(|| end_ns.saturating_sub(used_ns) / threads)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const LIMIT: Limit = Limit { soft: 2, hard: 4 };

    #[test]
    fn f15_nothing_is_sent_before_the_soft_limit() {
        assert_eq!(exceeded(LIMIT, 2 * NS_PER_SECOND - 1), (None, LIMIT));
        assert_eq!(exceeded(Limit::INFINITE, u64::MAX), (None, Limit::INFINITE));
    }

    #[test]
    fn f15_the_soft_limit_is_told_each_second_until_the_hard_one_kills() {
        let (signal, next) = exceeded(LIMIT, 2 * NS_PER_SECOND);
        assert_eq!((signal, next), (Some(Signal::XCPU), Limit { soft: 3, hard: 4 }));
        assert_eq!(exceeded(next, 3 * NS_PER_SECOND - 1), (None, next));
        let (signal, next) = exceeded(next, 3 * NS_PER_SECOND);
        assert_eq!((signal, next), (Some(Signal::XCPU), Limit { soft: 4, hard: 4 }));
        assert_eq!(exceeded(next, 4 * NS_PER_SECOND), (Some(Signal::KILL), next));
    }

    #[test]
    fn f15_a_soft_limit_without_a_hard_one_never_kills() {
        let limit = Limit { soft: 0, hard: INFINITY };
        assert_eq!(exceeded(limit, 0), (Some(Signal::XCPU), Limit { soft: 1, hard: INFINITY }));
        assert_eq!(exceeded(limit, u64::MAX).0, Some(Signal::XCPU));
    }
}
