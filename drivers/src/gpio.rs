//! GPIO: what each pin does, its pull, its level ("BCM2835 ARM Peripherals", chapter 6; "BCM2711 ARM Peripherals",
//! chapter 5).
//!
//! The two chips differ in how a pull is set, and in one rule: on a BCM2711 pins 48 to 53 carry Ethernet (RGMII), while
//! QEMU's raspi4b routes its SD card by them. So they are refused there, whatever they would do in QEMU.

mod routes;

use core::error::Error;
use core::fmt;

use tock_registers::interfaces::{Readable, Writeable};
use tock_registers::register_structs;

use crate::mmio::{Mmio, ReadOnly, ReadWrite, WriteOnly};

register_structs! {
    /// The registers, at +0x200000 of the peripherals.
    pub GpioRegisters {
        (0x00 => function_select: [ReadWrite<u32>; 6]),
        (0x18 => _reserved_0),
        (0x1c => set: [WriteOnly<u32>; 2]),
        (0x24 => _reserved_1),
        (0x28 => clear: [WriteOnly<u32>; 2]),
        (0x30 => _reserved_2),
        (0x34 => level: [ReadOnly<u32>; 2]),
        (0x3c => _reserved_3),
        (0x94 => pull: ReadWrite<u32>),
        (0x98 => pull_clock: [ReadWrite<u32>; 2]),
        (0xa0 => _reserved_4),
        (0xe4 => pull_select: [ReadWrite<u32>; 4]),
        (0xf4 => @END),
    }
}

/// The BCM2835 wants 150 cycles of its own clock around the pull clock (section 6.1, `GPPUDCLKn`). Each read of a GPIO
/// register crosses the peripheral bus and takes at least one of them.
const PULL_SETTLE_READS: u32 = 150;

/// Which chip the pins belong to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Chip {
    /// The chip of the Pi 3, with the registers of the BCM2835.
    Bcm2837,
    /// The chip of the Pi 4.
    Bcm2711,
}

/// A pin that both chips have.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Pin(u8);

impl Pin {
    pub(crate) const GPIO0: Self = Self(0);
    pub(crate) const GPIO4: Self = Self(4);
    pub(crate) const GPIO8: Self = Self(8);
    pub(crate) const GPIO12: Self = Self(12);

    /// Pin `number`, or `None` from 54 on.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if number < 54 { Some(Self(number)) } else { None }
    }

    /// The pin's number, below 54.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// The register and the bit that stand for this pin where there is one bit for each.
    const fn bit(self) -> (usize, u32) {
        (self.0 as usize / 32, 1 << (self.0 % 32))
    }
}

/// What a pin does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Function {
    /// It is read.
    Input,
    /// It is driven.
    Output,
    /// Alternative 0; on pins 14 and 15 the PL011.
    Alt0,
    /// Alternative 1.
    Alt1,
    /// Alternative 2.
    Alt2,
    /// Alternative 3; on a Pi 3's pins 48 to 53 the SD card at EMMC.
    Alt3,
    /// Alternative 4.
    Alt4,
    /// Alternative 5; on pins 14 and 15 the mini-UART.
    Alt5,
}

impl Function {
    const fn bits(self) -> u32 {
        match self {
            Self::Input => 0,
            Self::Output => 1,
            Self::Alt5 => 2,
            Self::Alt4 => 3,
            Self::Alt0 => 4,
            Self::Alt1 => 5,
            Self::Alt2 => 6,
            Self::Alt3 => 7,
        }
    }
}

/// Where a pin drifts when nothing drives it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pull {
    /// Nowhere.
    None,
    /// Low.
    Down,
    /// High.
    Up,
}

/// The level of a pin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    /// 0 V.
    Low,
    /// 3.3 V.
    High,
}

/// The pin carries something on this chip that must not be disturbed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReservedPin(pub Pin);

impl fmt::Display for ReservedPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GPIO {} carries Ethernet on this chip", self.0.number())
    }
}

impl Error for ReservedPin {}

/// The pins of a chip.
#[derive(Debug)]
pub struct Gpio {
    registers: Mmio<GpioRegisters>,
    chip: Chip,
}

impl Gpio {
    /// Takes the registers. Nothing is touched.
    #[must_use]
    pub const fn new(registers: Mmio<GpioRegisters>, chip: Chip) -> Self {
        Self { registers, chip }
    }

    /// Gives `pin` a function.
    ///
    /// # Errors
    ///
    /// [`ReservedPin`] for the Ethernet pins of a Pi 4.
    pub fn set_function(&mut self, pin: Pin, function: Function) -> Result<(), ReservedPin> {
        self.check(pin)?;
        let register = &self.registers.function_select[usize::from(pin.0 / 10)];
        let shift = 3 * (pin.0 % 10);
        register.set(register.get() & !(0b111 << shift) | function.bits() << shift);
        Ok(())
    }

