//! Programs' memory: their translation tables, the frames under their pages, and who is refused when frames run short.
//!
//! **The floor.** Program memory is refused while fewer than [`FLOOR`] frames are free, tables and kernel stacks
//! included. What is left is for the kernel's own small objects, which therefore need not fail: whoever makes such
//! objects in numbers that a program chooses asks [`has_room`](MemorySystem::has_room) first.
//!
//! **Counts.** A frame has one reference for each leaf that maps it and for each that somebody keeps as a number. Frames
//! of devices have none, nor has the page of zeroes that stands for all memory that was only read so far.

use alloc::sync::Arc;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering};

use kcore::addr::{PAGE_SIZE, PhysFrame, UserAddr};
use kcore::frame::{FrameUse, Order, Zeroing};
use kcore::hal::FrameAccess;
use kcore::paging::{Leaf, LeafCounts, MemoryType, Mmu, OutOfFrames, Released, SharingMmu, TableCounts, TableSource};
use kcore::sync::Once;
use kcore::vm::{Commitments, MemorySystem, OverCommitted, Pager, SharedMemory};

use super::frames::{self, Frames, LinearMemory};
use super::{heap, stacks};
use crate::arch::cpu::{self, Arm};
use crate::arch::mmu::HardwareTlb;
use crate::arch::{cache, memory};

/// Free frames that programs do not get: 1 MiB.
const FLOOR: u64 = 256;

/// Programs' memory, for `kcore::paging` and `kcore::vm`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct UserMemorySystem;

/// The one value of it.
pub(crate) static MEMORY: UserMemorySystem = UserMemorySystem;
/// What has been promised to programs.
static COMMITMENTS: Commitments = Commitments::new();
/// Who gives frames back that are kept for speed only, up to as many as asked for: the cache of a disk.
static GIVER: Once<fn(usize)> = Once::new();
/// As many are asked for at a time.
const ASKED_FOR: usize = 256;
/// The number of the page of zeroes.
static ZERO_PAGE: AtomicU64 = AtomicU64::new(0);

/// Takes the page of zeroes. Called once, by the boot CPU, when there is an allocator.
pub(super) fn init() -> Result<(), OutOfFrames> {
    let page = frames().allocate(Order::SINGLE, FrameUse::Kernel, Zeroing::Zeroed).map_err(|_| OutOfFrames)?;
    // It keeps its frame for good.
    ZERO_PAGE.store(page.into_raw().number(), Ordering::Relaxed);
    Ok(())
}

/// From now on `giver` is asked when frames run short, by whoever needs one. It does not sleep.
pub(crate) fn set_giver(giver: fn(usize)) {
    GIVER.call_once(|| giver);
}

/// Asks for frames that are kept for speed only, and says whether there is room then.
#[cold]
#[inline(never)]
fn is_given_room() -> bool {
    // Who gives takes locks, so somebody who has one must not ask.
    if let Some(giver) = GIVER.get()
        && cpu::header().preempt_count() == 0
    {
        giver(ASKED_FOR);
    }
    frames().free_at_least() >= FLOOR
}

/// The allocator, for programs' memory.
#[inline(always)]
#[expect(clippy::inline_always, reason = "an address that the linker knows")]
fn frames() -> &'static Frames {
    // SAFETY: a program's memory is asked for by programs, which the boot CPU starts when all is set up; and by `init` here
    // and the initramfs, which `mem::init` calls after that of `frames`.
    unsafe { frames::frames_set_up() }
}

impl UserMemorySystem {
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "the contents are known in both of the functions that follow")]
    fn allocate(kind: FrameUse, zeroing: Zeroing) -> Result<PhysFrame, OutOfFrames> {
        if !MEMORY.has_room() {
            make_room()?;
        }
        frames().allocate_raw(kind, zeroing).ok_or(OutOfFrames)
    }

    #[inline(never)]
    fn allocate_zeroed(kind: FrameUse) -> Result<PhysFrame, OutOfFrames> {
        Self::allocate(kind, Zeroing::Zeroed)
    }

    #[inline(never)]
    fn allocate_unspecified(kind: FrameUse) -> Result<PhysFrame, OutOfFrames> {
        Self::allocate(kind, Zeroing::Unspecified)
    }
}

