//! Reading frame records of a stack that may be damaged.

use core::arch::asm;

use kcore::addr::VirtAddr;

use super::mmu;

/// The frame record at `address`: the caller's record and the return address. `None` where the address is misaligned,
/// not among stacks or in the image, or not mapped: a backtrace must not fault.
pub(crate) fn frame_record(address: u64) -> Option<(u64, u64)> {
    // Stacks and the image lie above everything else of the kernel's half; below are device registers, which a backtrace
    // must not read.
    const LOWEST: u64 = 0xffff_ffd0_0000_0000;
    if !address.is_multiple_of(16) || address < LOWEST {
        return None;
    }
    // A record is 16 bytes and 16-aligned, so it lies in one page.
    mmu::translate_read(VirtAddr::new(address))?;
    let pointer = core::ptr::with_exposed_provenance::<[u64; 2]>(usize::try_from(address).ok()?);
    // SAFETY: the MMU translates the address for reads, it is aligned, and any bits are valid integers. The stack's owner
    // may write to it meanwhile, hence the volatile read; a torn record only ends the backtrace.
    let [next, return_address] = unsafe { pointer.read_volatile() };
    Some((next, return_address))
}

/// The caller's frame pointer.
#[inline(always)]
#[expect(clippy::inline_always, reason = "it must read the caller's register")]
pub(crate) fn frame_pointer() -> u64 {
    let fp: u64;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, x29", out(reg) fp, options(nomem, nostack, preserves_flags)) }
    fp
}
