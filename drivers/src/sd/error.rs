//! Why a card could not be used, read or written.

use core::error::Error;
use core::fmt;

use super::host::HostError;
use super::status::CardStatus;

/// Why an operation on a card failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CardError {
    /// Nothing in the slot answers.
    NoCard,
    /// What is in the slot is no SD card, or one that does not work at 3.3 V.
    Unusable,
    /// The card did not come up in time.
    NotReady,
    /// The card is locked by a password.
    Locked,
    /// A register of the card makes no sense; its first 32 bits.
    BadRegister(u32),
    /// It is another card than it was.
    Changed,
    /// The card does not let itself be written to.
    WriteProtected,
    /// Blocks that the card does not have.
    OutOfRange {
        /// The first.
        block: u64,
        /// How many.
        count: u64,
    },
    /// A buffer that is not whole blocks; its size in bytes.
    BadLength(usize),
    /// This command failed on its way.
    Host {
        /// Its number.
        command: u8,
        /// How it failed.
        error: HostError,
    },
    /// The card reports an error of this command.
    Status {
        /// Its number.
        command: u8,
        /// The status.
        status: CardStatus,
    },
    /// The controller could not be set up.
    Controller(HostError),
}

impl CardError {
    /// Whether the same may succeed when it is done again.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Host { .. } | Self::NotReady => true,
            Self::Status { status, .. } => status.intersects(CardStatus::PASSING),
            _ => false,
        }
    }

    /// Whether it is of the kind that a slower clock cures.
    pub(super) const fn is_garbled(&self) -> bool {
        matches!(
            self,
            Self::Host {
                error: HostError::DataCrc | HostError::DataFrame | HostError::CommandCrc | HostError::CommandFrame,
                ..
            }
        )
    }
}

impl fmt::Display for CardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCard => f.write_str("no card"),
            Self::Unusable => f.write_str("no SD card, or not for 3.3 V"),
            Self::NotReady => f.write_str("the card does not come up"),
            Self::Locked => f.write_str("the card is locked by a password"),
            Self::BadRegister(bits) => write!(f, "a register of the card makes no sense ({bits:#x})"),
            Self::Changed => f.write_str("another card than before"),
            Self::WriteProtected => f.write_str("write-protected"),
            Self::OutOfRange { block, count } => write!(f, "{count} blocks at {block} are not on the card"),
            Self::BadLength(bytes) => write!(f, "{bytes} bytes are not whole blocks"),
            Self::Host { command, error } => write!(f, "CMD{command}: {error}"),
            Self::Status { command, status } => write!(f, "CMD{command}: status {status}"),
            Self::Controller(error) => write!(f, "{error}"),
        }
    }
}

impl Error for CardError {}
