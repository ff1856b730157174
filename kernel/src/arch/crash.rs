//! The ways in which a kernel dies, on purpose: each ends in the report of a fatal exception.

use core::arch::asm;

/// What must not be written: it is among the constants.
static CONSTANT: u64 = 0x7469_6e65;

/// Stores to the kernel's constants: a permission fault.
pub(crate) fn write_to_constants() -> ! {
    // SAFETY: the store does not happen: the page is read-only, and the fault does not return.
    unsafe { asm!("str xzr, [{}]", in(reg) &raw const CONSTANT, options(nostack)) }
    unreachable!("constants are read-only")
}

/// Loads from address zero, where nothing is mapped: a translation fault.
pub(crate) fn read_address_zero() -> ! {
    // SAFETY: the load does not happen: nothing is mapped there, and the fault does not return.
    unsafe { asm!("ldr {0}, [{0}]", inout(reg) 0_u64 => _, options(nostack)) }
    unreachable!("nothing is mapped at zero")
}

/// Executes what is no instruction.
pub(crate) fn undefined_instruction() -> ! {
    // SAFETY: the instruction is undefined by the architecture (`UDF`); the exception does not return.
    unsafe { asm!("udf #0", options(noreturn, nostack)) }
}

/// Calls itself until the stack runs into its guard.
#[expect(unconditional_recursion, reason = "that is its purpose")]
#[inline(never)]
pub(crate) fn overflow_stack() -> ! {
    let ballast = core::hint::black_box([0_u64; 32]);
    core::hint::black_box(&ballast);
    overflow_stack()
}
