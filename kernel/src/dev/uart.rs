//! The console's UART: its interrupt, and the threads that wait for it.

use super::{irq, random, tty};
use crate::board;
use crate::log::console;
use crate::task::Waiters;

static READERS: Waiters = Waiters::new();

/// Lets the console work by interrupts.
pub(crate) fn init() {
    irq::register(board::current().pl011.line, "uart0", || {
        random::sample_interrupt();
        let changed = console::on_interrupt();
        if changed.output {
            tty::output_moved();
        }
        if changed.input || changed.output {
            READERS.wake_all();
        }
    });
    console::use_interrupts();
}

/// The next byte of input; sleeps until there is one.
pub(crate) fn read_byte() -> u8 {
    loop {
        wait_while(console::is_input_empty);
        if let Some(byte) = console::read() {
            return byte;
        }
    }
}

/// Sleeps until `condition`, which interrupts of the UART change, is false.
pub(crate) fn wait_while(condition: impl Fn() -> bool) {
    READERS.wait_while(condition);
}

/// Lets all look again who [wait](wait_while).
pub(crate) fn wake() {
    READERS.wake_all();
}
