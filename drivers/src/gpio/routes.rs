//! Which pins a device's lines are on: what firmware leaves is not what a kernel wants. QEMU minds the card's only.

use core::ops::RangeInclusive;

use super::{Chip, Function, Gpio, Pin, Pull, ReservedPin};
use crate::extra_uart::ExtraUart;

/// Where firmware has the PL011, for Bluetooth.
const BLUETOOTH: RangeInclusive<u8> = 30..=33;
/// TX and RX of the header.
const HEADER: [(u8, Pull); 2] = [(14, Pull::None), (15, Pull::Up)];

/// The radio's lines to the Arasan, on a Pi 3.
const RADIO: RangeInclusive<u8> = 34..=39;
/// The card's on a Pi 3: clock, command, data.
const CARD: [(u8, Pull); 6] =
    [(48, Pull::None), (49, Pull::Up), (50, Pull::Up), (51, Pull::Up), (52, Pull::Up), (53, Pull::Up)];

impl Gpio {
    /// Routes the PL011 to the header, where firmware has the mini-UART.
    ///
    /// # Errors
    ///
    /// None with these pins.
    pub fn route_console(&mut self) -> Result<(), ReservedPin> {
        self.route(BLUETOOTH, &HEADER, Function::Alt0)
    }

    /// Routes the card of a Pi 3 to the Arasan, away from SDHOST, where firmware left it. A Pi 4's slot has pins of its own:
    /// nothing is done there.
    ///
    /// # Errors
    ///
    /// None with these pins.
    pub fn route_card(&mut self) -> Result<(), ReservedPin> {
        match self.chip {
            Chip::Bcm2837 => self.route(RADIO, &CARD, Function::Alt3),
            Chip::Bcm2711 => Ok(()),
        }
    }

    /// Routes what an extra UART of a Pi 4 sends to the header. What it receives is left alone: that would take a pin which
    /// may be somebody else's. A Pi 3 has none of these UARTs: nothing is done there.
    ///
    /// # Errors
    ///
    /// None with these pins.
    pub fn route_sender(&mut self, uart: ExtraUart) -> Result<(), ReservedPin> {
        if self.chip == Chip::Bcm2837 {
            return Ok(());
        }
        let pin = uart.transmit_pin();
        self.set_pull(pin, Pull::None)?;
        self.set_function(pin, Function::Alt4)
    }

    /// Takes a device from the pins it is on, first, for its lines must not be on two sets of them.
    fn route(&mut self, from: RangeInclusive<u8>, to: &[(u8, Pull)], function: Function) -> Result<(), ReservedPin> {
        for pin in from.filter_map(Pin::new) {
            self.set_function(pin, Function::Input)?;
        }
        for (pin, pull) in to.iter().filter_map(|&(number, pull)| Some((Pin::new(number)?, pull))) {
            self.set_pull(pin, pull)?;
            self.set_function(pin, function)?;
        }
        Ok(())
    }
}
