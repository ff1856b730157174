//! The test programs on a board with a loader on its card, over the serial line.
//!
//! The kernel is pushed; `usertests` is typed at its shell; then the board starts again, and the kernel that tests itself is
//! pushed, which switches the board off in the end. So nobody has to be there but for switching the board on.

use std::time::{Duration, Instant};

use abi::push::REQUEST;
use anyhow::{Context as _, bail, ensure};

use crate::demux::{Demux, Piece};
use crate::push::port::Port;
use crate::push::{self, Event, Order};
use crate::summary::{self, Count};

/// The byte with which a loader asks.
const ASKED: u8 = REQUEST[0];
/// A loader asks every two seconds.
const LISTEN: Duration = Duration::from_secs(5);
/// What a shell of root's, or the monitor, asks with.
const PROMPTS: [&str; 2] = ["# ", "tine> "];
/// Behind the last byte of a prompt nothing comes for so long.
const SILENCE: Duration = Duration::from_millis(700);
/// What begins a report that ends everything.
const PANIC: &str = "panic on cpu ";
/// What ends it.
const PANIC_END: &str = "end of panic";

/// What is to be run.
#[derive(Debug)]
pub struct Plan {
    /// The kernel's raw image.
    pub kernel: Vec<u8>,
    /// That of the kernel that tests itself, if it is to be run.
    pub ktest: Option<Vec<u8>>,
    /// Words for `usertests`: names, or none for all.
    pub names: Vec<String>,
    /// The speed to send with.
    pub baud: u32,
    /// How long the board is waited for.
    pub wait: Duration,
    /// How long the board may say nothing before it is taken for hung.
    pub silence: Duration,
}

/// What is told of on the way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Said {
    /// A line of the board's.
    Line(String),
    /// What is being done.
    Step(&'static str),
    /// What is told of a push.
    Push(Event),
}

/// Runs all of it, and adds up what passed and what failed. What ends early counts as one failure more.
///
/// # Errors
///
/// Where the port is gone, or no loader asks.
pub fn run(port: &mut impl Port, plan: &Plan, tell: &mut dyn FnMut(Said)) -> anyhow::Result<Count> {
    let mut board = Board { port, plan, tell, demux: Demux::default(), text: Vec::new(), asked: 0 };
    board.wake(LISTEN)?;
    board.push(&plan.kernel, "the kernel")?;
    let mut count = Count::default();
    let words = [&["usertests".to_owned()][..], &plan.names].concat().join(" ");
    board.until_prompt().context("no shell's prompt")?;
    board.say(Said::Step("usertests"));
    board.port.write(format!("{words}\r").as_bytes())?;
    count += board.results();
    if let Some(ktest) = &plan.ktest {
        if board.until_prompt().is_ok() {
            board.port.write(b"reboot\r")?;
        }
        board.push(ktest, "the kernel that tests itself")?;
        board.say(Said::Step("ktest"));
        count += board.results();
    }
    Ok(count)
}

/// The board while all this goes on.
struct Board<'a, P> {
    port: &'a mut P,
    plan: &'a Plan,
    tell: &'a mut dyn FnMut(Said),
    demux: Demux,
    /// Of the line that is not at its end.
    text: Vec<u8>,
    /// How many of the last bytes were those with which a loader asks.
    asked: usize,
}

