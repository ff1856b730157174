//! Crashing on purpose, in each of the ways that a kernel can: to see what the report says.

use super::commands::Usage;
use crate::arch::crash;

/// `panic [KIND]`.
pub(super) fn run_command(words: &[&str]) -> Result<(), Usage> {
    match words {
        [] | ["text"] => panic_with_text(),
        ["write"] => crash::write_to_constants(),
        ["null"] => crash::read_address_zero(),
        ["undefined"] => crash::undefined_instruction(),
        ["overflow"] => crash::overflow_stack(),
        _ => Err(Usage),
    }
}

fn panic_with_text() -> ! {
    panic!("asked for on the console")
}
