//! Models of going to sleep: every interleaving with few enough preemptions, every value the orderings allow.

use std::sync::Arc;

use loom::cell::UnsafeCell;
use loom::sync::atomic::Ordering::Relaxed;
use loom::sync::atomic::{AtomicBool, AtomicUsize};
use loom::thread;

use super::fake::HostSwitch;
use super::*;
use crate::addr::{CpuId, CpuSet};
use crate::hal::fake::FakeCpu;
use crate::sync::Rank;

/// A thread that sleeps until `flag` is set, as CPUs see it.
struct Sleeper {
    park: Parker,
    flag: AtomicBool,
    /// How many times it was queued.
    queued: AtomicUsize,
    /// Its kernel stack: whoever runs it writes there, so two CPUs at a time are an error that loom reports.
    stack: UnsafeCell<usize>,
}

impl Sleeper {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            park: Parker::new(),
            flag: AtomicBool::new(false),
            queued: AtomicUsize::new(0),
            stack: UnsafeCell::new(0),
        })
    }

    fn run(&self) {
        self.stack.with_mut(|stack| {
            // SAFETY: loom has checked that no other access overlaps; that it may say so is the point of the model.
            unsafe { *stack += 1 };
        });
    }

    /// The CPU that has just got it in its queue runs it.
    fn queue(&self) {
        self.queued.fetch_add(1, Relaxed);
        self.run();
    }

    /// The sleeper's own CPU. Says whether it slept.
    fn sleep(&self) -> bool {
        self.run();
        self.park.prepare();
        if self.flag.load(Relaxed) {
            self.park.cancel();
            self.run();
            return false;
        }
        self.run();
        // Here the CPU changes to another stack.
        if self.park.finish() == Finished::Queue {
            self.queue();
        }
        true
    }

    fn wake(&self) {
        self.flag.store(true, Relaxed);
        if self.park.unpark() == Unparked::Queue {
            self.queue();
        }
    }
}

#[test]
fn loom_a_sleeper_is_queued_once_by_whoever_comes_second() {
    loom::model(|| {
        let sleeper = Sleeper::new();
        let other = Arc::clone(&sleeper);
        let waker = thread::spawn(move || other.wake());
        let slept = sleeper.sleep();
        waker.join().unwrap();
        assert_eq!(sleeper.queued.load(Relaxed), usize::from(slept));
        assert_eq!(sleeper.park.state(), ParkState::Running);
    });
}

#[test]
fn loom_two_wakers_queue_a_sleeper_once() {
    loom::model(|| {
        let sleeper = Sleeper::new();
        let wakers = [(); 2].map(|()| {
            let other = Arc::clone(&sleeper);
            thread::spawn(move || other.wake())
        });
        let slept = sleeper.sleep();
        wakers.into_iter().for_each(|waker| waker.join().unwrap());
        assert_eq!(sleeper.queued.load(Relaxed), usize::from(slept));
    });
}

#[test]
fn loom_a_late_wake_up_is_at_worst_spurious() {
    loom::model(|| {
        let sleeper = Sleeper::new();
        let other = Arc::clone(&sleeper);
        let waker = thread::spawn(move || other.wake());
        // It gives up the first wait (a signal), and then waits in earnest.
        sleeper.park.prepare();
        sleeper.park.cancel();
        let slept = sleeper.sleep();
        waker.join().unwrap();
        assert_eq!(sleeper.queued.load(Relaxed), usize::from(slept));
    });
}

#[test]
fn loom_a_waiter_in_a_queue_misses_no_wake_up() {
    loom::model(|| {
        let shared = Arc::new((WaitQueue::<HostSwitch>::new(), AtomicBool::new(false)));
        let other = Arc::clone(&shared);
        let waker = thread::spawn(move || {
            other.1.store(true, Relaxed);
            other.0.wake_one();
        });
        shared.0.wait_while(|| !shared.1.load(Relaxed));
        waker.join().unwrap();
        assert_eq!(shared.0.waiting(), 0);
    });
}

