//! The record of one frame: two words.
//!
//! ```text
//!        31              9 8      5 4      0
//! head   |  next in list  |  order |  state |
//! body   |  in the buddy: previous in list; in use: count of references |
//! ```
//!
//! While a block is in use and in no list, `next` says whether instruction fetches see its contents.
//!
//! Only the first frame of a block says anything; the others are all zero ([`FrameState::Inside`]), so that a table of
//! zeroes describes memory that was not handed over, and starting up costs a store for each large block and not for each
//! frame. Sixteen bytes with fields of their own would be easier to draw, and take 2 MiB more on a board with 1 GiB.
//!
//! The words are atomics because the table is shared; the *right* to write a record belongs to whoever has the block: the
//! buddy's lock while it is free, a cache's lock while it is there, the user of the block otherwise. The count alone is
//! written by several at once.

use super::count::ReferenceCount;
use super::kind::{FrameState, FrameUse};
use super::order::Order;
use crate::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// The number of a frame, in the 23 bits that a record has for one: 32 GiB of memory.
pub(super) type Index = u32;

/// No frame: the end of a list.
pub(super) const NIL: Index = (1 << 23) - 1;

/// In the place of `next` of a block in use: fetches see what is in it.
const FETCHABLE: Index = NIL - 1;

/// The most frames that a table may describe.
pub(super) const MAX_FRAMES: usize = FETCHABLE as usize;

const STATE_BITS: u32 = 5;
const ORDER_BITS: u32 = 4;
const NEXT_SHIFT: u32 = STATE_BITS + ORDER_BITS;

/// What the allocator knows about one frame.
#[derive(Debug, Default)]
#[repr(C)]
pub struct FrameRecord {
    head: AtomicU32,
    body: ReferenceCount,
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<FrameRecord>() == 8);

impl FrameRecord {
    /// The record of a frame that nobody has handed over.
    #[must_use]
    pub fn new() -> Self {
        Self { head: AtomicU32::new(0), body: ReferenceCount::new() }
    }

    /// What the frame is.
    #[must_use]
    #[inline]
    pub fn state(&self) -> FrameState {
        FrameState::from_bits(self.head.load(Relaxed) & ((1 << STATE_BITS) - 1))
    }

    /// What the block that begins here is used for, if it is.
    #[inline]
    pub(super) fn used_for(&self) -> Option<FrameUse> {
        FrameUse::from_state_bits(self.head.load(Relaxed) & ((1 << STATE_BITS) - 1))
    }

    /// Whether it is a single frame that begins here.
    #[inline]
    pub(super) fn is_single(&self) -> bool {
        self.head.load(Relaxed) & ((1 << ORDER_BITS) - 1) << STATE_BITS == u32::from(Order::SINGLE.log2()) << STATE_BITS
    }

    /// The size of the block that begins here.
    #[must_use]
    pub fn order(&self) -> Order {
        let bits = self.head.load(Relaxed) >> STATE_BITS & ((1 << ORDER_BITS) - 1);
        u8::try_from(bits).ok().and_then(Order::new).expect("only an Order is stored here")
    }

    /// Whether a free block of just this order begins here.
    pub(super) fn is_free_block(&self, order: Order) -> bool {
        self.head.load(Relaxed) & ((1 << NEXT_SHIFT) - 1) == head(FrameState::Free, order, 0)
    }

    /// Makes the frame part of a block that begins elsewhere.
    pub(super) fn set_inside(&self) {
        self.head.store(0, Relaxed);
        self.body.set(0);
    }

    /// Makes the frame the first of a free block, with these neighbours in its list.
    pub(super) fn set_free(&self, order: Order, next: Index, previous: Index) {
        self.head.store(head(FrameState::Free, order, next), Relaxed);
        self.body.set(previous);
    }

    /// Makes the frame one of a cache.
    pub(super) fn set_cached(&self) {
        self.head.store(head(FrameState::Cached, Order::SINGLE, NIL), Relaxed);
        self.body.set(0);
    }

    /// Makes the frame the first of a block in use, with one reference.
    pub(super) fn set_used(&self, state: FrameState, order: Order) {
        self.head.store(head(state, order, NIL), Relaxed);
        self.body.set(1);
    }

    /// The next in the list that the block is in.
    pub(super) fn next(&self) -> Index {
        self.head.load(Relaxed) >> NEXT_SHIFT
    }

    pub(super) fn set_next(&self, next: Index) {
        let rest = self.head.load(Relaxed) & ((1 << NEXT_SHIFT) - 1);
        self.head.store(rest | next << NEXT_SHIFT, Relaxed);
    }

    /// Whether instruction fetches see the contents of this block, which is in use.
    pub(super) fn is_fetchable(&self) -> bool {
        self.next() == FETCHABLE
    }

    /// Notes whether they do. Several users may do so at a time, as nothing else of the word changes while it is in use.
    pub(super) fn set_fetchable(&self, fetchable: bool) {
        self.set_next(if fetchable { FETCHABLE } else { NIL });
    }

    /// The previous one in the buddy's list.
    pub(super) fn previous(&self) -> Index {
        self.body.get()
    }

    pub(super) fn set_previous(&self, previous: Index) {
        self.body.set(previous);
    }

    /// The count of references to the block that begins here, while it is in use.
    pub(super) fn references(&self) -> &ReferenceCount {
        &self.body
    }
}

fn head(state: FrameState, order: Order, next: Index) -> u32 {
    next << NEXT_SHIFT | u32::from(order.log2()) << STATE_BITS | state.to_bits()
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    #[test]
    fn a_new_record_is_all_zero_and_says_nothing() {
        let record = FrameRecord::new();
        assert_eq!((record.head.load(Relaxed), record.body.get()), (0, 0));
        assert_eq!(record.state(), FrameState::Inside);
    }

    #[test]
    fn the_fields_of_a_record_do_not_touch_each_other() {
        let record = FrameRecord::new();
        record.set_free(Order::MAX, NIL, 7);
        assert_eq!(
            (record.state(), record.order(), record.next(), record.previous()),
            (FrameState::Free, Order::MAX, NIL, 7)
        );
        assert!(record.is_free_block(Order::MAX) && !record.is_free_block(Order::SINGLE));
        record.set_next(0x2a_aaaa);
        record.set_previous(0x15_5555);
        assert_eq!(
            (record.state(), record.order(), record.next(), record.previous()),
            (FrameState::Free, Order::MAX, 0x2a_aaaa, 0x15_5555)
        );
        record.set_used(FrameState::Used(FrameUse::Trace), Order::SINGLE);
        assert!(!record.is_fetchable());
        record.set_fetchable(true);
        assert!(record.is_fetchable());
        assert_eq!((record.state(), record.order()), (FrameState::Used(FrameUse::Trace), Order::SINGLE));
        assert_eq!(record.references().get(), 1);
    }
}
