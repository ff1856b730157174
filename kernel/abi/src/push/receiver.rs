//! The loader's side.

use super::frame::{self, MAX_ENCODED};
use super::message::{Command, Offer, Packing, Refusal, ToHost, ToLoader};
use super::{
    ANSWER_MS, BLOCK, FIRST_BAUD, HELLO, QUIET_MS, RAW_LIMIT, RAW_OK, RAW_TOO_LARGE, REQUEST, REQUEST_EVERY_MS,
    SILENCE_MS, SPEED_TRIAL_MS, STARTING_TIMES, VERSION, blocks, crc,
};

/// The serial line, as the loader sees it.
pub trait Line {
    /// The next byte that comes within `patience_ms` milliseconds. Bytes with an error are left out: the checksum tells.
    fn read(&mut self, patience_ms: u32) -> Option<u8>;
    /// Sends a byte.
    fn write(&mut self, byte: u8);
    /// Lets all that was sent leave, and changes the speed. False where it cannot be had; then nothing has changed.
    fn set_baud(&mut self, baud: u32) -> bool;
}

/// An image that is to be started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Image {
    /// Its length in bytes.
    pub length: usize,
}

/// Takes an image from the line into memory.
pub struct Receiver<'memory, L, I> {
    line: L,
    memory: &'memory mut [u8],
    frame: &'memory mut [u8; MAX_ENCODED],
    /// Inflates a block into room of its length, and says how long it was.
    inflate: I,
    baud: u32,
    /// What is being received, and how many blocks of it are there. It stays when the host goes, for it may come back.
    offer: Option<Offer>,
    next: u32,
}

/// How an exchange goes on.
enum Then {
    /// With another frame.
    Continue,
    /// With the image's start.
    Start(Image),
}

impl<'memory, L: Line, I: FnMut(&[u8], &mut [u8]) -> Option<usize>> Receiver<'memory, L, I> {
    /// A receiver on a line of the first speed, for an image of up to the length of `memory`.
    pub const fn new(line: L, memory: &'memory mut [u8], frame: &'memory mut [u8; MAX_ENCODED], inflate: I) -> Self {
        Self { line, memory, frame, inflate, baud: FIRST_BAUD, offer: None, next: 0 }
    }

    /// Asks for an image until there is one that is to be started. The line then has its first speed again.
    pub fn run(&mut self) -> Image {
        loop {
            for byte in REQUEST {
                self.line.write(byte);
            }
            let Some(answer) = self.first_answer() else { continue };
            let image = if answer == HELLO { self.framed() } else { self.raw(u32::from_le_bytes(answer)) };
            self.set_baud(FIRST_BAUD);
            if let Some(image) = image {
                return image;
            }
        }
    }

    /// The host's first four bytes. Both kinds of host then wait for us, so where more comes at once these are bytes out of
    /// the middle of something: of a frame of ours, from a host that takes us to be listening still. It is let pass.
    fn first_answer(&mut self) -> Option<[u8; 4]> {
        let mut answer = [self.line.read(REQUEST_EVERY_MS)?, 0, 0, 0];
        for slot in &mut answer[1..] {
            *slot = self.line.read(ANSWER_MS)?;
        }
        if self.line.read(QUIET_MS).is_none() {
            return Some(answer);
        }
        while self.line.read(ANSWER_MS).is_some() {}
        None
    }

    /// raspbootin: so many bytes, as they are.
    fn raw(&mut self, length: u32) -> Option<Image> {
        let length = (1..RAW_LIMIT).contains(&length).then(|| usize::try_from(length).ok()).flatten();
        let Some(room) = length.and_then(|length| self.memory.get_mut(..length)) else {
            RAW_TOO_LARGE.into_iter().for_each(|byte| self.line.write(byte));
            return None;
        };
        // What was there of another image is written over.
        self.offer = None;
        RAW_OK.into_iter().for_each(|byte| self.line.write(byte));
        for slot in &mut *room {
            *slot = self.line.read(SILENCE_MS)?;
        }
        Some(Image { length: room.len() })
    }

    /// Ours: frames, until the image is started or the host is gone.
    fn framed(&mut self) -> Option<Image> {
        // Tells the host that its four bytes arrived.
        self.say(ToHost::Next { sequence: 0, index: self.next });
        // A new speed is on trial until a frame has arrived at it.
        let mut patience_ms = SILENCE_MS;
        loop {
            let Some(length) = self.read_frame(patience_ms)? else {
                self.say(ToHost::Damaged);
                continue;
            };
            // An empty frame is the end of one that was damaged, or of noise.
            if length == 0 {
                continue;
            }
            let before = self.baud;
            match self.answer(length) {
                Some(Then::Start(image)) => return Some(image),
                Some(Then::Continue) => patience_ms = if self.baud == before { SILENCE_MS } else { SPEED_TRIAL_MS },
                None => self.say(ToHost::Damaged),
            }
        }
    }

