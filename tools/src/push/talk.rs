//! Frames to the loader, and its answers.

use std::io;
use std::time::{Duration, Instant};

use abi::push::frame::{self, MAX_ENCODED};
use abi::push::message::{Command, ToHost, ToLoader};
use abi::push::{FIRST_BAUD, RAW_OK, RAW_TOO_LARGE};

use super::port::Port;

/// How often something is sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tries {
    /// How often in all.
    pub(super) most: u32,
    /// How often it may be without any answer, even that it was damaged.
    pub(super) silences: u32,
}

/// For a frame.
pub(super) const FRAME: Tries = Tries { most: 16, silences: 3 };
/// For what tells whether a speed works.
pub(super) const SPEED: Tries = Tries { most: 4, silences: 3 };
/// For the start. A kernel that runs already takes what comes for typing.
pub(super) const START: Tries = Tries { most: 8, silences: 2 };

/// How long the loader may take to answer, beside the time on the line: it may have to inflate a block, and to look over
/// the whole image. A USB adapter holds bytes back for 16 ms.
const ANSWER: Duration = Duration::from_millis(1500);
/// The most that this is raised to where answers come late, as from an emulator on a busy machine.
const LATEST_ANSWER: Duration = Duration::from_secs(10);
/// How long the greeting's answer may take, and the one that tells whether a speed works.
const QUICK_ANSWER: Duration = Duration::from_millis(700);

/// How long what is said again at once may take.
const REPEAT: Duration = Duration::from_millis(50);

/// What came of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Answer {
    /// The answer to it.
    Of(ToHost),
    /// It, or another, arrived damaged.
    Damaged,
    /// Nothing came.
    None,
}

/// What a loader makes of a greeting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Greeting {
    /// It knows it.
    Understood,
    /// It takes it for a length, for which there is no room.
    TooLong,
    /// It takes it for a length that it does not look at, and waits for more than a gigabyte.
    Taken,
    /// Nothing that could be understood.
    Silence,
}

/// A line at whose other end the loader is.
pub(super) struct Talk<'port> {
    port: &'port mut dyn Port,
    baud: u32,
    sequence: u8,
    /// How long answers are waited for. What is sent again too early stands in the way of its own answer.
    patience: Duration,
}

impl<'port> Talk<'port> {
    pub(super) fn new(port: &'port mut dyn Port) -> Self {
        Self { port, baud: FIRST_BAUD, sequence: 0, patience: ANSWER }
    }

    pub(super) const fn baud(&self) -> u32 {
        self.baud
    }

    pub(super) fn set_baud(&mut self, baud: u32) -> io::Result<()> {
        self.baud = baud;
        self.port.set_baud(baud)
    }

    /// What the loader makes of our greeting.
    pub(super) fn greeting(&mut self) -> io::Result<Greeting> {
        let end = self.port.now() + QUICK_ANSWER;
        let mut heard = Vec::new();
        while let Some(byte) = self.read_until(end)? {
            if byte == frame::END {
                // Its request may have been on the line still.
                let frame = heard.iter().position(|&byte| byte != abi::push::REQUEST[0]).unwrap_or(heard.len());
                let parsed = frame::decode(&mut heard[frame..]).and_then(ToHost::parse);
                return Ok(if parsed.is_some() { Greeting::Understood } else { Greeting::Silence });
            }
            heard.push(byte);
            if heard.ends_with(&RAW_TOO_LARGE) {
                return Ok(Greeting::TooLong);
            }
        }
        // An answer of ours would have had an end.
        Ok(if heard.ends_with(&RAW_OK) { Greeting::Taken } else { Greeting::Silence })
    }

    /// Sends a command, once, and waits for what comes of it.
    pub(super) fn exchange(&mut self, what: Command<'_>) -> io::Result<Answer> {
        self.sequence = self.sequence.wrapping_add(1);
        // An empty frame ends whatever the loader has taken noise for.
        let mut bytes = vec![frame::END];
        ToLoader { sequence: self.sequence, what }.send(|byte| bytes.push(byte));
        self.port.write(&bytes)?;
        // Ten bits a byte, in case that the port said too early that they had left.
        let on_line = Duration::from_secs_f64(bytes.len() as f64 * 10.0 / f64::from(self.baud));
        let patience = if matches!(what, Command::Probe) { QUICK_ANSWER } else { self.patience };
        let sent = self.port.now();
        while let Some(answer) = self.read(sent + on_line + patience)? {
            if answer == Answer::Damaged || self.fits(what, answer) {
                self.patience = (3 * self.port.now().saturating_duration_since(sent)).clamp(ANSWER, LATEST_ANSWER);
                return Ok(answer);
            }
        }
        self.patience = (2 * self.patience).min(LATEST_ANSWER);
        Ok(Answer::None)
    }

    /// Passes over what is said several times, so that nobody takes it for text.
    pub(super) fn skip_frames(&mut self, count: u32) -> io::Result<()> {
        let mut left = count;
        while left > 0 {
            match self.port.read(REPEAT)? {
                Some(frame::END) => left -= 1,
                Some(_) => {}
                None => break,
            }
        }
        Ok(())
    }

    /// Whether this is an answer to that, and no late one to another. What is said of a later block is always true.
    fn fits(&self, what: Command<'_>, answer: Answer) -> bool {
        let Answer::Of(message) = answer else { return false };
        match (what, message) {
            (Command::Block { index: sent, .. }, ToHost::Next { index, .. }) if index > sent => true,
            (Command::Start, ToHost::Starting { .. }) => true,
            (Command::Offer(_), ToHost::Next { .. }) => false,
            (
                _,
                ToHost::Accepted { sequence, .. }
                | ToHost::Next { sequence, .. }
                | ToHost::Refused { sequence, .. }
                | ToHost::Starting { sequence },
            ) => sequence == self.sequence,
            (_, ToHost::Damaged) => false,
        }
    }

    /// The next byte that comes before `end`.
    fn read_until(&mut self, end: Instant) -> io::Result<Option<u8>> {
        let patience = end.saturating_duration_since(self.port.now());
        self.port.read(patience)
    }

    /// The next frame that comes before `end`.
    fn read(&mut self, end: Instant) -> io::Result<Option<Answer>> {
        let mut heard = Vec::new();
        while let Some(byte) = self.read_until(end)? {
            if byte != frame::END {
                heard.push(byte);
                // Not the loader.
                if heard.len() > MAX_ENCODED {
                    heard.clear();
                }
            } else if !heard.is_empty() {
                let message = frame::decode(&mut heard).and_then(ToHost::parse);
                return Ok(Some(match message {
                    None | Some(ToHost::Damaged) => Answer::Damaged,
                    Some(message) => Answer::Of(message),
                }));
            }
        }
        Ok(None)
    }
}
