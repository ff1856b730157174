//! `tine console`: a terminal on a board.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, bail};
use rustix::termios::{self, OptionalActions, Termios};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level;
use tools::console::{Connection, Input, Keys, Line, Screen, Sending, Stamped, Step, words};
use tools::symbols::Symbols;
use tools::trace::Tables;

use super::out;

/// The key that ends what is under way.
const CTRL_C: u8 = 0x03;
/// How often a line that is gone is looked for.
const RETRY: Duration = Duration::from_millis(500);

/// Open a terminal on a board's console; Ctrl-A x ends it, Ctrl-A s sends a file to the shell there
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The serial port [default: /dev/ttyUSB0]
    #[arg(long, value_name = "DEVICE", conflicts_with_all = ["connect", "pty"])]
    port: Option<PathBuf>,
    /// A TCP port instead, or with a slash in it a socket of this machine
    #[arg(long, value_name = "HOST:PORT|PATH", conflicts_with = "pty")]
    connect: Option<String>,
    /// A pseudo-terminal instead
    #[arg(long, value_name = "PATH")]
    pty: Option<PathBuf>,
    /// Speed of the serial port
    #[arg(long, default_value_t = 115_200, value_parser = super::baud())]
    baud: u32,
    /// The kernel with symbols, to decode trace records and name functions
    #[arg(long, value_name = "FILE")]
    elf: Option<PathBuf>,
    /// Also write what is shown into a file, each line with its time
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
}

/// What the terminal waits for.
enum Event {
    /// The board sent bytes.
    Received(Vec<u8>),
    /// The line is gone.
    Lost,
    /// Somebody typed.
    Typed(Vec<u8>),
    /// Standard input is at its end.
    InputEnded,
}

/// Runs the subcommand.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    // A kernel without a trace is still good for symbols.
    let tables = arguments.elf.as_deref().and_then(|elf| Tables::load(elf).ok());
    let symbols = arguments.elf.as_deref().map(Symbols::load).transpose()?;
    let log = match &arguments.log {
        Some(path) => {
            let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
            Some(Stamped::new(file))
        }
        None => None,
    };
    let (events, queue) = mpsc::channel();
    let _raw = RawTerminal::enter()?;
    thread::spawn({
        let events = events.clone();
        move || forward_input(&events)
    });
    let mut session = Session {
        line: line(arguments),
        events,
        queue,
        keys: Keys::default(),
        screen: Screen::new(tables.as_ref(), symbols.as_ref()),
        log,
        sending: None,
        broken: false,
        input: InputState::Open,
    };
    session.run()?;
    Ok(ExitCode::SUCCESS)
}

fn line(arguments: &Arguments) -> Line {
    if let Some(address) = &arguments.connect {
        if address.contains('/') { Line::Unix(address.into()) } else { Line::Tcp(address.clone()) }
    } else if let Some(path) = &arguments.pty {
        Line::Pty(path.clone())
    } else {
        let path = arguments.port.clone().unwrap_or_else(|| PathBuf::from("/dev/ttyUSB0"));
        Line::Port { path, baud: arguments.baud }
    }
}

/// One sitting at the terminal, over as many connections as it takes.
struct Session<'kernel> {
    line: Line,
    events: Sender<Event>,
    queue: Receiver<Event>,
    keys: Keys,
    screen: Screen<'kernel>,
    log: Option<Stamped<File>>,
    sending: Option<Sending>,
    /// The last connection ended while a file was sent, and the board's shell still waits for the rest of it.
    broken: bool,
    input: InputState,
}

/// Whether anybody can still type.
#[derive(PartialEq, Eq)]
enum InputState {
    Open,
    Ended,
}

/// How a connection ended.
enum End {
    /// By the key for it.
    Quit,
    /// From the other side.
    Lost,
}

