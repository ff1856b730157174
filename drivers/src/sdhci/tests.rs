mod dma;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::{Chip, Pace, Sdhci, SdhciInterrupt, SdhciRegisters};
use crate::mmio::fake::{Access, FakeDevice, FakeRegisters};
use crate::sd::{BusWidth, Command, Data, Host, HostError, Reply, Response};

const BLKSIZECNT: usize = 0x04;
const ARG1: usize = 0x08;
const CMDTM: usize = 0x0c;
const RESP0: usize = 0x10;
const DATA: usize = 0x20;
const STATUS: usize = 0x24;
const CONTROL0: usize = 0x28;
const CONTROL1: usize = 0x2c;
const INTERRUPT: usize = 0x30;
const IRPT_MASK: usize = 0x34;
const IRPT_EN: usize = 0x38;
const CONTROL2: usize = 0x3c;

/// What happens during a sleep.
type Happening = Rc<RefCell<Option<Box<dyn FnMut()>>>>;

/// A clock that goes on by itself, and a sleep that something may happen in.
#[derive(Clone, Default)]
struct FakePace {
    now_us: Rc<Cell<u64>>,
    paused_us: Rc<Cell<u64>>,
    armed: Rc<Cell<bool>>,
    sleeps: Rc<Cell<u32>>,
    asleep: Happening,
}

impl Pace for FakePace {
    fn now_us(&mut self) -> u64 {
        self.now_us.set(self.now_us.get() + 1);
        self.now_us.get()
    }

    fn pause_us(&mut self, us: u32) {
        self.now_us.set(self.now_us.get() + u64::from(us));
        self.paused_us.set(self.paused_us.get() + u64::from(us));
    }

    fn arm(&mut self) {
        self.armed.set(true);
    }

    fn sleep_until(&mut self, deadline_us: u64) {
        assert!(self.armed.replace(false), "an interrupt before the sleep would be lost");
        self.sleeps.set(self.sleeps.get() + 1);
        match &mut *self.asleep.borrow_mut() {
            Some(happening) => happening(),
            None => self.now_us.set(deadline_us),
        }
    }
}

/// What the device does by itself: resets end, the clock is stable, events are taken back by writing ones.
#[derive(Clone, Default)]
struct Behaviour {
    events: Rc<Cell<u32>>,
    /// What each command leads to.
    answers: Rc<RefCell<Vec<u32>>>,
    /// Words to be read, and how many of them make a block.
    words: Rc<RefCell<std::collections::VecDeque<u32>>>,
    written: Rc<RefCell<Vec<u32>>>,
}

impl Behaviour {
    fn act(&self, registers: &FakeRegisters, offset: usize, access: Access) {
        match (offset, access) {
            (CONTROL1, Access::Write(value)) => registers.set(CONTROL1, value & 0x00ff_ffff | (value & 1) << 1),
            (CMDTM, Access::Write(_)) => {
                let mut answers = self.answers.borrow_mut();
                let events = if answers.is_empty() { 1 } else { answers.remove(0) };
                self.events.set(self.events.get() | events);
            }
            (INTERRUPT, Access::Write(value)) => self.events.set(self.events.get() & !value),
            (STATUS, Access::Read) => {
                let readable = u32::from(!self.words.borrow().is_empty()) << 11;
                registers.set(STATUS, registers.get(STATUS) & !(3 << 10) | readable | 1 << 10);
            }
            (DATA, Access::Read) => {
                let mut words = self.words.borrow_mut();
                registers.set(DATA, words.pop_front().expect("no more words than there are"));
                if words.is_empty() {
                    self.events.set(self.events.get() | 2);
                }
            }
            (DATA, Access::Write(value)) => self.written.borrow_mut().push(value),
            _ => {}
        }
        registers.set(INTERRUPT, self.events.get());
    }
}

struct Bench {
    device: FakeDevice<SdhciRegisters>,
    host: Sdhci<FakePace>,
    pace: FakePace,
    behaviour: Behaviour,
}

fn bench(chip: Chip, base_hz: u32) -> Bench {
    let device = FakeDevice::new();
    let (pace, behaviour) = (FakePace::default(), Behaviour::default());
    let acting = behaviour.clone();
    device.script(move |registers, offset, access| acting.act(registers, offset, access));
    let host = Sdhci::new(device.mmio(), chip, base_hz, pace.clone());
    Bench { device, host, pace, behaviour }
}

