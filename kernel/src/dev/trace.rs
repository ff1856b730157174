//! Carrying the trace off: a thread that empties the rings into the mini-UART or the console stream.

use core::time::Duration;

use drivers::mailbox::tags::{ClockId, ClockRate};
use drivers::mini_uart::MiniUart;
use kcore::addr::CpuSet;
use kcore::hal::Cpu;
use kcore::sched::Priority;

use super::clock;
use super::irq::{self, Ipi};
use crate::arch::cpu::Arm;
use crate::board::videocore;
use crate::log::trace::{self, Mode};
use crate::log::{console, println};
use crate::mem::devices;
use crate::task::{self, SpawnError, Waiters};

defmt::timestamp!("{=u64:us}", clock::uptime_us());

/// Line speed of the mini-UART in bits per second.
const BAUD: u32 = 115_200;
/// The core clock when firmware does not name it: the Pi 3's with `enable_uart=1`.
const DEFAULT_CORE_HZ: u32 = 250_000_000;

static PENDING: Waiters = Waiters::new();

/// Starts the carrier.
pub(crate) fn init() -> Result<(), SpawnError> {
    irq::on_trace(|| {
        PENDING.wake_one();
    });
    trace::set_notify(notify);
    task::thread::spawn("trace", Priority::WORST, CpuSet::ALL, carry)?;
    Ok(())
}

/// Frames are written with any lock held, so nothing can be woken then: this CPU interrupts itself, and the handler wakes
/// the carrier once interrupts are on.
fn notify() {
    irq::send(CpuSet::only(Arm::id()), Ipi::Trace);
}

fn carry() {
    let mut uart = MiniUart::new(devices::aux());
    let core_hz = videocore::ask(&ClockRate(ClockId::CORE)).unwrap_or(DEFAULT_CORE_HZ);
    let mut line = uart.init(core_hz, BAUD).is_ok();
    let mut reported = 0;
    loop {
        PENDING.wait_while(trace::is_empty);
        trace::drain(|frame| match trace::mode() {
            Mode::Uart1 if line => line = send(&uart, frame),
            Mode::Console => console::write_pieces(&[&[abi::trace::FRAME_START, abi::trace::FRAME_SYNC], frame]),
            Mode::Uart1 | Mode::Off => {}
        });
        // Said in the stream itself, and only now: the rings have room again.
        let (_, lost) = trace::counts();
        if lost != reported {
            defmt::warn!("{=u32} records lost so far", lost);
            reported = lost;
        }
    }
}

/// How often the carrier sleeps for one byte: 100 ms, a thousand times what a byte takes.
const SLEEPS: u32 = 200;

/// The mini-UART's FIFO has eight bytes, 0.7 ms of line time; the carrier sleeps while it is full. Says whether the line
/// lives.
fn send(uart: &MiniUart, bytes: &[u8]) -> bool {
    for &byte in bytes {
        let mut sleeps = 0;
        while !uart.try_write_byte(byte) {
            if sleeps == SLEEPS {
                println!("trace: the mini-UART takes nothing; its records are dropped from now on");
                return false;
            }
            sleeps += 1;
            task::sleep(Duration::from_micros(500));
        }
    }
    true
}