impl<P: Port> Board<'_, P> {
    fn say(&mut self, said: Said) {
        (self.tell)(said);
    }

    /// A board that is at a prompt is started again. One whose loader asks is left alone: whatever it hears counts as an
    /// answer.
    fn wake(&mut self, listen: Duration) -> anyhow::Result<()> {
        let end = Instant::now() + listen;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            if self.port.read(left)? == Some(ASKED) {
                return Ok(());
            }
        }
        self.port.write(b"\r")?;
        let mut said = Vec::new();
        while let Some(byte) = self.port.read(SILENCE)? {
            said.push(byte);
        }
        if is_prompt(&said) {
            self.port.write(b"reboot\r")?;
        }
        Ok(())
    }

    fn push(&mut self, image: &[u8], what: &'static str) -> anyhow::Result<()> {
        self.say(Said::Step(what));
        let order = Order { image, baud: self.plan.baud, patience: self.plan.wait };
        push::push(self.port, &order, &mut |event| (self.tell)(Said::Push(event)))?;
        self.text.clear();
        self.asked = 0;
        Ok(())
    }

    /// Reads up to a prompt, behind which nothing comes.
    fn until_prompt(&mut self) -> anyhow::Result<()> {
        let mut last = Instant::now();
        loop {
            match self.port.read(SILENCE)? {
                Some(byte) => {
                    ensure!(!self.is_request(byte), "the board has started again: its loader asks");
                    last = Instant::now();
                    self.take(byte).into_iter().for_each(|line| (self.tell)(Said::Line(line)));
                }
                None if is_prompt(&self.text) => return Ok(()),
                None => ensure!(last.elapsed() < self.plan.silence, "the board says nothing any more"),
            }
        }
    }

    /// Reads up to the line that counts. What stops before it, and what has nothing to count, is a failure.
    fn results(&mut self) -> Count {
        const FAILURE: Count = Count { passed: 0, failed: 1 };
        let mut panicked = false;
        loop {
            let byte = match self.port.read(self.plan.silence) {
                Ok(Some(byte)) => byte,
                Ok(None) => {
                    (self.tell)(Said::Line("the board says nothing any more".to_owned()));
                    return FAILURE;
                }
                // What was counted before is to be told all the same.
                Err(error) => {
                    (self.tell)(Said::Line(format!("the line is gone: {error}")));
                    return FAILURE;
                }
            };
            // A board that starts again is never silent.
            if self.is_request(byte) {
                (self.tell)(Said::Line("the board has started again: its loader asks".to_owned()));
                return FAILURE;
            }
            for line in self.take(byte) {
                let count = of_line(&line);
                panicked |= line.starts_with(PANIC);
                let over = panicked && line.starts_with(PANIC_END);
                (self.tell)(Said::Line(line));
                match count {
                    Some(count) if panicked => return Count { failed: count.failed.max(1), ..count },
                    // Of the names there are no tests.
                    Some(count) if count == Count::default() => return FAILURE,
                    Some(count) => return count,
                    None if over => return FAILURE,
                    None => {}
                }
            }
        }
    }

    /// Whether a loader asks with this byte and those before it.
    fn is_request(&mut self, byte: u8) -> bool {
        self.asked = if byte == ASKED { self.asked + 1 } else { 0 };
        self.asked == REQUEST.len()
    }

    /// The lines that a byte completes; trace records are left out.
    fn take(&mut self, byte: u8) -> Vec<String> {
        let mut lines = Vec::new();
        for piece in self.demux.push(&[byte]) {
            let Piece::Text(text) = piece else { continue };
            for byte in text {
                if byte == b'\n' {
                    let line = String::from_utf8_lossy(&self.text).trim_end_matches('\r').to_owned();
                    lines.push(line);
                    self.text.clear();
                } else {
                    self.text.push(byte);
                }
            }
        }
        lines
    }
}

/// The results in the last line of either runner.
fn of_line(line: &str) -> Option<Count> {
    let rest = line.strip_prefix("ktest: ").or_else(|| line.strip_prefix("usertests: "))?;
    summary::counts(rest, ", ")
}

/// Whether that ends with a prompt; a shell asks the terminal behind it where the cursor is (`ESC [ 6 n`).
fn is_prompt(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text);
    let text = text.strip_suffix("\u{1b}[6n").unwrap_or(&text);
    PROMPTS.iter().any(|prompt| text.ends_with(prompt))
}

