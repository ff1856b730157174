//! Text on the console's UART.
//!
//! Writers put bytes into a ring, under one lock, so that lines of several CPUs do not mix; what the FIFO cannot take
//! at once is sent by the transmit interrupt. Before interrupts are on, and when the ring is full, the writer waits
//! for the UART itself: nothing is ever lost, and no wait is without a bound.

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicBool, Ordering};

use drivers::pl011::{Interrupts, Pl011};
use drivers::serial::RxError;
use heapless::Deque;
use kcore::hal::Cpu;
use kcore::sync::{IrqGuard, IrqLock, Rank};

use crate::arch::cpu::{self, Arm};
use crate::mem::devices;

/// Bytes of output that can wait for the UART: a screenful.
const OUTPUT_RING: usize = 4096;
/// Bytes of input that can wait for a reader. When it is full the rest waits in the UART, and the sender with it where it
/// can be held up, as in QEMU; on a board, whose header has no RTS, the UART loses bytes then, and that is counted.
const INPUT_RING: usize = 4096;
/// From here down a full ring takes input again.
const INPUT_RESUME: usize = INPUT_RING / 2;
/// Line speed in bits per second.
pub(crate) const BAUD: u32 = 115_200;
/// The UART's clock when the mailbox does not say better: what firmware sets.
pub(crate) const DEFAULT_CLOCK_HZ: u32 = 48_000_000;

struct Line {
    uart: Option<Pl011>,
    output: Deque<u8, OUTPUT_RING>,
    input: Deque<u8, INPUT_RING>,
    /// The ring was full and bytes may be left in the UART; the receive interrupt is masked, and the reader looks.
    input_paused: bool,
    input_errors: InputErrors,
    /// A program has begun a line and not ended it.
    in_line: bool,
    /// Output has had to wait, and nobody was told yet that it has all left.
    waited: bool,
}

/// What went wrong with input so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct InputErrors {
    /// Bytes that the UART lost because nobody read in time.
    pub(crate) overruns: u32,
    /// Bytes with a framing or parity error, and breaks.
    pub(crate) noise: u32,
}

static LINE: IrqLock<Line, Arm> = IrqLock::new(
    Rank::Console,
    Line {
        uart: None,
        output: Deque::new(),
        input: Deque::new(),
        input_paused: false,
        input_errors: InputErrors { overruns: 0, noise: 0 },
        in_line: false,
        waited: false,
    },
);
/// Whether the transmit interrupt empties the ring.
static INTERRUPT_DRIVEN: AtomicBool = AtomicBool::new(false);

/// Sets the UART up: from here on the console works, polled. `clock_hz` is the UART's input clock, if it is known.
pub(crate) fn init(clock_hz: Option<u32>) {
    let mut uart = Pl011::new(devices::pl011());
    // QEMU names a clock that is not the one it simulates, and minds no divisor; a board's answer is true.
    if clock_hz.is_none_or(|hz| uart.init(hz, BAUD).is_err()) {
        uart.init(DEFAULT_CLOCK_HZ, BAUD).expect("48 MHz makes 115200 baud");
    }
    LINE.lock().uart = Some(uart);
}

/// Lets the transmit interrupt do the waiting. The handler of the UART's line calls [`on_interrupt`].
pub(crate) fn use_interrupts() {
    INTERRUPT_DRIVEN.store(true, Ordering::Release);
}

/// Room in the output ring that a writer waits for: a line of text fits.
const ROOM: usize = 256;

/// Prints text; `\n` becomes `\r\n`. It does not go on a line that a program has begun.
pub(crate) fn print(text: fmt::Arguments<'_>) {
    super::history::note(text);
    show(text);
}

/// Prints a line that a program logs, whatever it is made of; on the console unless it is for debugging only.
pub(crate) fn print_record(priority: u16, text: &[u8]) {
    const LEVEL: u16 = 7;
    const DEBUG: u16 = 7;
    super::history::note_record(priority, text);
    if priority & LEVEL == DEBUG {
        return;
    }
    show(format_args!("{}\n", Lossy(text)));
}

/// Text, with a mark in the place of what is none.
struct Lossy<'a>(&'a [u8]);

