//! What the protocol asks of a controller.

use core::error::Error;
use core::fmt;

use super::command::{Command, Data, Response};

/// A controller of one slot.
///
/// Its waits are bounded: whatever the card does or does not, a method returns within ten seconds or so.
pub trait Host {
    /// Brings the slot to its beginning: 3.3 V, one data line, a clock of at most 400 kHz, and 74 clocks or more before it
    /// returns (PL 6.4.1).
    ///
    /// # Errors
    ///
    /// [`HostError::Stuck`]
    fn reset(&mut self) -> Result<(), HostError>;

    /// Clocks the card at `most_hz` or as little less as it can, and with the timing of high speed if told.
    ///
    /// # Errors
    ///
    /// [`HostError::Stuck`]
    fn set_clock(&mut self, most_hz: u32, high_speed: bool) -> Result<(), HostError>;

    /// Moves data over this many lines from now on.
    fn set_bus_width(&mut self, width: BusWidth);

    /// Sends `command`, moves `data`, and waits until both are done, the card's being busy included. After an error the
    /// controller is ready for the next command.
    ///
    /// # Errors
    ///
    /// [`HostError`]
    fn command(&mut self, command: Command, data: Data<'_>) -> Result<Response, HostError>;

    /// The most blocks that one command moves.
    fn most_blocks(&self) -> usize;

    /// A clock in microseconds that never goes backwards.
    fn now_us(&mut self) -> u64;

    /// Lets at least `us` microseconds pass.
    fn pause_us(&mut self, us: u32);
}

/// How many lines carry data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BusWidth {
    /// DAT0.
    One,
    /// DAT0 to DAT3.
    Four,
}

/// What went wrong between host and card.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HostError {
    /// Nothing answered the command.
    CommandTimeout,
    /// The answer's CRC is wrong.
    CommandCrc,
    /// The answer's frame or index is wrong.
    CommandFrame,
    /// The data, or the card's word that it has them, did not come.
    DataTimeout,
    /// The data's CRC is wrong.
    DataCrc,
    /// The data's frame is wrong.
    DataFrame,
    /// The controller reports something else; its bits.
    Other(u32),
    /// The controller itself did not do in time what it always does.
    Stuck,
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CommandTimeout => "no answer",
            Self::CommandCrc => "bad CRC of an answer",
            Self::CommandFrame => "malformed answer",
            Self::DataTimeout => "no data in time",
            Self::DataCrc => "bad CRC of data",
            Self::DataFrame => "malformed data",
            Self::Other(bits) => return write!(f, "controller error {bits:#x}"),
            Self::Stuck => "the controller is stuck",
        })
    }
}

impl Error for HostError {}
