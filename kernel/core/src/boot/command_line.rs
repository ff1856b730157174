//! The kernel's command line.
//!
//! ```text
//! init=/bin/sh console=ttyAMA0 maxproc=64 maxthread=256 pids=random trace=uart1 panic=exit quiet HOME=/root -- -c "echo hi"
//! ```
//!
//! What the kernel does not know goes to init, by Linux's rules: words before `--` become arguments, `name=value`
//! becomes an environment variable, a name with a dot (a module's parameter there) is dropped; after `--` all are
//! arguments (`kernel/params.c`, `init/main.c`). Double quotes protect spaces, around a whole word or around a value.
//! Where a known word carries a bad value, the default stays and a [`Problem`] tells of it: a typing error must not
//! keep a machine from booting.

mod split;

use core::fmt;

use heapless::Vec;

use split::Words;

/// The most arguments, and the most variables, that are passed to init: as many as Linux does.
pub const MAX_INIT_WORDS: usize = 32;
/// The most problems that are remembered; the first ones tell the most.
pub const MAX_PROBLEMS: usize = 8;
/// The least that `maxproc=` and `maxthread=` may say: init, a shell and one program.
pub const LEAST_LIMIT: u32 = 3;

/// Where the console is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Console {
    /// UART0, the PL011: `uart0`, `ttyAMA0`.
    Pl011,
    /// UART1, the mini-UART: `uart1`, `ttyS0`, `ttyS1`.
    MiniUart,
}

/// Where trace records go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Trace {
    /// Nowhere.
    Off,
    /// The mini-UART, a line of their own; on a board it is not on the header's pins.
    Uart1,
    /// A Pi 4's UART2, a line of their own.
    Uart2,
    /// A Pi 4's UART3, a line of their own.
    Uart3,
    /// A Pi 4's UART4, a line of their own.
    Uart4,
    /// A Pi 4's UART5, a line of their own.
    Uart5,
    /// Into the console stream, framed.
    Console,
}

impl Trace {
    /// All places, in the order of their numbers.
    pub const ALL: [Self; 7] =
        [Self::Off, Self::Uart1, Self::Uart2, Self::Uart3, Self::Uart4, Self::Uart5, Self::Console];

    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Uart1 => "uart1",
            Self::Uart2 => "uart2",
            Self::Uart3 => "uart3",
            Self::Uart4 => "uart4",
            Self::Uart5 => "uart5",
            Self::Console => "console",
        }
    }

    /// The place with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|place| place.name() == name)
    }
}

/// What ends a panic.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PanicAction {
    /// Start again.
    Reboot,
    /// Stand still, so that somebody can look.
    Halt,
    /// End the emulator with a status, by semihosting.
    Exit,
}

/// How process numbers follow each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pids {
    /// At random.
    Random,
    /// One by one.
    Sequential,
}

/// How much the kernel says while it boots.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verbosity {
    /// Every step.
    Normal,
    /// Warnings only.
    Quiet,
}

/// A word for init. `Display` writes it the way init sees it, without the quotes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Word<'a> {
    /// A word without `=`.
    Plain(&'a str),
    /// `name=value`.
    Pair {
        /// Before the first `=`.
        name: &'a str,
        /// After it.
        value: &'a str,
    },
}

impl fmt::Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(word) => f.write_str(word),
            Self::Pair { name, value } => write!(f, "{name}={value}"),
        }
    }
}

/// Something on the command line that could not be followed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Problem<'a> {
    /// A known name with a value that it does not take (empty where there is none).
    BadValue {
        /// The name.
        name: &'a str,
        /// What it was given.
        value: &'a str,
    },
    /// No room for this word among init's arguments or variables.
    TooManyWords(Word<'a>),
    /// The last word opens a quotation that never ends; it runs to the end of the line.
    UnclosedQuote(Word<'a>),
}

impl fmt::Display for Problem<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadValue { name, value } => write!(f, "{name}={value} makes no sense, ignored"),
            Self::TooManyWords(word) => write!(f, "no room for {word}"),
            Self::UnclosedQuote(word) => write!(f, "the quotation in {word} never ends"),
        }
    }
}

/// What the command line asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CommandLine<'a> {
    /// `init=`: the first program, an absolute path.
    pub init: Option<&'a str>,
    /// `console=`; of several the last one that exists here.
    pub console: Option<Console>,
    /// `maxproc=`: the most processes.
    pub max_processes: Option<u32>,
    /// `maxthread=`: the most threads.
    pub max_threads: Option<u32>,
    /// `pids=`.
    pub pids: Pids,
    /// `trace=`.
    pub trace: Trace,
    /// `panic=`.
    pub on_panic: PanicAction,
    /// `quiet`.
    pub verbosity: Verbosity,
    /// Arguments for init, after its own name.
    pub arguments: Vec<Word<'a>, MAX_INIT_WORDS>,
    /// Environment variables for init, each a [`Word::Pair`].
    pub environment: Vec<Word<'a>, MAX_INIT_WORDS>,
    /// What could not be followed.
    pub problems: Vec<Problem<'a>, MAX_PROBLEMS>,
}

