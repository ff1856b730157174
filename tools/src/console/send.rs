//! A file for the board, by way of its shell: as base64 into a file, a line at a time, each only when the last one came back,
//! so that no input is lost; then both sides' checksums are compared.
//!
//! ```text
//! (…base64 -d > NAME.part); echo end $?     ─►  ready      or what the shell complains of, and: end 1
//! lines of base64                           ─►  the same   or: failed (no room), and the rest is read by nobody
//! Ctrl-D                                    ─►  end 0
//! sha256sum < NAME.part; echo end $?        ─►  the sum, end 0
//! (…mv NAME.part NAME); echo end $?         ─►  end 0, and a prompt for the user
//! ```
//!
//! So a file that is there already stays as it is until the new one is whole, and no line of base64 is ever taken for a
//! command. Lines of the kernel's may come between, and trace records.

use std::time::{Duration, Instant};

use anyhow::ensure;
use sha2::{Digest as _, Sha256};

use crate::demux::{Demux, Piece};

/// Bytes of the file in a line: 512 characters, an eighth of what a terminal's line may have.
const LINE_BYTES: usize = 384;
/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(20);
/// What a name may have, in quotes: a shell's line editor takes lines of some 1,000 bytes.
const NAME_MAX: usize = 512;
/// As much of what the board said last is kept.
const SAID_MAX: usize = 16 << 10;
/// Words of ours, as they are typed: with quotes in them, or their echo would be taken for them.
const TYPED: [&str; 3] = ["tine''-ready", "tine''-failed", "tine''-end"];
/// The reader of the lines runs.
const READY: &str = "tine-ready";
/// It has given up, and another one reads what comes up to the end.
const FAILED: &str = "tine-failed";
/// A command has ended, with the status that follows.
const STATUS: &str = "tine-end ";
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
    demux: Demux,
    /// What the board said of the line that is not at its end.
    heard: Vec<u8>,
    /// The last line that was none of ours: what the board complains of.
    complaint: String,
    /// What the board said since it last did what it should.
    said: Vec<u8>,
    since: Instant,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum State {
    /// The command was typed.
    Begun,
    /// This line was sent.
    Sent(String),
    /// All were, and the end.
    Ended,
    /// What decodes has given up, and the end was sent to what reads the rest.
    GivenUp,
    /// The checksum was asked for; this came.
    Asked(Option<String>),
    /// It gets its name.
    Named,
    /// For this reason what there is of it is removed.
    Removing(String),
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// Nothing yet.
    Wait,
    /// These bytes go to the board.
    Send(Vec<u8>),
    /// The board has the file, and its checksum is right. What it said since is for the user.
    Done(Vec<u8>),
    /// It does not.
    Failed {
        /// The reason.
        why: String,
        /// These bytes go to the board to bring its shell back, where it is not at its prompt.
        typed: Vec<u8>,
        /// What the board said since, or what it said last where that is all that is known.
        said: Vec<u8>,
    },
}

impl Sending {
    /// A file for the board's `name`, and what is typed first. The board is at a shell's prompt.
    ///
    /// # Errors
    ///
    /// A name that cannot be typed.
    pub fn new(name: &str, bytes: &[u8], now: Instant) -> anyhow::Result<(Self, Vec<u8>)> {
        ensure!(!name.is_empty() && !name.ends_with('/'), "{name:?} is no name of a file");
        ensure!(!name.chars().any(char::is_control), "{name:?} cannot be typed");
        ensure!(quoted(name).len() <= NAME_MAX, "the name is too long");
        let digest = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        let lines: Vec<String> = bytes.chunks(LINE_BYTES).rev().map(base64).collect();
        let total = lines.len();
        let sending = Self {
            name: name.to_owned(),
            digest,
            lines,
            total,
            state: State::Begun,
            demux: Demux::default(),
            heard: Vec::new(),
            complaint: String::new(),
            said: Vec::new(),
            since: now,
        };
        let command = sending.decode();
        Ok((sending, command))
    }

    /// How much of it the board has, in percent.
    #[must_use]
    pub fn percent(&self) -> usize {
        100 * (self.total - self.lines.len()) / self.total.max(1)
    }

    /// What follows from what the board said, at the moment `now`. To be called now and then without anything said, too.
    pub fn hear(&mut self, said: &[u8], now: Instant) -> Step {
        let pieces = self.demux.push(said).into_iter();
        let mut text =
            pieces.filter_map(|piece| if let Piece::Text(text) = piece { Some(text) } else { None }).flatten();
        let mut typed = Vec::new();
        while let Some(byte) = text.next() {
            if self.said.len() < SAID_MAX {
                self.said.push(byte);
            }
            if !matches!(byte, b'\r' | b'\n') {
                self.heard.push(byte);
                continue;
            }
            let line = String::from_utf8_lossy(&core::mem::take(&mut self.heard)).into_owned();
            match self.line(&line) {
                Step::Wait => continue,
                // What comes behind may belong to it: a failure behind the echo of a line.
                Step::Send(bytes) => typed.extend(bytes),
                Step::Done(_) => return Step::Done(text.collect()),
                Step::Failed { why, typed, .. } => return Step::Failed { why, typed, said: text.collect() },
            }
            self.since = now;
            self.said.clear();
        }
        if !typed.is_empty() {
            return Step::Send(typed);
        }
        if now.saturating_duration_since(self.since) > PATIENCE {
            return self.give_up("the board does not answer");
        }
        Step::Wait
    }

