//! A run queue for each CPU, and the decisions.
//!
//! # The idle protocol
//!
//! A thread must not wait in one queue while another CPU sleeps that could run it. A CPU that finds its queue empty says
//! so in the set of idle CPUs and *then* looks at the other queues once more; who queues a thread does so and *then* looks
//! at the set. With a sequentially consistent fence between the two halves on both sides, at least one sees the other:
//! the idle CPU steals the thread, or its queuer claims the idle CPU (by taking it out of the set, so that only one
//! does) and interrupts it. A queue's own CPU is told under the queue's lock: `running` says whether it idles.
//!
//! From [`Scheduler::next`] to the `wfi` of the idle thread interrupts stay masked, or, where they are not, the
//! interrupt makes the CPU ask [`Scheduler::next`] again; a pending interrupt ends `wfi` even while masked (Arm ARM,
//! "Wait For Interrupt"). So the poke is never lost.

use alloc::sync::Arc;

use super::level::Level;
use super::park::Finished;
use super::run_queue::{Bar, RunQueue};
use super::thread::{Class, Thread};
use crate::addr::{CpuId, CpuSet, MAX_CPUS};
use crate::hal::Cpu;
use crate::sync::atomic::{AtomicU8, AtomicU32, Ordering, fence};
use crate::sync::{IrqLock, Padded, PerCpu, Rank};

/// A time slice, in nanoseconds: OpenBSD's 10 ms, short enough for a shell among compilers.
pub const SLICE_NS: u64 = 10_000_000;

/// All the run queues.
///
/// Lock order: none, one queue's lock is held at a time. Nobody is woken under it: who must be told is in the answer.
pub struct Scheduler<P, C: Cpu> {
    cpus: PerCpu<CpuQueue<P, C>>,
    /// The CPUs that idle and that nobody has claimed yet.
    idle: AtomicU8,
    /// The CPUs that take threads.
    online: AtomicU8,
}

/// One CPU's share.
struct CpuQueue<P, C: Cpu> {
    locked: IrqLock<Locked<P>, C>,
    /// How many threads are queued, for those who look without the lock. Written under it.
    queued: AtomicU32,
}

struct Locked<P> {
    queue: RunQueue<P>,
    running: Running,
}

/// What a CPU is about, as its waking neighbours need to know it: the index of the level that it runs, or one that is behind
/// all of them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Running(u8);

/// Why the current thread might leave its CPU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Leaving {
    /// The CPU was poked: perhaps something better waits.
    Preempted,
    /// [`Scheduler::charge`] said so.
    SliceOver,
    /// It asked others of its level to go first.
    Yielded,
    /// It sleeps, after `Parker::prepare`.
    Blocked,
    /// It has ended.
    Exited,
}

/// What the CPU does next.
#[must_use]
#[derive(Debug)]
pub enum Decision<P> {
    /// The current thread goes on.
    Keep,
    /// Another one runs; then [`Scheduler::finish_switch`].
    Run(Arc<Thread<P>>),
    /// The CPU's idle thread runs, or goes on.
    Idle,
}

/// Where a thread was queued, and who must be told by an interrupt (the caller's own CPU: by a flag).
///
/// A poked CPU charges its current thread, asks [`Scheduler::next`] with [`Leaving::Preempted`], and sets its timer to
/// [`Scheduler::slice_deadline`].
#[must_use = "a CPU that is not poked does not know of its new thread"]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Placement {
    /// The CPU in whose queue the thread is.
    pub cpu: CpuId,
    /// What that CPU must do.
    pub poke: Poke,
    /// An idle CPU that shall come and steal.
    pub thief: Option<CpuId>,
}

/// What the CPU that got a thread must do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Poke {
    /// Nothing: the thread waits its turn, and the end of the slice has its timer.
    Nothing,
    /// Set the timer: the running thread was alone and had no end of its slice.
    ArmSlice,
    /// Change threads: it idles, or runs something worse.
    Preempt,
}

impl Placement {
    /// The placement of a thread that `cpu` has just left for another. A turn that went to a worse one so that it does
    /// not starve is that one's for its slice.
    fn after_its_turn(self, cpu: CpuId) -> Self {
        if self.cpu == cpu && self.poke == Poke::Preempt { Self { poke: Poke::ArmSlice, ..self } } else { self }
    }

