//! `tine console`: a terminal on a board.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context as _;
use rustix::termios::{self, OptionalActions, Termios};
use tools::console::{Connection, Input, Keys, Line, Screen, Sending, Stamped, Step};
use tools::symbols::Symbols;
use tools::trace::Tables;

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
    #[arg(long, default_value_t = 115_200)]
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
                        // Nobody is left to wait for the board to come back.
                        End::Lost if self.input == InputState::Ended => return Ok(()),
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
        loop {
            let event = match self.queue.recv_timeout(RETRY) {
                Ok(event) => event,
                // A file that is being sent looks at the clock.
                Err(RecvTimeoutError::Timeout) => Event::Received(Vec::new()),
                Err(RecvTimeoutError::Disconnected) => return Ok(End::Lost),
            };
            let typed = match event {
                // The echo of a file is for nobody to read.
                Event::Received(bytes) if self.sending.is_some() => self.send_on(&bytes),
                Event::Received(bytes) => {
                    self.show(&bytes)?;
                    Vec::new()
                }
                Event::Lost => {
                    if self.sending.take().is_some() {
                        self.notice("the file is not there");
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
                    Input::Send(_) if self.sending.is_some() => Vec::new(),
                    Input::Send(bytes) => bytes,
                    Input::Ask(shown) => {
                        eprint!("{shown}");
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
    fn send_file(&mut self, words: &str) -> Vec<u8> {
        let (file, name) = match words.split_once(' ') {
            Some((file, name)) => (file, name.trim()),
            None => (words, words.rsplit('/').next().unwrap_or(words)),
        };
        if self.sending.is_some() {
            self.notice("another file is on its way");
            return Vec::new();
        }
        match std::fs::read(file) {
            Ok(bytes) => {
                self.notice(&format!("{file}: {} bytes", bytes.len()));
                let (sending, typed) = Sending::new(name, &bytes, Instant::now());
                self.sending = Some(sending);
                typed
            }
            Err(error) => {
                self.notice(&format!("{file}: {error}"));
                Vec::new()
            }
        }
    }

    /// Goes on with a file, if there is one, when the board has said `bytes`.
    fn send_on(&mut self, bytes: &[u8]) -> Vec<u8> {
        let Some(sending) = &mut self.sending else { return Vec::new() };
        let step = sending.hear(bytes, Instant::now());
        match step {
            Step::Wait => Vec::new(),
            Step::Send(typed) => typed,
            Step::Done => {
                self.sending = None;
                self.notice("the board has the file, and its checksum is right");
                Vec::new()
            }
            Step::Failed(why, typed) => {
                let percent = sending.percent();
                self.sending = None;
                self.notice(&format!("the file is not there, {percent} % were sent: {why}"));
                typed.to_vec()
            }
        }
    }

    /// Waits before the next attempt to connect, with an ear for the key that ends the session.
    fn pause(&mut self) -> End {
        if let Ok(Event::Typed(typed)) = self.queue.recv_timeout(RETRY)
            && self.keys.push(&typed) == Input::Quit
        {
            return End::Quit;
        }
        End::Lost
    }

    fn show(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let shown = self.screen.push(bytes);
        let mut stdout = io::stdout().lock();
        stdout.write_all(&shown)?;
        stdout.flush()?;
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

/// The terminal without echo, line editing and signal keys, until it is dropped. Nothing where input is no terminal.
struct RawTerminal(Option<Termios>);

impl RawTerminal {
    fn enter() -> anyhow::Result<Self> {
        let stdin = io::stdin();
        if !stdin.is_terminal() {
            return Ok(Self(None));
        }
        let before = termios::tcgetattr(&stdin)?;
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
