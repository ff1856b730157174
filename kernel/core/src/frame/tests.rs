//! Tests of the allocator on memory made of heap. Each that ends well ends with no frame lost.

mod model;
mod stress;

use std::sync::{Mutex, PoisonError};

use super::*;
use crate::addr::{CpuId, MAX_CPUS, PAGE_SIZE, PhysFrame};
use crate::hal::fake::{FakeCpu, FakeMemory};

pub(super) const CPUS: usize = MAX_CPUS;

/// What a zeroed frame holds.
const ZEROES: [u8; PAGE_SIZE] = [0; PAGE_SIZE];

pub(super) type Handle<'a> = FrameHandle<'a, FakeMemory, FakeCpu>;

/// Lets this thread be CPU `number`.
pub(super) fn as_cpu(number: usize) {
    FakeCpu::set_id(CpuId::new(number).unwrap());
}

pub(super) struct Fixture {
    pub(super) allocator: FrameAllocator<FakeMemory, FakeCpu>,
}

impl Fixture {
    /// All memory within reach of devices.
    pub(super) fn new(frames: u64) -> Self {
        Self::with_banks(std::slice::from_ref(&(0..frames)), 1 << 18)
    }

    pub(super) fn with_banks(banks: &[std::ops::Range<u64>], low_limit: u64) -> Self {
        let fixture = Self::described(banks, low_limit);
        for bank in banks {
            // SAFETY: the fake memory has these frames and they are used by nobody else.
            unsafe { fixture.allocator.add(frames(bank.start..bank.end)) }.unwrap();
        }
        fixture
    }

    /// Memory with records, but not handed over.
    fn described(banks: &[std::ops::Range<u64>], low_limit: u64) -> Self {
        /// Keeps the tables reachable, so that Miri does not take them for leaks.
        static TABLES: Mutex<Vec<&'static [FrameRecord]>> = Mutex::new(Vec::new());
        let end = banks.iter().map(|bank| bank.end).max().unwrap();
        let table = Box::leak(Box::new_uninit_slice(usize::try_from(end).unwrap()));
        let allocator = FrameAllocator::new(
            FakeMemory::with_banks(banks.iter().cloned()),
            table,
            PhysFrame::from_number(low_limit),
        );
        TABLES.lock().unwrap_or_else(PoisonError::into_inner).push(allocator.records);
        Self { allocator }
    }

    pub(super) fn single(&self, kind: FrameUse) -> Handle<'_> {
        self.allocator.allocate(Order::SINGLE, kind, Zeroing::Unspecified).unwrap()
    }

    /// Everything is free again.
    pub(super) fn assert_no_frame_lost(&self) {
        self.allocator.drain_caches();
        self.allocator.check();
        let statistics = self.allocator.statistics();
        assert_eq!((statistics.free, statistics.used()), (statistics.total, 0), "{statistics:?}");
        assert_eq!(statistics.refused, 0);
    }
}

fn frames(numbers: std::ops::Range<u64>) -> std::ops::Range<PhysFrame> {
    PhysFrame::from_number(numbers.start)..PhysFrame::from_number(numbers.end)
}

fn order(log2: u8) -> Order {
    Order::new(log2).unwrap()
}

#[test]
fn every_frame_can_be_allocated_and_none_twice() {
    let memory = Fixture::new(100);
    let mut all: Vec<_> = (0..100).map(|_| memory.single(FrameUse::Kernel)).collect();
    let refused = memory.allocator.allocate(Order::SINGLE, FrameUse::Kernel, Zeroing::Unspecified);
    assert_eq!(refused.err(), Some(OutOfFrames { order: Order::SINGLE }));
    all.sort_by_key(Handle::frame);
    all.dedup_by_key(|handle| handle.frame());
    assert_eq!(all.len(), 100);
    drop(all);
    memory.assert_no_frame_lost();
}

#[test]
fn a_freed_frame_can_be_allocated_again() {
    let memory = Fixture::new(1);
    let first = memory.single(FrameUse::Kernel).frame();
    assert_eq!(memory.single(FrameUse::Kernel).frame(), first);
}

