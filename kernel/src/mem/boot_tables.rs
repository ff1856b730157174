//! The translation tables that the MMU is turned on with. Built with the MMU off, once, by the boot CPU; the other
//! CPUs start with the same.
//!
//! They map the image with the rights that it keeps (text RX, rodata R, data RW, guards of the boot stacks not at all)
//! and the board's device windows. `mem::linear` adds the linear map to the same root later. A second, tiny tree maps
//! the first 2 MiB onto themselves, read-only and executable, for the instructions around `SCTLR_EL1.M = 1`.
//!
//! This code runs at physical addresses: it may use no pointer that the linker wrote, so it works on arrays by value
//! and takes every address relative to the program counter. All memory is Device memory to a core whose MMU is off,
//! hence no unaligned access and no atomics.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicUsize, Ordering};

use kcore::addr::{PAGE_SIZE, PhysAddr, PhysFrame, VirtAddr};
use kcore::hal::Tlb;
use kcore::paging::{Access, Attributes, Descriptor, Groups, KernelAccess, Leaf, Level, TableEntry, TableLimits};

use super::layout::{Image, TREE_BASE};
use crate::arch::boot::STACK_SIZE;
use crate::arch::cpu;
use crate::arch::mmu::HardwareTlb;

const ENTRIES: usize = 512;
const BLOCK: u64 = 2 << 20;
/// Level-1 entry of the image: bits 38:30 of its base.
const IMAGE_SLOT: usize = 510;
/// Level-1 entry of the device window of physical address 0.
const DEVICE_SLOT: usize = 256;
const IMAGE_TABLES: usize = 2;
/// First of the two level-2 entries of the image's GiB that show the device tree.
const TREE_SLOT: usize = 510;

/// One translation table in the image.
#[repr(C, align(4096))]
pub(crate) struct BootTable(UnsafeCell<[u64; ENTRIES]>);

// SAFETY: written by the boot CPU before any other runs, later only through `kcore::paging`, which has its own rules.
unsafe impl Sync for BootTable {}

impl BootTable {
    const fn new() -> Self {
        Self(UnsafeCell::new([0; ENTRIES]))
    }

    /// The table's frame, when called at physical addresses.
    fn frame(&self) -> PhysFrame {
        PhysFrame::containing(PhysAddr::new(self.0.get().addr() as u64))
    }

    fn set(&self, index: usize, descriptor: Descriptor) {
        // SAFETY: only the boot CPU runs, and it holds no other reference into the table.
        let entries = unsafe { &mut *self.0.get() };
        entries[index] = descriptor.raw();
    }

    fn live(&self) -> u16 {
        // SAFETY: as in `set`.
        let entries = unsafe { &*self.0.get() };
        entries.iter().fold(0, |live, &entry| if entry == 0 { live } else { live + 1 })
    }

    fn descriptor(&self) -> Descriptor {
        Descriptor::table(TableEntry {
            frame: self.frame(),
            limits: TableLimits::empty(),
            groups: Groups::ALL,
            live: self.live(),
        })
    }
}

/// The kernel's root (TTBR1), for good.
#[unsafe(export_name = "kernel_root")]
#[unsafe(link_section = ".bss_tables")]
pub(crate) static KERNEL_ROOT: BootTable = BootTable::new();

/// What TTBR0 points at while no program's space is entered. Nothing is ever written to it.
#[unsafe(link_section = ".bss_tables")]
static EMPTY_SPACE: BootTable = BootTable::new();

#[unsafe(export_name = "boot_identity")]
#[unsafe(link_section = ".bss_tables")]
static IDENTITY_ROOT: BootTable = BootTable::new();
#[unsafe(link_section = ".bss_tables")]
static IDENTITY_BLOCKS: BootTable = BootTable::new();
/// Level 2 of the image's GiB; its last two entries are the window for the device tree.
#[unsafe(link_section = ".bss_tables")]
static IMAGE_BLOCKS: BootTable = BootTable::new();
#[unsafe(link_section = ".bss_tables")]
static IMAGE_PAGES: [BootTable; IMAGE_TABLES] = [const { BootTable::new() }; IMAGE_TABLES];
#[unsafe(link_section = ".bss_tables")]
static DEVICE_BLOCKS: [BootTable; 2] = [const { BootTable::new() }; 2];

/// Tables for the linear map, which is made before there is an allocator: a level-2 table for each GiB that is not
/// whole, a level-3 one for each border that is not on 2 MiB. A board with 8 GiB needs nine.
#[unsafe(link_section = ".bss_tables")]
static SPARE: [BootTable; 24] = [const { BootTable::new() }; 24];
static SPARE_TAKEN: AtomicUsize = AtomicUsize::new(0);

/// A table in the image that nobody uses; each is given out once. With the MMU on.
pub(super) fn spare_table() -> Option<PhysFrame> {
    let table = SPARE.get(SPARE_TAKEN.fetch_add(1, Ordering::Relaxed))?;
    Some(PhysFrame::containing(super::layout::physical_of(table)))
}

