//! Where things lie in the kernel's half of the address space.
//!
//! ```text
//! ffffff80_00000000  linear map: physical address 0 and up, RAM only
//! ffffffc0_00000000  device windows: physical address 0 to 4 GiB, only what a board has
//! ffffffd0_00000000  kernel stacks, each in a slot of twice its size, the lower half a guard
//! ffffffff_80000000  the image (physical address 0 and up, 4 MiB)
//! ffffffff_bfc00000  the device tree, while it is read
//! ```

use core::ops::Range;
use core::ptr::NonNull;

use kcore::addr::{PhysAddr, VirtAddr};

/// Start of the linear map: the kernel sees physical address `p` at `LINEAR_BASE + p`.
pub(crate) const LINEAR_BASE: u64 = 0xffff_ff80_0000_0000;
/// Size of the linear map: more than any board's RAM.
pub(crate) const LINEAR_SIZE: u64 = DEVICE_BASE - LINEAR_BASE;
/// Start of the device windows.
pub(crate) const DEVICE_BASE: u64 = 0xffff_ffc0_0000_0000;
/// Start of the kernel stacks.
pub(crate) const STACK_BASE: u64 = 0xffff_ffd0_0000_0000;
/// Where the image's physical address 0 is seen.
pub(crate) const IMAGE_BASE: u64 = 0xffff_ffff_8000_0000;
/// The window through which the device tree is read at boot: two blocks of 2 MiB.
pub(crate) const TREE_BASE: u64 = IMAGE_BASE + (510 << 21);

/// Where the kernel sees the physical address `address` of RAM.
pub(crate) const fn linear(address: PhysAddr) -> VirtAddr {
    debug_assert!(address.get() < LINEAR_SIZE);
    VirtAddr::new(LINEAR_BASE + address.get())
}

/// Where the kernel sees the device register at `address`, below 4 GiB.
pub(crate) const fn device(address: PhysAddr) -> VirtAddr {
    VirtAddr::new(DEVICE_BASE + address.get())
}

/// A pointer to what is mapped at `address`. Making it is safe; using it is not.
pub(crate) fn pointer<T>(address: VirtAddr) -> NonNull<T> {
    let raw = core::ptr::with_exposed_provenance_mut(usize::try_from(address.get()).expect("64-bit addresses"));
    NonNull::new(raw).expect("the kernel's half starts far above zero")
}

unsafe extern "C" {
    static __image_start: u8;
    static __text_end: u8;
    static __ksyms_start: u8;
    static __ksyms_end: u8;
    static __rodata_end: u8;
    static __data_end: u8;
    static __boot_stacks: u8;
    static __image_end: u8;
    static __builtin_start: u8;
    static __builtin_end: u8;
}

/// The image's parts, as addresses of the view that the caller runs in: physical while the MMU is off, virtual later.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    /// Executable, read-only.
    pub(crate) text: Range<u64>,
    /// Read-only.
    pub(crate) rodata: Range<u64>,
    /// Initialised data.
    pub(crate) data: Range<u64>,
    /// Cleared data, tables and boot stacks, behind `data` without a gap.
    pub(crate) bss: Range<u64>,
    /// The boot stacks within `bss`: a slot for each CPU.
    pub(crate) boot_stacks: u64,
}

impl Image {
    /// The parts as the linker laid them out.
    pub(crate) fn here() -> Self {
        let start = (&raw const __image_start).addr() as u64;
        let text_end = (&raw const __text_end).addr() as u64;
        let rodata_end = (&raw const __rodata_end).addr() as u64;
        let data_end = (&raw const __data_end).addr() as u64;
        let boot_stacks = (&raw const __boot_stacks).addr() as u64;
        let end = (&raw const __image_end).addr() as u64;
        Self {
            text: start..text_end,
            rodata: text_end..rodata_end,
            data: rodata_end..data_end,
            bss: data_end..end,
            boot_stacks,
        }
    }

    /// The physical range of the image with its cleared data.
    pub(crate) fn physical() -> Range<u64> {
        let image = Self::here();
        image.text.start - IMAGE_BASE..image.bss.end - IMAGE_BASE
    }
}

/// The physical range of the initramfs that the kernel was built with, behind the image; empty if it brings none.
pub(crate) fn builtin_initramfs() -> Range<u64> {
    let (start, end) = (&raw const __builtin_start, &raw const __builtin_end);
    start.addr() as u64 - IMAGE_BASE..end.addr() as u64 - IMAGE_BASE
}

/// The physical address of a static object of the kernel.
pub(crate) fn physical_of<T: ?Sized>(object: *const T) -> PhysAddr {
    PhysAddr::new(object.addr() as u64 - IMAGE_BASE)
}

/// The section for the table of function names (`abi::symbols`).
pub(crate) fn function_names() -> &'static [u8] {
    let start = &raw const __ksyms_start;
    let length = (&raw const __ksyms_end).addr() - start.addr();
    // SAFETY: the linker script reserves these bytes among the constants, which nobody ever writes to.
    unsafe { core::slice::from_raw_parts(start, length) }
}
