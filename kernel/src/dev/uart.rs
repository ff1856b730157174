//! Console input: the UART's interrupt, and a thread that waits for it.

use super::{irq, random};
use crate::board;
use crate::log::console;
use crate::task::Waiters;

static READERS: Waiters = Waiters::new();

/// Lets the console work by interrupts.
pub(crate) fn init() {
    irq::register(board::current().pl011.line, "uart0", || {
        random::sample_interrupt();
        if console::on_interrupt() {
            READERS.wake_one();
        }
    });
    console::use_interrupts();
}

/// The next byte of input; sleeps until there is one.
pub(crate) fn read_byte() -> u8 {
    loop {
        if let Some(byte) = read_byte_unless(|| false) {
            return byte;
        }
    }
}

/// The same, but that somebody may wake the thread and let `interrupted` be true; then there is none.
pub(crate) fn read_byte_unless(interrupted: impl Fn() -> bool) -> Option<u8> {
    loop {
        READERS.wait_while(|| console::is_input_empty() && !interrupted());
        if let Some(byte) = console::read() {
            return Some(byte);
        }
        if interrupted() {
            return None;
        }
    }
}
