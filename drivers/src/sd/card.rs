//! A card in a slot: blocks, and what is done when something goes wrong.

use super::BLOCK_BYTES;
use super::command::{Command, Data, Transfer};
use super::error::CardError;
use super::host::Host;
use super::identify::{self, Identity, Speed};
use super::status::{CardState, CardStatus};

/// How often a transfer is tried.
const TRIES: u32 = 4;
/// How often a card that may be there is asked to identify itself.
const IDENTIFY_TRIES: u32 = 3;
/// How long a card may be busy with what was written: SDXC cards have 500 ms a command (PL 4.6.2.2), doubled as Linux does.
const BUSY_US: u64 = 1_000_000;
const BUSY_PAUSE_US: u32 = 100;

/// A card in the slot of `H`.
#[derive(Debug)]
pub struct Card<H> {
    host: H,
    /// The card that this one is; blocks are of no other.
    identity: Identity,
    /// Whether it is in the transfer state, as far as is known.
    ready: bool,
    most_speed: Speed,
}

impl<H: Host> Card<H> {
    /// Identifies the card in the slot.
    ///
    /// # Errors
    ///
    /// [`CardError::NoCard`] for an empty slot, and all other reasons why a card cannot be used. The host comes back with
    /// the error.
    pub fn identify(mut host: H) -> Result<Self, (CardError, H)> {
        match identify_patiently(&mut host, Speed::High) {
            Ok((identity, most_speed)) => Ok(Self { host, identity, ready: true, most_speed }),
            Err(error) => Err((error, host)),
        }
    }

    /// What the card is.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// How many blocks it has.
    #[must_use]
    pub const fn blocks(&self) -> u64 {
        self.identity.csd.blocks
    }

    /// Whether it says that it must not be written to.
    #[must_use]
    pub const fn is_write_protected(&self) -> bool {
        self.identity.csd.write_protected
    }

    /// Fills `into`, whole blocks, from `block` on.
    ///
    /// # Errors
    ///
    /// [`CardError`], after all tries; some of `into` may have been filled.
    pub fn read(&mut self, block: u64, into: &mut [u8]) -> Result<(), CardError> {
        self.check(block, into.len())?;
        let most = self.most_bytes();
        for (piece, at) in into.chunks_mut(most).zip((block..).step_by(most / BLOCK_BYTES)) {
            self.repeat(|card| card.read_once(at, piece))?;
        }
        Ok(())
    }

    /// Writes `from`, whole blocks, from `block` on, and waits until the card has programmed them.
    ///
    /// # Errors
    ///
    /// [`CardError`], after all tries; some of the blocks may have been written.
    pub fn write(&mut self, block: u64, from: &[u8]) -> Result<(), CardError> {
        self.check(block, from.len())?;
        if self.is_write_protected() {
            return Err(CardError::WriteProtected);
        }
        let most = self.most_bytes();
        for (piece, at) in from.chunks(most).zip((block..).step_by(most / BLOCK_BYTES)) {
            self.repeat(|card| card.write_once(at, piece))?;
        }
        Ok(())
    }

    /// Waits until all that was written is where it stays without power.
    ///
    /// # Errors
    ///
    /// [`CardError`]
    pub fn flush(&mut self) -> Result<(), CardError> {
        self.repeat(Self::settle)
    }

    /// The slot that it is in.
    pub const fn host(&self) -> &H {
        &self.host
    }

    /// The slot, to change how it moves data. Who gives it commands loses the card's state; it is found again, at the cost of a
    /// try.
    pub const fn host_mut(&mut self) -> &mut H {
        &mut self.host
    }

    fn check(&self, block: u64, bytes: usize) -> Result<(), CardError> {
        if !bytes.is_multiple_of(BLOCK_BYTES) {
            return Err(CardError::BadLength(bytes));
        }
        let count = (bytes / BLOCK_BYTES) as u64;
        match block.checked_add(count) {
            Some(end) if end <= self.blocks() => Ok(()),
            _ => Err(CardError::OutOfRange { block, count }),
        }
    }

    fn most_bytes(&self) -> usize {
        self.host.most_blocks().max(1) * BLOCK_BYTES
    }

    /// Does `work` until it succeeds, with more and more done in between.
    fn repeat(&mut self, mut work: impl FnMut(&mut Self) -> Result<(), CardError>) -> Result<(), CardError> {
        let mut tries = 0;
        loop {
            if !self.ready {
                self.identify_again()?;
            }
            let error = match work(self) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            tries += 1;
            // A card that has come back to its transfer state after the first failure is tried once more as it is.
            self.ready = self.come_back().is_ok() && tries == 1;
            if tries >= TRIES || !error.is_passing() {
                return Err(error);
            }
            if tries > 1 && error.is_garbled() {
                self.most_speed = Speed::Default;
            }
        }
    }

