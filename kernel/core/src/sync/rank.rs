//! **The lock order of the kernel.** Locks are taken in ascending [`Rank`]; two of one rank are never held together,
//! but for the pairs that a [`SpinPair`](super::SpinPair) takes in the order of their addresses.
//!
//! Three bands, and why they stand in this order:
//!
//! 1. **Sleeping** locks may be held while the thread waits for a disk or for another process, so nothing that forbids
//!    sleeping may be held when one is taken. They belong to a *thread*, which carries its set of them.
//! 2. **Spin** locks ([`SpinLock`](super::SpinLock)) are never taken by interrupt handlers. A handler may interrupt
//!    their holder at any moment and take locks of the third band, so all of those must stand above.
//! 3. **Irq** locks ([`IrqLock`](super::IrqLock)) are shared with interrupt handlers.
//!
//! Within the third band the order follows from who calls whom. Who watches a file (`WatchList`) is looked up before anybody is
//! woken. A time-out or a device wakes a thread: `WaitQueue`,
//! `Timers`, `RunQueue`, in this order, and none of them allocates. An object cache or the heap takes frames when it is
//! empty: `ObjectPool`, `Heap`, `FrameAllocator`. Whoever draws random numbers or enables an interrupt line may hold any
//! of these; and a message or a trace record may be written by anybody: `Console`, `TraceRing` are last.
//!
//! Hence a rule that no rank can express: a driver that wakes a reader first gives back its own lock. The console
//! ring (`Console`) is above `WaitQueue`.
//!
//! Debug builds check each acquisition against [`Cpu::held_ranks`] *before* they spin, so a wrong order is a panic with
//! two names and not a machine that hangs once a week. A panic itself prints over a path that takes no lock, therefore
//! no lock can be forced open.

use core::marker::PhantomData;
use core::sync::atomic::Ordering::Relaxed;

use crate::hal::Cpu;

/// A lock's place in the order, below 64: one bit each in [`Cpu::held_ranks`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Rank {
    // ---- sleeping
    /// For tests: an outer sleeping lock.
    TestSleepOuter = 0,
    /// Which sets of watched files watch each other.
    Nesting,
    /// An open file's offset: held while the file is read or written, which may fault.
    FileOffset,
    /// What is in a pipe or a socket: held while bytes are copied, which may fault.
    Stream,
    /// A program's address space: areas and translation tables. Held across the paging of a file.
    AddressSpace,
    /// For tests: a sleeping lock taken under [`TestSleepOuter`](Self::TestSleepOuter).
    TestSleepInner,

    // ---- spin
    /// For tests: an outer spin lock.
    TestSpinOuter = 12,
    /// The process table: pids, parents and children, groups, sessions, states.
    ProcessTree,
    /// One process's small state: threads, pending signals, flags. Two of them are never locked together.
    Process,
    /// What several processes do about signals, if they share it.
    SignalActions,
    /// What a thread keeps for itself and others may ask for: its signals, its name.
    Thread,
    /// A table of file descriptors.
    FileTable,
    /// A process's working directory, root and file mode mask.
    FileContext,
    /// The files of a set of watched files.
    Epoll,
    /// What a kernel object of a file system guards for itself: cached pages, device state.
    FileObject,
    /// A terminal: its settings, what was typed. Hung up with the process tree locked.
    Terminal,
    /// The threads that wait on the futexes of one bucket.
    FutexBucket,
    /// The frames of memory that several programs share.
    SharedMemory,
    /// The list of all kernel threads.
    Threads,
    /// What a new thread shall run.
    ThreadStart,
    /// Which address-space identifiers are taken.
    Asids,
    /// The hardware random number generator: a word may take milliseconds, but interrupts are on.
    RandomHardware,
    /// The mailbox to firmware and its buffer: one question at a time.
    Firmware,
    /// For tests: a spin lock taken under any other.
    TestSpinInner,

    // ---- irq
    /// For tests: an irq lock below all others of its band.
    TestIrqOuter = 36,
    /// What is told as statistics: load averages, a CPU's times. Nothing is taken under it.
    Statistics,
    /// Who watches a file. Held to look one up; watchers are told without it.
    WatchList,
    /// What is ready in a set of watched files.
    ReadyList,
    /// What is asked of one of its files.
    EpollItem,
    /// The threads waiting for one event. Held for a push or a pop.
    WaitQueue,
    /// A CPU's timers. Held to insert, remove or take out what is due; actions run without it.
    Timers,
    /// A CPU's runnable threads. Two of them are never locked together: a thief looks at one queue at a time.
    RunQueue,
    /// The kernel's own translation tables: windows and stacks come and go. New tables take frames. An irq lock, for the
    /// last reference to an ended thread, and with it its stack, may be dropped by an interrupt handler.
    KernelMap,
    /// Which slots of the kernel stacks' region are taken; as `KernelMap`.
    KernelStacks,
    /// A cache of equal-sized objects; takes frames when it is empty.
    ObjectPool,
    /// The kernel heap.
    Heap,
    /// The free lists of physical memory. Takes nothing.
    FrameAllocator,
    /// The entropy pool and the root generator.
    Random,
    /// The table of interrupt handlers. A handler runs without it.
    Irq,
    /// The console's rings and its UART.
    Console,
    /// A trace ring: records are written under any other lock.
    TraceRing,
    /// For tests: an irq lock above all others.
    TestIrqInner = 63,
}

