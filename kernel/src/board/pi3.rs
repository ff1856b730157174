//! Raspberry Pi 3 (BCM2837) and QEMU's `raspi3b`.

use drivers::mailbox::tags::ClockId;
use drivers::sdhci::Chip;
use kcore::addr::PhysAddr;

use super::{Board, CardSlot, Device, InterruptHardware, Pulls, RngHardware};

const PERIPHERALS: u64 = 0x3f00_0000;

/// The record. Lines 0 to 63 are GPU interrupts, from 72 on the core's own (`dev::irq`).
pub(super) const BOARD: Board = Board {
    name: "Raspberry Pi 3",
    part: 0xd03,
    default_memory: 0..0x3b40_0000,
    // Everything above the peripherals' base: the board has no RAM there.
    not_memory: PERIPHERALS..u64::MAX,
    interrupts: InterruptHardware::Local {
        local: PhysAddr::new(0x4000_0000),
        legacy: PhysAddr::new(PERIPHERALS + 0xb200),
    },
    pl011: Device { base: PhysAddr::new(PERIPHERALS + 0x20_1000), line: 57 },
    extra_uarts: &[],
    aux: Device { base: PhysAddr::new(PERIPHERALS + 0x21_5000), line: 29 },
    mailbox: PhysAddr::new(PERIPHERALS + 0xb880),
    gpio: PhysAddr::new(PERIPHERALS + 0x20_0000),
    pulls: Pulls::Clocked,
    pm: PhysAddr::new(PERIPHERALS + 0x10_0000),
    rng: RngHardware::Bcm2835(PhysAddr::new(PERIPHERALS + 0x10_4000)),
    // QEMU has the card here after a reset, the board once the pins say so (`dev::pins`). The board's other controller,
    // SDHOST, is not needed.
    card_slots: &[CardSlot {
        device: Device { base: PhysAddr::new(PERIPHERALS + 0x30_0000), line: 62 },
        chip: Chip::Arasan,
        clock: ClockId::EMMC,
    }],
    timer_line: 72 + 3,
};
