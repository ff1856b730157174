//! The frames that a CPU has at hand, and its share of the statistics.

use super::allocator::Zeroing;
use super::kind::FrameUse;
use super::record::Index;

/// The most frames of unspecified contents in a cache, which makes one eight cache lines.
pub(super) const CAPACITY: usize = 80;
/// The most frames in a cache that are already zero.
pub(super) const ZEROED_CAPACITY: usize = 32;
/// How many frames go to or from the buddy at a time.
pub(super) const BATCH: usize = 16;

/// Frames on their way between a cache and the buddy.
pub(super) type Batch = heapless::Vec<Index, BATCH>;

/// Frames in use, by use, as one CPU saw them come and go. A frame may go on another CPU than it came on, so that only the
/// sum over all CPUs means anything; it is right in arithmetic modulo 2^32.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally([u32; FrameUse::COUNT]);

impl Tally {
    #[inline]
    pub(super) fn add(&mut self, kind: FrameUse, frames: u32) {
        let count = &mut self.0[kind.index()];
        *count = count.wrapping_add(frames);
    }

    #[inline]
    pub(super) fn subtract(&mut self, kind: FrameUse, frames: u32) {
        let count = &mut self.0[kind.index()];
        *count = count.wrapping_sub(frames);
    }

    pub(super) fn add_to(&self, sums: &mut [u32; FrameUse::COUNT]) {
        for (sum, count) in sums.iter_mut().zip(self.0) {
            *sum = sum.wrapping_add(count);
        }
    }
}

/// A frame out of a cache.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    pub(super) index: Index,
    /// What is in it.
    pub(super) contents: Zeroing,
}

/// One CPU's cache.
#[derive(Debug, Default)]
pub(super) struct Cache {
    plain: heapless::Vec<Index, CAPACITY>,
    zeroed: heapless::Vec<Index, ZEROED_CAPACITY>,
    pub(super) tally: Tally,
}

impl Cache {
    /// A frame for `kind`, counted there, with the wanted contents if there is one.
    #[inline]
    pub(super) fn take(&mut self, kind: FrameUse, wanted: Zeroing) -> Option<Taken> {
        let taken = self.pop(wanted)?;
        self.tally.add(kind, 1);
        Some(taken)
    }

    /// `N` frames for `kind`, counted there, if there are so many with the wanted contents.
    #[inline]
    pub(super) fn take_several<const N: usize>(&mut self, kind: FrameUse, wanted: Zeroing) -> Option<[Index; N]> {
        let frames = match wanted {
            Zeroing::Zeroed => pop_several(&mut self.zeroed),
            Zeroing::Unspecified => pop_several(&mut self.plain),
        }?;
        self.tally.add(kind, N as u32);
        Some(frames)
    }

    /// Puts a frame of unspecified contents in that was in use for `kind`. It is counted even where there is no room and the
    /// frame comes back.
    #[inline]
    pub(super) fn put(&mut self, kind: FrameUse, index: Index) -> Result<(), Index> {
        self.tally.subtract(kind, 1);
        self.plain.push(index)
    }

    /// The same for a frame of zeroes, which is kept as any frame where there is no room for more of its kind.
    #[inline]
    pub(super) fn put_zeroed(&mut self, kind: FrameUse, index: Index) -> Result<(), Index> {
        self.tally.subtract(kind, 1);
        self.zeroed.push(index).or_else(|index| self.plain.push(index))
    }

    /// A frame, with the wanted contents if there is one.
    #[inline]
    fn pop(&mut self, wanted: Zeroing) -> Option<Taken> {
        let plain = |index| Taken { index, contents: Zeroing::Unspecified };
        let zeroed = |index| Taken { index, contents: Zeroing::Zeroed };
        match wanted {
            Zeroing::Zeroed => self.zeroed.pop().map(zeroed).or_else(|| self.plain.pop().map(plain)),
            Zeroing::Unspecified => self.plain.pop().map(plain).or_else(|| self.zeroed.pop().map(zeroed)),
        }
    }

    /// Puts a frame of unspecified contents in, after taking a batch out into `overflow`, which is empty, if there is no room.
    ///
    /// The batch is what came last but for the frames next to `index`: those wait for the rest of their block, and what came
    /// before them is one if frames come back as they were handed out.
    pub(super) fn push(&mut self, index: Index, overflow: &mut Batch) {
        if self.plain.is_full() {
            let block = |index: Index| index as usize / BATCH;
            let next = self.plain.iter().rev().take(BATCH).take_while(|&&kept| block(kept) == block(index)).count();
            let end = self.plain.len() - next;
            let moved = overflow.extend_from_slice(&self.plain[end - BATCH..end]);
            debug_assert!(moved.is_ok(), "it was empty");
            self.plain.copy_within(end.., end - BATCH);
            self.plain.truncate(CAPACITY - BATCH);
        }
        let pushed = self.plain.push(index);
        debug_assert!(pushed.is_ok(), "a batch was taken out");
    }

    /// Puts a batch in, all but the part that has no room, which goes into `overflow`, empty so far.
    pub(super) fn push_batch(&mut self, batch: &[Index], overflow: &mut Batch) {
        let (fitting, rest) = batch.split_at(batch.len().min(CAPACITY - self.plain.len()));
        let kept = self.plain.extend_from_slice(fitting);
        let left = overflow.extend_from_slice(rest);
        debug_assert!(kept.is_ok() && left.is_ok(), "checked to have room");
    }

    /// Puts a frame of zeroes in, or gives it back where there is no room.
    pub(super) fn push_zeroed(&mut self, index: Index) -> Result<(), Index> {
        self.zeroed.push(index)
    }

    /// Whether no more frames of zeroes are wanted.
    pub(super) fn is_stocked(&self) -> bool {
        self.zeroed.is_full()
    }

    /// Takes up to a batch out, whatever its contents.
    pub(super) fn drain(&mut self, into: &mut Batch) {
        while !into.is_full() {
            let Some(taken) = self.pop(Zeroing::Unspecified) else { break };
            let moved = into.push(taken.index);
            debug_assert!(moved.is_ok(), "checked to have room");
        }
    }

    /// How many frames there are.
    pub(super) fn frames(&self) -> usize {
        self.plain.len() + self.zeroed.len()
    }
}

/// The last `N` of `frames`, if there are so many.
#[inline]
fn pop_several<const N: usize, const CAPACITY: usize>(
    frames: &mut heapless::Vec<Index, CAPACITY>,
) -> Option<[Index; N]> {
    let several = *frames.last_chunk()?;
    frames.truncate(frames.len().wrapping_sub(N));
    Some(several)
}
