//! What the tests are made of: failures as values, threads on chosen CPUs, bounded waits.

use alloc::format;
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;

use kcore::addr::{CpuId, CpuSet};
use kcore::hal::Cpu;
use kcore::sched::{Class, Priority};
use kcore::sync::{Rank, SpinLock};

use crate::arch::cpu::Arm;
use crate::dev::clock;
use crate::mem::stacks;
use crate::task::thread::Thread;
use crate::task::{self, switch, thread};

/// How a test, or one of its threads, ended.
pub(super) type Outcome = Result<(), Failure>;

/// Why a test failed, in words.
#[derive(Debug)]
pub(super) struct Failure(String);

impl Failure {
    /// A failure for the reason that `why` tells.
    pub(super) fn new(why: fmt::Arguments<'_>) -> Self {
        Self(format!("{why}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<task::SpawnError> for Failure {
    fn from(error: task::SpawnError) -> Self {
        Self::new(format_args!("no thread: {error:?}"))
    }
}

/// Fails the test, with the reason as in `format!`, unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($why:tt)+) => {
        if !$condition {
            return Err($crate::ktest::harness::Failure::new(format_args!($($why)+)));
        }
    };
}
pub(super) use ensure;

/// The bound of waits for what comes in no time: far beyond the worst that a loaded host does, below the watchdog's.
pub(super) const NEVER: Duration = Duration::from_secs(20);

/// Nanoseconds of a short time.
pub(super) fn ns(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The moment that is `time` from now, by the kernel's clock.
pub(super) fn from_now(time: Duration) -> u64 {
    clock::now_ns().saturating_add(ns(time))
}

/// Sleeps in short naps until `condition` holds; `what` it is goes into the failure.
pub(super) fn wait_for(what: &str, mut condition: impl FnMut() -> bool) -> Outcome {
    let deadline = from_now(NEVER);
    while !condition() {
        ensure!(clock::now_ns() < deadline, "{what}: not within {NEVER:?}");
        task::sleep(Duration::from_micros(200));
    }
    Ok(())
}

/// As [`wait_for`], awake: it gives up the CPU to an interrupt or a preemption only, and may hold a lock.
pub(super) fn spin_for(what: &str, mut condition: impl FnMut() -> bool) -> Outcome {
    let deadline = from_now(NEVER);
    while !condition() {
        ensure!(clock::now_ns() < deadline, "{what}: not within {NEVER:?}");
        Arm::relax();
    }
    Ok(())
}

/// Spins for `time`, awake.
pub(super) fn spin(time: Duration) {
    let deadline = from_now(time);
    while clock::now_ns() < deadline {
        Arm::relax();
    }
}

/// The CPUs that run threads.
pub(super) fn cpus() -> impl Iterator<Item = CpuId> {
    CpuId::all().filter(|&cpu| switch::online().contains(cpu))
}

/// A meeting point: as often as all come together, they go on together. They wait awake.
pub(super) struct Meeting {
    members: u32,
    arrived: AtomicU32,
}

impl Meeting {
    /// A meeting point of `members` threads.
    pub(super) fn new(members: usize) -> Self {
        Self { members: u32::try_from(members).unwrap_or(u32::MAX), arrived: AtomicU32::new(0) }
    }

    /// Waits until all members have come here once more.
    pub(super) fn meet(&self) -> Outcome {
        let number = self.arrived.fetch_add(1, Ordering::AcqRel) + 1;
        let all = number.next_multiple_of(self.members);
        wait_for("others at a meeting", || self.arrived.load(Ordering::Acquire) >= all)
    }
}

/// Threads that report how they ended.
#[derive(Default)]
pub(super) struct Team {
    threads: Vec<Arc<Thread>>,
    failure: Arc<FirstFailure>,
}

struct FirstFailure(SpinLock<Option<Failure>, Arm>);

impl Default for FirstFailure {
    fn default() -> Self {
        Self(SpinLock::new(Rank::TestSpinOuter, None))
    }
}

impl Team {
    /// A team of one thread on each CPU, bound to it.
    pub(super) fn on_each_cpu(
        name: &str,
        work: impl Fn(CpuId) -> Outcome + Send + Sync + 'static,
    ) -> Result<Self, Failure> {
        let mut team = Self::default();
        let work = Arc::new(work);
        for cpu in cpus() {
            let work = Arc::clone(&work);
            team.add(name, Priority::DEFAULT, CpuSet::only(cpu), move || work(cpu))?;
        }
        Ok(team)
    }

    /// One thread more.
    pub(super) fn add(
        &mut self,
        name: &str,
        priority: Priority,
        cpus: CpuSet,
        work: impl FnOnce() -> Outcome + Send + 'static,
    ) -> Result<(), Failure> {
        let failure = Arc::clone(&self.failure);
        let thread = thread::spawn(name, priority, cpus, move || {
            if let Err(reason) = work() {
                failure.0.lock().get_or_insert(reason);
            }
        })?;
        self.threads.push(thread);
        Ok(())
    }

    /// Waits until all have ended and left their last CPU and their memory is free, and says how the first that failed
    /// did.
    pub(super) fn join(self) -> Outcome {
        let remains: Vec<Weak<Thread>> = self.threads.iter().map(Arc::downgrade).collect();
        for thread in self.threads {
            thread::join(&thread);
        }
        wait_for("the end of a joined thread", || {
            remains.iter().all(|thread| thread.strong_count() == 0) && is_every_stack_alive()
        })?;
        self.failure.0.lock().take().map_or(Ok(()), Err)
    }
}

/// Whether the only kernel stacks are those of threads that there are. A thread is in no list any more once its last
/// `Arc` goes; its stack goes last, some time after that.
fn is_every_stack_alive() -> bool {
    let threads = thread::all().iter().filter(|thread| thread.class() == Class::Normal).count();
    stacks::usage().0 == threads
}

/// Runs `work` on each CPU at the same time, in a thread that is bound to it.
pub(super) fn on_each_cpu(name: &str, work: impl Fn(CpuId) -> Outcome + Send + Sync + 'static) -> Outcome {
    Team::on_each_cpu(name, work)?.join()
}

/// A round of stress on each CPU: `churn`, as often as it has turns left, between two looks at the books. Both looks are
/// taken while the threads live, so that what they do between is all that happens.
pub(super) fn stress<T>(
    name: &str,
    books: impl Fn() -> T,
    churn: impl Fn(CpuId, Turns) -> Outcome + Send + Sync + 'static,
) -> Result<(T, T), Failure> {
    let meeting = Arc::new(Meeting::new(cpus().count() + 1));
    let theirs = Arc::clone(&meeting);
    let team = Team::on_each_cpu(name, move |cpu| {
        // A thread's first sleep makes its timer.
        task::sleep(Duration::from_micros(1));
        theirs.meet().and_then(|()| theirs.meet())?;
        let outcome = churn(cpu, Turns::new());
        let met = theirs.meet().and_then(|()| theirs.meet());
        outcome.and(met)
    })?;
    let there = meeting.meet();
    let before = books();
    let churned = there.and_then(|()| meeting.meet()).and_then(|()| meeting.meet());
    let after = books();
    let met = meeting.meet();
    team.join().and(churned).and(met)?;
    Ok((before, after))
}

/// So many turns of a loop, or what fits a time: where a loaded host stops the CPU that is next in the queue for a lock,
/// all the others wait for it, and a turn takes as long as the host pleases.
pub(super) struct Turns {
    left: u32,
    deadline_ns: u64,
}

impl Turns {
    const MOST: u32 = 600;
    const TIME: Duration = Duration::from_millis(500);

    fn new() -> Self {
        Self { left: Self::MOST, deadline_ns: from_now(Self::TIME) }
    }
}

impl Iterator for Turns {
    type Item = ();

    fn next(&mut self) -> Option<()> {
        self.left = self.left.checked_sub(1)?;
        (clock::now_ns() < self.deadline_ns).then_some(())
    }
}

/// Marsaglia's xorshift64: which numbers come is of no importance, that they are the same in each run is.
pub(super) struct Dice(u64);

impl Dice {
    /// The dice of `seed`.
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next number.
    pub(super) fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `bound`, which is small.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.roll() >> 33).unwrap_or(0) % bound
    }
}