impl<'a> CommandLine<'a> {
    /// Reads a command line. Cannot fail: see [`problems`](Self::problems).
    #[must_use]
    pub fn parse(line: &'a str) -> Self {
        let mut parsed = Self::default();
        let mut words = Words::new(line);
        let mut all_for_init = false;
        while let Some(word) = words.next() {
            if words.ended_inside_quotes() {
                parsed.complain(Problem::UnclosedQuote(word));
            }
            match word {
                word if all_for_init => parsed.pass_argument(word),
                Word::Plain("--") => all_for_init = true,
                word => parsed.take(word),
            }
        }
        parsed
    }

    fn take(&mut self, word: Word<'a>) {
        let (name, value) = match word {
            Word::Plain(name) => (name, None),
            Word::Pair { name, value } => (name, Some(value)),
        };
        let understood = match name {
            "init" => set_some(&mut self.init, value.filter(|path| path.starts_with('/'))),
            "console" => set_some(&mut self.console, value.and_then(console)),
            "maxproc" => set_some(&mut self.max_processes, value.and_then(limit)),
            "maxthread" => set_some(&mut self.max_threads, value.and_then(limit)),
            "pids" => set(&mut self.pids, value.and_then(pids)),
            "trace" => set(&mut self.trace, value.and_then(Trace::from_name)),
            "panic" => set(&mut self.on_panic, value.and_then(panic_action)),
            "quiet" => set(&mut self.verbosity, value.is_none().then_some(Verbosity::Quiet)),
            _ => return self.pass(word),
        };
        if understood == Understood::No {
            self.complain(Problem::BadValue { name, value: value.unwrap_or_default() });
        }
    }

    /// Passes on a word before `--` that the kernel does not know.
    fn pass(&mut self, word: Word<'a>) {
        match word {
            Word::Plain(name) | Word::Pair { name, .. } if name.contains('.') => {}
            Word::Plain(_) => self.pass_argument(word),
            Word::Pair { name, .. } => {
                // The last of several settings of a variable is the one that counts.
                self.environment.retain(|old| !matches!(old, Word::Pair { name: known, .. } if *known == name));
                if let Err(word) = self.environment.push(word) {
                    self.complain(Problem::TooManyWords(word));
                }
            }
        }
    }

    fn pass_argument(&mut self, word: Word<'a>) {
        if let Err(word) = self.arguments.push(word) {
            self.complain(Problem::TooManyWords(word));
        }
    }

    fn complain(&mut self, problem: Problem<'a>) {
        // A full list drops the problem: the caller has enough to print.
        let _ = self.problems.push(problem);
    }
}

impl Default for CommandLine<'_> {
    fn default() -> Self {
        Self {
            init: None,
            console: None,
            max_processes: None,
            max_threads: None,
            pids: Pids::Random,
            // Harmless where nobody listens: on a board the mini-UART is not on the header's pins, and without
            // semihosting an exit is a halt.
            trace: Trace::Uart1,
            on_panic: PanicAction::Exit,
            verbosity: Verbosity::Normal,
            arguments: Vec::new(),
            environment: Vec::new(),
            problems: Vec::new(),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Understood {
    Yes,
    No,
}

fn set<T>(place: &mut T, value: Option<T>) -> Understood {
    match value {
        Some(value) => {
            *place = value;
            Understood::Yes
        }
        None => Understood::No,
    }
}

fn set_some<T>(place: &mut Option<T>, value: Option<T>) -> Understood {
    match value {
        Some(_) => set(place, Some(value)),
        None => Understood::No,
    }
}

/// Options after a comma (`ttyAMA0,115200n8`) are accepted and not used: the line runs at 115200 8N1.
fn console(value: &str) -> Option<Console> {
    match value.split(',').next()? {
        "uart0" | "ttyAMA0" => Some(Console::Pl011),
        "uart1" | "ttyS0" | "ttyS1" => Some(Console::MiniUart),
        _ => None,
    }
}

fn pids(value: &str) -> Option<Pids> {
    match value {
        "random" => Some(Pids::Random),
        "sequential" => Some(Pids::Sequential),
        _ => None,
    }
}

fn limit(value: &str) -> Option<u32> {
    value.parse().ok().filter(|&limit| limit >= LEAST_LIMIT)
}

fn panic_action(value: &str) -> Option<PanicAction> {
    match value {
        "reboot" => Some(PanicAction::Reboot),
        "halt" => Some(PanicAction::Halt),
        "exit" => Some(PanicAction::Exit),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
