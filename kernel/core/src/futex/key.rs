//! Which word.

use crate::addr::UserAddr;

/// A word that can be waited on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Key {
    /// One that only its address space knows.
    Private {
        /// The address space, by a number that is never used again.
        space: u64,
        /// Where the word is there.
        address: UserAddr,
    },
    /// One that every mapping of an object shows, wherever it is mapped.
    Shared {
        /// The object, by a number that no other living one has.
        object: u64,
        /// Where the word is in it, in bytes.
        offset: u64,
    },
}

impl Key {
    /// A number below `buckets`, a power of two, spread evenly over words that differ in any way.
    pub(super) const fn bucket(&self, buckets: usize) -> usize {
        let (whose, place) = match *self {
            Self::Private { space, address } => (space, address.get()),
            Self::Shared { object, offset } => (!object, offset),
        };
        // Multiplication by an odd constant carries each bit upwards, so the top bits depend on all of them.
        // 2^64 divided by the golden ratio (Knuth, The Art of Computer Programming, 6.4), and a second odd number so
        // that an object and a place do not cancel out.
        let mixed = place.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ whose.wrapping_mul(0xd6e8_feb8_6659_fd93);
        let spread = (mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize;
        spread & (buckets - 1)
    }
}
