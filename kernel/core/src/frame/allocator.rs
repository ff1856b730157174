//! The allocator itself: caches in front of the buddy.

use core::mem::MaybeUninit;
use core::ops::Range;

use super::buddy::{Buddy, Reach};
use super::cache::{Batch, Cache, Taken};
use super::handle::FrameHandle;
use super::kind::{FrameState, FrameUse};
use super::order::Order;
use super::record::{FrameRecord, Index, MAX_FRAMES};
use super::statistics::Statistics;
use crate::addr::{PAGE_SIZE, PhysFrame};
use crate::hal::{Cpu, FrameAccess};
use crate::sync::atomic::{AtomicU32, Ordering::Relaxed};
use crate::sync::{IrqLock, PerCpu, Rank, StockLock};

/// No block of this size is left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutOfFrames {
    /// The size that was asked for.
    pub order: Order,
}

/// The table of records ends before this frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BeyondTable {
    /// The first frame that has no record.
    pub frame: PhysFrame,
}

/// What the contents of a block shall be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Zeroing {
    /// All bytes zero.
    Zeroed,
    /// Whatever the last user left: for kernel memory that is written at once, never for a program.
    Unspecified,
}

/// What [`FrameAllocator::stock_zeroed`] found to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Stock {
    /// One frame was zeroed and put by.
    Added,
    /// There are enough.
    Full,
    /// There is no frame to zero.
    NoFrames,
}

/// All physical memory. `M` reaches it, `C` says on which CPU we are.
pub struct FrameAllocator<M: FrameAccess, C: Cpu> {
    pub(super) memory: M,
    /// By frame number, from 0.
    pub(super) records: &'static [FrameRecord],
    /// Never locked while a cache is.
    buddy: IrqLock<Buddy, C>,
    /// Never two of them locked together.
    caches: PerCpu<StockLock<Cache, C>>,
    /// Frames handed over so far.
    managed: AtomicU32,
    /// What the buddy had free after its last change.
    free: AtomicU32,
    /// Blocks given back that were not in use: refused.
    refused: AtomicU32,
}

impl<M: FrameAccess, C: Cpu> FrameAllocator<M, C> {
    /// An allocator without memory. `table` gets a record for each frame from number 0 on and decides how much
    /// memory can ever be handed over; 8 bytes a frame. Frames from `low_limit` on (a multiple of the largest block)
    /// are out of reach for some devices.
    ///
    /// # Panics
    ///
    /// When the table has more entries than a record can number, or the limit is not a multiple: the caller's bugs.
    pub fn new(memory: M, table: &'static mut [MaybeUninit<FrameRecord>], low_limit: PhysFrame) -> Self {
        assert!(table.len() <= MAX_FRAMES, "a table of {} frames", table.len());
        for record in &mut *table {
            record.write(FrameRecord::new());
        }
        // SAFETY: the loop above has written each element.
        let records: &'static [FrameRecord] = unsafe { table.assume_init_mut() };
        // A limit beyond all numbers leaves everything in the low zone.
        let low_limit = Index::try_from(low_limit.number()).unwrap_or(Index::MAX - (Order::MAX.frames() - 1));
        assert!(low_limit.is_multiple_of(Order::MAX.frames()), "a block would straddle frame {low_limit:#x}");
        Self {
            memory,
            records,
            buddy: IrqLock::new(Rank::FrameAllocator, Buddy::new(records, low_limit)),
            caches: PerCpu::from_fn(|_| StockLock::new(Rank::FrameAllocator, Cache::default())),
            managed: AtomicU32::new(0),
            free: AtomicU32::new(0),
            refused: AtomicU32::new(0),
        }
    }

    /// How many bytes a table takes that describes the frames below `end`.
    #[must_use]
    pub const fn table_bytes(end: PhysFrame) -> u64 {
        end.number() * size_of::<FrameRecord>() as u64
    }

    /// Hands over free memory.
    ///
    /// # Errors
    ///
    /// [`BeyondTable`], with nothing handed over.
    ///
    /// # Safety
    ///
    /// * `M` reaches these frames, they are ordinary memory, and nobody else uses them from now on.
    /// * They have not been handed over before, by this function or by [`adopt`](Self::adopt).
    pub unsafe fn add(&self, frames: Range<PhysFrame>) -> Result<(), BeyondTable> {
        let mut rest = self.fresh(frames)?;
        while !rest.is_empty() {
            let order = Order::largest_at(rest.start, rest.end - rest.start);
            // A lock for each block: at most 4 MiB are out of reach of the other CPUs at a time.
            self.with_buddy(|buddy| buddy.free(rest.start, order));
            self.managed.fetch_add(order.frames(), Relaxed);
            rest.start += order.frames();
        }
        Ok(())
    }

