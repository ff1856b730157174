//! What the kernel cannot say otherwise, by the ACT LED: one long flash and some short ones (`docs/hardware.md`).

use core::sync::atomic::{AtomicU8, Ordering};

use aarch64_cpu::registers::{CNTFRQ_EL0, CNTVCT_EL0, Readable as _};
use drivers::act_led::{ActLed, Code};
use drivers::gpio::Gpio;
use drivers::mailbox::tags::BoardRevision;
use drivers::mailbox::{MessageBuffer, PropertyChannel, PropertyError};

use super::{Board, videocore};
use crate::arch::cpu;
use crate::mem::devices;

/// What is wrong; the value is the number of short flashes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Trouble {
    /// An exception before the kernel had its vectors.
    EarlyException = 1,
    /// No device tree, or one that is refused; the kernel goes on without.
    NoTree = 2,
    /// A panic before there is memory to work with.
    NoMemory = 3,
    /// The core is none of a board that is known.
    UnknownBoard = 4,
    /// A panic before the console.
    NoConsole = 5,
    /// A panic, with its report on the console.
    Panic = 6,
}

impl Trouble {
    /// What the LED blinks.
    pub(crate) const fn code(self) -> Code {
        Code(self as u8)
    }
}

/// What a panic would mean at this moment.
static STAGE: AtomicU8 = AtomicU8::new(Trouble::NoConsole as u8);

/// From now on a panic means this.
pub(crate) fn set_stage(stage: Trouble) {
    STAGE.store(stage as u8, Ordering::Relaxed);
}

/// The LED with what it is reached by.
pub(crate) struct Lamp<'a, B> {
    led: ActLed,
    gpio: Gpio,
    channel: &'a mut PropertyChannel<B>,
}

impl<'a, B: MessageBuffer> Lamp<'a, B> {
    /// The LED of this board; `None` where it is not known where that is.
    pub(crate) fn find(board: &Board, gpio: Gpio, channel: &'a mut PropertyChannel<B>) -> Option<Self> {
        let revision = channel.ask(&BoardRevision, videocore::PATIENCE).ok();
        let led = ActLed::of(board.gpio_chip(), revision)?;
        Some(Self { led, gpio, channel })
    }

    /// One round of a code. `wait` lets so many milliseconds pass.
    fn round(&mut self, code: Code, mut wait: impl FnMut(u32)) -> Result<(), PropertyError> {
        for (light, ms) in code.intervals() {
            self.led.set(light, &mut self.gpio, self.channel, videocore::PATIENCE)?;
            wait(ms);
        }
        Ok(())
    }

    /// Blinks for ever, or until firmware does not answer. Nothing but the counter is needed.
    pub(crate) fn repeat(mut self, code: Code) {
        while self.round(code, spin).is_ok() {}
    }
}

/// Lets time pass, on this CPU alone.
fn spin(ms: u32) {
    let ticks = CNTFRQ_EL0.get() / 1000 * u64::from(ms);
    let start = CNTVCT_EL0.get();
    while CNTVCT_EL0.get().wrapping_sub(start) < ticks {
        core::hint::spin_loop();
    }
}

/// The end of a panic that stays: blinks what it was, for ever, or just stays where the LED cannot be reached. No lock is
/// waited for.
pub(crate) fn end() -> ! {
    cpu::irqs_mask_all();
    let code = Code(STAGE.load(Ordering::Relaxed));
    let board = super::current();
    videocore::try_with_channel(|channel| {
        let gpio = Gpio::new(devices::gpio(), board.gpio_chip());
        let Some(lamp) = Lamp::find(board, gpio, channel) else { return };
        lamp.repeat(code);
    });
    cpu::park()
}

/// Shows what the kernel goes on in spite of, so many times. `wait` sleeps so many milliseconds, for which firmware is free
/// to others.
pub(crate) fn show(trouble: Trouble, times: u32, mut wait: impl FnMut(u32)) {
    let revision = videocore::ask(&BoardRevision).ok();
    let chip = super::current().gpio_chip();
    let Some(led) = ActLed::of(chip, revision) else { return };
    let mut gpio = Gpio::new(devices::gpio(), chip);
    for _ in 0..times {
        for (light, ms) in trouble.code().intervals() {
            let set = videocore::with_channel(|channel| led.set(light, &mut gpio, channel, videocore::PATIENCE));
            if set.is_err() {
                return;
            }
            wait(ms);
        }
    }
}