    /// What gets a shell back whose connection broke while a file was sent.
    #[must_use]
    pub const fn interrupt() -> &'static [u8] {
        INTERRUPT
    }

    /// Ends it in the middle, for the reason `why`.
    pub fn give_up(&mut self, why: &str) -> Step {
        // Where nobody said that he is ready there may be no shell.
        let remove = if self.state == State::Begun { String::new() } else { self.remove() + "\r" };
        Step::Failed {
            why: why.to_owned(),
            typed: [INTERRUPT, remove.as_bytes()].concat(),
            said: core::mem::take(&mut self.said),
        }
    }

    fn line(&mut self, line: &str) -> Step {
        let status = line.strip_prefix(STATUS).and_then(|status| status.trim().parse::<i32>().ok());
        match (&mut self.state, status) {
            (State::Begun, None) if line.trim() == READY => self.next(),
            // A line of the kernel's may stand before the echo, or within it.
            (State::Sent(sent), None) if !line.is_empty() && (line.contains(&*sent) || sent.ends_with(line)) => {
                self.next()
            }
            // It may stand behind what was shown of a line so far.
            (State::Sent(_) | State::Ended, None) if line.trim_end().ends_with(FAILED) => {
                self.state = State::GivenUp;
                Step::Send(END.to_vec())
            }
            (State::Ended, Some(0)) => {
                let part = quoted(&self.part());
                self.type_next(State::Asked(None), &format!("sha256sum < {part}; echo {} $?", TYPED[2]))
            }
            (State::Asked(found), None) if is_digest(line) => {
                *found = line.split(' ').next().map(str::to_owned);
                Step::Wait
            }
            (State::Asked(Some(found)), Some(0)) if *found == self.digest => {
                let (name, end) = (quoted(&self.name), TYPED[2]);
                self.type_next(
                    State::Named,
                    &format!(
                        "(n={name}; [ ! -e \"$n\" ] || chmod \"$(stat -c %a -- \"$n\")\" \"$n.part\"; \
                         mv -f -- \"$n.part\" \"$n\" && sync); echo {end} $?"
                    ),
                )
            }
            (State::Asked(Some(_)), Some(0)) => self.fail("its checksum is another"),
            (State::Named, Some(0)) => Step::Done(Vec::new()),
            (State::Removing(why), Some(_)) => {
                Step::Failed { why: core::mem::take(why), typed: Vec::new(), said: Vec::new() }
            }
            (_, Some(_)) if self.complaint.is_empty() => self.fail("a command fails there"),
            (_, Some(_)) => self.fail(format!("the board says: {}", self.complaint)),
            (State::GivenUp, None) => Step::Wait,
            (state, None) => {
                let echo = if let State::Sent(sent) = state { common(sent, line) } else { 0 };
                let said = line[echo..].trim();
                if !said.is_empty() && !TYPED.iter().any(|word| said.contains(word)) {
                    said.clone_into(&mut self.complaint);
                }
                Step::Wait
            }
        }
    }

    /// The next line, or the end.
    fn next(&mut self) -> Step {
        let Some(next) = self.lines.pop() else {
            self.state = State::Ended;
            return Step::Send(END.to_vec());
        };
        let typed = format!("{next}\r").into_bytes();
        self.state = State::Sent(next);
        Step::Send(typed)
    }

    fn type_next(&mut self, state: State, command: &str) -> Step {
        self.state = state;
        self.complaint.clear();
        Step::Send(format!("{command}\r").into_bytes())
    }

    /// The shell asks again, and what there is of the file goes.
    fn fail(&mut self, why: impl Into<String>) -> Step {
        let remove = format!("{}; echo {} $?", self.remove(), TYPED[2]);
        self.type_next(State::Removing(why.into()), &remove)
    }

    /// What decodes into a file beside the one that it will be; not where that is a directory or a device. busybox's base64
    /// does not look whether it could write, its cat does.
    fn decode(&self) -> Vec<u8> {
        let (name, [ready, failed, end]) = (quoted(&self.name), TYPED);
        format!(
            "(n={name}; if [ -e \"$n\" ] && [ ! -f \"$n\" ]; then echo \"$n: no regular file\" >&2; false; \
             else {{ echo {ready} >&2; base64 -d | cat || {{ echo {failed} >&2; cat >/dev/null; false; }}; }} >\"$n.part\"; fi); \
             echo {end} $?\r"
        )
        .into_bytes()
    }

    fn remove(&self) -> String {
        format!("rm -f -- {}", quoted(&self.part()))
    }

    /// What it is called until it is whole.
    fn part(&self) -> String {
        format!("{}.part", self.name)
    }
}

/// How many bytes both begin with.
fn common(a: &str, b: &str) -> usize {
    let equal = a.chars().zip(b.chars()).take_while(|(a, b)| a == b);
    equal.map(|(character, _)| character.len_utf8()).sum()
}

/// Whether sha256sum(1) has printed that of its input.
fn is_digest(line: &str) -> bool {
    let digest = line.strip_suffix("  -").unwrap_or_default();
    digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit())
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
mod tests;