impl fmt::Display for Lossy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.utf8_chunks().try_for_each(|chunk| {
            f.write_str(chunk.valid())?;
            f.write_str(if chunk.invalid().is_empty() { "" } else { "?" })
        })
    }
}

fn show(text: fmt::Arguments<'_>) {
    let mut line = lock_with_room();
    if core::mem::take(&mut line.in_line) {
        line.push_text(b"\n");
    }
    // Writing into the ring cannot fail.
    let _ = line.write_fmt(text);
    line.send();
}

/// How many bytes a program may [write](write_program) now. Some of the ring is left to the kernel's own lines.
pub(crate) fn program_room() -> usize {
    LINE.lock().free().saturating_sub(OUTPUT_RING / 4)
}

/// How many bytes have not left the ring.
pub(crate) fn output_pending() -> usize {
    LINE.lock().output.len()
}

/// Puts a program's bytes into the console stream as they are. It asked for [room](program_room); if there is none any more
/// they are waited for.
pub(crate) fn write_program(bytes: &[u8]) {
    let mut line = LINE.lock();
    for &byte in bytes {
        line.push(byte);
    }
    line.in_line = bytes.last().map_or(line.in_line, |&last| last != b'\n');
    line.send();
}

/// Puts bytes into the console stream as they are, all together: trace frames.
pub(crate) fn write_pieces(pieces: &[&[u8]]) {
    let mut line = lock_with_room();
    for &byte in pieces.iter().copied().flatten() {
        line.push(byte);
    }
    line.send();
}

/// The line, with room in its ring where that can be waited for: a full ring empties at 87 µs a byte, and with interrupts
/// masked for that long input would be lost. The caller may hold locks, so it waits awake.
fn lock_with_room() -> IrqGuard<'static, Line, Arm> {
    let masked = cpu::irqs_masked();
    loop {
        let line = LINE.lock();
        if line.free() >= ROOM || !INTERRUPT_DRIVEN.load(Ordering::Acquire) || masked {
            return line;
        }
        drop(line);
        Arm::relax();
    }
}

/// What an interrupt of the UART has changed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Changed {
    /// There is input to read.
    pub(crate) input: bool,
    /// Half of the output ring is free, or it was emptied.
    pub(crate) output: bool,
}

/// Answers the UART's interrupt: takes what came in, sends what waits.
pub(crate) fn on_interrupt() -> Changed {
    let mut line = LINE.lock();
    let waited = line.output.len();
    if let Some(uart) = &line.uart {
        // Before the FIFO is read: a byte that comes later raises the interrupt again.
        uart.acknowledge(Interrupts::all());
    }
    line.receive();
    line.send();
    let waits = line.output.len();
    let emptied = line.waited && waits == 0;
    if emptied {
        line.waited = false;
        line.send();
    }
    let output = emptied || (waits < waited && waits <= OUTPUT_RING / 2);
    Changed { input: !line.input.is_empty(), output }
}

/// Takes a byte of input, if there is one.
pub(crate) fn read() -> Option<u8> {
    let mut byte = [0];
    (read_some(&mut byte) > 0).then_some(byte[0])
}

/// Takes as much input as there is and `to` holds, and says how much.
pub(crate) fn read_some(to: &mut [u8]) -> usize {
    let mut line = LINE.lock();
    let mut count = 0;
    while count < to.len()
        && let Some(byte) = line.input.pop_front()
    {
        to[count] = byte;
        count += 1;
    }
    if line.input_paused && line.input.len() <= INPUT_RESUME {
        // The interrupt may not rise again for what is in the FIFO already.
        line.receive();
        line.send();
    }
    count
}

/// Whether there is nothing to read.
pub(crate) fn is_input_empty() -> bool {
    LINE.lock().input.is_empty()
}

/// What went wrong with input so far.
pub(crate) fn input_errors() -> InputErrors {
    LINE.lock().input_errors
}

impl Line {
    /// Bytes that the output ring takes.
    fn free(&self) -> usize {
        self.output.capacity() - self.output.len()
    }