#[test]
fn loom_a_waiter_that_times_out_passes_its_wake_up_on_or_uses_it() {
    loom::model(|| {
        let shared = Arc::new((WaitQueue::<HostSwitch>::new(), AtomicBool::new(false)));
        let other = Arc::clone(&shared);
        let waker = thread::spawn(move || {
            other.1.store(true, Relaxed);
            other.0.wake_one()
        });
        let outcome = shared.0.wait_while_until(0, || !shared.1.load(Relaxed));
        let woke = waker.join().unwrap();
        assert!(!woke || outcome == Waited::Satisfied, "a wake-up was spent on a waiter that gave up");
        assert_eq!(shared.0.waiting(), 0);
    });
}

#[test]
fn loom_a_sleeping_mutex_excludes_and_wakes_its_waiter() {
    loom::model(|| {
        let mutex = Arc::new(SleepMutex::<_, HostSwitch>::new(Rank::TestSleepOuter, UnsafeCell::new(0)));
        let add_one = |mutex: &SleepMutex<UnsafeCell<usize>, HostSwitch>| {
            mutex.lock().with_mut(|value| {
                // SAFETY: loom has checked that no other access overlaps; that is the point of the model.
                unsafe { *value += 1 };
            });
        };
        let other = Arc::clone(&mutex);
        let thread = thread::spawn(move || add_one(&other));
        add_one(&mutex);
        thread.join().unwrap();
        // SAFETY: the other thread has ended.
        assert_eq!(mutex.lock().with(|value| unsafe { *value }), 2);
    });
}

fn cpu(number: usize) -> CpuId {
    CpuId::new(number).expect("below MAX_CPUS")
}

#[test]
fn loom_a_cpu_that_goes_idle_gets_the_thread_or_the_poke() {
    loom::model(|| {
        let scheduler = Arc::new(Scheduler::<(), FakeCpu>::new());
        let idle = Thread::idle(Tid(1), "idle", cpu(0), ());
        let busy = Thread::new(Tid(2), "busy", Priority::KERNEL, ());
        scheduler.come_online(cpu(0), &idle);
        scheduler.come_online(cpu(1), &busy);

        let other = Arc::clone(&scheduler);
        let waker = thread::spawn(move || {
            let woken = Thread::new(Tid(3), "woken", Priority::DEFAULT, ());
            // Its last CPU is the busy one, so that is where it is queued unless CPU 0 says in time that it idles.
            woken.set_last_cpu(cpu(1));
            other.make_runnable(woken)
        });
        let decision = scheduler.next(cpu(0), &idle, Leaving::Preempted);
        let placement = waker.join().unwrap();
        let got_it = matches!(decision, Decision::Run(_));
        assert!(got_it || placement.poked().contains(cpu(0)), "{placement:?}: the thread waits beside an idle CPU");
    });
}

#[test]
fn loom_two_wakers_claim_two_idle_cpus() {
    loom::model(|| {
        let scheduler = Arc::new(Scheduler::<(), FakeCpu>::new());
        for number in 0..2 {
            let idle = Thread::idle(Tid(1), "idle", cpu(number), ());
            scheduler.come_online(cpu(number), &idle);
            assert!(matches!(scheduler.next(cpu(number), &idle, Leaving::Preempted), Decision::Idle));
        }
        let other = Arc::clone(&scheduler);
        let first = thread::spawn(move || other.start(Thread::new(Tid(3), "a", Priority::DEFAULT, ())));
        let second = scheduler.start(Thread::new(Tid(4), "b", Priority::DEFAULT, ()));
        let first = first.join().unwrap();
        assert_ne!(first.cpu, second.cpu);
        assert_eq!(CpuSet::only(first.cpu).with(second.cpu), scheduler.online());
    });
}
