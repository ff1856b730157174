//! What waits goes to the disk, in an order that bears a power cut after any block.
//!
//! 1. The contents of files and of new directories, and the mark that somebody writes.
//! 2. The table, all copies: chains that grew, and new ones, which nothing names yet. Nothing that an entry on the disk
//!    names is taken away.
//! 3. Directories. Each entry is in one block, so it is the old one or the new one; what it names is there. An entry whose
//!    file has got another one by a rename is still there.
//! 4. Such entries go.
//! 5. Chains that nothing on the disk names any more become free. So clusters are used again only when their old files are
//!    gone for good.
//!
//! Between the steps the disk is asked to keep what it has. A cut costs clusters that are in no file and in no list of free
//! ones, at most, or leaves a file that was being renamed under both names; [the next mount](super::repair) mends that. (The
//! order is that of soft updates, as `FreeBSD` has them, but for all changes at once.)
//!
//! A name that went gets a new entry only in another commit: any part of one may be there, and two entries of one name would
//! be too much.

use super::Fat;
use super::alloc::Changing;
use super::pending::{Block, Part};
use super::slot::SLOT_BYTES;
use crate::fs::block::BLOCK_SIZE;
use crate::fs::error::FileError;
use crate::hal::Cpu;

const BLOCK_BYTES: u64 = BLOCK_SIZE as u64;
const SLOT_LONG: u64 = SLOT_BYTES as u64;
/// The state in the boot sector: somebody writes, or did not get to the end of it.
const UNCLEAN: u8 = 1;
/// The signatures of the numbers of free clusters, where those are.
const INFORMATION: [(usize, [u8; 4]); 2] = [(0, *b"RRaA"), (484, *b"rrAa")];
const FREE_COUNT: usize = 488;
const NEXT_FREE: usize = 492;

/// Whether entries that are to go last are still written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    Kept,
    Gone,
}

impl<C: Cpu> Fat<C> {
    /// Brings all that waits to the disk.
    ///
    /// # Errors
    ///
    /// [`Io`](FileError::Io), [`OutOfMemory`](FileError::OutOfMemory): it goes on waiting then.
    pub(super) fn commit(&self, changing: &mut Changing) -> Result<(), FileError> {
        // Whatever becomes loose meanwhile may be named by an entry that has not been written.
        let loose = self.freed.lock().len();
        let changed = !self.pending.lock().is_empty();
        if changed || loose > 0 {
            // What is told of free clusters shall be right afterwards.
            self.free_clusters(changing)?;
            if !changing.is_marked {
                self.mark(changing, true)?;
            }
        }
        self.volume.flush()?;
        if changed {
            self.commit_blocks()?;
        }
        self.release(changing, loose)?;
        self.note_free(changing)
    }

    fn commit_blocks(&self) -> Result<(), FileError> {
        if self.write_table()? {
            self.volume.flush()?;
        }
        if self.write_directories(Held::Kept)? {
            self.volume.flush()?;
        }
        if !self.pending.lock().held.is_empty() {
            self.write_directories(Held::Gone)?;
            self.volume.flush()?;
        }
        self.drop_blocks();
        Ok(())
    }

    /// Commits, and says on the disk that it is complete.
    ///
    /// # Errors
    ///
    /// As those of [`commit`](Self::commit).
    pub(super) fn sync_all(&self, changing: &mut Changing) -> Result<(), FileError> {
        self.commit(changing)?;
        self.volume.flush()?;
        if !changing.is_marked || changing.was_marked {
            return Ok(());
        }
        self.mark(changing, false)?;
        self.volume.flush()
    }

    /// Says on the disk that somebody writes, or that all is written: in the boot sector, and in the table. What is not there
    /// in all tables is not believed.
    fn mark(&self, changing: &mut Changing, unclean: bool) -> Result<(), FileError> {
        let clean_bit = self.geometry.width.clean_bit();
        if clean_bit != 0 && !changing.was_marked {
            self.hold_entry(1)?;
            let entry = self.entry(1)?;
            self.set_entry(1, if unclean { entry & !clean_bit } else { entry | clean_bit });
            if !unclean {
                self.spill_table()?;
                self.volume.flush()?;
            }
        }
        let at = self.geometry.state_place();
        let mut state = [0];
        self.volume.read_at(at, &mut state)?;
        let [before] = state;
        let state = if unclean { before | UNCLEAN } else { before & !UNCLEAN };
        if state != before {
            self.volume.write_at(at, &[state])?;
        }
        changing.is_marked = unclean;
        Ok(())
    }

