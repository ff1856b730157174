//! The kernel heap: `alloc`'s memory, which grows and shrinks with what is asked for.
//!
//! | size | from |
//! |---|---|
//! | up to 2016 bytes | slots of sixteen sizes, a stock on each CPU (`kcore::frame::heap`) |
//! | a page | a frame, which each CPU has at hand |
//! | up to 64 KiB | `embedded-alloc`'s two-level segregated fit, on one block of frames of a fixed size |
//! | more, or when that is full | whole blocks of frames |
//!
//! Nearly everything is small: objects of processes, threads and files. The layout that comes back with the memory says
//! where it came from, and for the rest its address does.
//!
//! Memory may come and go in interrupt handlers. When there is none, the answer is null, which is what `try_reserve`
//! reports; whoever cannot fail keeps to the reserve that programs do not get (`mem::user`).
//!
//! The second allocator asks for a critical section around each call. Ours masks interrupts and takes one lock, which is
//! what makes it safe on four cores and in interrupt handlers; a section within a section on the same CPU is part of the
//! outer one.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use critical_section::RawRestoreState;
use embedded_alloc::TlsfHeap;
use kcore::addr::{PAGE_SIZE, PhysAddr, PhysFrame};
use kcore::frame::heap::Class;
use kcore::frame::{FrameUse, Order, OutOfFrames, SizeClasses, Zeroing};
use kcore::hal::Cpu;
use kcore::sync::Rank;

use super::frames::frames;
use super::layout::LINEAR_BASE;
use crate::arch::cpu::{self, Arm};

/// 2^6 frames for the middle sizes: 256 KiB.
const ORDER: u8 = 6;
const MIDDLE_BYTES: usize = PAGE_SIZE << ORDER;
/// The largest of the middle sizes.
const MIDDLE_MOST: usize = 64 * 1024;

#[global_allocator]
static HEAP: Heap = Heap;

static SMALL: SizeClasses<Arm> = SizeClasses::new();
static MIDDLE: TlsfHeap = TlsfHeap::empty();
/// Where the memory of `MIDDLE` begins.
static MIDDLE_START: AtomicUsize = AtomicUsize::new(0);
/// Bytes in whole blocks of frames.
static BLOCK_BYTES: AtomicUsize = AtomicUsize::new(0);

/// All three.
struct Heap;

// SAFETY: each part gives out memory that is as large and aligned as asked for and nobody else's until it comes back, and
// takes back what it gave: slots by their layout, which is the same at both times; the middle by its one block's
// addresses, which are neither a slot's nor another block's.
unsafe impl GlobalAlloc for Heap {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match Class::of(layout) {
            Some(class) => SMALL.allocate(class, frames).map_or(ptr::null_mut(), NonNull::as_ptr),
            None => allocate_large(layout),
        }
    }

    #[inline]
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        let Some(memory) = NonNull::new(memory) else { return };
        match Class::of(layout) {
            // SAFETY: the caller has it from `alloc` with the same layout, or from `realloc` within its class.
            Some(class) => unsafe { SMALL.free(memory, class, frames) },
            // SAFETY: the caller has it from `alloc` with the same layout.
            None => unsafe { free_large(memory, layout) },
        }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        let Ok(wanted) = Layout::from_size_align(bytes, layout.align()) else { return ptr::null_mut() };
        if Class::of(layout).is_some_and(|class| Class::of(wanted) == Some(class)) {
            return memory;
        }
        // SAFETY: `bytes` is not zero, by the caller's contract.
        let moved = unsafe { self.alloc(wanted) };
        if !moved.is_null() {
            // SAFETY: both are at least that large, and the new memory is nobody's yet.
            unsafe { ptr::copy_nonoverlapping(memory, moved, layout.size().min(bytes)) };
            // SAFETY: the caller has it from this allocator with this layout.
            unsafe { self.dealloc(memory, layout) };
        }
        moved
    }
}

#[cold]
fn allocate_large(layout: Layout) -> *mut u8 {
    if layout.size() <= MIDDLE_MOST && layout.size() != PAGE_SIZE {
        // SAFETY: the layout is not empty: what is has a slot.
        let memory = unsafe { MIDDLE.alloc(layout) };
        if !memory.is_null() {
            return memory;
        }
    }
    let Some(order) = block_order(layout) else { return ptr::null_mut() };
    match frames().allocate(order, FrameUse::KernelHeap, Zeroing::Unspecified) {
        Ok(block) => {
            let memory = block.as_ptr();
            // The memory is the block's reference from here on.
            let _frames = block.into_raw();
            BLOCK_BYTES.fetch_add(order.bytes(), Ordering::Relaxed);
            memory.as_ptr()
        }
        Err(_) => ptr::null_mut(),
    }
}

