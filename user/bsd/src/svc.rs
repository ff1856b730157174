//! The instruction that calls the kernel.

use core::arch::asm;

/// Calls the kernel: number in `x8`, arguments in `x0` to `x5`, the result in `x0`. No other register changes.
///
/// # Safety
///
/// What the call does to memory, to descriptors and to the thread that calls must be what Rust code around it may
/// expect: it writes only where the caller may write, unmaps nothing that is in use, and returns once.
#[inline]
pub unsafe fn svc(number: usize, arguments: [usize; 6]) -> isize {
    let [a, b, c, d, e, f] = arguments;
    let result: isize;
    // SAFETY: the kernel keeps every register but x0; memory is the caller's promise.
    unsafe {
        asm!(
            "svc #0",
            in("x8") number,
            inlateout("x0") a => result,
            in("x1") b,
            in("x2") c,
            in("x3") d,
            in("x4") e,
            in("x5") f,
            options(nostack),
        );
    }
    result
}
