//! Text on the console's UART.
//!
//! Writers put bytes into a ring, under one lock, so that lines of several CPUs do not mix; what the FIFO cannot take
//! at once is sent by the transmit interrupt. Before interrupts are on, and when the ring is full, the writer waits
//! for the UART itself: nothing is ever lost, and no wait is without a bound.

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicBool, Ordering};

use drivers::pl011::{Interrupts, Pl011};
use heapless::Deque;
use kcore::sync::{IrqLock, Rank};

use crate::arch::cpu::Arm;
use crate::mem::devices;

/// Bytes that can wait for the UART: a screenful.
const RING: usize = 4096;
/// Line speed in bits per second.
pub(crate) const BAUD: u32 = 115_200;
/// The UART's clock when the mailbox does not say better: what firmware sets.
const DEFAULT_CLOCK_HZ: u32 = 48_000_000;

struct Output {
    uart: Option<Pl011>,
    ring: Deque<u8, RING>,
}

static OUTPUT: IrqLock<Output, Arm> = IrqLock::new(Rank::Console, Output { uart: None, ring: Deque::new() });
/// Whether the transmit interrupt empties the ring.
static INTERRUPT_DRIVEN: AtomicBool = AtomicBool::new(false);

/// Sets the UART up: from here on the console works, polled. `clock_hz` is the UART's input clock, if it is known.
pub(crate) fn init(clock_hz: Option<u32>) {
    let mut uart = Pl011::new(devices::pl011());
    // QEMU names a clock that is not the one it simulates, and minds no divisor; a board's answer is true.
    if clock_hz.is_none_or(|hz| uart.init(hz, BAUD).is_err()) {
        uart.init(DEFAULT_CLOCK_HZ, BAUD).expect("48 MHz makes 115200 baud");
    }
    OUTPUT.lock().uart = Some(uart);
}

/// Lets the transmit interrupt do the waiting. The handler of the UART's line calls [`on_interrupt`].
pub(crate) fn use_interrupts() {
    INTERRUPT_DRIVEN.store(true, Ordering::Release);
}

/// Prints text; `\n` becomes `\r\n`.
pub(crate) fn print(text: fmt::Arguments<'_>) {
    let mut output = OUTPUT.lock();
    // Writing into the ring cannot fail.
    let _ = output.write_fmt(text);
    output.send();
}

/// Puts bytes into the console stream as they are, all together: trace frames.
pub(crate) fn write_raw(bytes: &[u8]) {
    let mut output = OUTPUT.lock();
    for &byte in bytes {
        output.push(byte);
    }
    output.send();
}

/// Sends what waits. Called with the UART's interrupt; returns the receive interrupts that are pending.
pub(crate) fn on_interrupt(receive: impl FnOnce(&Pl011)) {
    let mut output = OUTPUT.lock();
    if let Some(uart) = &output.uart {
        uart.acknowledge(Interrupts::all());
        receive(uart);
    }
    output.send();
}

impl Output {
    fn push(&mut self, byte: u8) {
        while self.ring.push_back(byte).is_err() {
            self.send_one();
        }
    }

    /// Sends the oldest byte, waiting for room in the FIFO. A UART that does not take it within its bound loses it:
    /// there is nobody left to tell.
    fn send_one(&mut self) {
        if let (Some(uart), Some(byte)) = (&self.uart, self.ring.pop_front()) {
            let _ = uart.write_byte(byte);
        }
    }

    fn send(&mut self) {
        let Self { uart: Some(uart), ring } = self else { return };
        if INTERRUPT_DRIVEN.load(Ordering::Acquire) {
            while let Some(&byte) = ring.front() {
                if !uart.try_write_byte(byte) {
                    break;
                }
                ring.pop_front();
            }
            let transmit = if ring.is_empty() { Interrupts::empty() } else { Interrupts::TRANSMIT };
            uart.unmask_only(Interrupts::RECEIVE | Interrupts::RECEIVE_TIMEOUT | transmit);
        } else {
            while !self.ring.is_empty() {
                self.send_one();
            }
        }
    }
}

impl Write for Output {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if byte == b'\n' {
                self.push(b'\r');
            }
            self.push(byte);
        }
        Ok(())
    }
}

/// The console of a dying kernel: a second window onto the UART, no lock, no interrupts. Bytes that the ring still
/// holds are lost to it; see [`rescue`].
pub(crate) struct Emergency(Pl011);

impl Emergency {
    /// Takes the UART as it stands.
    pub(crate) fn new() -> Self {
        Self(Pl011::new(devices::pl011()))
    }
}

impl Write for Emergency {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if byte == b'\n' {
                let _ = self.0.write_byte(b'\r');
            }
            let _ = self.0.write_byte(byte);
        }
        Ok(())
    }
}

/// Sends what the ring holds, if nobody has the lock: the words before a panic. Called once the other CPUs stand still.
pub(crate) fn rescue() {
    if let Some(mut output) = OUTPUT.try_lock() {
        while output.uart.is_some() && !output.ring.is_empty() {
            output.send_one();
        }
    }
}

/// Waits until all that was printed has left the UART: before power-off and reset.
pub(crate) fn flush() {
    let mut output = OUTPUT.lock();
    while output.uart.is_some() && !output.ring.is_empty() {
        output.send_one();
    }
    if let Some(uart) = &output.uart {
        // A FIFO of 16 bytes needs 1.4 ms at 115200 baud.
        let _ = uart.drain(drivers::wait::Polls::new(100_000));
    }
}