/// Refuses a plan that cannot tell anything.
///
/// # Errors
///
/// For an image without a byte.
pub fn check(plan: &Plan) -> anyhow::Result<()> {
    if plan.kernel.is_empty() || plan.ktest.as_ref().is_some_and(Vec::is_empty) {
        bail!("an image is empty");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::io;

    use super::*;

    /// A board that says these bytes, and then nothing.
    struct Script(VecDeque<u8>, Vec<u8>);

    impl Port for Script {
        fn read(&mut self, _patience: Duration) -> io::Result<Option<u8>> {
            Ok(self.0.pop_front())
        }

        fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
            self.1.extend(bytes);
            Ok(())
        }

        fn set_baud(&mut self, _baud: u32) -> io::Result<()> {
            Ok(())
        }
    }

    fn plan() -> Plan {
        let (wait, silence) = (Duration::from_secs(1), Duration::from_millis(1));
        Plan { kernel: vec![0], ktest: None, names: Vec::new(), baud: 115_200, wait, silence }
    }

    fn board<'a, P: Port>(port: &'a mut P, plan: &'a Plan, tell: &'a mut dyn FnMut(Said)) -> Board<'a, P> {
        Board { port, plan, tell, demux: Demux::default(), text: Vec::new(), asked: 0 }
    }

    fn results(said: &[u8]) -> (Count, Vec<Said>) {
        let (plan, mut told) = (plan(), Vec::new());
        let mut port = Script(said.iter().copied().collect(), Vec::new());
        let mut tell = |said| told.push(said);
        let mut board = board(&mut port, &plan, &mut tell);
        let count = board.results();
        (count, told)
    }

    #[test]
    fn the_line_that_counts_ends_a_run() {
        let (count, told) = results(b"test a ... ok\r\nusertests: 12 passed, 1 failed\r\n~ # ");
        assert_eq!(count, Count { passed: 12, failed: 1 });
        assert_eq!(told.len(), 2);
        assert_eq!(results(b"ktest: 3 passed, 0 failed\n").0, Count { passed: 3, failed: 0 });
    }

    #[test]
    fn a_panic_and_silence_count_as_failures() {
        let (count, told) = results(b"test a ... panic\r\npanic on cpu 1: oh\r\nend of panic\r\n");
        assert_eq!((count, told.len()), (Count { passed: 0, failed: 1 }, 3));
        assert_eq!(results(b"test a ... ").0, Count { passed: 0, failed: 1 });
    }

    #[test]
    fn names_of_no_tests_and_a_line_that_goes_count_as_failures() {
        assert_eq!(results(b"usertests: 0 passed, 0 failed\r\n").0, Count { passed: 0, failed: 1 });
        let (plan, mut told) = (plan(), Vec::new());
        let mut tell = |said| told.push(said);
        let mut port = Gone;
        let mut board = board(&mut port, &plan, &mut tell);
        assert_eq!(board.results(), Count { passed: 0, failed: 1 });
        assert!(matches!(&told[..], [Said::Line(line)] if line.contains("the line is gone")), "{told:?}");
    }

    /// A port whose cable was pulled out.
    struct Gone;

    impl Port for Gone {
        fn read(&mut self, _patience: Duration) -> io::Result<Option<u8>> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn write(&mut self, _bytes: &[u8]) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn set_baud(&mut self, _baud: u32) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_board_that_starts_again_counts_as_a_failure() {
        let (count, told) = results(b"test a ... \r\n\x03\x03\x03usertests: 1 passed, 0 failed\r\n");
        assert_eq!(count, Count { passed: 0, failed: 1 });
        assert!(matches!(told.last(), Some(Said::Line(line)) if line.contains("started again")), "{told:?}");
    }

    #[test]
    fn a_loader_that_asks_is_no_prompt() {
        let (plan, mut tell) = (plan(), |_| {});
        let mut port = Script(b"lines\r\n\x03\x03\x03\x03\x03\x03".iter().copied().collect(), Vec::new());
        let mut board = board(&mut port, &plan, &mut tell);
        assert!(board.until_prompt().is_err());
    }

    #[test]
    fn trace_records_in_the_stream_are_no_text() {
        let (count, _) = results(b"usertests: 1\xff\x00\x11\x12\x00 passed, 0 failed\r\n");
        assert_eq!(count, Count { passed: 1, failed: 0 });
    }

    #[test]
    fn a_prompt_is_one_with_or_without_the_question_for_the_cursor() {
        for text in ["~ # ", "/ # \u{1b}[6n", "tine> "] {
            assert!(is_prompt(text.as_bytes()), "{text:?}");
        }
        assert!(!is_prompt(b"# comment") && !is_prompt(b""));
    }

    #[test]
    fn only_a_board_at_a_prompt_is_told_to_start_again() {
        for (said, typed) in
            [(&b"\r\n~ # "[..], &b"\rreboot\r"[..]), (b"", b"\r"), (b"\x03\x03\x03", b""), (b"login: ", b"\r")]
        {
            let (plan, mut tell) = (plan(), |_| {});
            // Nothing is heard while it is listened for a loader, but for the loader's own bytes.
            let (first, then) = if said.first() == Some(&ASKED) { (said, &b""[..]) } else { (&b""[..], said) };
            let mut port = Quiet { inner: Script(first.iter().copied().collect(), Vec::new()), then: then.to_vec() };
            let mut board = board(&mut port, &plan, &mut tell);
            board.wake(Duration::from_millis(20)).unwrap();
            assert_eq!(port.inner.1, typed, "{said:?}");
        }
    }

    /// One that answers when it is written to.
    struct Quiet {
        inner: Script,
        then: Vec<u8>,
    }

    impl Port for Quiet {
        fn read(&mut self, patience: Duration) -> io::Result<Option<u8>> {
            let byte = self.inner.read(patience)?;
            if byte.is_none() {
                std::thread::sleep(patience.min(Duration::from_millis(5)));
            }
            Ok(byte)
        }

        fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
            self.inner.0.extend(std::mem::take(&mut self.then));
            self.inner.write(bytes)
        }

        fn set_baud(&mut self, baud: u32) -> io::Result<()> {
            self.inner.set_baud(baud)
        }
    }
}
