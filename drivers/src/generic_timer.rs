//! The Arm generic timer: the clock of the kernel and, through its virtual timer CNTV, the alarm of each core
//! (Arm ARM, chapter D12 "The Generic Timer in AArch64 state").
//!
//! [`VirtualTimer`] works on [`TimerRegisters`]; [`SystemRegisters`] is the real thing. The counter is one for all
//! cores, the comparator is each core's own. All times are ticks: seconds are the caller's business.
//!
//! The frequency is always read, never known: 19.2 MHz on a Pi 3, 54 MHz on a Pi 4, 62.5 MHz in QEMU on both.

use core::error::Error;
use core::fmt;
use core::num::NonZeroU64;

use aarch64_cpu::asm::barrier;
use aarch64_cpu::registers::{CNTFRQ_EL0, CNTV_CTL_EL0, CNTV_CVAL_EL0, CNTVCT_EL0};
use tock_registers::interfaces::{Readable, Writeable};

/// `CNTV_CTL_EL0.ENABLE`, with IMASK clear.
const ENABLE: u64 = 1 << 0;
/// `CNTV_CTL_EL0.ISTATUS`.
const ISTATUS: u64 = 1 << 2;

/// The timer registers of the calling core.
pub trait TimerRegisters {
    /// `CNTFRQ_EL0`: ticks in a second, as firmware left it.
    fn frequency(&self) -> u64;
    /// `CNTVCT_EL0`, read no earlier than program order says.
    fn count(&self) -> u64;
    /// `CNTV_CVAL_EL0`: the count at which the alarm is due.
    fn set_compare(&self, count: u64);
    /// `CNTV_CTL_EL0`.
    fn control(&self) -> u64;
    /// `CNTV_CTL_EL0`, in effect when the call returns.
    fn set_control(&self, control: u64);
}

/// The system registers of the CPU that runs the caller.
#[derive(Clone, Copy, Debug)]
pub struct SystemRegisters;

impl TimerRegisters for SystemRegisters {
    fn frequency(&self) -> u64 {
        CNTFRQ_EL0.get()
    }

    fn count(&self) -> u64 {
        // The counter may be read speculatively, ahead of what the caller wanted to measure (Arm ARM, D12.2.2).
        barrier::isb(barrier::SY);
        CNTVCT_EL0.get()
    }

    fn set_compare(&self, count: u64) {
        CNTV_CVAL_EL0.set(count);
    }

    fn control(&self) -> u64 {
        CNTV_CTL_EL0.get()
    }

    fn set_control(&self, control: u64) {
        CNTV_CTL_EL0.set(control);
        // So that a stopped timer withdraws its interrupt before the caller unmasks or ends it.
        barrier::isb(barrier::SY);
    }
}

/// Why there is no timer: `CNTFRQ_EL0` holds no frequency that makes sense.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadFrequency {
    /// What it holds, in Hz.
    pub frequency_hz: u64,
}

impl fmt::Display for BadFrequency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a counter frequency of {} Hz", self.frequency_hz)
    }
}

impl Error for BadFrequency {}

/// The system counter, and the virtual timer of the calling core.
#[derive(Clone, Copy, Debug)]
pub struct VirtualTimer<R = SystemRegisters> {
    registers: R,
    frequency: NonZeroU64,
}

impl<R: TimerRegisters> VirtualTimer<R> {
    /// Reads the frequency. One timer serves all cores: what is each core's own is in the registers.
    ///
    /// # Errors
    ///
    /// [`BadFrequency`] if firmware left zero, or more than fits the register (32 bits).
    pub fn new(registers: R) -> Result<Self, BadFrequency> {
        let frequency_hz = registers.frequency();
        match NonZeroU64::new(frequency_hz) {
            Some(frequency) if u32::try_from(frequency_hz).is_ok() => Ok(Self { registers, frequency }),
            _ => Err(BadFrequency { frequency_hz }),
        }
    }

    /// Ticks in a second.
    #[must_use]
    pub const fn frequency_hz(&self) -> u64 {
        self.frequency.get()
    }

    /// Ticks since the counter started.
    #[must_use]
    pub fn now_ticks(&self) -> u64 {
        self.registers.count()
    }

    /// Interrupts the calling core once [`now_ticks`](Self::now_ticks) reaches `deadline_ticks`; at once if it has. The
    /// interrupt stays asserted until the alarm is set anew or [`cancel`](Self::cancel)led.
    pub fn set_alarm(&self, deadline_ticks: u64) {
        self.registers.set_compare(deadline_ticks);
        self.registers.set_control(ENABLE);
    }

    /// Takes back the calling core's alarm and its interrupt.
    pub fn cancel(&self) {
        self.registers.set_control(0);
    }

    /// Whether the calling core's alarm is set and due.
    #[must_use]
    pub fn is_due(&self) -> bool {
        // ISTATUS is unknown while the timer is disabled (Arm ARM, CNTV_CTL_EL0).
        self.registers.control() & (ENABLE | ISTATUS) == ENABLE | ISTATUS
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[derive(Default, Debug)]
    struct FakeTimer {
        frequency: u64,
        count: Cell<u64>,
        compare: Cell<u64>,
        control: Cell<u64>,
    }

    impl TimerRegisters for &FakeTimer {
        fn frequency(&self) -> u64 {
            self.frequency
        }
        fn count(&self) -> u64 {
            self.count.get()
        }
        fn set_compare(&self, count: u64) {
            self.compare.set(count);
        }
        fn control(&self) -> u64 {
            let due = self.count.get() >= self.compare.get();
            self.control.get() | if due { ISTATUS } else { 0 }
        }
        fn set_control(&self, control: u64) {
            self.control.set(control);
        }
    }

    fn with_timer(frequency: u64, test: impl FnOnce(&FakeTimer, &VirtualTimer<&FakeTimer>)) {
        let registers = FakeTimer { frequency, ..FakeTimer::default() };
        let timer = VirtualTimer::new(&registers).expect("the frequency is valid");
        test(&registers, &timer);
    }

    #[test]
    fn a_counter_without_a_frequency_is_refused() {
        for frequency in [0, 1 << 32] {
            let registers = FakeTimer { frequency, ..FakeTimer::default() };
            let refusal = VirtualTimer::new(&registers).expect_err("no such frequency");
            assert_eq!(refusal, BadFrequency { frequency_hz: frequency });
        }
    }

    #[test]
    fn an_alarm_is_due_at_its_time_and_not_when_cancelled() {
        with_timer(62_500_000, |registers, timer| {
            assert!(!timer.is_due(), "no alarm was set");
            timer.set_alarm(100);
            registers.count.set(99);
            assert!(!timer.is_due());
            registers.count.set(100);
            assert!(timer.is_due());
            assert_eq!(timer.now_ticks(), 100);
            timer.cancel();
            assert!(!timer.is_due());
        });
    }
}
