//! Frames: bytes of which none is zero, and a zero behind them. However damaged the line, the next zero ends it.
//!
//! Inside is the content and its CRC-32, lowest byte first, made free of zeros by COBS (Cheshire and Baker, "Consistent
//! Overhead Byte Stuffing"): each group of up to 254 bytes without a zero is preceded by a byte that says where the next
//! zero was. That takes one byte in 254.

use super::BLOCK;
use super::crc::Crc;

/// Ends a frame.
pub const END: u8 = 0;
/// The longest run of bytes that one group holds.
const GROUP: usize = 254;
/// Bytes of the checksum.
const CHECK: usize = 4;
/// The most content that a frame has: a block, and what is said about it.
pub const MAX_CONTENT: usize = BLOCK + 16;
/// The most bytes that a frame has, without its end.
pub const MAX_ENCODED: usize = (MAX_CONTENT + CHECK).div_ceil(GROUP) + MAX_CONTENT + CHECK + 1;

/// Makes a frame of bytes as they come, and gives it on byte by byte.
#[derive(Debug)]
pub struct Encoder<P> {
    put: P,
    crc: Crc,
    group: [u8; GROUP],
    length: usize,
}

impl<P: FnMut(u8)> Encoder<P> {
    /// Begins a frame that goes to `put`.
    pub const fn new(put: P) -> Self {
        Self { put, crc: Crc::new(), group: [0; GROUP], length: 0 }
    }

    /// Adds a byte of content.
    pub fn push(&mut self, byte: u8) {
        self.crc.push(byte);
        self.stuff(byte);
    }

    /// Adds content.
    pub fn extend(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.push(byte);
        }
    }

    /// Adds the checksum and ends the frame.
    pub fn finish(mut self) {
        for byte in self.crc.value().to_le_bytes() {
            self.stuff(byte);
        }
        self.flush();
        (self.put)(END);
    }

    fn stuff(&mut self, byte: u8) {
        if byte == 0 {
            self.flush();
        } else {
            self.group[self.length] = byte;
            self.length += 1;
            // A full group stands for no zero; the next one begins at once.
            if self.length == GROUP {
                self.flush();
            }
        }
    }

    fn flush(&mut self) {
        // At most 254, and one.
        (self.put)(self.length.to_le_bytes()[0] + 1);
        for &byte in &self.group[..self.length] {
            (self.put)(byte);
        }
        self.length = 0;
    }
}

/// Takes a frame apart, in place. The content, or `None` where the frame is damaged.
pub fn decode(frame: &mut [u8]) -> Option<&[u8]> {
    let length = unstuff(frame)?;
    let content = length.checked_sub(CHECK)?;
    let (content, check) = frame.get(..length)?.split_at(content);
    let mut crc = Crc::new();
    for &byte in content {
        crc.push(byte);
    }
    (crc.value().to_le_bytes() == check).then_some(content)
}

/// Undoes the stuffing, and says how many bytes there were.
fn unstuff(frame: &mut [u8]) -> Option<usize> {
    let (mut from, mut to) = (0, 0);
    while let Some(&code) = frame.get(from) {
        let run = usize::from(code).checked_sub(1)?;
        let end = from + 1 + run;
        if end > frame.len() {
            return None;
        }
        frame.copy_within(from + 1..end, to);
        to += run;
        from = end;
        // A group that is not full stands for a zero behind it; the last one's is not there.
        if run < GROUP && from < frame.len() {
            *frame.get_mut(to)? = 0;
            to += 1;
        }
    }
    Some(to)
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec;
    use std::vec::Vec;

    use super::*;

    fn encode(content: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        let mut encoder = Encoder::new(|byte| frame.push(byte));
        encoder.extend(content);
        encoder.finish();
        frame
    }

    /// Contents around the length of a group, with zeros in many places.
    fn contents() -> impl Iterator<Item = Vec<u8>> {
        let lengths = (0..10).chain(240..270).chain(500..520).chain([MAX_CONTENT]);
        lengths.flat_map(|length| {
            [0, 1, 3, 253, 254, 255].map(|every| {
                let bytes = (1..=length)
                    .map(|place| if every > 0 && place % every == 0 { 0 } else { place.to_le_bytes()[0] | 1 });
                bytes.collect::<Vec<u8>>()
            })
        })
    }

    #[test]
    fn what_was_framed_comes_out_again_and_holds_no_end_before_its_own() {
        for content in contents() {
            let mut frame = encode(&content);
            assert_eq!(frame.pop(), Some(END));
            assert!(!frame.contains(&END));
            assert!(frame.len() <= MAX_ENCODED);
            assert_eq!(decode(&mut frame), Some(&content[..]), "{} bytes", content.len());
        }
    }

    #[test]
    fn a_frame_with_one_byte_changed_lost_or_added_is_damaged() {
        let content: Vec<u8> = (0..600_u16).map(|place| place.to_le_bytes()[0]).collect();
        let mut frame = encode(&content);
        frame.pop();
        for place in 0..frame.len() {
            let mut changed = frame.clone();
            changed[place] ^= 0x10;
            let mut lost = frame.clone();
            lost.remove(place);
            let mut added = frame.clone();
            added.insert(place, 0x55);
            for mut damaged in [changed, lost, added] {
                assert_eq!(decode(&mut damaged), None, "at {place}");
            }
        }
    }

    #[test]
    fn what_is_no_frame_is_none() {
        for mut bytes in [vec![], vec![1], vec![0], vec![5, 1], vec![1; 4], vec![0xff; 300]] {
            assert_eq!(decode(&mut bytes), None);
        }
    }
}