/// One that has been reset and runs at full speed.
fn running() -> Bench {
    let mut bench = bench(Chip::Arasan, 50_000_000);
    assert_eq!(bench.host.reset(), Ok(()));
    assert_eq!(bench.host.set_clock(25_000_000, false), Ok(()));
    bench.device.writes();
    bench.pace.paused_us.set(0);
    bench
}

const fn command(index: u8, reply: Reply) -> Command {
    Command { index, argument: 0, reply }
}

#[test]
fn a_reset_ends_with_a_slow_clock_power_and_no_signals() {
    let mut bench = bench(Chip::Emmc2, 100_000_000);
    assert_eq!(bench.host.reset(), Ok(()));
    let timeout = 14 << 16;
    let expected = [
        (CONTROL1, 1 << 24),
        (CONTROL0, 0xf00),
        (CONTROL2, 0),
        (IRPT_EN, 0),
        (IRPT_MASK, 0x01ff_0033),
        (INTERRUPT, u32::MAX),
        (CONTROL1, 0),
        (CONTROL0, 0xf00),
        (CONTROL1, timeout | 125 << 8 | 1),
        (CONTROL1, timeout | 125 << 8 | 0b101),
    ];
    assert_eq!(bench.device.writes(), expected);
    assert!(bench.pace.paused_us.get() >= 11_185 + 10 * 10, "time for the supply, and after each write");
}

#[test]
fn a_reset_that_was_begun_waits_for_what_is_left_and_only_once() {
    let mut bench = bench(Chip::Arasan, 100_000_000);
    assert_eq!(bench.host.begin_reset(), Ok(()));
    let begun = bench.device.writes();
    bench.pace.now_us.set(bench.pace.now_us.get() + 1_500);
    bench.pace.paused_us.set(0);
    assert_eq!((bench.host.reset(), bench.device.writes()), (Ok(()), vec![]));
    assert!((1..=500).contains(&bench.pace.paused_us.get()), "of two milliseconds");
    assert_eq!((bench.host.reset(), bench.device.writes()), (Ok(()), begun));
    assert_eq!(bench.host.begin_reset(), Ok(()));
    bench.pace.now_us.set(bench.pace.now_us.get() + 5_000);
    bench.pace.paused_us.set(0);
    assert_eq!((bench.host.reset(), bench.pace.paused_us.get()), (Ok(()), 0));
}

#[test]
fn a_clock_is_never_faster_than_asked_and_ten_bits_divide_it() {
    let cases = [
        (250_000_000, 400_000, 313),
        (250_000_000, 25_000_000, 5),
        (250_000_000, 50_000_000, 3),
        (100_000_000, 50_000_000, 1),
        (50_000_000, 50_000_000, 0),
        (50_000_000, 400_000, 63),
    ];
    for (base_hz, most_hz, half) in cases {
        let mut bench = bench(Chip::Arasan, base_hz);
        assert_eq!(bench.host.set_clock(most_hz, false), Ok(()));
        let control = bench.device.get(CONTROL1);
        assert_eq!(control >> 8 & 0xff | (control >> 6 & 3) << 8, half, "{base_hz} to {most_hz}");
    }
}

#[test]
fn only_emmc2_has_the_timing_of_high_speed() {
    for (chip, bit) in [(Chip::Arasan, 0), (Chip::Emmc2, 1 << 2)] {
        let mut bench = bench(chip, 100_000_000);
        assert_eq!(bench.host.set_clock(50_000_000, true), Ok(()));
        assert_eq!(bench.device.get(CONTROL0), bit);
        bench.host.set_bus_width(BusWidth::Four);
        assert_eq!(bench.device.get(CONTROL0), bit | 1 << 1);
        bench.host.set_bus_width(BusWidth::One);
        assert_eq!(bench.host.set_clock(25_000_000, false), Ok(()));
        assert_eq!(bench.device.get(CONTROL0), 0);
    }
}

