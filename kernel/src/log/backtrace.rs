//! Return addresses by frame pointers: every function keeps x29 (`force-frame-pointers`).

use crate::arch::unwind;

/// More frames than any sane stack has.
const MOST: usize = 32;

/// The return addresses above the frame record at `fp`, innermost first. Ends where a record does not look like one.
pub(crate) fn from(fp: u64) -> impl Iterator<Item = u64> {
    let mut record = fp;
    let mut left = MOST;
    core::iter::from_fn(move || {
        left = left.checked_sub(1)?;
        let (next, address) = unwind::frame_record(record)?;
        // Stacks grow down: a caller's record lies above, or the chain has ended or is damaged.
        record = if next > record { next } else { 0 };
        (address != 0).then_some(address)
    })
}
