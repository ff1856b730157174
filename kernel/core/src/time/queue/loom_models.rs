//! Models of the races between the CPU that expires a timer and another that cancels or arms it.

use loom::cell::UnsafeCell;
use loom::thread;

use super::*;
use crate::hal::fake::FakeCpu;

type Queues = TimerQueues<Scratch, FakeCpu>;

/// What an action works on, watched by loom: two unordered accesses are an error.
struct Scratch(UnsafeCell<u32>);

// SAFETY: only a firing action and, after `cancel_and_wait`, the canceller reach the cell. That these exclude each other
// is what the models check, and loom reports every overlap.
unsafe impl Sync for Scratch {}

impl Scratch {
    fn add_one(&self) {
        self.0.with_mut(|value| {
            // SAFETY: loom has checked that no other access overlaps.
            unsafe { *value += 1 };
        });
    }

    fn get(&self) -> u32 {
        // SAFETY: as above.
        self.0.with(|value| unsafe { *value })
    }
}

fn setup() -> (Arc<Queues>, Arc<Timer<Scratch>>) {
    let timer = Arc::new(Timer::new(Scratch(UnsafeCell::new(0))));
    (Arc::new(Queues::new()), timer)
}

fn expire_once(queues: &Queues) {
    if let Some(expired) = queues.expire(CpuId::BOOT, Instant::from_ns(1)) {
        expired.action().add_one();
    }
}

#[test]
fn loom_after_cancel_and_wait_no_action_runs() {
    loom::model(|| {
        let (queues, timer) = setup();
        let _ = queues.arm(&timer, CpuId::BOOT, Instant::from_ns(1));
        let firing = {
            let queues = Arc::clone(&queues);
            thread::spawn(move || expire_once(&queues))
        };
        let outcome = queues.cancel_and_wait(&timer);
        let runs = timer.action().get();
        match outcome {
            Cancelled::Cancelled => assert_eq!(runs, 0),
            Cancelled::WasIdle | Cancelled::Firing => assert_eq!(runs, 1),
        }
        firing.join().unwrap();
        assert_eq!(timer.action().get(), runs);
        assert_eq!((timer.state(), Arc::strong_count(&timer)), (TimerState::Idle, 1));
    });
}

#[test]
fn loom_an_action_that_arms_itself_again_is_stopped() {
    loom::model(|| {
        let (queues, timer) = setup();
        let _ = queues.arm(&timer, CpuId::BOOT, Instant::from_ns(1));
        let firing = {
            let queues = Arc::clone(&queues);
            thread::spawn(move || {
                if let Some(expired) = queues.expire(CpuId::BOOT, Instant::from_ns(1)) {
                    let _ = queues.arm(expired.timer(), CpuId::BOOT, Instant::from_ns(1));
                    expired.action().add_one();
                }
            })
        };
        let _ = queues.cancel_and_wait(&timer);
        let runs = timer.action().get();
        firing.join().unwrap();
        assert_eq!((timer.state(), timer.action().get()), (TimerState::Idle, runs));
        assert_eq!(queues.next_deadline(CpuId::BOOT), None);
    });
}

#[test]
fn loom_two_cpus_that_arm_one_timer_leave_it_in_one_queue() {
    loom::model(|| {
        let (queues, timer) = setup();
        let other = CpuId::new(1).unwrap();
        let arming = {
            let (queues, timer) = (Arc::clone(&queues), Arc::clone(&timer));
            thread::spawn(move || {
                let _ = queues.arm(&timer, other, Instant::from_ns(2));
            })
        };
        let _ = queues.arm(&timer, CpuId::BOOT, Instant::from_ns(1));
        arming.join().unwrap();
        let queued = [CpuId::BOOT, other].map(|cpu| queues.next_deadline(cpu).is_some());
        match timer.state() {
            TimerState::Armed { cpu } if cpu == other => assert_eq!(queued, [false, true]),
            TimerState::Armed { .. } => assert_eq!(queued, [true, false]),
            state => panic!("{state:?}"),
        }
        assert_eq!(Arc::strong_count(&timer), 2);
    });
}

#[test]
fn loom_arming_against_expiry_loses_no_timer() {
    loom::model(|| {
        let (queues, timer) = setup();
        let _ = queues.arm(&timer, CpuId::BOOT, Instant::from_ns(1));
        let firing = {
            let queues = Arc::clone(&queues);
            thread::spawn(move || expire_once(&queues))
        };
        let armed = queues.arm(&timer, CpuId::BOOT, Instant::from_ns(5));
        assert_eq!(armed, Armed::First { cpu: CpuId::BOOT });
        firing.join().unwrap();
        assert_eq!(timer.state(), TimerState::Armed { cpu: CpuId::BOOT });
        assert_eq!(queues.next_deadline(CpuId::BOOT), Some(Instant::from_ns(5)));
    });
}
