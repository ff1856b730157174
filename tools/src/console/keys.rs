//! What is typed: for the board, or for the terminal. As in QEMU, `Ctrl-A x` ends the session and `Ctrl-A Ctrl-A`
//! sends one `Ctrl-A`. `Ctrl-A s` begins a line with the name of a file for the board.

use anyhow::ensure;

/// The key before a command.
const PREFIX: u8 = 0x01;

/// Remembers a `Ctrl-A` between two pieces of input.
#[derive(Default, Debug)]
pub struct Keys {
    after_prefix: bool,
    /// What there is of a file's name, while one is typed.
    name: Option<Vec<u8>>,
}

/// What some input means.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// These bytes are for the board.
    Send(Vec<u8>),
    /// The session ends.
    Quit,
    /// The name of a file is being typed; this is shown.
    Ask(Vec<u8>),
    /// This file is for the board: what was typed of it.
    File(String),
}

impl Keys {
    /// Reads the next `typed` bytes.
    #[must_use]
    pub fn push(&mut self, typed: &[u8]) -> Input {
        if self.name.is_some() {
            return self.name(typed);
        }
        let mut bytes = Vec::new();
        for (place, &byte) in typed.iter().enumerate() {
            match (self.after_prefix, byte) {
                (false, PREFIX) => self.after_prefix = true,
                (false, byte) => bytes.push(byte),
                (true, b'x' | b'X') => return Input::Quit,
                (true, b's' | b'S') => {
                    self.after_prefix = false;
                    self.name = Some(Vec::new());
                    let shown = b"\r\n[tine] file to send, and its name there if it is another: ";
                    return match self.name(&typed[place + 1..]) {
                        Input::Ask(more) => Input::Ask([&shown[..], &more].concat()),
                        other => other,
                    };
                }
                (true, byte) => {
                    self.after_prefix = false;
                    bytes.push(byte);
                }
            }
        }
        Input::Send(bytes)
    }

    /// Reads on in a file's name. Ctrl-C and an empty line end that.
    fn name(&mut self, typed: &[u8]) -> Input {
        let mut shown = Vec::new();
        for &byte in typed {
            let Some(name) = &mut self.name else { break };
            match byte {
                b'\r' | b'\n' => {
                    let name = String::from_utf8_lossy(&self.name.take().unwrap_or_default()).trim().to_owned();
                    return if name.is_empty() { Input::Ask(b"\r\n".to_vec()) } else { Input::File(name) };
                }
                0x03 => self.name = None,
                0x08 | 0x7f => {
                    // A character may have several bytes, the first of which says so.
                    let begin = name.iter().rposition(|byte| byte & 0xc0 != 0x80);
                    if let Some(begin) = begin {
                        name.truncate(begin);
                        shown.extend(b"\x08 \x08");
                    }
                }
                byte => {
                    name.push(byte);
                    shown.push(byte);
                }
            }
        }
        Input::Ask(shown)
    }
}

/// The words of a line, as a shell would part them: quotes keep blanks together, a backslash keeps the next character.
///
/// # Errors
///
/// Quotes without an end.
pub fn words(line: &str) -> anyhow::Result<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut rest = line.chars();
    while let Some(character) = rest.next() {
        match (quote, character) {
            (None, ' ' | '\t') => words.extend(word.take()),
            (None, '\'' | '"') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (Some(end), character) if end == character => quote = None,
            (None | Some('"'), '\\') => word.get_or_insert_default().extend(rest.next()),
            (_, character) => word.get_or_insert_default().push(character),
        }
    }
    ensure!(quote.is_none(), "a quote has no end");
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_for_the_board() {
        assert_eq!(Keys::default().push(b"ls\x03\r"), Input::Send(b"ls\x03\r".to_vec()));
    }

    #[test]
    fn the_prefix_and_x_end_the_session_however_they_arrive() {
        assert_eq!(Keys::default().push(b"\x01x"), Input::Quit);
        let mut keys = Keys::default();
        assert_eq!(keys.push(b"a\x01"), Input::Send(b"a".to_vec()));
        assert_eq!(keys.push(b"x"), Input::Quit);
    }

    #[test]
    fn the_prefix_and_s_take_a_line_for_the_terminal() {
        let mut keys = Keys::default();
        assert!(matches!(keys.push(b"\x01s"), Input::Ask(shown) if shown.ends_with(b"another: ")));
        assert_eq!(keys.push(b"abd\x7f"), Input::Ask(b"abd\x08 \x08".to_vec()));
        assert_eq!(keys.push(b"c\r"), Input::File("abc".to_owned()));
        assert_eq!(keys.push(b"ls\r"), Input::Send(b"ls\r".to_vec()));
        assert_eq!(keys.push(b"\x01sone two\r"), Input::File("one two".to_owned()));
    }

    #[test]
    fn a_name_may_have_letters_of_several_bytes() {
        let mut keys = Keys::default();
        let _asked = keys.push("\x01sa\u{e4}".as_bytes());
        assert_eq!(keys.push("\u{20ac}\x7f".as_bytes()), Input::Ask("\u{20ac}\x08 \x08".into()));
        assert_eq!(keys.push(b"\r"), Input::File("a\u{e4}".to_owned()));
    }

    #[test]
    fn words_are_parted_as_a_shell_does() {
        let parted = |line| words(line).unwrap();
        assert_eq!(parted(" one  two "), ["one", "two"]);
        assert_eq!(parted(r#"'a b' c\ d "e \"f'" g'h i'j """#), ["a b", "c d", "e \"f'", "gh ij", ""]);
        assert!(words("'a b").is_err() && parted("").is_empty());
    }

    #[test]
    fn an_interrupt_and_an_empty_line_send_no_file() {
        let mut keys = Keys::default();
        for typed in [&b"\x01sabc\x03"[..], b"\x01s\r"] {
            assert!(matches!(keys.push(typed), Input::Ask(_)));
            assert_eq!(keys.push(b"x"), Input::Send(b"x".to_vec()));
        }
    }

    #[test]
    fn the_prefix_twice_is_one() {
        assert_eq!(Keys::default().push(b"\x01\x01x"), Input::Send(b"\x01x".to_vec()));
    }
}
