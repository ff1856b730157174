//! The boards: two constant records, both in every kernel, chosen by the core's part number and refined by the device
//! tree.

pub(crate) mod facts;
pub(crate) mod led;
mod pi3;
mod pi4;
pub(crate) mod videocore;

use core::ops::Range;

use drivers::extra_uart::ExtraUart;
use drivers::gpio::{self, Level};
use drivers::mailbox::tags::{
    ClockId, ClockRate, ExpanderLine, MaxClockRate, MeasuredClockRate, Power, PowerDevice, SetExpander, SetPower,
    StartClock,
};
use drivers::sdhci::{self, Chip};
use kcore::addr::{PhysAddr, VirtAddr};
use spin::Once;

use crate::arch::cpu;
use crate::mem::{devices, layout};

/// What the kernel must know of a board before any device tree is read, and what no tree says.
#[derive(Debug)]
pub(crate) struct Board {
    /// The name in the banner.
    pub(crate) name: &'static str,
    /// The core's part number in `MIDR_EL1`.
    part: u64,
    /// RAM when neither tree nor mailbox says better.
    pub(crate) default_memory: Range<u64>,
    /// Addresses that are no RAM whatever a tree says: the device windows. RAM's mapping is cacheable and read
    /// speculatively, which devices do not bear.
    pub(crate) not_memory: Range<u64>,
    /// The interrupt controllers.
    pub(crate) interrupts: InterruptHardware,
    /// PL011 UART0: the console.
    pub(crate) pl011: Device,
    /// The other PL011s, none of which is used unless asked for.
    pub(crate) extra_uarts: &'static [(ExtraUart, PhysAddr)],
    /// The auxiliary block with the mini-UART: the second line.
    pub(crate) aux: Device,
    /// The `VideoCore` mailbox.
    pub(crate) mailbox: PhysAddr,
    /// The GPIO block, and how its pulls are set.
    pub(crate) gpio: PhysAddr,
    /// How this chip's pull resistors are set.
    pub(crate) pulls: Pulls,
    /// Power management: reset, power-off, watchdog.
    pub(crate) pm: PhysAddr,
    /// The random number generator.
    pub(crate) rng: RngHardware,
    /// The controllers that may have the SD card, the likeliest first.
    pub(crate) card_slots: &'static [CardSlot],
    /// Interrupt line of the generic (virtual) timer, as `dev::irq` numbers lines.
    pub(crate) timer_line: u32,
}

impl Board {
    /// The chip whose pins it has.
    pub(crate) const fn gpio_chip(&self) -> gpio::Chip {
        match self.pulls {
            Pulls::Clocked => gpio::Chip::Bcm2837,
            Pulls::Direct => gpio::Chip::Bcm2711,
        }
    }
}

/// A device with registers and an interrupt line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Device {
    /// Where its registers are.
    pub(crate) base: PhysAddr,
    /// Its line: an INTID of the GIC, or a line of the BCM2835 controller.
    pub(crate) line: u32,
}

/// A controller of SD cards.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CardSlot {
    /// Its registers and its line.
    pub(crate) device: Device,
    /// Which kind it is.
    pub(crate) chip: Chip,
    /// Firmware's number for its clock.
    pub(crate) clock: ClockId,
}

/// The interrupt controllers that a board has.
#[derive(Clone, Copy, Debug)]
pub(crate) enum InterruptHardware {
    /// GIC-400.
    Gic {
        /// The distributor's registers.
        distributor: PhysAddr,
        /// The CPU interface's registers.
        cpu_interface: PhysAddr,
    },
    /// BCM2836 per-core controller in front of the BCM2835 one.
    Local {
        /// The per-core controller's registers.
        local: PhysAddr,
        /// The BCM2835 controller's registers.
        legacy: PhysAddr,
    },
}

/// How pull resistors are set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pulls {
    /// The BCM2835's clocked sequence.
    Clocked,
    /// The BCM2711's direct registers.
    Direct,
}

/// The random number generator that a board has.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RngHardware {
    /// The BCM2835's, always there.
    Bcm2835(PhysAddr),
    /// RNG200; QEMU has none, so the first access must be a probe.
    Rng200(PhysAddr),
}

static CURRENT: Once<&'static Board> = Once::new();

/// The board we run on.
pub(crate) fn current() -> &'static Board {
    CURRENT.call_once(by_part)
}

/// Chooses by the core's part number. Every supported board with a Cortex-A72 is a Pi 4; anything else is taken for a
/// Pi 3, whose cores are Cortex-A53.
pub(crate) fn by_part() -> &'static Board {
    if part() == pi4::BOARD.part { &pi4::BOARD } else { &pi3::BOARD }
}

fn part() -> u64 {
    cpu::midr() >> 4 & 0xfff
}

/// Whether the core is that of one of the boards.
pub(crate) fn is_known() -> bool {
    [pi3::BOARD.part, pi4::BOARD.part].contains(&part())
}

/// Where the kernel sees the registers at `address`.
pub(crate) fn registers(address: PhysAddr) -> VirtAddr {
    layout::device(address)
}

/// The fastest clock that firmware has ever given a card's controller. One that is taken for faster than it is clocks a card
/// more slowly than it bears; the other way round data is lost.
const FASTEST_CARD_CLOCK_HZ: u32 = 250_000_000;

/// Lets the clock of a card's controller run and says its rate in Hz: by the controller's own word, else as firmware measures
/// it, else as firmware says it is set, else what it may have at most. Firmware from September 2021 on knows no setting of a
/// clock that nobody asked it to set, which is that of a card's controller on every board. With the clock off not even a reset
/// would end: Linux lets it run first (`clk_prepare_enable` in `sdhci_iproc_probe`).
pub(crate) fn card_clock_hz(slot: &CardSlot) -> u32 {
    let clock = slot.clock;
    let _ = videocore::ask(&StartClock(clock));
    sdhci::own_clock_hz(&devices::card_controller(slot), slot.chip)
        .or_else(|| videocore::ask(&MeasuredClockRate(clock)).ok().and_then(sdhci::nearest_mhz))
        .or_else(|| videocore::ask(&ClockRate(clock)).ok())
        .or_else(|| videocore::ask(&MaxClockRate(clock)).ok())
        .unwrap_or(FASTEST_CARD_CLOCK_HZ)
}

/// Asks firmware to supply the card with 3.3 V, at its lines too. Where it knows nothing of that, the supply is on: it has
/// loaded the kernel from the card.
pub(crate) fn power_card() {
    let _ = videocore::ask(&SetPower(PowerDevice::SD_CARD, Power::On));
    if current().pulls == Pulls::Direct {
        let _ = videocore::ask(&SetExpander(ExpanderLine::SD_POWER, Level::High));
        let _ = videocore::ask(&SetExpander(ExpanderLine::SD_IO_VOLTAGE, Level::Low));
    }
}

/// The console UART's clock as firmware says it, if it says one.
pub(crate) fn uart_clock_hz() -> Option<u32> {
    videocore::ask(&ClockRate(ClockId::UART)).ok().filter(|&hz| hz > 0)
}