impl Session<'_> {
    fn run(&mut self) -> anyhow::Result<()> {
        let mut waiting = false;
        loop {
            match self.line.open() {
                Ok(connection) => {
                    self.notice(&format!("connected to {}; Ctrl-A x ends", self.line));
                    waiting = false;
                    match self.talk(connection)? {
                        End::Quit => return Ok(()),
                        // Nobody is left to wait for the board to come back, and nothing is written down.
                        End::Lost if self.input == InputState::Ended && self.log.is_none() => return Ok(()),
                        End::Lost => self.notice("connection lost"),
                    }
                }
                Err(error) if !waiting => {
                    self.notice(&format!("waiting for {}: {error}", self.line));
                    waiting = true;
                }
                Err(_) => {}
            }
            if let End::Quit = self.pause() {
                return Ok(());
            }
        }
    }

    /// Passes bytes in both directions until the connection ends.
    fn talk(&mut self, Connection { reader, mut writer }: Connection) -> anyhow::Result<End> {
        let events = self.events.clone();
        thread::spawn(move || forward_line(reader, &events));
        if std::mem::take(&mut self.broken) {
            // As below: what is lost here is noticed by the reader.
            drop(writer.write_all(Sending::interrupt()).and_then(|()| writer.flush()));
        }
        loop {
            let event = match self.queue.recv_timeout(RETRY) {
                Ok(event) => event,
                // A file that is being sent looks at the clock.
                Err(RecvTimeoutError::Timeout) => Event::Received(Vec::new()),
                Err(RecvTimeoutError::Disconnected) => return Ok(End::Lost),
            };
            let typed = match event {
                // The echo of a file is for nobody to read.
                Event::Received(bytes) if self.sending.is_some() => self.send_on(&bytes)?,
                Event::Received(bytes) => {
                    self.show(&bytes)?;
                    Vec::new()
                }
                Event::Lost => {
                    if self.sending.take().is_some() {
                        self.broken = true;
                        self.notice(
                            "the file is not there; what was sent of it is beside it, with .part behind its name",
                        );
                    }
                    return Ok(End::Lost);
                }
                Event::InputEnded => {
                    self.input = InputState::Ended;
                    Vec::new()
                }
                Event::Typed(typed) => match self.keys.push(&typed) {
                    Input::Quit => return Ok(End::Quit),
                    // Between the lines of a file nothing else is sent.
                    Input::Send(bytes) if self.sending.is_some() => self.stop_sending(&bytes)?,
                    Input::Send(bytes) => bytes,
                    Input::Ask(shown) => {
                        io::stderr().write_all(&shown)?;
                        Vec::new()
                    }
                    Input::File(name) => self.send_file(&name),
                },
            };
            // A line that is gone for writing is gone for reading too, and is noticed there.
            drop(writer.write_all(&typed).and_then(|()| writer.flush()));
        }
    }

    /// Begins to send the file, whose name at the board may stand behind its own.
    fn send_file(&mut self, line: &str) -> Vec<u8> {
        if self.sending.is_some() {
            self.notice("another file is on its way");
            return Vec::new();
        }
        self.begin_file(line).unwrap_or_else(|error| {
            self.notice(&format!("{error:#}"));
            Vec::new()
        })
    }

    fn begin_file(&mut self, line: &str) -> anyhow::Result<Vec<u8>> {
        let words = words(line)?;
        let (file, name) = match &words[..] {
            [file, name] => (file, name.as_str()),
            [file] => (file, file.rsplit('/').next().unwrap_or(file)),
            _ => bail!("a file and a name are two words; put one with blanks into quotes"),
        };
        let bytes = std::fs::read(file).with_context(|| file.clone())?;
        let (sending, typed) = Sending::new(name, &bytes, Instant::now())?;
        self.notice(&format!("{file}: {} bytes; Ctrl-C ends it", bytes.len()));
        self.sending = Some(sending);
        Ok(typed)
    }

    /// Goes on with a file, if there is one, when the board has said `bytes`.
    fn send_on(&mut self, bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
        let Some(sending) = &mut self.sending else { return Ok(Vec::new()) };
        let before = sending.percent();
        let step = sending.hear(bytes, Instant::now());
        let percent = sending.percent();
        if percent != before && io::stderr().is_terminal() {
            eprint!("\r[tine] {percent} %");
        }
        self.follow(step)
    }

    /// Ends the sending of a file, if Ctrl-C is among what was typed.
    fn stop_sending(&mut self, typed: &[u8]) -> anyhow::Result<Vec<u8>> {
        match &mut self.sending {
            Some(sending) if typed.contains(&CTRL_C) => {
                let step = sending.give_up("it was interrupted");
                self.follow(step)
            }
            _ => Ok(Vec::new()),
        }
    }

    fn follow(&mut self, step: Step) -> anyhow::Result<Vec<u8>> {
        match step {
            Step::Wait => Ok(Vec::new()),
            Step::Send(typed) => Ok(typed),
            Step::Done(said) => {
                self.sending = None;
                self.notice("the board has the file, and its checksum is right");
                self.show(&said)?;
                Ok(Vec::new())
            }
            Step::Failed { why, typed, said } => {
                let percent = self.sending.take().map_or(0, |sending| sending.percent());
                self.notice(&format!("the file is not there, {percent} % were sent: {why}"));
                self.show(&said)?;
                Ok(typed)
            }
        }
    }

    /// Waits before the next attempt to connect, with an ear for the key that ends the session.
    fn pause(&mut self) -> End {
        match self.queue.recv_timeout(RETRY) {
            Ok(Event::Typed(typed)) if self.keys.push(&typed) == Input::Quit => End::Quit,
            Ok(Event::InputEnded) => {
                self.input = InputState::Ended;
                End::Lost
            }
            _ => End::Lost,
        }
    }

    fn show(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let shown = self.screen.push(bytes);
        let mut stdout = io::stdout().lock();
        stdout.write_all(&shown).and_then(|()| stdout.flush()).map_err(out::failed)?;
        if let Some(log) = &mut self.log {
            log.write(&shown, SystemTime::now()).context("cannot write the log")?;
        }
        Ok(())
    }

    fn notice(&self, text: &str) {
        eprint!("\r\n[tine] {text}\r\n");
    }
}

