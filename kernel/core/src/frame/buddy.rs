//! Free blocks by size, as a plain structure behind one lock.
//!
//! The classical binary buddy system (Knuth, TAOCP vol. 1, 2.5): a block of 2^k frames begins at a multiple of 2^k, and
//! its buddy's number differs from its own in bit k alone. Free blocks of one order are a doubly linked list through
//! their records, so a buddy is unlinked without a search; a word of bits says which lists have anything.
//!
//! Two zones keep memory that every device can reach for those who need it: early BCM2711 DMA reaches only the first
//! GiB, and so does the mailbox. Others are served from above that limit first. The limit is a multiple of the largest block,
//! hence no block straddles it.

use super::order::{MAX_ORDER, Order};
use super::record::{FrameRecord, Index, NIL};

/// Where in memory a block may lie.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reach {
    /// Anywhere.
    Any,
    /// Below the limit that devices have.
    Low,
}

const LOW: usize = 0;
const HIGH: usize = 1;

/// The free blocks.
pub(super) struct Buddy {
    records: &'static [FrameRecord],
    zones: [Zone; 2],
    /// The first frame of the high zone.
    low_limit: Index,
}

struct Zone {
    lists: [Index; MAX_ORDER + 1],
    /// Bit k: there is a free block of order k.
    nonempty: u32,
    /// Frames in all blocks.
    free: u32,
}

impl Zone {
    const EMPTY: Self = Self { lists: [NIL; MAX_ORDER + 1], nonempty: 0, free: 0 };

    /// The smallest order, from `order` on, that has a block.
    fn smallest_from(&self, order: Order) -> Option<Order> {
        let fitting = self.nonempty >> order.log2() << order.log2();
        if fitting == 0 {
            return None;
        }
        u8::try_from(fitting.trailing_zeros()).ok().and_then(Order::new)
    }
}

impl Buddy {
    /// No free block, in a table of `records` by frame number.
    pub(super) fn new(records: &'static [FrameRecord], low_limit: Index) -> Self {
        debug_assert!(low_limit.is_multiple_of(Order::MAX.frames()), "a block must not straddle the zones");
        Self { records, zones: [Zone::EMPTY; 2], low_limit }
    }

    /// How many frames are free here.
    pub(super) fn free_frames(&self) -> u32 {
        self.zones.iter().map(|zone| zone.free).sum()
    }

    /// Takes a block, and marks it cached: on its way to its user, who writes the record. It may not say `Free` until then,
    /// for a neighbour that comes back meanwhile would join it.
    pub(super) fn allocate(&mut self, order: Order, reach: Reach) -> Option<Index> {
        match reach {
            Reach::Any => self.allocate_in(HIGH, order).or_else(|| self.allocate_in(LOW, order)),
            Reach::Low => self.allocate_in(LOW, order),
        }
    }

    /// Takes single frames until `into` is full or nothing is left, and marks them cached. Small blocks go first, whole:
    /// large ones stay large, and a batch is cheaper than its frames one by one.
    pub(super) fn allocate_singles<const N: usize>(&mut self, into: &mut heapless::Vec<Index, N>) {
        while let Some((first, order)) = self.allocate_up_to(N - into.len()) {
            for index in first..first + order.frames() {
                self.records[index as usize].set_cached();
                let pushed = into.push(index);
                debug_assert!(pushed.is_ok(), "the block was chosen to fit");
            }
        }
    }

    /// Takes back a block, joined with its buddy as often as that one is free.
    pub(super) fn free(&mut self, mut index: Index, mut order: Order) {
        debug_assert!(index.is_multiple_of(order.frames()));
        self.records[index as usize].set_inside();
        let zone = self.zone_of(index);
        self.zones[zone].free += order.frames();
        while let Some(double) = order.double() {
            let buddy = index ^ order.frames();
            if !self.records.get(buddy as usize).is_some_and(|record| record.is_free_block(order)) {
                break;
            }
            self.unlink(zone, buddy, order);
            self.records[buddy as usize].set_inside();
            index = index.min(buddy);
            order = double;
        }
        self.link(zone, index, order);
    }

