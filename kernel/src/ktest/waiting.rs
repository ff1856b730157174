//! Wait queues and the sleeping mutex, with all CPUs at them.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use core::time::Duration;

use heapless::Deque;
use kcore::addr::CpuSet;
use kcore::sched::{Priority, Waited};
use kcore::sync::{Rank, SpinLock};

use super::harness::{Outcome, Team, cpus, ensure, from_now, on_each_cpu, wait_for};
use crate::arch::cpu::Arm;
use crate::dev::clock;
use crate::task::{self, Mutex, Waiters, switch};

/// Fails when `RawSleepMutex::try_lock` stores instead of exchanging.
pub(super) fn a_sleeping_mutex_excludes_on_every_cpu() -> Outcome {
    const TURNS: u32 = 100;
    const THREADS: u32 = 2;
    let counter = Arc::new(Mutex::new(Rank::TestSleepOuter, 0_u32));
    let mut team = Team::default();
    for cpu in cpus() {
        for _ in 0..THREADS {
            let counter = Arc::clone(&counter);
            team.add("mutex", Priority::DEFAULT, CpuSet::only(cpu), move || {
                for _ in 0..TURNS {
                    let mut count = counter.lock();
                    let seen = *count;
                    // The others come to the lock, and sleep.
                    switch::yield_now();
                    *count = seen + 1;
                }
                Ok(())
            })?;
        }
    }
    team.join()?;
    let (count, expected) = (*counter.lock(), u32::try_from(cpus().count()).unwrap_or(0) * THREADS * TURNS);
    ensure!(count == expected, "{count} of {expected} increments");
    Ok(())
}

/// A bounded buffer.
struct Buffer {
    items: SpinLock<Deque<u64, 4>, Arm>,
    not_empty: Waiters,
    not_full: Waiters,
}

impl Buffer {
    fn put(&self, item: u64) {
        let mut put = false;
        self.not_full.wait_while(|| {
            put = put || self.items.lock().push_back(item).is_ok();
            !put
        });
        self.not_empty.wake_one();
    }

    fn take(&self) -> u64 {
        let mut item = None;
        self.not_empty.wait_while(|| {
            item = item.or_else(|| self.items.lock().pop_front());
            item.is_none()
        });
        self.not_full.wake_one();
        item.unwrap_or_default()
    }
}

/// A lost wake-up ends at the watchdog: so it does, at the first
/// thread that is joined, when `WaitQueue::wait` looks at its condition only before it joins.
pub(super) fn what_is_produced_is_consumed_once() -> Outcome {
    const ITEMS: u64 = 100;
    let buffer = Arc::new(Buffer {
        items: SpinLock::new(Rank::TestSpinOuter, Deque::new()),
        not_empty: Waiters::new(),
        not_full: Waiters::new(),
    });
    let sums = Arc::new([const { AtomicU64::new(0) }; 2]);
    let mut team = Team::default();
    for cpu in cpus() {
        let (source, produced) = (Arc::clone(&buffer), Arc::clone(&sums));
        team.add("producer", Priority::DEFAULT, CpuSet::ALL, move || {
            for n in 0..ITEMS {
                let item = (cpu.index() as u64) << 32 | n;
                produced[0].fetch_add(item, Ordering::Relaxed);
                source.put(item);
            }
            Ok(())
        })?;
        let (sink, consumed) = (Arc::clone(&buffer), Arc::clone(&sums));
        team.add("consumer", Priority::DEFAULT, CpuSet::only(cpu), move || {
            for _ in 0..ITEMS {
                consumed[1].fetch_add(sink.take(), Ordering::Relaxed);
            }
            Ok(())
        })?;
    }
    team.join()?;
    let (produced, consumed) = (sums[0].load(Ordering::Relaxed), sums[1].load(Ordering::Relaxed));
    ensure!(produced == consumed, "produced {produced:#x}, consumed {consumed:#x}");
    let left = buffer.items.lock().len();
    ensure!(left == 0, "{left} items are left over");
    Ok(())
}

/// Threads that wait until they are let go, and count how often they look.
#[derive(Default)]
struct Crowd {
    queue: Waiters,
    looks: AtomicU32,
    go: AtomicBool,
}

