//! What is typed: for the board, or for the terminal. As in QEMU, `Ctrl-A x` ends the session and `Ctrl-A Ctrl-A`
//! sends one `Ctrl-A`. `Ctrl-A s` begins a line with the name of a file for the board.

/// The key before a command.
const PREFIX: u8 = 0x01;

/// Remembers a `Ctrl-A` between two pieces of input.
#[derive(Default, Debug)]
pub struct Keys {
    after_prefix: bool,
    /// What there is of a file's name, while one is typed.
    name: Option<String>,
}

/// What some input means.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// These bytes are for the board.
    Send(Vec<u8>),
    /// The session ends.
    Quit,
    /// The name of a file is being typed; this is shown.
    Ask(String),
    /// This file is for the board.
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
                    self.name = Some(String::new());
                    let shown = String::from("\r\n[tine] file to send, and its name there if it is another: ");
                    return match self.name(&typed[place + 1..]) {
                        Input::Ask(more) => Input::Ask(shown + &more),
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
        let mut shown = String::new();
        for &byte in typed {
            let Some(name) = &mut self.name else { break };
            match byte {
                b'\r' | b'\n' => {
                    let name = self.name.take().unwrap_or_default();
                    let name = name.trim();
                    return if name.is_empty() { Input::Ask("\r\n".to_owned()) } else { Input::File(name.to_owned()) };
                }
                0x03 => self.name = None,
                0x08 | 0x7f => {
                    if name.pop().is_some() {
                        shown.push_str("\u{8} \u{8}");
                    }
                }
                byte => {
                    name.push(char::from(byte));
                    shown.push(char::from(byte));
                }
            }
        }
        Input::Ask(shown)
    }
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
        assert!(matches!(keys.push(b"\x01s"), Input::Ask(shown) if shown.contains("file to send")));
        assert_eq!(keys.push(b"abd\x7f"), Input::Ask("abd\u{8} \u{8}".to_owned()));
        assert_eq!(keys.push(b"c\r"), Input::File("abc".to_owned()));
        assert_eq!(keys.push(b"ls\r"), Input::Send(b"ls\r".to_vec()));
        assert_eq!(keys.push(b"\x01sone two\r"), Input::File("one two".to_owned()));
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
