//! The command line for a board.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process;

use super::Qemu;
use crate::board::Board;

/// How to start a board. Each method changes one thing; what is not said stays as a headless board that leaves QEMU
/// when it powers off, resets or says so by semihosting.
#[derive(Clone, Debug)]
pub struct Command {
    board: Board,
    kernel: PathBuf,
    dtb: Option<PathBuf>,
    initrd: Option<PathBuf>,
    cmdline: Option<String>,
    card: Option<PathBuf>,
    console: Console,
    console_log: Option<PathBuf>,
    trace: Trace,
    speed: Speed,
    debugger: Debugger,
    extra: Vec<OsString>,
}

/// Where the console (UART 0, QEMU's first serial line) goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Console {
    /// Nowhere.
    None,
    /// To a socket of this machine, which QEMU makes. The board starts when somebody connects; who does so later, again, finds
    /// it running.
    Socket(PathBuf),
    /// Standard input and output.
    Stdio(Monitor),
}

/// Whether QEMU's monitor shares the console.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Monitor {
    /// For a person: `Ctrl-A x` ends QEMU, `Ctrl-A c` switches to its monitor, `Ctrl-C` goes to the board.
    Shared,
    /// For a program: every byte goes to the board.
    None,
}

/// Where the trace (UART 1, QEMU's second serial line) goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Trace {
    /// Nowhere.
    None,
    /// Into this file.
    File(PathBuf),
    /// To whoever listens at this address before QEMU starts.
    Socket(SocketAddr),
}

/// How guest time passes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Speed {
    /// With the host's clock.
    Host,
    /// One nanosecond for one instruction, and no waiting when the guest is idle: results repeat to the digit.
    Counted,
}

/// Whether a debugger is waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Debugger {
    None,
    /// Stopped at the first instruction, a gdb stub at localhost:1234.
    Waits,
}

impl Command {
    /// `board` with the raw image `kernel`, its console on standard input and output for a program.
    pub fn new(board: Board, kernel: impl Into<PathBuf>) -> Self {
        Self {
            board,
            kernel: kernel.into(),
            dtb: None,
            initrd: None,
            cmdline: None,
            card: None,
            console: Console::Stdio(Monitor::None),
            console_log: None,
            trace: Trace::None,
            speed: Speed::Host,
            debugger: Debugger::None,
            extra: Vec::new(),
        }
    }

    /// Passes a device tree. Without one the kernel finds ATAGs, or nothing.
    #[must_use]
    pub fn dtb(mut self, dtb: impl Into<PathBuf>) -> Self {
        self.dtb = Some(dtb.into());
        self
    }

    /// Passes an initramfs.
    #[must_use]
    pub fn initrd(mut self, initrd: impl Into<PathBuf>) -> Self {
        self.initrd = Some(initrd.into());
        self
    }

    /// Passes the kernel's command line.
    #[must_use]
    pub fn cmdline(mut self, cmdline: impl Into<String>) -> Self {
        self.cmdline = Some(cmdline.into());
        self
    }

    /// Puts an SD card with this image into the slot. QEMU wants a power of two of bytes, and connects the card to the
    /// EMMC controller of either board; a real Pi 4 has its slot at EMMC2.
    #[must_use]
    pub fn card(mut self, image: impl Into<PathBuf>) -> Self {
        self.card = Some(image.into());
        self
    }

    /// Says where the console goes.
    #[must_use]
    pub fn console(mut self, console: Console) -> Self {
        self.console = console;
        self
    }

    /// Copies what the board prints into a file.
    #[must_use]
    pub fn console_log(mut self, log: impl Into<PathBuf>) -> Self {
        self.console_log = Some(log.into());
        self
    }

    /// Says where the trace goes.
    #[must_use]
    pub fn trace(mut self, trace: Trace) -> Self {
        self.trace = trace;
        self
    }

    /// Says how guest time passes.
    #[must_use]
    pub fn speed(mut self, speed: Speed) -> Self {
        self.speed = speed;
        self
    }

    /// Stops at the first instruction until a debugger connects to localhost:1234 and lets it go.
    #[must_use]
    pub fn wait_for_debugger(mut self) -> Self {
        self.debugger = Debugger::Waits;
        self
    }

