//! A card with its controller, for tests: it keeps the states of PL 4.1 and refuses what a card refuses.

use super::BLOCK_BYTES;
use super::command::{Command, Data, Reply, Response};
use super::host::{BusWidth, Host, HostError};

/// The address that the card chooses.
const RCA: u16 = 0xaaaa;
const ILLEGAL: u32 = 1 << 22;
const OUT_OF_RANGE: u32 = 1 << 31;
const WRITE_PROTECTED: u32 = 1 << 26;
const READY_FOR_DATA: u32 = 1 << 8;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Idle = 0,
    Ready = 1,
    Identification = 2,
    StandBy = 3,
    Transfer = 4,
    Sending = 5,
    Receiving = 6,
    Programming = 7,
}

/// What kind of card it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// Version 1.01, 512-byte blocks by their bytes, one line only, no CMD8, CMD6 and CMD23.
    Old,
    /// SDSC of version 2.
    Standard,
    /// SDHC.
    High,
}

/// Something that goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    /// The controller reports this.
    Host(HostError),
    /// The card reports these status bits.
    Status(u32),
    /// The card is taken out, at once.
    Removal,
    /// The card loses its power for a moment: it is idle.
    Reset,
}

pub(super) struct FakeCard {
    pub(super) kind: Kind,
    pub(super) memory: Vec<u8>,
    pub(super) present: bool,
    pub(super) serial: u32,
    /// Bits of the CSD that say write-protected.
    pub(super) protected: bool,
    /// Writes are refused though the CSD does not say so.
    pub(super) protected_blocks: bool,
    pub(super) locked: bool,
    pub(super) knows_block_count: bool,
    /// How many more times ACMD41 says "busy".
    pub(super) power_up: u32,
    /// How many more times the card is busy after a write.
    pub(super) busy: u32,
    /// The OCR's voltages.
    pub(super) voltages: u32,
    /// What goes wrong: at which command, after how many of them.
    pub(super) faults: Vec<(u8, u32, Fault)>,
    /// Data has wrong CRCs above this clock.
    pub(super) good_until_hz: u32,
    /// The commands as they came; those of applications from 100 on.
    pub(super) log: Vec<u8>,
    pub(super) clock_hz: u32,
    pub(super) width: BusWidth,
    pub(super) now_us: u64,
    state: State,
    application: bool,
    block_count: Option<u32>,
    status: u32,
    most_blocks: usize,
}

impl FakeCard {
    pub(super) fn new(kind: Kind, blocks: usize) -> Self {
        // Each block is told from the others by its ends.
        let mut memory = vec![0; blocks * BLOCK_BYTES];
        for (block, number) in memory.chunks_mut(BLOCK_BYTES).zip(1_u32..) {
            block[..4].copy_from_slice(&number.to_le_bytes());
            block[BLOCK_BYTES - 4..].copy_from_slice(&number.to_be_bytes());
        }
        Self {
            kind,
            memory,
            present: true,
            serial: 0x1234_5678,
            protected: false,
            protected_blocks: false,
            locked: false,
            knows_block_count: false,
            power_up: 2,
            busy: 0,
            voltages: 0x00ff_8000,
            faults: Vec::new(),
            good_until_hz: u32::MAX,
            log: Vec::new(),
            clock_hz: 0,
            width: BusWidth::One,
            now_us: 0,
            state: State::Idle,
            application: false,
            block_count: None,
            status: 0,
            most_blocks: 16,
        }
    }

    pub(super) fn fail(&mut self, command: u8, after: u32, fault: Fault) {
        self.faults.push((command, after, fault));
    }

    fn csd(&self) -> u128 {
        let blocks = self.memory.len() / BLOCK_BYTES;
        let protection = u128::from(self.protected) << 13;
        match self.kind {
            Kind::High => 1 << 126 | (blocks as u128 / 1024 - 1) << 48 | 0x5b5 << 84 | protection,
            Kind::Old => 9 << 80 | (blocks as u128 / 4 - 1) << 62 | 0x1b5 << 84 | protection,
            Kind::Standard => 9 << 80 | (blocks as u128 / 4 - 1) << 62 | 0x5b5 << 84 | protection,
        }
    }

    fn cid(&self) -> u128 {
        0xaa << 120 | u128::from(self.serial) << 24
    }

    fn ocr(&mut self) -> u32 {
        if self.power_up > 0 {
            self.power_up -= 1;
            return self.voltages;
        }
        self.state = State::Ready;
        self.voltages | 1 << 31 | if self.kind == Kind::High { 1 << 30 } else { 0 }
    }

