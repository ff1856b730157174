//! The power management block: restart, power-off, watchdog.
//!
//! Broadcom documents nothing of it; the facts are those of Linux's `bcm2835_wdt` driver. Everything goes through the
//! watchdog: a restart is one that expires at once, a power-off a restart that asks the boot ROM for a partition that
//! does not exist. Each write needs a password in the top byte, or it is ignored.
//!
//! QEMU does not count: a write of RSTC acts immediately, so [`start_watchdog`](PowerManager::start_watchdog) is a
//! restart there. On a board it counts ticks of 1/65536 s.

use tock_registers::interfaces::{Readable, Writeable};
use tock_registers::register_structs;

use crate::mmio::{Mmio, ReadWrite};

register_structs! {
    /// The registers, at +0x100000 of the peripherals.
    pub PmRegisters {
        (0x00 => _reserved),
        (0x1c => rstc: ReadWrite<u32>),
        (0x20 => rsts: ReadWrite<u32>),
        (0x24 => wdog: ReadWrite<u32>),
        (0x28 => @END),
    }
}

const PASSWORD: u32 = 0x5a << 24;
const PASSWORD_MASK: u32 = 0xff << 24;
/// RSTC bits 5:4: what happens when the watchdog expires.
const RSTC_CONFIG: u32 = 3 << 4;
const RSTC_FULL_RESET: u32 = 2 << 4;
/// RSTC with the watchdog stopped.
const RSTC_STOP: u32 = 0x102;
/// RSTS bits 0, 2, 4, 6, 8, 10: the partition to boot next; all ones, 63, is "none: halt".
const RSTS_PARTITION: u32 = 0x555;
/// WDOG bits 19:0.
const WDOG_TICKS: u32 = 0xf_ffff;
/// Short, yet long enough for the write to RSTC to follow.
const RESTART_TICKS: WatchdogTicks = WatchdogTicks(10);

/// A time-out of the watchdog, in ticks of 1/65536 s: up to 16 s.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct WatchdogTicks(u32);

impl WatchdogTicks {
    /// The longest time-out.
    pub const MAX: Self = Self(WDOG_TICKS);

    /// `timeout_ms`, rounded up, or `None` where it does not fit.
    #[must_use]
    pub const fn from_ms(timeout_ms: u32) -> Option<Self> {
        let Some(scaled) = timeout_ms.checked_mul(1 << 13) else { return None };
        // 65536 / 1000 = 2^13 / 125.
        let ticks = scaled.div_ceil(125);
        if ticks <= WDOG_TICKS { Some(Self(ticks)) } else { None }
    }

    /// The number of ticks, at most 2^20 - 1.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// The power management block.
#[derive(Debug)]
pub struct PowerManager {
    registers: Mmio<PmRegisters>,
}

impl PowerManager {
    /// Takes the registers. Nothing is touched.
    #[must_use]
    pub const fn new(registers: Mmio<PmRegisters>) -> Self {
        Self { registers }
    }

    /// Restarts the board from its usual partition.
    ///
    /// Returns, for the hardware takes some 150 µs and QEMU executes a few instructions more: the caller parks.
    pub fn restart(&mut self) {
        let status = self.registers.rsts.get() & !PASSWORD_MASK;
        self.registers.rsts.set(PASSWORD | status & !RSTS_PARTITION);
        self.start_watchdog(RESTART_TICKS);
    }

    /// Restarts the board with the order to stay off; ends QEMU with status 0. A board comes back with its power.
    ///
    /// Returns, as [`restart`](Self::restart) does: the caller parks.
    pub fn power_off(&mut self) {
        let status = self.registers.rsts.get() & !PASSWORD_MASK;
        self.registers.rsts.set(PASSWORD | status | RSTS_PARTITION);
        self.start_watchdog(RESTART_TICKS);
    }

    /// Restarts the board unless the watchdog is petted or stopped within `timeout`. In QEMU, restarts at once.
    pub fn start_watchdog(&mut self, timeout: WatchdogTicks) {
        self.pet_watchdog(timeout);
        let control = self.registers.rstc.get() & !(PASSWORD_MASK | RSTC_CONFIG);
        self.registers.rstc.set(PASSWORD | control | RSTC_FULL_RESET);
    }

    /// Gives the watchdog `timeout` from now. Does not start it.
    pub fn pet_watchdog(&self, timeout: WatchdogTicks) {
        self.registers.wdog.set(PASSWORD | timeout.get());
    }

    /// Stops the watchdog.
    pub fn stop_watchdog(&mut self) {
        self.registers.rstc.set(PASSWORD | RSTC_STOP);
    }

    /// What the watchdog has left.
    #[must_use]
    pub fn watchdog_left(&self) -> WatchdogTicks {
        WatchdogTicks(self.registers.wdog.get() & WDOG_TICKS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mmio::fake::FakeDevice;

    fn manager() -> (FakeDevice<PmRegisters>, PowerManager) {
        let device = FakeDevice::new();
        let manager = PowerManager::new(device.mmio());
        (device, manager)
    }

    #[test]
    fn a_restart_forgets_the_order_to_stay_off() {
        let (device, mut manager) = manager();
        device.set(0x20, 0x1000 | 0x555);
        device.set(0x1c, 0x102);
        manager.restart();
        assert_eq!(device.writes(), [(0x20, 0x5a00_1000), (0x24, 0x5a00_000a), (0x1c, 0x5a00_0122)]);
    }

    #[test]
    fn a_power_off_is_a_restart_into_no_partition() {
        let (device, mut manager) = manager();
        manager.power_off();
        assert_eq!(device.writes(), [(0x20, 0x5a00_0555), (0x24, 0x5a00_000a), (0x1c, 0x5a00_0020)]);
    }

    #[test]
    fn a_password_that_reads_back_is_not_added_to_another() {
        let (device, mut manager) = manager();
        device.set(0x1c, 0xff00_0030);
        device.set(0x20, 0xff00_0000);
        manager.power_off();
        assert_eq!((device.get(0x20), device.get(0x1c)), (0x5a00_0555, 0x5a00_0020));
    }

    #[test]
    fn the_watchdog_is_set_before_it_runs_and_petting_does_not_restart_it() {
        let (device, mut manager) = manager();
        manager.start_watchdog(WatchdogTicks::MAX);
        manager.pet_watchdog(WatchdogTicks::MAX);
        manager.stop_watchdog();
        let expected = [(0x24, 0x5a0f_ffff), (0x1c, 0x5a00_0020), (0x24, 0x5a0f_ffff), (0x1c, 0x5a00_0102)];
        assert_eq!(device.writes(), expected);
        device.set(0x24, 0x5a00_0042);
        assert_eq!(manager.watchdog_left().get(), 0x42);
    }

    #[test]
    fn a_time_out_is_rounded_up_and_ends_below_sixteen_seconds() {
        let ticks = |ms| WatchdogTicks::from_ms(ms).map(WatchdogTicks::get);
        assert_eq!(ticks(0), Some(0));
        assert_eq!(ticks(1), Some(66));
        assert_eq!(ticks(1_000), Some(65_536));
        assert_eq!(ticks(15_999), Some(1_048_511));
        assert_eq!(ticks(16_000), None);
        assert_eq!(ticks(u32::MAX), None);
    }
}
