//! References kept as bare frame numbers: what translation tables hold.
//!
//! Copy-on-write and shared tables live by these four: one more reference when a descriptor is copied, one less when it is
//! overwritten, and the question whether we are the last. They take no lock. They are `unsafe` because a number proves
//! nothing: a reference given up once too often frees memory under somebody's hands. What the records can tell is
//! checked all the same: see [`FrameAllocator::from_raw`].

use super::allocator::FrameAllocator;
use super::count::Dropped;
use super::handle::FrameHandle;
use super::kind::{FrameState, FrameUse};
use super::order::Order;
use super::record::{FrameRecord, Index};
use crate::addr::PhysFrame;
use crate::hal::{Cpu, FrameAccess};

impl<M: FrameAccess, C: Cpu> FrameAllocator<M, C> {
    /// The handle for a reference that was kept as a number. Dropping a handle to a block that is not in use is a panic in
    /// a debug build; a release build refuses it and counts it in `Statistics::refused`.
    ///
    /// # Safety
    ///
    /// * The caller has a reference to the block that begins at `frame`, from [`FrameHandle::into_raw`],
    ///   [`add_reference`](Self::add_reference) or [`adopt`](Self::adopt), and does not use it again.
    /// * While a page of the handle is borrowed, nobody writes to it, not even a program, unless `page_mut` lent it.
    #[inline]
    pub unsafe fn from_raw(&self, frame: PhysFrame) -> FrameHandle<'_, M, C> {
        FrameHandle::new(self, index_of(frame))
    }

    /// Gives up a reference to the block that begins at `frame`, and frees the block if it was the last: a drop of its
    /// [handle](Self::from_raw), for who gives up many and finds most of them shared.
    ///
    /// # Safety
    ///
    /// As for [`from_raw`](Self::from_raw).
    #[inline]
    pub unsafe fn release(&self, frame: PhysFrame) {
        self.give_up(index_of(frame));
    }

    /// Makes one more reference to the block that begins at `frame`.
    ///
    /// # Safety
    ///
    /// The caller has a reference to it, or keeps whoever has it from giving it up meanwhile.
    pub unsafe fn add_reference(&self, frame: PhysFrame) {
        let record = self.record_of(frame);
        debug_assert!(matches!(record.state(), FrameState::Used(_)), "{frame:?} shared while {:?}", record.state());
        record.references().increment();
    }

    /// Gives up a reference to the block that begins at `frame`. If it was the last, the block comes back as a handle:
    /// the caller looks through what it refers to (a table's children) and drops it.
    ///
    /// # Safety
    ///
    /// As for [`from_raw`](Self::from_raw).
    #[inline]
    pub unsafe fn drop_reference(&self, frame: PhysFrame) -> Option<FrameHandle<'_, M, C>> {
        let index = index_of(frame);
        let record = self.record(index);
        self.decrement(index, record).map(|_| {
            record.references().set(1);
            FrameHandle::new(self, index)
        })
    }

    /// Gives up the only reference to the single frame `frame`, which holds zeroes, and keeps it as such a frame.
    ///
    /// # Safety
    ///
    /// As for [`from_raw`](Self::from_raw); all bytes of the frame are zero.
    pub unsafe fn free_zeroed(&self, frame: PhysFrame) {
        let index = index_of(frame);
        let record = self.record(index);
        debug_assert_eq!(record.order(), Order::SINGLE, "{frame:?} is a larger block");
        if let Some(kind) = self.decrement(index, record) {
            self.free_single_zeroed(index, record, kind);
        }
    }

    /// How many references there are to the block that begins at `frame`; 0 for a frame that is not in use. Only a
    /// holder can tell anything from it: if he sees 1, it stays 1 until he shares it.
    #[must_use]
    pub fn references(&self, frame: PhysFrame) -> u32 {
        let record = self.record_of(frame);
        if record.used_for().is_some() { record.references().get() } else { 0 }
    }

    /// What the record of `frame` says; `None` for a frame without one.
    #[must_use]
    pub fn state(&self, frame: PhysFrame) -> Option<FrameState> {
        let index = usize::try_from(frame.number()).ok()?;
        self.records.get(index).map(FrameRecord::state)
    }

    /// Whether instruction fetches see what is in the block that begins at `frame`: see [`set_fetchable`](Self::set_fetchable).
    #[must_use]
    pub fn is_fetchable(&self, frame: PhysFrame) -> bool {
        self.record_of(frame).is_fetchable()
    }

    /// Notes whether instruction fetches see what is in the block that begins at `frame`, which the caller has a
    /// reference to: the caches were told, or the kernel has written to it since. A new block is seen by none. That saves
    /// who maps a page of a program's text for the hundredth time the caches' work; it is no reference.
    pub fn set_fetchable(&self, frame: PhysFrame, fetchable: bool) {
        let record = self.record_of(frame);
        if record.is_fetchable() != fetchable {
            record.set_fetchable(fetchable);
        }
    }

    /// Gives up a reference and frees the block if it was the last.
    #[inline]
    pub(super) fn give_up(&self, index: Index) {
        let record = self.record(index);
        if let Some(kind) = self.decrement(index, record) {
            self.free(index, record, kind);
        }
    }

    /// Frees a block whose last reference is gone.
    #[inline(never)]
    fn free(&self, index: Index, record: &FrameRecord, kind: FrameUse) {
        if record.is_single() {
            self.free_single(index, record, kind);
        } else {
            self.free_block(index, record.order(), kind);
        }
    }

    /// Gives up a reference to the block whose first record this is. If it was the last, says what the block was used for.
    #[inline]
    fn decrement(&self, index: Index, record: &FrameRecord) -> Option<FrameUse> {
        let Some(kind) = record.used_for() else {
            self.refuse(index);
            return None;
        };
        match record.references().decrement() {
            Dropped::Last => Some(kind),
            Dropped::Shared => None,
            Dropped::Underflow => {
                self.refuse(index);
                None
            }
        }
    }

    #[inline]
    fn record_of(&self, frame: PhysFrame) -> &'static FrameRecord {
        // As with `index_of`, but in one comparison.
        &self.records[usize::try_from(frame.number()).unwrap_or(usize::MAX)]
    }
}

/// The frame's place in the table. A number too large for one has none, as one that is merely beyond the table's end, and
/// is refused as that is.
#[inline]
fn index_of(frame: PhysFrame) -> Index {
    Index::try_from(frame.number()).unwrap_or(Index::MAX)
}
