//! The mini-UART of the AUX block ("BCM2835 ARM Peripherals", chapter 2, with its errata).
//!
//! It is the console that firmware puts on the header by default. Its clock is the GPU's core clock, which must be
//! asked of the mailbox and stays put only with `enable_uart=1`. FIFOs of eight bytes; no parity, and neither framing
//! errors nor breaks are noticed. Output is polled, input interrupt-driven, as with the [`pl011`](crate::pl011).

use tock_registers::interfaces::{Readable, Writeable};
use tock_registers::{register_bitfields, register_structs};

use crate::mmio::{Mmio, ReadOnly, ReadWrite};
use crate::serial::{BadBaudRate, RxError};
use crate::wait::{self, Patience, Polls, Timeout};

register_bitfields! {
    u32,
    /// Read: is something pending; written: empty the FIFOs.
    IIR [
        CLEAR_TRANSMIT OFFSET(2) NUMBITS(1) [],
        CLEAR_RECEIVE OFFSET(1) NUMBITS(1) [],
        NOTHING_PENDING OFFSET(0) NUMBITS(1) []
    ],
    LSR [
        TRANSMIT_IDLE OFFSET(6) NUMBITS(1) [],
        TRANSMIT_ROOM OFFSET(5) NUMBITS(1) [],
        OVERRUN OFFSET(1) NUMBITS(1) [],
        DATA_READY OFFSET(0) NUMBITS(1) []
    ],
    CNTL [
        TRANSMIT OFFSET(1) NUMBITS(1) [],
        RECEIVE OFFSET(0) NUMBITS(1) []
    ]
}

register_structs! {
    /// The AUX registers, at +0x215000 of the peripherals.
    pub AuxRegisters {
        (0x00 => _reserved_0),
        (0x04 => enables: ReadWrite<u32>),
        (0x08 => _reserved_1),
        (0x40 => io: ReadWrite<u32>),
        (0x44 => ier: ReadWrite<u32>),
        (0x48 => iir: ReadWrite<u32, IIR::Register>),
        (0x4c => lcr: ReadWrite<u32>),
        (0x50 => mcr: ReadWrite<u32>),
        (0x54 => lsr: ReadOnly<u32, LSR::Register>),
        (0x58 => _reserved_2),
        (0x60 => cntl: ReadWrite<u32, CNTL::Register>),
        (0x64 => _reserved_3),
        (0x68 => baud: ReadWrite<u32>),
        (0x6c => @END),
    }
}

/// AUX enables: the mini-UART on, both SPI controllers off.
const AUX_MINI_UART: u32 = 1;
/// Receive interrupt. The manual has bits 0 and 1 swapped, and wants bits 3:2 set for any receive interrupt to come
/// without saying so; QEMU ignores them.
const IER_RECEIVE: u32 = 0b1101;
/// Eight bits. The manual calls bit 1 reserved; without it the UART sends seven.
const LCR_EIGHT_BITS: u32 = 0b11;

/// How often [`MiniUart::write_byte`] looks for room: some 10 ms, where a byte takes 87 µs at 115 200 baud. With a
/// dead clock a byte costs that, and no hang.
const TRANSMIT_POLLS: Polls = Polls::new(100_000);

/// A mini-UART.
#[derive(Debug)]
pub struct MiniUart {
    registers: Mmio<AuxRegisters>,
}

impl MiniUart {
    /// Takes the registers. Nothing is touched, so a UART that firmware or another window has set up can be used at
    /// once.
    #[must_use]
    pub const fn new(registers: Mmio<AuxRegisters>) -> Self {
        Self { registers }
    }

    /// Sets the line to `baud`, 8N1, with the receive interrupt unmasked. Pins are set up before.
    ///
    /// The transmit interrupt stays off for good: it is a level that says "there is room", which is nearly always.
    ///
    /// # Errors
    ///
    /// [`BadBaudRate`], before anything is touched.
    pub fn init(&mut self, core_clock_hz: u32, baud: u32) -> Result<(), BadBaudRate> {
        let divisor = divisor(core_clock_hz, baud)?;
        let registers = &self.registers;
        // The other registers answer only once the block is enabled.
        registers.enables.set(AUX_MINI_UART);
        registers.cntl.set(0);
        registers.ier.set(0);
        registers.lcr.set(LCR_EIGHT_BITS);
        registers.mcr.set(0);
        registers.iir.write(IIR::CLEAR_TRANSMIT::SET + IIR::CLEAR_RECEIVE::SET);
        registers.baud.set(u32::from(divisor));
        registers.ier.set(IER_RECEIVE);
        registers.cntl.write(CNTL::TRANSMIT::SET + CNTL::RECEIVE::SET);
        Ok(())
    }

    /// Sends `byte`, waiting for room in the FIFO for some 10 ms at most.
    ///
    /// # Errors
    ///
    /// [`Timeout`] if there was none; the byte is not sent.
    pub fn write_byte(&self, byte: u8) -> Result<(), Timeout> {
        wait::until(&mut { TRANSMIT_POLLS }, || self.try_write_byte(byte))
    }

    /// Sends `byte` if there is room in the FIFO, and says whether there was.
    #[must_use]
    pub fn try_write_byte(&self, byte: u8) -> bool {
        let room = self.registers.lsr.is_set(LSR::TRANSMIT_ROOM);
        if room {
            self.registers.io.set(u32::from(byte));
        }
        room
    }

