//! An interrupt in every state that locks put a CPU in.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use core::time::Duration;

use kcore::addr::{CpuId, CpuSet, MAX_CPUS};
use kcore::hal::Cpu;
use kcore::sched::Priority;
use kcore::sync::{IrqLock, Rank, SpinLock};

use super::harness::{Failure, Outcome, Team, ensure, from_now, on_each_cpu, spin, spin_for};
use crate::arch::cpu::{self, Arm};
use crate::task::Waiters;
use crate::task::timers::{self, Action, Timer};

static TAKEN: [AtomicU32; MAX_CPUS] = [const { AtomicU32::new(0) }; MAX_CPUS];
/// How soon the interrupt comes.
const SOON: Duration = Duration::from_micros(100);

fn taken(cpu: CpuId) -> u32 {
    TAKEN[cpu.index()].load(Ordering::Acquire)
}

/// A timer that interrupts this CPU soon; its handler counts.
fn interrupt_soon() -> Arc<Timer> {
    let timer = Arc::new(Timer::new(Action::Call(|| {
        TAKEN[Arm::id().index()].fetch_add(1, Ordering::AcqRel);
    })));
    timers::arm(&timer, from_now(SOON));
    timer
}

fn is_taken(cpu: CpuId, before: u32) -> Outcome {
    spin_for("an interrupt", || taken(cpu) != before)?;
    let more = taken(cpu) - before;
    ensure!(more == 1, "cpu {cpu}: one timer interrupted {more} times");
    Ok(())
}

/// Fails when `on_alarm` calls what a timer calls twice.
pub(super) fn an_interrupt_is_taken_with_no_lock_held() -> Outcome {
    on_each_cpu("unlocked", |cpu| {
        let before = taken(cpu);
        let _timer = interrupt_soon();
        is_taken(cpu, before)
    })
}

/// A better thread that waits on the CPU of the caller until [`wake`](Self::wake).
struct Rival {
    shared: Arc<RivalShared>,
    team: Team,
}

#[derive(Default)]
struct RivalShared {
    queue: Waiters,
    called: AtomicBool,
    ran: AtomicBool,
}

impl Rival {
    fn new(cpu: CpuId) -> Result<Self, Failure> {
        let shared = Arc::new(RivalShared::default());
        let mut team = Team::default();
        let theirs = Arc::clone(&shared);
        team.add("rival", Priority::KERNEL, CpuSet::only(cpu), move || {
            theirs.queue.wait_while(|| !theirs.called.load(Ordering::Acquire));
            theirs.ran.store(true, Ordering::Release);
            Ok(())
        })?;
        super::harness::wait_for("the rival to wait", || shared.queue.waiting() == 1)?;
        Ok(Self { shared, team })
    }

    fn wake(&self) {
        self.shared.called.store(true, Ordering::Release);
        self.shared.queue.wake_one();
    }

    fn ran(&self) -> bool {
        self.shared.ran.load(Ordering::Acquire)
    }
}

/// Fails without the question in `preempt_enable`; ends in a panic when `exception_irq` asks for the request alone.
pub(super) fn an_interrupt_is_taken_under_a_spin_lock_without_preemption() -> Outcome {
    on_each_cpu("spin lock", |cpu| {
        let lock = SpinLock::<_, Arm>::new(Rank::TestSpinOuter, ());
        let rival = Rival::new(cpu)?;
        let before = taken(cpu);
        let outcome = {
            let _guard = lock.lock();
            // The clock and the timers may be asked under the lock: irq locks stand above spin locks.
            let _timer = interrupt_soon();
            let outcome = is_taken(cpu, before);
            rival.wake();
            spin(SOON);
            outcome.map(|()| rival.ran())
        };
        let ran_at_release = rival.ran();
        rival.team.join()?;
        ensure!(!outcome?, "cpu {cpu}: a thread was preempted under a spin lock");
        ensure!(ran_at_release, "cpu {cpu}: a preemption that was due did not come with the release");
        Ok(())
    })
}

/// Fails when `IrqLock::lock` unmasks interrupts again.
pub(super) fn an_interrupt_waits_for_an_irq_lock() -> Outcome {
    on_each_cpu("irq lock", |cpu| {
        let lock = IrqLock::<_, Arm>::new(Rank::TestIrqOuter, ());
        let before = taken(cpu);
        let (_timer, under_lock) = {
            let _guard = lock.lock();
            let timer = interrupt_soon();
            spin(10 * SOON);
            (timer, taken(cpu) - before)
        };
        ensure!(under_lock == 0, "cpu {cpu}: {under_lock} interrupts under an irq lock");
        is_taken(cpu, before)
    })
}

/// Fails as the two before.
pub(super) fn nested_locks_let_interrupts_through_one_by_one() -> Outcome {
    on_each_cpu("nested", |cpu| {
        let spin_lock = SpinLock::<_, Arm>::new(Rank::TestSpinOuter, ());
        let outer = IrqLock::<_, Arm>::new(Rank::TestIrqOuter, ());
        let inner = IrqLock::<_, Arm>::new(Rank::TestIrqInner, ());
        let rival = Rival::new(cpu)?;
        let before = taken(cpu);
        let (outcome, early, ran) = {
            let _spin = spin_lock.lock();
            let (_timer, early) = {
                let _outer = outer.lock();
                let timer = interrupt_soon();
                drop(inner.lock());
                spin(10 * SOON);
                (timer, taken(cpu) - before)
            };
            rival.wake();
            (is_taken(cpu, before), early, rival.ran())
        };
        let ran_at_release = rival.ran();
        rival.team.join()?;
        outcome?;
        ensure!(early == 0, "cpu {cpu}: the inner release unmasked interrupts");
        ensure!(!ran, "cpu {cpu}: preempted under the outer spin lock");
        ensure!(ran_at_release, "cpu {cpu}: a preemption that was due did not come with the last release");
        ensure!(!cpu::irqs_masked() && cpu::header().preempt_count() == 0, "cpu {cpu}: a state stayed behind");
        Ok(())
    })
}
