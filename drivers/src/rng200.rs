//! RNG200, the random number generator of the Pi 4. Broadcom documents nothing of it; the facts are those of Linux's
//! `iproc-rng200` driver.
//!
//! QEMU has none: a read of its registers is a synchronous external abort, so [`Rng200::start`] is called only where a
//! device tree says that the generator exists.
//!
//! The hardware tests its own noise and stops when the test fails. Noise fails such tests now and then by chance, so
//! the driver resets it once for each word asked for before it reports the failure.

use rand_core::{TryRng, utils};
use tock_registers::interfaces::{Readable, Writeable};
use tock_registers::{register_bitfields, register_structs};

use crate::entropy::EntropyError;
use crate::mmio::{Mmio, ReadOnly, ReadWrite};
use crate::wait::{self, Polls};

register_bitfields! {
    u32,
    CTRL [
        /// 1 runs the generator. What stands above is its sampling rate, which stays as firmware chose it.
        RBG_ENABLE OFFSET(0) NUMBITS(13) []
    ],
    RESET [
        RESET OFFSET(0) NUMBITS(1) []
    ],
    INT_STATUS [
        MASTER_FAIL_LOCKOUT OFFSET(31) NUMBITS(1) [],
        NIST_FAIL OFFSET(5) NUMBITS(1) []
    ],
    FIFO_COUNT [
        WORDS OFFSET(0) NUMBITS(8) []
    ]
}

register_structs! {
    /// The registers, at +0x104000 of a Pi 4's peripherals.
    pub Rng200Registers {
        (0x00 => ctrl: ReadWrite<u32, CTRL::Register>),
        (0x04 => rng_reset: ReadWrite<u32, RESET::Register>),
        (0x08 => rbg_reset: ReadWrite<u32, RESET::Register>),
        (0x0c => _reserved_0),
        (0x14 => int_enable: ReadWrite<u32>),
        (0x18 => int_status: ReadWrite<u32, INT_STATUS::Register>),
        (0x1c => _reserved_1),
        (0x20 => fifo_data: ReadOnly<u32>),
        (0x24 => fifo_count: ReadOnly<u32, FIFO_COUNT::Register>),
        (0x28 => @END),
    }
}

/// A generator that runs.
#[derive(Debug)]
pub struct Rng200 {
    registers: Mmio<Rng200Registers>,
    patience_per_word: Polls,
}

impl Rng200 {
    /// Resets and starts the generator. Each word is then waited for with `patience_per_word`.
    #[must_use]
    pub fn start(registers: Mmio<Rng200Registers>, patience_per_word: Polls) -> Self {
        let mut generator = Self { registers, patience_per_word };
        generator.registers.int_enable.set(0);
        generator.reset();
        generator
    }

    /// Stops the generator, forgets its failures, resets both halves (the noise source inside the reset of the rest)
    /// and starts it.
    fn reset(&mut self) {
        let registers = &self.registers;
        let rate = CTRL::RBG_ENABLE.val(0).modify(registers.ctrl.get());
        registers.ctrl.set(rate);
        registers.int_status.set(u32::MAX);
        registers.rbg_reset.write(RESET::RESET::SET);
        registers.rng_reset.write(RESET::RESET::SET);
        registers.rng_reset.write(RESET::RESET::CLEAR);
        registers.rbg_reset.write(RESET::RESET::CLEAR);
        registers.ctrl.set(CTRL::RBG_ENABLE.val(1).modify(rate));
    }

    /// The status, if it tells of a failure.
    fn failure(&self) -> Option<u32> {
        let status = self.registers.int_status.extract();
        let failed = status.is_set(INT_STATUS::MASTER_FAIL_LOCKOUT) || status.is_set(INT_STATUS::NIST_FAIL);
        failed.then(|| status.get())
    }

    /// A word, unless the hardware fails or takes too long.
    fn word(&self) -> Result<u32, EntropyError> {
        let mut patience = self.patience_per_word;
        let mut failure = None;
        wait::until(&mut patience, || {
            failure = self.failure();
            failure.is_some() || self.registers.fifo_count.is_set(FIFO_COUNT::WORDS)
        })?;
        match failure {
            Some(status) => Err(EntropyError::Failed { status }),
            None => Ok(self.registers.fifo_data.get()),
        }
    }
}

