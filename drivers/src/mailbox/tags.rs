//! The questions: one type for each tag, with what its answer means.
//!
//! What QEMU 10 answers stands at each; where nothing is said, it answers as a board does.

use bitflags::bitflags;

use super::Tag;
use crate::gpio::Level;

/// The command line, asked by [`PropertyChannel::command_line`](super::PropertyChannel::command_line).
pub(super) const COMMAND_LINE: u32 = 0x5_0001;

/// Declares tags whose request is empty.
macro_rules! plain_tags {
    ($(
        $(#[$doc:meta])*
        $name:ident = $id:literal, $bytes:literal bytes in $words:literal words => $answer:ty, $decode:expr;
    )*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name;

        impl Tag for $name {
            type Answer = $answer;
            const ID: u32 = $id;
            const VALUE_WORDS: usize = $words;
            const ANSWER_BYTES: usize = $bytes;

            fn encode(&self, _: &mut [u32]) {}

            fn decode(&self, value: &[u32]) -> Option<$answer> {
                let value: &[u32; $words] = value.try_into().ok()?;
                let decode: fn(&[u32; $words]) -> $answer = $decode;
                Some(decode(value))
            }
        }
    )*};
}

plain_tags! {
    /// The firmware's version: seconds since 1970 on a board.
    FirmwareRevision = 0x0_0001, 4 bytes in 1 words => u32, |&[revision]| revision;
    /// The board's model; 0 in QEMU.
    BoardModel = 0x1_0001, 4 bytes in 1 words => u32, |&[model]| model;
    /// The board's revision code: 0xa02082 in QEMU's raspi3b, 0xb03115 in its raspi4b.
    BoardRevision = 0x1_0002, 4 bytes in 1 words => u32, |&[revision]| revision;
    /// The MAC address.
    MacAddress = 0x1_0003, 6 bytes in 2 words => [u8; 6], |&[low, high]| {
        let ([a, b, c, d], [e, f, ..]) = (low.to_le_bytes(), high.to_le_bytes());
        [a, b, c, d, e, f]
    };
    /// The board's serial number; 0 in QEMU.
    BoardSerial = 0x1_0004, 8 bytes in 2 words => u64, |&[low, high]| u64::from(high) << 32 | u64::from(low);
    /// The CPU's memory: on a board of more than 1 GiB only its first piece, in QEMU 960 MiB.
    ArmMemory = 0x1_0005, 8 bytes in 2 words => MemoryRange, |&[base, size]| MemoryRange { base, size };
    /// The GPU's memory.
    GpuMemory = 0x1_0006, 8 bytes in 2 words => MemoryRange, |&[base, size]| MemoryRange { base, size };
    /// Whether the board is, or was, slowed down.
    Throttled = 0x3_0046, 4 bytes in 1 words => Throttling, |&[bits]| Throttling::from_bits_truncate(bits);
}

/// A piece of memory, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MemoryRange {
    /// Its physical address.
    pub base: u32,
    /// Its size.
    pub size: u32,
}

bitflags! {
    /// What slows a board down, now or since it was started.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Throttling: u32 {
        /// The supply is too weak.
        const UNDER_VOLTAGE = 1 << 0;
        /// The CPU's clock is capped.
        const CAPPED = 1 << 1;
        /// The CPU is throttled.
        const THROTTLED = 1 << 2;
        /// The soft temperature limit is in force.
        const SOFT_TEMPERATURE_LIMIT = 1 << 3;
        /// The supply was too weak.
        const WAS_UNDER_VOLTAGE = 1 << 16;
        /// The CPU's clock was capped.
        const WAS_CAPPED = 1 << 17;
        /// The CPU was throttled.
        const WAS_THROTTLED = 1 << 18;
        /// The soft temperature limit was in force.
        const HAD_SOFT_TEMPERATURE_LIMIT = 1 << 19;
    }
}

/// A clock that firmware manages, by its number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClockId(pub u32);

impl ClockId {
    /// The EMMC controller.
    pub const EMMC: Self = Self(1);
    /// The PL011 UARTs. QEMU says 3 MHz, a board 48 MHz.
    pub const UART: Self = Self(2);
    /// The CPU.
    pub const ARM: Self = Self(3);
    /// The GPU's core, and with it the mini-UART.
    pub const CORE: Self = Self(4);
    /// The Pi 4's EMMC2 controller.
    pub const EMMC2: Self = Self(12);
}

/// The rate of a clock in Hz, as it is set. Firmware from September 2021 on says only what was asked for through this very
/// channel: of a clock that it set up by itself, zero, which is no answer (U-Boot, `bcm2835_get_mmc_clock`).
#[derive(Clone, Copy, Debug)]
pub struct ClockRate(pub ClockId);

/// The rate of a clock in Hz, as firmware measures it: some parts in a million beside the one that is set. QEMU does not
/// answer this one.
#[derive(Clone, Copy, Debug)]
pub struct MeasuredClockRate(pub ClockId);

/// The rate of a clock in Hz that it may have at most.
#[derive(Clone, Copy, Debug)]
pub struct MaxClockRate(pub ClockId);

/// The temperature of the chip in thousandths of a degree Celsius; 25 000 in QEMU.
#[derive(Clone, Copy, Debug)]
pub struct Temperature;

macro_rules! clock_tags {
    ($($name:ident = $id:literal),*) => {$(
        impl Tag for $name {
            type Answer = u32;
            const ID: u32 = $id;
            const VALUE_WORDS: usize = 2;
            const ANSWER_BYTES: usize = 8;

            fn encode(&self, value: &mut [u32]) {
                value[0] = self.0.0;
            }

            /// A rate of zero is a clock that is not there, or of which firmware does not know.
            fn decode(&self, value: &[u32]) -> Option<u32> {
                Some(value[1]).filter(|&rate_hz| rate_hz != 0)
            }
        }
    )*};
}

