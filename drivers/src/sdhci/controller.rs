//! Reset, clock, bus, and waiting.

use tock_registers::RegisterLongName;
use tock_registers::fields::FieldValue;
use tock_registers::interfaces::{Readable, Writeable};

use super::clock;
use super::dma::Dma;
use super::registers::{CONTROL0, CONTROL1, ERRORS, EVENTS, INTERRUPT, STATUS, SdhciRegisters};
use crate::mmio::{Mmio, ReadWrite};
use crate::sd::{BusWidth, Command, Data, Host, HostError, Response};

/// The clock while a card is identified; between 100 and 400 kHz (PL 4.2.1), and see the module's head.
const IDENTIFICATION_HZ: u32 = 400_000;
/// At and below this clock the Arasan wants time after each write.
const SLOW_HZ: u32 = 400_000;
/// That time where there is no clock at all.
const UNCLOCKED_PAUSE_US: u32 = 10;
/// How long a reset and the clock's becoming stable may take: milliseconds; 100 is what Linux gives a reset.
const SETTLE_US: u64 = 100_000;
/// From the supply that is there to the first command: 1 ms, and 74 clocks in 185 µs (PL 6.4.1).
const POWERED_US: u32 = 2_000;
/// The same where the supply, or the voltage of the lines, was switched just before, as on a Pi 4: the supply has the 10 ms that
/// Linux gives it (`mmc_power_up`), the lines settle in 5 (`bcm2711-rpi-4-b.dts`, `sd_io_1v8_reg`).
const POWER_UP_US: u32 = 10_000 + POWERED_US;
/// How often the status is looked at before the thread sleeps: some 100 ns each.
const QUICK_LOOKS: u32 = 100;
const VOLTAGE_3V3: u32 = 7;

/// Which controller it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Chip {
    /// The Arasan: a Pi 3's, and in QEMU that of both boards.
    Arasan,
    /// EMMC2: a Pi 4's.
    Emmc2,
}

/// How the thread that uses a controller waits.
pub trait Pace {
    /// A clock in microseconds that never goes backwards.
    fn now_us(&mut self) -> u64;

    /// Lets at least `us` microseconds pass.
    fn pause_us(&mut self, us: u32);

    /// The next interrupt counts, though it may come before [`sleep_until`](Self::sleep_until) is called.
    fn arm(&mut self);

    /// Sleeps until an interrupt has come since [`arm`](Self::arm), or the clock shows `deadline_us`. May return earlier.
    fn sleep_until(&mut self, deadline_us: u64);
}

/// A controller.
#[derive(Debug)]
pub struct Sdhci<P> {
    pub(super) registers: Mmio<SdhciRegisters>,
    pub(super) pace: P,
    pub(super) chip: Chip,
    pub(super) dma: Option<Dma>,
    base_hz: u32,
    /// The card's clock; 0 while it has none.
    clock_hz: u32,
    /// The slot was powered for the next reset, and a card is ready for its first command then.
    powered_until_us: Option<u64>,
}

impl<P: Pace> Sdhci<P> {
    /// Takes the registers of a controller whose own clock runs at `base_hz`. Nothing is touched.
    #[must_use]
    pub const fn new(registers: Mmio<SdhciRegisters>, chip: Chip, base_hz: u32, pace: P) -> Self {
        Self { registers, pace, chip, dma: None, base_hz, clock_hz: 0, powered_until_us: None }
    }

    /// Does of the next reset what does not wait for the card: who has something else to do meanwhile need not wait for supply
    /// and clock then.
    ///
    /// # Errors
    ///
    /// [`HostError::Stuck`]
    pub fn begin_reset(&mut self) -> Result<(), HostError> {
        self.powered_until_us = None;
        self.clock_hz = 0;
        self.write(|registers| &registers.control1, CONTROL1::SRST_HC::SET.into());
        self.settle(|registers| !registers.control1.is_set(CONTROL1::SRST_HC))?;
        let power = CONTROL0::BUS_VOLTAGE.val(VOLTAGE_3V3) + CONTROL0::BUS_POWER::SET;
        self.write(|registers| &registers.control0, power.into());
        self.write(|registers| &registers.control2, 0);
        self.write(|registers| &registers.irpt_en, 0);
        self.enable_status();
        self.write(|registers| &registers.interrupt, u32::MAX);
        self.set_clock(IDENTIFICATION_HZ, false)?;
        let ready_us = match self.chip {
            Chip::Arasan => POWERED_US,
            Chip::Emmc2 => POWER_UP_US,
        };
        self.powered_until_us = Some(self.pace.now_us() + u64::from(ready_us));
        Ok(())
    }

