//! What output becomes on its way to the line, and in which column it leaves the cursor.

use super::settings::{InputModes, OutputModes, Settings};

/// The column, as far as it can be told.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Output {
    pub(super) column: usize,
}

/// Where tabs lead: to the next multiple.
const TAB: usize = 8;

impl Output {
    /// Hands what `byte` becomes to `to`, up to eight bytes.
    pub(super) fn process(&mut self, settings: &Settings, byte: u8, to: &mut impl FnMut(&[u8])) {
        let modes = settings.output;
        if !modes.contains(OutputModes::PROCESS) {
            return to(&[byte]);
        }
        match byte {
            b'\n' if modes.contains(OutputModes::LINE_FEED_GETS_RETURN) => {
                self.column = 0;
                to(b"\r\n");
            }
            b'\n' => {
                if modes.contains(OutputModes::LINE_FEED_RETURNS) {
                    self.column = 0;
                }
                to(b"\n");
            }
            b'\r' if modes.contains(OutputModes::NO_RETURN_IN_FIRST_COLUMN) && self.column == 0 => {}
            b'\r' if modes.contains(OutputModes::RETURN_TO_LINE_FEED) => {
                if modes.contains(OutputModes::LINE_FEED_RETURNS) {
                    self.column = 0;
                }
                to(b"\n");
            }
            b'\r' => {
                self.column = 0;
                to(b"\r");
            }
            b'\t' => {
                let spaces = to_next_tab(self.column);
                self.column = self.column.wrapping_add(spaces);
                if modes.contains(OutputModes::EXPAND_TABS) {
                    to([b' '; TAB].get(..spaces).unwrap_or_default());
                } else {
                    to(b"\t");
                }
            }
            0x08 => {
                self.column = self.column.saturating_sub(1);
                to(b"\x08");
            }
            _ => {
                let byte = if modes.contains(OutputModes::TO_UPPER) { byte.to_ascii_uppercase() } else { byte };
                if !is_control(byte) && !is_continuation(settings, byte) {
                    self.column = self.column.wrapping_add(1);
                }
                to(&[byte]);
            }
        }
    }
}

/// How far it is from `column` to the next tab stop.
pub(super) const fn to_next_tab(column: usize) -> usize {
    TAB.wrapping_sub(column % TAB)
}

/// A control character.
pub(super) const fn is_control(byte: u8) -> bool {
    byte < 0x20 || byte == 0x7f
}

/// Whether the byte is not the first of its character.
pub(super) fn is_continuation(settings: &Settings, byte: u8) -> bool {
    settings.input.contains(InputModes::UTF8) && byte & 0xc0 == 0x80
}