    /// Takes the next byte that came in, if any. Reading the line status forgets an overrun, so it is reported with
    /// this byte or never.
    pub fn read_byte(&self) -> Option<Result<u8, RxError>> {
        let status = self.registers.lsr.extract();
        if !status.is_set(LSR::DATA_READY) {
            return None;
        }
        let byte = self.registers.io.get().to_le_bytes()[0];
        Some(if status.is_set(LSR::OVERRUN) { Err(RxError::Overrun(byte)) } else { Ok(byte) })
    }

    /// Waits until the last stop bit has left.
    ///
    /// # Errors
    ///
    /// [`Timeout`] if `patience` ends first.
    pub fn drain(&self, mut patience: impl Patience) -> Result<(), Timeout> {
        wait::until(&mut patience, || self.registers.lsr.is_set(LSR::TRANSMIT_IDLE))
    }

    /// Whether the UART raised the AUX interrupt, which it shares with SPI1 and SPI2. It withdraws by itself as the
    /// FIFO is read.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        !self.registers.iir.is_set(IIR::NOTHING_PENDING)
    }

    /// Lets the receive interrupt through.
    pub fn unmask(&self) {
        self.registers.ier.set(IER_RECEIVE);
    }

    /// Holds the receive interrupt back.
    pub fn mask(&self) {
        self.registers.ier.set(0);
    }
}

/// core clock / (8 * baud) - 1, rounded to the nearest.
fn divisor(core_clock_hz: u32, baud: u32) -> Result<u16, BadBaudRate> {
    let refused = BadBaudRate { clock_hz: core_clock_hz, baud };
    let twice = u64::from(core_clock_hz).checked_div(4 * u64::from(baud)).ok_or(refused)?;
    let eighths = twice.div_ceil(2).checked_sub(1).ok_or(refused)?;
    u16::try_from(eighths).map_err(|_| refused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mmio::fake::{Access, FakeDevice};

    const IO: usize = 0x40;
    const LSR: usize = 0x54;

    fn uart() -> (FakeDevice<AuxRegisters>, MiniUart) {
        let device = FakeDevice::new();
        let uart = MiniUart::new(device.mmio());
        (device, uart)
    }

    #[test]
    fn initialisation_enables_the_block_first_and_the_line_last() {
        let (device, mut uart) = uart();
        assert_eq!(uart.init(250_000_000, 115_200), Ok(()));
        let expected =
            [(0x04, 1), (0x60, 0), (0x44, 0), (0x4c, 3), (0x50, 0), (0x48, 6), (0x68, 270), (0x44, 0b1101), (0x60, 3)];
        assert_eq!(device.writes(), expected);
    }

    #[test]
    fn the_divisor_follows_the_core_clock() {
        assert_eq!(divisor(250_000_000, 115_200), Ok(270));
        assert_eq!(divisor(500_000_000, 115_200), Ok(542));
        assert_eq!(divisor(350_000_000, 115_200), Ok(379));
        assert_eq!(divisor(8_000_000, 1_000_000), Ok(0));
    }

    #[test]
    fn a_speed_out_of_reach_is_refused_before_anything_is_touched() {
        let (device, mut uart) = uart();
        for (clock_hz, baud) in [(250_000_000, 0), (250_000_000, 300), (0, 115_200), (1_000, 115_200)] {
            assert_eq!(uart.init(clock_hz, baud), Err(BadBaudRate { clock_hz, baud }));
        }
        assert_eq!(device.writes(), []);
    }

    #[test]
    fn a_byte_waits_for_room_in_the_fifo() {
        let (device, uart) = uart();
        let mut full_for = 5;
        device.script(move |registers, offset, access| {
            if (offset, access) == (LSR, Access::Read) {
                registers.set(LSR, if full_for > 0 { 0 } else { 1 << 5 });
                full_for -= 1;
            }
        });
        assert_eq!(uart.write_byte(b'x'), Ok(()));
        assert_eq!(device.writes(), [(IO, u32::from(b'x'))]);
    }

    #[test]
    fn a_transmitter_that_stands_still_is_given_up() {
        let (device, uart) = uart();
        assert!(!uart.try_write_byte(b'x'));
        assert_eq!(uart.drain(Polls::new(10)), Err(Timeout));
        // The full budget takes long under Miri, and bounds are checked there no better than here.
        if !cfg!(miri) {
            assert_eq!(uart.write_byte(b'x'), Err(Timeout));
        }
        assert_eq!(device.writes(), []);
        device.set(LSR, 1 << 6);
        assert_eq!(uart.drain(Polls::new(0)), Ok(()));
    }

    #[test]
    fn input_is_read_until_there_is_none_and_an_overrun_is_told() {
        let (device, uart) = uart();
        let mut status = [1, 0b11, 0].into_iter();
        let mut bytes = [0x161, 0x62].into_iter();
        device.script(move |registers, offset, access| match (offset, access) {
            (LSR, Access::Read) => registers.set(LSR, status.next().unwrap_or(0)),
            (IO, Access::Read) => registers.set(IO, bytes.next().unwrap_or(0)),
            _ => {}
        });
        assert_eq!(uart.read_byte(), Some(Ok(b'a')));
        assert_eq!(uart.read_byte(), Some(Err(RxError::Overrun(b'b'))));
        assert_eq!(uart.read_byte(), None);
    }

    #[test]
    fn the_shared_interrupt_is_told_from_that_of_the_spis() {
        let (device, uart) = uart();
        device.set(0x48, 0xc1);
        assert!(!uart.is_pending());
        device.set(0x48, 0xc4);
        assert!(uart.is_pending());
        uart.mask();
        uart.unmask();
        assert_eq!(device.writes(), [(0x44, 0), (0x44, 0b1101)]);
    }
}