#[test]
fn writes_are_followed_by_time_while_the_clock_is_slow_only() {
    let mut bench = running();
    assert_eq!(bench.host.command(command(13, Reply::Short), Data::None), Ok(Response::Short(0)));
    assert_eq!(bench.pace.paused_us.get(), 0);
    assert_eq!(bench.host.set_clock(400_000, false), Ok(()));
    bench.device.writes();
    bench.pace.paused_us.set(0);
    assert_eq!(bench.host.command(command(13, Reply::Short), Data::None), Ok(Response::Short(0)));
    assert_eq!(bench.pace.paused_us.get(), bench.device.writes().len() as u64 * 10);
}

#[test]
fn writes_that_change_a_fast_clock_are_followed_by_time() {
    let mut bench = running();
    assert_eq!(bench.host.set_clock(50_000_000, false), Ok(()));
    let writes = bench.device.writes();
    assert!(writes.len() == 3 && writes.iter().all(|write| write.0 == CONTROL1));
    assert_eq!(bench.pace.paused_us.get(), 3 * 10);
}

#[test]
fn a_command_is_one_word_behind_its_argument() {
    let words = [
        (0, Reply::None, 0),
        (8, Reply::Short, 0x081a_0000),
        (55, Reply::Short, 0x371a_0000),
        (41, Reply::Plain, 0x2902_0000),
        (2, Reply::Long, 0x0209_0000),
        (3, Reply::Short, 0x031a_0000),
    ];
    for (index, reply, word) in words {
        let mut bench = running();
        let sent = Command { index, argument: 0x1aa, reply };
        assert!(bench.host.command(sent, Data::None).is_ok());
        let expected = [(INTERRUPT, u32::MAX), (ARG1, 0x1aa), (CMDTM, word), (INTERRUPT, 1)];
        assert_eq!(bench.device.writes(), expected);
    }
}

#[test]
fn a_long_answer_is_put_together_from_bit_8_on() {
    let mut bench = running();
    for (index, word) in [0x4433_2211, 0x8877_6655, 0xccbb_aa99, 0x00ff_eedd].into_iter().enumerate() {
        bench.device.set(RESP0 + 4 * index, word);
    }
    let response = bench.host.command(command(9, Reply::Long), Data::None);
    assert_eq!(response, Ok(Response::Long(0xffee_ddcc_bbaa_9988_7766_5544_3322_1100)));
}

#[test]
fn blocks_are_read_through_the_data_port() {
    let mut bench = running();
    bench.behaviour.words.borrow_mut().extend((0..256).map(|word| word * 0x0101_0101));
    let mut into = [0; 1024];
    let response = bench.host.command(command(18, Reply::Short), Data::Read { block: 512, into: &mut into });
    assert_eq!(response, Ok(Response::Short(0)));
    assert!(into.chunks(4).zip(0..=255).all(|(word, number)| word == [number; 4]));
    let writes = bench.device.writes();
    assert_eq!(writes[1..4], [(BLKSIZECNT, 2 << 16 | 512), (ARG1, 0), (CMDTM, 0x123a_0032)]);
    assert_eq!(bench.pace.sleeps.get(), 0, "all was there");
}

#[test]
fn blocks_are_written_through_the_data_port() {
    let mut bench = running();
    bench.behaviour.answers.borrow_mut().push(0b11);
    let from: Vec<u8> = (0..=255).cycle().take(512).collect();
    let response = bench.host.command(command(24, Reply::Short), Data::Write { block: 512, from: &from });
    assert_eq!(response, Ok(Response::Short(0)));
    let written: Vec<u8> = bench.behaviour.written.borrow().iter().flat_map(|word| word.to_le_bytes()).collect();
    assert_eq!(written, from);
    assert_eq!(bench.device.writes()[1..4], [(BLKSIZECNT, 1 << 16 | 512), (ARG1, 0), (CMDTM, 0x183a_0000)]);
}

#[test]
fn a_busy_card_is_waited_for_asleep_with_the_signal_on() {
    let mut bench = running();
    let events = Rc::clone(&bench.behaviour.events);
    let interrupt = SdhciInterrupt::new(bench.device.mmio());
    let signals = bench.device.mmio();
    *bench.pace.asleep.borrow_mut() = Some(Box::new(move || {
        use tock_registers::interfaces::Readable;
        assert_eq!(signals.irpt_en.get(), 0x01ff_0002);
        assert!(!interrupt.quiet(), "nothing has happened: not its interrupt");
        events.set(events.get() | 2);
        assert!(interrupt.quiet());
        assert_eq!(signals.irpt_en.get(), 0);
    }));
    assert_eq!(bench.host.command(command(7, Reply::Busy), Data::None), Ok(Response::Short(0)));
    assert_eq!((bench.pace.sleeps.get(), bench.device.get(IRPT_EN)), (1, 0));
}

