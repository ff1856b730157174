//! The header's UART pins, before the console's first byte.
//!
//! Firmware gives GPIO 14 and 15 to the mini-UART and the PL011 to Bluetooth on 30 to 33. The console wants the PL011 on
//! the header. QEMU minds none of this.

use drivers::gpio::{Chip, Function, Gpio, Pin, Pull, ReservedPin};

use crate::board::{self, Pulls};
use crate::mem::devices;

const TX: u8 = 14;
const RX: u8 = 15;
const BLUETOOTH: core::ops::RangeInclusive<u8> = 30..=33;

/// Routes the PL011 to the header.
pub(crate) fn init() -> Result<(), ReservedPin> {
    let chip = match board::current().pulls {
        Pulls::Clocked => Chip::Bcm2837,
        Pulls::Direct => Chip::Bcm2711,
    };
    let mut gpio = Gpio::new(devices::gpio(), chip);
    // Bluetooth first: the PL011's lines must not be on two sets of pins.
    for pin in BLUETOOTH.filter_map(Pin::new) {
        gpio.set_function(pin, Function::Input)?;
    }
    for (pin, pull) in [(TX, Pull::None), (RX, Pull::Up)] {
        if let Some(pin) = Pin::new(pin) {
            gpio.set_pull(pin, pull)?;
            gpio.set_function(pin, Function::Alt0)?;
        }
    }
    Ok(())
}
