//! Frames in the hand, taken before a step that must not fail.
//!
//! A fork that has passed its last check may not find memory gone. The promise could be a number that every allocation
//! compares with what is left: a shared counter on the hottest path, and a rule to get wrong in each of the two zones.
//! Here the promise *is* the frames, linked through their records: a few for a fork, returned unused in a moment.

use super::allocator::{FrameAllocator, OutOfFrames, Zeroing};
use super::cache::Taken;
use super::handle::FrameHandle;
use super::kind::{FrameState, FrameUse};
use super::order::Order;
use super::record::{Index, NIL};
use crate::hal::{Cpu, FrameAccess};

/// Single frames that nobody else can get. Those not taken are free again when it is dropped.
#[must_use = "what was reserved is given back when the reservation is dropped"]
pub struct Reservation<'a, M: FrameAccess, C: Cpu> {
    allocator: &'a FrameAllocator<M, C>,
    /// The first of a list through the records.
    first: Index,
    left: u32,
}

impl<M: FrameAccess, C: Cpu> FrameAllocator<M, C> {
    /// Sets `frames` single frames aside.
    ///
    /// # Errors
    ///
    /// [`OutOfFrames`], with nothing set aside.
    pub fn reserve(&self, frames: u32) -> Result<Reservation<'_, M, C>, OutOfFrames> {
        let mut reservation = Reservation { allocator: self, first: NIL, left: 0 };
        while reservation.left < frames {
            let taken = self.take_single(FrameUse::Promised, Zeroing::Unspecified);
            // On the way out the reservation gives back what it has.
            let Taken { index, .. } = taken.ok_or(OutOfFrames { order: Order::SINGLE })?;
            let record = self.record(index);
            record.set_used(FrameState::Used(FrameUse::Promised), Order::SINGLE);
            record.set_next(reservation.first);
            reservation.first = index;
            reservation.left += 1;
        }
        Ok(reservation)
    }
}

impl<'a, M: FrameAccess, C: Cpu> Reservation<'a, M, C> {
    /// How many frames are left.
    #[must_use]
    pub fn left(&self) -> u32 {
        self.left
    }

    /// One of the frames. This cannot fail.
    ///
    /// # Panics
    ///
    /// When more are taken than were reserved: whoever counted was wrong.
    pub fn take(&mut self, kind: FrameUse, zeroing: Zeroing) -> FrameHandle<'a, M, C> {
        let index = self.pop().expect("no more frames are taken than were reserved");
        self.allocator.recount(1, FrameUse::Promised, kind);
        let taken = Taken { index, contents: Zeroing::Unspecified };
        FrameHandle::new(self.allocator, self.allocator.ready_single(taken, kind, zeroing))
    }

    fn pop(&mut self) -> Option<Index> {
        let index = self.first;
        if index == NIL {
            return None;
        }
        self.first = self.allocator.record(index).next();
        self.left -= 1;
        Some(index)
    }
}

impl<M: FrameAccess, C: Cpu> Drop for Reservation<'_, M, C> {
    fn drop(&mut self) {
        while let Some(index) = self.pop() {
            self.allocator.give_up(index);
        }
    }
}