    /// Reads up to the end of a frame, and says how long it is: `Some(None)` where it is too long to be one, `None` where
    /// nothing came for `patience_ms`.
    fn read_frame(&mut self, patience_ms: u32) -> Option<Option<usize>> {
        let mut length = 0;
        loop {
            let byte = self.line.read(patience_ms)?;
            if byte == frame::END {
                return Some((length <= self.frame.len()).then_some(length));
            }
            if let Some(slot) = self.frame.get_mut(length) {
                *slot = byte;
            }
            length = (length + 1).min(self.frame.len() + 1);
        }
    }

    /// Does what a frame of `length` bytes says. `None` where it is damaged.
    fn answer(&mut self, length: usize) -> Option<Then> {
        let content = frame::decode(self.frame.get_mut(..length)?)?;
        let ToLoader { sequence, what } = ToLoader::parse(content)?;
        let outcome = match what {
            Command::Offer(offer) => take_offer(offer, self.memory.len(), &mut self.offer, &mut self.next),
            Command::Block { index, packing, data } => match self.offer {
                Some(offer) if index == self.next && index < blocks(offer.length) => {
                    let stored = store(offer, index, packing, data, self.memory, &mut self.inflate);
                    stored.map(|()| self.next += 1).and_then(|()| check_whole(offer, self.memory, &mut self.next))
                }
                Some(_) => Ok(()),
                None => Err(Refusal::Early),
            },
            Command::Probe => self.offer.map(drop).ok_or(Refusal::Early),
            Command::Start => match self.offer {
                Some(offer) if self.next == blocks(offer.length) => {
                    let length = usize::try_from(offer.length).ok()?;
                    // Nobody will be there to say it again.
                    for _ in 0..STARTING_TIMES {
                        self.say(ToHost::Starting { sequence });
                    }
                    return Some(Then::Start(Image { length }));
                }
                _ => Err(Refusal::Early),
            },
        };
        let agreed = match (what, outcome) {
            (Command::Offer(offer), Ok(())) => Some(offer.baud),
            _ => None,
        };
        match outcome {
            Err(why) => self.say(ToHost::Refused { sequence, why }),
            Ok(()) => match agreed {
                Some(baud) => self.agree(sequence, baud),
                None => self.say(ToHost::Next { sequence, index: self.next }),
            },
        }
        Some(Then::Continue)
    }

    /// Agrees to an offer, at the speed that it wants, if it can be had. That is tried out before it is said, for there is
    /// no way back from what was said.
    fn agree(&mut self, sequence: u8, wanted: u32) {
        let before = self.baud;
        let baud = if self.set_baud(wanted) { wanted } else { before };
        self.set_baud(before);
        self.say(ToHost::Accepted { sequence, baud, next: self.next });
        self.set_baud(baud);
    }

    fn set_baud(&mut self, baud: u32) -> bool {
        let done = baud == self.baud || self.line.set_baud(baud);
        if done {
            self.baud = baud;
        }
        done
    }

    fn say(&mut self, message: ToHost) {
        message.send(|byte| self.line.write(byte));
    }
}

/// Notes an offer. Where it is the one that was being received, that goes on.
fn take_offer(offer: Offer, room: usize, held: &mut Option<Offer>, next: &mut u32) -> Result<(), Refusal> {
    if offer.version != VERSION {
        return Err(Refusal::Version);
    }
    if offer.length == 0 || usize::try_from(offer.length).map_or(true, |length| length > room) {
        return Err(Refusal::Length);
    }
    if held.is_none_or(|held| (held.length, held.crc) != (offer.length, offer.crc)) {
        *next = 0;
    }
    *held = Some(offer);
    Ok(())
}

/// Puts a block where it belongs.
fn store(
    offer: Offer,
    index: u32,
    packing: Packing,
    data: &[u8],
    memory: &mut [u8],
    inflate: &mut impl FnMut(&[u8], &mut [u8]) -> Option<usize>,
) -> Result<(), Refusal> {
    let start = usize::try_from(index).ok().and_then(|index| index.checked_mul(BLOCK)).ok_or(Refusal::Block)?;
    let length = usize::try_from(offer.length).map_err(|_| Refusal::Block)?;
    let end = start.saturating_add(BLOCK).min(length);
    let room = memory.get_mut(start..end).ok_or(Refusal::Block)?;
    let filled = match packing {
        Packing::Plain if data.len() == room.len() => {
            room.copy_from_slice(data);
            Some(room.len())
        }
        Packing::Plain => None,
        Packing::Deflate => inflate(data, room),
    };
    if filled == Some(end - start) { Ok(()) } else { Err(Refusal::Block) }
}

/// When all blocks are there: whether they are what was offered.
fn check_whole(offer: Offer, memory: &[u8], next: &mut u32) -> Result<(), Refusal> {
    if *next < blocks(offer.length) {
        return Ok(());
    }
    let length = usize::try_from(offer.length).map_err(|_| Refusal::Length)?;
    if memory.get(..length).is_some_and(|image| crc::of(image) == offer.crc) {
        return Ok(());
    }
    *next = 0;
    Err(Refusal::Checksum)
}
