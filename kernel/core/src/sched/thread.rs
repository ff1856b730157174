//! What is scheduled.

use alloc::sync::Arc;
use core::fmt;
// Accounting, and hints that may be a moment old: no ordering is built on these. `Parker` is what is.
use core::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

use intrusive_collections::LinkedListAtomicLink;

use super::level::{Level, Priority};
use super::park::Parker;
use crate::addr::{CpuId, CpuSet};
use crate::sync::Rank;
use crate::util::place::arc_with;

/// The most levels that its own CPU use can cost a thread: enough that one at [`Priority::DEFAULT`] falls behind every
/// interactive one, too few to make `nice` meaningless among those that only compute.
const MAX_PENALTY: u8 = 8;

/// A thread's number, as programs see it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Tid(pub u32);

impl fmt::Display for Tid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The most bytes of a thread's name, as Linux's `comm` has them.
const NAME_BYTES: usize = 15;

/// A thread's name: up to 15 bytes. What is longer is cut at a character.
///
/// Every fork copies a few of them. Aligned as it is, a copy is a pair of loads and one of stores.
#[derive(Clone, PartialEq, Eq, Default)]
#[repr(align(8))]
pub struct ThreadName {
    /// The text, and zeroes behind it.
    text: [u8; NAME_BYTES],
    len: u8,
}

impl ThreadName {
    /// The name, cut to what fits.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let cut = name.floor_char_boundary(NAME_BYTES);
        let mut text = [0; NAME_BYTES];
        text[..cut].copy_from_slice(&name.as_bytes()[..cut]);
        let [len, ..] = cut.to_le_bytes();
        Self { text, len }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let text = &self.text[..usize::from(self.len)];
        core::str::from_utf8(text).expect("only whole characters are stored")
    }
}

impl From<&str> for ThreadName {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

impl fmt::Debug for ThreadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ThreadName").field(&self.as_str()).finish()
    }
}

/// How a thread competes for its CPU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// It runs when nothing else does, and is in no queue ever. One a CPU.
    Idle,
    /// By its level.
    Normal,
}

/// The CPU set would have left the thread nowhere to run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EmptyAffinity;

/// A thread, as the scheduler sees it. The payload `P` is what the machine and the process know of it.
///
/// **Level.** The base priority plus a penalty: one level for each time slice used up, at most eight. A thread that
/// blocks has half of its penalty forgiven. This is OpenBSD's `p_estcpu` without the clock that decays it once a second:
/// this kernel has no periodic tick.
pub struct Thread<P> {
    id: Tid,
    name: ThreadName,
    class: Class,
    park: Parker,
    base: AtomicU8,
    affinity: AtomicU8,
    last_cpu: AtomicU8,
    /// Written by the CPU that runs the thread.
    penalty: AtomicU8,
    /// Written by the CPU that runs the thread.
    cpu_time_ns: AtomicU64,
    /// How much of its time slice is gone. Written by the CPU that runs the thread.
    slice_used_ns: AtomicU64,
    /// The sleeping locks that it holds, a bit a rank. Written by the thread itself, in debug builds.
    pub(super) sleep_ranks: AtomicU64,
    /// Belongs to the run queue that the thread is in.
    pub(super) run_link: LinkedListAtomicLink,
    /// Belongs to the wait queue that the thread is in.
    pub(super) wait_link: LinkedListAtomicLink,
    payload: P,
}

impl<P> Thread<P> {
    /// A thread that may run on every CPU. It is in no queue yet: `Scheduler::start` puts it into one.
    #[inline]
    pub fn new(id: Tid, name: impl Into<ThreadName>, priority: Priority, payload: P) -> Arc<Self> {
        arc_with(|| Self::with_class(id, name.into(), Class::Normal, priority, payload))
    }

    /// The idle thread of `cpu`.
    pub fn idle(id: Tid, name: impl Into<ThreadName>, cpu: CpuId, payload: P) -> Arc<Self> {
        let thread = Self::with_class(id, name.into(), Class::Idle, Priority::WORST, payload);
        thread.affinity.store(CpuSet::only(cpu).bits(), Relaxed);
        thread.set_last_cpu(cpu);
        Arc::new(thread)
    }

    #[inline]
    fn with_class(id: Tid, name: ThreadName, class: Class, priority: Priority, payload: P) -> Self {
        Self {
            id,
            name,
            class,
            park: Parker::new(),
            base: AtomicU8::new(priority.get()),
            affinity: AtomicU8::new(CpuSet::ALL.bits()),
            last_cpu: AtomicU8::new(0),
            penalty: AtomicU8::new(0),
            cpu_time_ns: AtomicU64::new(0),
            slice_used_ns: AtomicU64::new(0),
            sleep_ranks: AtomicU64::new(0),
            run_link: LinkedListAtomicLink::new(),
            wait_link: LinkedListAtomicLink::new(),
            payload,
        }
    }

    /// Its number.
    pub fn id(&self) -> Tid {
        self.id
    }

    /// Its name.
    pub fn name(&self) -> &ThreadName {
        &self.name
    }

    /// How it competes.
    pub fn class(&self) -> Class {
        self.class
    }

    /// Its steps to sleep and back.
    pub fn park(&self) -> &Parker {
        &self.park
    }

    /// What the machine and the process know of it.
    pub fn payload(&self) -> &P {
        &self.payload
    }

