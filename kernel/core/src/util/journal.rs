//! What the kernel said last: records in a ring, the oldest making room for the newest.
//!
//! A reader is a [`Cursor`], a place in the ring and the number of the record there; whoever is too slow finds that out
//! by his place being gone.

use core::fmt;

/// The longest text of a record: as Linux has it, with what stands before it in 1 KiB.
pub const MAX_TEXT: usize = 992;
/// Bytes of a record before its text: microseconds, priority, length.
const HEAD: usize = 12;

/// A ring of `BYTES` bytes.
pub struct Journal<const BYTES: usize> {
    bytes: [u8; BYTES],
    /// The oldest record that is there.
    first: Cursor,
    /// Behind the newest.
    end: Cursor,
}

/// A place between records.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Cursor {
    /// The number of the record behind it.
    pub sequence: u64,
    /// How many bytes were ever written before it.
    at: u64,
}

/// What is told of a record beside its text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct About {
    /// Its number: each has one more than the one before.
    pub sequence: u64,
    /// Facility and level, as in syslog(3).
    pub priority: u16,
    /// When, in microseconds since the start.
    pub time_us: u64,
}

/// The record at a cursor was overwritten.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lost;

/// A text, as it is copied out of the ring.
#[derive(Clone)]
pub struct Text {
    bytes: [u8; MAX_TEXT],
    length: usize,
}

impl Text {
    /// None.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: [0; MAX_TEXT], length: 0 }
    }

    /// The text.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// Adds as much of `bytes` as there is room for, and says how much.
    pub fn push(&mut self, bytes: &[u8]) -> usize {
        let count = bytes.len().min(MAX_TEXT.saturating_sub(self.length));
        let end = self.length.saturating_add(count);
        if let (Some(to), Some(from)) = (self.bytes.get_mut(self.length..end), bytes.get(..count)) {
            to.copy_from_slice(from);
            self.length = end;
        }
        count
    }

    /// Empties it.
    pub const fn clear(&mut self) {
        self.length = 0;
    }
}

impl Default for Text {
    fn default() -> Self {
        Self::new()
    }
}

impl<const BYTES: usize> Journal<BYTES> {
    /// Without records.
    #[must_use]
    pub const fn new() -> Self {
        const { assert!(BYTES >= 2 * (HEAD + MAX_TEXT), "the largest record fits, and another one") };
        let start = Cursor { sequence: 0, at: 0 };
        Self { bytes: [0; BYTES], first: start, end: start }
    }

    /// Before the oldest record.
    #[must_use]
    pub const fn first(&self) -> Cursor {
        self.first
    }

    /// Behind the newest.
    #[must_use]
    pub const fn end(&self) -> Cursor {
        self.end
    }

    /// Adds a record; a text that is too long is cut.
    pub fn add(&mut self, priority: u16, time_us: u64, text: &[u8]) {
        let text = text.get(..MAX_TEXT).unwrap_or(text);
        let size = (HEAD + text.len()) as u64;
        while self.end.at - self.first.at + size > BYTES as u64 {
            self.first = self.behind(self.first, self.length_at(self.first));
        }
        let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
        let mut at = self.end.at;
        for part in [&time_us.to_le_bytes()[..], &priority.to_le_bytes(), &length.to_le_bytes(), text] {
            self.store(at, part);
            at += part.len() as u64;
        }
        self.end = Cursor { sequence: self.end.sequence + 1, at };
    }

    /// Copies the record at `cursor` to `text`, and says what there is to say of it and where the next one is; `None` where
    /// there is none yet.
    ///
    /// # Errors
    ///
    /// [`Lost`]: those from [`first`](Self::first) on are there.
    pub fn read(&self, cursor: Cursor, text: &mut Text) -> Result<Option<(About, Cursor)>, Lost> {
        if cursor.at < self.first.at {
            return Err(Lost);
        }
        if cursor.at >= self.end.at {
            return Ok(None);
        }
        let mut time = [0; 8];
        let mut priority = [0; 2];
        self.load(cursor.at, &mut time);
        self.load(cursor.at + 8, &mut priority);
        let length = self.length_at(cursor);
        text.length = length.min(MAX_TEXT);
        self.load(cursor.at + HEAD as u64, &mut text.bytes[..text.length]);
        let about = About {
            sequence: cursor.sequence,
            priority: u16::from_le_bytes(priority),
            time_us: u64::from_le_bytes(time),
        };
        Ok(Some((about, self.behind(cursor, length))))
    }

    fn behind(&self, cursor: Cursor, length: usize) -> Cursor {
        Cursor { sequence: cursor.sequence + 1, at: cursor.at + (HEAD + length) as u64 }
    }

    fn length_at(&self, cursor: Cursor) -> usize {
        let mut length = [0; 2];
        self.load(cursor.at + 10, &mut length);
        u16::from_le_bytes(length).into()
    }