/// Which kind of lock a rank is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Band {
    /// Held across sleep, by a thread.
    Sleeping,
    /// Held with preemption off; unknown to interrupt handlers.
    Spin,
    /// Held with interrupts masked.
    Irq,
}

impl Rank {
    /// The kind of lock that this rank is for.
    #[must_use]
    pub const fn band(self) -> Band {
        match self as u8 {
            0..12 => Band::Sleeping,
            12..36 => Band::Spin,
            _ => Band::Irq,
        }
    }

    /// The name, as messages show it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TestSleepOuter => "test sleep outer",
            Self::Nesting => "nesting",
            Self::FileOffset => "file offset",
            Self::Stream => "stream",
            Self::AddressSpace => "address space",
            Self::TestSleepInner => "test sleep inner",
            Self::TestSpinOuter => "test spin outer",
            Self::ProcessTree => "process tree",
            Self::Process => "process",
            Self::SignalActions => "signal actions",
            Self::Thread => "thread",
            Self::FileTable => "file table",
            Self::FileContext => "file context",
            Self::Epoll => "epoll",
            Self::FileObject => "file object",
            Self::Terminal => "terminal",
            Self::FutexBucket => "futex bucket",
            Self::SharedMemory => "shared memory",
            Self::Threads => "threads",
            Self::ThreadStart => "thread start",
            Self::Asids => "asids",
            Self::KernelMap => "kernel map",
            Self::KernelStacks => "kernel stacks",
            Self::RandomHardware => "random hardware",
            Self::Firmware => "firmware",
            Self::TestSpinInner => "test spin inner",
            Self::TestIrqOuter => "test irq outer",
            Self::Statistics => "statistics",
            Self::WatchList => "watch list",
            Self::ReadyList => "ready list",
            Self::EpollItem => "epoll item",
            Self::WaitQueue => "wait queue",
            Self::Timers => "timers",
            Self::RunQueue => "run queue",
            Self::ObjectPool => "object pool",
            Self::Heap => "heap",
            Self::FrameAllocator => "frame allocator",
            Self::Random => "random",
            Self::Irq => "irq",
            Self::Console => "console",
            Self::TraceRing => "trace ring",
            Self::TestIrqInner => "test irq inner",
        }
    }

    /// Every rank, in order.
    pub const ALL: [Self; 42] = [
        Self::TestSleepOuter,
        Self::Nesting,
        Self::FileOffset,
        Self::Stream,
        Self::AddressSpace,
        Self::TestSleepInner,
        Self::TestSpinOuter,
        Self::ProcessTree,
        Self::Process,
        Self::SignalActions,
        Self::Thread,
        Self::FileTable,
        Self::FileContext,
        Self::Epoll,
        Self::FileObject,
        Self::Terminal,
        Self::FutexBucket,
        Self::SharedMemory,
        Self::Threads,
        Self::ThreadStart,
        Self::Asids,
        Self::RandomHardware,
        Self::Firmware,
        Self::TestSpinInner,
        Self::TestIrqOuter,
        Self::Statistics,
        Self::WatchList,
        Self::ReadyList,
        Self::EpollItem,
        Self::WaitQueue,
        Self::Timers,
        Self::RunQueue,
        Self::KernelMap,
        Self::KernelStacks,
        Self::ObjectPool,
        Self::Heap,
        Self::FrameAllocator,
        Self::Random,
        Self::Irq,
        Self::Console,
        Self::TraceRing,
        Self::TestIrqInner,
    ];

    /// The rank's bit in a set of held ranks.
    #[must_use]
    pub const fn bit(self) -> u64 {
        1 << self as u8
    }

    /// The highest rank in a set of bits, if there is any.
    #[must_use]
    pub fn highest(held: u64) -> Option<Self> {
        Self::ALL.into_iter().rev().find(|rank| held & rank.bit() != 0)
    }

    /// Checks that a lock of this rank may be taken while `held` (a bit a rank) are.
    ///
    /// # Panics
    ///
    /// When a rank at or above this one is held: the broken invariant is the lock order.
    pub fn check_order(self, held: u64) {
        if let Some(highest) = Self::highest(held)
            && highest >= self
        {
            panic!("lock order: {} taken while {} is held", self.name(), highest.name());
        }
    }
}