/// Gives up what is kept for speed.
///
/// # Errors
///
/// [`OutOfFrames`] if that was not enough.
#[cold]
#[inline(never)]
fn make_room() -> Result<(), OutOfFrames> {
    stacks::drain();
    heap::drain();
    if MEMORY.has_room() { Ok(()) } else { Err(OutOfFrames) }
}

impl UserMemorySystem {
    /// A frame of zeroes for a file's contents.
    pub(super) fn zeroed_file(&self) -> Option<PhysFrame> {
        Self::allocate_zeroed(FrameUse::UserFile).ok()
    }
}

impl MemorySystem for UserMemorySystem {
    fn zeroed(&self) -> Result<PhysFrame, OutOfFrames> {
        Self::allocate_zeroed(FrameUse::UserAnonymous)
    }

    fn unspecified(&self) -> Result<PhysFrame, OutOfFrames> {
        Self::allocate_unspecified(FrameUse::UserAnonymous)
    }

    #[inline(never)]
    fn unspecified_two(&self) -> Option<[PhysFrame; 2]> {
        // As with several tables.
        self.has_room().then(|| frames().allocate_raw_at_once(FrameUse::UserAnonymous, Zeroing::Unspecified)).flatten()
    }

    fn copy(&self, from: PhysFrame, to: PhysFrame) {
        debug_assert_ne!(from, to);
        frames().set_fetchable(to, false);
        // SAFETY: both are whole frames of the linear map; the caller has `to` to itself, and what programs store to `from`
        // meanwhile is theirs to sort out: the words are only moved.
        unsafe { memory::copy_page(LinearMemory.frame_ptr(from), LinearMemory.frame_ptr(to)) };
    }

    fn copy_beginning(&self, from: PhysFrame, to: PhysFrame, bytes: usize) {
        assert!(bytes <= PAGE_SIZE, "{bytes} bytes of a page");
        debug_assert_ne!(from, to);
        frames().set_fetchable(to, false);
        // SAFETY: as in `copy`, of a part of the frames.
        unsafe { LinearMemory.frame_ptr(from).copy_to_nonoverlapping(LinearMemory.frame_ptr(to), bytes) };
    }

    fn read(&self, frame: PhysFrame, offset: usize, to: &mut [u8]) {
        assert!(offset <= PAGE_SIZE && to.len() <= PAGE_SIZE - offset, "{} bytes at {offset} of a page", to.len());
        // SAFETY: within the frame.
        let from = unsafe { LinearMemory.frame_ptr(frame).add(offset) };
        // SAFETY: within the frame, which no reference leads to; `to` is somewhere else, being a reference.
        unsafe { from.copy_to_nonoverlapping(NonNull::from_mut(to).cast(), to.len()) };
    }

    fn write(&self, frame: PhysFrame, offset: usize, from: &[u8]) {
        assert!(offset <= PAGE_SIZE && from.len() <= PAGE_SIZE - offset, "{} bytes at {offset} of a page", from.len());
        frames().set_fetchable(frame, false);
        // SAFETY: within the frame.
        let to = unsafe { LinearMemory.frame_ptr(frame).add(offset) };
        // SAFETY: as in `read`.
        unsafe { to.copy_from_nonoverlapping(NonNull::from_ref(from).cast(), from.len()) };
    }

    fn add_reference(&self, frame: PhysFrame) {
        if frame != self.zero_page() {
            // SAFETY: the caller has a reference.
            unsafe { frames().add_reference(frame) };
        }
    }

    fn release(&self, frame: PhysFrame) {
        if frame != self.zero_page() {
            // SAFETY: the reference is the caller's, who gives it up.
            drop(unsafe { frames().from_raw(frame) });
        }
    }

    fn zero_page(&self) -> PhysFrame {
        PhysFrame::from_number(ZERO_PAGE.load(Ordering::Relaxed))
    }

    #[inline]
    fn make_executable(&self, frame: PhysFrame) {
        if !frames().is_fetchable(frame) {
            make_fetchable(frame);
        }
    }

    fn stack_pointer(&self) -> Option<UserAddr> {
        Some(cpu::program_stack_pointer())
    }

    fn has_room(&self) -> bool {
        frames().free_at_least() >= FLOOR || is_given_room()
    }