    /// R1, with the state as it was when the command came.
    fn r1(&mut self) -> Response {
        let locked = u32::from(self.locked) << 25;
        let ready = if self.state == State::Programming { 0 } else { READY_FOR_DATA };
        let application = u32::from(self.application) << 5;
        Response::Short(std::mem::take(&mut self.status) | (self.state as u32) << 9 | ready | locked | application)
    }

    /// The bytes that a transfer is of, if they are on the card.
    fn place(&self, argument: u32, bytes: usize) -> Option<std::ops::Range<usize>> {
        let start = if self.kind == Kind::High { argument as usize * BLOCK_BYTES } else { argument as usize };
        assert!(start.is_multiple_of(BLOCK_BYTES));
        (start + bytes <= self.memory.len()).then_some(start..start + bytes)
    }

    fn check_data(&self, data: &Data<'_>) -> Result<(), HostError> {
        let lines = if self.kind == Kind::Old { BusWidth::One } else { self.width };
        if self.clock_hz > self.good_until_hz || lines != self.width {
            return Err(HostError::DataCrc);
        }
        assert!(data.blocks() <= self.most_blocks);
        Ok(())
    }

    fn transfer(&mut self, command: Command, data: Data<'_>) -> Result<Response, HostError> {
        let several = matches!(command.index, 18 | 25);
        let count = self.block_count.take();
        if several {
            assert!(count.is_none_or(|count| count as usize == data.blocks()));
        } else {
            assert_eq!(data.blocks(), 1);
        }
        if self.state != State::Transfer {
            // A card in another state does not answer at all.
            return Err(HostError::CommandTimeout);
        }
        let response = self.r1();
        match data {
            Data::Read { ref block, ref into } => {
                assert_eq!((*block, command.index | 1), (BLOCK_BYTES, if several { 19 } else { 17 }));
                let Some(place) = self.place(command.argument, into.len()) else {
                    return Ok(Response::Short(response.short() | OUT_OF_RANGE));
                };
                if several && count.is_none() {
                    self.state = State::Sending;
                }
                self.check_data(&data)?;
                if let Data::Read { into, .. } = data {
                    into.copy_from_slice(&self.memory[place]);
                }
            }
            Data::Write { block, from } => {
                assert_eq!((block, command.index | 1), (BLOCK_BYTES, 25));
                let Some(place) = self.place(command.argument, from.len()) else {
                    return Ok(Response::Short(response.short() | OUT_OF_RANGE));
                };
                if self.protected || self.protected_blocks {
                    return Ok(Response::Short(response.short() | WRITE_PROTECTED));
                }
                self.state = if several && count.is_none() { State::Receiving } else { State::Programming };
                self.check_data(&data)?;
                self.memory[place].copy_from_slice(from);
            }
            Data::None => panic!("CMD{} has data", command.index),
        }
        Ok(response)
    }

    fn send_bytes(&self, bytes: &[u8], data: Data<'_>) -> Result<(), HostError> {
        self.check_data(&data)?;
        match data {
            Data::Read { into, .. } => into.copy_from_slice(bytes),
            _ => panic!("the card sends data"),
        }
        Ok(())
    }

    fn standard(&mut self, command: Command, data: Data<'_>) -> Result<Response, HostError> {
        let mine = command.argument >> 16 == u32::from(RCA);
        match (command.index, self.state) {
            (0, _) => {
                self.state = State::Idle;
                Ok(Response::None)
            }
            (2, State::Ready) => {
                self.state = State::Identification;
                Ok(Response::Long(self.cid()))
            }
            (3, State::Identification) => {
                self.state = State::StandBy;
                Ok(Response::Short(u32::from(RCA) << 16))
            }
            (6, State::Transfer) if self.kind != Kind::Old => {
                let mut status = [0; 64];
                status[13] = 0b11;
                status[16] = 1;
                let response = self.r1();
                self.send_bytes(&status, data)?;
                Ok(response)
            }
            (7, State::StandBy) if mine => {
                assert_eq!(command.reply, Reply::Short, "an end of what never began is not told by every host");
                let response = self.r1();
                self.state = State::Transfer;
                Ok(response)
            }
            (8, State::Idle) if self.kind != Kind::Old => Ok(Response::Short(command.argument)),
            (9, State::StandBy) if mine => Ok(Response::Long(self.csd())),
            (12, State::Sending | State::Receiving) => {
                let busy = self.state == State::Receiving;
                assert_eq!(command.reply == Reply::Busy, busy, "a card is busy after it has received");
                let response = self.r1();
                self.state = if self.state == State::Sending { State::Transfer } else { State::Programming };
                Ok(response)
            }
            (13, State::Idle | State::Ready | State::Identification) => Err(HostError::CommandTimeout),
            (13, _) if mine => {
                if self.state == State::Programming {
                    if self.busy == 0 {
                        self.state = State::Transfer;
                    } else {
                        self.busy -= 1;
                    }
                }
                Ok(self.r1())
            }
            (16, State::Transfer) => {
                assert_eq!(command.argument as usize, BLOCK_BYTES);
                Ok(self.r1())
            }
            (17 | 18 | 24 | 25, _) => self.transfer(command, data),
            (23, State::Transfer) if self.knows_block_count => {
                self.block_count = Some(command.argument);
                Ok(self.r1())
            }
            (55, _) => {
                assert!(mine || self.state == State::Idle);
                self.application = true;
                Ok(self.r1())
            }
            _ => {
                // A card does not answer what is illegal, and says so the next time.
                self.status |= ILLEGAL;
                Err(HostError::CommandTimeout)
            }
        }
    }