    /// Whether the disk says that who wrote to it last did not get to the end.
    pub(super) fn is_marked(&self) -> Result<bool, FileError> {
        let mut state = [0];
        self.volume.read_at(self.geometry.state_place(), &mut state)?;
        let [state] = state;
        // Others write only one of the two.
        let clean_bit = self.geometry.width.clean_bit();
        Ok(state & UNCLEAN != 0 || self.entry(1)? & clean_bit != clean_bit)
    }

    /// Gives the table's blocks to the cache. Says whether there were any.
    pub(super) fn write_table(&self) -> Result<bool, FileError> {
        let tables = self.geometry.tables;
        self.write_each(Part::Table, |at, block| {
            (0..tables.count)
                .try_for_each(|copy| self.volume.write_at(at.saturating_add(copy.saturating_mul(tables.bytes)), block))
        })
    }

    pub(super) fn write_directories(&self, held: Held) -> Result<bool, FileError> {
        self.write_each(Part::Directories, |at, block| {
            if held == Held::Kept {
                self.put_held(at, block);
            }
            self.volume.write_at(at, block)
        })
    }

    /// Puts what goes last into a block of a directory, where it was.
    fn put_held(&self, at: u64, block: &mut Block) {
        let pending = self.pending.lock();
        for (place, there) in (at / SLOT_LONG..).zip(block.as_chunks_mut().0) {
            if let Some(slot) = pending.held.get(&place) {
                *there = *slot;
            }
        }
    }

    fn write_each(
        &self,
        part: Part,
        mut write: impl FnMut(u64, &mut Block) -> Result<(), FileError>,
    ) -> Result<bool, FileError> {
        let mut from = 0;
        loop {
            let next = self.pending.lock().part(part).range(from..).next().map(|(number, block)| (*number, **block));
            let Some((number, mut block)) = next else { return Ok(from > 0) };
            write(number.saturating_mul(BLOCK_BYTES), &mut block)?;
            from = number.saturating_add(1);
        }
    }

    /// Lets go of blocks of the table that may be written at any time.
    pub(super) fn spill_table(&self) -> Result<(), FileError> {
        self.write_table()?;
        let table = core::mem::take(&mut self.pending.lock().table);
        drop(table);
        Ok(())
    }

    /// Tells, where there is a place for it, how many clusters are free. It is a hint; whoever needs to know counts.
    pub(super) fn note_free(&self, changing: &Changing) -> Result<(), FileError> {
        let (Some((at, mut block)), Some(free)) = (self.information()?, changing.free) else { return Ok(()) };
        let before = block;
        for (at, number) in [(FREE_COUNT, free), (NEXT_FREE, changing.hint)] {
            if let Some(place) = block.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) {
                *place = number.to_le_bytes();
            }
        }
        if block == before { Ok(()) } else { self.volume.write_at(at, &block) }
    }

    /// What is told there.
    pub(super) fn noted_free(&self) -> Result<Option<u32>, FileError> {
        let noted =
            |(_, block): (u64, Block)| block.get(FREE_COUNT..)?.first_chunk().map(|free| u32::from_le_bytes(*free));
        Ok(self.information()?.and_then(noted))
    }

    /// The block where that is told, if there is one, and where it is.
    fn information(&self) -> Result<Option<(u64, Block)>, FileError> {
        let Some(at) = self.geometry.information else { return Ok(None) };
        let mut block = [0; BLOCK_SIZE];
        self.volume.read_at(at, &mut block)?;
        let is_signed = |(at, signature): &(usize, [u8; 4])| block.get(*at..).is_some_and(|b| b.starts_with(signature));
        Ok(INFORMATION.iter().all(is_signed).then_some((at, block)))
    }
}