    fn free_frames(&self) -> u64 {
        frames().free_at_least()
    }

    fn total_frames(&self) -> u64 {
        frames().total()
    }

    fn commitments(&self) -> &Commitments {
        &COMMITMENTS
    }

    fn shared_memory(&self, pages: u64) -> Result<Arc<dyn Pager>, OverCommitted> {
        Ok(Arc::new(SharedMemory::<Self, Arm>::new(&MEMORY, pages)?))
    }
}

/// Lets instruction fetches see what is in `frame`.
#[cold]
fn make_fetchable(frame: PhysFrame) {
    let start = LinearMemory.frame_ptr(frame).addr().get();
    cache::make_executable(&(start..start + PAGE_SIZE));
    frames().set_fetchable(frame, true);
}

impl Mmu for UserMemorySystem {
    type Memory = LinearMemory;
    type Tables = UserTables;
    type Tlb = HardwareTlb;

    fn memory(&self) -> &LinearMemory {
        &LinearMemory
    }

    fn tables(&self) -> &UserTables {
        &UserTables
    }

    fn tlb(&self) -> &HardwareTlb {
        &HardwareTlb
    }
}

impl SharingMmu for UserMemorySystem {
    type Leaves = Self;

    fn leaves(&self) -> &Self {
        self
    }
}

/// Programs' translation tables, counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct UserTables;

// SAFETY: a handle turned into a number is a frame of the linear map that belongs to nobody else until it is freed.
unsafe impl TableSource for UserTables {
    fn allocate(&self) -> Result<PhysFrame, OutOfFrames> {
        UserMemorySystem::allocate_unspecified(FrameUse::PageTable)
    }

    fn allocate_zeroed(&self, _memory: &impl FrameAccess) -> Result<PhysFrame, OutOfFrames> {
        UserMemorySystem::allocate_zeroed(FrameUse::PageTable)
    }

    fn allocate_zeroed_at_once<const N: usize>(&self) -> Option<[PhysFrame; N]> {
        // Where memory runs short they are taken one by one, and more is made room for.
        MEMORY.has_room().then(|| frames().allocate_raw_at_once(FrameUse::PageTable, Zeroing::Zeroed)).flatten()
    }

    fn free(&self, frame: PhysFrame) {
        // SAFETY: the tables give back only frames that `allocate` returned, once each.
        drop(unsafe { frames().from_raw(frame) });
    }

    fn free_zeroed(&self, frame: PhysFrame) {
        // SAFETY: as in `free`; and it holds zeroes.
        unsafe { frames().free_zeroed(frame) };
    }

    fn release(&self, frame: PhysFrame) -> Released {
        // SAFETY: the reference is the caller's, who gives it up. As the last one it comes back, for `free`.
        match unsafe { frames().drop_reference(frame) } {
            Some(last) => {
                let _last = last.into_raw();
                Released::Last
            }
            None => Released::Shared,
        }
    }
}

// SAFETY: the counts are those of the frame allocator, whose orderings are as asked for.
unsafe impl TableCounts for UserTables {
    fn share(&self, frame: PhysFrame) {
        // SAFETY: the caller has a reference.
        unsafe { frames().add_reference(frame) };
    }

    fn is_last(&self, frame: PhysFrame) -> bool {
        frames().references(frame) == 1
    }
}

impl LeafCounts for UserMemorySystem {
    fn share(&self, leaf: Leaf) {
        if let Some(frame) = counted(leaf) {
            // SAFETY: the leaf that the caller has is a reference.
            unsafe { frames().add_reference(frame) };
        }
    }

    #[inline]
    fn release(&self, leaf: Leaf) {
        if let Some(frame) = counted(leaf) {
            // SAFETY: the leaf's reference is given up with it.
            unsafe { frames().release(frame) };
        }
    }

    fn is_last(&self, leaf: Leaf) -> bool {
        counted(leaf).is_some_and(|frame| frames().references(frame) == 1)
    }
}

/// The frame that a leaf maps, if it is one that is counted.
fn counted(leaf: Leaf) -> Option<PhysFrame> {
    let frame = PhysFrame::containing(leaf.output);
    (leaf.attributes.memory == MemoryType::Normal && frame != UserMemorySystem.zero_page()).then_some(frame)
}
