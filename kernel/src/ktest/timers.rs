//! Timers armed and cancelled from everywhere.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;

use kcore::sync::IrqMasked;
use kcore::time::TimerState;

use super::harness::{Dice, Meeting, NEVER, Outcome, cpus, ensure, from_now, on_each_cpu, wait_for};
use crate::arch::cpu::Arm;
use crate::dev::clock;
use crate::task;
use crate::task::timers::{self, Action, Timer};

/// How often any timer of these tests has fired.
static FIRED: AtomicU32 = AtomicU32::new(0);

fn fired() -> u32 {
    FIRED.load(Ordering::Acquire)
}

fn counting_timer() -> Arc<Timer> {
    Arc::new(Timer::new(Action::Call(|| {
        FIRED.fetch_add(1, Ordering::AcqRel);
    })))
}

/// Fails when `cancel` leaves the timer where it is.
pub(super) fn a_cancelled_timer_never_fires() -> Outcome {
    let before = fired();
    on_each_cpu("cancel", |cpu| {
        let time = Duration::from_millis(2);
        let timer = counting_timer();
        {
            // So that a host that stops this CPU for long does not let it expire in between.
            let _masked = IrqMasked::<Arm>::new();
            timers::arm(&timer, from_now(time));
            let armed = timer.state();
            ensure!(armed == TimerState::Armed { cpu }, "an armed timer is {armed:?} on cpu {cpu}");
            timers::disarm(&timer);
        }
        ensure!(timer.state() == TimerState::Idle, "a cancelled timer is {:?}", timer.state());
        task::sleep(2 * time);
        Ok(())
    })?;
    ensure!(fired() == before, "{} cancelled timers fired", fired() - before);
    Ok(())
}

/// Fails when `on_alarm` calls what a timer calls twice.
pub(super) fn an_armed_timer_fires_once() -> Outcome {
    let before = fired();
    on_each_cpu("arm", |_| {
        let timer = counting_timer();
        timers::arm(&timer, from_now(Duration::from_millis(1)));
        wait_for("a timer", || timer.state() == TimerState::Idle)
    })?;
    let (count, armed) = (fired() - before, cpus().count());
    ensure!(usize::try_from(count) == Ok(armed), "{armed} timers fired {count} times");
    Ok(())
}

/// Every CPU arms and cancels the same timers, until one has fired: where a host is slow to bring interrupts, a fixed
/// number of rounds can be over before the first. Then they are cancelled, and still; then armed, and fire once each.
///
/// Fails when `on_alarm` calls what a timer calls twice.
pub(super) fn timers_survive_a_storm_from_every_cpu() -> Outcome {
    const ROUNDS: usize = 2000;
    let pool: Arc<[Arc<Timer>; 12]> = Arc::new(core::array::from_fn(|_| counting_timer()));
    let start = fired();
    let storm = Arc::clone(&pool);
    let meeting = Meeting::new(cpus().count());
    on_each_cpu("storm", move |cpu| {
        let mut dice = Dice::new(0x57a1 + cpu.index() as u64);
        meeting.meet()?;
        let deadline = from_now(NEVER);
        let mut rounds = 0;
        while rounds < ROUNDS || (fired() == start && clock::now_ns() < deadline) {
            rounds += 1;
            let timer = &storm[dice.below(storm.len())];
            if dice.below(3) == 0 {
                timers::disarm(timer);
            } else {
                timers::arm(timer, from_now(Duration::from_nanos(dice.roll() % 100_000)));
            }
        }
        Ok(())
    })?;
    for timer in pool.iter() {
        timers::disarm(timer);
        ensure!(timer.state() == TimerState::Idle, "a cancelled timer is {:?}", timer.state());
    }
    let after = fired();
    ensure!(after > start, "no timer fired in the storm");
    task::sleep(Duration::from_millis(1));
    ensure!(fired() == after, "{} cancelled timers fired", fired() - after);
    for timer in pool.iter() {
        timers::arm(timer, from_now(Duration::from_micros(500)));
    }
    wait_for("the timers", || pool.iter().all(|timer| timer.state() == TimerState::Idle))?;
    let count = fired() - after;
    ensure!(usize::try_from(count) == Ok(pool.len()), "{} timers fired {count} times", pool.len());
    Ok(())
}