clock_tags!(ClockRate = 0x3_0002, MaxClockRate = 0x3_0004, MeasuredClockRate = 0x3_0047);

/// Lets a clock run, at the rate that it has; it may do so already. QEMU does not answer this one.
#[derive(Clone, Copy, Debug)]
pub struct StartClock(pub ClockId);

impl Tag for StartClock {
    type Answer = ();
    const ID: u32 = 0x3_8001;
    const VALUE_WORDS: usize = 2;
    const ANSWER_BYTES: usize = 8;

    fn encode(&self, value: &mut [u32]) {
        value[0] = self.0.0;
        value[1] = 1;
    }

    /// Bit 0 says that it runs, bit 1 that there is no such clock.
    fn decode(&self, value: &[u32]) -> Option<()> {
        (value[1] & 0b11 == 1).then_some(())
    }
}

impl Tag for Temperature {
    type Answer = u32;
    const ID: u32 = 0x3_0006;
    const VALUE_WORDS: usize = 2;
    const ANSWER_BYTES: usize = 8;

    /// The value begins with the number of the sensor, of which there is one: 0.
    fn encode(&self, _: &mut [u32]) {}

    fn decode(&self, value: &[u32]) -> Option<u32> {
        Some(value[1])
    }
}

/// A device whose power firmware manages, by its number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PowerDevice(pub u32);

impl PowerDevice {
    /// The SD card.
    pub const SD_CARD: Self = Self(0);
    /// The PL011.
    pub const UART0: Self = Self(1);
    /// The mini-UART.
    pub const UART1: Self = Self(2);
    /// The USB host controller.
    pub const USB: Self = Self(3);
}

/// Whether a device has power.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Power {
    /// It has none.
    Off,
    /// It has.
    On,
}

impl Power {
    /// Bit 0 is the state, bit 1 says that there is no such device.
    const fn from_answer(bits: u32) -> Option<Self> {
        match bits & 0b11 {
            0 => Some(Self::Off),
            1 => Some(Self::On),
            _ => None,
        }
    }
}

/// Whether a device has power. QEMU does not answer this one.
#[derive(Clone, Copy, Debug)]
pub struct GetPower(pub PowerDevice);

impl Tag for GetPower {
    type Answer = Power;
    const ID: u32 = 0x2_0001;
    const VALUE_WORDS: usize = 2;
    const ANSWER_BYTES: usize = 8;

    fn encode(&self, value: &mut [u32]) {
        value[0] = self.0.0;
    }

    fn decode(&self, value: &[u32]) -> Option<Power> {
        Power::from_answer(value[1])
    }
}

/// Gives a device power or takes it, waits until that is stable, and answers what came of it.
#[derive(Clone, Copy, Debug)]
pub struct SetPower(pub PowerDevice, pub Power);

impl Tag for SetPower {
    type Answer = Power;
    const ID: u32 = 0x2_8001;
    const VALUE_WORDS: usize = 2;
    const ANSWER_BYTES: usize = 8;

    fn encode(&self, value: &mut [u32]) {
        const WAIT: u32 = 0b10;
        value[0] = self.0.0;
        value[1] = WAIT
            | match self.1 {
                Power::Off => 0,
                Power::On => 1,
            };
    }

    fn decode(&self, value: &[u32]) -> Option<Power> {
        Power::from_answer(value[1])
    }
}

/// A line of the GPIO expander, which only firmware reaches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExpanderLine(u32);

impl ExpanderLine {
    /// On a Pi 4: the SD card's I/O voltage, low for 3.3 V, high for 1.8 V.
    pub const SD_IO_VOLTAGE: Self = Self(FIRST_EXPANDER_LINE + 4);
    /// On a Pi 4: the SD card's 3.3 V supply.
    pub const SD_POWER: Self = Self(FIRST_EXPANDER_LINE + 6);

    /// Line `number`, or `None` from 8 on.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if number < 8 { Some(Self(FIRST_EXPANDER_LINE + number as u32)) } else { None }
    }
}

/// Firmware numbers the expander's lines behind the chip's own pins.
const FIRST_EXPANDER_LINE: u32 = 128;

/// The level of a line of the expander. QEMU has no expander.
#[derive(Clone, Copy, Debug)]
pub struct GetExpander(pub ExpanderLine);

impl Tag for GetExpander {
    type Answer = Level;
    const ID: u32 = 0x3_0041;
    const VALUE_WORDS: usize = 2;
    const ANSWER_BYTES: usize = 8;

    fn encode(&self, value: &mut [u32]) {
        value[0] = self.0.0;
    }

    /// Where all went well the line's number comes back as zero (Linux `gpio-raspberrypi-exp`).
    fn decode(&self, value: &[u32]) -> Option<Level> {
        (value[0] == 0).then_some(if value[1] == 0 { Level::Low } else { Level::High })
    }
}

/// Sets the level of a line of the expander. QEMU has no expander.
#[derive(Clone, Copy, Debug)]
pub struct SetExpander(pub ExpanderLine, pub Level);

impl Tag for SetExpander {
    type Answer = ();
    const ID: u32 = 0x3_8041;
    const VALUE_WORDS: usize = 2;
    const ANSWER_BYTES: usize = 4;

    fn encode(&self, value: &mut [u32]) {
        value[0] = self.0.0;
        value[1] = match self.1 {
            Level::Low => 0,
            Level::High => 1,
        };
    }

    /// Where all went well the line's number comes back as zero (Linux `gpio-raspberrypi-exp`).
    fn decode(&self, value: &[u32]) -> Option<()> {
        (value[0] == 0).then_some(())
    }
}