impl TryRng for Rng200 {
    type Error = EntropyError;

    fn try_next_u32(&mut self) -> Result<u32, EntropyError> {
        self.word().or_else(|error| match error {
            EntropyError::Failed { .. } => {
                self.reset();
                self.word()
            }
            EntropyError::Timeout => Err(error),
        })
    }

    fn try_next_u64(&mut self) -> Result<u64, EntropyError> {
        let low = self.try_next_u32()?;
        Ok(u64::from(self.try_next_u32()?) << 32 | u64::from(low))
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), EntropyError> {
        utils::fill_bytes_via_next_word(dst, || self.try_next_u32())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::*;
    use crate::mmio::fake::{Access, FakeDevice};

    const CTRL: usize = 0x00;
    const INT_STATUS: usize = 0x18;
    const FIFO_DATA: usize = 0x20;
    const FIFO_COUNT: usize = 0x24;
    const RESET: [(usize, u32); 7] =
        [(CTRL, 0), (INT_STATUS, u32::MAX), (0x08, 1), (0x04, 1), (0x04, 0), (0x08, 0), (CTRL, 1)];

    /// A generator that counts up, and fails its own test, with the given status, so many times.
    fn scripted(status: u32, failures: u32) -> FakeDevice<Rng200Registers> {
        let device = FakeDevice::new();
        let left = Rc::new(Cell::new(failures));
        device.script(move |registers, offset, access| match (offset, access) {
            (INT_STATUS, Access::Read) => registers.set(INT_STATUS, if left.get() > 0 { status } else { 0 }),
            (0x04, Access::Write(0)) => left.set(left.get().saturating_sub(1)),
            (FIFO_COUNT, Access::Read) => registers.set(FIFO_COUNT, 0x100 | u32::from(left.get() == 0)),
            (FIFO_DATA, Access::Read) => registers.set(FIFO_DATA, registers.get(FIFO_DATA) + 1),
            _ => {}
        });
        device
    }

    #[test]
    fn a_generator_starts_from_a_reset_with_its_interrupts_off() {
        let device = FakeDevice::new();
        let _rng = Rng200::start(device.mmio(), Polls::new(0));
        let writes = device.writes();
        assert_eq!(writes.first(), Some(&(0x14, 0)));
        assert_eq!(writes[1..], RESET);
    }

    #[test]
    fn the_sampling_rate_of_firmware_survives_a_reset() {
        let device = FakeDevice::new();
        device.set(CTRL, 3 << 13 | 0x1fff);
        let _rng = Rng200::start(device.mmio(), Polls::new(0));
        assert_eq!(device.get(CTRL), 3 << 13 | 1);
    }

    #[test]
    fn words_come_out_of_the_fifo() {
        let device = scripted(0, 0);
        let mut rng = Rng200::start(device.mmio(), Polls::new(2));
        assert_eq!(rng.try_next_u32(), Ok(1));
        assert_eq!(rng.try_next_u64(), Ok(3 << 32 | 2));
        let mut bytes = [0; 5];
        assert_eq!(rng.try_fill_bytes(&mut bytes), Ok(()));
        assert_eq!(bytes, [4, 0, 0, 0, 5]);
    }

    #[test]
    fn a_failed_test_is_answered_by_one_reset() {
        for status in [1 << 31, 1 << 5] {
            // One failure is taken away by the reset of the start, one is left for the first word.
            let device = scripted(status, 2);
            let mut rng = Rng200::start(device.mmio(), Polls::new(2));
            device.writes();
            assert_eq!(rng.try_next_u32(), Ok(1));
            assert_eq!(device.writes(), RESET);
        }
    }

    #[test]
    fn a_generator_that_keeps_failing_is_reported_with_its_status() {
        let device = scripted(1 << 31 | 1 << 5, 9);
        let mut rng = Rng200::start(device.mmio(), Polls::new(2));
        assert_eq!(rng.try_next_u32(), Err(EntropyError::Failed { status: 1 << 31 | 1 << 5 }));
    }

    #[test]
    fn an_empty_fifo_is_given_up() {
        let device = FakeDevice::new();
        let mut rng = Rng200::start(device.mmio(), Polls::new(3));
        device.set(INT_STATUS, 0);
        assert_eq!(rng.try_next_u32(), Err(EntropyError::Timeout));
    }
}