impl Crowd {
    fn gather() -> Result<(Arc<Self>, Team), super::harness::Failure> {
        let crowd = Arc::new(Self::default());
        let theirs = Arc::clone(&crowd);
        let team = Team::on_each_cpu("crowd", move |_| {
            theirs.queue.wait_while(|| {
                theirs.looks.fetch_add(1, Ordering::AcqRel);
                !theirs.go.load(Ordering::Acquire)
            });
            Ok(())
        })?;
        // Each looks once before it joins the queue and once after.
        let everybody = cpus().count();
        wait_for("a crowd to gather", || usize::try_from(crowd.looks()) == Ok(2 * everybody))?;
        Ok((crowd, team))
    }

    fn looks(&self) -> u32 {
        self.looks.load(Ordering::Acquire)
    }

    fn release(&self, team: Team) -> Outcome {
        self.go.store(true, Ordering::Release);
        self.queue.wake_all();
        team.join()
    }
}

/// Fails when `wake_one` wakes all.
pub(super) fn wake_one_wakes_one() -> Outcome {
    let (crowd, team) = Crowd::gather()?;
    let (waiting, looks) = (crowd.queue.waiting(), crowd.looks());
    let woken = crowd.queue.wake_one();
    let looked = wait_for("the thread that was woken", || crowd.looks() > looks);
    // Time for others, if there are any.
    task::sleep(Duration::from_millis(2));
    let (more, still) = (crowd.looks() - looks, crowd.queue.waiting());
    crowd.release(team)?;
    looked?;
    ensure!(woken && more == 1, "wake_one said {woken}, and {more} threads looked");
    ensure!(still == waiting, "{still} of {waiting} threads wait again");
    Ok(())
}

/// A `wake_all` that stops at the first ends at the watchdog.
pub(super) fn wake_all_wakes_all() -> Outcome {
    let (crowd, team) = Crowd::gather()?;
    let (waiting, looks) = (crowd.queue.waiting(), crowd.looks());
    let woken = crowd.queue.wake_all();
    let looked = wait_for("the threads that were woken", || {
        usize::try_from(crowd.looks() - looks) == Ok(waiting) && crowd.queue.waiting() == waiting
    });
    crowd.release(team)?;
    looked?;
    ensure!(woken == waiting && waiting == cpus().count(), "wake_all woke {woken} of {waiting}");
    Ok(())
}

/// Fails when `wait` calls every wait satisfied.
pub(super) fn a_wait_ends_at_its_deadline() -> Outcome {
    let queue = Waiters::new();
    let open = AtomicBool::new(false);
    on_each_cpu("deadline", move |cpu| {
        let deadline = from_now(Duration::from_millis(3));
        let waited = queue.wait_while_until(deadline, || !open.load(Ordering::Acquire));
        let now = clock::now_ns();
        ensure!(waited == Waited::TimedOut, "cpu {cpu}: {waited:?} though nothing happened");
        ensure!(now >= deadline, "cpu {cpu}: timed out {} ns early", deadline - now);
        let waited = queue.wait_while_until(now, || false);
        ensure!(waited == Waited::Satisfied, "cpu {cpu}: {waited:?} though there was nothing to wait for");
        Ok(())
    })?;
    woken_before_the_deadline()
}

fn woken_before_the_deadline() -> Outcome {
    let (queue, open) = (Arc::new(Waiters::new()), Arc::new(AtomicBool::new(false)));
    let (their_queue, gate) = (Arc::clone(&queue), Arc::clone(&open));
    let mut team = Team::default();
    team.add("waiter", Priority::DEFAULT, CpuSet::ALL, move || {
        let waited = their_queue.wait_while_until(from_now(super::harness::NEVER), || !gate.load(Ordering::Acquire));
        ensure!(waited == Waited::Satisfied, "{waited:?} though it was woken");
        Ok(())
    })?;
    wait_for("the waiter", || queue.waiting() == 1)?;
    open.store(true, Ordering::Release);
    let woke = queue.wake_one();
    team.join()?;
    ensure!(woke && queue.waiting() == 0, "{} threads are left in the queue", queue.waiting());
    Ok(())
}
