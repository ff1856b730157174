//! The random number generator of the Pi 3. Broadcom documents nothing of it; the facts are those of Linux's
//! `bcm2835-rng` driver. In QEMU it exists on raspi3b only and always has one word ready.

use rand_core::{TryRng, utils};
use tock_registers::interfaces::{Readable, Writeable};
use tock_registers::{register_bitfields, register_structs};

use crate::entropy::EntropyError;
use crate::mmio::{Mmio, ReadOnly, ReadWrite};
use crate::wait::{self, Polls};

register_bitfields! {
    u32,
    CTRL [
        ENABLE OFFSET(0) NUMBITS(1) []
    ],
    STATUS [
        WORDS_READY OFFSET(24) NUMBITS(8) [],
        WARM_UP OFFSET(0) NUMBITS(20) []
    ]
}

register_structs! {
    /// The registers, at +0x104000 of a Pi 3's peripherals.
    pub Bcm2835RngRegisters {
        (0x00 => ctrl: ReadWrite<u32, CTRL::Register>),
        (0x04 => status: ReadWrite<u32, STATUS::Register>),
        (0x08 => data: ReadOnly<u32>),
        (0x0c => @END),
    }
}

/// How much the generator throws away at first, when its output is less random.
const WARM_UP_COUNT: u32 = 0x4_0000;

/// A generator that runs.
#[derive(Debug)]
pub struct Bcm2835Rng {
    registers: Mmio<Bcm2835RngRegisters>,
    patience_per_word: Polls,
}

impl Bcm2835Rng {
    /// Starts the generator. Each word is then waited for with `patience_per_word`, of which the first needs most: it
    /// comes after the warm-up.
    #[must_use]
    pub fn start(registers: Mmio<Bcm2835RngRegisters>, patience_per_word: Polls) -> Self {
        registers.status.write(STATUS::WARM_UP.val(WARM_UP_COUNT));
        registers.ctrl.write(CTRL::ENABLE::SET);
        Self { registers, patience_per_word }
    }
}

impl TryRng for Bcm2835Rng {
    type Error = EntropyError;

    fn try_next_u32(&mut self) -> Result<u32, EntropyError> {
        let mut patience = self.patience_per_word;
        wait::until(&mut patience, || self.registers.status.is_set(STATUS::WORDS_READY))?;
        Ok(self.registers.data.get())
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
    use super::*;
    use crate::mmio::fake::{Access, FakeDevice};

    const STATUS: usize = 0x04;
    const DATA: usize = 0x08;

    /// A generator that has `words`, each ready only at the third look.
    fn scripted(words: &'static [u32]) -> FakeDevice<Bcm2835RngRegisters> {
        let device = FakeDevice::new();
        let (mut left, mut looks) = (words.iter(), 0);
        device.script(move |registers, offset, access| match (offset, access) {
            (STATUS, Access::Read) => {
                looks += 1;
                let ready = looks % 3 == 0 && left.len() > 0;
                registers.set(STATUS, u32::from(ready) << 24 | 0x3_ffff);
            }
            (DATA, Access::Read) => registers.set(DATA, left.next().copied().unwrap_or(0xdead_dead)),
            _ => {}
        });
        device
    }

    #[test]
    fn the_warm_up_is_set_before_the_generator_runs() {
        let device = FakeDevice::new();
        let _rng = Bcm2835Rng::start(device.mmio(), Polls::new(0));
        assert_eq!(device.writes(), [(STATUS, 0x4_0000), (0x00, 1)]);
    }

    #[test]
    fn each_word_is_waited_for() {
        let device = scripted(&[0x0403_0201, 0x0807_0605, 0x0c0b_0a09, 0x100f_0e0d]);
        let mut rng = Bcm2835Rng::start(device.mmio(), Polls::new(5));
        assert_eq!(rng.try_next_u32(), Ok(0x0403_0201));
        assert_eq!(rng.try_next_u64(), Ok(0x0c0b_0a09_0807_0605));
        let mut bytes = [0; 3];
        assert_eq!(rng.try_fill_bytes(&mut bytes), Ok(()));
        assert_eq!(bytes, [0x0d, 0x0e, 0x0f]);
    }

    #[test]
    fn a_generator_that_dries_up_is_given_up() {
        let device = scripted(&[1]);
        let mut rng = Bcm2835Rng::start(device.mmio(), Polls::new(5));
        let mut bytes = [0; 8];
        assert_eq!(rng.try_fill_bytes(&mut bytes), Err(EntropyError::Timeout));
    }
}
