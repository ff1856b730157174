//! SD memory cards: the protocol (SD Association, "Physical Layer Simplified Specification", cited here as PL).
//!
//! ```text
//! Card            blocks: read, write, flush; what fails is repeated, after a new identification if need be
//!   identify      from power-on to the transfer state: what the card is, the widest bus, the highest speed
//!   Host          one command, with its data: the controller (`crate::sdhci`), or the fake card of the tests
//! ```
//!
//! Cards up to 2 GiB (SDSC) are addressed by bytes, larger ones (SDHC, SDXC) by blocks; both show blocks of 512 bytes
//! here. Signalling stays at 3.3 V: what a card can at 1.8 V (UHS) needs its supply to be switched off again before the
//! next boot, which not every board can do, and firmware would not find the card.
//!
//! **Errors.** No loop depends on a card for its end. A command or a transfer that fails on the way (CRC, time-out) is
//! repeated, first after the card has come back to the transfer state, then after it was identified anew, more slowly
//! where its data had wrong CRCs. A card that answers no more is [`CardError::NoCard`], and one that is another by now is
//! never written to: [`CardError::Changed`].
//!
//! **Durability.** A write returns when the card has programmed it. Caches of cards (PL 4.17) are off until a host switches
//! them on, which this one does not, so [`Card::flush`] has only to see that the card is idle.

mod card;
mod command;
mod error;
#[cfg(test)]
#[expect(clippy::panic_in_result_fn, reason = "what no host may ask of a card fails the test")]
mod fake;
mod host;
mod identify;
mod registers;
mod status;
#[cfg(test)]
#[expect(clippy::panic_in_result_fn, reason = "wrong data fails the test")]
mod tests;

pub use card::Card;
pub use command::{Command, Data, Reply, Response};
pub use error::CardError;
pub use host::{BusWidth, Host, HostError};
pub use identify::{Addressing, Identity, Speed};
pub use registers::{Cid, Csd, Scr};
pub use status::{CardState, CardStatus};

/// The size of a block, in bytes: that of every card of today, and of older ones after CMD16.
pub const BLOCK_BYTES: usize = 512;
