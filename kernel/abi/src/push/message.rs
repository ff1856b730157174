//! What a frame says. Numbers go lowest byte first.

use super::frame::Encoder;

/// From the host to the loader. Each has a number that the answer repeats.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ToLoader<'a> {
    /// The number.
    pub sequence: u8,
    /// What it is about.
    pub what: Command<'a>,
}

/// What the loader shall do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Command<'a> {
    /// Take this image.
    Offer(Offer),
    /// Store this block.
    Block {
        /// Its number.
        index: u32,
        /// How it was packed.
        packing: Packing,
        /// The bytes.
        data: &'a [u8],
    },
    /// Say which block is wanted: to see whether a speed works.
    Probe,
    /// Start the image.
    Start,
}

/// An image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Offer {
    /// The version of the protocol.
    pub version: u8,
    /// The speed that is wanted, in bits a second.
    pub baud: u32,
    /// Its length in bytes.
    pub length: u32,
    /// Its CRC-32.
    pub crc: u32,
}

/// How a block travels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Packing {
    /// As it is.
    Plain,
    /// Deflated (RFC 1951).
    Deflate,
}

/// From the loader to the host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ToHost {
    /// The offer is taken. After this frame the line has this speed.
    Accepted {
        /// The number of the offer.
        sequence: u8,
        /// The speed.
        baud: u32,
        /// The first block that is not there yet.
        next: u32,
    },
    /// This block is wanted next; one more than the last means that the image is there and is as it was offered.
    Next {
        /// The number of what is answered.
        sequence: u8,
        /// The block.
        index: u32,
    },
    /// A frame was damaged.
    Damaged,
    /// No.
    Refused {
        /// The number of what is answered.
        sequence: u8,
        /// Why.
        why: Refusal,
    },
    /// The image is started now, the line at its first speed again.
    Starting {
        /// The number of what is answered.
        sequence: u8,
    },
}

/// Why the loader refuses something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// There is no room for an image of that length, or it has none.
    Length,
    /// It does not know the version.
    Version,
    /// All blocks came, but the whole does not have the checksum of the offer. They are forgotten.
    Checksum,
    /// A block cannot be unpacked, or has another length than it should.
    Block,
    /// There is nothing to start, or nothing was offered.
    Early,
}

impl ToLoader<'_> {
    /// Sends it as a frame.
    pub fn send(&self, put: impl FnMut(u8)) {
        let mut frame = Encoder::new(put);
        let mut head = |kind: u8| frame.extend(&[kind, self.sequence]);
        match self.what {
            Command::Offer(Offer { version, baud, length, crc }) => {
                head(OFFER);
                frame.push(version);
                for word in [baud, length, crc] {
                    frame.extend(&word.to_le_bytes());
                }
            }
            Command::Block { index, packing, data } => {
                head(BLOCK);
                frame.extend(&index.to_le_bytes());
                frame.push(match packing {
                    Packing::Plain => 0,
                    Packing::Deflate => 1,
                });
                frame.extend(data);
            }
            Command::Probe => head(PROBE),
            Command::Start => head(START),
        }
        frame.finish();
    }
}

impl<'a> ToLoader<'a> {
    /// Reads the content of a frame, or `None` if it makes no sense.
    #[must_use]
    pub fn parse(content: &'a [u8]) -> Option<Self> {
        let (&[kind, sequence], rest) = content.split_first_chunk()?;
        let what = match kind {
            OFFER => {
                let (&version, mut rest) = rest.split_first()?;
                let offer = Offer { version, baud: word(&mut rest)?, length: word(&mut rest)?, crc: word(&mut rest)? };
                Command::Offer(offer)
            }
            BLOCK => {
                let mut rest = rest;
                let index = word(&mut rest)?;
                let (packing, data) = rest.split_first()?;
                let packing = match packing {
                    0 => Packing::Plain,
                    1 => Packing::Deflate,
                    _ => return None,
                };
                Command::Block { index, packing, data }
            }
            PROBE => Command::Probe,
            START => Command::Start,
            _ => return None,
        };
        Some(Self { sequence, what })
    }
}

