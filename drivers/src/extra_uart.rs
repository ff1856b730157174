//! The four PL011s that a BCM2711 has beside UART0 ("BCM2711 ARM Peripherals", chapter 11).
//!
//! All five have one input clock and one interrupt. The pins are those of the manual's table of alternative functions
//! (section 5.3) and of Linux's device tree (`bcm2711.dtsi`: `uart2_gpio0`, `uart3_gpio4`, `uart4_gpio8`, `uart5_gpio12`).

use core::fmt;

use crate::gpio::Pin;

/// One of them, by its number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExtraUart {
    /// On GPIO 0 and 1, which a board on top has its identification at.
    Uart2 = 2,
    /// On GPIO 4 and 5.
    Uart3 = 3,
    /// On GPIO 8 and 9, which are SPI0's too.
    Uart4 = 4,
    /// On GPIO 12 and 13.
    Uart5 = 5,
}

impl ExtraUart {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Uart2, Self::Uart3, Self::Uart4, Self::Uart5];

    /// The pin on which it sends, as [`Alt4`](crate::gpio::Function::Alt4). There is one for each.
    #[must_use]
    pub const fn transmit_pin(self) -> Pin {
        match self {
            Self::Uart2 => Pin::GPIO0,
            Self::Uart3 => Pin::GPIO4,
            Self::Uart4 => Pin::GPIO8,
            Self::Uart5 => Pin::GPIO12,
        }
    }
}

impl fmt::Display for ExtraUart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UART{}", *self as u8)
    }
}
