//! The first eight bytes: is it a tree, and how long.

/// The longest tree that is believed. Those of the boards have 40 to 80 KiB.
pub const MAX_TREE_BYTES: usize = 2 << 20;

const MAGIC: u32 = 0xd00d_feed;
/// The header, a reservation block with only its terminator, an empty root node and the end token.
const LEAST_TREE_BYTES: usize = 40 + 16 + 16;

/// The part of the header that tells how much to map.
#[derive(Clone, Copy, Debug)]
pub struct TreeHeader;

impl TreeHeader {
    /// The size in bytes of the tree that starts with these eight bytes; `None` where they start no tree, or one
    /// that is too short to be one or longer than [`MAX_TREE_BYTES`].
    #[must_use]
    pub fn probe(first: &[u8; 8]) -> Option<usize> {
        let [m0, m1, m2, m3, s0, s1, s2, s3] = *first;
        let magic = u32::from_be_bytes([m0, m1, m2, m3]);
        let total_bytes = usize::try_from(u32::from_be_bytes([s0, s1, s2, s3])).ok()?;
        (magic == MAGIC && (LEAST_TREE_BYTES..=MAX_TREE_BYTES).contains(&total_bytes)).then_some(total_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_tells_its_length() {
        assert_eq!(TreeHeader::probe(&[0xd0, 0x0d, 0xfe, 0xed, 0, 0, 0x9a, 0xe2]), Some(39650));
    }

    #[test]
    fn other_bytes_and_absurd_sizes_are_no_tree() {
        assert_eq!(TreeHeader::probe(&[0xed, 0xfe, 0x0d, 0xd0, 0, 0, 0x9a, 0xe2]), None);
        assert_eq!(TreeHeader::probe(&[0xd0, 0x0d, 0xfe, 0xed, 0, 0, 0, 71]), None);
        assert_eq!(TreeHeader::probe(&[0xd0, 0x0d, 0xfe, 0xed, 0, 0x20, 0, 1]), None);
        assert_eq!(TreeHeader::probe(&[0xd0, 0x0d, 0xfe, 0xed, 0xff, 0xff, 0xff, 0xff]), None);
    }
}
