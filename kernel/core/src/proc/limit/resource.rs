//! What can be limited.

use super::{INFINITY, Limit, Limits};

/// A resource, with Linux's number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Resource {
    /// Processor time, in seconds.
    Cpu = 0,
    /// The size of a file that it writes, in bytes.
    FileSize,
    /// Its data segment, in bytes.
    Data,
    /// Its stack, in bytes.
    Stack,
    /// The size of what is kept of its memory, in bytes.
    Core,
    /// Its resident memory, in bytes; not enforced.
    Rss,
    /// The processes of its real user.
    Processes,
    /// One more than the highest file descriptor.
    OpenFiles,
    /// Locked memory, in bytes.
    LockedMemory,
    /// Its address space, in bytes.
    AddressSpace,
    /// File locks.
    Locks,
    /// Queued real-time signals.
    SignalsPending,
    /// Message queues, in bytes.
    MessageQueue,
    /// How far it may lower its nice value: to 20 less than this.
    Nice,
    /// Real-time priority.
    RealTimePriority,
    /// Processor time of a real-time thread between two sleeps, in microseconds.
    RealTimeTime,
}

impl Resource {
    /// How many there are.
    pub const COUNT: usize = 16;

    /// All of them, by number.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Cpu,
        Self::FileSize,
        Self::Data,
        Self::Stack,
        Self::Core,
        Self::Rss,
        Self::Processes,
        Self::OpenFiles,
        Self::LockedMemory,
        Self::AddressSpace,
        Self::Locks,
        Self::SignalsPending,
        Self::MessageQueue,
        Self::Nice,
        Self::RealTimePriority,
        Self::RealTimeTime,
    ];

    /// By Linux's number.
    #[must_use]
    pub fn new(number: u32) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }

    /// What the first process gets.
    pub(super) fn initial(self, max_processes: u64) -> Limit {
        const MIB: u64 = 1 << 20;
        match self {
            Self::Stack => Limit { soft: 8 * MIB, hard: INFINITY },
            // Nothing is kept unless asked for.
            Self::Core => Limit { soft: 0, hard: INFINITY },
            Self::Processes => Limit { soft: Limits::USER_PROCESSES.min(max_processes), hard: max_processes },
            Self::OpenFiles => Limit { soft: 1024, hard: 4096 },
            Self::LockedMemory => Limit::both(8 * MIB),
            // Each is kernel memory.
            Self::SignalsPending => Limit::both(1024),
            Self::MessageQueue => Limit::both(819_200),
            // A right that one has to be given.
            Self::Nice | Self::RealTimePriority => Limit::both(0),
            Self::Cpu
            | Self::FileSize
            | Self::Data
            | Self::Rss
            | Self::AddressSpace
            | Self::Locks
            | Self::RealTimeTime => Limit::INFINITE,
        }
    }
}
