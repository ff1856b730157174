//! Firmware that answers as QEMU or a board does, behind caches that really keep stale data: a forgotten clean or
//! invalidate fails here, as it would on a board.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::*;
use crate::gpio::Level;
use crate::mailbox::tags::{
    ArmMemory, BoardRevision, BoardSerial, ClockId, ClockRate, ExpanderLine, FirmwareRevision, GetExpander, GetPower,
    MacAddress, MaxClockRate, MeasuredClockRate, MemoryRange, Power, PowerDevice, SetExpander, SetPower, StartClock,
    Temperature, Throttled, Throttling,
};
use crate::mailbox::{MailboxRegisters, MessageBuffer};
use crate::mmio::fake::{Access, FakeDevice};
use crate::wait::Polls;

const ADDRESS: u32 = 0x0010_0040;
const POLLS: Polls = Polls::new(4);

type Memory = Rc<RefCell<Vec<u32>>>;

/// A buffer of which the CPU sees a cached copy.
struct CachedBuffer {
    address: u32,
    cache: Vec<u32>,
    memory: Memory,
}

impl MessageBuffer for CachedBuffer {
    fn physical_address(&self) -> u32 {
        self.address
    }
    fn words(&mut self) -> &mut [u32] {
        &mut self.cache
    }
    fn clean(&mut self) {
        self.memory.borrow_mut().clone_from(&self.cache);
    }
    fn invalidate(&mut self) {
        self.cache.clone_from(&self.memory.borrow());
    }
}

/// What firmware makes of a tag's value: the length that it answers, if it knows the tag.
type Firmware = fn(tag: u32, value: &mut [u32]) -> Option<u32>;

/// A channel to `firmware` through a buffer of `words`.
fn channel(words: usize, firmware: Firmware) -> (FakeDevice<MailboxRegisters>, PropertyChannel<CachedBuffer>) {
    let memory: Memory = Rc::new(RefCell::new(vec![0xdead_beef; words]));
    let device = FakeDevice::new();
    let answer = Cell::new(None);
    let shared = Rc::clone(&memory);
    device.script(move |registers, offset, access| match (offset, access) {
        (0x18, Access::Read) => registers.set(0x18, if answer.get().is_none() { 1 << 30 } else { 0 }),
        (0x00, Access::Read) => registers.set(0x00, answer.take().unwrap_or(0)),
        (0x20, Access::Write(word)) => {
            assert_eq!(word, 0xc000_0000 | ADDRESS | 8);
            play(&mut shared.borrow_mut(), firmware);
            answer.set(Some(word));
        }
        _ => {}
    });
    let mailbox = Mailbox::new(device.mmio());
    let buffer = CachedBuffer { address: ADDRESS, cache: vec![0xdead_beef; words], memory };
    (device, PropertyChannel::new(mailbox, buffer))
}

fn play(message: &mut [u32], firmware: Firmware) {
    let value_words = usize::try_from(message[3]).expect("a length fits") / 4;
    let well_formed = message[1] == 0
        && message[4] == 0
        && usize::try_from(message[0]) == Ok(4 * (value_words + 6))
        && message.get(5 + value_words) == Some(&0);
    if !well_formed {
        message[1] = 0x8000_0001;
        return;
    }
    let tag = message[2];
    if let Some(length) = firmware(tag, &mut message[5..5 + value_words]) {
        message[4] = 0x8000_0000 | length;
    }
    message[1] = 0x8000_0000;
}

/// QEMU 10's raspi4b, so far as the tests ask it.
fn qemu(tag: u32, value: &mut [u32]) -> Option<u32> {
    match tag {
        0x0_0001 => value[0] = 346_337,
        0x1_0002 => value[0] = 0xb0_3115,
        0x1_0003 => {
            (value[0], value[1]) = (0x1200_5452, 0x5734);
            return Some(6);
        }
        0x1_0004 => value.fill(0),
        0x1_0005 => (value[0], value[1]) = (0, 0x3c00_0000),
        0x3_0002 if value[0] == 2 => value[1] = 3_000_000,
        0x3_0002 | 0x3_0004 => value[1] = 700_000_000,
        0x2_8001 => value[1] &= 1,
        0x3_0006 => value[1] = 25_000,
        0x3_0046 => value[0] = 0,
        _ => return Some(0),
    }
    u32::try_from(4 * value.len()).ok()
}

