//! Sending a kernel over the serial line to a loader that waits for one: the host's side of [`abi::push`].
//!
//! A board may be switched on late, and its line be noisy: [`push`] waits for the loader to ask, sends again what did not
//! arrive, and begins anew where the loader has given up, without the blocks that are there. Of a loader that does not
//! know our protocol it notices that, and talks to it as everybody does.
//!
//! * [`port`]: a serial port, as this needs it
//! * `packed`: the image in blocks
//! * `talk`: frames and answers

mod packed;
pub mod port;
mod talk;

use std::time::Duration;

use abi::push::message::{Command, Offer, Packing, Refusal, ToHost};
use abi::push::{self as protocol, FIRST_BAUD, HELLO, RAW_OK, RAW_TOO_LARGE, REQUEST, VERSION};
use anyhow::{bail, ensure};

use self::packed::Packed;
use self::port::Port;
use self::talk::{Answer, Greeting, Talk, Tries};

/// How often the loader may give up without a block more being there.
const MOST_FAILURES: u32 = 8;
/// How often that may be at another speed than the first before it is taken for the speed's fault: short frames pass on a
/// line on which long ones do not.
const MOST_FAILURES_FAST: u32 = 2;
/// How often the whole image may arrive with another checksum: then it is not the line.
const MOST_CHECKSUMS: u32 = 3;
/// How often a loader may misunderstand our greeting before it is taken for one of another kind.
const MOST_GREETINGS: u32 = 3;
/// How many bytes are sent at a time to a loader that does not answer them.
const RAW_CHUNK: usize = 512;

/// What is to be told of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// The board says something that is not for us: a banner.
    Text(u8),
    /// There is a loader, of our kind, and it already has this many bytes of the image.
    Found {
        /// The speed from now on.
        baud: u32,
        /// Bytes that need not be sent.
        there: usize,
    },
    /// There is a loader of another kind: no checksums, no second try.
    FoundRaw,
    /// So many bytes of the image are there.
    Arrived(usize),
    /// Something was sent again.
    Again,
    /// Nothing, or nothing more, arrives at that speed: the first one is used.
    TooFast(u32),
    /// The loader is gone; it will ask again.
    Lost,
}

/// What is to be sent, and how.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// The kernel's image.
    pub image: &'a [u8],
    /// The speed to try, in bits a second.
    pub baud: u32,
    /// How long to wait for a loader to ask, or ask again.
    pub patience: Duration,
}

/// Sends an image and has it started. The port then has its first speed, and the kernel is at its other end.
///
/// # Errors
///
/// Where no loader asks in time, it refuses the image, or the line is too bad; what the port says.
pub fn push(port: &mut dyn Port, order: &Order<'_>, tell: &mut dyn FnMut(Event)) -> anyhow::Result<()> {
    ensure!(!order.image.is_empty(), "the image is empty");
    let packed = Packed::new(order.image)?;
    let mut baud = order.baud;
    let mut most = 0;
    let mut failures = 0;
    let mut greetings = 0;
    loop {
        port.set_baud(FIRST_BAUD)?;
        wait_for_request(port, order.patience, tell)?;
        port.write(&HELLO)?;
        let mut talk = Talk::new(port);
        match talk.greeting()? {
            Greeting::Silence => continue,
            Greeting::TooLong => {
                greetings += 1;
                if greetings == MOST_GREETINGS {
                    return raspbootin(port, order, tell);
                }
                continue;
            }
            Greeting::Taken => bail!(
                "the loader is one that takes any length, and takes our greeting for one; start the board again, and say \
                 --raspbootin"
            ),
            Greeting::Understood => {}
        }
        let mut session = Session { talk, packed: &packed, tell, arrived: most };
        match session.run(baud)? {
            End::Started => return Ok(()),
            End::TooFast => {
                (session.tell)(Event::TooFast(baud));
                baud = FIRST_BAUD;
            }
            End::Lost => {
                failures = if session.arrived > most { 0 } else { failures + 1 };
                ensure!(failures < MOST_FAILURES, "the line is too bad: nothing more arrives");
                most = session.arrived;
                tell(Event::Lost);
                if failures == MOST_FAILURES_FAST && baud > FIRST_BAUD {
                    tell(Event::TooFast(baud));
                    baud = FIRST_BAUD;
                }
            }
        }
    }
}

/// Waits for three bytes 03 in a row; what comes before is the board's.
fn wait_for_request(port: &mut dyn Port, patience: Duration, tell: &mut dyn FnMut(Event)) -> anyhow::Result<()> {
    let end = port.now() + patience;
    let mut seen = 0;
    while seen < REQUEST.len() {
        let left = end.saturating_duration_since(port.now());
        let Some(byte) = port.read(left)? else {
            bail!("no loader asks for a kernel; is the board on, and the card's kernel a loader?");
        };
        if byte == REQUEST[0] {
            seen += 1;
        } else {
            seen = 0;
            tell(Event::Text(byte));
        }
    }
    Ok(())
}

