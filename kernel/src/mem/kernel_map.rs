//! The kernel's own translation tables after the boot tables: the linear map, then whatever comes and goes.

use core::ptr::NonNull;

use kcore::addr::{PAGE_SIZE, PhysAddr, PhysFrame, VirtAddr};
use kcore::boot::PhysRange;
use kcore::hal::FrameAccess;
use kcore::paging::{
    Attributes, KernelAccess, Level, MapError, Mmu, OutOfFrames, OwnedTable, TableSource, Tree, VirtRange,
};
use kcore::sync::{IrqLock, Rank};

use super::boot_tables::{self, KERNEL_ROOT};
use super::frames::{FrameTables, LinearMemory};
use super::layout::{self, IMAGE_BASE, Image};
use crate::arch::cpu::Arm;
use crate::arch::mmu::HardwareTlb;

/// The tree below the kernel's root; `None` until [`map_memory`].
static KERNEL_MAP: IrqLock<Option<Tree<VirtAddr>>, Arm> = IrqLock::new(Rank::KernelMap, None);

/// The kernel's tables in normal use: seen through the linear map, made of allocated frames.
pub(crate) struct KernelMmu;

impl Mmu for KernelMmu {
    type Memory = LinearMemory;
    type Tables = FrameTables;
    type Tlb = HardwareTlb;

    fn memory(&self) -> &LinearMemory {
        &LinearMemory
    }

    fn tables(&self) -> &FrameTables {
        &FrameTables
    }

    fn tlb(&self) -> &HardwareTlb {
        &HardwareTlb
    }
}

/// The same tables while there is no linear map yet: all of them are in the image.
struct BootMmu;

struct ImageMemory;

// SAFETY: the only frames that the boot tables are made of lie in the image's bss, which is mapped at a constant distance
// for reads and writes; frames are page-aligned and distinct.
unsafe impl FrameAccess for ImageMemory {
    fn frame_ptr(&self, frame: PhysFrame) -> NonNull<u8> {
        layout::pointer(VirtAddr::new(IMAGE_BASE + frame.start().get()))
    }
}

struct ImageTables;

// SAFETY: `spare_table` hands out each of its tables once.
unsafe impl TableSource for ImageTables {
    fn allocate(&self) -> Result<PhysFrame, OutOfFrames> {
        boot_tables::spare_table().ok_or(OutOfFrames)
    }

    fn free(&self, _frame: PhysFrame) {
        // Only a failed mapping gives tables back, and that ends the boot.
    }
}

impl Mmu for BootMmu {
    type Memory = ImageMemory;
    type Tables = ImageTables;
    type Tlb = HardwareTlb;

    fn memory(&self) -> &ImageMemory {
        &ImageMemory
    }

    fn tables(&self) -> &ImageTables {
        &ImageTables
    }

    fn tlb(&self) -> &HardwareTlb {
        &HardwareTlb
    }
}

/// Makes the linear map of `ranges`: read and write, but for the image's text and constants, whose second view must
/// not be writable either. Called once, by the boot CPU.
pub(super) fn map_memory(ranges: &[PhysRange]) -> Result<(), MapError<VirtAddr>> {
    let root = PhysFrame::containing(layout::physical_of(&raw const KERNEL_ROOT));
    // SAFETY: the boot tables are a tree of level 1 whose descriptors count their live entries; the boot code is done
    // with them, and from here on only this tree changes them.
    let root = unsafe { OwnedTable::adopt(root, Level::One) };
    let mut tree = Tree::from_live_root(root, &ImageMemory, ());
    let image = Image::here();
    let (fixed_start, fixed_end) = (image.text.start - IMAGE_BASE, image.rodata.end - IMAGE_BASE);
    for range in ranges {
        let (start, end) = (range.start().get(), range.end().get());
        let clamp = |address: u64| address.clamp(start, end);
        map(&mut tree, start, clamp(fixed_start), KernelAccess::ReadWrite)?;
        map(&mut tree, clamp(fixed_start), clamp(fixed_end), KernelAccess::ReadOnly)?;
        map(&mut tree, clamp(fixed_end).max(start), end, KernelAccess::ReadWrite)?;
    }
    *KERNEL_MAP.lock() = Some(tree);
    Ok(())
}

fn map(tree: &mut Tree<VirtAddr>, start: u64, end: u64, access: KernelAccess) -> Result<(), MapError<VirtAddr>> {
    if start >= end {
        return Ok(());
    }
    let output = PhysAddr::new(start);
    let range = VirtRange::new(layout::linear(output), end - start).map_err(|_| MapError::OutOfRange { output })?;
    tree.map(&BootMmu, range, output, Attributes::normal(access))
}

/// Maps the frames from `first` on at `start`, page by page, for reads and writes.
pub(crate) fn map_pages(start: VirtAddr, first: PhysFrame, pages: u64) -> Result<(), MapError<VirtAddr>> {
    let output = first.start();
    let range = VirtRange::new(start, pages * PAGE_SIZE as u64).map_err(|_| MapError::OutOfRange { output })?;
    let mut map = KERNEL_MAP.lock();
    let tree = map.as_mut().expect("the linear map is made first");
    tree.map_pages(&KernelMmu, range, output, Attributes::normal(KernelAccess::ReadWrite))
}

/// Takes what [`map_pages`] mapped away, on every CPU.
pub(crate) fn unmap_pages(start: VirtAddr, pages: u64) {
    let range = VirtRange::new(start, pages * PAGE_SIZE as u64).expect("the range was mapped once");
    let mut map = KERNEL_MAP.lock();
    let tree = map.as_mut().expect("the linear map is made first");
    let unmapped = tree.unmap(&KernelMmu, range, |_| ());
    debug_assert!(unmapped.is_ok(), "page mappings are never blocks");
}
