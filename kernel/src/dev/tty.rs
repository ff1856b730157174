//! Terminals as programs open them: `/dev/ttyAMA0`, which is the console's UART, `/dev/console`, which is the same under
//! another name, and `/dev/tty`, which is each process's own.
//!
//! What a terminal does is in `kcore::tty`. Here a thread carries what is typed from the UART to it: so it is echoed, and
//! Ctrl-C is a signal, while nobody reads. Where the terminal has no room for more, input stays in the console's ring
//! (4096 bytes, beside the terminal's own 4096), and then in the UART: QEMU holds the sender up, a board without flow control
//! loses bytes, which is counted and said. With `IXOFF` the sender is told to stop before.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};

use kcore::addr::CpuSet;
use kcore::fs::devices::{self, Device};
use kcore::fs::{DeviceNumber, FileError, FileOperations, OpenFlags};
use kcore::sched::Priority;
use kcore::tty::{Driver, JobControl, Opening, Settings, Terminal, TerminalFile, TerminalNode};

use super::{nodes, pty, uart};
use crate::log::{console, println};
use crate::task::{Kernel, SpawnError, thread};

/// The number of a PL011's terminal: `ttyAMA0`.
const NUMBER: DeviceNumber = DeviceNumber::new(204, 64);
/// Bytes of input that are carried at a time: their echo finds room.
const PIECE: usize = 64;

type ConsoleTerminal = Terminal<Kernel, Line>;

static CONSOLE: spin::Once<Arc<ConsoleTerminal>> = spin::Once::new();
/// The kernel's monitor reads what is typed; the terminal gets nothing any more.
static MONITORED: AtomicBool = AtomicBool::new(false);

/// The console's ring and its UART.
struct Line;

impl Driver for Line {
    fn room(&self) -> usize {
        console::program_room()
    }

    fn put(&mut self, bytes: &[u8]) {
        console::write_program(bytes);
    }

    // The ring has the kernel's lines too, so nothing of it is discarded.
    fn pending(&self) -> usize {
        console::output_pending()
    }
}

/// Makes the console's terminal, and starts the thread that carries input to it.
pub(crate) fn init() -> Result<(), SpawnError> {
    let terminal = Terminal::new(NUMBER.encoded(), Settings::serial(), Line).ok_or(SpawnError::OutOfMemory)?;
    CONSOLE.call_once(|| Arc::new(terminal));
    thread::spawn("tty", Priority::KERNEL, CpuSet::ALL, carry)?;
    Ok(())
}

/// Adds the console's line, and each process's own terminal.
pub(super) fn add_nodes() -> Result<(), FileError> {
    nodes::add(&Device::characters(b"tty", devices::TTY, 0o666), Arc::new(Own))?;
    if let Some(terminal) = CONSOLE.get() {
        let line = TerminalNode::new(Arc::clone(terminal), Opening::Terminal);
        nodes::add(&Device::characters(b"ttyAMA0", NUMBER, 0o620), line)?;
    }
    Ok(())
}

/// `/dev/console`
pub(super) fn console() -> Arc<dyn FileOperations> {
    match CONSOLE.get() {
        Some(terminal) => TerminalNode::new(Arc::clone(terminal), Opening::Console),
        None => Arc::new(Own),
    }
}

/// Leaves what is typed to the kernel's monitor.
pub(crate) fn leave_to_monitor() {
    MONITORED.store(true, Ordering::Release);
    uart::wake();
}

/// By the UART's interrupt: the line takes output again.
pub(super) fn output_moved() {
    if let Some(terminal) = CONSOLE.get() {
        terminal.output_moved();
    }
}

/// Ends the use of a terminal by those who have it open; the tree of processes is locked.
pub(crate) fn hang_up(number: u64) {
    match CONSOLE.get() {
        Some(terminal) if terminal.number() == number => terminal.hang_up(),
        _ => {
            if let Some(terminal) = pty::find(number) {
                terminal.hang_up();
            }
        }
    }
}

/// Carries what is typed to the terminal.
fn carry() {
    let Some(terminal) = CONSOLE.get() else { return };
    let mut reported = 0;
    while !MONITORED.load(Ordering::Acquire) {
        uart::wait_while(|| {
            console::is_input_empty() && !terminal.has_echoes_to_send() && !MONITORED.load(Ordering::Acquire)
        });
        terminal.send_echoes();
        if !terminal.has_input_room() {
            terminal.wait_for_input_room();
            continue;
        }
        if MONITORED.load(Ordering::Acquire) {
            return;
        }
        let mut piece = [0; PIECE];
        let count = console::read_some(&mut piece);
        let mut taken = 0;
        loop {
            taken += terminal.receive(&piece[taken..count]);
            if taken == count {
                break;
            }
            terminal.wait_for_input_room();
        }
        let lost = console::input_errors().overruns;
        if lost != reported {
            println!("console: input was lost {lost} times: it came faster than it was read");
            reported = lost;
        }
    }
}

/// `/dev/tty`: whoever opens it gets the controlling terminal of his session.
struct Own;

impl FileOperations for Own {
    fn opened(&self, flags: OpenFlags) -> Result<Option<Arc<dyn FileOperations>>, FileError> {
        let number = Kernel::own_terminal().ok_or(FileError::NoDevice)?;
        match CONSOLE.get() {
            Some(terminal) if terminal.number() == number => {
                Ok(Some(TerminalFile::open(terminal, Opening::Controlling, flags)?))
            }
            _ => {
                let slave = pty::find(number).ok_or(FileError::NoDevice)?;
                Ok(Some(TerminalFile::open(&slave, Opening::Controlling, flags)?))
            }
        }
    }
}
