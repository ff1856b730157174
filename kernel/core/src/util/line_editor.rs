//! A line editor for a serial terminal, as a state machine: bytes in, bytes to echo and finished lines out.
//!
//! The keys are those that shells taught everybody's fingers: backspace, Ctrl-U, Ctrl-W, Ctrl-K, Ctrl-A, Ctrl-E, Ctrl-C,
//! Ctrl-L, the arrows, Home, End, Delete, and a history of [`HISTORY`] lines. The text is printable ASCII; every other
//! byte is ignored, so that line noise cannot do more than ring the bell. Escape sequences follow ECMA-48 (`ESC [`,
//! parameters, a final byte).

use heapless::{Deque, String, Vec};

/// The longest line in bytes.
pub const LONGEST: usize = 128;
/// How many lines are remembered.
pub const HISTORY: usize = 16;
/// The longest answer to one byte: the line drawn anew with the cursor put back.
const ECHO: usize = 2 * LONGEST + 64;

/// Bytes for the terminal.
pub type Echo = Vec<u8, ECHO>;
/// A line of text.
pub type Line = String<LONGEST>;

/// What came of a byte.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub enum Outcome {
    /// The line goes on; this is to be echoed.
    Edited(Echo),
    /// The line is finished.
    Finished(Line),
    /// The line was dropped (Ctrl-C).
    Dropped,
    /// The line was longer than [`LONGEST`]; all of it is dropped.
    TooLong,
    /// The screen shall be cleared; then the prompt and [`LineEditor::text`] are shown again.
    ClearScreen,
}

/// Where in an escape sequence the input is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Escape {
    None,
    /// After `ESC`.
    Started,
    /// After `ESC [` or `ESC O`, with the first number so far.
    Sequence(u8),
}

/// The editor.
#[derive(Debug)]
pub struct LineEditor {
    line: Line,
    cursor: usize,
    too_long: bool,
    escape: Escape,
    /// The last byte was a carriage return: a newline right after it is the same key.
    after_return: bool,
    history: Deque<Line, HISTORY>,
    /// How far back in the history the line is from; zero for the line being typed.
    back: usize,
}

