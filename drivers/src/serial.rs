//! What the two kinds of UART share: the errors.

use core::error::Error;
use core::fmt;

/// A line speed that a UART's divisor cannot reach from its clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadBaudRate {
    /// The UART's input clock.
    pub clock_hz: u32,
    /// What was asked for, in bits per second.
    pub baud: u32,
}

impl fmt::Display for BadBaudRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} baud cannot be made from {} Hz", self.baud, self.clock_hz)
    }
}

impl Error for BadBaudRate {}

/// A byte that did not come in as it was sent. Each variant carries the byte as received.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RxError {
    /// The line was held low: the far end sent a break, or is off.
    Break(u8),
    /// There was no stop bit: noise, or another line speed.
    Framing(u8),
    /// The parity bit does not match.
    Parity(u8),
    /// This byte is good, but others were lost: they came faster than they were read.
    Overrun(u8),
}

impl fmt::Display for RxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, byte) = match *self {
            Self::Break(byte) => ("break", byte),
            Self::Framing(byte) => ("framing error", byte),
            Self::Parity(byte) => ("parity error", byte),
            Self::Overrun(byte) => ("overrun", byte),
        };
        write!(f, "{what} at byte {byte:#04x}")
    }
}

impl Error for RxError {}
