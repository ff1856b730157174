//! SD host controllers of the SDHCI kind (SD Association, "SD Host Controller Simplified Specification" 3.0; the BCM2835
//! peripherals manual, chapter 5, for the Arasan's register names).
//!
//! Both chips have two: the *Arasan* ("EMMC") at +0x300000, where a Pi 3 and QEMU have the card, and on the BCM2711
//! "EMMC2" at +0x340000, where a Pi 4 has it. What is particular about them is known from Linux's `sdhci-iproc`:
//!
//! * Registers bear accesses of 32 bits only. So what the specification has as pairs of 16-bit registers (block size and
//!   count; transfer mode and command) is written as one.
//! * The Arasan may lose the second of two writes to a register that come within two clocks of the card. While the card is
//!   clocked at 400 kHz or less, each write but those of data is followed by four clocks of waiting; above that a write
//!   takes longer than the clocks.
//! * The Arasan has no bit for the timing of high speed; EMMC2 has.
//! * EMMC2 may hang below 200 kHz while the core runs at 500 MHz and there is no card. Identification runs at 400 kHz.
//! * Neither tells whether there is a card: the line is not connected on the boards.
//!
//! **Transfers.** Data goes through the data port, block by block, by the thread that wants it. It looks a few times, since
//! short answers come in microseconds, then sleeps until the controller interrupts; how, is up to a [`Pace`]. QEMU's
//! controllers know no other way. EMMC2 on a board moves blocks by itself (ADMA2) where it is given memory for that:
//! [`Dma`]. An error of it, or an end that does not come, and it is the thread again that moves them.
//!
//! **Interrupts.** Status bits are always enabled, signals only while a thread sleeps. The handler has a window of its own,
//! [`SdhciInterrupt`], and does nothing but take the signals back: the line is level-triggered, and the thread finds in the
//! status register why it was woken.

mod clock;
mod controller;
mod dma;
mod interrupt;
mod registers;
#[cfg(test)]
mod tests;
mod transfer;

pub use clock::{nearest_mhz, own_clock_hz};
pub use controller::{Chip, Pace, Sdhci};
pub use dma::{Dma, SharedMemory};
pub use interrupt::SdhciInterrupt;
pub use registers::SdhciRegisters;
