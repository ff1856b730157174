//! The two boards.

use std::fmt;

/// A board that QEMU emulates and that Tine runs on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Board {
    /// Raspberry Pi 3 Model B: BCM2837, four Cortex-A53.
    Raspi3b,
    /// Raspberry Pi 4 Model B: BCM2711, four Cortex-A72.
    Raspi4b,
}

impl Board {
    /// Both boards.
    pub const ALL: [Self; 2] = [Self::Raspi3b, Self::Raspi4b];

    /// QEMU's name of the machine.
    #[must_use]
    pub const fn machine(self) -> &'static str {
        match self {
            Self::Raspi3b => "raspi3b",
            Self::Raspi4b => "raspi4b",
        }
    }

    /// The `model` of the board's device tree.
    #[must_use]
    pub const fn model(self) -> &'static str {
        match self {
            Self::Raspi3b => "Raspberry Pi 3 Model B",
            Self::Raspi4b => "Raspberry Pi 4 Model B",
        }
    }

    /// The root `compatible` of the board's device tree, most specific first.
    #[must_use]
    pub const fn compatible(self) -> [&'static str; 2] {
        match self {
            Self::Raspi3b => ["raspberrypi,3-model-b", "brcm,bcm2837"],
            Self::Raspi4b => ["raspberrypi,4-model-b", "brcm,bcm2711"],
        }
    }

    /// The `compatible` of its CPUs.
    #[must_use]
    pub const fn cpu(self) -> &'static str {
        match self {
            Self::Raspi3b => "arm,cortex-a53",
            Self::Raspi4b => "arm,cortex-a72",
        }
    }

    /// Where the ARM sees the peripherals that the device tree puts at bus address 0x7e000000, and how many bytes.
    #[must_use]
    pub const fn peripherals(self) -> (u32, u32) {
        match self {
            Self::Raspi3b => (0x3f00_0000, 0x0100_0000),
            Self::Raspi4b => (0xfe00_0000, 0x0180_0000),
        }
    }

    /// `#address-cells` of the root: the Pi 4 has memory above 4 GiB. `#size-cells` is 1 on both.
    #[must_use]
    pub const fn address_cells(self) -> u32 {
        match self {
            Self::Raspi3b => 1,
            Self::Raspi4b => 2,
        }
    }
}

impl fmt::Display for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.machine())
    }
}
