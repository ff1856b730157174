//! How often a lock was found taken. Counted by who waits, so that an open lock costs nothing more; it is one number for all
//! locks, for in a release build a lock does not know what it guards.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

static WAITS: AtomicU64 = AtomicU64::new(0);
static SPINS: AtomicU64 = AtomicU64::new(0);

/// What was waited for locks that spin, since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Contention {
    /// How often one was found taken.
    pub waits: u64,
    /// How many looks it took until they were open, all together.
    pub spins: u64,
}

/// What was waited for locks until now.
#[must_use]
pub fn contention() -> Contention {
    Contention { waits: WAITS.load(Relaxed), spins: SPINS.load(Relaxed) }
}

/// A lock was found taken, and open after so many looks.
pub(super) fn note_wait(spins: u64) {
    WAITS.fetch_add(1, Relaxed);
    SPINS.fetch_add(spins, Relaxed);
}
