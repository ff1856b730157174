//! The card's status, in every R1 response (PL 4.10.1).

use core::fmt;

use bitflags::bitflags;

/// What a card is about: bits 12 to 9 of its status.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CardState {
    /// After power-on or CMD0.
    Idle,
    /// Powered up.
    Ready,
    /// It has said its CID.
    Identification,
    /// It has an address and is not selected.
    StandBy,
    /// Selected, with nothing to do.
    Transfer,
    /// It sends data.
    SendingData,
    /// It receives data.
    ReceivingData,
    /// It programs what it received.
    Programming,
    /// It programs and was deselected.
    Disconnect,
    /// None of these.
    Reserved,
}

bitflags! {
    /// The status bits.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct CardStatus: u32 {
        /// The argument was out of the card's range.
        const OUT_OF_RANGE = 1 << 31;
        /// An address was not aligned to the block's size.
        const ADDRESS_ERROR = 1 << 30;
        /// The block's size does not suit.
        const BLOCK_LENGTH_ERROR = 1 << 29;
        /// A mistake in a sequence of erase commands.
        const ERASE_SEQUENCE_ERROR = 1 << 28;
        /// A bad choice of blocks to erase.
        const ERASE_PARAMETER = 1 << 27;
        /// A write to protected blocks.
        const WRITE_PROTECT_VIOLATION = 1 << 26;
        /// The card is locked by a password.
        const CARD_IS_LOCKED = 1 << 25;
        /// A mistake in locking or unlocking.
        const LOCK_UNLOCK_FAILED = 1 << 24;
        /// The CRC of the previous command was wrong.
        const COMMAND_CRC_ERROR = 1 << 23;
        /// The command is not legal in this state.
        const ILLEGAL_COMMAND = 1 << 22;
        /// The card could not correct its data.
        const ECC_FAILED = 1 << 21;
        /// The card's controller failed.
        const CONTROLLER_ERROR = 1 << 20;
        /// Some other error.
        const ERROR = 1 << 19;
        /// Read-only bits of the CSD were to be changed.
        const CSD_OVERWRITE = 1 << 16;
        /// Protected blocks were not erased.
        const ERASE_SKIPPED = 1 << 15;
        /// The buffers are empty: the card takes data.
        const READY_FOR_DATA = 1 << 8;
        /// The next command is taken for one of applications.
        const APPLICATION_COMMAND = 1 << 5;
        /// A mistake in the authentication.
        const AUTHENTICATION_ERROR = 1 << 3;
        /// Whatever else a card says.
        const _ = !0;
    }
}

impl CardStatus {
    /// What says that the command failed. A locked card's bit is no error of a command.
    pub const ERRORS: Self = Self::OUT_OF_RANGE
        .union(Self::ADDRESS_ERROR)
        .union(Self::BLOCK_LENGTH_ERROR)
        .union(Self::ERASE_SEQUENCE_ERROR)
        .union(Self::ERASE_PARAMETER)
        .union(Self::WRITE_PROTECT_VIOLATION)
        .union(Self::LOCK_UNLOCK_FAILED)
        .union(Self::COMMAND_CRC_ERROR)
        .union(Self::ILLEGAL_COMMAND)
        .union(Self::ECC_FAILED)
        .union(Self::CONTROLLER_ERROR)
        .union(Self::ERROR)
        .union(Self::CSD_OVERWRITE)
        .union(Self::AUTHENTICATION_ERROR);

    /// What may be gone when the command is repeated.
    pub(super) const PASSING: Self = Self::COMMAND_CRC_ERROR
        .union(Self::ILLEGAL_COMMAND)
        .union(Self::ECC_FAILED)
        .union(Self::CONTROLLER_ERROR)
        .union(Self::ERROR);

    /// What the card was about when the command came.
    #[must_use]
    pub const fn state(self) -> CardState {
        match self.bits() >> 9 & 0xf {
            0 => CardState::Idle,
            1 => CardState::Ready,
            2 => CardState::Identification,
            3 => CardState::StandBy,
            4 => CardState::Transfer,
            5 => CardState::SendingData,
            6 => CardState::ReceivingData,
            7 => CardState::Programming,
            8 => CardState::Disconnect,
            _ => CardState::Reserved,
        }
    }

    /// Whether the card has nothing to do and takes data.
    #[must_use]
    pub const fn is_idle(self) -> bool {
        self.contains(Self::READY_FOR_DATA) && matches!(self.state(), CardState::Transfer)
    }
}

impl fmt::Display for CardStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.bits())
    }
}
