//! Free blocks by size, as a plain structure behind one lock.
//!
//! The classical binary buddy system (Knuth, TAOCP vol. 1, 2.5): a block of 2^k frames begins at a multiple of 2^k, and
//! its buddy's number differs from its own in bit k alone. Free blocks of one order are a doubly linked list through
//! their records, so a buddy is unlinked without a search; a word of bits says which lists have anything.
//!
//! Two zones keep memory that every device can reach for those who need it: early BCM2711 DMA reaches only the first
//! GiB, and so does the mailbox. Others are served from above that limit first. The limit is a multiple of the largest block,
//! hence no block straddles it.

use super::cache::{BATCH, Batch};
use super::order::{MAX_ORDER, Order};
use super::record::{FrameRecord, Index, NIL};
use crate::addr::PAGE_SIZE;

/// Where in memory a block may lie.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reach {
    /// Anywhere.
    Any,
    /// Below the limit that devices have.
    Low,
}

/// The size of a batch that is a block.
const BATCH_ORDER: Order = match Order::for_bytes(BATCH * PAGE_SIZE) {
    Some(order) if order.frames() as usize == BATCH => order,
    _ => panic!("a batch is a power of two"),
};

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

/// The first of the frames in `batch`, in whatever order they are, if together they are a block.
fn as_block(batch: &[Index]) -> Option<Index> {
    let first = batch.first()? & !(BATCH_ORDER.frames() - 1);
    let seen = batch.iter().try_fold(0_u32, |seen, &index| {
        let offset = index.wrapping_sub(first);
        (offset < BATCH_ORDER.frames()).then(|| seen | 1 << offset)
    })?;
    (seen.count_ones() == BATCH_ORDER.frames()).then_some(first)
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

    /// Takes up to a batch of single frames, at least one if there is any, and marks them cached. Small blocks go first, whole,
    /// as many as fit. A larger one is cut only for who would have nothing otherwise, and then by the whole batch: large
    /// ones stay large, batches stay whole blocks, and are cheaper than their frames one by one, here and on their way back.
    pub(super) fn allocate_singles(&mut self, into: &mut Batch) {
        while let Some((first, order)) = self.allocate_up_to(BATCH - into.len(), into.is_empty()) {
            let block = first as usize..(first + order.frames()) as usize;
            for (index, record) in (first..).zip(&self.records[block]) {
                record.set_cached();
                let pushed = into.push(index);
                debug_assert!(pushed.is_ok(), "the block was chosen to fit");
            }
        }
    }

    /// Takes back single frames that were cached: all at once where they are a block, as they are when a program gives up what it
    /// got page by page.
    pub(super) fn free_singles(&mut self, batch: &[Index]) {
        let Some(first) = as_block(batch) else {
            return batch.iter().for_each(|&index| self.free(index, Order::SINGLE));
        };
        let block = first as usize..first as usize + BATCH;
        self.records[block].iter().for_each(FrameRecord::set_inside);
        self.free(first, BATCH_ORDER);
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

    /// The smallest free block, if it has at most `limit` frames or else may be cut: then as much of it as that.
    fn allocate_up_to(&mut self, limit: usize, may_cut: bool) -> Option<(Index, Order)> {
        let limit = u8::try_from(limit.checked_ilog2()?).ok().and_then(Order::new)?;
        let smallest = |zone: usize| Some((zone, self.zones[zone].smallest_from(Order::SINGLE)?));
        let (zone, found) = smallest(HIGH).or_else(|| smallest(LOW))?;
        if found > limit && !may_cut {
            return None;
        }
        let order = found.min(limit);
        Some((self.allocate_in(zone, order)?, order))
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

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_a_block_in_any_order_and_only_when_it_is_whole_and_aligned() {
        let block: [Index; BATCH] = core::array::from_fn(|at| 0x120 + Index::try_from(at).unwrap());
        let (mut backwards, mut mixed) = (block, block);
        backwards.reverse();
        mixed.swap(3, 11);
        for batch in [block, backwards, mixed] {
            assert_eq!(as_block(&batch), Some(0x120));
        }
        let mut twice = block;
        twice[5] = twice[6];
        for batch in [&block[1..], &[], &block.map(|index| index + 1), &block.map(|index| index * 2), &twice] {
            assert_eq!(as_block(batch), None, "{batch:x?}");
        }
    }
}
