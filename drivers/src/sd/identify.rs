//! From power-on to the transfer state (PL 4.2.3, 4.3).

use super::BLOCK_BYTES;
use super::command::{Command, Data, Response};
use super::error::CardError;
use super::host::{BusWidth, Host, HostError};
use super::registers::{Cid, Csd, Scr};
use super::status::CardStatus;

/// CMD8: 2.7 to 3.6 V, and a pattern.
const INTERFACE_CONDITION: u32 = 0x1aa;
/// OCR bits 23 to 15: 2.7 to 3.6 V.
const VOLTAGES: u32 = 0x00ff_8000;
/// OCR bits 20 and 21: 3.2 to 3.4 V, what boards supply.
const BOARD_VOLTAGE: u32 = 0x0030_0000;
/// ACMD41: the host knows cards that are addressed by blocks; in the OCR: this is one.
const HIGH_CAPACITY: u32 = 1 << 30;
/// OCR: powered up.
const POWERED_UP: u32 = 1 << 31;
/// How long a card may take to power up: 1 s (PL 4.2.3).
const POWER_UP_US: u64 = 1_000_000;
const POWER_UP_PAUSE_US: u32 = 5_000;
/// How often an address is asked for: a card may choose 0, which means all cards.
const ADDRESS_TRIES: u32 = 4;
/// The clock without and with high speed.
const DEFAULT_HZ: u32 = 25_000_000;
const HIGH_SPEED_HZ: u32 = 50_000_000;
/// The status of CMD6 in bytes.
const SWITCH_BYTES: usize = 64;

/// How blocks are named in commands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Addressing {
    /// By the offset of their first byte: SDSC.
    Bytes,
    /// By their number: SDHC, SDXC.
    Blocks,
}

impl Addressing {
    /// The argument that names `block`, which is on the card.
    pub(super) fn argument(self, block: u64) -> Option<u32> {
        match self {
            Self::Bytes => u32::try_from(block.checked_mul(BLOCK_BYTES as u64)?).ok(),
            Self::Blocks => u32::try_from(block).ok(),
        }
    }
}

/// How fast a card is clocked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Speed {
    /// 25 MHz.
    Default,
    /// 50 MHz.
    High,
}

/// What a card said about itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity {
    /// Its address on the bus.
    pub rca: u16,
    /// Who made it.
    pub cid: Cid,
    /// Its size and abilities.
    pub csd: Csd,
    /// Its version and more abilities.
    pub scr: Scr,
    /// How blocks are addressed.
    pub addressing: Addressing,
    /// How many lines carry its data.
    pub width: BusWidth,
    /// How fast it runs.
    pub speed: Speed,
}

/// Brings the card to the transfer state, at `most` at most.
pub(super) fn identify(host: &mut impl Host, most: Speed) -> Result<Identity, CardError> {
    host.reset().map_err(CardError::Controller)?;
    let ocr = power_up(host)?;
    let addressing = if ocr & HIGH_CAPACITY != 0 { Addressing::Blocks } else { Addressing::Bytes };
    let cid = Cid::new(send(host, Command::all_send_cid())?.long());
    let rca = choose_address(host)?;
    let csd = Csd::parse(send(host, Command::send_csd(rca))?.long())?;
    host.set_clock(DEFAULT_HZ, false).map_err(CardError::Controller)?;
    let status = checked(host, Command::select(rca), Data::None)?;
    if status.contains(CardStatus::CARD_IS_LOCKED) {
        return Err(CardError::Locked);
    }
    checked(host, Command::set_block_length(), Data::None)?;
    let scr = read_scr(host, rca)?;
    let width = widen(host, rca, scr)?;
    let speed = if most == Speed::High { speed_up(host, scr, &csd)? } else { Speed::Default };
    Ok(Identity { rca, cid, csd, scr, addressing, width, speed })
}