    /// Its base priority.
    pub fn priority(&self) -> Priority {
        Priority::known(self.base.load(Relaxed))
    }

    /// Changes the base priority. A thread that is queued keeps its place until it has run.
    pub fn set_priority(&self, priority: Priority) {
        self.base.store(priority.get(), Relaxed);
    }

    /// The level that it is queued at.
    pub fn level(&self) -> Level {
        self.priority().level(self.penalty.load(Relaxed))
    }

    /// Lets a new thread compete as `parent` does: the same priority, the same CPUs, and what the parent's use of the CPU
    /// costs it counts against the new one, too (OpenBSD copies `p_estcpu`). So a fork is no way to a fresh start, and the
    /// child does not take the CPU from its parent.
    pub fn inherit(&self, parent: &Self) {
        self.base.store(parent.base.load(Relaxed), Relaxed);
        self.affinity.store(parent.affinity.load(Relaxed), Relaxed);
        self.penalty.store(parent.penalty.load(Relaxed), Relaxed);
    }

    /// The CPUs that it may run on.
    pub fn affinity(&self) -> CpuSet {
        CpuSet::from_bits(self.affinity.load(Relaxed))
    }

    /// Binds it to `cpus`. A thread that runs or is queued elsewhere moves the next time it leaves its CPU; the caller
    /// pokes that CPU if this is not to wait for the end of a slice.
    ///
    /// # Errors
    ///
    /// [`EmptyAffinity`] for the empty set.
    pub fn set_affinity(&self, cpus: CpuSet) -> Result<(), EmptyAffinity> {
        if cpus.is_empty() {
            return Err(EmptyAffinity);
        }
        self.affinity.store(cpus.bits(), Relaxed);
        Ok(())
    }

    /// The CPU that it runs on or ran on last.
    pub fn last_cpu(&self) -> CpuId {
        CpuId::known(self.last_cpu.load(Relaxed))
    }

    /// How long it has run, in nanoseconds, up to the last [`charge`](super::Scheduler::charge).
    pub fn cpu_time_ns(&self) -> u64 {
        self.cpu_time_ns.load(Relaxed)
    }

    pub(super) fn set_last_cpu(&self, cpu: CpuId) {
        let [number, ..] = cpu.index().to_le_bytes();
        self.last_cpu.store(number, Relaxed);
    }

    pub(super) fn slice_used_ns(&self) -> u64 {
        self.slice_used_ns.load(Relaxed)
    }

    /// Adds `ran_ns` to its time and returns what is left of its slice of `slice_ns`, if that completed none.
    #[inline]
    pub(crate) fn account(&self, ran_ns: u64, slice_ns: u64) -> Option<u64> {
        self.cpu_time_ns.store(self.cpu_time_ns().saturating_add(ran_ns), Relaxed);
        let used = self.slice_used_ns().saturating_add(ran_ns);
        if used < slice_ns {
            self.slice_used_ns.store(used, Relaxed);
            return Some(slice_ns - used);
        }
        self.end_slices(used, slice_ns);
        None
    }

    /// So much of its time is used: a slice or more.
    fn end_slices(&self, used: u64, slice_ns: u64) {
        let slices = used / slice_ns;
        self.slice_used_ns.store(used % slice_ns, Relaxed);
        let penalty = u64::from(self.penalty.load(Relaxed)).saturating_add(slices);
        self.penalty.store(u8::try_from(penalty).unwrap_or(u8::MAX).min(MAX_PENALTY), Relaxed);
    }

    /// It blocks of its own will: a fresh slice when it comes back, and half of its penalty forgiven.
    pub(super) fn forgive(&self) {
        self.slice_used_ns.store(0, Relaxed);
        self.penalty.store(self.penalty.load(Relaxed) / 2, Relaxed);
    }

    /// Notes, in a debug build, that the thread takes a sleeping lock.
    ///
    /// # Panics
    ///
    /// When that breaks the lock order.
    pub(super) fn note_sleeping_lock(&self, rank: Rank) {
        rank.check_order(self.sleep_ranks.load(Relaxed));
        self.sleep_ranks.fetch_or(rank.bit(), Relaxed);
    }

    /// Takes that note back.
    pub(super) fn forget_sleeping_lock(&self, rank: Rank) {
        self.sleep_ranks.fetch_and(!rank.bit(), Relaxed);
    }
}

impl<P> fmt::Debug for Thread<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "thread {} ({}), {:?}, level {}",
            self.id,
            self.name.as_str(),
            self.park.state(),
            self.level().index()
        )
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_cut_at_the_last_character_that_fits_whole() {
        assert_eq!(ThreadName::new("").as_str(), "");
        assert_eq!(ThreadName::new("fifteen letters").as_str(), "fifteen letters");
        assert_eq!(ThreadName::new("fifteen letters and more").as_str(), "fifteen letters");
        assert_eq!(ThreadName::new("fourteen bytes\u{e4}").as_str(), "fourteen bytes", "half a letter is none");
        assert_eq!(ThreadName::new("thirteen byte\u{e4}").as_str(), "thirteen byte\u{e4}");
    }

    #[test]
    fn names_are_the_same_whatever_they_were_cut_from() {
        assert_eq!(ThreadName::new("a name, and the rest"), ThreadName::new("a name, and the"));
        assert_ne!(ThreadName::new("a"), ThreadName::new("a\0"), "a zero is a character");
    }
}