    /// The largest block of at most `limit` frames out of the smallest free one.
    fn allocate_up_to(&mut self, limit: usize) -> Option<(Index, Order)> {
        let limit = u32::try_from(limit).unwrap_or(u32::MAX).checked_ilog2()?;
        [HIGH, LOW].into_iter().find_map(|zone| {
            let smallest = self.zones[zone].smallest_from(Order::SINGLE)?;
            let fitting = u8::try_from(limit).ok().and_then(Order::new).unwrap_or(Order::MAX);
            let order = smallest.min(fitting);
            Some((self.allocate_in(zone, order)?, order))
        })
    }

    fn allocate_in(&mut self, zone: usize, order: Order) -> Option<Index> {
        let mut found = self.zones[zone].smallest_from(order)?;
        let index = self.zones[zone].lists[found.index()];
        self.unlink(zone, index, found);
        while found > order
            && let Some(half) = found.half()
        {
            self.link(zone, index + half.frames(), half);
            found = half;
        }
        self.zones[zone].free -= order.frames();
        self.records[index as usize].set_cached();
        Some(index)
    }

    fn link(&mut self, zone: usize, index: Index, order: Order) {
        let zone = &mut self.zones[zone];
        let next = zone.lists[order.index()];
        self.records[index as usize].set_free(order, next, NIL);
        if next != NIL {
            self.records[next as usize].set_previous(index);
        }
        zone.lists[order.index()] = index;
        zone.nonempty |= 1 << order.log2();
    }

    fn unlink(&mut self, zone: usize, index: Index, order: Order) {
        let zone = &mut self.zones[zone];
        let record = &self.records[index as usize];
        let (next, previous) = (record.next(), record.previous());
        if next != NIL {
            self.records[next as usize].set_previous(previous);
        }
        if previous != NIL {
            self.records[previous as usize].set_next(next);
        } else {
            zone.lists[order.index()] = next;
            if next == NIL {
                zone.nonempty &= !(1 << order.log2());
            }
        }
    }

    fn zone_of(&self, index: Index) -> usize {
        if index < self.low_limit { LOW } else { HIGH }
    }

    /// Checks every list, for tests: links agree, blocks are marked, aligned, in their zone, apart from each other, not
    /// joinable, and add up.
    ///
    /// # Panics
    ///
    /// When any of that does not hold.
    #[cfg(test)]
    #[cfg(not(loom))]
    pub(super) fn check(&self) {
        let mut seen = std::collections::BTreeSet::new();
        for (z, zone) in self.zones.iter().enumerate() {
            let mut free = 0;
            for order in (0..=Order::MAX.log2()).filter_map(Order::new) {
                let (mut index, mut previous) = (zone.lists[order.index()], NIL);
                assert_eq!(index != NIL, zone.nonempty & 1 << order.log2() != 0, "nonempty bit of {order:?}");
                while index != NIL {
                    let record = &self.records[index as usize];
                    assert!(record.is_free_block(order) && index.is_multiple_of(order.frames()), "block {index:#x}");
                    assert_eq!((record.previous(), self.zone_of(index)), (previous, z), "block {index:#x}");
                    let buddy = self.records.get((index ^ order.frames()) as usize);
                    assert!(
                        order == Order::MAX || !buddy.is_some_and(|b| b.is_free_block(order)),
                        "unjoined buddies at {index:#x}"
                    );
                    assert!((index..index + order.frames()).all(|i| seen.insert(i)), "overlap at {index:#x}");
                    free += order.frames();
                    (previous, index) = (index, record.next());
                }
            }
            assert_eq!(free, zone.free, "free frames of zone {z}");
        }
    }
}
