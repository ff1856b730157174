//! Priorities and the levels of a run queue.

/// Number of levels, a bit each in one word; OpenBSD has as many queues (`SCHED_NQS`), for the same reason.
pub const LEVELS: usize = 32;

/// What a thread is worth before its use of the CPU is held against it: 0 is best, 31 worst.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Priority(u8);

impl Priority {
    /// Of threads that serve others: writers-back, network and the like.
    pub const KERNEL: Self = Self(4);
    /// Of a program that asked for nothing (nice 0).
    pub const DEFAULT: Self = Self(12);
    /// The worst.
    pub const WORST: Self = Self(31);

    /// Priority `raw`, or `None` above [`WORST`](Self::WORST).
    #[must_use]
    pub const fn new(raw: u8) -> Option<Self> {
        if raw <= Self::WORST.0 { Some(Self(raw)) } else { None }
    }

    /// Priority `raw`, which comes from a `Priority` by way of a place that holds numbers only.
    pub(super) const fn known(raw: u8) -> Self {
        debug_assert!(raw <= Self::WORST.0, "no priority has this number");
        Self(raw)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// Where a thread with this priority stands after it used up `penalty` slices in a row.
    #[must_use]
    pub(super) const fn level(self, penalty: u8) -> Level {
        let sum = self.0.saturating_add(penalty);
        Level(if sum < Self::WORST.0 { sum } else { Self::WORST.0 })
    }
}

/// A level of a run queue, below [`LEVELS`]; 0 is best.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Level(u8);

impl Level {
    /// The worst level.
    pub(super) const WORST: Self = Self(Priority::WORST.0);

    /// The level's number as an index.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The level's number.
    pub(super) const fn number(self) -> u8 {
        self.0
    }

    /// The level's bit in a word of levels.
    pub(super) const fn bit(self) -> u32 {
        1 << self.0
    }

    /// The first level in `occupied` from this one on, going round at the end.
    pub(super) fn first_from(self, occupied: u32) -> Option<Self> {
        if occupied == 0 {
            return None;
        }
        let distance = occupied.rotate_right(u32::from(self.0)).trailing_zeros();
        Some(Self(Self::wrapped(u32::from(self.0) + distance)))
    }

    /// The next level, going round at the end.
    pub(super) fn after(self) -> Self {
        Self(Self::wrapped(u32::from(self.0) + 1))
    }

    /// The best level in `occupied`.
    pub(super) fn best(occupied: u32) -> Option<Self> {
        Self(0).first_from(occupied)
    }

    fn wrapped(number: u32) -> u8 {
        let [low, ..] = (number % 32).to_le_bytes();
        low
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_for_an_occupied_level_goes_round() {
        let occupied = Level(3).bit() | Level(20).bit();
        assert_eq!(Level(3).first_from(occupied), Some(Level(3)));
        assert_eq!(Level(3).after().first_from(occupied), Some(Level(20)));
        assert_eq!(Level(31).after().first_from(occupied), Some(Level(3)));
        assert_eq!(Level(21).first_from(occupied), Some(Level(3)));
        assert_eq!(Level(0).first_from(0), None);
    }

    #[test]
    fn a_penalty_never_leaves_the_scale() {
        assert_eq!(Priority::WORST.level(u8::MAX).index(), LEVELS - 1);
        assert_eq!(Priority::new(32), None);
    }
}
