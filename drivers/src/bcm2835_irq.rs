//! The legacy interrupt controller of the Pi 3 ("BCM2835 ARM Peripherals", chapter 7).
//!
//! It collects 64 interrupts of the GPU side ([`GpuIrq`]) and eight of the ARM side ([`ArmIrq`]) into one line,
//! which the local controller ([`bcm2836_local`](crate::bcm2836_local)) routes to a core. There is no acknowledgement:
//! an interrupt is pending until its device withdraws it.
//!
//! The basic pending register is a summary with a twist. Bits 8 and 9 say that pending 1 or pending 2 holds something,
//! but a board does not set them for eleven interrupts of its choice, which have bits 10 to 20 of their own. QEMU sets
//! both. [`LegacyController::pending`] takes the union.

use tock_registers::interfaces::{Readable, Writeable};
use tock_registers::register_structs;

use crate::mmio::{Mmio, ReadOnly, ReadWrite, WriteOnly};

register_structs! {
    /// The registers, at 0x3f00b200 on a Pi 3.
    pub LegacyRegisters {
        (0x00 => basic_pending: ReadOnly<u32>),
        (0x04 => pending: [ReadOnly<u32>; 2]),
        (0x0c => fiq_control: ReadWrite<u32>),
        (0x10 => enable: [WriteOnly<u32>; 2]),
        (0x18 => enable_basic: WriteOnly<u32>),
        (0x1c => disable: [WriteOnly<u32>; 2]),
        (0x24 => disable_basic: WriteOnly<u32>),
        (0x28 => @END),
    }
}

/// Bits 7:0 of the basic pending register: the ARM side's own interrupts.
const ARM_IRQS: u32 = 0xff;
/// Bits 8 and 9: look into pending 1, into pending 2.
const PENDING_MORE: [u32; 2] = [1 << 8, 1 << 9];
/// Bits 10 to 20, in order, stand for these (BCM2835 ARM Peripherals, section 7.5).
const SHORTCUTS: [u8; 11] = [7, 9, 10, 18, 19, 53, 54, 55, 56, 57, 62];
const FIRST_SHORTCUT: u32 = 10;

/// An interrupt of the GPU side.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct GpuIrq(u8);

impl GpuIrq {
    /// System timer, compare register 1.
    pub const SYSTEM_TIMER_1: Self = Self(1);
    /// System timer, compare register 3.
    pub const SYSTEM_TIMER_3: Self = Self(3);
    /// USB.
    pub const USB: Self = Self(9);
    /// The AUX block: mini-UART, SPI1 and SPI2.
    pub const AUX: Self = Self(29);
    /// SDHOST.
    pub const SDHOST: Self = Self(56);
    /// UART0, the PL011.
    pub const UART0: Self = Self(57);
    /// The random number generator.
    pub const RNG: Self = Self(61);
    /// EMMC, the Arasan SD host controller.
    pub const EMMC: Self = Self(62);

    /// Interrupt `number`, or `None` from 64 on.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if number < 64 { Some(Self(number)) } else { None }
    }

    /// The number, below 64.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }
}

/// An interrupt of the ARM side.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ArmIrq(u8);

impl ArmIrq {
    /// The SP804-like timer next to the controller.
    pub const TIMER: Self = Self(0);
    /// The firmware's mailbox.
    pub const MAILBOX: Self = Self(1);

    /// Interrupt `number`, or `None` from 8 on.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if number < 8 { Some(Self(number)) } else { None }
    }

    /// The number, below 8.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }
}

/// An interrupt of either side.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum LegacyIrq {
    /// Of the GPU side.
    Gpu(GpuIrq),
    /// Of the ARM side.
    Arm(ArmIrq),
}

/// The interrupts that were pending at one moment. Iterating takes them out, the ARM side's first, low numbers first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pending {
    arm: u32,
    gpu: u64,
}

impl Pending {
    /// Whether nothing is left.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.arm == 0 && self.gpu == 0
    }
}

impl Iterator for Pending {
    type Item = LegacyIrq;

    fn next(&mut self) -> Option<LegacyIrq> {
        if self.arm != 0 {
            let number = self.arm.trailing_zeros().to_le_bytes()[0];
            self.arm &= self.arm - 1;
            return ArmIrq::new(number).map(LegacyIrq::Arm);
        }
        if self.gpu != 0 {
            let number = self.gpu.trailing_zeros().to_le_bytes()[0];
            self.gpu &= self.gpu - 1;
            return GpuIrq::new(number).map(LegacyIrq::Gpu);
        }
        None
    }
}

/// The legacy interrupt controller.
#[derive(Debug)]
pub struct LegacyController {
    registers: Mmio<LegacyRegisters>,
}

impl LegacyController {
    /// Takes the registers. Nothing is touched before [`init`](Self::init).
    #[must_use]
    pub const fn new(registers: Mmio<LegacyRegisters>) -> Self {
        Self { registers }
    }

    /// Disables all interrupts, and the FIQ.
    pub fn init(&mut self) {
        self.registers.fiq_control.set(0);
        for word in &self.registers.disable {
            word.set(u32::MAX);
        }
        self.registers.disable_basic.set(ARM_IRQS);
    }