#[test]
fn every_question_that_qemu_answers_is_understood() {
    let (_device, mut channel) = channel(16, qemu);
    assert_eq!(channel.ask(&FirmwareRevision, POLLS), Ok(346_337));
    assert_eq!(channel.ask(&BoardRevision, POLLS), Ok(0xb0_3115));
    assert_eq!(channel.ask(&BoardSerial, POLLS), Ok(0));
    assert_eq!(channel.ask(&ArmMemory, POLLS), Ok(MemoryRange { base: 0, size: 0x3c00_0000 }));
    assert_eq!(channel.ask(&ClockRate(ClockId::UART), POLLS), Ok(3_000_000));
    assert_eq!(channel.ask(&MaxClockRate(ClockId::ARM), POLLS), Ok(700_000_000));
    assert_eq!(channel.ask(&Temperature, POLLS), Ok(25_000));
    assert_eq!(channel.ask(&Throttled, POLLS), Ok(Throttling::empty()));
    assert_eq!(channel.ask(&SetPower(PowerDevice::USB, Power::On), POLLS), Ok(Power::On));
}

#[test]
fn tags_that_qemu_answers_with_nothing_are_unhandled() {
    let (_device, mut channel) = channel(16, qemu);
    assert_eq!(channel.ask(&GetPower(PowerDevice::USB), POLLS), Err(PropertyError::Unhandled { tag: 0x2_0001 }));
    let set = SetExpander(ExpanderLine::SD_POWER, Level::High);
    assert_eq!(channel.ask(&set, POLLS), Err(PropertyError::Unhandled { tag: 0x3_8041 }));
}

#[test]
fn a_clock_that_firmware_set_up_by_itself_has_no_rate_and_can_be_measured() {
    // Firmware of 2022: zero for what nobody has set through the mailbox.
    let (_device, mut channel) = channel(16, |tag, value| {
        match (tag, value[0]) {
            (0x3_0002, 12) => value[1] = 0,
            (0x3_0047, 12) => value[1] = 99_999_728,
            (0x3_8001, 12) => assert_eq!(value[1], 1),
            (0x3_8001, _) => value[1] = 0b10,
            other => panic!("{other:x?}"),
        }
        Some(8)
    });
    let unhandled = |tag| Err(PropertyError::Unhandled { tag });
    assert_eq!(channel.ask(&ClockRate(ClockId::EMMC2), POLLS), unhandled(0x3_0002));
    assert_eq!(channel.ask(&MeasuredClockRate(ClockId::EMMC2), POLLS), Ok(99_999_728));
    assert_eq!(channel.ask(&StartClock(ClockId::EMMC2), POLLS), Ok(()));
    assert_eq!(channel.ask(&StartClock(ClockId(99)), POLLS), unhandled(0x3_8001).map(|_: u32| ()));
}

#[test]
fn a_tag_that_a_board_does_not_mark_as_answered_is_unhandled() {
    let (_device, mut channel) = channel(16, |_, _| None);
    assert_eq!(channel.ask(&BoardRevision, POLLS), Err(PropertyError::Unhandled { tag: 0x1_0002 }));
    assert_eq!(channel.command_line(&mut [0; 8], POLLS), Err(PropertyError::Unhandled { tag: 0x5_0001 }));
}

#[test]
fn a_mac_address_of_six_bytes_is_whole() {
    let (_device, mut channel) = channel(16, qemu);
    assert_eq!(channel.ask(&MacAddress, POLLS), Ok([0x52, 0x54, 0x00, 0x12, 0x34, 0x57]));
}

#[test]
fn the_expander_is_asked_by_its_firmware_number() {
    let (_device, mut channel) = channel(16, |tag, value| {
        match (tag, value[0]) {
            (0x3_0041, 132) => (value[0], value[1]) = (0, 1),
            (0x3_8041, 134) => {
                assert_eq!(value[1], 1);
                value[0] = 0;
            }
            _ => {}
        }
        Some(8)
    });
    assert_eq!(channel.ask(&GetExpander(ExpanderLine::SD_IO_VOLTAGE), POLLS), Ok(Level::High));
    assert_eq!(channel.ask(&SetExpander(ExpanderLine::SD_POWER, Level::High), POLLS), Ok(()));
    let missing = ExpanderLine::new(7).expect("below 8");
    assert_eq!(channel.ask(&GetExpander(missing), POLLS), Err(PropertyError::Unhandled { tag: 0x3_0041 }));
}

#[test]
fn a_device_that_does_not_exist_has_no_power_state() {
    let (_device, mut channel) = channel(16, |_, value| {
        assert_eq!(value[0], 9);
        value[1] = 0b10;
        Some(8)
    });
    let device = PowerDevice(9);
    assert_eq!(channel.ask(&GetPower(device), POLLS), Err(PropertyError::Unhandled { tag: 0x2_0001 }));
    assert_eq!(channel.ask(&SetPower(device, Power::Off), POLLS), Err(PropertyError::Unhandled { tag: 0x2_8001 }));
}

