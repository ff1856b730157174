//! The registers, by the names of the BCM2835 manual.

use tock_registers::{register_bitfields, register_structs};

use crate::mmio::{ReadOnly, ReadWrite};

register_bitfields! {
    u32,
    pub(super) BLKSIZECNT [
        BLKCNT OFFSET(16) NUMBITS(16) [],
        BLKSIZE OFFSET(0) NUMBITS(10) []
    ],
    /// Command and transfer mode.
    pub(super) CMDTM [
        INDEX OFFSET(24) NUMBITS(6) [],
        ISDATA OFFSET(21) NUMBITS(1) [],
        IXCHK_EN OFFSET(20) NUMBITS(1) [],
        CRCCHK_EN OFFSET(19) NUMBITS(1) [],
        RSPNS_TYPE OFFSET(16) NUMBITS(2) [
            None = 0,
            Long = 1,
            Short = 2,
            Busy = 3
        ],
        MULTI_BLOCK OFFSET(5) NUMBITS(1) [],
        /// 1: from the card.
        DAT_DIR OFFSET(4) NUMBITS(1) [],
        BLKCNT_EN OFFSET(1) NUMBITS(1) [],
        DMA_EN OFFSET(0) NUMBITS(1) []
    ],
    /// The present state.
    pub(super) STATUS [
        READ_AVAILABLE OFFSET(11) NUMBITS(1) [],
        WRITE_AVAILABLE OFFSET(10) NUMBITS(1) [],
        DAT_INHIBIT OFFSET(1) NUMBITS(1) [],
        CMD_INHIBIT OFFSET(0) NUMBITS(1) []
    ],
    pub(super) CONTROL0 [
        /// 7: 3.3 V.
        BUS_VOLTAGE OFFSET(9) NUMBITS(3) [],
        BUS_POWER OFFSET(8) NUMBITS(1) [],
        DMA_SELECT OFFSET(3) NUMBITS(2) [],
        HCTL_HS_EN OFFSET(2) NUMBITS(1) [],
        HCTL_DWIDTH OFFSET(1) NUMBITS(1) []
    ],
    pub(super) CONTROL1 [
        SRST_DATA OFFSET(26) NUMBITS(1) [],
        SRST_CMD OFFSET(25) NUMBITS(1) [],
        SRST_HC OFFSET(24) NUMBITS(1) [],
        /// 2^(13 + n) clocks; 15 is reserved.
        DATA_TOUNIT OFFSET(16) NUMBITS(4) [],
        /// The low bits of half the divisor.
        CLK_FREQ8 OFFSET(8) NUMBITS(8) [],
        /// And the high ones.
        CLK_FREQ_MS2 OFFSET(6) NUMBITS(2) [],
        CLK_EN OFFSET(2) NUMBITS(1) [],
        CLK_STABLE OFFSET(1) NUMBITS(1) [],
        CLK_INTLEN OFFSET(0) NUMBITS(1) []
    ],
    /// What happened: in the status, its enables, and the enables of its signal.
    pub(super) INTERRUPT [
        ADMA_ERR OFFSET(25) NUMBITS(1) [],
        ACMD_ERR OFFSET(24) NUMBITS(1) [],
        DEND_ERR OFFSET(22) NUMBITS(1) [],
        DCRC_ERR OFFSET(21) NUMBITS(1) [],
        DTO_ERR OFFSET(20) NUMBITS(1) [],
        CBAD_ERR OFFSET(19) NUMBITS(1) [],
        CEND_ERR OFFSET(18) NUMBITS(1) [],
        CCRC_ERR OFFSET(17) NUMBITS(1) [],
        CTO_ERR OFFSET(16) NUMBITS(1) [],
        READ_RDY OFFSET(5) NUMBITS(1) [],
        WRITE_RDY OFFSET(4) NUMBITS(1) [],
        DATA_DONE OFFSET(1) NUMBITS(1) [],
        CMD_DONE OFFSET(0) NUMBITS(1) []
    ],
    pub(super) CAPABILITIES [
        ADMA2 OFFSET(19) NUMBITS(1) [],
        /// The controller's own clock in MHz; 0: to be found otherwise.
        BASE_CLOCK OFFSET(8) NUMBITS(8) [],
        /// The unit of the clock that counts the time-out of data: MHz, else kHz.
        TIMEOUT_MHZ OFFSET(7) NUMBITS(1) [],
        /// That clock; 0: to be found otherwise.
        TIMEOUT_CLOCK OFFSET(0) NUMBITS(6) []
    ]
}

register_structs! {
    /// The registers, at +0x300000 of the peripherals, and on a Pi 4 at +0x340000 as well.
    pub SdhciRegisters {
        (0x00 => pub(super) arg2: ReadWrite<u32>),
        (0x04 => pub(super) blksizecnt: ReadWrite<u32, BLKSIZECNT::Register>),
        (0x08 => pub(super) arg1: ReadWrite<u32>),
        (0x0c => pub(super) cmdtm: ReadWrite<u32, CMDTM::Register>),
        (0x10 => pub(super) resp: [ReadOnly<u32>; 4]),
        (0x20 => pub(super) data: ReadWrite<u32>),
        (0x24 => pub(super) status: ReadOnly<u32, STATUS::Register>),
        (0x28 => pub(super) control0: ReadWrite<u32, CONTROL0::Register>),
        (0x2c => pub(super) control1: ReadWrite<u32, CONTROL1::Register>),
        (0x30 => pub(super) interrupt: ReadWrite<u32, INTERRUPT::Register>),
        (0x34 => pub(super) irpt_mask: ReadWrite<u32, INTERRUPT::Register>),
        (0x38 => pub(super) irpt_en: ReadWrite<u32, INTERRUPT::Register>),
        (0x3c => pub(super) control2: ReadWrite<u32>),
        (0x40 => pub(super) capabilities: ReadOnly<u32, CAPABILITIES::Register>),
        (0x44 => _reserved0),
        (0x58 => pub(super) adma_address: ReadWrite<u32>),
        (0x5c => pub(super) adma_address_high: ReadWrite<u32>),
        (0x60 => _reserved1),
        (0xfc => pub(super) slotisr_ver: ReadOnly<u32>),
        (0x100 => @END),
    }
}

/// What happens when all goes well: the four events.
pub(super) const EVENTS: u32 = 0x33;
/// The errors of specification 3.0, but for that of ADMA2, which comes only where it is used, and those of tuning.
pub(super) const ERRORS: u32 = 0x01ff_0000;