#[test]
fn frames_in_the_cache_of_another_cpu_are_not_out_of_reach() {
    let memory = Fixture::new(32);
    as_cpu(1);
    drop((0..32).map(|_| memory.single(FrameUse::Kernel)).collect::<Vec<_>>());
    as_cpu(2);
    assert_eq!(memory.allocator.statistics().cached[1], 32);
    let all: Vec<_> = (0..32).map(|_| memory.single(FrameUse::Kernel)).collect();
    drop(all);
    as_cpu(3);
    let block = memory.allocator.allocate(order(5), FrameUse::Kernel, Zeroing::Unspecified).unwrap();
    assert_eq!((block.frame().number(), block.order()), (0, order(5)));
    drop(block);
    memory.assert_no_frame_lost();
}

#[test]
fn a_block_is_aligned_to_its_size() {
    const LARGEST: u8 = if cfg!(miri) { 5 } else { Order::MAX.log2() };
    let memory = Fixture::new(2 << LARGEST);
    let odd = memory.single(FrameUse::Kernel);
    for log2 in 0..=LARGEST {
        let block = memory.allocator.allocate(order(log2), FrameUse::Stack, Zeroing::Unspecified).unwrap();
        assert!(block.frame().number().is_multiple_of(order(log2).frames().into()));
        assert!(block.page(order(log2).frames()).is_none() && block.page(order(log2).frames() - 1).is_some());
    }
    drop(odd);
    memory.assert_no_frame_lost();
}

#[test]
fn zeroed_means_zeroed_whatever_was_there() {
    let memory = Fixture::new(8);
    let mut dirty = memory.allocator.allocate(order(3), FrameUse::Dma, Zeroing::Unspecified).unwrap();
    (0..8).for_each(|at| dirty.page_mut(at).unwrap().fill(0xa5));
    drop(dirty);
    let clean = memory.allocator.allocate(order(1), FrameUse::Dma, Zeroing::Zeroed).unwrap();
    assert!((0..2).all(|at| *clean.page(at).unwrap() == ZEROES));
    let single = memory.allocator.allocate(Order::SINGLE, FrameUse::UserAnonymous, Zeroing::Zeroed).unwrap();
    assert!(*single.page(0).unwrap() == ZEROES);
}

#[test]
fn the_idle_loop_stocks_zeroed_frames_until_there_are_enough() {
    let memory = Fixture::new(40);
    let mut stocked = 0;
    while memory.allocator.stock_zeroed() == Stock::Added {
        stocked += 1;
    }
    assert_eq!((stocked, memory.allocator.stock_zeroed()), (cache::ZEROED_CAPACITY, Stock::Full));
    let all: Vec<_> = (0..40)
        .map(|_| memory.allocator.allocate(Order::SINGLE, FrameUse::PageTable, Zeroing::Zeroed).unwrap())
        .collect();
    assert!(all.iter().all(|handle| *handle.page(0).unwrap() == ZEROES));
    assert_eq!(memory.allocator.stock_zeroed(), Stock::NoFrames);
    drop(all);
    memory.assert_no_frame_lost();
}

#[test]
fn several_zeroed_frames_come_at_once_where_the_cpu_has_so_many() {
    let memory = Fixture::new(512);
    let take = || memory.allocator.allocate_raw_at_once::<3>(FrameUse::PageTable, Zeroing::Zeroed);
    assert_eq!(take(), None, "none is zeroed yet");
    for _ in 0..5 {
        assert_eq!(memory.allocator.stock_zeroed(), Stock::Added);
    }
    let frames = take().unwrap();
    assert_eq!(take(), None, "two are left");
    assert_eq!(memory.allocator.statistics().used_for(FrameUse::PageTable), 3);
    for frame in frames {
        assert_eq!(memory.allocator.references(frame), 1);
        // SAFETY: the reference came with the number, and is given up once.
        let handle = unsafe { memory.allocator.from_raw(frame) };
        assert!(*handle.page(0).unwrap() == ZEROES);
    }
    memory.assert_no_frame_lost();
}

