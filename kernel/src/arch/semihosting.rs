//! Leaving QEMU with a status, through Arm semihosting (`HLT #0xF000`).

use core::arch::global_asm;

/// `SYS_EXIT_EXTENDED` of the semihosting specification.
const SYS_EXIT_EXTENDED: u64 = 0x20;
/// `ADP_Stopped_ApplicationExit`.
const APPLICATION_EXIT: u64 = 0x20026;

global_asm!(
    r#"
    .section .text.semihosting, "ax"
    .global semihosting_call
semihosting_call:
    hlt     #0xf000
    ret
    .section .text
"#
);

unsafe extern "C" {
    fn semihosting_call(operation: u64, block: *const [u64; 2]) -> u64;
}

/// Ends QEMU with `status`. Where nobody listens to semihosting the instruction is undefined; the exception handler then
/// steps over it (see [`is_exit_trap`]) and this returns.
pub(crate) fn exit(status: u8) {
    let block: [u64; 2] = [APPLICATION_EXIT, u64::from(status)];
    // SAFETY: the operation only reads the block; it does not return, or the instruction is skipped.
    unsafe { semihosting_call(SYS_EXIT_EXTENDED, &raw const block) };
}

/// Whether `pc` is the instruction of [`exit`]: undefined where semihosting is off, and no reason to panic.
pub(super) fn is_exit_trap(pc: u64) -> bool {
    pc == semihosting_call as *const () as u64
}