    /// Lets `irq` through. The enables are set by writing ones, so cores do not disturb each other.
    pub fn enable(&self, irq: LegacyIrq) {
        match irq {
            LegacyIrq::Gpu(GpuIrq(n)) => self.registers.enable[usize::from(n / 32)].set(1 << (n % 32)),
            LegacyIrq::Arm(ArmIrq(n)) => self.registers.enable_basic.set(1 << n),
        }
    }

    /// Holds `irq` back.
    pub fn disable(&self, irq: LegacyIrq) {
        match irq {
            LegacyIrq::Gpu(GpuIrq(n)) => self.registers.disable[usize::from(n / 32)].set(1 << (n % 32)),
            LegacyIrq::Arm(ArmIrq(n)) => self.registers.disable_basic.set(1 << n),
        }
    }

    /// What is pending now: one register read where only shortcuts and ARM interrupts are, up to three otherwise.
    #[must_use]
    pub fn pending(&self) -> Pending {
        let basic = self.registers.basic_pending.get();
        let mut gpu = 0;
        for (word, more) in PENDING_MORE.into_iter().enumerate() {
            if basic & more != 0 {
                gpu |= u64::from(self.registers.pending[word].get()) << (32 * word);
            }
        }
        for (bit, number) in (FIRST_SHORTCUT..).zip(SHORTCUTS) {
            gpu |= u64::from(basic >> bit & 1) << number;
        }
        Pending { arm: basic & ARM_IRQS, gpu }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mmio::fake::{Access, FakeDevice};

    fn controller() -> (FakeDevice<LegacyRegisters>, LegacyController) {
        let device = FakeDevice::new();
        let controller = LegacyController::new(device.mmio());
        (device, controller)
    }

    fn gpu(number: u8) -> LegacyIrq {
        LegacyIrq::Gpu(GpuIrq::new(number).expect("below 64"))
    }

    #[test]
    fn initialisation_disables_all_and_the_fiq() {
        let (device, mut controller) = controller();
        device.set(0x0c, 0x80 | 57);
        controller.init();
        assert_eq!(device.writes(), [(0x0c, 0), (0x1c, u32::MAX), (0x20, u32::MAX), (0x24, 0xff)]);
    }

    #[test]
    fn an_interrupt_is_enabled_and_disabled_in_its_own_register() {
        let (device, controller) = controller();
        controller.enable(LegacyIrq::Gpu(GpuIrq::UART0));
        controller.enable(LegacyIrq::Gpu(GpuIrq::AUX));
        controller.enable(LegacyIrq::Arm(ArmIrq::MAILBOX));
        controller.disable(LegacyIrq::Gpu(GpuIrq::UART0));
        controller.disable(LegacyIrq::Arm(ArmIrq::MAILBOX));
        assert_eq!(device.writes(), [(0x14, 1 << 25), (0x10, 1 << 29), (0x18, 2), (0x20, 1 << 25), (0x24, 2)]);
    }

    #[test]
    fn nothing_pending_is_empty() {
        let (_device, controller) = controller();
        assert!(controller.pending().is_empty());
        assert_eq!(controller.pending().next(), None);
    }

    #[test]
    fn a_board_reports_the_uart_by_its_shortcut_alone() {
        let (device, controller) = controller();
        device.set(0x00, 1 << 19);
        device.script(|_, offset, access| {
            assert!(offset == 0 || access != Access::Read, "a shortcut needs no second read");
        });
        assert!(controller.pending().eq([LegacyIrq::Gpu(GpuIrq::UART0)]));
    }

    #[test]
    fn qemu_reports_the_uart_twice_and_it_counts_once() {
        let (device, controller) = controller();
        device.set(0x00, 1 << 19 | 1 << 9);
        device.set(0x08, 1 << 25);
        assert!(controller.pending().eq([LegacyIrq::Gpu(GpuIrq::UART0)]));
    }

    #[test]
    fn every_shortcut_stands_for_its_interrupt() {
        let (device, controller) = controller();
        for (bit, number) in [7, 9, 10, 18, 19, 53, 54, 55, 56, 57, 62].into_iter().enumerate() {
            device.set(0x00, 1 << (10 + bit));
            assert!(controller.pending().eq([gpu(number)]));
        }
    }

    #[test]
    fn everything_at_once_comes_out_in_order() {
        let (device, controller) = controller();
        device.set(0x00, 0b10 | 1 << 8 | 1 << 9 | 1 << 20);
        device.set(0x04, 1 << 3 | 1 << 29);
        device.set(0x08, 1 << 31);
        let arm = LegacyIrq::Arm(ArmIrq::MAILBOX);
        assert!(controller.pending().eq([arm, gpu(3), gpu(29), gpu(62), gpu(63)]));
    }

    #[test]
    fn a_stale_word_is_not_looked_at_unless_the_summary_says_so() {
        let (device, controller) = controller();
        device.set(0x04, u32::MAX);
        device.set(0x08, u32::MAX);
        assert!(controller.pending().is_empty());
    }
}