    /// The CPUs to interrupt.
    #[must_use]
    pub fn poked(self) -> CpuSet {
        let own = if self.poke == Poke::Nothing { CpuSet::EMPTY } else { CpuSet::only(self.cpu) };
        self.thief.map_or(own, |thief| own.with(thief))
    }
}

/// What is left of a thread's time slice.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Slice {
    /// So many nanoseconds.
    Left(u64),
    /// Nothing: others of its level go first ([`Leaving::SliceOver`]).
    Over,
}

impl<P, C: Cpu> Scheduler<P, C> {
    /// A scheduler without CPUs.
    #[cfg(not(loom))]
    #[must_use]
    pub const fn new() -> Self {
        Self {
            cpus: PerCpu::new([const { Padded(CpuQueue::new()) }; MAX_CPUS]),
            idle: AtomicU8::new(0),
            online: AtomicU8::new(0),
        }
    }

    /// A scheduler without CPUs.
    #[cfg(loom)]
    #[must_use]
    pub fn new() -> Self {
        const { assert!(MAX_CPUS > 0) };
        Self {
            cpus: PerCpu::new(core::array::from_fn(|_| Padded(CpuQueue::new()))),
            idle: AtomicU8::new(0),
            online: AtomicU8::new(0),
        }
    }

    /// `cpu` takes threads from now on. `current` is what it runs: its idle thread, or what became of the boot code.
    pub fn come_online(&self, cpu: CpuId, current: &Thread<P>) {
        current.set_last_cpu(cpu);
        self.cpus.of(cpu).locked.lock_quietly().running = Running::of(current);
        self.online.fetch_or(CpuSet::only(cpu).bits(), Ordering::AcqRel);
    }

    /// The CPUs that take threads.
    #[must_use]
    pub fn online(&self) -> CpuSet {
        CpuSet::from_bits(self.online.load(Ordering::Acquire))
    }

    /// Queues a new thread: on an idle CPU if there is one, else on the one with the fewest runnable threads (OpenBSD's
    /// `sched_choosecpu_fork`).
    #[inline]
    pub fn start(&self, thread: Arc<Thread<P>>) -> Placement {
        let allowed = self.allowed(&thread);
        self.enqueue(self.choose(allowed, None), allowed, thread)
    }

    /// Queues a thread that was asleep: on an idle CPU, its last one for choice, else on the one with the fewest runnable
    /// threads, its last one for choice.
    pub fn make_runnable(&self, thread: Arc<Thread<P>>) -> Placement {
        self.queue_again(None, thread)
    }

    /// Accounts for the `ran_ns` that `current` has run since it was last charged.
    pub fn charge(&self, current: &Thread<P>, ran_ns: u64) -> Slice {
        current.account(ran_ns, SLICE_NS).map_or(Slice::Over, Slice::Left)
    }

    /// When the slice of `current` ends, just charged at `now_ns`; `None` when nobody waits for it to end, and then there
    /// is no timer to set.
    #[must_use]
    pub fn slice_deadline(&self, cpu: CpuId, current: &Thread<P>, now_ns: u64) -> Option<u64> {
        let waited_for = current.class() == Class::Normal && self.cpus.of(cpu).queued.load(Ordering::Relaxed) > 0;
        waited_for.then(|| self.slice_end(current, now_ns))
    }

    /// The same for a `current` of which a placement has just said that somebody waits for it to end ([`Poke::ArmSlice`]).
    #[inline]
    #[must_use]
    pub fn slice_end(&self, current: &Thread<P>, now_ns: u64) -> u64 {
        now_ns.saturating_add(SLICE_NS - current.slice_used_ns())
    }