/// Sends an image as raspbootin does it, without asking whether the loader knows better.
///
/// # Errors
///
/// Where no loader asks in time, or it refuses the image; what the port says.
pub fn raspbootin(port: &mut dyn Port, order: &Order<'_>, tell: &mut dyn FnMut(Event)) -> anyhow::Result<()> {
    ensure!(!order.image.is_empty(), "the image is empty");
    port.set_baud(FIRST_BAUD)?;
    wait_for_request(port, order.patience, tell)?;
    tell(Event::FoundRaw);
    port.write(&u32::try_from(order.image.len())?.to_le_bytes())?;
    let mut answer = [0; 2];
    while answer != RAW_OK {
        ensure!(answer != RAW_TOO_LARGE, "the loader has no room for {} bytes", order.image.len());
        let Some(byte) = port.read(Duration::from_secs(2))? else { bail!("the loader does not answer") };
        answer = [answer[1], byte];
    }
    let mut arrived = 0;
    for chunk in order.image.chunks(RAW_CHUNK) {
        port.write(chunk)?;
        arrived += chunk.len();
        tell(Event::Arrived(arrived));
    }
    Ok(())
}

/// How a session ended.
enum End {
    /// The kernel was started.
    Started,
    /// The loader does not answer any more.
    Lost,
    /// It never did at the new speed.
    TooFast,
}

/// From a greeting to the start, or to the loss of the line.
struct Session<'a> {
    talk: Talk<'a>,
    packed: &'a Packed<'a>,
    tell: &'a mut dyn FnMut(Event),
    arrived: usize,
}

impl Session<'_> {
    fn run(&mut self, baud: u32) -> anyhow::Result<End> {
        let mut checksums = 0;
        loop {
            let offer = Offer { version: VERSION, baud, length: self.packed.length, crc: self.packed.crc };
            let mut next = match self.ask(Command::Offer(offer), talk::FRAME)? {
                Some(ToHost::Accepted { baud: agreed, next, .. }) => {
                    self.note(next);
                    (self.tell)(Event::Found { baud: agreed, there: self.arrived });
                    if !self.follow(agreed)? {
                        return Ok(End::TooFast);
                    }
                    next
                }
                Some(other) => bail!("the loader answers an offer with {other:?}"),
                None => return Ok(End::Lost),
            };
            let mut intact = true;
            while intact && next < protocol::blocks(self.packed.length) {
                let (packing, data) = self.packed.block(next)?;
                match self.ask(Command::Block { index: next, packing, data }, talk::FRAME)? {
                    Some(ToHost::Next { index, .. }) => next = index,
                    Some(ToHost::Refused { why: Refusal::Checksum, .. }) => intact = false,
                    Some(other) => bail!("the loader answers block {next} with {other:?}"),
                    None => return Ok(End::Lost),
                }
                self.note(next);
            }
            if intact {
                return self.start();
            }
            checksums += 1;
            ensure!(
                checksums < MOST_CHECKSUMS,
                "the image arrives changed, though every block of it is as it was sent"
            );
        }
    }

    /// Follows the loader to another speed, and says whether anything arrives there.
    fn follow(&mut self, baud: u32) -> anyhow::Result<bool> {
        if baud == self.talk.baud() {
            return Ok(true);
        }
        self.talk.set_baud(baud)?;
        Ok(self.ask(Command::Probe, talk::SPEED)?.is_some())
    }

    fn start(&mut self) -> anyhow::Result<End> {
        match self.ask(Command::Start, talk::START)? {
            Some(ToHost::Starting { .. }) => {
                self.talk.skip_frames(protocol::STARTING_TIMES - 1)?;
                self.talk.set_baud(FIRST_BAUD)?;
                Ok(End::Started)
            }
            Some(other) => bail!("the loader answers the start with {other:?}"),
            None => Ok(End::Lost),
        }
    }

    /// Sends a command until there is an answer to it, or it was tried often enough.
    fn ask(&mut self, what: Command<'_>, tries: Tries) -> anyhow::Result<Option<ToHost>> {
        let mut silences = 0;
        for attempt in 0..tries.most {
            if attempt > 0 {
                (self.tell)(Event::Again);
            }
            match self.talk.exchange(what)? {
                Answer::Of(ToHost::Refused { why, .. }) if why != Refusal::Checksum => {
                    bail!("the loader refuses: {}", explain(why));
                }
                Answer::Of(answer) => return Ok(Some(answer)),
                Answer::Damaged => {}
                Answer::None => {
                    silences += 1;
                    if silences == tries.silences {
                        break;
                    }
                }
            }
        }
        Ok(None)
    }

    fn note(&mut self, next: u32) {
        let bytes = self.packed.bytes_before(next);
        self.arrived = self.arrived.max(bytes);
        (self.tell)(Event::Arrived(bytes));
    }
}

fn explain(why: Refusal) -> &'static str {
    match why {
        Refusal::Length => "it has no room for an image of that length",
        Refusal::Version => "it speaks another version of the protocol; put a newer loader on the card",
        Refusal::Checksum => "the image is not as it was offered",
        Refusal::Block => "it cannot unpack a block",
        Refusal::Early => "it knows nothing of an image",
    }
}

/// How a block of the image travels.
type Block<'a> = (Packing, &'a [u8]);

#[cfg(test)]
mod tests;