    fn receive(&mut self) {
        // In QEMU the interrupt rises only when the FIFO stops being empty, so it is emptied.
        self.input_paused = true;
        while !self.input.is_full() {
            let Some(byte) = self.uart.as_ref().and_then(Pl011::read_byte) else {
                self.input_paused = false;
                break;
            };
            let byte = match byte {
                Ok(byte) => byte,
                Err(RxError::Overrun(byte)) => {
                    self.input_errors.overruns += 1;
                    byte
                }
                Err(RxError::Break(_) | RxError::Framing(_) | RxError::Parity(_)) => {
                    self.input_errors.noise += 1;
                    continue;
                }
            };
            // There is room: it was asked for above.
            let _ = self.input.push_back(byte);
        }
    }

    fn push_text(&mut self, text: &[u8]) {
        for &byte in text {
            if byte == b'\n' {
                self.push(b'\r');
            }
            self.push(byte);
        }
    }

    fn push(&mut self, byte: u8) {
        while self.output.push_back(byte).is_err() {
            self.send_one();
        }
    }

    /// Sends the oldest byte, waiting for room in the FIFO. A UART that does not take it within its bound loses it:
    /// there is nobody left to tell.
    fn send_one(&mut self) {
        if let (Some(uart), Some(byte)) = (&self.uart, self.output.pop_front()) {
            let _ = uart.write_byte(byte);
        }
    }

    fn send(&mut self) {
        let Self { uart: Some(uart), output, input_paused, waited, .. } = self else { return };
        if INTERRUPT_DRIVEN.load(Ordering::Acquire) {
            while let Some(&byte) = output.front() {
                if !uart.try_write_byte(byte) {
                    break;
                }
                output.pop_front();
            }
            // Who empties the ring is not always the interrupt; but it is the one to tell those who wait for that.
            *waited |= !output.is_empty();
            let transmit = if *waited { Interrupts::TRANSMIT } else { Interrupts::empty() };
            let receive = Interrupts::RECEIVE | Interrupts::RECEIVE_TIMEOUT;
            uart.unmask_only(transmit | if *input_paused { Interrupts::empty() } else { receive });
        } else {
            while !self.output.is_empty() {
                self.send_one();
            }
        }
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push_text(text.as_bytes());
        Ok(())
    }
}

/// The console of a dying kernel: a second window onto the UART, no lock, no interrupts. Bytes that the ring still
/// holds are lost to it; see [`rescue`].
pub(crate) struct Emergency(Option<Pl011>);

impl Emergency {
    /// Takes the UART as it stands.
    pub(crate) fn new() -> Self {
        Self(Some(Pl011::new(devices::pl011())))
    }

    /// Sends the byte that ends a trace record.
    pub(crate) fn end_record(&mut self) {
        self.send(abi::trace::FRAME_END);
    }

    /// A UART that does not take a byte within its bound is off, as it is before the console is set up: it gets no other, or a
    /// report would take half a minute, and what comes after it (the LED) as much longer.
    fn send(&mut self, byte: u8) {
        self.0.take_if(|uart| uart.write_byte(byte).is_err());
    }
}

impl Write for Emergency {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if byte == b'\n' {
                self.send(b'\r');
            }
            self.send(byte);
        }
        Ok(())
    }
}

/// How often a panic tries to get the console's lock: some 10 ms, for a CPU that prints to come to its end. The panicking
/// CPU itself may have the lock.
const RESCUE_TRIES: u32 = 1_000_000;

/// Sends what the ring holds, if the lock can be had: the words before a panic. The other CPUs were told to stop.
pub(crate) fn rescue() {
    for _ in 0..RESCUE_TRIES {
        if let Some(mut line) = LINE.try_lock() {
            while line.uart.is_some() && !line.output.is_empty() {
                line.send_one();
            }
            return;
        }
        Arm::relax();
    }
}

/// Waits until all that was printed has left the UART: before power-off and reset.
pub(crate) fn flush() {
    let mut line = LINE.lock();
    while line.uart.is_some() && !line.output.is_empty() {
        line.send_one();
    }
    if let Some(uart) = &line.uart {
        // A FIFO of 16 bytes needs 1.4 ms at 115200 baud.
        let _ = uart.drain(drivers::wait::Polls::new(100_000));
    }
}