    /// The errors that there can be.
    fn errors(&self) -> u32 {
        if self.has_dma() { ERRORS | u32::from(INTERRUPT::ADMA_ERR::SET) } else { ERRORS }
    }

    /// Lets all that can happen show in the status.
    pub(super) fn enable_status(&mut self) {
        let all = EVENTS | self.errors();
        self.write(|registers| &registers.irpt_mask, all);
    }

    /// Writes a register other than that of data.
    pub(super) fn write<R: RegisterLongName>(
        &mut self,
        register: fn(&SdhciRegisters) -> &ReadWrite<u32, R>,
        value: u32,
    ) {
        register(&self.registers).set(value);
        if self.clock_hz <= SLOW_HZ {
            let pause = 4_000_000_u32.div_ceil(self.clock_hz.max(1)).min(UNCLOCKED_PAUSE_US);
            self.pace.pause_us(pause);
        }
    }

    /// Waits, without sleeping, for what takes microseconds.
    pub(super) fn settle(&mut self, mut done: impl FnMut(&SdhciRegisters) -> bool) -> Result<(), HostError> {
        let deadline = self.pace.now_us() + SETTLE_US;
        loop {
            let late = self.pace.now_us() > deadline;
            if done(&self.registers) {
                return Ok(());
            }
            if late {
                return Err(HostError::Stuck);
            }
        }
    }

    /// Waits for `event` of the interrupt status and takes it back. Where there is a `present` bit of the present state, that is
    /// what is waited for, and the event but a sign to look: a controller with two buffers has one event for both. An error of
    /// the card's or of the lines ends the wait.
    pub(super) fn await_event(
        &mut self,
        event: FieldValue<u32, INTERRUPT::Register>,
        present: Option<FieldValue<u32, STATUS::Register>>,
        timeout_us: u64,
    ) -> Result<(), HostError> {
        let event = u32::from(event);
        let errors = self.errors();
        let mut looks = 0;
        let mut deadline = None;
        loop {
            let late = deadline.is_some_and(|deadline| self.pace.now_us() >= deadline);
            let status = self.registers.interrupt.get();
            if status & errors != 0 {
                return Err(self.fail(status & errors));
            }
            if status & event != 0 {
                self.write(|registers| &registers.interrupt, event);
            }
            let happened = match present {
                Some(present) => self.registers.status.get() & u32::from(present) != 0,
                None => status & event != 0,
            };
            if happened {
                return Ok(());
            }
            if late {
                self.reset_lines();
                return Err(HostError::Stuck);
            }
            looks += 1;
            if looks >= QUICK_LOOKS {
                let until = match deadline {
                    Some(until) => until,
                    None => *deadline.insert(self.pace.now_us() + timeout_us),
                };
                self.pace.arm();
                self.write(|registers| &registers.irpt_en, event | errors);
                self.pace.sleep_until(until);
                self.write(|registers| &registers.irpt_en, 0);
            }
        }
    }

    /// What the error bits of an interrupt status mean. The controller is ready for the next command afterwards. Where it could not
    /// read its list, or write where that says, the CPU moves the data from now on.
    fn fail(&mut self, status: u32) -> HostError {
        const MEANINGS: [(FieldValue<u32, INTERRUPT::Register>, HostError); 7] = [
            (INTERRUPT::CTO_ERR::SET, HostError::CommandTimeout),
            (INTERRUPT::CCRC_ERR::SET, HostError::CommandCrc),
            (INTERRUPT::CEND_ERR::SET, HostError::CommandFrame),
            (INTERRUPT::CBAD_ERR::SET, HostError::CommandFrame),
            (INTERRUPT::DTO_ERR::SET, HostError::DataTimeout),
            (INTERRUPT::DCRC_ERR::SET, HostError::DataCrc),
            (INTERRUPT::DEND_ERR::SET, HostError::DataFrame),
        ];
        self.reset_lines();
        if status & u32::from(INTERRUPT::ADMA_ERR::SET) != 0 {
            self.dma = None;
        }
        let meaning = MEANINGS.iter().find(|(bit, _)| status & u32::from(*bit) != 0);
        meaning.map_or(HostError::Other(status), |(_, error)| *error)
    }

