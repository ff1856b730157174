//! The size of a block of frames.

use crate::addr::PAGE_SIZE;

/// The order of the largest block: 2^10 frames, 4 MiB. A framebuffer or a 2 MiB mapping fits, and more would only
/// lengthen the joining.
pub const MAX_ORDER: usize = Order::MAX.index();

/// Binary logarithm of a block's number of frames, at most [`MAX_ORDER`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(transparent)]
pub struct Order(u8);

impl Order {
    /// One frame, 4 KiB.
    pub const SINGLE: Self = Self(0);
    /// The largest block.
    pub const MAX: Self = Self(10);

    /// Blocks of 2^`log2` frames, or `None` beyond the largest.
    #[must_use]
    pub const fn new(log2: u8) -> Option<Self> {
        if log2 <= Self::MAX.0 { Some(Self(log2)) } else { None }
    }

    /// The smallest block that holds `bytes`, or `None` where none does.
    #[must_use]
    pub const fn for_bytes(bytes: usize) -> Option<Self> {
        let mut order = Self::SINGLE;
        while order.bytes() < bytes {
            let Some(next) = Self::new(order.0 + 1) else { return None };
            order = next;
        }
        Some(order)
    }

    /// The logarithm itself.
    #[must_use]
    pub const fn log2(self) -> u8 {
        self.0
    }

    /// The logarithm as an index of arrays with `MAX_ORDER + 1` elements.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// How many frames a block has.
    #[must_use]
    pub const fn frames(self) -> u32 {
        1 << self.0
    }

    /// How many bytes a block has.
    #[must_use]
    pub const fn bytes(self) -> usize {
        PAGE_SIZE << self.0
    }

    /// Half of this block, or `None` for a single frame.
    #[must_use]
    pub const fn half(self) -> Option<Self> {
        match self.0.checked_sub(1) {
            Some(log2) => Some(Self(log2)),
            None => None,
        }
    }

    /// Two of this block, or `None` for the largest.
    #[must_use]
    pub const fn double(self) -> Option<Self> {
        Self::new(self.0 + 1)
    }

    /// The largest block that begins at frame `number` by alignment and has at most `limit` frames; `limit` is not 0.
    #[must_use]
    pub fn largest_at(number: u32, limit: u32) -> Self {
        debug_assert!(limit > 0);
        let log2 = number.trailing_zeros().min(limit.ilog2());
        u8::try_from(log2).ok().and_then(Self::new).unwrap_or(Self::MAX)
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    #[test]
    fn the_order_for_a_size_is_the_smallest_that_holds_it() {
        assert_eq!(Order::for_bytes(0), Some(Order::SINGLE));
        assert_eq!(Order::for_bytes(4096), Some(Order::SINGLE));
        assert_eq!(Order::for_bytes(4097), Order::new(1));
        assert_eq!(Order::for_bytes(4 << 20), Some(Order::MAX));
        assert_eq!(Order::for_bytes((4 << 20) + 1), None);
    }

    #[test]
    fn a_block_is_limited_by_alignment_by_room_and_by_the_largest_order() {
        assert_eq!(Order::largest_at(4, 100).log2(), 2);
        assert_eq!(Order::largest_at(0, 7).log2(), 2);
        assert_eq!(Order::largest_at(0, u32::MAX), Order::MAX);
        assert_eq!(Order::largest_at(5, 1), Order::SINGLE);
    }
}
