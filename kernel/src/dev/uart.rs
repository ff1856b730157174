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
        READERS.wait_while(console::is_input_empty);
        if let Some(byte) = console::read() {
            return byte;
        }
    }
}
