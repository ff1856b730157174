//! Cuts a command line into words, as Linux's `next_arg()` does.

use super::Word;

/// The words of a line, quotes taken off.
pub(super) struct Words<'a> {
    rest: &'a str,
    quotes: Quotes,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Quotes {
    Closed,
    Open,
}

impl<'a> Words<'a> {
    pub(super) fn new(line: &'a str) -> Self {
        // Firmware and QEMU pass a C string; what stands behind a NUL is not the user's.
        let line = line.split('\0').next().unwrap_or_default();
        Self { rest: line, quotes: Quotes::Closed }
    }

    /// Whether the word that `next` returned last was still inside quotes at the end of the line.
    pub(super) fn ended_inside_quotes(&self) -> bool {
        self.quotes == Quotes::Open
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = Word<'a>;

    fn next(&mut self) -> Option<Word<'a>> {
        let line = self.rest.trim_ascii_start();
        if line.is_empty() {
            return None;
        }
        let mut quotes = Quotes::Closed;
        let end = line.bytes().position(|byte| match (byte, quotes) {
            (b'"', Quotes::Closed) => {
                quotes = Quotes::Open;
                false
            }
            (b'"', Quotes::Open) => {
                quotes = Quotes::Closed;
                false
            }
            (byte, Quotes::Closed) => byte.is_ascii_whitespace(),
            (_, Quotes::Open) => false,
        });
        // A byte that is a space or the end of the line is a character border, so the split always succeeds.
        let (word, rest) = line.split_at_checked(end.unwrap_or(line.len())).unwrap_or((line, ""));
        self.rest = rest;
        self.quotes = quotes;
        Some(unquote(word))
    }
}

/// Takes off the quotes around the word or around its value. Quotes elsewhere stay, as in Linux.
fn unquote(word: &str) -> Word<'_> {
    let (word, whole) = match word.strip_prefix('"') {
        Some(inner) => (inner.strip_suffix('"').unwrap_or(inner), true),
        None => (word, false),
    };
    match word.split_once('=') {
        Some((name, value)) if !name.is_empty() => {
            let value = match value.strip_prefix('"') {
                Some(inner) if !whole => inner.strip_suffix('"').unwrap_or(inner),
                _ => value,
            };
            Word::Pair { name, value }
        }
        _ => Word::Plain(word),
    }
}