    /// Sets the pull of `pin`.
    ///
    /// # Errors
    ///
    /// [`ReservedPin`] for the Ethernet pins of a Pi 4.
    pub fn set_pull(&mut self, pin: Pin, pull: Pull) -> Result<(), ReservedPin> {
        self.check(pin)?;
        match self.chip {
            Chip::Bcm2837 => self.clock_in_pull(pin, pull),
            Chip::Bcm2711 => self.select_pull(pin, pull),
        }
        Ok(())
    }

    /// Drives `pin`, which is or will be an output. One write, so cores that drive different pins do not disturb each
    /// other.
    pub fn drive(&self, pin: Pin, level: Level) {
        let (word, bit) = pin.bit();
        match level {
            Level::Low => self.registers.clear[word].set(bit),
            Level::High => self.registers.set[word].set(bit),
        }
    }

    /// The level of `pin`, whatever its function.
    #[must_use]
    pub fn level(&self, pin: Pin) -> Level {
        let (word, bit) = pin.bit();
        if self.registers.level[word].get() & bit == 0 { Level::Low } else { Level::High }
    }

    /// BCM2835: a control value is clocked into the pins one names. Neither can be read back.
    fn clock_in_pull(&mut self, pin: Pin, pull: Pull) {
        let control = match pull {
            Pull::None => 0,
            Pull::Down => 1,
            Pull::Up => 2,
        };
        let (word, bit) = pin.bit();
        self.registers.pull.set(control);
        self.settle();
        self.registers.pull_clock[word].set(bit);
        self.settle();
        self.registers.pull.set(0);
        self.registers.pull_clock[word].set(0);
    }

    /// BCM2711: two bits for each pin, with up and down the other way round.
    fn select_pull(&mut self, pin: Pin, pull: Pull) {
        let select = match pull {
            Pull::None => 0,
            Pull::Up => 1,
            Pull::Down => 2,
        };
        let register = &self.registers.pull_select[usize::from(pin.0 / 16)];
        let shift = 2 * (pin.0 % 16);
        register.set(register.get() & !(0b11 << shift) | select << shift);
    }

    fn settle(&self) {
        for _ in 0..PULL_SETTLE_READS {
            self.registers.level[0].get();
        }
    }

