//! Commands as they go over the CMD line, and what comes back (PL 4.7, 4.9).

/// What a card answers to a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reply {
    /// Nothing.
    None,
    /// R1, R6, R7: 48 bits with the command's index and a CRC, both of which the host checks.
    Short,
    /// R1b: as `Short`, and the card holds DAT0 low until it is done.
    Busy,
    /// R3: 48 bits with neither.
    Plain,
    /// R2: 136 bits with a CRC.
    Long,
}

/// What a card answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Response {
    /// Nothing, as was expected.
    None,
    /// The 32 bits of a short response.
    Short(u32),
    /// The 128 bits of a long one as PL numbers them; the lowest eight, a CRC and the end bit, are zero.
    Long(u128),
}

impl Response {
    /// The bits of a short response; zero of others.
    #[must_use]
    pub const fn short(self) -> u32 {
        match self {
            Self::Short(bits) => bits,
            Self::None | Self::Long(_) => 0,
        }
    }

    /// The bits of a long response; zero of others.
    #[must_use]
    pub const fn long(self) -> u128 {
        match self {
            Self::Long(bits) => bits,
            Self::None | Self::Short(_) => 0,
        }
    }
}

/// The data that goes with a command: blocks of `block` bytes, one after the other. A host that transfers them by itself
/// finds each transfer's bytes in one piece.
#[derive(Debug)]
pub enum Data<'a> {
    /// None.
    None,
    /// From the card.
    Read {
        /// The size of a block in bytes, a multiple of four.
        block: usize,
        /// Whole blocks.
        into: &'a mut [u8],
    },
    /// To the card.
    Write {
        /// The size of a block in bytes, a multiple of four.
        block: usize,
        /// Whole blocks.
        from: &'a [u8],
    },
}

impl Data<'_> {
    /// How many blocks there are.
    #[must_use]
    pub const fn blocks(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Read { block, into } => into.len() / *block,
            Self::Write { block, from } => from.len() / *block,
        }
    }

    /// The size of a block in bytes; 0 without data.
    #[must_use]
    pub const fn block_bytes(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Read { block, .. } | Self::Write { block, .. } => *block,
        }
    }
}

/// Which way the data goes that a command ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Transfer {
    /// From the card.
    Read,
    /// To the card.
    Write,
}

/// A command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Command {
    /// Its number, below 64.
    pub index: u8,
    /// Its argument.
    pub argument: u32,
    /// What answers it.
    pub reply: Reply,
}

impl Command {
    /// CMD12, which ends a transfer: hosts send it though the data lines are in use.
    pub const STOP: u8 = 12;

    const fn new(index: u8, argument: u32, reply: Reply) -> Self {
        Self { index, argument, reply }
    }

    /// CMD0: all cards to the idle state.
    pub(super) const fn go_idle() -> Self {
        Self::new(0, 0, Reply::None)
    }

    /// CMD2: the card says its CID.
    pub(super) const fn all_send_cid() -> Self {
        Self::new(2, 0, Reply::Long)
    }

    /// CMD3: the card chooses an address and says it.
    pub(super) const fn send_relative_address() -> Self {
        Self::new(3, 0, Reply::Short)
    }

    /// CMD6: asks for functions (mode 0) or switches to them (mode 1), with 64 bytes of status.
    pub(super) const fn switch_function(argument: u32) -> Self {
        Self::new(6, argument, Reply::Short)
    }

    /// ACMD6: the width of the data bus.
    pub(super) const fn set_bus_width(code: u32) -> Self {
        Self::new(6, code, Reply::Short)
    }

    /// CMD7: this card is the one that data goes to and from. PL says R1b, but a card is busy then only if it was deselected
    /// while it programmed, and not every host tells the end of what never began: Linux and U-Boot ask for R1.
    pub(super) const fn select(rca: u16) -> Self {
        Self::new(7, address(rca), Reply::Short)
    }

    /// CMD8: the voltage, and a pattern that comes back.
    pub(super) const fn send_interface_condition(argument: u32) -> Self {
        Self::new(8, argument, Reply::Short)
    }

    /// CMD9: the card says its CSD.
    pub(super) const fn send_csd(rca: u16) -> Self {
        Self::new(9, address(rca), Reply::Long)
    }

    /// CMD12: the end of a transfer. A card is busy after it has received only, so that R1b is for the end of a write alone, as in
    /// Linux (`mmc_blk_data_prep`).
    pub(super) const fn stop(of: Transfer) -> Self {
        let reply = match of {
            Transfer::Read => Reply::Short,
            Transfer::Write => Reply::Busy,
        };
        Self::new(Self::STOP, 0, reply)
    }

    /// CMD13: the card's status.
    pub(super) const fn send_status(rca: u16) -> Self {
        Self::new(13, address(rca), Reply::Short)
    }

    /// CMD16: a block has 512 bytes.
    pub(super) const fn set_block_length() -> Self {
        Self::new(16, 512, Reply::Short)
    }

    /// CMD17, or CMD18 for several: reads blocks.
    pub(super) const fn read(argument: u32, several: bool) -> Self {
        Self::new(if several { 18 } else { 17 }, argument, Reply::Short)
    }

    /// CMD23: how many blocks the next transfer has.
    pub(super) const fn set_block_count(count: u32) -> Self {
        Self::new(23, count, Reply::Short)
    }

    /// CMD24, or CMD25 for several: writes blocks.
    pub(super) const fn write(argument: u32, several: bool) -> Self {
        Self::new(if several { 25 } else { 24 }, argument, Reply::Short)
    }

    /// ACMD41: the voltages and capacities that the host knows; the card says its OCR.
    pub(super) const fn send_operating_condition(argument: u32) -> Self {
        Self::new(41, argument, Reply::Plain)
    }

    /// ACMD51: the SCR.
    pub(super) const fn send_scr() -> Self {
        Self::new(51, 0, Reply::Short)
    }

    /// CMD55: the next command is one of applications.
    pub(super) const fn application(rca: u16) -> Self {
        Self::new(55, address(rca), Reply::Short)
    }
}

const fn address(rca: u16) -> u32 {
    (rca as u32) << 16
}