    /// Forgets a command and its data. If even that hangs, the next command finds the lines in use.
    fn reset_lines(&mut self) {
        let control = self.registers.control1.get();
        let reset = CONTROL1::SRST_CMD::SET + CONTROL1::SRST_DATA::SET;
        self.write(|registers| &registers.control1, reset.modify(control));
        let _stuck = self.settle(|registers| !registers.control1.any_matching_bits_set(reset));
        self.write(|registers| &registers.interrupt, u32::MAX);
    }

    /// The divisor for a clock of at most `most_hz`, halved, and the clock that comes of it.
    fn divide(&self, most_hz: u32) -> (u32, u32) {
        const MOST: u32 = 0x3ff;
        if self.base_hz <= most_hz {
            return (0, self.base_hz);
        }
        let half = self.base_hz.div_ceil(2 * most_hz.max(1)).min(MOST);
        (half, self.base_hz / (2 * half))
    }
}

impl<P: Pace> Host for Sdhci<P> {
    fn reset(&mut self) -> Result<(), HostError> {
        if self.powered_until_us.is_none() {
            self.begin_reset()?;
        }
        let ready = self.powered_until_us.take().unwrap_or(0);
        let left = ready.saturating_sub(self.pace.now_us());
        if left > 0 {
            self.pace.pause_us(u32::try_from(left).unwrap_or(POWER_UP_US));
        }
        Ok(())
    }

    fn set_clock(&mut self, most_hz: u32, high_speed: bool) -> Result<(), HostError> {
        let control = self.registers.control1.get();
        // It stops: the writes that follow, three of them to one register, have the time of writes without a clock.
        self.clock_hz = 0;
        self.write(|registers| &registers.control1, CONTROL1::CLK_EN::CLEAR.modify(control));
        if self.chip == Chip::Emmc2 {
            let timing = if high_speed { CONTROL0::HCTL_HS_EN::SET } else { CONTROL0::HCTL_HS_EN::CLEAR };
            let control = timing.modify(self.registers.control0.get());
            self.write(|registers| &registers.control0, control);
        }
        let (half, clock_hz) = self.divide(most_hz);
        let timeout = clock::timeout(&self.registers, self.chip, clock_hz);
        let clock = CONTROL1::DATA_TOUNIT.val(timeout)
            + CONTROL1::CLK_FREQ8.val(half & 0xff)
            + CONTROL1::CLK_FREQ_MS2.val(half >> 8)
            + CONTROL1::CLK_INTLEN::SET;
        self.write(|registers| &registers.control1, clock.into());
        self.settle(|registers| registers.control1.is_set(CONTROL1::CLK_STABLE))?;
        self.write(|registers| &registers.control1, (clock + CONTROL1::CLK_EN::SET).into());
        self.clock_hz = clock_hz;
        Ok(())
    }

    fn set_bus_width(&mut self, width: BusWidth) {
        let lines = match width {
            BusWidth::One => CONTROL0::HCTL_DWIDTH::CLEAR,
            BusWidth::Four => CONTROL0::HCTL_DWIDTH::SET,
        };
        let control = lines.modify(self.registers.control0.get());
        self.write(|registers| &registers.control0, control);
    }

    fn command(&mut self, command: Command, data: Data<'_>) -> Result<Response, HostError> {
        self.transfer(command, data)
    }

    /// The block count has 16 bits.
    fn most_blocks(&self) -> usize {
        0xffff
    }

    fn now_us(&mut self) -> u64 {
        self.pace.now_us()
    }

    fn pause_us(&mut self, us: u32) {
        self.pace.pause_us(us);
    }
}
