//! Reading a device register that may not be there.
//!
//! On QEMU's raspi4b the RNG200 is absent and its addresses give a synchronous external abort, where a board has the
//! device. The one load that may abort is known by its address; the handler continues at the landing behind it.

use core::arch::{asm, global_asm};
use core::ptr::NonNull;

global_asm!(
    r#"
    .section .text.probe, "ax"
    .global probe_read32
probe_read32:                           // x0 = address; returns x0 = value, x1 = 1 if it was read
    .global probe_load
probe_load:
    ldr     w0, [x0]
    dsb     sy                          // an abort of a device read may be late: have it here
    mov     x1, #1
    ret
    .global probe_landing
probe_landing:
    mov     x0, #0
    mov     x1, #0
    ret
    .section .text
"#
);

unsafe extern "C" {
    fn probe_load();
    fn probe_landing();
}

/// Reads the 32-bit device register at `address`, or `None` where nothing answers.
///
/// # Safety
///
/// `address` must be mapped as device memory, aligned to 4, and reading it must have no side effect.
pub(crate) unsafe fn read32(address: NonNull<u32>) -> Option<u32> {
    let value: u64;
    let read: u64;
    // SAFETY: the caller's contract makes the load harmless; if it aborts, the exception handler resumes at the landing.
    unsafe {
        asm!("bl probe_read32", inout("x0") address.as_ptr() => value, out("x1") read, out("x30") _, options(nostack));
    }
    (read != 0).then_some(u32::from_le_bytes(value.to_le_bytes()[..4].try_into().expect("four of eight bytes")))
}

/// Where to go on when the instruction at `pc` aborted, if it is one that may.
pub(super) fn landing_for(pc: u64) -> Option<u64> {
    let load = probe_load as *const () as u64;
    (load..load + 8).contains(&pc).then_some(probe_landing as *const () as u64)
}
