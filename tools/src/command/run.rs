//! `tine run`: a board in QEMU.

use std::ffi::OsString;
use std::io::{IsTerminal as _, Read as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ExitCode, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::SIGTERM;
use signal_hook::iterator::{Handle, Signals};
use signal_hook::low_level;
use tools::board::Board;
use tools::qemu::{Command, Console, Monitor, Qemu, Speed, Trace};
use tools::trace::Tables;

use super::out::say;

/// Status when `--timeout` ran out, as `timeout(1)` has it.
const TIMED_OUT: u8 = 124;

/// Run the kernel in QEMU; ends with the status of the kernel
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Which board
    #[arg(long, default_value = "raspi4b")]
    board: Board,
    /// The raw image
    #[arg(long, value_name = "FILE", default_value = "build/kernel8.img")]
    kernel: PathBuf,
    /// The device tree [default: build/BOARD.dtb]
    #[arg(long, value_name = "FILE", conflicts_with = "no_dtb")]
    dtb: Option<PathBuf>,
    /// Pass no device tree, as old firmware does
    #[arg(long)]
    no_dtb: bool,
    /// The initramfs
    #[arg(long, value_name = "FILE")]
    initrd: Option<PathBuf>,
    /// The kernel's command line
    #[arg(long, allow_hyphen_values = true)]
    cmdline: Option<String>,
    /// The image of an SD card, for the slot; what the board writes goes into it
    #[arg(long, value_name = "FILE")]
    sd: Option<PathBuf>,
    /// Have the kernel trace on the second serial line (trace=uart1), decode that and print it
    #[arg(long)]
    trace: bool,
    /// The kernel with symbols, for --trace
    #[arg(long, value_name = "FILE", default_value = "build/kernel.elf")]
    elf: PathBuf,
    /// Stop at the first instruction and wait for a debugger at localhost:1234
    #[arg(long)]
    gdb: bool,
    /// One instruction is one nanosecond; results repeat to the digit
    #[arg(long)]
    icount: bool,
    /// Keep standard input and output to others, say a debugger
    #[arg(long)]
    no_console: bool,
    /// Copy what the board prints into a file
    #[arg(long, value_name = "FILE")]
    serial_log: Option<PathBuf>,
    /// End QEMU after so many seconds, with status 124
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// Print the QEMU command instead of running it
    #[arg(long)]
    print: bool,
    /// More arguments for QEMU
    #[arg(last = true, value_name = "QEMU ARGUMENTS")]
    extra: Vec<OsString>,
}

/// Runs the subcommand.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let qemu = Qemu::find()?;
    let tables = if arguments.trace { Some(Tables::load(&arguments.elf)?) } else { None };
    let timeout = arguments.timeout.map(Duration::from_secs);
    let print = arguments.print;
    let mut command = command(arguments);
    if print {
        say!("{:?}", command.to_process(&qemu))?;
        return Ok(ExitCode::SUCCESS);
    }
    let signals = signals()?;
    let Some(tables) = tables else {
        return wait(start(&command, &qemu)?, signals, timeout);
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot listen for the trace")?;
    command = command.trace(Trace::Socket(listener.local_addr()?));
    let child = start(&command, &qemu)?;
    // Detached: when QEMU never connects, the process ends without this thread.
    let (done, all_printed) = std::sync::mpsc::channel::<()>();
    thread::spawn(move || {
        if let Ok((stream, _)) = listener.accept() {
            print_trace(stream, &tables);
        }
        drop(done);
    });
    let status = wait(child, signals, timeout);
    // The end of QEMU closes the stream; what was in it comes out first. The error is the sender's end, as awaited.
    let _ = all_printed.recv_timeout(Duration::from_secs(5));
    status
}

/// The builder, filled from the arguments.
fn command(arguments: Arguments) -> Command {
    let console = if arguments.no_console {
        Console::None
    } else if std::io::stdin().is_terminal() {
        Console::Stdio(Monitor::Shared)
    } else {
        Console::Stdio(Monitor::None)
    };
    let mut command = Command::new(arguments.board, arguments.kernel).console(console);
    if !arguments.no_dtb {
        let usual = || format!("build/{}.dtb", arguments.board).into();
        command = command.dtb(arguments.dtb.unwrap_or_else(usual));
    }
    if let Some(initrd) = arguments.initrd {
        command = command.initrd(initrd);
    }
    if let Some(cmdline) = kernel_cmdline(arguments.cmdline, arguments.trace) {
        command = command.cmdline(cmdline);
    }
    if let Some(card) = arguments.sd {
        command = command.card(card);
    }
    if let Some(log) = arguments.serial_log {
        command = command.console_log(log);
    }
    if arguments.icount {
        command = command.speed(Speed::Counted);
    }
    if arguments.gdb {
        command = command.wait_for_debugger();
    }
    arguments.extra.into_iter().fold(command, Command::arg)
}

