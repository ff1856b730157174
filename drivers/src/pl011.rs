//! PL011, the UART of the console (Arm DDI 0183, "PL011 Technical Reference Manual").
//!
//! Output is polled, input is interrupt-driven: [`Pl011::init`] unmasks the receive interrupts, and the handler calls
//! [`read_byte`](Pl011::read_byte) until there is nothing left. It must not stop earlier: in QEMU the interrupt rises
//! only when the FIFO goes from empty to not empty, so a handler that leaves a byte behind is never called again.
//!
//! All methods but `init` take `&self`: each access stands alone, and a panic may print through a second window.

use core::error::Error;
use core::fmt;
use core::mem::offset_of;

use bitflags::bitflags;
use tock_registers::fields::Field;
use tock_registers::interfaces::{Readable, Writeable};
use tock_registers::{register_bitfields, register_structs};

use crate::mmio::{Mmio, ReadOnly, ReadWrite, WriteOnly};
use crate::serial::{BadBaudRate, RxError};
use crate::wait::{self, Patience, Polls, Timeout};

register_bitfields! {
    u32,
    /// Receive: the errors of the byte come with it.
    DR [
        OE OFFSET(11) NUMBITS(1) [],
        BE OFFSET(10) NUMBITS(1) [],
        PE OFFSET(9) NUMBITS(1) [],
        FE OFFSET(8) NUMBITS(1) [],
        DATA OFFSET(0) NUMBITS(8) []
    ],
    FR [
        TXFE OFFSET(7) NUMBITS(1) [],
        RXFF OFFSET(6) NUMBITS(1) [],
        TXFF OFFSET(5) NUMBITS(1) [],
        RXFE OFFSET(4) NUMBITS(1) [],
        BUSY OFFSET(3) NUMBITS(1) []
    ],
    LCRH [
        /// 3: eight bits.
        WLEN OFFSET(5) NUMBITS(2) [],
        /// Enable the FIFOs.
        FEN OFFSET(4) NUMBITS(1) []
    ],
    CR [
        RXE OFFSET(9) NUMBITS(1) [],
        TXE OFFSET(8) NUMBITS(1) [],
        UARTEN OFFSET(0) NUMBITS(1) []
    ],
    IFLS [
        /// 2: interrupt at eight of sixteen bytes.
        RXIFLSEL OFFSET(3) NUMBITS(3) [],
        TXIFLSEL OFFSET(0) NUMBITS(3) []
    ]
}

register_structs! {
    /// The registers, at +0x201000 of the peripherals.
    pub Pl011Registers {
        (0x00 => dr: ReadWrite<u32, DR::Register>),
        (0x04 => _reserved_0),
        (0x18 => fr: ReadOnly<u32, FR::Register>),
        (0x1c => _reserved_1),
        (0x24 => ibrd: ReadWrite<u32>),
        (0x28 => fbrd: ReadWrite<u32>),
        (0x2c => lcrh: ReadWrite<u32, LCRH::Register>),
        (0x30 => cr: ReadWrite<u32, CR::Register>),
        (0x34 => ifls: ReadWrite<u32, IFLS::Register>),
        (0x38 => imsc: ReadWrite<u32>),
        (0x3c => _reserved_2),
        (0x40 => mis: ReadOnly<u32>),
        (0x44 => icr: WriteOnly<u32>),
        (0x48 => dmacr: ReadWrite<u32>),
        (0x4c => @END),
    }
}

bitflags! {
    /// The interrupts of a PL011.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Interrupts: u32 {
        /// The receive FIFO reached its level.
        const RECEIVE = 1 << 4;
        /// The transmit FIFO fell to its level.
        const TRANSMIT = 1 << 5;
        /// Bytes wait in the receive FIFO and no more came for 32 bit times. QEMU never raises it; without it a board
        /// would sit on the last bytes of a line.
        const RECEIVE_TIMEOUT = 1 << 6;
        /// Framing error.
        const FRAMING = 1 << 7;
        /// Parity error.
        const PARITY = 1 << 8;
        /// Break.
        const BREAK = 1 << 9;
        /// Overrun.
        const OVERRUN = 1 << 10;
    }
}

