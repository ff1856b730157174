//! The PL011 on the header, polled.

use core::fmt;

use aarch64_cpu::registers::{CNTFRQ_EL0, CNTPCT_EL0, Readable};
use abi::push::{FIRST_BAUD, Line};
use drivers::gpio::{Chip, Gpio};
use drivers::pl011::Pl011;
use drivers::wait::Polls;

use crate::start;

/// The UART's clock: what firmware gives it, and what the card's `config.txt` asks for.
const CLOCK_HZ: u32 = 48_000_000;
/// The fastest line that such a clock makes.
const FASTEST: u32 = CLOCK_HZ / 16;

/// How many times nothing is done between two looks at an empty FIFO: a microsecond or two, where at the fastest speed a
/// FIFO of 16 bytes fills in 53. An emulator that is asked without a pause hardly comes to deliver anything.
const POLL_PAUSE: u32 = 100;

/// The UART.
pub(crate) struct Uart(Pl011);

impl Uart {
    /// Takes the header's pins for the PL011 and sets it to the first speed.
    pub(crate) fn open() -> Self {
        let chip = if start::is_pi4() { Chip::Bcm2711 } else { Chip::Bcm2837 };
        let mut gpio = Gpio::new(start::gpio(), chip);
        // None of these pins is a reserved one.
        let _ = gpio.route_console();
        let mut uart = Pl011::new(start::pl011());
        // 48 MHz make 115200 baud.
        let _ = uart.init(CLOCK_HZ, FIRST_BAUD);
        Self(uart)
    }

    /// Waits until all has left.
    pub(crate) fn drain(&self) {
        let _ = self.0.drain(Polls::new(100_000));
    }
}

impl Line for &mut Uart {
    fn read(&mut self, patience_ms: u32) -> Option<u8> {
        let ticks = CNTFRQ_EL0.get() / 1000 * u64::from(patience_ms);
        let start = CNTPCT_EL0.get();
        loop {
            match self.0.read_byte() {
                Some(Ok(byte)) => return Some(byte),
                // The frame that it belongs to will not have its checksum.
                Some(Err(_)) => {}
                None if CNTPCT_EL0.get().wrapping_sub(start) >= ticks => return None,
                None => (0..POLL_PAUSE).for_each(|_| core::hint::spin_loop()),
            }
        }
    }

    fn write(&mut self, byte: u8) {
        let _ = self.0.write_byte(byte);
    }

    fn set_baud(&mut self, baud: u32) -> bool {
        self.drain();
        baud <= FASTEST && self.0.init(CLOCK_HZ, baud).is_ok()
    }
}

impl fmt::Write for Uart {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            let _ = self.0.write_byte(byte);
        }
        Ok(())
    }
}
