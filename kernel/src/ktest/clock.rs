//! Time, and sleeping through it.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;

use kcore::addr::{CpuId, CpuSet};
use kcore::sched::{Priority, Waited};
use kcore::sync::{IrqMasked, Rank, SpinLock};

use super::harness::{Failure, Meeting, NEVER, Outcome, Team, cpus, ensure, from_now, ns, on_each_cpu};
use crate::arch::cpu::Arm;
use crate::arch::ktest_asm;
use crate::dev::clock;
use crate::task::{self, Waiters};

/// Fails with 20 us times the CPU's number added in `now_ns`: so it would with `CNTVOFF_EL2` left as reset has it.
pub(super) fn time_never_goes_back_between_cpus() -> Outcome {
    const ROUNDS: u32 = 20_000;
    let latest = AtomicU64::new(0);
    let meeting = Meeting::new(cpus().count());
    on_each_cpu("clock", move |cpu| {
        meeting.meet()?;
        for round in 0..ROUNDS {
            let before = latest.load(Ordering::Acquire);
            let now = clock::now_ns();
            ensure!(now >= before, "cpu {cpu}, round {round}: {now} ns after {before} ns");
            latest.fetch_max(now, Ordering::AcqRel);
        }
        Ok(())
    })
}

/// Where instructions are the clock, a sleep ends this soon after its deadline.
const LATE: Duration = Duration::from_micros(60);

/// Fails with the deadline of `task::sleep` one microsecond too soon.
pub(super) fn a_sleep_never_ends_early() -> Outcome {
    let exact = instructions_are_the_clock();
    on_each_cpu("sleep", move |cpu| {
        for us in [0, 1, 10, 100, 999, 1000, 3500, 12_000] {
            let time = Duration::from_micros(us);
            let start = clock::now_ns();
            task::sleep(time);
            let slept = clock::now_ns().saturating_sub(start);
            ensure!(slept >= ns(time), "cpu {cpu}: {slept} ns of {time:?}");
            ensure!(!exact || slept <= ns(time + LATE), "cpu {cpu}: {slept} ns instead of {time:?}");
        }
        Ok(())
    })
}

/// Whether each instruction takes the same power of two of nanoseconds, as under QEMU's `-icount shift=N`. No other
/// machine comes so close four times in a row.
fn instructions_are_the_clock() -> bool {
    const TURNS: u64 = 20_000;
    /// Two ticks of the emulated counter and the instructions around the loop, for shift 0.
    const MARGIN_NS: u64 = 80;
    let took = || {
        let _masked = IrqMasked::<Arm>::new();
        let start = clock::now_ns();
        ktest_asm::spin_exactly(TURNS);
        clock::now_ns() - start
    };
    (0..=4_u32).any(|shift| {
        let (least, most) = ((2 * TURNS) << shift, (2 * TURNS + MARGIN_NS) << shift);
        (0..4).all(|_| (least.saturating_sub(MARGIN_NS)..=most).contains(&took()))
    })
}

/// Fails with the sequence before the deadline in the timer's key.
///
/// The sleepers of a CPU share its queue of timers, so their order is the kernel's and not the host's; if all of them
/// sleep before the first is due. Where a loaded host does not let them, they are given more time.
pub(super) fn sleepers_wake_in_the_order_of_their_deadlines() -> Outcome {
    for cpu in cpus() {
        let mut lead = Duration::from_millis(40);
        while !sleepers_in_order(cpu, lead)? {
            lead *= 4;
            ensure!(lead < NEVER, "cpu {cpu} has not put its sleepers to bed in {lead:?}");
        }
    }
    Ok(())
}

/// Whether all slept in time, and then they woke in order.
fn sleepers_in_order(cpu: CpuId, lead: Duration) -> Result<bool, Failure> {
    const STEPS: [u64; 8] = [5, 2, 7, 0, 3, 6, 1, 4];
    let woken = Arc::new(SpinLock::<_, Arm>::new(Rank::TestSpinOuter, Vec::with_capacity(STEPS.len())));
    let last_to_bed = Arc::new(AtomicU64::new(0));
    let start = from_now(lead);
    let mut team = Team::default();
    for step in STEPS {
        let (woken, to_bed) = (Arc::clone(&woken), Arc::clone(&last_to_bed));
        team.add("sleeper", Priority::DEFAULT, CpuSet::only(cpu), move || {
            // Until a moment, not for a time: the host may stop the CPU between the clock and the sleep.
            let mut looks = 0;
            let waited = Waiters::new().wait_while_until(start + step * 1_000_000, || {
                looks += 1;
                // The second look is the last before it sleeps; the third comes when it wakes.
                if looks <= 2 {
                    to_bed.fetch_max(clock::now_ns(), Ordering::AcqRel);
                }
                true
            });
            woken.lock().push(step);
            ensure!(waited == Waited::TimedOut, "a sleeper was {waited:?}");
            Ok(())
        })?;
    }
    team.join()?;
    let order = core::mem::take(&mut *woken.lock());
    ensure!(order.len() == STEPS.len(), "cpu {cpu}: {} sleepers of {}", order.len(), STEPS.len());
    // With half of the lead to spare, for the way from the look at the clock to the queue.
    let in_time = last_to_bed.load(Ordering::Acquire) + ns(lead / 2) < start;
    ensure!(!in_time || order.is_sorted(), "cpu {cpu} woke {order:?}");
    Ok(in_time)
}