/// The table without entries. With the MMU on.
pub(super) fn empty_space() -> PhysFrame {
    PhysFrame::containing(super::layout::physical_of(&raw const EMPTY_SPACE))
}

/// Builds the boot tables. Called by the head with the MMU off.
#[unsafe(no_mangle)]
extern "C" fn boot_tables() {
    map_image();
    map_devices();
    map_identity();
}

fn map_image() {
    let image = Image::here();
    map_pages(image.text.start, image.text.end, KernelAccess::ReadExecute);
    map_pages(image.rodata.start, image.rodata.end, KernelAccess::ReadOnly);
    map_pages(image.data.start, image.boot_stacks, KernelAccess::ReadWrite);
    let mut slot = image.boot_stacks;
    while slot < image.bss.end {
        map_pages(slot + STACK_SIZE as u64, slot + 2 * STACK_SIZE as u64, KernelAccess::ReadWrite);
        slot += 2 * STACK_SIZE as u64;
    }
    for (index, table) in IMAGE_PAGES.iter().enumerate() {
        IMAGE_BLOCKS.set(index, table.descriptor());
    }
    KERNEL_ROOT.set(IMAGE_SLOT, IMAGE_BLOCKS.descriptor());
}

/// Maps image pages, by physical address.
fn map_pages(start: u64, end: u64, access: KernelAccess) {
    let mut page = start;
    while page < end {
        let attributes = Attributes::normal(Access::Kernel(access));
        let leaf = Leaf { output: PhysAddr::new(page), attributes };
        let (table, entry) = (index(page, BLOCK), index(page, PAGE_SIZE as u64));
        IMAGE_PAGES[table % IMAGE_TABLES].set(entry, Descriptor::leaf(Level::Three, leaf));
        page += PAGE_SIZE as u64;
    }
}

/// The windows of the board that this core belongs to: 16 MiB of peripherals and the local controller at 1 GiB on the
/// Pi 3, the last 64 MiB below 4 GiB on the Pi 4.
fn map_devices() {
    // The same question as `board` asks: what is no Pi 4 is taken for a Pi 3.
    const CORTEX_A72: u64 = 0xd08;
    if cpu::midr() >> 4 & 0xfff != CORTEX_A72 {
        map_window(&DEVICE_BLOCKS[0], 0x3f00_0000, 0x4000_0000);
        map_window(&DEVICE_BLOCKS[1], 0x4000_0000, 0x4020_0000);
        KERNEL_ROOT.set(DEVICE_SLOT, DEVICE_BLOCKS[0].descriptor());
        KERNEL_ROOT.set(DEVICE_SLOT + 1, DEVICE_BLOCKS[1].descriptor());
    } else {
        map_window(&DEVICE_BLOCKS[0], 0xfc00_0000, 0x1_0000_0000);
        KERNEL_ROOT.set(DEVICE_SLOT + 3, DEVICE_BLOCKS[0].descriptor());
    }
}

fn map_window(table: &BootTable, start: u64, end: u64) {
    let mut block = start;
    while block < end {
        let attributes = Attributes::device(Access::Kernel(KernelAccess::ReadWrite));
        let leaf = Leaf { output: PhysAddr::new(block), attributes };
        table.set(index(block, BLOCK), Descriptor::leaf(Level::Two, leaf));
        block += BLOCK;
    }
}

fn map_identity() {
    let attributes = Attributes::normal(Access::Kernel(KernelAccess::ReadExecute));
    let head = Leaf { output: PhysAddr::new(0), attributes };
    IDENTITY_BLOCKS.set(0, Descriptor::leaf(Level::Two, head));
    IDENTITY_ROOT.set(0, IDENTITY_BLOCKS.descriptor());
}

/// The entry for `address` in a table whose entries map `entry_size` bytes.
fn index(address: u64, entry_size: u64) -> usize {
    #[expect(clippy::cast_possible_truncation, reason = "below ENTRIES")]
    let index = (address / entry_size) as usize % ENTRIES;
    index
}

/// Maps the 4 MiB around `address` read-only into the device tree's window and says where `address` is seen. The boot
/// CPU calls this alone, before anything else could use the window, and [`close_tree_window`] afterwards.
pub(super) fn open_tree_window(address: PhysAddr) -> VirtAddr {
    let base = address.align_down(BLOCK).get();
    let attributes = Attributes::normal(Access::Kernel(KernelAccess::ReadOnly));
    for (slot, output) in [(TREE_SLOT, base), (TREE_SLOT + 1, base + BLOCK)] {
        IMAGE_BLOCKS.set(slot, Descriptor::leaf(Level::Two, Leaf { output: PhysAddr::new(output), attributes }));
    }
    HardwareTlb.publish();
    VirtAddr::new(TREE_BASE + (address.get() & (BLOCK - 1)))
}

/// Ends what [`open_tree_window`] began.
pub(super) fn close_tree_window() {
    IMAGE_BLOCKS.set(TREE_SLOT, Descriptor::INVALID);
    IMAGE_BLOCKS.set(TREE_SLOT + 1, Descriptor::INVALID);
    HardwareTlb.flush_all();
}
