//! Text and trace frames out of one console stream, as `abi::trace` describes it: a frame is `FF 00`, bytes that are
//! not zero, `00`; everything else is text.

use abi::trace::{FRAME_END, FRAME_START, FRAME_SYNC};

/// No frame of the kernel is longer. What claims to be is text after a `FF 00` that noise made.
const FRAME_MAX: usize = 4096;

/// Separates a stream that arrives in pieces of any size.
#[derive(Default, Debug)]
pub struct Demux {
    state: State,
}

/// One piece of a stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Piece {
    /// Bytes for the reader, as the kernel or a program wrote them.
    Text(Vec<u8>),
    /// The rzCOBS bytes of one frame, without the zero that ends it.
    Frame(Vec<u8>),
}

#[derive(Default, Debug)]
enum State {
    /// In text.
    #[default]
    Text,
    /// After a [`FRAME_START`]: a frame, if [`FRAME_SYNC`] follows.
    Start,
    /// In a frame that began with these bytes.
    Frame(Vec<u8>),
}

impl Demux {
    /// The pieces that `bytes` complete, in order. Text is passed on at once, a frame when it is whole.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for &byte in bytes {
            self.byte(byte, &mut pieces);
        }
        pieces
    }

    /// What remains at the end of the stream: the beginning of a frame, which a crash may have cut short.
    pub fn finish(self) -> Option<Piece> {
        match self.state {
            State::Frame(bytes) if !bytes.is_empty() => Some(Piece::Frame(bytes)),
            State::Start => Some(Piece::Text(vec![FRAME_START])),
            State::Frame(_) | State::Text => None,
        }
    }

    fn byte(&mut self, byte: u8, pieces: &mut Vec<Piece>) {
        match &mut self.state {
            State::Text if byte == FRAME_START => self.state = State::Start,
            // A zero in text ends a frame whose beginning was lost, or resynchronises before a panic.
            State::Text if byte == FRAME_END => {}
            State::Text => text(pieces, byte),
            State::Start if byte == FRAME_SYNC => self.state = State::Frame(Vec::new()),
            State::Start if byte == FRAME_START => text(pieces, FRAME_START),
            State::Start => {
                self.state = State::Text;
                text(pieces, FRAME_START);
                text(pieces, byte);
            }
            State::Frame(frame) if byte == FRAME_END => {
                if !frame.is_empty() {
                    pieces.push(Piece::Frame(std::mem::take(frame)));
                }
                self.state = State::Text;
            }
            State::Frame(frame) => {
                frame.push(byte);
                if frame.len() > FRAME_MAX {
                    let bytes = std::mem::take(frame);
                    self.state = State::Text;
                    bytes.into_iter().for_each(|byte| text(pieces, byte));
                }
            }
        }
    }
}

/// Adds a byte of text, to the piece before it where that is text too.
fn text(pieces: &mut Vec<Piece>, byte: u8) {
    match pieces.last_mut() {
        Some(Piece::Text(text)) => text.push(byte),
        _ => pieces.push(Piece::Text(vec![byte])),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pieces(stream: &[u8]) -> Vec<Piece> {
        let mut demux = Demux::default();
        let mut pieces = demux.push(stream);
        pieces.extend(demux.finish());
        pieces
    }

    fn words(text: &[u8]) -> Piece {
        Piece::Text(text.to_vec())
    }

    fn frame(bytes: &[u8]) -> Piece {
        Piece::Frame(bytes.to_vec())
    }

    #[test]
    fn a_frame_inside_a_line_does_not_break_the_line() {
        let found = pieces(b"hel\xff\x00\x11\xff\x22\x00lo\n");
        assert_eq!(found, [words(b"hel"), frame(b"\x11\xff\x22"), words(b"lo\n")]);
    }

    #[test]
    fn a_stray_start_byte_is_text() {
        assert_eq!(pieces(b"a\xffb"), [words(b"a\xffb")]);
        assert_eq!(pieces(b"a\xff\xff\x00\x11\x00"), [words(b"a\xff"), frame(b"\x11")]);
        assert_eq!(pieces(b"a\xff"), [words(b"a"), words(b"\xff")]);
    }

    #[test]
    fn who_joins_inside_a_frame_is_in_step_at_the_next_one() {
        assert_eq!(pieces(b"\x33\x00ok\xff\x00\x11\x00"), [words(b"\x33ok"), frame(b"\x11")]);
    }

    #[test]
    fn an_empty_frame_and_a_lone_zero_are_nothing() {
        assert_eq!(pieces(b"\xff\x00\x00\x00ok"), [words(b"ok")]);
    }

    #[test]
    fn a_frame_that_a_crash_cut_short_is_handed_out_at_the_end() {
        assert_eq!(pieces(b"\xff\x00\x11\x12"), [frame(b"\x11\x12")]);
    }

    #[test]
    fn text_behind_a_start_that_noise_made_is_given_back() {
        let mut stream = b"\xff\x00".to_vec();
        stream.resize(2 + FRAME_MAX + 1, b'x');
        assert_eq!(pieces(&stream), [words(&[b'x'; FRAME_MAX + 1])]);
    }

    /// Joins neighbouring pieces of text, for how text is cut up depends on how the stream was.
    fn joined(pieces: Vec<Piece>) -> Vec<Piece> {
        let mut joined: Vec<Piece> = Vec::new();
        for piece in pieces {
            match (joined.last_mut(), piece) {
                (Some(Piece::Text(last)), Piece::Text(text)) => last.extend(text),
                (_, piece) => joined.push(piece),
            }
        }
        joined
    }

    fn any_piece() -> impl Strategy<Value = Piece> {
        prop_oneof![
            "[ -~\n]{1,40}".prop_map(|text| Piece::Text(text.into_bytes())),
            proptest::collection::vec(1u8..=255, 1..40).prop_map(Piece::Frame),
        ]
    }

    proptest! {
        #[test]
        fn what_was_mixed_is_separated_however_the_stream_is_cut(
            sent in proptest::collection::vec(any_piece(), 0..20),
            cut in 1usize..50,
        ) {
            let stream: Vec<u8> = sent.iter().flat_map(|piece| match piece {
                Piece::Text(text) => text.clone(),
                Piece::Frame(frame) => [&[FRAME_START, FRAME_SYNC][..], frame, &[FRAME_END]].concat(),
            }).collect();
            let mut demux = Demux::default();
            let received: Vec<Piece> = stream.chunks(cut).flat_map(|chunk| demux.push(chunk)).collect();
            prop_assert_eq!(joined(received), joined(sent));
            prop_assert_eq!(demux.finish(), None);
        }
    }
}
