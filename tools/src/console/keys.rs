//! What is typed: for the board, or for the terminal. As in QEMU, `Ctrl-A x` ends the session and `Ctrl-A Ctrl-A`
//! sends one `Ctrl-A`.

/// The key before a command.
const PREFIX: u8 = 0x01;

/// Remembers a `Ctrl-A` between two pieces of input.
#[derive(Default, Debug)]
pub struct Keys {
    after_prefix: bool,
}

/// What some input means.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// These bytes are for the board.
    Send(Vec<u8>),
    /// The session ends.
    Quit,
}

impl Keys {
    /// Reads the next `typed` bytes.
    #[must_use]
    pub fn push(&mut self, typed: &[u8]) -> Input {
        let mut bytes = Vec::new();
        for &byte in typed {
            match (self.after_prefix, byte) {
                (false, PREFIX) => self.after_prefix = true,
                (false, byte) => bytes.push(byte),
                (true, b'x' | b'X') => return Input::Quit,
                (true, byte) => {
                    self.after_prefix = false;
                    bytes.push(byte);
                }
            }
        }
        Input::Send(bytes)
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
    fn the_prefix_twice_is_one() {
        assert_eq!(Keys::default().push(b"\x01\x01x"), Input::Send(b"\x01x".to_vec()));
    }
}