/// What was given, and for a trace the word that sends it to the second serial line, unless the line has its own.
fn kernel_cmdline(given: Option<String>, trace: bool) -> Option<String> {
    let given = given.unwrap_or_default();
    let has_own = given.split_ascii_whitespace().any(|word| word.starts_with("trace="));
    let line = if trace && !has_own { format!("{given} trace=uart1") } else { given };
    let line = line.trim();
    if line.is_empty() { None } else { Some(line.to_owned()) }
}

fn start(command: &Command, qemu: &Qemu) -> anyhow::Result<Child> {
    command.to_process(qemu).spawn().with_context(|| format!("cannot start {}", qemu.program.display()))
}

/// Waits for QEMU. Where `tine` is told to end before, QEMU does first: it has the card's image open, and nobody else would
/// end it.
fn wait(child: Child, signals: Signals, timeout: Option<Duration>) -> anyhow::Result<ExitCode> {
    let together = Together::with(&child, signals);
    let code = wait_for(child, timeout);
    together.end();
    code
}

/// Waits for QEMU, and ends it when the time is up.
fn wait_for(mut child: Child, timeout: Option<Duration>) -> anyhow::Result<ExitCode> {
    let Some(timeout) = timeout else {
        return Ok(exit_code(child.wait()?));
    };
    let end = Instant::now() + timeout;
    while Instant::now() < end {
        if let Some(status) = child.try_wait()? {
            return Ok(exit_code(status));
        }
        thread::sleep(Duration::from_millis(20));
    }
    child.kill()?;
    child.wait()?;
    eprintln!("tine: the board was still running after {} seconds", timeout.as_secs());
    Ok(ExitCode::from(TIMED_OUT))
}

/// The signal that is sent to one process; others come to QEMU, too, with the terminal. From here on it is kept until there is
/// a QEMU.
fn signals() -> anyhow::Result<Signals> {
    Signals::new([SIGTERM]).context("cannot wait for signals")
}

/// It, passed on to QEMU.
struct Together {
    handle: Handle,
    /// Whether it came.
    came: Arc<AtomicBool>,
}

impl Together {
    fn with(child: &Child, mut signals: Signals) -> Self {
        let handle = signals.handle();
        let came = Arc::new(AtomicBool::new(false));
        let pid = Pid::from_child(child);
        thread::spawn({
            let came = Arc::clone(&came);
            move || {
                for _ in signals.forever() {
                    came.store(true, Ordering::Relaxed);
                    // It may have ended by itself.
                    let _ = kill_process(pid, Signal::TERM);
                }
            }
        });
        Self { handle, came }
    }

    /// QEMU has ended: so does `tine` where the signal came, as by that.
    fn end(self) {
        self.handle.close();
        if self.came.load(Ordering::Relaxed) {
            // It does not return.
            let _ = low_level::emulate_default_handler(SIGTERM);
        }
    }
}

/// QEMU's own status; 1 where a signal ended it.
fn exit_code(status: ExitStatus) -> ExitCode {
    status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
}

/// Prints the trace to standard error until its other end is closed.
fn print_trace(mut stream: TcpStream, tables: &Tables) {
    let mut decoder = tables.decoder();
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        for line in decoder.push(&buffer[..count]) {
            eprintln!("{line}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_asked_for_on_the_command_line_unless_that_says_where() {
        let cmdline = |given: &str, trace| kernel_cmdline(Some(given.to_owned()), trace);
        assert_eq!(cmdline("quiet", true).as_deref(), Some("quiet trace=uart1"));
        assert_eq!(cmdline("trace=console", true).as_deref(), Some("trace=console"));
        assert_eq!(cmdline("quiet", false).as_deref(), Some("quiet"));
        assert_eq!(kernel_cmdline(None, true).as_deref(), Some("trace=uart1"));
        assert_eq!(kernel_cmdline(None, false), None);
    }
}