/// Voltage and capacity: returns the OCR of a card that has powered up.
fn power_up(host: &mut impl Host) -> Result<u32, CardError> {
    send(host, Command::go_idle())?;
    let capacity = match host.command(Command::send_interface_condition(INTERFACE_CONDITION), Data::None) {
        Ok(echo) if echo.short() & 0xfff == INTERFACE_CONDITION => HIGH_CAPACITY,
        Ok(_) => return Err(CardError::Unusable),
        // Cards before version 2.00 do not know it, nor does an empty slot. Garbage in an answer to a command that no old card
        // knows is from a card that does.
        Err(HostError::CommandTimeout) => 0,
        Err(error) => return Err(CardError::Host { command: 8, error }),
    };
    let start = host.now_us();
    loop {
        // The first command that every card answers. One that knows CMD8 is there, so silence is an error of its.
        match host.command(Command::application(0), Data::None) {
            Err(HostError::CommandTimeout) if capacity == 0 => return Err(CardError::NoCard),
            outcome => drop(outcome.map_err(|error| CardError::Host { command: 55, error })?),
        }
        let ocr = match host.command(Command::send_operating_condition(capacity | VOLTAGES), Data::None) {
            // An MMC card takes CMD55 and knows no ACMD41.
            Err(HostError::CommandTimeout) => return Err(CardError::Unusable),
            outcome => outcome.map_err(|error| CardError::Host { command: 41, error })?.short(),
        };
        if ocr & BOARD_VOLTAGE == 0 {
            return Err(CardError::Unusable);
        }
        if ocr & POWERED_UP != 0 {
            return Ok(ocr);
        }
        if host.now_us().saturating_sub(start) > POWER_UP_US {
            return Err(CardError::NotReady);
        }
        host.pause_us(POWER_UP_PAUSE_US);
    }
}

fn choose_address(host: &mut impl Host) -> Result<u16, CardError> {
    for _ in 0..ADDRESS_TRIES {
        let [.., low, high] = send(host, Command::send_relative_address())?.short().to_le_bytes();
        let rca = u16::from_le_bytes([low, high]);
        if rca != 0 {
            return Ok(rca);
        }
    }
    Err(CardError::BadRegister(0))
}

fn read_scr(host: &mut impl Host, rca: u16) -> Result<Scr, CardError> {
    let mut bytes = [0; 8];
    checked(host, Command::application(rca), Data::None)?;
    checked(host, Command::send_scr(), Data::Read { block: bytes.len(), into: &mut bytes })?;
    let scr = Scr::new(bytes);
    let [a, b, c, d, ..] = bytes;
    if scr.is_known() { Ok(scr) } else { Err(CardError::BadRegister(u32::from_be_bytes([a, b, c, d]))) }
}

fn widen(host: &mut impl Host, rca: u16, scr: Scr) -> Result<BusWidth, CardError> {
    const FOUR_LINES: u32 = 2;
    if !scr.has_four_lines() {
        return Ok(BusWidth::One);
    }
    checked(host, Command::application(rca), Data::None)?;
    checked(host, Command::set_bus_width(FOUR_LINES), Data::None)?;
    host.set_bus_width(BusWidth::Four);
    Ok(BusWidth::Four)
}

/// High speed, if the card can (PL 4.3.10).
fn speed_up(host: &mut impl Host, scr: Scr, csd: &Csd) -> Result<Speed, CardError> {
    /// Function 1 of group 1, the others as they are; bit 31 switches.
    const ASK: u32 = 0x00ff_fff1;
    const SWITCH: u32 = 0x80ff_fff1;
    if !scr.has_switch() || csd.classes & Csd::CLASS_SWITCH == 0 {
        return Ok(Speed::Default);
    }
    let mut status = [0; SWITCH_BYTES];
    checked(host, Command::switch_function(ASK), Data::Read { block: SWITCH_BYTES, into: &mut status })?;
    // Bits 415 to 400 of 512, the first byte being the highest: which functions group 1 has.
    if status[13] & 0b10 == 0 {
        return Ok(Speed::Default);
    }
    checked(host, Command::switch_function(SWITCH), Data::Read { block: SWITCH_BYTES, into: &mut status })?;
    // Bits 379 to 376: what group 1 is now; 0xf where it could not be.
    if status[16] & 0xf != 1 {
        return Ok(Speed::Default);
    }
    host.set_clock(HIGH_SPEED_HZ, true).map_err(CardError::Controller)?;
    Ok(Speed::High)
}

/// Sends a command without data whose answer is no status.
fn send(host: &mut impl Host, command: Command) -> Result<Response, CardError> {
    host.command(command, Data::None).map_err(|error| CardError::Host { command: command.index, error })
}

/// Sends a command whose answer is the card's status, and looks for errors in that.
pub(super) fn checked(host: &mut impl Host, command: Command, data: Data<'_>) -> Result<CardStatus, CardError> {
    let index = command.index;
    let response = host.command(command, data).map_err(|error| CardError::Host { command: index, error })?;
    let status = CardStatus::from_bits_retain(response.short());
    if !status.intersects(CardStatus::ERRORS) {
        return Ok(status);
    }
    if status.contains(CardStatus::WRITE_PROTECT_VIOLATION) {
        return Err(CardError::WriteProtected);
    }
    Err(CardError::Status { command: index, status })
}
