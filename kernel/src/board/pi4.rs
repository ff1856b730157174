//! Raspberry Pi 4 (BCM2711) and QEMU's `raspi4b`.

use drivers::extra_uart::ExtraUart;
use drivers::mailbox::tags::ClockId;
use drivers::sdhci::Chip;
use kcore::addr::PhysAddr;

use super::{Board, CardSlot, Device, InterruptHardware, Pulls, RngHardware};

const PERIPHERALS: u64 = 0xfe00_0000;

/// The record. Lines are INTIDs of the GIC.
pub(super) const BOARD: Board = Board {
    name: "Raspberry Pi 4",
    part: 0xd08,
    default_memory: 0..0x3b40_0000,
    not_memory: 0xfc00_0000..0x1_0000_0000,
    interrupts: InterruptHardware::Gic {
        distributor: PhysAddr::new(0xff84_1000),
        cpu_interface: PhysAddr::new(0xff84_2000),
    },
    pl011: Device { base: PhysAddr::new(PERIPHERALS + 0x20_1000), line: 153 },
    // Of 0x200 bytes each, behind UART0 (`bcm2711.dtsi`); QEMU has none of them.
    extra_uarts: &[
        (ExtraUart::Uart2, PhysAddr::new(PERIPHERALS + 0x20_1400)),
        (ExtraUart::Uart3, PhysAddr::new(PERIPHERALS + 0x20_1600)),
        (ExtraUart::Uart4, PhysAddr::new(PERIPHERALS + 0x20_1800)),
        (ExtraUart::Uart5, PhysAddr::new(PERIPHERALS + 0x20_1a00)),
    ],
    aux: Device { base: PhysAddr::new(PERIPHERALS + 0x21_5000), line: 125 },
    mailbox: PhysAddr::new(PERIPHERALS + 0xb880),
    gpio: PhysAddr::new(PERIPHERALS + 0x20_0000),
    pulls: Pulls::Direct,
    pm: PhysAddr::new(PERIPHERALS + 0x10_0000),
    rng: RngHardware::Rng200(PhysAddr::new(PERIPHERALS + 0x10_4000)),
    // The board has its slot at EMMC2, QEMU the card at the Arasan, which on the board has the radio: that does not answer
    // as a card. Both have one line.
    card_slots: &[
        CardSlot {
            device: Device { base: PhysAddr::new(PERIPHERALS + 0x34_0000), line: 158 },
            chip: Chip::Emmc2,
            clock: ClockId::EMMC2,
        },
        CardSlot {
            device: Device { base: PhysAddr::new(PERIPHERALS + 0x30_0000), line: 158 },
            chip: Chip::Arasan,
            clock: ClockId::EMMC,
        },
    ],
    timer_line: 27,
};