impl ToHost {
    /// Sends it as a frame.
    pub fn send(&self, put: impl FnMut(u8)) {
        let mut frame = Encoder::new(put);
        match *self {
            Self::Accepted { sequence, baud, next } => {
                frame.extend(&[ACCEPTED, sequence]);
                frame.extend(&baud.to_le_bytes());
                frame.extend(&next.to_le_bytes());
            }
            Self::Next { sequence, index } => {
                frame.extend(&[NEXT, sequence]);
                frame.extend(&index.to_le_bytes());
            }
            Self::Damaged => frame.extend(&[DAMAGED, 0]),
            Self::Refused { sequence, why } => frame.extend(&[
                REFUSED,
                sequence,
                match why {
                    Refusal::Length => 0,
                    Refusal::Version => 1,
                    Refusal::Checksum => 2,
                    Refusal::Block => 3,
                    Refusal::Early => 4,
                },
            ]),
            Self::Starting { sequence } => frame.extend(&[STARTING, sequence]),
        }
        frame.finish();
    }

    /// Reads the content of a frame, or `None` if it makes no sense.
    #[must_use]
    pub fn parse(content: &[u8]) -> Option<Self> {
        let (&[kind, sequence], mut rest) = content.split_first_chunk()?;
        let message = match kind {
            ACCEPTED => Self::Accepted { sequence, baud: word(&mut rest)?, next: word(&mut rest)? },
            NEXT => Self::Next { sequence, index: word(&mut rest)? },
            DAMAGED => Self::Damaged,
            REFUSED => {
                let why = match rest.first()? {
                    0 => Refusal::Length,
                    1 => Refusal::Version,
                    2 => Refusal::Checksum,
                    3 => Refusal::Block,
                    4 => Refusal::Early,
                    _ => return None,
                };
                Self::Refused { sequence, why }
            }
            STARTING => Self::Starting { sequence },
            _ => return None,
        };
        Some(message)
    }
}

/// Takes a word off the front.
fn word(bytes: &mut &[u8]) -> Option<u32> {
    let (word, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(u32::from_le_bytes(*word))
}

const OFFER: u8 = 0x01;
const BLOCK: u8 = 0x02;
const PROBE: u8 = 0x03;
const START: u8 = 0x04;
const ACCEPTED: u8 = 0x81;
const NEXT: u8 = 0x82;
const DAMAGED: u8 = 0x83;
const REFUSED: u8 = 0x84;
const STARTING: u8 = 0x85;

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use super::super::frame;
    use super::*;

    #[test]
    fn every_message_reads_back_as_it_was_sent() {
        let offer = Offer { version: 1, baud: 921_600, length: 1_234_567, crc: 0x89ab_cdef };
        let block = Command::Block { index: 7, packing: Packing::Deflate, data: &[0, 1, 2] };
        for what in [Command::Offer(offer), block, Command::Probe, Command::Start] {
            let message = ToLoader { sequence: 200, what };
            let mut sent = Vec::new();
            message.send(|byte| sent.push(byte));
            sent.pop();
            assert_eq!(ToLoader::parse(frame::decode(&mut sent).unwrap()), Some(message));
        }
        let whys = [Refusal::Length, Refusal::Version, Refusal::Checksum, Refusal::Block, Refusal::Early];
        let refusals = whys.map(|why| ToHost::Refused { sequence: 9, why });
        for message in [
            ToHost::Accepted { sequence: 1, baud: 3_000_000, next: 0 },
            ToHost::Next { sequence: 0, index: u32::MAX },
            ToHost::Damaged,
            ToHost::Starting { sequence: 255 },
        ]
        .into_iter()
        .chain(refusals)
        {
            let mut sent = Vec::new();
            message.send(|byte| sent.push(byte));
            sent.pop();
            assert_eq!(ToHost::parse(frame::decode(&mut sent).unwrap()), Some(message));
        }
    }

    #[test]
    fn what_is_cut_short_or_of_no_kind_makes_no_sense() {
        for bytes in
            [&[][..], &[1], &[1, 0], &[1, 0, 1, 2, 3], &[2, 0, 0, 0, 0, 0], &[2, 0, 0, 0, 0, 0, 9, 1], &[0x7f, 0]]
        {
            assert_eq!(ToLoader::parse(bytes), None, "{bytes:?}");
        }
        for bytes in [&[0x81, 0, 1][..], &[0x84, 0], &[0x84, 0, 9], &[0x01, 0]] {
            assert_eq!(ToHost::parse(bytes), None, "{bytes:?}");
        }
    }
}
