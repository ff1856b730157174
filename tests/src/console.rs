//! The conversation with a board over its serial console.
//!
//! `expectrl` does the expecting; `Line` is the stream under it, and `Process` what is at its other end. Every error
//! carries what the board said last, for that is what explains it.

mod line;
mod process;

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, ensure};
use expectrl::{Eof, Expect as _, NBytes, Needle, Session};

use self::line::Line;
use self::process::Process;

/// How long a board may take for one step before the test has failed. Far more than it needs, on a busy host too.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// What the monitor prints when it waits for a command.
pub const PROMPT: &str = "tine> ";
/// The key that ends a line.
pub const ENTER: &str = "\r";
/// As much of what the board said last goes into an error.
const TAIL_BYTES: usize = 4000;

/// A console.
pub struct Console {
    session: Session<Process, Line>,
    /// What the emulator itself complained of.
    complaints: Option<File>,
}

impl Console {
    /// Starts `command`, an emulator with its console on standard input and output, over pipes: every byte passes as it
    /// is, and none is echoed.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn start(mut command: Command) -> anyhow::Result<Self> {
        let complaints = tempfile::tempfile().context("cannot make a temporary file")?;
        command.stderr(complaints.try_clone()?);
        let (process, line) = Process::spawn(command)?;
        Self::new(process, line, Some(complaints))
    }

    /// Starts `command` on a terminal of its own, as a person does.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn start_on_terminal(command: Command) -> anyhow::Result<Self> {
        let (process, line) = Process::spawn_on_terminal(command)?;
        Self::new(process, line, None)
    }

    /// Opens the serial port that a board is connected to.
    ///
    /// # Errors
    ///
    /// When it cannot be opened.
    pub fn open(port: &str) -> anyhow::Result<Self> {
        Self::new(Process::Board, Line::open(port)?, None)
    }

    fn new(process: Process, line: Line, complaints: Option<File>) -> anyhow::Result<Self> {
        let mut session = Session::new(process, line)?;
        session.set_expect_timeout(Some(PATIENCE));
        Ok(Self { session, complaints })
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    ///
    /// When the other end is gone.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> anyhow::Result<()> {
        let sent = self.session.send(bytes);
        sent.map_err(|error| self.explain("to take input", &error))
    }

    /// Waits for `text`, takes it, and gives what came before it.
    ///
    /// # Errors
    ///
    /// When it does not come within [`PATIENCE`], or the board ends.
    pub fn until(&mut self, text: &str) -> anyhow::Result<String> {
        self.wait_for(text, &format!("{text:?}"))
    }

    /// The next line, without its end.
    ///
    /// # Errors
    ///
    /// As [`until`](Self::until).
    pub fn line(&mut self) -> anyhow::Result<String> {
        self.wait_for("\r\n", "a line")
    }

    /// What the board says until the next prompt.
    ///
    /// # Errors
    ///
    /// As [`until`](Self::until).
    pub fn until_prompt(&mut self) -> anyhow::Result<String> {
        self.wait_for(PROMPT, "the prompt")
    }

    /// Types `line` at the prompt, checks that it is echoed, and gives the answer, up to the next prompt.
    ///
    /// # Errors
    ///
    /// As [`until`](Self::until); or when the echo is not what was typed.
    pub fn command(&mut self, line: &str) -> anyhow::Result<String> {
        self.enter(line)?;
        self.until_prompt()
    }

    /// Types `line` at the prompt, checks that it is echoed, and leaves the answer to be read.
    ///
    /// # Errors
    ///
    /// As [`until`](Self::until); or when the echo is not what was typed.
    pub fn enter(&mut self, line: &str) -> anyhow::Result<()> {
        self.send(format!("{line}{ENTER}"))?;
        let echo = self.line()?;
        ensure!(echo == line, "typed {line:?}, echoed was {echo:?}");
        Ok(())
    }

    /// Waits for the emulator's end, and gives the last words and the status.
    ///
    /// # Errors
    ///
    /// When it does not end within [`PATIENCE`], when a signal ended it, or when the board is a real one.
    pub fn end(&mut self) -> anyhow::Result<(String, i32)> {
        let words = self.wait_for(Eof, "the end")?;
        let status = self.session.get_process_mut().wait(PATIENCE)?;
        Ok((words, status))
    }

    /// Cuts the emulator's power: it ends at once, whatever it is about. Gives every byte that the board sent.
    ///
    /// # Errors
    ///
    /// When the board is a real one.
    pub fn cut(mut self) -> anyhow::Result<Vec<u8>> {
        self.session.get_process_mut().kill()?;
        self.wait_for(Eof, "the end")?;
        Ok(self.transcript().to_vec())
    }

    /// Waits until the console stream has brought so many trace frames.
    ///
    /// # Errors
    ///
    /// When it does not within [`PATIENCE`], or the board ends.
    pub fn until_frames(&mut self, count: usize) -> anyhow::Result<()> {
        let end = Instant::now() + PATIENCE;
        while self.frames().len() < count {
            if Instant::now() > end {
                return Err(self.explain(&format!("{count} frames"), &expectrl::Error::ExpectTimeout));
            }
            // Reads what is there for a moment; nothing is matched, so no text is taken.
            if let Err(error) = self.session.is_matched(NOTHING) {
                return Err(self.explain(&format!("{count} frames"), &error));
            }
        }
        Ok(())
    }

    /// Checks that the emulator goes on for `time`: that it did not end on account of what was just said.
    ///
    /// # Errors
    ///
    /// When it ends.
    pub fn stays(&mut self, time: Duration) -> anyhow::Result<()> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            if let Err(error) = self.session.is_matched(NOTHING) {
                return Err(self.explain("it to stay", &error));
            }
        }
        Ok(())
    }

    /// The trace frames that were in the console stream so far.
    #[must_use]
    pub fn frames(&self) -> &[Vec<u8>] {
        self.session.get_stream().frames()
    }

    /// Every byte that the board sent so far, frames included.
    #[must_use]
    pub fn transcript(&self) -> &[u8] {
        self.session.get_stream().transcript()
    }

    /// The emulator's process.
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        self.session.get_process().id()
    }

    fn wait_for<N: Needle>(&mut self, needle: N, wanted: &str) -> anyhow::Result<String> {
        match self.session.expect(needle) {
            // At the end of the stream the text is the match itself.
            Ok(found) if wanted == "the end" => Ok(lossy(found.as_bytes())),
            Ok(found) => Ok(lossy(found.before())),
            Err(error) => Err(self.explain(wanted, &error)),
        }
    }

    fn explain(&mut self, wanted: &str, error: &expectrl::Error) -> anyhow::Error {
        let transcript = self.transcript();
        let tail = lossy(&transcript[transcript.len().saturating_sub(TAIL_BYTES)..]);
        let mut complaints = String::new();
        if let Some(file) = &mut self.complaints {
            // What cannot be read is not there to be shown.
            let _ = file.rewind();
            let _ = file.read_to_string(&mut complaints);
        }
        let because = match error {
            expectrl::Error::ExpectTimeout => format!("nothing like it within {} s", PATIENCE.as_secs()),
            expectrl::Error::Eof => "the board ended".to_owned(),
            other => other.to_string(),
        };
        anyhow!("waited for {wanted}: {because}\n--- the board said\n{tail}\n--- the emulator said\n{complaints}---")
    }
}

/// What no text matches: more of it than there can be.
const NOTHING: NBytes = NBytes(usize::MAX);

/// Bytes as text; what is no UTF-8 becomes visible.
fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests;