    fn check(&self, pin: Pin) -> Result<(), ReservedPin> {
        match (self.chip, pin.0) {
            (Chip::Bcm2711, 48..=53) => Err(ReservedPin(pin)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::*;
    use crate::extra_uart::ExtraUart;
    use crate::mmio::fake::{Access, FakeDevice};

    fn gpio(chip: Chip) -> (FakeDevice<GpioRegisters>, Gpio) {
        let device = FakeDevice::new();
        let gpio = Gpio::new(device.mmio(), chip);
        (device, gpio)
    }

    fn pin(number: u8) -> Pin {
        Pin::new(number).expect("below 54")
    }

    #[test]
    fn a_function_replaces_the_old_one_and_no_other() {
        let (device, mut gpio) = gpio(Chip::Bcm2837);
        device.set(0x04, u32::MAX);
        assert_eq!(gpio.set_function(pin(14), Function::Alt0), Ok(()));
        assert_eq!(device.get(0x04), !(0b011 << 12));
        assert_eq!(gpio.set_function(pin(15), Function::Alt5), Ok(()));
        assert_eq!(device.get(0x04) >> 12 & 0o77, 0o24);
        assert_eq!(device.writes().len(), 2);
    }

    #[test]
    fn every_function_has_the_code_of_the_manual() {
        use Function::{Alt0, Alt1, Alt2, Alt3, Alt4, Alt5, Input, Output};
        assert_eq!([Input, Output, Alt5, Alt4, Alt0, Alt1, Alt2, Alt3].map(Function::bits), [0, 1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn the_ethernet_pins_of_a_pi_4_are_refused() {
        let (device, mut pi4) = gpio(Chip::Bcm2711);
        for number in 48..54 {
            assert_eq!(pi4.set_function(pin(number), Function::Alt3), Err(ReservedPin(pin(number))));
            assert_eq!(pi4.set_pull(pin(number), Pull::Up), Err(ReservedPin(pin(number))));
        }
        assert_eq!(device.writes(), []);
        let (device, mut pi3) = gpio(Chip::Bcm2837);
        assert_eq!(pi3.set_function(pin(48), Function::Alt3), Ok(()));
        assert_eq!(device.writes(), [(0x10, 7 << 24)]);
    }

    #[test]
    fn a_pi_3_clocks_the_pull_into_the_pin_and_gives_it_time() {
        let (device, mut gpio) = gpio(Chip::Bcm2837);
        let reads = Rc::new(Cell::new(0));
        let counter = Rc::clone(&reads);
        device.script(move |_, offset, access| match (offset, access) {
            (_, Access::Read) => counter.set(counter.get() + 1),
            (0x9c, Access::Write(0)) => assert_eq!(counter.get(), 300),
            (0x9c, Access::Write(_)) => assert_eq!(counter.get(), 150),
            _ => {}
        });
        assert_eq!(gpio.set_pull(pin(33), Pull::Up), Ok(()));
        assert_eq!(device.writes(), [(0x94, 2), (0x9c, 1 << 1), (0x94, 0), (0x9c, 0)]);
        assert_eq!(reads.get(), 300);
    }

    #[test]
    fn a_pi_4_selects_the_pull_of_one_pin() {
        let (device, mut gpio) = gpio(Chip::Bcm2711);
        device.set(0xe4, u32::MAX);
        for (pull, code) in [(Pull::None, 0), (Pull::Up, 1), (Pull::Down, 2)] {
            assert_eq!(gpio.set_pull(pin(15), pull), Ok(()));
            assert_eq!(device.get(0xe4), code << 30 | 0x3fff_ffff);
        }
        assert_eq!(gpio.set_pull(pin(16), Pull::Down), Ok(()));
        assert_eq!(device.get(0xe8), 2);
    }

    #[test]
    fn a_pin_is_driven_and_read_by_its_own_bit() {
        let (device, gpio) = gpio(Chip::Bcm2711);
        gpio.drive(pin(42), Level::High);
        gpio.drive(pin(42), Level::Low);
        assert_eq!(device.writes(), [(0x20, 1 << 10), (0x2c, 1 << 10)]);
        device.set(0x38, 1 << 10);
        assert_eq!((gpio.level(pin(42)), gpio.level(pin(10))), (Level::High, Level::Low));
    }

    /// The function of a pin, as the registers have it.
    fn function(device: &FakeDevice<GpioRegisters>, number: u32) -> u32 {
        device.get((number / 10 * 4) as usize) >> (3 * (number % 10)) & 7
    }

    #[test]
    fn the_console_is_on_the_header_and_nowhere_else() {
        for chip in [Chip::Bcm2837, Chip::Bcm2711] {
            let (device, mut gpio) = gpio(chip);
            // Firmware's: ALT3 of 32 and 33, and the mini-UART (ALT5) on the header.
            device.set(0x0c, 7 << 6 | 7 << 9);
            device.set(0x04, 2 << 12 | 2 << 15);
            assert_eq!(gpio.route_console(), Ok(()));
            assert_eq!([14, 15].map(|pin| function(&device, pin)), [4; 2]);
            assert_eq!([30, 31, 32, 33].map(|pin| function(&device, pin)), [0; 4]);
        }
    }

    #[test]
    fn the_card_of_a_pi_3_goes_to_the_arasan_and_a_pi_4s_pins_are_not_touched() {
        let (device, mut gpio) = gpio(Chip::Bcm2837);
        assert_eq!(gpio.route_card(), Ok(()));
        assert_eq!([48, 49, 50, 51, 52, 53].map(|pin| function(&device, pin)), [7; 6]);
        let (device, mut gpio) = self::gpio(Chip::Bcm2711);
        assert_eq!(gpio.route_card(), Ok(()));
        assert_eq!(device.writes(), []);
    }

    #[test]
    fn an_extra_uart_takes_the_pin_that_it_sends_on_and_no_other() {
        for (uart, number) in ExtraUart::ALL.into_iter().zip([0, 4, 8, 12]) {
            let (device, mut gpio) = gpio(Chip::Bcm2711);
            device.set(0x04, 4 << 12 | 4 << 15);
            device.set(0xe4, u32::MAX);
            assert_eq!(gpio.route_sender(uart), Ok(()));
            let others = (0..54).filter(|&pin| ![14, 15, number].contains(&pin));
            assert_eq!((function(&device, number), others.map(|pin| function(&device, pin)).sum::<u32>()), (3, 0));
            assert_eq!([14, 15].map(|pin| function(&device, pin)), [4; 2], "the console's");
            assert_eq!(device.get(0xe4), !(0b11 << (2 * number)));
        }
    }

    #[test]
    fn a_pi_3_has_no_extra_uart_and_no_pin_of_it_is_touched() {
        let (device, mut gpio) = gpio(Chip::Bcm2837);
        for uart in ExtraUart::ALL {
            assert_eq!(gpio.route_sender(uart), Ok(()));
        }
        assert_eq!(device.writes(), []);
    }

    #[test]
    fn both_chips_end_at_pin_53() {
        assert!(Pin::new(53).is_some());
        assert_eq!(Pin::new(54), None);
    }
}
