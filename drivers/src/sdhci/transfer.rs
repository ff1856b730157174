//! A command with its answer and its data.

use tock_registers::interfaces::{Readable, Writeable};

use super::controller::{Pace, Sdhci};
use super::registers::{BLKSIZECNT, CMDTM, INTERRUPT, STATUS};
use crate::sd::{Command, Data, HostError, Reply, Response};

/// A card answers within 64 clocks, or the controller says that it did not: 160 µs at 400 kHz.
const ANSWER_US: u64 = 100_000;
/// A card sends a block within 100 ms (PL 4.6.2.1).
const READ_US: u64 = 1_500_000;
/// It is busy for 250 ms after a block, or 500; some are for longer, and the controller's own time-out, which allows for them,
/// comes first.
const BUSY_US: u64 = 7_000_000;
/// What all blocks of a transfer may take where nobody looks at each: as long as Linux gives them. A block that does not come
/// ends it by the controller's time-out.
const ALL_DATA_US: u64 = 10_000_000;

impl<P: Pace> Sdhci<P> {
    /// Sends `command`, reads its answer and moves its data.
    pub(super) fn transfer(&mut self, command: Command, data: Data<'_>) -> Result<Response, HostError> {
        self.wait_for_lines(command, &data)?;
        self.write(|registers| &registers.interrupt, u32::MAX);
        let blocks = u32::try_from(data.blocks()).unwrap_or(u32::MAX);
        if blocks > 0 {
            let size = u32::try_from(data.block_bytes()).unwrap_or(u32::MAX);
            let value = BLKSIZECNT::BLKSIZE.val(size) + BLKSIZECNT::BLKCNT.val(blocks);
            self.write(|registers| &registers.blksizecnt, value.into());
        }
        let by_itself = self.offer(&data);
        let dma = if by_itself { CMDTM::DMA_EN::SET } else { CMDTM::DMA_EN::CLEAR };
        self.write(|registers| &registers.arg1, command.argument);
        self.write(|registers| &registers.cmdtm, dma.modify(word(command, &data)));
        self.await_event(INTERRUPT::CMD_DONE::SET, None, ANSWER_US)?;
        let response = self.response(command.reply);
        if by_itself {
            let done = self.await_event(INTERRUPT::DATA_DONE::SET, None, ALL_DATA_US);
            if done == Err(HostError::Stuck) {
                self.set_dma(None);
            }
            done?;
            self.accept(data);
            return Ok(response);
        }
        let waits_us = match data {
            Data::Read { .. } => Some(READ_US),
            Data::Write { .. } => Some(BUSY_US),
            Data::None => (command.reply == Reply::Busy).then_some(BUSY_US),
        };
        self.move_data(data)?;
        if let Some(waits_us) = waits_us {
            self.await_event(INTERRUPT::DATA_DONE::SET, None, waits_us)?;
        }
        Ok(response)
    }

    /// The data lines are in use while a card is busy; only the end of a transfer may be sent then.
    fn wait_for_lines(&mut self, command: Command, data: &Data<'_>) -> Result<(), HostError> {
        let uses_data = command.reply == Reply::Busy || !matches!(data, Data::None);
        let mut used = STATUS::CMD_INHIBIT::SET;
        if uses_data && command.index != Command::STOP {
            used += STATUS::DAT_INHIBIT::SET;
        }
        self.settle(|registers| !registers.status.any_matching_bits_set(used))
    }

    fn response(&self, reply: Reply) -> Response {
        match reply {
            Reply::None => Response::None,
            Reply::Short | Reply::Busy | Reply::Plain => Response::Short(self.registers.resp[0].get()),
            // The registers hold bits 127 to 8.
            Reply::Long => {
                let words = self.registers.resp.iter().rev();
                Response::Long(words.fold(0, |bits, word| bits << 32 | u128::from(word.get())) << 8)
            }
        }
    }

    /// Moves the data through the data port. A block is asked for or offered as soon as the controller has one, so the event
    /// is taken back before the block is moved.
    fn move_data(&mut self, data: Data<'_>) -> Result<(), HostError> {
        match data {
            Data::None => {}
            Data::Read { block, into } => {
                for block in into.chunks_exact_mut(block) {
                    let available = Some(STATUS::READ_AVAILABLE::SET);
                    self.await_event(INTERRUPT::READ_RDY::SET, available, READ_US)?;
                    for word in block.as_chunks_mut::<4>().0 {
                        *word = self.registers.data.get().to_le_bytes();
                    }
                }
            }
            Data::Write { block, from } => {
                for block in from.chunks_exact(block) {
                    let available = Some(STATUS::WRITE_AVAILABLE::SET);
                    self.await_event(INTERRUPT::WRITE_RDY::SET, available, BUSY_US)?;
                    for word in block.as_chunks::<4>().0 {
                        self.registers.data.set(u32::from_le_bytes(*word));
                    }
                }
            }
        }
        Ok(())
    }
}

/// The word that sends `command`.
fn word(command: Command, data: &Data<'_>) -> u32 {
    let checks = CMDTM::IXCHK_EN::SET + CMDTM::CRCCHK_EN::SET;
    let reply = match command.reply {
        Reply::None => CMDTM::RSPNS_TYPE::None,
        Reply::Short => CMDTM::RSPNS_TYPE::Short + checks,
        Reply::Busy => CMDTM::RSPNS_TYPE::Busy + checks,
        Reply::Plain => CMDTM::RSPNS_TYPE::Short,
        Reply::Long => CMDTM::RSPNS_TYPE::Long + CMDTM::CRCCHK_EN::SET,
    };
    let several =
        if data.blocks() > 1 { CMDTM::MULTI_BLOCK::SET + CMDTM::BLKCNT_EN::SET } else { CMDTM::MULTI_BLOCK::CLEAR };
    let moves = match data {
        Data::None => CMDTM::ISDATA::CLEAR,
        Data::Read { .. } => CMDTM::ISDATA::SET + CMDTM::DAT_DIR::SET + several,
        Data::Write { .. } => CMDTM::ISDATA::SET + several,
    };
    (CMDTM::INDEX.val(command.index.into()) + reply + moves).into()
}