    fn of_application(&mut self, command: Command, data: Data<'_>) -> Result<Response, HostError> {
        match (command.index, self.state) {
            (6, State::Transfer) if command.argument == 2 && self.kind != Kind::Old => Ok(self.r1()),
            (41, State::Idle) => {
                assert_eq!(command.argument & 1 << 30 != 0, self.kind != Kind::Old, "HCS only for who knows CMD8");
                Ok(Response::Short(self.ocr()))
            }
            (51, State::Transfer) => {
                let (version, lines) = if self.kind == Kind::Old { (0, 1) } else { (2, 5) };
                let scr = [version, lines, 0, u8::from(self.knows_block_count) << 1, 0, 0, 0, 0];
                let response = self.r1();
                self.send_bytes(&scr, data)?;
                Ok(response)
            }
            _ => {
                self.status |= ILLEGAL;
                Err(HostError::CommandTimeout)
            }
        }
    }

    /// The fault that is due at this command.
    fn fault(&mut self, index: u8) -> Option<Fault> {
        let mut due = None;
        self.faults.retain_mut(|(command, after, fault)| {
            if *command != index || due.is_some() {
                return true;
            }
            if *after > 0 {
                *after -= 1;
                return true;
            }
            due = Some(*fault);
            false
        });
        due
    }
}

impl Host for FakeCard {
    fn reset(&mut self) -> Result<(), HostError> {
        self.clock_hz = 400_000;
        self.width = BusWidth::One;
        Ok(())
    }

    fn set_clock(&mut self, most_hz: u32, high_speed: bool) -> Result<(), HostError> {
        assert_eq!(high_speed, most_hz > 25_000_000);
        self.clock_hz = most_hz;
        Ok(())
    }

    fn set_bus_width(&mut self, width: BusWidth) {
        self.width = width;
    }

    fn command(&mut self, command: Command, data: Data<'_>) -> Result<Response, HostError> {
        let application = self.application;
        self.log.push(command.index + if application { 100 } else { 0 });
        self.now_us += 10;
        let mut extra = 0;
        match self.fault(command.index) {
            Some(Fault::Host(error)) => {
                // What fails on the data lines had a command that the card took.
                if matches!(error, HostError::DataCrc | HostError::DataTimeout | HostError::DataFrame) {
                    self.state = match command.index {
                        18 => State::Sending,
                        24 | 25 => State::Receiving,
                        _ => self.state,
                    };
                }
                self.application = false;
                return Err(error);
            }
            Some(Fault::Status(bits)) => extra = bits,
            Some(Fault::Removal) => self.present = false,
            Some(Fault::Reset) => self.state = State::Idle,
            None => {}
        }
        if !self.present {
            self.application = false;
            return if command.reply == Reply::None { Ok(Response::None) } else { Err(HostError::CommandTimeout) };
        }
        let outcome = if application { self.of_application(command, data) } else { self.standard(command, data) };
        if application {
            self.application = false;
        }
        Ok(match outcome? {
            Response::Short(bits) => Response::Short(bits | extra),
            other => other,
        })
    }

    fn most_blocks(&self) -> usize {
        self.most_blocks
    }

    fn now_us(&mut self) -> u64 {
        self.now_us
    }

    fn pause_us(&mut self, us: u32) {
        self.now_us += u64::from(us);
    }
}