impl LineEditor {
    /// An editor with an empty line.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            line: String::new(),
            cursor: 0,
            too_long: false,
            escape: Escape::None,
            after_return: false,
            history: Deque::new(),
            back: 0,
        }
    }

    /// The line as it stands, its cursor at the end.
    pub fn text(&mut self) -> &str {
        self.cursor = self.line.len();
        &self.line
    }

    /// Takes one byte of input.
    pub fn push(&mut self, byte: u8) -> Outcome {
        let after_return = core::mem::take(&mut self.after_return);
        match self.escape {
            Escape::None => {}
            Escape::Started => {
                self.escape = if matches!(byte, b'[' | b'O') { Escape::Sequence(0) } else { Escape::None };
                return nothing();
            }
            Escape::Sequence(number) => return self.sequence(number, byte),
        }
        match byte {
            b'\r' => {
                self.after_return = true;
                self.finish()
            }
            b'\n' if after_return => nothing(),
            b'\n' => self.finish(),
            0x1b => {
                self.escape = Escape::Started;
                nothing()
            }
            b' '..=b'~' => self.insert(byte),
            _ => self.control(byte),
        }
    }

    fn control(&mut self, byte: u8) -> Outcome {
        match byte {
            0x03 => {
                self.reset();
                Outcome::Dropped
            }
            0x0c => Outcome::ClearScreen,
            0x7f | 0x08 => self.erase(self.cursor.saturating_sub(1), self.cursor),
            0x15 => self.erase(0, self.cursor),
            0x17 => self.erase(self.word_start(), self.cursor),
            0x0b => self.erase(self.cursor, self.line.len()),
            0x01 => self.go(0),
            0x05 => self.go(self.line.len()),
            0x02 => self.go(self.cursor.saturating_sub(1)),
            0x06 => self.go(self.cursor + 1),
            0x10 => self.recall(self.back + 1),
            0x0e => self.recall(self.back.saturating_sub(1)),
            _ => nothing(),
        }
    }

    fn sequence(&mut self, number: u8, byte: u8) -> Outcome {
        self.escape = Escape::None;
        match (byte, number) {
            (b'0'..=b'9', _) => {
                self.escape = Escape::Sequence(number.saturating_mul(10).saturating_add(byte - b'0'));
                nothing()
            }
            // Further parameters, and intermediate bytes: wait for the final one.
            (b' '..=b'?', _) => {
                self.escape = Escape::Sequence(u8::MAX);
                nothing()
            }
            (b'A', _) => self.recall(self.back + 1),
            (b'B', _) => self.recall(self.back.saturating_sub(1)),
            (b'C', _) => self.go(self.cursor + 1),
            (b'D', _) => self.go(self.cursor.saturating_sub(1)),
            (b'H', _) | (b'~', 1 | 7) => self.go(0),
            (b'F', _) | (b'~', 4 | 8) => self.go(self.line.len()),
            (b'~', 3) => self.erase(self.cursor, (self.cursor + 1).min(self.line.len())),
            _ => nothing(),
        }
    }

    fn insert(&mut self, byte: u8) -> Outcome {
        if self.too_long || self.line.len() == LONGEST {
            self.too_long = true;
            return bell();
        }
        let rest = self.rest();
        self.line.truncate(self.cursor);
        let _ = self.line.push(char::from(byte));
        let _ = self.line.push_str(&rest);
        self.cursor += 1;
        let mut echo = Echo::new();
        put(&mut echo, &[byte]);
        put(&mut echo, rest.as_bytes());
        back_up(&mut echo, rest.len());
        Outcome::Edited(echo)
    }

    /// Takes `start..end` out; one of the two is the cursor.
    fn erase(&mut self, start: usize, end: usize) -> Outcome {
        if start == end {
            return bell();
        }
        let rest: Line = tail(&self.line, end);
        let mut echo = Echo::new();
        back_up(&mut echo, self.cursor - start);
        put(&mut echo, rest.as_bytes());
        put(&mut echo, b"\x1b[K");
        back_up(&mut echo, rest.len());
        self.line.truncate(start);
        let _ = self.line.push_str(&rest);
        self.cursor = start;
        Outcome::Edited(echo)
    }

    fn go(&mut self, to: usize) -> Outcome {
        let to = to.min(self.line.len());
        let mut echo = Echo::new();
        if to < self.cursor {
            back_up(&mut echo, self.cursor - to);
        } else {
            put(&mut echo, &self.line.as_bytes()[self.cursor..to]);
        }
        self.cursor = to;
        Outcome::Edited(echo)
    }

    fn recall(&mut self, back: usize) -> Outcome {
        let line = match back {
            0 => Line::new(),
            _ => match self.history.iter().rev().nth(back - 1) {
                Some(line) => line.clone(),
                None => return bell(),
            },
        };
        let mut echo = Echo::new();
        back_up(&mut echo, self.cursor);
        put(&mut echo, b"\x1b[K");
        put(&mut echo, line.as_bytes());
        self.back = back;
        self.cursor = line.len();
        self.line = line;
        Outcome::Edited(echo)
    }

    fn finish(&mut self) -> Outcome {
        let too_long = self.too_long;
        let line = core::mem::take(&mut self.line);
        self.reset();
        if too_long {
            return Outcome::TooLong;
        }
        if !line.is_empty() && self.history.back() != Some(&line) {
            if self.history.is_full() {
                self.history.pop_front();
            }
            let _ = self.history.push_back(line.clone());
        }
        Outcome::Finished(line)
    }

    fn reset(&mut self) {
        self.line.clear();
        self.cursor = 0;
        self.too_long = false;
        self.back = 0;
    }

    fn rest(&self) -> Line {
        tail(&self.line, self.cursor)
    }

    fn word_start(&self) -> usize {
        let before = self.line.as_bytes()[..self.cursor].iter().rev();
        let blanks = before.clone().take_while(|&&byte| byte == b' ').count();
        let letters = before.skip(blanks).take_while(|&&byte| byte != b' ').count();
        self.cursor - blanks - letters
    }
}

impl Default for LineEditor {
    fn default() -> Self {
        Self::new()
    }
}

/// The text from `start` on. A line is ASCII, so every index is a character's.
fn tail(line: &Line, start: usize) -> Line {
    let mut rest = Line::new();
    let _ = rest.push_str(&line[start..]);
    rest
}

fn nothing() -> Outcome {
    Outcome::Edited(Echo::new())
}

fn bell() -> Outcome {
    let mut echo = Echo::new();
    put(&mut echo, b"\x07");
    Outcome::Edited(echo)
}

fn back_up(echo: &mut Echo, count: usize) {
    for _ in 0..count {
        put(echo, b"\x08");
    }
}