/// CR of a UART that works in both directions, and of one that only sends.
const TRANSMIT_AND_RECEIVE: u32 = TRANSMIT_ONLY | CR::RXE::SET.value;
const TRANSMIT_ONLY: u32 = CR::UARTEN::SET.value | CR::TXE::SET.value;

/// Every bit of ICR that has a meaning, modem lines included.
const ALL_INTERRUPTS: u32 = 0x7ff;

/// Where FR is: reading it changes nothing, so it is what to read where it is not known whether there is a UART.
pub const FLAG_REGISTER: usize = offset_of!(Pl011Registers, fr);

/// How often [`Pl011::write_byte`] looks for room. At 115 200 baud a byte leaves within 87 µs and a look takes about
/// 100 ns, so a UART that runs needs fewer than a thousand; even at 9600 baud there is a wide margin. One whose clock
/// stands still costs its caller some 10 ms a byte, and no hang.
const TRANSMIT_POLLS: Polls = Polls::new(100_000);

/// A PL011.
#[derive(Debug)]
pub struct Pl011 {
    registers: Mmio<Pl011Registers>,
}

impl Pl011 {
    /// Takes the registers. Nothing is touched, so a UART that firmware or another window has set up can be used at
    /// once.
    #[must_use]
    pub const fn new(registers: Mmio<Pl011Registers>) -> Self {
        Self { registers }
    }

    /// Sets the line to `baud`, 8N1, FIFOs on, receive interrupts unmasked, no flow control. Pins and the clock are set
    /// up before.
    ///
    /// The firmware's own setting is not to be relied on: with its early console it leaves 103 448 baud behind.
    ///
    /// # Errors
    ///
    /// [`BadBaudRate`], before anything is touched.
    pub fn init(&mut self, clock_hz: u32, baud: u32) -> Result<(), BadBaudRate> {
        let divisor = divisor(clock_hz, baud)?;
        self.set_up(&divisor, Interrupts::RECEIVE | Interrupts::RECEIVE_TIMEOUT, TRANSMIT_AND_RECEIVE);
        Ok(())
    }

    /// Sets the line to `baud`, 8N1, FIFO on, for sending alone: all interrupts masked, the receiver off, so that its line
    /// needs no pin. On a BCM2711 that is also what the console wants of the other PL011s, for all have one interrupt.
    ///
    /// For a UART of which it is not known whether it is there. Its identification cannot tell: that stands at +0xfe0, and
    /// the windows of the BCM2711's UARTs are 0x200 bytes long, so the next device would answer (Linux has the number in
    /// the device tree for this, `arm,primecell-periphid`). The flags and what the registers keep can.
    ///
    /// # Errors
    ///
    /// [`NoSender`]. Nothing was written unless the flags were those of a PL011.
    pub fn init_sender(&mut self, clock_hz: u32, baud: u32) -> Result<(), NoSender> {
        let divisor = divisor(clock_hz, baud)?;
        if !are_possible(self.registers.fr.get()) {
            return Err(NoSender::NoPl011);
        }
        self.set_up(&divisor, Interrupts::empty(), TRANSMIT_ONLY);
        let registers = &self.registers;
        let kept = [registers.ibrd.get(), registers.fbrd.get(), registers.cr.get()];
        if kept == [divisor.integer, divisor.fraction, TRANSMIT_ONLY] { Ok(()) } else { Err(NoSender::NoPl011) }
    }

    fn set_up(&self, divisor: &Divisor, unmasked: Interrupts, control: u32) {
        let registers = &self.registers;
        // Lets a last byte leave that firmware or a former kernel wrote. If it does not, it is lost with the reset.
        let _ = self.drain(TRANSMIT_POLLS);
        registers.cr.set(0);
        registers.icr.set(ALL_INTERRUPTS);
        registers.dmacr.set(0);
        registers.ibrd.set(divisor.integer);
        registers.fbrd.set(divisor.fraction);
        // Writing LCRH latches the divisor (DDI 0183, section 3.3.6). FEN goes from its old value straight to one: each
        // change of it empties the FIFO in QEMU, and with it what was typed ahead.
        registers.lcrh.write(LCRH::WLEN.val(3) + LCRH::FEN::SET);
        registers.ifls.write(IFLS::RXIFLSEL.val(2) + IFLS::TXIFLSEL.val(2));
        self.unmask_only(unmasked);
        registers.cr.set(control);
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
        let room = !self.registers.fr.is_set(FR::TXFF);
        if room {
            self.registers.dr.set(u32::from(byte));
        }
        room
    }

