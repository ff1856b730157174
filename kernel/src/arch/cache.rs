//! Cache maintenance by address. QEMU has no caches: every call here exists for the boards.

use core::arch::asm;
use core::ops::Range;

/// Bytes of a cache line: `CTR_EL0` says 64 for both levels on the A53 and the A72.
pub(crate) const LINE: usize = 64;

macro_rules! by_line {
    ($(#[$doc:meta])* $name:ident, $op:literal) => {
        $(#[$doc])*
        ///
        /// Returns when it is complete for every observer. `range` is widened to whole lines.
        pub(crate) fn $name(range: &Range<usize>) {
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