    fn store(&mut self, at: u64, bytes: &[u8]) {
        for (place, byte) in (at..).zip(bytes) {
            self.bytes[index::<BYTES>(place)] = *byte;
        }
    }

    fn load(&self, at: u64, bytes: &mut [u8]) {
        for (place, byte) in (at..).zip(bytes) {
            *byte = self.bytes[index::<BYTES>(place)];
        }
    }
}

impl<const BYTES: usize> Default for Journal<BYTES> {
    fn default() -> Self {
        Self::new()
    }
}

#[expect(clippy::cast_possible_truncation, reason = "less than the ring's size")]
const fn index<const BYTES: usize>(at: u64) -> usize {
    (at % BYTES as u64) as usize
}

/// Facility and level at the beginning of a text that a program logs, `<30>` or none; and the rest. The kernel's own facility
/// is not for programs (`LOG_USER`, `KERN_WARNING`).
#[must_use]
pub fn priority_of(text: &[u8]) -> (u16, &[u8]) {
    const USER: u16 = 1 << 3;
    const WARNING: u16 = 4;
    let given = || {
        let rest = text.strip_prefix(b"<")?;
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let number = core::str::from_utf8(rest.get(..digits)?).ok()?.parse::<u16>().ok()?;
        let rest = rest.get(digits..)?.strip_prefix(b">")?;
        Some((if number >> 3 == 0 { number | USER } else { number }, rest))
    };
    given().unwrap_or((USER | WARNING, text))
}

/// A record as a line of `/dev/kmsg` (Linux `Documentation/ABI/testing/dev-kmsg`).
pub struct Line<'a> {
    /// What is told of it.
    pub about: About,
    /// Its text.
    pub text: &'a [u8],
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let About { sequence, priority, time_us } = self.about;
        write!(f, "{priority},{sequence},{time_us},-;")?;
        for &byte in self.text {
            match byte {
                b'\\' | 0..0x20 | 0x7f.. => write!(f, "\\x{byte:02x}")?,
                byte => fmt::Write::write_char(f, byte.into())?,
            }
        }
        fmt::Write::write_char(f, '\n')
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use std::format;
    use std::vec::Vec;

    use super::*;

    const BYTES: usize = 2100;

    fn read_all(journal: &Journal<BYTES>) -> Vec<(u64, Vec<u8>)> {
        let (mut cursor, mut text, mut all) = (journal.first(), Text::new(), Vec::new());
        while let Some((about, next)) = journal.read(cursor, &mut text).unwrap() {
            all.push((about.sequence, text.bytes().to_vec()));
            assert_eq!(about.time_us, about.sequence * 10);
            cursor = next;
        }
        assert_eq!(cursor, journal.end());
        all
    }

    #[test]
    fn the_newest_records_are_there_in_their_order() {
        let mut journal = Journal::<BYTES>::new();
        let mut said: Vec<(u64, Vec<u8>)> = Vec::new();
        for number in 0..if cfg!(miri) { 60 } else { 600_u64 } {
            let text = std::vec![b'a' + (number % 26) as u8; (number * 37 % 1100) as usize];
            journal.add(6, number * 10, &text);
            said.push((number, text[..text.len().min(MAX_TEXT)].to_vec()));
            let there = read_all(&journal);
            assert!(!there.is_empty());
            assert_eq!(there, said[said.len() - there.len()..]);
            let bytes: usize = there.iter().map(|(_, text)| HEAD + text.len()).sum();
            let before = said.len().checked_sub(there.len() + 1).map(|index| HEAD + said[index].1.len());
            assert!(bytes <= BYTES && before.is_none_or(|before| bytes + before > BYTES), "thrown away too early");
        }
    }

    #[test]
    fn who_is_too_slow_finds_out() {
        let mut journal = Journal::<BYTES>::new();
        journal.add(6, 0, b"first");
        let slow = journal.first();
        let mut text = Text::new();
        (0..4).for_each(|_| journal.add(6, 0, &[b'x'; 800]));
        assert_eq!(journal.read(slow, &mut text), Err(Lost));
        let (about, _) = journal.read(journal.first(), &mut text).unwrap().unwrap();
        assert_eq!(about.sequence, 3);
        assert_eq!(journal.read(journal.end(), &mut text), Ok(None));
    }

    #[test]
    fn a_line_shows_what_is_not_text_as_numbers() {
        let about = About { sequence: 12, priority: 30, time_us: 345 };
        let line = format!("{}", Line { about, text: b"a\\b\tc\xff" });
        assert_eq!(line, "30,12,345,-;a\\x5cb\\x09c\\xff\n");
    }

    #[test]
    fn programs_say_how_much_it_matters() {
        assert_eq!(priority_of(b"<3>text"), (11, &b"text"[..]));
        assert_eq!(priority_of(b"<30>text"), (30, &b"text"[..]));
        for text in [&b"text"[..], b"<>text", b"<3text", b"<x>", b"", b"<99999>big"] {
            assert_eq!(priority_of(text), (12, text));
        }
    }
}