#[test]
fn every_error_has_its_name_and_leaves_the_controller_ready() {
    let errors = [
        (1 << 16, HostError::CommandTimeout),
        (1 << 17, HostError::CommandCrc),
        (1 << 18, HostError::CommandFrame),
        (1 << 19, HostError::CommandFrame),
        (1 << 20, HostError::DataTimeout),
        (1 << 21, HostError::DataCrc),
        (1 << 22, HostError::DataFrame),
        (1 << 24, HostError::Other(1 << 24)),
    ];
    for (bits, error) in errors {
        let mut bench = running();
        bench.behaviour.answers.borrow_mut().push(bits);
        let mut into = [0; 512];
        let outcome = bench.host.command(command(17, Reply::Short), Data::Read { block: 512, into: &mut into });
        assert_eq!(outcome, Err(error));
        let resets =
            bench.device.writes().iter().filter(|write| write.0 == CONTROL1 && write.1 & 6 << 24 == 6 << 24).count();
        assert_eq!((resets, bench.behaviour.events.get()), (1, 0));
        assert_eq!(bench.host.command(command(13, Reply::Short), Data::None), Ok(Response::Short(0)));
    }
}

#[test]
fn what_never_happens_is_not_waited_for_for_ever() {
    // No answer, no data, no end of data.
    for answers in [0, 1] {
        let mut bench = running();
        bench.behaviour.answers.borrow_mut().push(answers);
        let mut into = [0; 512];
        let outcome = bench.host.command(command(17, Reply::Short), Data::Read { block: 512, into: &mut into });
        assert_eq!(outcome, Err(HostError::Stuck));
        assert_eq!((bench.pace.sleeps.get(), bench.device.get(IRPT_EN)), (1, 0));
        assert!(bench.pace.now_us.get() < 2_000_000);
    }
    // A line that stays in use, a reset that does not end, a clock that is never stable.
    let mut bench = running();
    bench.device.set(STATUS, 1);
    assert_eq!(bench.host.command(command(13, Reply::Short), Data::None), Err(HostError::Stuck));
    let device = FakeDevice::new();
    let mut dead = Sdhci::new(device.mmio(), Chip::Arasan, 50_000_000, FakePace::default());
    assert_eq!(dead.reset(), Err(HostError::Stuck));
    assert_eq!(dead.set_clock(400_000, false), Err(HostError::Stuck));
}

#[test]
fn a_card_that_programs_for_seconds_is_waited_for() {
    let mut bench = running();
    let (events, now_us) = (Rc::clone(&bench.behaviour.events), Rc::clone(&bench.pace.now_us));
    *bench.pace.asleep.borrow_mut() = Some(Box::new(move || {
        now_us.set(now_us.get() + 1_000_000);
        events.set(events.get() | if now_us.get() > 3_000_000 { 2 } else { 0 });
    }));
    let outcome = bench.host.command(command(24, Reply::Short), Data::Write { block: 512, from: &[0; 512] });
    assert_eq!((outcome, bench.pace.sleeps.get()), (Ok(Response::Short(0)), 3));
    *bench.pace.asleep.borrow_mut() = None;
    bench.pace.now_us.set(0);
    let outcome = bench.host.command(command(24, Reply::Short), Data::Write { block: 512, from: &[0; 512] });
    assert_eq!((outcome, bench.pace.now_us.get() < 8_000_000), (Err(HostError::Stuck), true));
}

#[test]
fn a_stop_is_sent_though_the_data_lines_are_in_use_and_nothing_else_is() {
    let mut bench = running();
    bench.device.set(STATUS, 1 << 1);
    bench.behaviour.answers.borrow_mut().push(0b11);
    assert_eq!(bench.host.command(command(12, Reply::Busy), Data::None), Ok(Response::Short(0)));
    assert_eq!(bench.host.command(command(13, Reply::Short), Data::None), Ok(Response::Short(0)));
    assert_eq!(bench.host.command(command(7, Reply::Busy), Data::None), Err(HostError::Stuck));
}