/// # Safety
///
/// `memory` came from [`allocate_large`] with this layout and is not used again.
#[cold]
unsafe fn free_large(memory: NonNull<u8>, layout: Layout) {
    let at = memory.addr().get();
    let start = MIDDLE_START.load(Ordering::Relaxed);
    if (start..start + MIDDLE_BYTES).contains(&at) {
        // SAFETY: it lies in that allocator's memory, so it came from there, with this layout.
        unsafe { MIDDLE.dealloc(memory.as_ptr(), layout) };
        return;
    }
    let Some(order) = block_order(layout) else { return };
    BLOCK_BYTES.fetch_sub(order.bytes(), Ordering::Relaxed);
    let frame = PhysFrame::containing(PhysAddr::new(at as u64 - LINEAR_BASE));
    // SAFETY: the block begins at that frame of the linear map, and its reference went with the memory.
    drop(unsafe { frames().from_raw(frame) });
}

/// The block for a layout; blocks are aligned to their size.
fn block_order(layout: Layout) -> Option<Order> {
    Order::for_bytes(layout.size().max(layout.align()))
}

/// Gives the heap its memory for the middle sizes. Called once, by the boot CPU.
pub(super) fn init() -> Result<(), OutOfFrames> {
    let order = Order::new(ORDER).expect("below the largest order");
    let block = frames().allocate(order, FrameUse::KernelHeap, Zeroing::Unspecified)?;
    let start = block.as_ptr().addr().get();
    // The heap keeps its frames for good.
    let _frames = block.into_raw();
    MIDDLE_START.store(start, Ordering::Relaxed);
    // SAFETY: the block is mapped, ours alone, and never given back; this is the only call.
    unsafe { MIDDLE.init(start, MIDDLE_BYTES) };
    Ok(())
}

/// Gives back what is at hand for small objects.
pub(crate) fn drain() {
    SMALL.drain(frames());
}

/// Bytes of the heap: in use, and in all.
pub(crate) fn usage() -> (usize, usize) {
    let small = SMALL.statistics();
    let bytes = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    let blocks = BLOCK_BYTES.load(Ordering::Relaxed);
    let used = bytes(small.live) + MIDDLE_BYTES.saturating_sub(MIDDLE.free()) + blocks;
    (used, bytes(small.total) + MIDDLE_BYTES + blocks)
}

struct Section;

critical_section::set_impl!(Section);

/// The CPU inside the section, plus one; zero when there is none.
static OWNER: AtomicU8 = AtomicU8::new(0);

/// Restore state of a nested section: there is nothing to undo.
const NESTED: RawRestoreState = u64::MAX;

// SAFETY: `acquire` returns only when no other CPU is inside, with interrupts masked so that nothing else on this CPU gets
// in but code called from within the section, which may; `release` undoes the outermost one. The orderings make each
// section happen after the one before.
unsafe impl critical_section::Impl for Section {
    unsafe fn acquire() -> RawRestoreState {
        let state = cpu::irq_save_raw();
        let me = owner_number();
        if OWNER.load(Ordering::Relaxed) == me {
            return NESTED;
        }
        if cfg!(debug_assertions) {
            let held = Arm::held_ranks();
            Rank::Heap.check_order(held.load(Ordering::Relaxed));
            held.fetch_or(Rank::Heap.bit(), Ordering::Relaxed);
        }
        while OWNER.compare_exchange_weak(0, me, Ordering::Acquire, Ordering::Relaxed).is_err() {
            Arm::relax();
        }
        state
    }

    unsafe fn release(state: RawRestoreState) {
        if state == NESTED {
            return;
        }
        OWNER.store(0, Ordering::Release);
        if cfg!(debug_assertions) {
            Arm::held_ranks().fetch_and(!Rank::Heap.bit(), Ordering::Relaxed);
        }
        cpu::irq_restore_raw(state);
    }
}

fn owner_number() -> u8 {
    1 + u8::try_from(Arm::id().index()).expect("four cores")
}