    /// Adds an argument for QEMU.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.extra.push(argument.into());
        self
    }

    /// The process to start.
    #[must_use]
    pub fn to_process(&self, qemu: &Qemu) -> process::Command {
        let mut process = process::Command::new(&qemu.program);
        process.args(self.args());
        process
    }

    /// The arguments, without the program.
    #[must_use]
    pub fn args(&self) -> Vec<OsString> {
        let mut args: Vec<OsString> = Vec::new();
        let mut push = |words: &[&str]| args.extend(words.iter().map(OsString::from));
        push(&["-M", self.board.machine()]);
        push(&["-display", "none", "-no-reboot", "-semihosting"]);
        if self.speed == Speed::Counted {
            push(&["-icount", "shift=0,sleep=off"]);
        }
        if self.debugger == Debugger::Waits {
            push(&["-s", "-S"]);
        }
        let mut push_path = |option: &str, path: &Path| args.extend([option.into(), path.into()]);
        push_path("-kernel", &self.kernel);
        for (option, path) in [("-dtb", &self.dtb), ("-initrd", &self.initrd)] {
            if let Some(path) = path {
                push_path(option, path);
            }
        }
        if let Some(cmdline) = &self.cmdline {
            args.extend(["-append".into(), cmdline.into()]);
        }
        if let Some(card) = &self.card {
            let mut drive = OsString::from("if=sd,format=raw");
            push_option(&mut drive, "file", card);
            args.extend(["-drive".into(), drive]);
        }
        self.console_args(&mut args);
        self.trace_args(&mut args);
        args.extend(self.extra.iter().cloned());
        args
    }

    fn console_args(&self, args: &mut Vec<OsString>) {
        let (device, monitor) = match &self.console {
            Console::None => ("null,id=console", "none"),
            Console::Socket(_) => ("socket,id=console,server=on,wait=on", "none"),
            Console::Stdio(Monitor::None) => ("stdio,id=console,signal=on", "none"),
            Console::Stdio(Monitor::Shared) => ("stdio,id=console,signal=off,mux=on", "chardev:console"),
        };
        let mut chardev = OsString::from(device);
        if let Console::Socket(path) = &self.console {
            push_option(&mut chardev, "path", path);
        }
        if let Some(log) = &self.console_log {
            push_option(&mut chardev, "logfile", log);
        }
        args.extend(["-chardev".into(), chardev]);
        args.extend(["-serial", "chardev:console", "-monitor", monitor].map(OsString::from));
    }

    fn trace_args(&self, args: &mut Vec<OsString>) {
        let mut chardev = OsString::new();
        match &self.trace {
            Trace::None => return,
            Trace::File(path) => {
                chardev.push("file,id=trace");
                push_option(&mut chardev, "path", path);
            }
            Trace::Socket(address) => {
                chardev.push(format!("socket,id=trace,host={},port={}", address.ip(), address.port()));
            }
        }
        args.extend(["-chardev".into(), chardev, "-serial".into(), "chardev:trace".into()]);
    }
}

/// Appends `,key=path` in QEMU's syntax, where a comma inside a value is doubled.
fn push_option(chardev: &mut OsString, key: &str, path: &Path) {
    chardev.push(format!(",{key}="));
    match path.to_str() {
        Some(text) => chardev.push(text.replace(',', ",,")),
        None => chardev.push(path),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn text(command: &Command) -> String {
        command.args().iter().map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_plain_board_is_headless_and_leaves_instead_of_resetting() {
        let args = text(&Command::new(Board::Raspi4b, "kernel8.img"));
        assert_eq!(
            args,
            "-M raspi4b -display none -no-reboot -semihosting -kernel kernel8.img \
             -chardev stdio,id=console,signal=on -serial chardev:console -monitor none"
        );
    }

    #[test]
    fn everything_that_was_asked_for_is_on_the_command_line() {
        let command = Command::new(Board::Raspi3b, "k")
            .dtb("t")
            .initrd("i")
            .cmdline("a b")
            .card("c,d.img")
            .console(Console::Stdio(Monitor::Shared))
            .trace(Trace::Socket((Ipv4Addr::LOCALHOST, 4444).into()))
            .speed(Speed::Counted)
            .wait_for_debugger()
            .arg("-d")
            .arg("unimp");
        let args = text(&command);
        for part in [
            "-M raspi3b ",
            "-dtb t -initrd i -append a b ",
            "-drive if=sd,format=raw,file=c,,d.img ",
            "-icount shift=0,sleep=off ",
            "-s -S ",
            "-chardev stdio,id=console,signal=off,mux=on -serial chardev:console -monitor chardev:console ",
            "-chardev socket,id=trace,host=127.0.0.1,port=4444 -serial chardev:trace ",
        ] {
            assert!(args.contains(part), "no {part:?} in {args}");
        }
        assert!(args.ends_with(" -d unimp"));
    }

    #[test]
    fn the_console_is_the_first_serial_line_and_the_trace_the_second() {
        let command = Command::new(Board::Raspi3b, "k").console(Console::None).trace(Trace::File("t".into()));
        let args = text(&command);
        assert!(args.find("-serial chardev:console").unwrap() < args.find("-serial chardev:trace").unwrap());
    }

    #[test]
    fn a_board_may_wait_for_somebody_at_a_socket() {
        let args = text(&Command::new(Board::Raspi3b, "k").console(Console::Socket("a,b".into())));
        assert!(
            args.contains("-chardev socket,id=console,server=on,wait=on,path=a,,b -serial chardev:console "),
            "{args}"
        );
    }

    #[test]
    fn a_comma_in_a_path_reaches_qemu_as_a_comma() {
        let args = text(&Command::new(Board::Raspi3b, "k").console_log("a,b.log"));
        assert!(args.contains("logfile=a,,b.log "), "{args}");
    }
}
