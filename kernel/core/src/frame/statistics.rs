//! Where memory is, in frames.

use super::kind::FrameUse;
use crate::addr::MAX_CPUS;

/// A look at the allocator's books. All numbers are frames but the last.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Statistics {
    /// Frames that have a record; those not in [`total`](Self::total) are holes, or firmware's.
    pub described: u64,
    /// Frames handed over.
    pub total: u64,
    /// Free in the buddy's lists.
    pub free: u64,
    /// Free and at hand, by CPU.
    pub cached: [u64; MAX_CPUS],
    pub(super) by_use: [u32; FrameUse::COUNT],
    /// How often something was given back that was not in use.
    pub refused: u32,
}

impl Statistics {
    /// Frames in use for `kind`.
    #[must_use]
    pub fn used_for(&self, kind: FrameUse) -> u64 {
        self.by_use[kind.index()].into()
    }

    /// Frames in use.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.by_use.iter().copied().map(u64::from).sum()
    }

    /// Frames that an allocation can still get, one by one.
    #[must_use]
    pub fn available(&self) -> u64 {
        self.free + self.cached.iter().sum::<u64>()
    }

    /// Frames without a user that were never handed over.
    #[must_use]
    pub fn reserved(&self) -> u64 {
        self.described - self.total
    }

    /// Frames whose whereabouts are known; equal to [`total`](Self::total) when nobody allocates meanwhile.
    #[must_use]
    pub fn accounted(&self) -> u64 {
        self.available() + self.used()
    }
}
