//! The header's UART pins, before the console's first byte; and the card's.
//!
//! Firmware gives GPIO 14 and 15 to the mini-UART and the PL011 to Bluetooth on 30 to 33. The console wants the PL011 on
//! the header. QEMU minds none of this.

use drivers::gpio::{Chip, Function, Gpio, Pin, Pull, ReservedPin};

use crate::board::{self, Pulls};
use crate::mem::devices;

const TX: u8 = 14;
const RX: u8 = 15;
const BLUETOOTH: core::ops::RangeInclusive<u8> = 30..=33;

/// On a Pi 3: the radio's and the card's clock, command and data.
const RADIO: core::ops::RangeInclusive<u8> = 34..=39;
const CARD_CLOCK: u8 = 48;
const CARD_LINES: core::ops::RangeInclusive<u8> = 49..=53;

/// Routes the card to the controller that [`CardSlot`](crate::board::CardSlot) names: on a Pi 3 to the Arasan, away from
/// SDHOST, where firmware left it. A Pi 4's slot has pins of its own, and 48 to 53 are its Ethernet's.
pub(crate) fn route_card() -> Result<(), ReservedPin> {
    if board::current().pulls == Pulls::Direct {
        return Ok(());
    }
    let mut gpio = Gpio::new(devices::gpio(), Chip::Bcm2837);
    // The radio first, as above.
    for pin in RADIO.filter_map(Pin::new) {
        gpio.set_function(pin, Function::Input)?;
    }
    let lines = CARD_LINES.map(|number| (number, Pull::Up));
    for (number, pull) in core::iter::once((CARD_CLOCK, Pull::None)).chain(lines) {
        if let Some(pin) = Pin::new(number) {
            gpio.set_pull(pin, pull)?;
            gpio.set_function(pin, Function::Alt3)?;
        }
    }
    Ok(())
}

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