/// An echo has room for a line drawn twice; more never comes together.
fn put(echo: &mut Echo, bytes: &[u8]) {
    let _ = echo.extend_from_slice(bytes);
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Types `bytes` and returns the finished lines.
    fn lines(bytes: &[u8]) -> std::vec::Vec<std::string::String> {
        let mut editor = LineEditor::new();
        bytes
            .iter()
            .filter_map(|&byte| match editor.push(byte) {
                Outcome::Finished(line) => Some(line.as_str().into()),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn a_line_ends_with_return_newline_or_both() {
        assert_eq!(lines(b"one\rtwo\nthree\r\nfour\r"), ["one", "two", "three", "four"]);
    }

    #[test]
    fn backspace_and_the_control_keys_erase() {
        assert_eq!(lines(b"helo\x7f\x7flp\r"), ["help"]);
        assert_eq!(lines(b"nonsense\x15mem\r"), ["mem"]);
        assert_eq!(lines(b"trace nonsense  \x17off\r"), ["trace off"]);
        assert_eq!(lines(b"memory\x02\x02\x02\x0b\r"), ["mem"]);
    }

    #[test]
    fn arrows_home_and_delete_work_in_the_middle() {
        assert_eq!(lines(b"hlp\x1b[D\x1b[De\r"), ["help"]);
        assert_eq!(lines(b"elp\x1b[Hh\x1b[F!\r"), ["help!"]);
        assert_eq!(lines(b"xhelp\x1b[1~\x1b[3~\r"), ["help"]);
    }

    #[test]
    fn history_goes_up_and_down() {
        assert_eq!(lines(b"mem\rcpus\r\x1b[A\x1b[A\r\x1b[A\x1b[A\x1b[B\r"), ["mem", "cpus", "mem", "mem"]);
    }

    #[test]
    fn a_dropped_line_is_gone() {
        let mut editor = LineEditor::new();
        for &byte in b"reboot" {
            let _ = editor.push(byte);
        }
        assert_eq!(editor.push(0x03), Outcome::Dropped);
        assert_eq!(editor.push(b'\r'), Outcome::Finished(Line::new()));
    }

    #[test]
    fn a_line_that_is_too_long_is_dropped_as_a_whole() {
        let mut editor = LineEditor::new();
        for _ in 0..=LONGEST {
            let _ = editor.push(b'x');
        }
        assert_eq!(editor.push(b'\r'), Outcome::TooLong);
        assert!(matches!(editor.push(b'\r'), Outcome::Finished(line) if line.is_empty()));
    }

    #[test]
    fn noise_changes_nothing() {
        assert_eq!(lines(b"he\x00\xff\xfe\x80lp\x1b[99;99x\x1bz\r"), ["help"]);
    }

    #[test]
    fn what_is_echoed_shows_the_line() {
        let mut editor = LineEditor::new();
        let mut screen = std::vec::Vec::new();
        let mut column = 0_usize;
        for &byte in b"ac\x1b[Db\x1b[D\x1b[D\x1b[C\x7fx" {
            if let Outcome::Edited(echo) = editor.push(byte) {
                play(&mut screen, &mut column, &echo);
            }
        }
        assert_eq!(screen, b"xbc");
    }

    /// A terminal that knows printable bytes, backspace and "erase to the end of the line".
    fn play(screen: &mut std::vec::Vec<u8>, column: &mut usize, echo: &[u8]) {
        let mut bytes = echo.iter();
        while let Some(&byte) = bytes.next() {
            match byte {
                0x08 => *column -= 1,
                0x07 => {}
                0x1b => {
                    assert_eq!((bytes.next(), bytes.next()), (Some(&b'['), Some(&b'K')));
                    screen.truncate(*column);
                }
                _ => {
                    if *column == screen.len() {
                        screen.push(byte);
                    } else {
                        screen[*column] = byte;
                    }
                    *column += 1;
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

        // Nothing here is unsafe, and Miri would take minutes.
        #[cfg_attr(miri, ignore)]
        #[test]
        fn whatever_is_typed_the_screen_shows_the_line(keys in proptest::collection::vec(any_key(), 0..200)) {
            let mut editor = LineEditor::new();
            let mut screen = std::vec::Vec::new();
            let mut column = 0;
            for byte in keys.concat() {
                match editor.push(byte) {
                    Outcome::Edited(echo) => play(&mut screen, &mut column, &echo),
                    Outcome::ClearScreen => {}
                    Outcome::Finished(_) | Outcome::Dropped | Outcome::TooLong => {
                        screen.clear();
                        column = 0;
                    }
                }
                prop_assert_eq!(&screen[..], editor.line.as_bytes());
                prop_assert_eq!(column, editor.cursor);
            }
        }
    }

    fn any_key() -> impl Strategy<Value = std::vec::Vec<u8>> {
        prop_oneof![
            4 => (b' '..=b'~').prop_map(|byte| std::vec![byte]),
            1 => any::<u8>().prop_filter("an escape would swallow the next key", |&byte| byte != 0x1b)
                .prop_map(|byte| std::vec![byte]),
            2 => proptest::sample::select(std::vec![
                b"\x1b[A".to_vec(), b"\x1b[B".to_vec(), b"\x1b[C".to_vec(), b"\x1b[D".to_vec(),
                b"\x1b[H".to_vec(), b"\x1b[F".to_vec(), b"\x1b[3~".to_vec(), b"\x7f".to_vec(), b"\x17".to_vec(),
            ]),
        ]
    }
}
