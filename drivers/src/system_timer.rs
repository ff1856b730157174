//! The system timer: a 1 MHz counter of 64 bits with four comparators ("BCM2835 ARM Peripherals", chapter 12).
//!
//! The counter runs on both boards and in QEMU and does not depend on anything that firmware sets up for the CPU, so it
//! can check the generic timer. Comparators 0 and 2 belong to the GPU. QEMU's raspi4b never delivers the interrupts.

use tock_registers::interfaces::{Readable, Writeable};
use tock_registers::register_structs;

use crate::mmio::{Mmio, ReadOnly, ReadWrite};

register_structs! {
    /// The registers, at +0x3000 of the peripherals.
    pub SystemTimerRegisters {
        (0x00 => control: ReadWrite<u32>),
        (0x04 => count_low: ReadOnly<u32>),
        (0x08 => count_high: ReadOnly<u32>),
        (0x0c => compare: [ReadWrite<u32>; 4]),
        (0x1c => @END),
    }
}

/// A comparator that the GPU leaves to us.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Comparator {
    /// Comparator 1.
    One,
    /// Comparator 3.
    Three,
}

impl Comparator {
    const fn index(self) -> usize {
        match self {
            Self::One => 1,
            Self::Three => 3,
        }
    }
}

/// What became of an alarm.
#[must_use = "a missed alarm comes 71 minutes late"]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Alarm {
    /// It will interrupt, or does so already.
    Set,
    /// The moment passed while the comparator was written.
    Missed,
}

/// The system timer.
#[derive(Debug)]
pub struct SystemTimer {
    registers: Mmio<SystemTimerRegisters>,
}

impl SystemTimer {
    /// Takes the registers. The counter runs already.
    #[must_use]
    pub const fn new(registers: Mmio<SystemTimerRegisters>) -> Self {
        Self { registers }
    }

    /// Microseconds since the board started.
    #[must_use]
    pub fn now_us(&self) -> u64 {
        let high = self.registers.count_high.get();
        let low = self.registers.count_low.get();
        // The low word wraps every 71 minutes. If that happened between the reads, it has only just begun again.
        let high_after = self.registers.count_high.get();
        let low = if high_after == high { low } else { self.registers.count_low.get() };
        u64::from(high_after) << 32 | u64::from(low)
    }

    /// Interrupts once, `delay_us` from now. The comparator matches on equality only, so a delay that is shorter than
    /// the writing takes can be [`Missed`](Alarm::Missed).
    pub fn set_alarm(&mut self, comparator: Comparator, delay_us: u32) -> Alarm {
        self.acknowledge(comparator);
        let start = self.registers.count_low.get();
        self.registers.compare[comparator.index()].set(start.wrapping_add(delay_us));
        let passed = self.registers.count_low.get().wrapping_sub(start);
        if passed < delay_us || self.is_due(comparator) { Alarm::Set } else { Alarm::Missed }
    }

    /// Whether the comparator has matched since it was last acknowledged.
    #[must_use]
    pub fn is_due(&self, comparator: Comparator) -> bool {
        self.registers.control.get() & (1 << comparator.index()) != 0
    }

    /// Withdraws the comparator's interrupt.
    pub fn acknowledge(&self, comparator: Comparator) {
        self.registers.control.set(1 << comparator.index());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mmio::fake::{Access, FakeDevice};

    fn timer() -> (FakeDevice<SystemTimerRegisters>, SystemTimer) {
        let device = FakeDevice::new();
        let timer = SystemTimer::new(device.mmio());
        (device, timer)
    }

    /// Each read of the low word takes one microsecond; writing ones to the control register clears them.
    fn run(device: &FakeDevice<SystemTimerRegisters>) {
        device.script(|registers, offset, access| match (offset, access) {
            (0x04, Access::Read) => {
                let (low, wrapped) = registers.get(0x04).overflowing_add(1);
                registers.set(0x04, low);
                registers.set(0x08, registers.get(0x08) + u32::from(wrapped));
            }
            (0x00, Access::Write(_)) => registers.set(0x00, 0),
            _ => {}
        });
    }

    #[test]
    fn the_time_is_right_across_a_wrap_of_the_low_word() {
        let (device, timer) = timer();
        run(&device);
        device.set(0x04, u32::MAX - 1);
        assert_eq!(timer.now_us(), 0xffff_ffff);
        assert_eq!(timer.now_us(), 0x1_0000_0001);
        assert_eq!(timer.now_us(), 0x1_0000_0002);
    }

    #[test]
    fn an_alarm_is_set_relative_to_now_and_old_matches_are_forgotten() {
        let (device, mut timer) = timer();
        run(&device);
        device.set(0x04, u32::MAX - 10);
        device.set(0x00, 1 << 3);
        assert_eq!(timer.set_alarm(Comparator::Three, 100), Alarm::Set);
        assert_eq!(device.writes(), [(0x00, 1 << 3), (0x18, 90)]);
    }

    #[test]
    fn an_alarm_that_passes_while_it_is_set_is_reported() {
        let (device, mut timer) = timer();
        run(&device);
        assert_eq!(timer.set_alarm(Comparator::One, 1), Alarm::Missed);
        assert_eq!(timer.set_alarm(Comparator::One, 2), Alarm::Set);
    }

    #[test]
    fn an_alarm_that_matched_at_once_is_set() {
        let (device, mut timer) = timer();
        device.script(|registers, offset, access| match (offset, access) {
            (0x04, Access::Read) => registers.set(0x04, registers.get(0x04) + 5),
            (0x10, Access::Write(_)) => registers.set(0x00, 1 << 1),
            _ => {}
        });
        assert_eq!(timer.set_alarm(Comparator::One, 3), Alarm::Set);
        assert!(timer.is_due(Comparator::One));
    }
}
