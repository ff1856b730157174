//! A file for the board, by way of its shell: as base64 into a file, a line at a time, each only when the last one came back,
//! so that no input is lost; then both sides' checksums are compared.

use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

/// Bytes of the file in a line: 512 characters, an eighth of what a terminal's line may have.
const LINE_BYTES: usize = 384;
/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(20);
/// What the shell says when the reader of the lines runs. As it is typed it is another text, or its echo would be taken for it.
const READY: (&str, &str) = ("tine''-ready", "tine-ready");
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// Keys: the end of the input, and an interrupt.
const END: &[u8] = b"\x04";
const INTERRUPT: &[u8] = b"\x03";

/// A file on its way.
#[derive(Debug)]
pub struct Sending {
    name: String,
    digest: String,
    /// Those that are not sent yet, the next one last.
    lines: Vec<String>,
    total: usize,
    state: State,
    /// What the board said of the line that is not at its end.
    heard: Vec<u8>,
    since: Instant,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum State {
    /// The command was typed.
    Begun,
    /// This line was sent.
    Sent(String),
    /// All were, and the checksum asked for.
    Asked,
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// Nothing yet.
    Wait,
    /// These bytes go to the board.
    Send(Vec<u8>),
    /// The board has the file, and its checksum is right.
    Done,
    /// It does not, for this reason; these bytes go to the board to bring its shell back.
    Failed(String, &'static [u8]),
}

impl Sending {
    /// A file for the board's `name`, and what is typed first. The board is at a shell's prompt.
    #[must_use]
    pub fn new(name: &str, bytes: &[u8], now: Instant) -> (Self, Vec<u8>) {
        let digest = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        let lines: Vec<String> = bytes.chunks(LINE_BYTES).rev().map(base64).collect();
        let command = format!("echo {}; base64 -d > {}\r", READY.0, quoted(name));
        let total = lines.len();
        let sending =
            Self { name: name.to_owned(), digest, lines, total, state: State::Begun, heard: Vec::new(), since: now };
        (sending, command.into_bytes())
    }

    /// How much of it the board has, in percent.
    #[must_use]
    pub fn percent(&self) -> usize {
        100 * (self.total - self.lines.len()) / self.total.max(1)
    }

    /// What follows from what the board said, at the moment `now`. To be called now and then without anything said, too.
    pub fn hear(&mut self, said: &[u8], now: Instant) -> Step {
        for &byte in said {
            if !matches!(byte, b'\r' | b'\n') {
                self.heard.push(byte);
                continue;
            }
            let line = String::from_utf8_lossy(&self.heard).into_owned();
            self.heard.clear();
            match self.line(&line, now) {
                Step::Wait => {}
                step => return step,
            }
        }
        if now.saturating_duration_since(self.since) > PATIENCE {
            return Step::Failed("the board does not answer".to_owned(), INTERRUPT);
        }
        Step::Wait
    }

    fn line(&mut self, line: &str, now: Instant) -> Step {
        let goes_on = match &self.state {
            State::Begun => line.trim() == READY.1,
            State::Sent(sent) => line == sent,
            State::Asked => return self.compare(line),
        };
        if !goes_on {
            return if self.state != State::Begun && line.contains("base64") {
                Step::Failed(format!("the board says: {line}"), INTERRUPT)
            } else {
                Step::Wait
            };
        }
        self.since = now;
        let Some(next) = self.lines.pop() else {
            self.state = State::Asked;
            let ask = format!("sha256sum {}\r", quoted(&self.name));
            return Step::Send([END, ask.as_bytes()].concat());
        };
        let typed = format!("{next}\r").into_bytes();
        self.state = State::Sent(next);
        Step::Send(typed)
    }

    fn compare(&self, line: &str) -> Step {
        let digest = line.split_ascii_whitespace().next().unwrap_or_default();
        if digest.len() != self.digest.len() || !digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Step::Wait;
        }
        if digest == self.digest { Step::Done } else { Step::Failed("its checksum is another".to_owned(), b"") }
    }
}

/// A word of a shell.
fn quoted(name: &str) -> String {
    format!("'{}'", name.replace('\'', "'\\''"))
}

fn base64(bytes: &[u8]) -> String {
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let padded = [0, 1, 2].map(|index| three.get(index).copied().unwrap_or(0));
        let bits = padded.iter().fold(0_usize, |bits, &byte| bits << 8 | usize::from(byte));
        for place in 0..4 {
            let digit = char::from(ALPHABET[bits >> (18 - 6 * place) & 63]);
            text.push(if place > three.len() { '=' } else { digit });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_rfc_4648() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xff, 0xef, 0xbe]), "/+++");
    }

    /// A shell that echoes what is typed and does what it should, or says something else.
    fn play(bytes: &[u8], answer: impl Fn(&str) -> Option<String>) -> (Step, Vec<String>) {
        let now = Instant::now();
        let (mut sending, mut typed) = Sending::new("a file", bytes, now);
        let mut lines = Vec::new();
        loop {
            let text = String::from_utf8(typed).unwrap();
            let line = text.trim_start_matches('\x04').trim_end_matches('\r').to_owned();
            lines.push(line.clone());
            let said = format!("{line}\r\n{}", answer(&line).unwrap_or_default());
            // In pieces, as it comes.
            let mut step = Step::Wait;
            for piece in said.as_bytes().chunks(7) {
                step = sending.hear(piece, now);
                if step != Step::Wait {
                    break;
                }
            }
            match step {
                Step::Send(bytes) => typed = bytes,
                Step::Wait => return (sending.hear(b"", now + 2 * PATIENCE), lines),
                other => return (other, lines),
            }
        }
    }

    fn digest(bytes: &[u8]) -> String {
        Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn a_file_goes_in_lines_and_its_checksum_is_compared() {
        let bytes: Vec<u8> = (0..2000_u32).flat_map(u32::to_le_bytes).collect();
        let (step, lines) = play(&bytes, |line| {
            let ready = line.starts_with("echo ").then(|| "tine-ready\r\n".to_owned());
            ready.or_else(|| line.starts_with("sha256sum").then(|| format!("{}  a file\r\n", digest(&bytes))))
        });
        assert_eq!(step, Step::Done);
        assert_eq!(lines[0], "echo tine''-ready; base64 -d > 'a file'");
        assert_eq!(lines[1..lines.len() - 1].concat(), base64(&bytes));
        assert_eq!(lines.last().unwrap(), "sha256sum 'a file'");
    }

    #[test]
    fn another_checksum_is_told() {
        let (step, _) = play(b"bytes", |line| {
            let ready = line.starts_with("echo ").then(|| "tine-ready\r\n".to_owned());
            ready.or_else(|| line.starts_with("sha256sum").then(|| format!("{}  a file\r\n", digest(b"others"))))
        });
        assert!(matches!(&step, Step::Failed(why, _) if why.contains("checksum")), "{step:?}");
    }

    #[test]
    fn a_board_without_a_shell_is_given_up() {
        let (step, lines) = play(b"bytes", |_| None);
        assert!(matches!(&step, Step::Failed(why, INTERRUPT) if why.contains("answer")), "{step:?}");
        assert_eq!(lines.len(), 1);
    }

    #[test]
    fn a_name_is_one_word_to_a_shell() {
        assert_eq!(quoted("a'b c"), "'a'\\''b c'");
    }
}
