//! Promises: pages that programs may still ask for.
//!
//! A private writable page is promised when its range is mapped and costs a frame when it is written, maybe never. How
//! much may be promised is policy, and the policies are Linux's (`vm.overcommit_memory`).

use crate::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

/// How much may be promised.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Overcommit {
    /// Anything but a single promise that is obviously too large: more than the machine has.
    Heuristic = 0,
    /// Anything.
    Always = 1,
    /// Together no more than a part of the memory.
    Never = 2,
}

/// More has been promised than the policy allows. Nothing was counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OverCommitted;

/// What is promised of one machine's memory.
#[derive(Debug)]
pub struct Commitments {
    pages: AtomicU64,
    policy: AtomicU8,
    /// Of all memory, in percent, for [`Overcommit::Never`].
    ratio: AtomicU8,
}

impl Commitments {
    /// Nothing is promised yet, and the policy is [`Overcommit::Heuristic`].
    #[cfg(not(loom))]
    #[must_use]
    pub const fn new() -> Self {
        Self { pages: AtomicU64::new(0), policy: AtomicU8::new(Overcommit::Heuristic as u8), ratio: AtomicU8::new(50) }
    }

    /// Nothing is promised yet, and the policy is [`Overcommit::Heuristic`].
    #[cfg(loom)]
    #[must_use]
    pub fn new() -> Self {
        Self { pages: AtomicU64::new(0), policy: AtomicU8::new(Overcommit::Heuristic as u8), ratio: AtomicU8::new(50) }
    }

    /// How many pages are promised.
    #[must_use]
    pub fn pages(&self) -> u64 {
        self.pages.load(Relaxed)
    }

    /// The policy.
    #[must_use]
    pub fn policy(&self) -> Overcommit {
        match self.policy.load(Relaxed) {
            1 => Overcommit::Always,
            2 => Overcommit::Never,
            _ => Overcommit::Heuristic,
        }
    }

    /// Changes the policy for promises to come.
    pub fn set_policy(&self, policy: Overcommit) {
        self.policy.store(policy as u8, Relaxed);
    }

    /// How much of all memory may be promised under [`Overcommit::Never`], in percent.
    #[must_use]
    pub fn ratio(&self) -> u8 {
        self.ratio.load(Relaxed)
    }

    /// Changes that ratio.
    pub fn set_ratio(&self, percent: u8) {
        self.ratio.store(percent, Relaxed);
    }

    /// The most pages that may be promised under [`Overcommit::Never`], of `total`.
    #[must_use]
    pub fn limit(&self, total: u64) -> u64 {
        total / 100 * u64::from(self.ratio()) + total % 100 * u64::from(self.ratio()) / 100
    }

    /// Promises `pages` pages of the `total` that there are.
    pub fn charge(&self, pages: u64, total: u64) -> Result<(), OverCommitted> {
        let before = self.pages.fetch_add(pages, Relaxed);
        let fits = match self.policy() {
            Overcommit::Always => true,
            Overcommit::Heuristic => pages <= total,
            Overcommit::Never => before.saturating_add(pages) <= self.limit(total),
        };
        if fits {
            return Ok(());
        }
        self.uncharge(pages);
        Err(OverCommitted)
    }

    /// Promises `pages` pages once more, to a child that gets what its parent has. No part of it is larger than what was
    /// promised before, so only [`Overcommit::Never`] refuses.
    pub fn charge_again(&self, pages: u64, total: u64) -> Result<(), OverCommitted> {
        match self.policy() {
            Overcommit::Never => self.charge(pages, total),
            Overcommit::Heuristic | Overcommit::Always => {
                self.pages.fetch_add(pages, Relaxed);
                Ok(())
            }
        }
    }

    /// Takes a promise back.
    pub fn uncharge(&self, pages: u64) {
        let before = self.pages.fetch_sub(pages, Relaxed);
        debug_assert!(before >= pages, "a promise is taken back once");
    }
}

impl Default for Commitments {
    fn default() -> Self {
        Self::new()
    }
}
