//! The green ACT LED, and codes that it blinks where nothing else can speak yet.
//!
//! Where the LED is differs from model to model (Linux's device trees `bcm2837-rpi-*.dts`, `bcm2711-rpi-*.dts`): at a pin of
//! the chip, or, on a Pi 3 B, at a line of the GPIO expander, which only firmware reaches. Models are told by the revision
//! code (Raspberry Pi's documentation, "Raspberry Pi revision codes").
//!
//! A code is one long flash and a number of short ones, then a pause. Firmware's own codes have none, two, three or four
//! long ones, so these are nobody else's.

use crate::gpio::{Chip, Function, Gpio, Level, Pin};
use crate::mailbox::tags::{ExpanderLine, SetExpander};
use crate::mailbox::{MessageBuffer, PropertyChannel, PropertyError};
use crate::wait::Patience;

/// A revision code of the kind that tells the model: bit 23.
const NEW_STYLE: u32 = 1 << 23;

/// Where the LED is, and at which level it is lit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ActLed {
    /// At a pin.
    Pin(Pin, Level),
    /// At a line of the expander.
    Expander(ExpanderLine, Level),
}

/// Lit or dark.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Light {
    /// Lit.
    On,
    /// Dark.
    Off,
}

impl ActLed {
    /// That of the board with this revision code. Where firmware did not tell it, a Pi 4 has its LED where all of them have;
    /// a Pi 3's could be anywhere.
    #[must_use]
    pub fn of(chip: Chip, revision: Option<u32>) -> Option<Self> {
        let pin = |number, lit| Pin::new(number).map(|pin| Self::Pin(pin, lit));
        let model = revision.filter(|revision| revision & NEW_STYLE != 0).map(|revision| revision >> 4 & 0xff);
        match (chip, model) {
            // 4 B, 400 (its one LED), Compute Module 4.
            (Chip::Bcm2711, Some(0x11 | 0x13 | 0x14) | None) => pin(42, Level::High),
            // 3 B.
            (Chip::Bcm2837, Some(0x08)) => ExpanderLine::new(2).map(|line| Self::Expander(line, Level::High)),
            // 3 B+, 3 A+.
            (Chip::Bcm2837, Some(0x0d | 0x0e)) => pin(29, Level::High),
            // Zero 2 W.
            (Chip::Bcm2837, Some(0x12)) => pin(29, Level::Low),
            _ => None,
        }
    }

    /// Lights it, or not. A pin becomes an output.
    ///
    /// # Errors
    ///
    /// What firmware says of its expander, which QEMU does not have. A pin gives none.
    pub fn set<B: MessageBuffer>(
        self,
        light: Light,
        gpio: &mut Gpio,
        channel: &mut PropertyChannel<B>,
        patience: impl Patience,
    ) -> Result<(), PropertyError> {
        match self {
            Self::Pin(pin, lit) => {
                gpio.drive(pin, level(light, lit));
                // None of these is a pin that must not be touched.
                let _ = gpio.set_function(pin, Function::Output);
                Ok(())
            }
            Self::Expander(line, lit) => channel.ask(&SetExpander(line, level(light, lit)), patience),
        }
    }
}

fn level(light: Light, lit: Level) -> Level {
    match (light, lit) {
        (Light::On, level) => level,
        (Light::Off, Level::High) => Level::Low,
        (Light::Off, Level::Low) => Level::High,
    }
}

/// One long flash and so many short ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Code(pub u8);

/// A flash that counts as long, in milliseconds; Raspberry Pi tells no times of its own flashes.
const LONG_MS: u32 = 900;
/// One that counts as short.
const SHORT_MS: u32 = 200;
/// Between two flashes.
const GAP_MS: u32 = 300;
/// Behind the last one.
const PAUSE_MS: u32 = 2_000;

impl Code {
    /// One round of it: lit or dark, and for how many milliseconds.
    pub fn intervals(self) -> impl Iterator<Item = (Light, u32)> {
        let flashes = u32::from(self.0) + 1;
        (0..2 * flashes).map(move |step| match step {
            0 => (Light::On, LONG_MS),
            step if step % 2 == 0 => (Light::On, SHORT_MS),
            step if step + 1 == 2 * flashes => (Light::Off, PAUSE_MS),
            _ => (Light::Off, GAP_MS),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    fn pin(number: u8, lit: Level) -> Option<ActLed> {
        Pin::new(number).map(|pin| ActLed::Pin(pin, lit))
    }

    #[test]
    fn each_model_has_its_led_where_linux_says() {
        // Raspberry Pi's list of codes: 3 B, 3 B+, 3 A+, Zero 2 W, 4 B, 400.
        let expander = ExpanderLine::new(2).map(|line| ActLed::Expander(line, Level::High));
        assert_eq!(ActLed::of(Chip::Bcm2837, Some(0xa0_2082)), expander);
        assert_eq!(ActLed::of(Chip::Bcm2837, Some(0xa0_20d3)), pin(29, Level::High));
        assert_eq!(ActLed::of(Chip::Bcm2837, Some(0x90_20e0)), pin(29, Level::High));
        assert_eq!(ActLed::of(Chip::Bcm2837, Some(0x90_2120)), pin(29, Level::Low));
        for revision in [0xa0_3111, 0xb0_3115, 0xd0_3114, 0xc0_3130] {
            assert_eq!(ActLed::of(Chip::Bcm2711, Some(revision)), pin(42, Level::High));
        }
    }

    #[test]
    fn no_pin_is_driven_that_may_be_something_else() {
        // A Pi 2 with this chip, an old-style code, and a board that is not known.
        for revision in [Some(0xa0_2042), Some(0x00_0010), Some(0xa0_2ff0), None] {
            assert_eq!(ActLed::of(Chip::Bcm2837, revision), None);
        }
        assert_eq!(ActLed::of(Chip::Bcm2711, Some(0xb0_3ff0)), None);
        assert_eq!(ActLed::of(Chip::Bcm2711, None), pin(42, Level::High));
    }

    #[test]
    fn a_code_is_a_long_flash_as_many_short_ones_and_a_pause() {
        for count in 1..=9 {
            let round: Vec<_> = Code(count).intervals().collect();
            let lit: Vec<u32> = round.iter().filter(|step| step.0 == Light::On).map(|step| step.1).collect();
            assert_eq!(lit.len(), usize::from(count) + 1);
            assert!(lit[0] >= 4 * lit[1] && lit[1..].iter().all(|&short| short == lit[1]));
            // Lit and dark by turns, dark at the end, and longer than anywhere else.
            assert!(round.iter().step_by(2).all(|step| step.0 == Light::On));
            assert!(round.iter().skip(1).step_by(2).all(|step| step.0 == Light::Off));
            let (last, before) = round.split_last().unwrap();
            assert!(before.iter().all(|step| 2 * step.1 < last.1));
        }
    }

    #[test]
    fn an_led_that_is_lit_at_a_low_level_is_dark_at_a_high_one() {
        assert_eq!([Light::On, Light::Off].map(|light| level(light, Level::Low)), [Level::Low, Level::High]);
        assert_eq!([Light::On, Light::Off].map(|light| level(light, Level::High)), [Level::High, Level::Low]);
    }
}