    /// Hands over memory that is in use: each frame becomes a single one with one reference, the caller's, and is free
    /// when that is given up. So the initramfs is mapped and shared like any memory, and can be freed.
    ///
    /// # Errors
    ///
    /// [`BeyondTable`], with nothing handed over.
    ///
    /// # Safety
    ///
    /// * `M` reaches these frames, and they are ordinary memory.
    /// * They have not been handed over before, by this function or by [`add`](Self::add).
    pub unsafe fn adopt(&self, frames: Range<PhysFrame>, kind: FrameUse) -> Result<(), BeyondTable> {
        let fresh = self.fresh(frames)?;
        let count = fresh.end - fresh.start;
        for index in fresh {
            self.record(index).set_used(FrameState::Used(kind), Order::SINGLE);
        }
        self.managed.fetch_add(count, Relaxed);
        self.cache().lock().tally.add(kind, count);
        Ok(())
    }

    /// A block of 2^`order` frames, aligned to its size.
    ///
    /// # Errors
    ///
    /// [`OutOfFrames`]. A caller that can wait or give something back may do so and ask again.
    #[inline]
    pub fn allocate(
        &self,
        order: Order,
        kind: FrameUse,
        zeroing: Zeroing,
    ) -> Result<FrameHandle<'_, M, C>, OutOfFrames> {
        if order != Order::SINGLE {
            return self.allocate_block(order, Reach::Any, kind, zeroing);
        }
        match self.allocate_single(kind, zeroing) {
            Some(index) => Ok(FrameHandle::new(self, index)),
            None => Err(OutOfFrames { order }),
        }
    }

    /// A single frame as a number with one reference, as [`allocate`](Self::allocate) and
    /// [`into_raw`](FrameHandle::into_raw) would give it; `None` where there is none.
    #[must_use = "the reference is lost with the number"]
    #[inline]
    pub fn allocate_raw(&self, kind: FrameUse, zeroing: Zeroing) -> Option<PhysFrame> {
        self.allocate_single(kind, zeroing).map(|index| PhysFrame::from_number(index.into()))
    }

    /// `N` single frames, each as by [`allocate_raw`](Self::allocate_raw), at one go; `None` where this CPU has not so many
    /// with these contents at hand, and the caller takes them one by one.
    #[must_use = "the references are lost with the numbers"]
    #[inline]
    pub fn allocate_raw_at_once<const N: usize>(&self, kind: FrameUse, zeroing: Zeroing) -> Option<[PhysFrame; N]> {
        let taken = self.cache().lock().take_several(kind, zeroing);
        taken.map(|taken| {
            taken.map(|index| {
                let taken = Taken { index, contents: zeroing };
                PhysFrame::from_number(self.ready_single(taken, kind, zeroing).into())
            })
        })
    }

    /// A block that every device can reach, for use [`FrameUse::Dma`]. It goes past the caches: drivers take their
    /// buffers once.
    ///
    /// # Errors
    ///
    /// [`OutOfFrames`] where there is none below the limit, whatever there is above.
    pub fn allocate_dma(&self, order: Order, zeroing: Zeroing) -> Result<FrameHandle<'_, M, C>, OutOfFrames> {
        self.allocate_block(order, Reach::Low, FrameUse::Dma, zeroing)
    }

    /// Zeroes one frame for later, if this CPU has fewer of them than it may keep. For the idle loop.
    pub fn stock_zeroed(&self) -> Stock {
        if self.cache().lock().is_stocked() {
            return Stock::Full;
        }
        let Some(index) = self.with_buddy(|buddy| buddy.allocate(Order::SINGLE, Reach::Any)) else {
            return Stock::NoFrames;
        };
        self.zero(index);
        let put = self.cache().lock().push_zeroed(index);
        match put {
            Ok(()) => Stock::Added,
            Err(index) => {
                self.with_buddy(|buddy| buddy.free(index, Order::SINGLE));
                Stock::Full
            }
        }
    }

    /// Gives all that the CPUs keep at hand back to the buddy, where it joins to larger blocks.
    pub fn drain_caches(&self) {
        for (_, cache) in self.caches.iter() {
            loop {
                let mut batch = Batch::new();
                cache.lock().drain(&mut batch);
                if batch.is_empty() {
                    break;
                }
                self.free_batch(&batch);
            }
        }
    }

    /// At least so many frames are free now, without a lock. What the CPUs have at hand comes on top.
    #[must_use]
    pub fn free_at_least(&self) -> u64 {
        u64::from(self.free.load(Relaxed))
    }

    /// How many frames have been handed over.
    #[must_use]
    pub fn total(&self) -> u64 {
        u64::from(self.managed.load(Relaxed))
    }

    /// Where memory is. Each part is exact at its own moment; the sum is when nobody allocates meanwhile.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let mut statistics = Statistics {
            described: self.records.len() as u64,
            total: self.managed.load(Relaxed).into(),
            refused: self.refused.load(Relaxed),
            ..Statistics::default()
        };
        for (cpu, cache) in self.caches.iter() {
            let cache = cache.lock();
            cache.tally.add_to(&mut statistics.by_use);
            statistics.cached[cpu.index()] = cache.frames() as u64;
        }
        statistics.free = self.with_buddy(|buddy| buddy.free_frames()).into();
        statistics
    }

    /// One frame for `kind`, counted there, its record not yet written.
    #[inline]
    pub(super) fn take_single(&self, kind: FrameUse, wanted: Zeroing) -> Option<Taken> {
        let taken = self.cache().lock().take(kind, wanted);
        if taken.is_some() {
            return taken;
        }
        self.take_single_elsewhere(kind, wanted)
    }

    /// Counts and frees a single frame, whose record this is and whose last reference is gone.
    #[inline]
    pub(super) fn free_single(&self, index: Index, record: &FrameRecord, kind: FrameUse) {
        record.set_cached();
        let put = self.cache().lock().put(kind, index);
        if let Err(index) = put {
            self.free_past_cache(index);
        }
    }

    /// The same for a single frame of zeroes.
    #[inline]
    pub(super) fn free_single_zeroed(&self, index: Index, record: &FrameRecord, kind: FrameUse) {
        debug_assert!(self.is_zero(index), "frame {index:#x} does not hold zeroes");
        record.set_cached();
        let put = self.cache().lock().put_zeroed(kind, index);
        if let Err(index) = put {
            self.free_past_cache(index);
        }
    }

    /// Counts and frees a block of several frames whose last reference is gone.
    #[cold]
    #[inline(never)]
    pub(super) fn free_block(&self, index: Index, order: Order, kind: FrameUse) {
        self.cache().lock().tally.subtract(kind, order.frames());
        self.with_buddy(|buddy| buddy.free(index, order));
    }

    /// Frees a single frame that found the cache full, and has been counted: room for the next ones is made, too.
    #[cold]
    #[inline(never)]
    fn free_past_cache(&self, index: Index) {
        let mut overflow = Batch::new();
        self.cache().lock().push(index, &mut overflow);
        if !overflow.is_empty() {
            self.free_batch(&overflow);
        }
    }

    /// Moves a block from one use to another in the statistics.
    pub(super) fn recount(&self, frames: u32, from: FrameUse, to: FrameUse) {
        let mut cache = self.cache().lock();
        cache.tally.subtract(from, frames);
        cache.tally.add(to, frames);
    }

    /// Somebody gave back what was not in use. A debug build stops; otherwise the block stays as it is, and is counted.
    #[cold]
    #[inline(never)]
    pub(super) fn refuse(&self, index: Index) {
        self.refused.fetch_add(1, Relaxed);
        if cfg!(debug_assertions) {
            panic!("frame {index:#x} was given back while {:?}", self.record(index).state());
        }
    }

    /// A single frame with one reference, which is left to the caller. What seldom happens is out of the way: no more than a
    /// lock, a few loads and a few stores are left.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "most callers know what they ask for, and what for")]
    fn allocate_single(&self, kind: FrameUse, zeroing: Zeroing) -> Option<Index> {
        let taken = self.cache().lock().take(kind, zeroing);
        match taken {
            Some(taken) => Some(self.ready_single(taken, kind, zeroing)),
            None => self.allocate_single_elsewhere(kind, zeroing),
        }
    }

    /// The same where this CPU's cache is empty.
    #[cold]
    #[inline(never)]
    fn allocate_single_elsewhere(&self, kind: FrameUse, zeroing: Zeroing) -> Option<Index> {
        let taken = self.take_single_elsewhere(kind, zeroing)?;
        Some(self.ready_single(taken, kind, zeroing))
    }

    /// Writes the record of a single frame that we took, and its contents.
    #[inline]
    pub(super) fn ready_single(&self, taken: Taken, kind: FrameUse, wanted: Zeroing) -> Index {
        self.record(taken.index).set_used(FrameState::Used(kind), Order::SINGLE);
        if wanted == Zeroing::Zeroed && taken.contents == Zeroing::Unspecified {
            self.zero(taken.index);
        }
        taken.index
    }

    #[inline]
    pub(super) fn record(&self, index: Index) -> &'static FrameRecord {
        &self.records[index as usize]
    }

    #[cold]
    #[inline(never)]
    fn allocate_block(
        &self,
        order: Order,
        reach: Reach,
        kind: FrameUse,
        zeroing: Zeroing,
    ) -> Result<FrameHandle<'_, M, C>, OutOfFrames> {
        let allocate = || self.with_buddy(|buddy| buddy.allocate(order, reach));
        let index = allocate().or_else(|| {
            // The missing buddies may lie in the caches.
            self.drain_caches();
            allocate()
        });
        let index = index.ok_or(OutOfFrames { order })?;
        self.cache().lock().tally.add(kind, order.frames());
        self.record(index).set_used(FrameState::Used(kind), order);
        if zeroing == Zeroing::Zeroed {
            (index..index + order.frames()).for_each(|index| self.zero(index));
        }
        Ok(FrameHandle::new(self, index))
    }

    /// A frame that this CPU's cache does not have.
    #[cold]
    #[inline(never)]
    fn take_single_elsewhere(&self, kind: FrameUse, wanted: Zeroing) -> Option<Taken> {
        self.refill(kind).or_else(|| self.take_from_any_cache(kind, wanted))
    }

    /// Takes a batch from the buddy: one frame for the caller, the others for this CPU.
    fn refill(&self, kind: FrameUse) -> Option<Taken> {
        let mut batch = Batch::new();
        self.with_buddy(|buddy| buddy.allocate_singles(&mut batch));
        let index = batch.pop()?;
        let mut overflow = Batch::new();
        {
            // Somebody may have filled this cache meanwhile, or we are on another CPU: then as much goes back.
            let mut cache = self.cache().lock();
            cache.tally.add(kind, 1);
            cache.push_batch(&batch, &mut overflow);
        }
        if !overflow.is_empty() {
            self.free_batch(&overflow);
        }
        Some(Taken { index, contents: Zeroing::Unspecified })
    }

    /// Looks into the caches of all CPUs: the last resort before being out of memory.
    fn take_from_any_cache(&self, kind: FrameUse, wanted: Zeroing) -> Option<Taken> {
        self.caches.iter().find_map(|(_, cache)| cache.lock().take(kind, wanted))
    }

    fn free_batch(&self, batch: &[Index]) {
        self.with_buddy(|buddy| buddy.free_singles(batch));
    }

    /// Fills a frame that was just taken with zeroes.
    #[inline]
    fn zero(&self, index: Index) {
        let frame = self.memory.frame_ptr(PhysFrame::from_number(index.into()));
        match M::CLEAR {
            // SAFETY: the pointer is good for the whole frame by `FrameAccess`, and the frame was just taken from the free ones:
            // nobody else uses it.
            Some(clear) => unsafe { clear(frame) },
            // SAFETY: as above.
            None => unsafe { frame.write_bytes(0, PAGE_SIZE) },
        }
    }

    /// Whether all bytes of a frame that nobody writes to are zero.
    fn is_zero(&self, index: Index) -> bool {
        let page = self.memory.frame_ptr(PhysFrame::from_number(index.into())).cast::<[u64; PAGE_SIZE / 8]>();
        // SAFETY: the pointer is good for the whole frame by `FrameAccess` and aligned; any bits are an integer, and nobody
        // writes meanwhile.
        unsafe { page.as_ref() }.iter().all(|&word| word == 0)
    }

    /// The cache of the CPU that we are on, or were a moment ago: its lock makes both right.
    #[inline]
    fn cache(&self) -> &StockLock<Cache, C> {
        self.caches.of(C::id())
    }

    fn with_buddy<T>(&self, work: impl FnOnce(&mut Buddy) -> T) -> T {
        let mut buddy = self.buddy.lock();
        let result = work(&mut buddy);
        self.free.store(buddy.free_frames(), Relaxed);
        result
    }

    /// The range as indices, if all of it has records.
    fn fresh(&self, frames: Range<PhysFrame>) -> Result<Range<Index>, BeyondTable> {
        let end = self.records.len() as u64;
        let index = |frame: PhysFrame| Index::try_from(frame.number()).ok().filter(|_| frame.number() <= end);
        let (Some(start), Some(end)) = (index(frames.start), index(frames.end)) else {
            return Err(BeyondTable { frame: PhysFrame::from_number(end.max(frames.start.number())) });
        };
        debug_assert!(
            (start..end).all(|i| self.record(i).state() == FrameState::Inside),
            "memory from frame {start:#x} on was handed over twice"
        );
        Ok(start..end)
    }

    /// Checks the buddy and adds everything up, for tests while nothing else runs.
    ///
    /// # Panics
    ///
    /// When a frame is lost.
    #[cfg(test)]
    #[cfg(not(loom))]
    pub(crate) fn check(&self) {
        self.buddy.lock().check();
        let statistics = self.statistics();
        assert_eq!(statistics.accounted(), statistics.total, "a frame is lost: {statistics:?}");
    }
}