    /// What `cpu`, which runs `current`, does next. Called on that CPU with interrupts masked, after
    /// [`charge`](Self::charge). Unless the answer is [`Decision::Keep`], a switch and
    /// [`finish_switch`](Self::finish_switch) follow.
    pub fn next(&self, cpu: CpuId, current: &Thread<P>, leaving: Leaving) -> Decision<P> {
        let own = self.cpus.of(cpu);
        let bar = Self::bar(cpu, current, leaving);
        {
            let mut locked = own.locked.lock_quietly();
            if let Some(thread) = locked.queue.pick(bar) {
                own.note_len(&locked);
                locked.run(cpu, &thread);
                self.not_idle(cpu);
                return Decision::Run(thread);
            }
            if bar != Bar::Any {
                locked.run(cpu, current);
                self.not_idle(cpu);
                return Decision::Keep;
            }
            locked.running = Running::NOTHING;
        }
        self.idle.fetch_or(CpuSet::only(cpu).bits(), Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let Some(thread) = self.steal(cpu) else { return Decision::Idle };
        self.not_idle(cpu);
        own.locked.lock_quietly().run(cpu, &thread);
        Decision::Run(thread)
    }

    /// Takes `cpu` out of the idle set: what was queued for it directly it finds without having been claimed.
    fn not_idle(&self, cpu: CpuId) {
        let bit = CpuSet::only(cpu).bits();
        if self.idle.load(Ordering::Relaxed) & bit != 0 {
            self.idle.fetch_and(!bit, Ordering::Relaxed);
        }
    }

    /// What becomes of `previous`, which `cpu` has just left for the thread that calls this. The caller acts on the
    /// placement; the thread, if nobody else has it, is freed here.
    #[must_use = "a CPU that is not poked does not know of its new thread"]
    pub fn finish_switch(&self, cpu: CpuId, previous: Arc<Thread<P>>, leaving: Leaving) -> Option<Placement> {
        if previous.class() == Class::Idle {
            return None;
        }
        match leaving {
            Leaving::Exited => None,
            Leaving::Blocked => {
                // Before `finish`: after it another CPU may run the thread.
                previous.forgive();
                match previous.park().finish() {
                    Finished::Asleep => None,
                    Finished::Queue => Some(self.make_runnable(previous)),
                }
            }
            Leaving::Preempted | Leaving::SliceOver | Leaving::Yielded => {
                if previous.affinity().contains(cpu) {
                    Some(self.queue_again(Some(cpu), previous).after_its_turn(cpu))
                } else {
                    Some(self.make_runnable(previous))
                }
            }
        }
    }

    /// Queues a thread that has run before: on `cpu`, or where [`make_runnable`](Self::make_runnable) says.
    fn queue_again(&self, cpu: Option<CpuId>, thread: Arc<Thread<P>>) -> Placement {
        let allowed = self.allowed(&thread);
        let cpu = cpu.unwrap_or_else(|| self.choose(allowed, Some(thread.last_cpu())));
        self.enqueue(cpu, allowed, thread)
    }

    /// Whether `cpu` idles, at some moment, and nobody has claimed it yet.
    pub fn is_idle(&self, cpu: CpuId) -> bool {
        CpuSet::from_bits(self.idle.load(Ordering::Relaxed)).contains(cpu)
    }

    /// How many threads wait in the queue of `cpu`, a moment ago.
    #[must_use]
    pub fn queued(&self, cpu: CpuId) -> u32 {
        self.cpus.of(cpu).queued.load(Ordering::Relaxed)
    }

    /// How many threads run or are queued, on all CPUs together.
    #[must_use]
    pub fn runnable(&self) -> u32 {
        let of = |cpu| {
            let locked = self.cpus.of(cpu).locked.lock_quietly();
            let runs = u32::from(locked.running != Running::NOTHING);
            locked.queue.len().saturating_add(runs)
        };
        self.online().iter().map(of).fold(0, u32::saturating_add)
    }

    fn bar(cpu: CpuId, current: &Thread<P>, leaving: Leaving) -> Bar {
        let must_go = || current.class() == Class::Idle || !current.affinity().contains(cpu);
        match leaving {
            Leaving::Blocked | Leaving::Exited => Bar::Any,
            _ if must_go() => Bar::Any,
            Leaving::Preempted => Bar::Better(current.level()),
            Leaving::SliceOver | Leaving::Yielded => Bar::NotWorse(current.level()),
        }
    }

    /// Puts the thread into the queue of `cpu`, one of those that are `allowed`.
    #[inline(always)]
    fn enqueue(&self, cpu: CpuId, allowed: CpuSet, thread: Arc<Thread<P>>) -> Placement {
        let target = self.cpus.of(cpu);
        let level = thread.level();
        let (poke, at_once) = {
            let mut locked = target.locked.lock_quietly();
            let alone = locked.queue.enqueue_at(level, thread);
            target.note_len(&locked);
            let running = locked.running;
            let poke = match alone {
                _ if Running::at(level) < running => Poke::Preempt,
                true => Poke::ArmSlice,
                false => Poke::Nothing,
            };
            (poke, alone && running == Running::NOTHING)
        };
        let thieves = allowed.without(cpu);
        if at_once || thieves.is_empty() {
            return Placement { cpu, poke, thief: None };
        }
        // The other half of the idle protocol: somebody may have gone idle since the CPU was chosen.
        fence(Ordering::SeqCst);
        Placement { cpu, poke, thief: self.claim(thieves, None) }
    }

    fn steal(&self, thief: CpuId) -> Option<Arc<Thread<P>>> {
        // From the next one on, so that thieves do not all begin at the same victim.
        let others = CpuId::all().skip(thief.index() + 1).chain(CpuId::all().take(thief.index()));
        others.map(|cpu| self.cpus.of(cpu)).filter(|victim| victim.queued.load(Ordering::Relaxed) > 0).find_map(
            |victim| {
                let mut locked = victim.locked.lock_quietly();
                let thread = locked.queue.steal(thief);
                victim.note_len(&locked);
                thread
            },
        )
    }

    /// The CPUs that the thread can be queued on: if it is bound to none that is online, any that is.
    #[inline]
    fn allowed(&self, thread: &Thread<P>) -> CpuSet {
        let online = self.online();
        let allowed = thread.affinity().and(online);
        if allowed.is_empty() { online } else { allowed }
    }

    /// The CPU for a thread that may be queued on those `allowed`: an idle one, which is claimed, or the least loaded.
    /// `preferred` among equals.
    #[inline]
    fn choose(&self, allowed: CpuSet, preferred: Option<CpuId>) -> CpuId {
        self.claim(allowed, preferred).unwrap_or_else(|| self.least_loaded(allowed, preferred))
    }

    /// Takes one of `candidates` out of the set of idle CPUs, `preferred` for choice.
    fn claim(&self, candidates: CpuSet, preferred: Option<CpuId>) -> Option<CpuId> {
        loop {
            let idle = CpuSet::from_bits(self.idle.load(Ordering::Relaxed)).and(candidates);
            let cpu = preferred.filter(|&cpu| idle.contains(cpu)).or(idle.first())?;
            let bit = CpuSet::only(cpu).bits();
            if self.idle.fetch_and(!bit, Ordering::Relaxed) & bit != 0 {
                return Some(cpu);
            }
        }
    }

    #[inline]
    fn least_loaded(&self, allowed: CpuSet, preferred: Option<CpuId>) -> CpuId {
        // No load is less than none, and where there is no choice none is made.
        if let Some(cpu) = preferred
            && self.queued(cpu) == 0
            && allowed.contains(cpu)
        {
            return cpu;
        }
        allowed.sole().unwrap_or_else(|| self.least_loaded_of_many(allowed, preferred))
    }

    fn least_loaded_of_many(&self, allowed: CpuSet, preferred: Option<CpuId>) -> CpuId {
        let load = |cpu: &CpuId| (self.queued(*cpu), Some(*cpu) != preferred);
        allowed.iter().min_by_key(load).expect("threads are queued after the first CPU came online")
    }
}

impl<P, C: Cpu> Default for Scheduler<P, C> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P, C: Cpu> CpuQueue<P, C> {
    #[cfg(not(loom))]
    const fn new() -> Self {
        Self { locked: IrqLock::new(Rank::RunQueue, Locked::new()), queued: AtomicU32::new(0) }
    }

    #[cfg(loom)]
    fn new() -> Self {
        Self { locked: IrqLock::new(Rank::RunQueue, Locked::new()), queued: AtomicU32::new(0) }
    }

    fn note_len(&self, locked: &Locked<P>) {
        self.queued.store(locked.queue.len(), Ordering::Relaxed);
    }
}

impl<P> Locked<P> {
    const fn new() -> Self {
        Self { queue: RunQueue::new(), running: Running::NOTHING }
    }

    fn run(&mut self, cpu: CpuId, thread: &Thread<P>) {
        thread.set_last_cpu(cpu);
        self.running = Running::of(thread);
    }
}

impl Running {
    const NOTHING: Self = Self(Level::WORST.number() + 1);

    const fn at(level: Level) -> Self {
        Self(level.number())
    }

    fn of<P>(thread: &Thread<P>) -> Self {
        match thread.class() {
            Class::Idle => Self::NOTHING,
            Class::Normal => Self::at(thread.level()),
        }
    }
}
