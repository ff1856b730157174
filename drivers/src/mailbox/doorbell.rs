//! The mailbox registers: a FIFO of words in each direction, each word a channel and an address.

use tock_registers::interfaces::{Readable, Writeable};
use tock_registers::{register_bitfields, register_structs};

use crate::mmio::{Mmio, ReadOnly, ReadWrite, WriteOnly};
use crate::wait::{self, Patience, Polls, Timeout};

register_bitfields! {
    u32,
    STATUS [
        FULL OFFSET(31) NUMBITS(1) [],
        EMPTY OFFSET(30) NUMBITS(1) []
    ]
}

register_structs! {
    /// The registers, at +0xb880 of the peripherals. Mailbox 0 is read by the CPU, mailbox 1 (from 0x20) by firmware.
    pub MailboxRegisters {
        (0x00 => read: ReadOnly<u32>),
        (0x04 => _reserved_0),
        (0x18 => read_status: ReadOnly<u32, STATUS::Register>),
        (0x1c => config: ReadWrite<u32>),
        (0x20 => write: WriteOnly<u32>),
        (0x24 => _reserved_1),
        (0x38 => write_status: ReadOnly<u32, STATUS::Register>),
        (0x3c => @END),
    }
}

/// The channel of property messages, in bits 3:0 of a word.
const PROPERTY_CHANNEL: u32 = 8;
/// The channel's bits.
const CHANNEL_MASK: u32 = 0xf;
/// The FIFOs hold eight words, so more stale answers than that cannot wait.
const STALE_ANSWERS: Polls = Polls::new(8);

/// The mailbox.
#[derive(Debug)]
pub struct Mailbox {
    registers: Mmio<MailboxRegisters>,
}

impl Mailbox {
    /// Takes the registers and turns the mailbox interrupts off: answers are polled.
    #[must_use]
    pub fn new(registers: Mmio<MailboxRegisters>) -> Self {
        registers.config.set(0);
        Self { registers }
    }

    /// Hands the message at `bus_address`, a multiple of 16, to firmware and waits until it comes back.
    pub(super) fn exchange(&mut self, bus_address: u32, patience: &mut impl Patience) -> Result<(), Timeout> {
        debug_assert_eq!(bus_address & CHANNEL_MASK, 0, "the address shares its word with the channel");
        let registers = &self.registers;
        let word = bus_address | PROPERTY_CHANNEL;
        // What a former kernel, or a call that was given up, did not collect.
        wait::until(&mut { STALE_ANSWERS }, || self.take().is_none())?;
        wait::until(patience, || !registers.write_status.is_set(STATUS::FULL))?;
        registers.write.set(word);
        // Other words are on other channels; nobody here waits for them.
        wait::until(patience, || self.take() == Some(word))
    }

    fn take(&self) -> Option<u32> {
        if self.registers.read_status.is_set(STATUS::EMPTY) { None } else { Some(self.registers.read.get()) }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::VecDeque;
    use std::rc::Rc;

    use super::*;
    use crate::mmio::fake::{Access, FakeDevice};

    const READ: usize = 0x00;
    const READ_STATUS: usize = 0x18;
    const WRITE: usize = 0x20;
    const WRITE_STATUS: usize = 0x38;

    /// A mailbox with `waiting` words to read, whose firmware puts `answers` behind them when the doorbell rings.
    fn scripted(waiting: &[u32], answers: &[u32]) -> FakeDevice<MailboxRegisters> {
        let device = FakeDevice::new();
        let fifo = Rc::new(RefCell::new(VecDeque::from(waiting.to_vec())));
        let answers = answers.to_vec();
        device.script(move |registers, offset, access| match (offset, access) {
            (READ_STATUS, Access::Read) => {
                registers.set(READ_STATUS, if fifo.borrow().is_empty() { 1 << 30 } else { 0 });
            }
            (READ, Access::Read) => registers.set(READ, fifo.borrow_mut().pop_front().unwrap_or(0)),
            (WRITE, Access::Write(_)) => {
                assert!(fifo.borrow().is_empty(), "stale answers were left");
                fifo.borrow_mut().extend(&answers);
            }
            _ => {}
        });
        device
    }

    #[test]
    fn a_message_is_sent_on_the_property_channel_and_awaited() {
        let device = scripted(&[], &[0xc010_0008]);
        let mut mailbox = Mailbox::new(device.mmio());
        assert_eq!(mailbox.exchange(0xc010_0000, &mut Polls::new(4)), Ok(()));
        assert_eq!(device.writes(), [(0x1c, 0), (WRITE, 0xc010_0008)]);
    }

    #[test]
    fn answers_to_others_are_passed_over() {
        let device = scripted(&[0xc010_0008, 0x11], &[0x21, 0xc020_0008, 0xc010_0008]);
        let mut mailbox = Mailbox::new(device.mmio());
        assert_eq!(mailbox.exchange(0xc010_0000, &mut Polls::new(4)), Ok(()));
    }

    #[test]
    fn firmware_that_does_not_answer_is_given_up() {
        let device = scripted(&[], &[0xc020_0008]);
        let mut mailbox = Mailbox::new(device.mmio());
        assert_eq!(mailbox.exchange(0xc010_0000, &mut Polls::new(4)), Err(Timeout));
    }

    #[test]
    fn a_full_mailbox_is_not_written() {
        let device = scripted(&[], &[]);
        device.set(WRITE_STATUS, 1 << 31);
        let mut mailbox = Mailbox::new(device.mmio());
        assert_eq!(mailbox.exchange(0xc010_0000, &mut Polls::new(4)), Err(Timeout));
        assert_eq!(device.writes(), [(0x1c, 0)]);
    }

    #[test]
    fn a_mailbox_that_never_runs_empty_is_given_up() {
        let device = FakeDevice::new();
        let mut mailbox = Mailbox::new(device.mmio());
        assert_eq!(mailbox.exchange(0xc010_0000, &mut Polls::new(4)), Err(Timeout));
        assert_eq!(device.writes(), [(0x1c, 0)]);
    }
}