#[test]
fn devices_get_memory_within_their_reach_and_others_leave_it_to_them() {
    let memory = Fixture::with_banks(&[0..16, 1024..1040], 1024);
    let high: Vec<_> = (0..16).map(|_| memory.single(FrameUse::UserAnonymous)).collect();
    assert!(high.iter().all(|handle| handle.frame().number() >= 1024));
    let dma = memory.allocator.allocate_dma(order(4), Zeroing::Zeroed).unwrap();
    assert_eq!(dma.frame().number(), 0);
    let refused = memory.allocator.allocate_dma(Order::SINGLE, Zeroing::Zeroed);
    assert_eq!(refused.err(), Some(OutOfFrames { order: Order::SINGLE }));
    drop(dma);
    let low = memory.single(FrameUse::UserAnonymous);
    assert!(low.frame().number() < 1024, "the last resort of everybody");
    drop((low, high));
    memory.assert_no_frame_lost();
}

#[test]
fn holes_are_reserved() {
    let memory = Fixture::with_banks(&[0..10, 20..30], 1024);
    let statistics = memory.allocator.statistics();
    assert_eq!((statistics.described, statistics.total, statistics.reserved()), (30, 20, 10));
    let all: Vec<_> = (0..20).map(|_| memory.single(FrameUse::Kernel)).collect();
    assert!(all.iter().all(|handle| !(10..20).contains(&handle.frame().number())));
    drop(all);
    memory.assert_no_frame_lost();
}

#[test]
fn memory_beyond_the_table_is_refused_whole() {
    let memory = Fixture::new(16);
    // SAFETY: nothing is handed over: the range is refused.
    let refused = unsafe { memory.allocator.add(frames(8..17)) };
    assert_eq!(refused, Err(BeyondTable { frame: PhysFrame::from_number(16) }));
    assert_eq!(memory.allocator.statistics().total, 16);
}

#[test]
fn shared_frames_are_free_after_the_last_reference() {
    let memory = Fixture::new(4);
    let mut first = memory.single(FrameUse::UserAnonymous);
    first.page_mut(0).unwrap()[0] = 1;
    let second = first.share();
    assert_eq!((first.references(), second.frame()), (2, first.frame()));
    assert!(first.page_mut(0).is_none(), "nobody writes what others read");
    assert_eq!(second.page(0).unwrap()[0], 1);
    drop(second);
    assert!(first.page_mut(0).is_some());
    drop(first);
    memory.assert_no_frame_lost();
}

#[test]
fn references_by_number_count_like_handles() {
    let memory = Fixture::new(4);
    let allocator = &memory.allocator;
    let frame = memory.single(FrameUse::PageTable).into_raw();
    // SAFETY: `frame` is our reference.
    unsafe { allocator.add_reference(frame) };
    assert_eq!(allocator.references(frame), 2);
    // SAFETY: one of our two references.
    assert!(unsafe { allocator.drop_reference(frame) }.is_none());
    // SAFETY: the other one.
    let last = unsafe { allocator.drop_reference(frame) }.unwrap();
    assert_eq!((last.references(), allocator.statistics().used_for(FrameUse::PageTable)), (1, 1));
    drop(last);
    assert_eq!(allocator.references(frame), 0);
    memory.assert_no_frame_lost();
}

#[test]
fn a_leaked_handle_shows_in_the_statistics() {
    let memory = Fixture::new(8);
    let leaked = memory.allocator.allocate(order(2), FrameUse::Stack, Zeroing::Unspecified).unwrap().into_raw();
    let statistics = memory.allocator.statistics();
    assert_eq!((statistics.used_for(FrameUse::Stack), statistics.used()), (4, 4));
    // SAFETY: the reference that `into_raw` left us.
    drop(unsafe { memory.allocator.from_raw(leaked) });
    memory.assert_no_frame_lost();
}

