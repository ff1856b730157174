use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use super::*;
use crate::mmio::fake::{Access, FakeDevice};

const DR: usize = 0x00;
const FR: usize = 0x18;
const TXFF: u32 = 1 << 5;
const RXFE: u32 = 1 << 4;
const BUSY: u32 = 1 << 3;

fn uart() -> (FakeDevice<Pl011Registers>, Pl011) {
    let device = FakeDevice::new();
    let uart = Pl011::new(device.mmio());
    (device, uart)
}

/// A receive FIFO that holds `received`, as DR shows it.
fn receive(device: &FakeDevice<Pl011Registers>, received: &[u32]) {
    let fifo = Rc::new(RefCell::new(VecDeque::from(received.to_vec())));
    device.script(move |registers, offset, access| match (offset, access) {
        (FR, Access::Read) => registers.set(FR, if fifo.borrow().is_empty() { RXFE } else { 0 }),
        (DR, Access::Read) => registers.set(DR, fifo.borrow_mut().pop_front().unwrap_or(0xdead)),
        _ => {}
    });
}

#[test]
fn initialisation_follows_the_manual_in_order() {
    let (device, mut uart) = uart();
    assert_eq!(uart.init(48_000_000, 115_200), Ok(()));
    let expected = [
        (0x30, 0),
        (0x44, 0x7ff),
        (0x48, 0),
        (0x24, 26),
        (0x28, 3),
        (0x2c, 0x70),
        (0x34, 0x12),
        (0x38, 0x50),
        (0x30, 0x301),
    ];
    assert_eq!(device.writes(), expected);
}

#[test]
fn initialisation_waits_for_the_last_byte_of_firmware_but_not_for_ever() {
    let (device, mut uart) = uart();
    let mut polls = 0;
    device.script(move |registers, offset, access| match (offset, access) {
        (FR, Access::Read) => {
            polls += 1;
            registers.set(FR, if polls < 10 { BUSY } else { 0 });
        }
        (0x30, Access::Write(0)) => assert_eq!(polls, 10, "the transmitter was cut off"),
        _ => {}
    });
    assert_eq!(uart.init(48_000_000, 115_200), Ok(()));
    assert_eq!(device.get(0x30), 0x301);
}

#[test]
fn divisors_are_rounded_to_the_nearest_64th() {
    let parts = |clock, baud| divisor(clock, baud).map(|divisor| (divisor.integer, divisor.fraction));
    assert_eq!(parts(48_000_000, 115_200), Ok((26, 3)));
    assert_eq!(parts(3_000_000, 115_200), Ok((1, 40)));
    assert_eq!(parts(48_000_000, 3_000_000), Ok((1, 0)));
    assert_eq!(parts(48_000_000, 9_600), Ok((312, 32)));
}

#[test]
fn a_speed_out_of_reach_is_refused_before_anything_is_touched() {
    let (device, mut uart) = uart();
    for (clock_hz, baud) in [(48_000_000, 0), (48_000_000, 45), (48_000_000, 4_000_000), (0, 115_200), (u32::MAX, 1)] {
        assert_eq!(uart.init(clock_hz, baud), Err(BadBaudRate { clock_hz, baud }));
    }
    assert_eq!(device.writes(), []);
}

#[test]
fn a_byte_waits_for_room_in_the_fifo() {
    let (device, uart) = uart();
    let mut full_for = 5;
    device.script(move |registers, offset, access| {
        if (offset, access) == (FR, Access::Read) {
            registers.set(FR, if full_for > 0 { TXFF } else { 0 });
            full_for -= 1;
        }
    });
    assert_eq!(uart.write_byte(b'x'), Ok(()));
    assert_eq!(device.writes(), [(DR, u32::from(b'x'))]);
}

#[test]
fn a_transmitter_that_stands_still_is_given_up() {
    let (device, uart) = uart();
    device.set(FR, TXFF | BUSY);
    assert!(!uart.try_write_byte(b'x'));
    assert_eq!(uart.drain(Polls::new(10)), Err(Timeout));
    // The full budget takes long under Miri, and bounds are checked there no better than here.
    if !cfg!(miri) {
        assert_eq!(uart.write_byte(b'x'), Err(Timeout));
    }
    assert_eq!(device.writes(), []);
}