#[test]
fn a_switch_of_power_waits_for_it_to_be_stable() {
    let (_device, mut channel) = channel(16, |_, value| {
        assert_eq!(*value, [3, 0b11]);
        value[1] = 1;
        Some(8)
    });
    assert_eq!(channel.ask(&SetPower(PowerDevice::USB, Power::On), POLLS), Ok(Power::On));
}

/// Answers "quiet init=/bin/sh", with as much as fits, and counts as a board does.
fn command_line_of_a_board(tag: u32, value: &mut [u32]) -> Option<u32> {
    assert_eq!(tag, 0x5_0001);
    let line = b"quiet init=/bin/sh\0";
    for (word, bytes) in value.iter_mut().zip(line.chunks(4)) {
        let mut padded = [0; 4];
        padded[..bytes.len()].copy_from_slice(bytes);
        *word = u32::from_le_bytes(padded);
    }
    u32::try_from(line.len()).ok()
}

/// The same as QEMU does it: without the zero, and cut without a word.
fn command_line_of_qemu(tag: u32, value: &mut [u32]) -> Option<u32> {
    let length = command_line_of_a_board(tag, value)? - 1;
    Some(length.min(u32::try_from(4 * value.len()).ok()?))
}

#[test]
fn the_command_line_is_copied_without_its_end() {
    for firmware in [command_line_of_a_board, command_line_of_qemu] {
        let (_device, mut channel) = channel(32, firmware);
        assert_eq!(channel.command_line(&mut [0xff; 64], POLLS), Ok(b"quiet init=/bin/sh".as_slice()));
        assert_eq!(channel.command_line(&mut [0xff; 19], POLLS), Ok(b"quiet init=/bin/sh".as_slice()));
    }
}

#[test]
fn a_command_line_that_is_too_long_is_not_cut() {
    for firmware in [command_line_of_a_board, command_line_of_qemu] {
        for room in 0..18 {
            let (_device, mut channel) = channel(32, firmware);
            let mut line = vec![0; room];
            let outcome = channel.command_line(&mut line, POLLS);
            assert!(matches!(outcome, Err(PropertyError::AnswerTooLong { .. })), "{room} bytes: {outcome:?}");
        }
    }
}

#[test]
fn an_empty_command_line_is_an_answer() {
    let (_device, mut channel) = channel(16, |_, _| Some(0));
    assert_eq!(channel.command_line(&mut [0; 8], POLLS), Ok(b"".as_slice()));
}

#[test]
fn a_buffer_that_firmware_cannot_use_is_refused_before_the_doorbell() {
    let (device, mut channel) = channel(16, qemu);
    device.writes();
    for address in [ADDRESS + 16, 0x4000_0000] {
        channel.buffer.address = address;
        assert_eq!(channel.ask(&BoardRevision, POLLS), Err(PropertyError::BufferMisplaced { address }));
    }
    channel.buffer.address = ADDRESS;
    channel.buffer.cache.truncate(6);
    assert_eq!(channel.ask(&BoardRevision, POLLS), Err(PropertyError::BufferTooSmall { words: 6 }));
    assert_eq!(device.writes(), []);
}

#[test]
fn firmware_that_is_silent_or_confused_is_an_error() {
    let (device, mut channel) = channel(16, qemu);
    device.script(|_, _, _| ());
    device.set(0x18, 1 << 30);
    assert_eq!(channel.ask(&BoardRevision, POLLS), Err(PropertyError::Timeout));
    let (_device, channel) = self::channel(16, qemu);
    channel.buffer.memory.borrow_mut().fill(0);
    // A buffer that forgets to write its lines back shows firmware an old message.
    let stale = StaleBuffer(channel.buffer);
    let mut channel = PropertyChannel::new(channel.mailbox, stale);
    assert_eq!(channel.ask(&BoardRevision, POLLS), Err(PropertyError::Rejected { code: 0x8000_0001 }));
}

/// A buffer whose `clean` does nothing.
struct StaleBuffer(CachedBuffer);

impl MessageBuffer for StaleBuffer {
    fn physical_address(&self) -> u32 {
        self.0.physical_address()
    }
    fn words(&mut self) -> &mut [u32] {
        self.0.words()
    }
    fn clean(&mut self) {}
    fn invalidate(&mut self) {
        self.0.invalidate();
    }
}
