//! The kernel takes a CPU away from a thread that does not give it up.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use core::time::Duration;

use kcore::addr::CpuSet;
use kcore::sched::{Priority, SLICE_NS};
use kcore::sync::NoPreempt;

use super::harness::{Outcome, Team, cpus, ensure, spin, spin_for, wait_for};
use crate::arch::cpu::Arm;
use crate::task::thread;

/// What two threads of a CPU tell each other; no lock and no wait in it.
#[derive(Default)]
struct Flags {
    first_runs: AtomicBool,
    second_is_there: AtomicBool,
    second_ran: AtomicBool,
}

fn set(flag: &AtomicBool) {
    flag.store(true, Ordering::Release);
}

fn is_set(flag: &AtomicBool) -> bool {
    flag.load(Ordering::Acquire)
}

/// Fails when `set_slice_end` sets the comparator for no slice.
pub(super) fn a_thread_that_never_yields_is_preempted() -> Outcome {
    for cpu in cpus() {
        let flags = Arc::new(Flags::default());
        let mut team = Team::default();
        let (hog, other) = (Arc::clone(&flags), Arc::clone(&flags));
        team.add("hog", Priority::DEFAULT, CpuSet::only(cpu), move || {
            set(&hog.first_runs);
            spin_for("the other thread of a CPU", || is_set(&hog.second_ran))
        })?;
        wait_for("the hog", || is_set(&flags.first_runs))?;
        team.add("other", Priority::DEFAULT, CpuSet::only(cpu), move || {
            set(&other.second_ran);
            Ok(())
        })?;
        team.join()?;
    }
    Ok(())
}

/// Fails when a thread that runs for the first time gets no end of its slice: the third one then waits for ever.
pub(super) fn new_threads_share_a_cpu() -> Outcome {
    for cpu in cpus() {
        let turns = Arc::new([const { AtomicU32::new(0) }; 3]);
        let mut team = Team::default();
        for me in 0..turns.len() {
            let turns = Arc::clone(&turns);
            team.add("hog", Priority::DEFAULT, CpuSet::only(cpu), move || {
                spin_for("the other threads of a CPU", || {
                    turns[me].fetch_add(1, Ordering::Relaxed);
                    turns.iter().all(|turn| turn.load(Ordering::Relaxed) > 0)
                })
            })?;
        }
        team.join()?;
    }
    Ok(())
}

/// Fails without the question in `preempt_enable`.
pub(super) fn nothing_preempts_while_preemption_is_off() -> Outcome {
    for cpu in cpus() {
        let flags = Arc::new(Flags::default());
        let mut team = Team::default();
        let (hog, other) = (Arc::clone(&flags), Arc::clone(&flags));
        team.add("hog", Priority::DEFAULT, CpuSet::only(cpu), move || {
            let (queued, ran) = {
                let _off = NoPreempt::<Arm>::new();
                set(&hog.first_runs);
                let queued = spin_for("the other thread of a CPU", || is_set(&hog.second_is_there));
                spin(3 * Duration::from_nanos(SLICE_NS));
                (queued, is_set(&hog.second_ran))
            };
            let ran_at_once = is_set(&hog.second_ran);
            queued?;
            ensure!(!ran, "cpu {cpu}: preempted with preemption off");
            ensure!(ran_at_once, "cpu {cpu}: the preemption that was due did not come when it could");
            Ok(())
        })?;
        wait_for("the hog", || is_set(&flags.first_runs))?;
        team.add("other", Priority::DEFAULT, CpuSet::only(cpu), move || {
            set(&other.second_ran);
            Ok(())
        })?;
        set(&flags.second_is_there);
        team.join()?;
    }
    Ok(())
}

/// A thread starts a better one on its own CPU, and the better one has run before the next statement: no end of a slice
/// let it in, which would also give the worse one a turn now and then (`GUARD_TURNS`).
///
/// Fails when `enqueue` says `Poke::Nothing` for a CPU that runs something worse.
pub(super) fn a_better_thread_runs_at_once() -> Outcome {
    for cpu in cpus() {
        let mut team = Team::default();
        team.add("worse", Priority::WORST, CpuSet::only(cpu), move || {
            let ran = Arc::new(AtomicBool::new(false));
            let flag = Arc::clone(&ran);
            let better = thread::spawn("better", Priority::KERNEL, CpuSet::only(cpu), move || set(&flag))?;
            let ran_at_once = is_set(&ran);
            thread::join(&better);
            ensure!(ran_at_once, "cpu {cpu}: a better thread had to wait");
            Ok(())
        })?;
        team.join()?;
    }
    Ok(())
}
