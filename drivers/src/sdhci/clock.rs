//! The clocks of a controller: which it divides for the card, and which counts the time-out of data.

use tock_registers::interfaces::Readable;

use super::controller::Chip;
use super::registers::{CAPABILITIES, SdhciRegisters};
use crate::mmio::Mmio;

const MHZ: u32 = 1_000_000;

/// The clock in Hz that a controller divides for the card, as its own registers tell it.
///
/// EMMC2's do (0x45ee6432 on a Pi 4: 100 MHz), and are believed before firmware, as by Linux (`sdhci_setup_host`). The
/// Arasan's say nothing on a board, and in QEMU something else than firmware, which is believed then: Linux does not read
/// them (`SDHCI_QUIRK_MISSING_CAPS`).
#[must_use]
pub fn own_clock_hz(registers: &Mmio<SdhciRegisters>, chip: Chip) -> Option<u32> {
    match chip {
        Chip::Arasan => None,
        Chip::Emmc2 => Some(registers.capabilities.read(CAPABILITIES::BASE_CLOCK) * MHZ).filter(|&hz| hz > 0),
    }
}

/// The rate of a clock that was measured at `measured_hz`: those of the controllers are set to whole MHz, and one that seems to
/// be a little faster would be divided by more than is needed. Circle rounds it likewise (`CMachineInfo::GetClockRate`).
#[must_use]
pub fn nearest_mhz(measured_hz: u32) -> Option<u32> {
    let whole = measured_hz.saturating_add(MHZ / 2) / MHZ * MHZ;
    Some(whole).filter(|&hz| hz > 0)
}

/// How long a card may be busy or leave its data out before the controller gives it up, at least. PL 4.6.2 allows 100 ms for
/// data and 500 for being busy; there are cards that take three seconds, says Linux (`mmc_set_data_timeout`).
const TIMEOUT_S: u64 = 3;
/// The longest time-out of the register; 15 is reserved.
const LONGEST_TIMEOUT: u32 = 14;

/// The number n for the time-out of data, which comes after 2^(13 + n) clocks, where the card's clock is `card_hz`.
///
/// They are clocks of the card for the Arasan (Linux: `SDHCI_QUIRK_DATA_TIMEOUT_USES_SDCLK`). EMMC2 has a clock for them, of
/// 50 kHz on a Pi 4 by its capabilities, 0x45ee6432: the longest time-out would come after three quarters of an hour there, and
/// data that does not come would be waited for as long as a transfer may take.
pub(super) fn timeout(registers: &SdhciRegisters, chip: Chip, card_hz: u32) -> u32 {
    let hz = match chip {
        Chip::Arasan => card_hz,
        Chip::Emmc2 => {
            let capabilities = registers.capabilities.extract();
            let unit = if capabilities.is_set(CAPABILITIES::TIMEOUT_MHZ) { MHZ } else { MHZ / 1000 };
            capabilities.read(CAPABILITIES::TIMEOUT_CLOCK) * unit
        }
    };
    let long_enough = |n: &u32| hz > 0 && 1 << (13 + n) >= u64::from(hz) * TIMEOUT_S;
    (0..=LONGEST_TIMEOUT).find(long_enough).unwrap_or(LONGEST_TIMEOUT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mmio::fake::FakeDevice;

    const CAPABILITIES_AT: usize = 0x40;

    #[test]
    fn emmc2_tells_its_clock_and_the_arasan_is_not_asked() {
        let device = FakeDevice::<SdhciRegisters>::new();
        // A Pi 4's, and QEMU's.
        for (capabilities, hz) in [(0x45ee_6432, Some(100_000_000)), (0x0521_34b4, Some(52_000_000)), (0, None)] {
            device.set(CAPABILITIES_AT, capabilities);
            assert_eq!(own_clock_hz(&device.mmio(), Chip::Emmc2), hz);
            assert_eq!(own_clock_hz(&device.mmio(), Chip::Arasan), None);
        }
        assert_eq!(device.writes(), []);
    }

    #[test]
    fn a_measured_clock_is_the_nearest_one_of_whole_mhz() {
        for (measured, hz) in [(250_000_496, 250_000_000), (199_999_120, 200_000_000), (u32::MAX, 4_294_000_000)] {
            assert_eq!(nearest_mhz(measured), Some(hz));
        }
        assert_eq!((nearest_mhz(0), nearest_mhz(499_999)), (None, None));
    }

    #[test]
    fn data_is_given_up_after_three_seconds_or_some_more() {
        let device = FakeDevice::<SdhciRegisters>::new();
        let n = |chip, card_hz| timeout(&device.mmio(), chip, card_hz);
        assert_eq!([400_000, 25_000_000, 41_666_666].map(|hz| n(Chip::Arasan, hz)), [8, 14, 14]);
        for (capabilities, expected) in [(0x45ee_6432, 5), (0x0521_34b4, 14), (0, 14)] {
            device.set(CAPABILITIES_AT, capabilities);
            assert_eq!(n(Chip::Emmc2, 50_000_000), expected);
        }
    }
}