#[test]
fn adopted_memory_is_in_use_until_its_owner_gives_it_up() {
    let allocator = Fixture::described(std::slice::from_ref(&(0..16)), 1024).allocator;
    // SAFETY: ordinary memory that we use as an initramfs.
    unsafe { allocator.adopt(frames(4..8), FrameUse::UserFile) }.unwrap();
    assert_eq!((allocator.statistics().used_for(FrameUse::UserFile), allocator.statistics().reserved()), (4, 12));
    for number in 4..8 {
        // SAFETY: the references that adoption gave us, each used once.
        drop(unsafe { allocator.from_raw(PhysFrame::from_number(number)) });
    }
    allocator.drain_caches();
    allocator.check();
    let whole = allocator.allocate(order(2), FrameUse::Kernel, Zeroing::Unspecified).unwrap();
    assert_eq!(whole.frame().number(), 4);
}

#[test]
fn a_reservation_hands_out_what_nobody_else_can_get() {
    let memory = Fixture::new(8);
    let mut promised = memory.allocator.reserve(3).unwrap();
    assert_eq!(memory.allocator.statistics().used_for(FrameUse::Promised), 3);
    let rest: Vec<_> = (0..5).map(|_| memory.single(FrameUse::Kernel)).collect();
    assert!(memory.allocator.allocate(Order::SINGLE, FrameUse::Kernel, Zeroing::Unspecified).is_err());
    let root = promised.take(FrameUse::PageTable, Zeroing::Zeroed);
    assert_eq!((promised.left(), memory.allocator.statistics().used_for(FrameUse::PageTable)), (2, 1));
    drop(promised);
    assert_eq!(memory.allocator.statistics().used_for(FrameUse::Promised), 0);
    drop((root, rest));
    memory.assert_no_frame_lost();
}

#[test]
fn a_reservation_that_cannot_be_met_takes_nothing() {
    let memory = Fixture::new(8);
    assert_eq!(memory.allocator.reserve(9).err(), Some(OutOfFrames { order: Order::SINGLE }));
    memory.assert_no_frame_lost();
}

#[test]
#[should_panic(expected = "no more frames are taken than were reserved")]
fn taking_more_than_was_reserved_is_a_bug() {
    let memory = Fixture::new(8);
    let mut promised = memory.allocator.reserve(1).unwrap();
    let _first = promised.take(FrameUse::Kernel, Zeroing::Unspecified);
    let _second = promised.take(FrameUse::Kernel, Zeroing::Unspecified);
}

#[test]
#[cfg_attr(not(debug_assertions), ignore = "release builds count it")]
#[should_panic(expected = "was given back while Cached")]
fn a_double_free_is_caught() {
    let memory = Fixture::new(1);
    let frame = memory.single(FrameUse::Kernel).into_raw();
    for _ in 0..2 {
        // SAFETY: the second time it is not: that is the test. Nothing uses the frame.
        drop(unsafe { memory.allocator.from_raw(frame) });
    }
}

#[test]
#[cfg_attr(not(debug_assertions), ignore = "release builds count it")]
#[should_panic(expected = "frame 0xa was given back while Inside")]
fn freeing_a_reserved_frame_is_caught() {
    let memory = Fixture::with_banks(&[0..10, 20..30], 1024);
    // SAFETY: it is not: that is the test. Nothing uses the frame.
    drop(unsafe { memory.allocator.from_raw(PhysFrame::from_number(10)) });
}

#[test]
fn allocation_works_with_interrupts_masked_and_leaves_them_so() {
    use crate::hal::Cpu;
    let memory = Fixture::new(64);
    let before = FakeCpu::irq_save();
    drop((0..64).map(|_| memory.single(FrameUse::Kernel)).collect::<Vec<_>>());
    assert!(FakeCpu::irqs_masked());
    FakeCpu::irq_restore(before);
    assert!(!FakeCpu::irqs_masked() && FakeCpu::preempt_depth() == 0);
}
