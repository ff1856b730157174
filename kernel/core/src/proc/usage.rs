//! What a process has used.

#[cfg(all(test, not(loom)))]
mod tests;

/// `times(2)` counts in this many ticks a second.
pub const TICKS_PER_SECOND: u64 = 100;

const NS_PER_SECOND: u64 = 1_000_000_000;
const NS_PER_TICK: u64 = NS_PER_SECOND / TICKS_PER_SECOND;
const NS_PER_MICROSECOND: u64 = 1_000;

/// What a thread or a process has used so far. Sums saturate.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    /// Processor time in user mode, in nanoseconds.
    pub user_ns: u64,
    /// Processor time in the kernel, in nanoseconds.
    pub system_ns: u64,
    /// The most memory that was resident at a time, in KiB.
    pub max_resident_kib: u64,
    /// Faults answered without input or output.
    pub minor_faults: u64,
    /// Faults that had to wait for it.
    pub major_faults: u64,
    /// Blocks read.
    pub blocks_in: u64,
    /// Blocks written.
    pub blocks_out: u64,
    /// Signals taken.
    pub signals: u64,
    /// How often it gave up the processor.
    pub voluntary_switches: u64,
    /// How often the processor was taken from it.
    pub involuntary_switches: u64,
}

impl Usage {
    /// The size of `struct rusage`.
    pub const BYTES: usize = 144;

    /// Nothing.
    pub const ZERO: Self = Self {
        user_ns: 0,
        system_ns: 0,
        max_resident_kib: 0,
        minor_faults: 0,
        major_faults: 0,
        blocks_in: 0,
        blocks_out: 0,
        signals: 0,
        voluntary_switches: 0,
        involuntary_switches: 0,
    };

    /// Takes up what another thread, or a child and its children, used. Of resident memory the larger counts: they had
    /// it one after the other, or shared it.
    pub fn add(&mut self, other: &Self) {
        let sum = |mine: &mut u64, other: u64| *mine = mine.saturating_add(other);
        sum(&mut self.user_ns, other.user_ns);
        sum(&mut self.system_ns, other.system_ns);
        self.max_resident_kib = self.max_resident_kib.max(other.max_resident_kib);
        sum(&mut self.minor_faults, other.minor_faults);
        sum(&mut self.major_faults, other.major_faults);
        sum(&mut self.blocks_in, other.blocks_in);
        sum(&mut self.blocks_out, other.blocks_out);
        sum(&mut self.signals, other.signals);
        sum(&mut self.voluntary_switches, other.voluntary_switches);
        sum(&mut self.involuntary_switches, other.involuntary_switches);
    }

    /// As the program's `struct rusage`. What this kernel does not count is 0, as it is on Linux.
    #[must_use]
    pub fn to_linux(&self) -> [u8; Self::BYTES] {
        let [user, system] = [self.user_ns, self.system_ns].map(timeval);
        let words: [u64; Self::BYTES / 8] = [
            user.0,
            user.1,
            system.0,
            system.1,
            self.max_resident_kib,
            0, // shared memory
            0, // unshared data
            0, // unshared stack
            self.minor_faults,
            self.major_faults,
            0, // swaps
            self.blocks_in,
            self.blocks_out,
            0, // messages sent
            0, // messages received
            self.signals,
            self.voluntary_switches,
            self.involuntary_switches,
        ];
        bytes_of(&words)
    }

    /// Processor time in user mode, in ticks.
    #[must_use]
    pub const fn user_ticks(&self) -> i64 {
        ticks(self.user_ns)
    }

    /// Processor time in the kernel, in ticks.
    #[must_use]
    pub const fn system_ticks(&self) -> i64 {
        ticks(self.system_ns)
    }
}

/// `struct tms` of a process that used `own` and whose children, as far as waited for, used `children`.
#[must_use]
pub fn tms(own: &Usage, children: &Usage) -> [u8; 32] {
    bytes_of(&[own.user_ns, own.system_ns, children.user_ns, children.system_ns].map(|ns| ns / NS_PER_TICK))
}

/// `ns` in ticks of `times(2)`, rounded down.
#[must_use]
pub const fn ticks(ns: u64) -> i64 {
    (ns / NS_PER_TICK).cast_signed()
}

/// `ns` in seconds and microseconds, rounded down.
#[must_use]
pub const fn timeval(ns: u64) -> (u64, u64) {
    (ns / NS_PER_SECOND, ns % NS_PER_SECOND / NS_PER_MICROSECOND)
}

/// Words as programs see them.
fn bytes_of<const BYTES: usize, const WORDS: usize>(words: &[u64; WORDS]) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}
