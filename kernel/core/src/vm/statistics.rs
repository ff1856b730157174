//! How large an address space is.

/// Sizes in pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SpaceStatistics {
    /// Pages that tables map, those of zeroes and of files among them.
    pub resident: u64,
    /// The most pages that tables mapped at a time, as far back as the fork or exec that made the space.
    pub most_resident: u64,
    /// Pages of all areas.
    pub total: u64,
    /// Pages that are private and may be written, but for the stack.
    pub data: u64,
    /// Pages of areas that grow downwards.
    pub stack: u64,
    /// Pages that are locked.
    pub locked: u64,
}

/// How many pages the tables map. The most there ever were is looked at only where pages go, so that a fault adds and
/// nothing else.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Resident {
    now: u64,
    most_before: u64,
}

impl Resident {
    pub(super) const fn now(self) -> u64 {
        self.now
    }

    pub(super) fn most(self) -> u64 {
        self.now.max(self.most_before)
    }

    /// What a fork's child has: the same pages, and no past.
    pub(super) const fn for_fork(self) -> Self {
        Self { now: self.now, most_before: 0 }
    }

    pub(super) const fn add(&mut self, pages: u64) {
        self.now += pages;
    }

    pub(super) fn remove(&mut self, pages: u64) {
        self.most_before = self.most();
        self.now -= pages;
    }
}