#[test]
fn input_is_read_until_the_fifo_is_empty() {
    let (device, uart) = uart();
    receive(&device, b"ls\r".map(u32::from).as_slice());
    let line: Vec<_> = std::iter::from_fn(|| uart.read_byte()).collect();
    assert_eq!(line, [Ok(b'l'), Ok(b's'), Ok(b'\r')]);
}

#[test]
fn each_error_is_reported_with_its_byte() {
    let (device, uart) = uart();
    receive(&device, &[0x841, 0x500, 0x1ff, 0x255, 0x041]);
    let received: Vec<_> = std::iter::from_fn(|| uart.read_byte()).collect();
    let expected = [
        Err(RxError::Overrun(0x41)),
        Err(RxError::Break(0)),
        Err(RxError::Framing(0xff)),
        Err(RxError::Parity(0x55)),
        Ok(0x41),
    ];
    assert_eq!(received, expected);
}

#[test]
fn interrupts_are_shown_masked_and_acknowledged_one_by_one() {
    let (device, uart) = uart();
    device.set(0x40, 0x7ff);
    assert_eq!(uart.pending(), Interrupts::all());
    device.set(0x40, 1 << 6);
    assert_eq!(uart.pending(), Interrupts::RECEIVE_TIMEOUT);
    uart.acknowledge(Interrupts::RECEIVE_TIMEOUT);
    uart.unmask_only(Interrupts::empty());
    assert_eq!(device.writes(), [(0x44, 1 << 6), (0x38, 0)]);
}

const TXFE: u32 = 1 << 7;
const RXFF: u32 = 1 << 6;
/// The flags after a reset.
const IDLE: u32 = TXFE | RXFE;

#[test]
fn a_sender_masks_its_interrupts_and_needs_no_receiver() {
    let (device, mut uart) = uart();
    device.set(FR, IDLE);
    assert_eq!(uart.init_sender(48_000_000, 115_200), Ok(()));
    let expected = [
        (0x30, 0),
        (0x44, 0x7ff),
        (0x48, 0),
        (0x24, 26),
        (0x28, 3),
        (0x2c, 0x70),
        (0x34, 0x12),
        (0x38, 0),
        (0x30, 0x101),
    ];
    assert_eq!(device.writes(), expected);
    assert!(uart.try_write_byte(b'x'));
    assert_eq!(device.writes(), [(DR, u32::from(b'x'))]);
}

#[test]
fn what_has_impossible_flags_is_no_pl011_and_is_not_written_to() {
    for flags in [0, u32::MAX, TXFE | TXFF | RXFE, TXFE | RXFE | RXFF, TXFF, RXFE] {
        let (device, mut uart) = uart();
        device.set(FR, flags);
        assert_eq!(uart.init_sender(48_000_000, 115_200), Err(NoSender::NoPl011), "{flags:#x}");
        assert_eq!(device.writes(), []);
    }
    for flags in [IDLE, TXFE, TXFE | RXFF, TXFF | BUSY | RXFE, BUSY | RXFE, TXFE | BUSY] {
        assert!(are_possible(flags), "{flags:#x}");
    }
}

#[test]
fn what_does_not_keep_its_divisor_is_no_pl011() {
    for lost in [0x24, 0x28, 0x30] {
        let (device, mut uart) = uart();
        device.set(FR, IDLE);
        device.script(move |registers, offset, access| {
            if (offset, access) == (lost, Access::Read) {
                registers.set(lost, 0);
            }
        });
        assert_eq!(uart.init_sender(48_000_000, 115_200), Err(NoSender::NoPl011), "{lost:#x}");
    }
}

#[test]
fn a_sender_refuses_a_speed_out_of_reach_before_anything_is_touched() {
    let (device, mut uart) = uart();
    device.set(FR, IDLE);
    let refused = BadBaudRate { clock_hz: 1_000, baud: 115_200 };
    assert_eq!(uart.init_sender(1_000, 115_200), Err(NoSender::Baud(refused)));
    assert_eq!(device.writes(), []);
}
