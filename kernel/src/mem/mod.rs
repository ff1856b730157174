//! The kernel's memory: its layout, its translation tables, frames, heap, stacks, device windows.
//!
//! * [`layout`]: where everything lies
//! * [`boot_tables`]: the tables that the MMU is turned on with
//! * `early`: the end of a boot that did not get as far as the kernel's vectors
//! * [`kernel_map`]: the linear map, and what is mapped and unmapped later
//! * [`frames`]: the allocator of all physical memory
//! * [`heap`]: `alloc`'s memory
//! * [`stacks`]: kernel stacks with guards
//! * [`user`]: programs' memory
//! * [`vdso`]: the page that all of them have
//! * [`initramfs`]: the initial archive's pages
//! * [`spin_table`]: releasing the other cores
//! * [`devices`]: the board's register windows
//! * [`message`]: the buffer that the mailbox and we share
//! * [`firmware`]: what firmware left in memory: device tree, tag list, initramfs

mod boot_tables;
pub(crate) mod devices;
pub(crate) mod dma;
mod early;
pub(crate) mod firmware;
pub(crate) mod frames;
pub(crate) mod heap;
pub(crate) mod initramfs;
pub(crate) mod kernel_map;
pub(crate) mod layout;
pub(crate) mod message;
pub(crate) mod spin_table;
pub(crate) mod stacks;
pub(crate) mod user;
pub(crate) mod vdso;

use kcore::addr::VirtAddr;
use kcore::boot::PhysRange;
use kcore::boot::memory_map::{self, MemoryMap};
use kcore::paging::MapError;

use crate::arch::mmu;

/// Why the kernel cannot have its memory. There is nothing to do but say so.
#[derive(Clone, Copy, Debug)]
#[expect(dead_code, reason = "what the variants carry is read in the panic's text")]
pub(crate) enum MemoryError {
    /// Too many pieces.
    Map(memory_map::MapError),
    /// The linear map could not be made.
    Tables(MapError<VirtAddr>),
    /// Not even enough for the allocator or the heap.
    TooSmall,
}

/// Takes all of `usable` that is not `reserved`: linear map, frame allocator, heap. Called once, by the boot CPU, before
/// anything else reads or writes that memory.
pub(crate) fn init(usable: &[PhysRange], reserved: &[PhysRange]) -> Result<(), MemoryError> {
    mmu::set_empty_space(boot_tables::empty_space());
    mmu::leave_identity();
    let mut map = MemoryMap::build(usable.iter().copied(), reserved.iter().copied()).map_err(MemoryError::Map)?;
    // RAM that is reserved is mapped too: the initramfs and the spin table are used from there.
    let all = MemoryMap::build(usable.iter().copied(), []).map_err(MemoryError::Map)?;
    kernel_map::map_memory(all.free()).map_err(MemoryError::Tables)?;
    // SAFETY: the linear map covers every free range; what firmware, the boot code or the image use is reserved; this
    // is the one call.
    unsafe { frames::init(&mut map) }.map_err(|_| MemoryError::TooSmall)?;
    user::init().map_err(|_| MemoryError::TooSmall)?;
    heap::init().map_err(|_| MemoryError::TooSmall)
}
