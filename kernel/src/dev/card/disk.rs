//! The card as a disk.

use drivers::sd::{Card, CardError};
use drivers::sdhci::Sdhci;
use kcore::fs::block::partition::Block;
use kcore::fs::block::{BLOCK_SIZE, Disk, DiskError};

use super::pace::CardPace;
use super::{CardCache, NAME};
use crate::log::println;

/// A card that says what goes wrong.
pub(super) struct CardDisk {
    card: Card<Sdhci<CardPace>>,
    /// What was said last: a card that is gone is not mourned at each access.
    said: Option<CardError>,
    /// Whether the controller moved data by itself when something was last moved.
    by_itself: bool,
}

impl CardDisk {
    pub(super) const fn new(card: Card<Sdhci<CardPace>>) -> Self {
        let by_itself = card.host().has_dma();
        Self { card, said: None, by_itself }
    }

    fn note(&mut self, outcome: Result<(), CardError>) -> Result<(), DiskError> {
        if self.by_itself && !self.card.host().has_dma() {
            self.by_itself = false;
            println!("{NAME}: DMA failed; moved by the CPU from now on");
        }
        let Err(error) = outcome else {
            self.said = None;
            return Ok(());
        };
        if self.said.replace(error) != Some(error) {
            println!("{NAME}: {error}");
        }
        Err(match error {
            CardError::WriteProtected => DiskError::ReadOnly,
            CardError::OutOfRange { .. } => DiskError::OutOfRange,
            _ => DiskError::Failed,
        })
    }
}

impl Disk for CardDisk {
    fn blocks(&self) -> u64 {
        self.card.blocks()
    }

    fn is_read_only(&self) -> bool {
        self.card.is_write_protected()
    }

    fn read(&mut self, block: u64, into: &mut [u8]) -> Result<(), DiskError> {
        let outcome = self.card.read(block, into);
        self.note(outcome)
    }

    fn write(&mut self, block: u64, from: &[u8]) -> Result<(), DiskError> {
        let outcome = self.card.write(block, from);
        self.note(outcome)
    }

    fn flush(&mut self) -> Result<(), DiskError> {
        let outcome = self.card.flush();
        self.note(outcome)
    }
}

/// Reads a block of the card, as the search for partitions wants it.
pub(super) fn read_block(cache: &CardCache, block: u64, into: &mut Block) -> Result<(), DiskError> {
    let at = block.checked_mul(BLOCK_SIZE as u64).ok_or(DiskError::OutOfRange)?;
    cache.read_at(at, into).map_err(|_| DiskError::Failed)
}
