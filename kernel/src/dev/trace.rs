//! Carrying the trace off: a thread that empties the rings into the mini-UART, an extra UART of a Pi 4, or the console
//! stream.

use core::fmt;
use core::time::Duration;

use drivers::extra_uart::ExtraUart;
use drivers::gpio::ReservedPin;
use drivers::mailbox::tags::{ClockId, ClockRate};
use drivers::mini_uart::MiniUart;
use drivers::pl011::{NoSender, Pl011};
use kcore::addr::CpuSet;
use kcore::boot::command_line::Trace;
use kcore::hal::Cpu;
use kcore::sched::Priority;

use super::irq::{self, Ipi};
use super::{clock, pins};
use crate::arch::cpu::Arm;
use crate::board::{self, videocore};
use crate::log::{console, println, trace};
use crate::mem::devices::{self, NoUart};
use crate::task::{self, SpawnError, Waiters};

defmt::timestamp!("{=u64:us}", clock::uptime_us());

/// Speed of a line of the trace's own in bits per second.
pub(crate) const BAUD: u32 = 115_200;
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

/// Why the trace cannot go where it should.
#[derive(Clone, Copy, Debug)]
pub(crate) enum NoLine {
    /// There is no such UART.
    Uart(NoUart),
    /// It cannot send.
    Sender(NoSender),
    /// Its pin carries something else.
    Pin(ReservedPin),
}

impl fmt::Display for NoLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uart(why) => why.fmt(f),
            Self::Sender(why) => why.fmt(f),
            Self::Pin(why) => why.fmt(f),
        }
    }
}

/// Sends the trace to `place` from now on, and says which extra UART that is, if it is one. An extra UART is set up before,
/// and keeps its pin afterwards. On an error the trace goes where it went.
pub(crate) fn send_to(place: Trace) -> Result<Option<ExtraUart>, NoLine> {
    let uart = extra_uart(place);
    if let Some(uart) = uart
        && trace::place() != place
    {
        // Their clock is the console's, so it runs.
        let clock_hz = board::uart_clock_hz().unwrap_or(console::DEFAULT_CLOCK_HZ);
        let mut line = Pl011::new(devices::extra_uart(uart).map_err(NoLine::Uart)?);
        line.init_sender(clock_hz, BAUD).map_err(NoLine::Sender)?;
        // The line is idle by now: the pin goes from a level that nobody drives to that of no byte.
        pins::route_sender(uart).map_err(NoLine::Pin)?;
    }
    trace::set_place(place);
    Ok(uart)
}

const fn extra_uart(place: Trace) -> Option<ExtraUart> {
    match place {
        Trace::Uart2 => Some(ExtraUart::Uart2),
        Trace::Uart3 => Some(ExtraUart::Uart3),
        Trace::Uart4 => Some(ExtraUart::Uart4),
        Trace::Uart5 => Some(ExtraUart::Uart5),
        Trace::Off | Trace::Uart1 | Trace::Console => None,
    }
}

fn carry() {
    let mut lines = Lines::new();
    let mut reported = 0;
    loop {
        PENDING.wait_while(trace::is_empty);
        trace::drain(|frame| match trace::place() {
            Trace::Off => {}
            Trace::Console => console::write_pieces(&[&[abi::trace::FRAME_START, abi::trace::FRAME_SYNC], frame]),
            line => lines.send(line, frame),
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

/// The lines of the trace's own, for the carrier.
struct Lines {
    mini: MiniUart,
    /// The one that was used last, through a second window: [`send_to`] has set it up.
    extra: Option<(ExtraUart, Pl011)>,
    /// The line that takes nothing: its records are dropped until the trace goes elsewhere.
    dead: Option<Trace>,
}

impl Lines {
    fn new() -> Self {
        let mut mini = MiniUart::new(devices::aux());
        let core_hz = videocore::ask(&ClockRate(ClockId::CORE)).unwrap_or(DEFAULT_CORE_HZ);
        let dead = mini.init(core_hz, BAUD).err().map(|_| Trace::Uart1);
        Self { mini, extra: None, dead }
    }

    fn send(&mut self, line: Trace, frame: &[u8]) {
        if self.dead == Some(line) {
            return;
        }
        let sent = match extra_uart(line) {
            Some(uart) => self.extra(uart).is_some_and(|extra| send(|byte| extra.try_write_byte(byte), frame)),
            None => send(|byte| self.mini.try_write_byte(byte), frame),
        };
        self.dead = None;
        if !sent {
            println!("trace: {} takes nothing; its records are dropped from now on", line.name());
            self.dead = Some(line);
        }
    }

    fn extra(&mut self, uart: ExtraUart) -> Option<&Pl011> {
        if self.extra.as_ref().is_none_or(|(open, _)| *open != uart) {
            self.extra = Some((uart, Pl011::new(devices::extra_uart(uart).ok()?)));
        }
        self.extra.as_ref().map(|(_, line)| line)
    }
}

/// Sends bytes by `try_write`, which says whether there was room. The mini-UART's FIFO has eight bytes, 0.7 ms of line time, a
/// PL011's more; the carrier sleeps while it is full. Says whether the line lives.
fn send(try_write: impl Fn(u8) -> bool, bytes: &[u8]) -> bool {
    for &byte in bytes {
        let mut sleeps = 0;
        while !try_write(byte) {
            if sleeps == SLEEPS {
                return false;
            }
            sleeps += 1;
            task::sleep(Duration::from_micros(500));
        }
    }
    true
}
