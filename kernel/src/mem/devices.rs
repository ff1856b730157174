//! The board's register windows, each with the type of registers that stand there.
//!
//! This is the one place where a physical address becomes a driver's [`Mmio`]: the functions are safe because both the
//! address (from the board's constant record) and the type are chosen here, and the boot tables map every window of
//! the record as Device-nGnRE for good.

use core::fmt;

use drivers::bcm2835_irq::LegacyRegisters;
use drivers::bcm2835_rng::Bcm2835RngRegisters;
use drivers::bcm2836_local::LocalRegisters;
use drivers::extra_uart::ExtraUart;
use drivers::gic::{CpuInterfaceRegisters, DistributorRegisters};
use drivers::gpio::GpioRegisters;
use drivers::mailbox::MailboxRegisters;
use drivers::mini_uart::AuxRegisters;
use drivers::mmio::Mmio;
use drivers::pl011::{self, Pl011Registers};
use drivers::pm::PmRegisters;
use drivers::rng200::Rng200Registers;
use drivers::sdhci::SdhciRegisters;
use kcore::addr::PhysAddr;

use super::layout;
use crate::arch::probe;
use crate::board::{self, CardSlot, InterruptHardware, RngHardware};

macro_rules! windows {
    ($($(#[$doc:meta])* $name:ident: $registers:ty = $field:expr;)*) => {
        $(
            $(#[$doc])*
            pub(crate) fn $name() -> Mmio<$registers> {
                let field: fn(&board::Board) -> PhysAddr = $field;
                // SAFETY: the record's address is that of a device of this type, its window is mapped as device memory
                // by the boot tables and stays so, and windows are the only way to these bytes.
                unsafe { window(field(board::current())) }
            }
        )*
    };
}

windows! {
    /// The console's UART.
    pl011: Pl011Registers = |board| board.pl011.base;
    /// The auxiliary block with the mini-UART.
    aux: AuxRegisters = |board| board.aux.base;
    /// The mailbox to the `VideoCore`.
    mailbox: MailboxRegisters = |board| board.mailbox;
    /// The pins.
    gpio: GpioRegisters = |board| board.gpio;
    /// Reset and power-off.
    pm: PmRegisters = |board| board.pm;
}

/// The interrupt controllers' registers.
pub(crate) enum InterruptRegisters {
    /// GIC-400.
    Gic(Mmio<DistributorRegisters>, Mmio<CpuInterfaceRegisters>),
    /// BCM2836 and BCM2835.
    Local(Mmio<LocalRegisters>, Mmio<LegacyRegisters>),
}

/// The interrupt controllers.
pub(crate) fn interrupt_controllers() -> InterruptRegisters {
    match board::current().interrupts {
        InterruptHardware::Gic { distributor, cpu_interface } => {
            // SAFETY: as for the windows above.
            let distributor = unsafe { window(distributor) };
            // SAFETY: as for the windows above.
            let cpu_interface = unsafe { window(cpu_interface) };
            InterruptRegisters::Gic(distributor, cpu_interface)
        }
        InterruptHardware::Local { local, legacy } => {
            // SAFETY: as for the windows above.
            let local = unsafe { window(local) };
            // SAFETY: as for the windows above.
            let legacy = unsafe { window(legacy) };
            InterruptRegisters::Local(local, legacy)
        }
    }
}

/// The registers of a card's controller.
pub(crate) fn card_controller(slot: &CardSlot) -> Mmio<SdhciRegisters> {
    // SAFETY: as for the windows above: slots are made by the boards' records only.
    unsafe { window(slot.device.base) }
}

/// The registers of an extra UART, where the board has it and something answers at its address: QEMU's raspi4b has none, and
/// what is there instead need not bear a plain access.
pub(crate) fn extra_uart(uart: ExtraUart) -> Result<Mmio<Pl011Registers>, NoUart> {
    let (_, base) = *board::current().extra_uarts.iter().find(|(has, _)| *has == uart).ok_or(NoUart::NotOnThisBoard)?;
    let flags = layout::pointer(layout::device(PhysAddr::new(base.get() + pl011::FLAG_REGISTER as u64)));
    // SAFETY: the window is mapped as device memory, and reading the flags changes nothing.
    unsafe { probe::read32(flags) }.ok_or(NoUart::NoAnswer)?;
    // SAFETY: as for the windows above, and the device has just answered.
    Ok(unsafe { window(base) })
}

/// Why there are no registers of an extra UART.
#[derive(Clone, Copy, Debug)]
pub(crate) enum NoUart {
    /// The board's record has none with this number.
    NotOnThisBoard,
    /// A read of its flags ended in an external abort.
    NoAnswer,
}

impl fmt::Display for NoUart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotOnThisBoard => "this board has no such UART",
            Self::NoAnswer => "nothing answers there",
        })
    }
}

/// The random number generator's registers.
pub(crate) enum RngRegistersOf {
    /// The BCM2835's.
    Bcm2835(Mmio<Bcm2835RngRegisters>),
    /// RNG200.
    Rng200(Mmio<Rng200Registers>),
}

/// The hardware random number generator, if something answers at its address: QEMU's raspi4b has none, and a plain
/// access there would be an external abort.
pub(crate) fn random_generator() -> Option<RngRegistersOf> {
    match board::current().rng {
        RngHardware::Bcm2835(base) => {
            // SAFETY: as for the windows above.
            let registers = unsafe { window(base) };
            Some(RngRegistersOf::Bcm2835(registers))
        }
        RngHardware::Rng200(base) => {
            let control = layout::pointer(layout::device(base));
            // SAFETY: the window is mapped as device memory, and reading the control register changes nothing.
            unsafe { probe::read32(control) }?;
            // SAFETY: as for the windows above, and the device has just answered.
            let registers = unsafe { window(base) };
            Some(RngRegistersOf::Rng200(registers))
        }
    }
}

/// # Safety
///
/// `base` is the address of a device with registers `R`, inside the windows that the boot tables map.
unsafe fn window<R>(base: PhysAddr) -> Mmio<R> {
    // SAFETY: the caller's contract, plus the boot tables' mapping as Device-nGnRE, which is never taken away; board
    // records hold page- or word-aligned bases.
    unsafe { Mmio::new(layout::pointer(board::registers(base))) }
}
