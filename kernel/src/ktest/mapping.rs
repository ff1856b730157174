//! The kernel's own address space, by the MMU's word (`AT S1E1R`, `AT S1E1W`).

use core::ops::Range;

use kcore::addr::{MAX_CPUS, PAGE_SIZE, PhysAddr, VirtAddr};

use super::harness::{Outcome, ensure, on_each_cpu};
use crate::arch::boot::STACK_SIZE;
use crate::arch::mmu;
use crate::mem::layout::{self, IMAGE_BASE, Image};

fn pages(range: &Range<u64>) -> impl Iterator<Item = VirtAddr> + use<> {
    (range.start..range.end).step_by(PAGE_SIZE).map(VirtAddr::new)
}

fn read_only(what: &str, address: VirtAddr) -> Outcome {
    ensure!(mmu::translate_read(address).is_some(), "{address} of {what} is not readable");
    ensure!(mmu::translate_write(address).is_none(), "{address} of {what} is writable");
    Ok(())
}

/// Fails with the access of rodata set to `ReadWrite` in the boot tables; there is no access that lets text be written.
pub(super) fn text_and_constants_are_not_writable() -> Outcome {
    let image = Image::here();
    pages(&image.text).try_for_each(|page| read_only("text", page))?;
    pages(&image.rodata).try_for_each(|page| read_only("rodata", page))
}

/// But for the guards of the boot stacks: each is the upper half of a slot, as any kernel stack.
///
/// Fails when the boot tables map whole slots of boot stacks.
pub(super) fn data_is_writable() -> Outcome {
    let image = Image::here();
    let slots = image.boot_stacks..image.boot_stacks + (MAX_CPUS * 2 * STACK_SIZE) as u64;
    for page in pages(&(image.data.start..image.bss.end)) {
        let is_guard = slots.contains(&page.get()) && page.get() & STACK_SIZE as u64 == 0;
        let expected = (!is_guard).then_some(PhysAddr::new(page.get() - IMAGE_BASE));
        let found = mmu::translate_write(page);
        ensure!(found == expected, "{page} of data leads to {found:?}, not {expected:?}");
    }
    Ok(())
}

/// Fails with `KernelAccess::ReadWrite` for the second range of `map_memory`.
pub(super) fn the_linear_map_shows_the_image_read_only() -> Outcome {
    let image = Image::here();
    for page in pages(&(image.text.start..image.rodata.end)) {
        read_only("the image's alias", layout::linear(PhysAddr::new(page.get() - IMAGE_BASE)))?;
    }
    for page in pages(&image.data) {
        let alias = layout::linear(PhysAddr::new(page.get() - IMAGE_BASE));
        ensure!(mmu::translate_write(alias).is_some(), "{alias}, the alias of data, is not writable");
    }
    Ok(())
}

/// Each CPU has a TTBR0 of its own, and had the boot code's identity map in it.
///
/// Fails without `mmu::leave_identity` in `mem::init`, on the boot CPU.
pub(super) fn address_zero_is_not_mapped() -> Outcome {
    on_each_cpu("zero", |cpu| {
        for address in [0, 0x1000, 0x8_0000, 0x3f00_0000].map(VirtAddr::new) {
            ensure!(mmu::translate_read(address).is_none(), "cpu {cpu}: {address} is mapped");
        }
        Ok(())
    })
}
