//! Accesses and instructions that a kernel must answer with a signal. None of these returns: a process that survives
//! ends with the status [`SURVIVED`].

use std::arch::asm;

use crate::process::exit;

/// The status of a process that was not ended as it should have been.
pub const SURVIVED: i32 = 99;

/// Reads a byte at `address`.
pub fn reading(address: usize) -> ! {
    // SAFETY: the process ends right after it, whatever was read.
    unsafe { asm!("ldrb {0:w}, [{0}]", inout(reg) address => _, options(nostack, readonly)) };
    exit(SURVIVED)
}

/// Stores a byte at `address`.
pub fn writing(address: usize) -> ! {
    // SAFETY: the process ends right after it, before anybody can see what was overwritten.
    unsafe { asm!("strb wzr, [{}]", in(reg) address, options(nostack)) };
    exit(SURVIVED)
}

/// Jumps to `address`.
pub fn executing(address: usize) -> ! {
    // SAFETY: does not come back; the process ends there, one way or the other.
    unsafe { asm!("br {}", in(reg) address, options(noreturn)) }
}

/// Executes an instruction that is none.
pub fn by_undefined_instruction() -> ! {
    // SAFETY: has no effect but its exception.
    unsafe { asm!("udf #0", options(nostack, nomem)) };
    exit(SURVIVED)
}

/// Executes an instruction that programs may not.
pub fn by_privileged_instruction() -> ! {
    // SAFETY: has no effect but its exception.
    unsafe { asm!("msr daifset, #2", "mrs {}, sctlr_el1", out(reg) _, options(nostack, nomem)) };
    exit(SURVIVED)
}

/// Executes a breakpoint.
pub fn by_breakpoint() -> ! {
    // SAFETY: has no effect but its exception.
    unsafe { asm!("brk #0", options(nostack, nomem)) };
    exit(SURVIVED)
}

/// Makes the stack pointer odd and uses it.
pub fn by_misaligned_stack() -> ! {
    // SAFETY: does not come back.
    unsafe { asm!("sub sp, sp, #8", "str xzr, [sp]", "mov x0, #99", "mov x8, #94", "svc #0", options(noreturn)) }
}

/// Uses an exclusive load on a misaligned address.
pub fn by_misaligned_exclusive() -> ! {
    let words = [0_u64; 2];
    let address = words.as_ptr().wrapping_byte_add(1);
    // SAFETY: reads within `words`; the process ends right after it.
    unsafe { asm!("ldxr {0}, [{0}]", inout(reg) address => _, options(nostack, readonly)) };
    exit(SURVIVED)
}

/// Goes down the stack, page by page, for ever.
pub fn by_using_up_the_stack() -> ! {
    // SAFETY: does not come back.
    unsafe { asm!("2:", "sub sp, sp, #1024", "str xzr, [sp]", "b 2b", options(noreturn)) }
}
