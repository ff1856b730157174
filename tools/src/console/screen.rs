//! From the bytes of a console to what a person reads.

use crate::demux::{Demux, Piece};
use crate::symbols::Symbols;
use crate::trace::{Decoder, Tables};

/// What a decoded trace record begins with.
const TRACE_PREFIX: &[u8] = b"[trace] ";
/// The terminal may be raw, so a line ends with both.
const NEWLINE: &[u8] = b"\r\n";
/// What is remembered of a line in order to name its addresses.
const LINE_MAX: usize = 512;

/// Renders one console stream. Text is passed on as it comes, so that echo and prompts are seen at once.
pub struct Screen<'kernel> {
    demux: Demux,
    decoder: Option<Decoder<'kernel>>,
    symbols: Option<&'kernel Symbols>,
    line: Vec<u8>,
}

impl<'kernel> Screen<'kernel> {
    /// A screen at the beginning of a line. Without `tables`, trace records are only counted as such; without
    /// `symbols`, addresses stay numbers.
    #[must_use]
    pub fn new(tables: Option<&'kernel Tables>, symbols: Option<&'kernel Symbols>) -> Self {
        Self { demux: Demux::default(), decoder: tables.map(Tables::decoder), symbols, line: Vec::new() }
    }

    /// What to show for the next `bytes`.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut shown = Vec::new();
        for piece in self.demux.push(bytes) {
            match piece {
                Piece::Text(text) => self.text(&text, &mut shown),
                Piece::Frame(frame) => self.frame(&frame, &mut shown),
            }
        }
        shown
    }

    fn text(&mut self, text: &[u8], shown: &mut Vec<u8>) {
        for &byte in text {
            if matches!(byte, b'\r' | b'\n') {
                let line = String::from_utf8_lossy(&self.line);
                let annotation = self.symbols.and_then(|symbols| symbols.annotation(&line));
                shown.extend_from_slice(annotation.unwrap_or_default().as_bytes());
                self.line.clear();
            } else if self.line.len() < LINE_MAX {
                self.line.push(byte);
            }
            shown.push(byte);
        }
    }

    fn frame(&mut self, frame: &[u8], shown: &mut Vec<u8>) {
        let lines = match &mut self.decoder {
            Some(decoder) => decoder.push_frame(frame),
            None => vec![format!("({} bytes; --elf names the kernel that decodes them)", frame.len())],
        };
        for line in lines {
            // In the middle of a line, say behind a prompt, the record gets a line of its own.
            if !self.line.is_empty() {
                shown.extend_from_slice(NEWLINE);
                self.line.clear();
            }
            shown.extend_from_slice(TRACE_PREFIX);
            shown.extend_from_slice(line.as_bytes());
            shown.extend_from_slice(NEWLINE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_shown_as_it_comes() {
        let mut screen = Screen::new(None, None);
        assert_eq!(screen.push(b"tine> "), b"tine> ");
        assert_eq!(screen.push(b"ls\r\n"), b"ls\r\n");
    }

    #[test]
    fn a_frame_behind_a_prompt_gets_its_own_line() {
        let mut screen = Screen::new(None, None);
        let shown = String::from_utf8(screen.push(b"tine> \xff\x00\x11\x12\x00")).unwrap();
        assert!(shown.starts_with("tine> \r\n[trace] (2 bytes"), "{shown}");
        let shown = String::from_utf8(screen.push(b"\xff\x00\x11\x00")).unwrap();
        assert!(shown.starts_with("[trace] (1 bytes"), "{shown}");
    }

    #[test]
    fn a_line_is_not_remembered_without_end() {
        let mut screen = Screen::new(None, None);
        screen.push(&[b'x'; 2 * LINE_MAX]);
        assert_eq!(screen.line.len(), LINE_MAX);
    }
}
