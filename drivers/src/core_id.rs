//! The cores as interrupt controllers number them. Both boards have four.

/// How many cores a board has.
pub const CORES: usize = 4;

/// One core, by number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Core(u8);

impl Core {
    /// Core `number`, or `None` from [`CORES`] on.
    #[must_use]
    pub const fn new(number: usize) -> Option<Self> {
        match number {
            0 => Some(Self(0)),
            1 => Some(Self(1)),
            2 => Some(Self(2)),
            3 => Some(Self(3)),
            _ => None,
        }
    }

    /// The core's number, an index below [`CORES`].
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The core's number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Every core, in order.
    pub fn all() -> impl DoubleEndedIterator<Item = Self> {
        (0..CORES).filter_map(Self::new)
    }
}

/// A set of cores, bit n standing for core n.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CoreMask(u8);

impl CoreMask {
    /// No core.
    pub const EMPTY: Self = Self(0);
    /// All cores.
    pub const ALL: Self = Self((1 << CORES) - 1);

    /// Just `core`.
    #[must_use]
    pub const fn only(core: Core) -> Self {
        Self(1 << core.0)
    }

    /// Bit n stands for core n; bits from [`CORES`] on are dropped.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & Self::ALL.0)
    }

    /// Bit n stands for core n.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_no_fifth_core() {
        assert_eq!(Core::new(3).map(Core::index), Some(3));
        assert_eq!(Core::new(4), None);
        assert_eq!(Core::all().count(), CORES);
        assert_eq!(CoreMask::from_bits(0xff), CoreMask::ALL);
    }
}