/// Checks in a debug build that this CPU holds no spin or irq lock but, if given, `except`: where a thread goes to sleep
/// or back to user code.
///
/// # Panics
///
/// When one is held; the message names it.
pub fn assert_none_held<C: Cpu>(except: Option<Rank>) {
    if cfg!(debug_assertions) {
        // Whoever moved between finding the word and reading it would see what another thread holds.
        let state = C::irq_save();
        let held = C::held_ranks().load(Relaxed) & !except.map_or(0, Rank::bit);
        C::irq_restore_only(state);
        if let Some(rank) = Rank::highest(held) {
            panic!("lock {} is held across a sleep", rank.name());
        }
    }
}

/// What a lock remembers of its rank: in a debug build the rank, in a release build nothing, so that there a lock around
/// zeroes is all zeroes, and a static one takes no room in the kernel's image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RankNote {
    #[cfg(debug_assertions)]
    rank: Rank,
}

impl RankNote {
    /// The note of this rank.
    #[must_use]
    pub const fn new(rank: Rank) -> Self {
        #[cfg(not(debug_assertions))]
        let _ = rank;
        Self {
            #[cfg(debug_assertions)]
            rank,
        }
    }

    /// The rank, in a debug build.
    #[must_use]
    pub const fn get(self) -> Option<Rank> {
        #[cfg(debug_assertions)]
        let noted = Some(self.rank);
        #[cfg(not(debug_assertions))]
        let noted = None;
        noted
    }
}

/// The note, in a debug build, that this CPU holds a lock of some rank. Made while the caller cannot move.
pub(super) struct Held<C: Cpu> {
    rank: RankNote,
    cpu: PhantomData<*mut C>,
}

impl<C: Cpu> Held<C> {
    /// Checks the order and notes `rank`.
    pub(super) fn note(rank: RankNote) -> Self {
        if let Some(rank) = rank.get() {
            // An interrupt between the two accesses leaves the word as it found it.
            let held = C::held_ranks();
            rank.check_order(held.load(Relaxed));
            held.fetch_or(rank.bit(), Relaxed);
        }
        Self { rank, cpu: PhantomData }
    }
}

impl<C: Cpu> Drop for Held<C> {
    fn drop(&mut self) {
        if let Some(rank) = self.rank.get() {
            C::held_ranks().fetch_and(!rank.bit(), Relaxed);
        }
    }
}