    /// Takes the next byte that came in, if any.
    pub fn read_byte(&self) -> Option<Result<u8, RxError>> {
        if self.registers.fr.is_set(FR::RXFE) {
            return None;
        }
        // One read takes the byte and its errors: DR[11:8] belong to the byte in DR[7:0].
        let received = self.registers.dr.get();
        let byte = received.to_le_bytes()[0];
        // A break also looks like a framing error, and an overrun says nothing about the byte itself.
        Some(if DR::BE.is_set(received) {
            Err(RxError::Break(byte))
        } else if DR::FE.is_set(received) {
            Err(RxError::Framing(byte))
        } else if DR::PE.is_set(received) {
            Err(RxError::Parity(byte))
        } else if DR::OE.is_set(received) {
            Err(RxError::Overrun(byte))
        } else {
            Ok(byte)
        })
    }

    /// Waits until the last stop bit has left.
    ///
    /// # Errors
    ///
    /// [`Timeout`] if `patience` ends first.
    pub fn drain(&self, mut patience: impl Patience) -> Result<(), Timeout> {
        wait::until(&mut patience, || !self.registers.fr.is_set(FR::BUSY))
    }

    /// The interrupts that are raised and unmasked.
    #[must_use]
    pub fn pending(&self) -> Interrupts {
        Interrupts::from_bits_truncate(self.registers.mis.get())
    }

    /// Withdraws `interrupts`. Receive interrupts also withdraw themselves as the FIFO is read; a handler acknowledges
    /// *before* it drains the FIFO, so that what comes in meanwhile raises them again.
    pub fn acknowledge(&self, interrupts: Interrupts) {
        self.registers.icr.set(interrupts.bits());
    }

    /// Lets exactly `interrupts` through.
    pub fn unmask_only(&self, interrupts: Interrupts) {
        self.registers.imsc.set(interrupts.bits());
    }
}

/// Why nothing can be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoSender {
    /// What answers is no PL011.
    NoPl011,
    /// It does not reach the line speed from its clock.
    Baud(BadBaudRate),
}

impl From<BadBaudRate> for NoSender {
    fn from(refused: BadBaudRate) -> Self {
        Self::Baud(refused)
    }
}

impl fmt::Display for NoSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPl011 => f.write_str("what answers there is no PL011"),
            Self::Baud(refused) => refused.fmt(f),
        }
    }
}

impl Error for NoSender {}

/// The two parts of the divisor: 1/16 of the clock over the line speed, in 64ths.
struct Divisor {
    integer: u32,
    fraction: u32,
}

/// Whether a PL011 can have these flags (DDI 0183, section 3.3.3): what is empty is not full, and the transmitter is busy
/// from the moment on in which its FIFO is not empty, enabled or not. Neither all zeros nor all ones, as a bus reads where
/// nothing is, pass.
fn are_possible(flags: u32) -> bool {
    let has = |bit: Field<u32, FR::Register>| bit.is_set(flags);
    let transmitter = if has(FR::TXFE) { !has(FR::TXFF) } else { has(FR::BUSY) };
    transmitter && !(has(FR::RXFE) && has(FR::RXFF))
}

fn divisor(clock_hz: u32, baud: u32) -> Result<Divisor, BadBaudRate> {
    let refused = BadBaudRate { clock_hz, baud };
    // 64 * clock / (16 * baud), rounded to the nearest.
    let twice = (8 * u64::from(clock_hz)).checked_div(u64::from(baud)).ok_or(refused)?;
    let sixty_fourths = u32::try_from(twice.div_ceil(2)).map_err(|_| refused)?;
    let (integer, fraction) = (sixty_fourths >> 6, sixty_fourths & 63);
    // IBRD holds 1 to 65535; at 65535 there is no fraction (DDI 0183, section 3.3.5).
    match (integer, fraction) {
        (1..=0xfffe, _) | (0xffff, 0) => Ok(Divisor { integer, fraction }),
        _ => Err(refused),
    }
}

#[cfg(test)]
mod tests;
