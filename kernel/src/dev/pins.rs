//! The pins of the console's line, before its first byte, of the card, and of the trace's line where it has one.

use drivers::extra_uart::ExtraUart;
use drivers::gpio::{Gpio, ReservedPin};

use crate::board;
use crate::mem::devices;

/// Routes the card to the controller that [`CardSlot`](crate::board::CardSlot) names.
pub(crate) fn route_card() -> Result<(), ReservedPin> {
    gpio().route_card()
}

/// Routes the PL011 to the header.
pub(crate) fn init() -> Result<(), ReservedPin> {
    gpio().route_console()
}

/// Routes what `uart` sends to the header.
pub(crate) fn route_sender(uart: ExtraUart) -> Result<(), ReservedPin> {
    gpio().route_sender(uart)
}

fn gpio() -> Gpio {
    Gpio::new(devices::gpio(), board::current().gpio_chip())
}
