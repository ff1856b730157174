//! Cache maintenance by address. QEMU has no caches: every call here exists for the boards.

use core::arch::asm;
use core::ops::Range;

/// Bytes of a cache line: `CTR_EL0` says 64 for both levels on the A53 and the A72.
pub(crate) const LINE: usize = 64;

macro_rules! by_line {
    ($(#[$doc:meta])* $name:ident, $op:literal) => {
        $(#[$doc])*
        ///
        /// Begins when all before is done: a read of the register by which a device says that it is done, for one. Returns when
        /// it is complete for every observer. `range` is widened to whole lines.
        pub(crate) fn $name(range: &Range<usize>) {
            // SAFETY: a barrier.
            unsafe { asm!("dsb sy", options(nostack, preserves_flags)) }
            let mut line = range.start & !(LINE - 1);
            while line < range.end {
                // SAFETY: maintenance of mapped kernel addresses; clean operations change no memory that an observer
                // sees, and the invalidating one cleans first.
                unsafe { asm!($op, in(reg) line, options(nostack, preserves_flags)) }
                line += LINE;
            }
            // SAFETY: a barrier.
            unsafe { asm!("dsb sy", options(nostack, preserves_flags)) }
        }
    };
}

by_line! {
    /// Writes dirty lines back to memory (`DC CVAC`): before a device, or a core with its caches off, reads it.
    clean, "dc cvac, {}"
}
by_line! {
    /// Writes dirty lines back and forgets them (`DC CIVAC`): before memory that a device wrote is read.
    clean_and_invalidate, "dc civac, {}"
}

/// Makes what was stored to `range` visible to instruction fetches of all CPUs, under any address (Arm ARM B2.4.4): writes
/// the lines back to where both caches meet, then forgets what the instruction caches hold. `range` is widened to whole
/// lines.
pub(crate) fn make_executable(range: &Range<usize>) {
    /// `CTR_EL0.L1Ip` of a cache that is found by physical addresses alone.
    const PIPT: u64 = 3;
    let lines = || (range.start & !(LINE - 1)..range.end).step_by(LINE);
    for line in lines() {
        // SAFETY: a clean operation on mapped kernel addresses changes no memory that an observer sees.
        unsafe { asm!("dc cvau, {}", in(reg) line, options(nostack, preserves_flags)) }
    }
    // SAFETY: a barrier.
    unsafe { asm!("dsb ish", options(nostack, preserves_flags)) }
    let ctr: u64;
    // SAFETY: reads a register.
    unsafe { asm!("mrs {}, ctr_el0", out(reg) ctr, options(nomem, nostack, preserves_flags)) }
    if ctr >> 14 & 3 == PIPT {
        for line in lines() {
            // SAFETY: what is still needed is fetched again.
            unsafe { asm!("ic ivau, {}", in(reg) line, options(nostack, preserves_flags)) }
        }
    } else {
        // The Cortex-A53's is indexed by virtual addresses, and a program has others than ours for this memory.
        // SAFETY: as above.
        unsafe { asm!("ic ialluis", options(nostack, preserves_flags)) }
    }
    // SAFETY: barriers.
    unsafe { asm!("dsb ish", "isb", options(nostack, preserves_flags)) }
}