/// Sends what is typed, until there is nobody to send it to.
fn forward_input(events: &Sender<Event>) {
    let mut buffer = [0; 256];
    while let Ok(count @ 1..) = io::stdin().read(&mut buffer) {
        if events.send(Event::Typed(buffer[..count].to_vec())).is_err() {
            return;
        }
    }
    // The receiver is gone only when the program ends.
    let _ = events.send(Event::InputEnded);
}

/// Sends what the board says, until the line is gone.
fn forward_line(mut reader: Box<dyn Read + Send>, events: &Sender<Event>) {
    let mut buffer = [0; 4096];
    loop {
        let event = match reader.read(&mut buffer) {
            Ok(count @ 1..) => Event::Received(buffer[..count].to_vec()),
            Err(error) if matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::Interrupted) => continue,
            Ok(0) | Err(_) => break,
        };
        if events.send(event).is_err() {
            return;
        }
    }
    let _ = events.send(Event::Lost);
}

/// What ends a program unless it is caught; none of these comes from a key of a raw terminal.
const DEADLY: [i32; 4] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM];

/// The terminal without echo, line editing and signal keys, until it is dropped or a signal ends the program. Nothing where
/// input is no terminal.
struct RawTerminal(Option<Termios>);

impl RawTerminal {
    fn enter() -> anyhow::Result<Self> {
        let stdin = io::stdin();
        if !stdin.is_terminal() {
            return Ok(Self(None));
        }
        let before = termios::tcgetattr(&stdin)?;
        let mut signals = Signals::new(DEADLY)?;
        let kept = Self(Some(before.clone()));
        thread::spawn(move || {
            if let Some(signal) = signals.forever().next() {
                drop(kept);
                // It does not return, for these signals.
                let _ = low_level::emulate_default_handler(signal);
            }
        });
        let mut raw = before.clone();
        raw.make_raw();
        termios::tcsetattr(&stdin, OptionalActions::Now, &raw)?;
        Ok(Self(Some(before)))
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            // There is nobody left to tell that the terminal is gone.
            let _ = termios::tcsetattr(io::stdin(), OptionalActions::Now, before);
        }
    }
}