    /// Identifies the card after it was lost. It must be the same.
    fn identify_again(&mut self) -> Result<(), CardError> {
        let (identity, most_speed) = identify_patiently(&mut self.host, self.most_speed)?;
        if (identity.cid, identity.csd) != (self.identity.cid, self.identity.csd) {
            return Err(CardError::Changed);
        }
        (self.identity, self.most_speed, self.ready) = (identity, most_speed, true);
        Ok(())
    }

    fn read_once(&mut self, block: u64, into: &mut [u8]) -> Result<(), CardError> {
        let count = into.len() / BLOCK_BYTES;
        let several = count > 1;
        let stops = self.announce(count)?;
        let command = Command::read(self.argument(block)?, several);
        identify::checked(&mut self.host, command, Data::Read { block: BLOCK_BYTES, into })?;
        if several && stops { self.stop(Transfer::Read) } else { Ok(()) }
    }

    fn write_once(&mut self, block: u64, from: &[u8]) -> Result<(), CardError> {
        let count = from.len() / BLOCK_BYTES;
        let several = count > 1;
        let stops = self.announce(count)?;
        let command = Command::write(self.argument(block)?, several);
        identify::checked(&mut self.host, command, Data::Write { block: BLOCK_BYTES, from })?;
        if several && stops {
            self.stop(Transfer::Write)?;
        }
        self.settle()
    }

    /// Says how many blocks come, where the card knows that command; else the transfer is to be stopped.
    fn announce(&mut self, count: usize) -> Result<bool, CardError> {
        if count < 2 || !self.identity.scr.has_block_count() {
            return Ok(true);
        }
        let count = u32::try_from(count).map_err(|_| CardError::BadLength(count))?;
        identify::checked(&mut self.host, Command::set_block_count(count), Data::None)?;
        Ok(false)
    }

    fn argument(&self, block: u64) -> Result<u32, CardError> {
        self.identity.addressing.argument(block).ok_or(CardError::OutOfRange { block, count: 1 })
    }

    /// Ends a transfer of several blocks.
    fn stop(&mut self, of: Transfer) -> Result<(), CardError> {
        match identify::checked(&mut self.host, Command::stop(of), Data::None) {
            // A card that had begun to fetch the block behind its last one says so; it is no error (PL 4.3.3).
            Err(CardError::Status { status, .. })
                if status.intersection(CardStatus::ERRORS) == CardStatus::OUT_OF_RANGE =>
            {
                Ok(())
            }
            outcome => outcome.map(drop),
        }
    }

    /// Waits until the card is idle. Its status also says what went wrong with what it was writing.
    fn settle(&mut self) -> Result<(), CardError> {
        let start = self.host.now_us();
        let query = Command::send_status(self.identity.rca);
        loop {
            let status = identify::checked(&mut self.host, query, Data::None)?;
            if status.is_idle() {
                return Ok(());
            }
            // A card that was taken out and put back is in none of the states that writing leads to.
            let writes =
                matches!(status.state(), CardState::Transfer | CardState::ReceivingData | CardState::Programming);
            if !writes || self.host.now_us().saturating_sub(start) > BUSY_US {
                return Err(CardError::Status { command: query.index, status });
            }
            self.host.pause_us(BUSY_PAUSE_US);
        }
    }

    /// After an error: back to the transfer state, if the card is in one that leads there.
    fn come_back(&mut self) -> Result<(), CardError> {
        let query = Command::send_status(self.identity.rca);
        let status = self.host.command(query, Data::None).map_err(|error| CardError::Host { command: 13, error })?;
        let of = match CardStatus::from_bits_retain(status.short()).state() {
            CardState::SendingData => Transfer::Read,
            CardState::ReceivingData => Transfer::Write,
            _ => return self.settle(),
        };
        // What it says of the failure is known already.
        let _status = self.host.command(Command::stop(of), Data::None);
        self.settle()
    }
}

/// Identifies the card, again if something goes wrong on the way; says at which speed at most it did.
fn identify_patiently(host: &mut impl Host, most: Speed) -> Result<(Identity, Speed), CardError> {
    let mut most = most;
    let mut tries = 0;
    loop {
        match identify::identify(host, most) {
            Ok(identity) => return Ok((identity, most)),
            Err(error) => {
                tries += 1;
                if tries >= IDENTIFY_TRIES || !error.is_passing() {
                    return Err(error);
                }
                if error.is_garbled() {
                    most = Speed::Default;
                }
            }
        }
    }
}
