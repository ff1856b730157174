//! Each directory once, and what has two names.

use ::alloc::vec::Vec;

use super::super::directory::{MOST_ENTRIES, Place};
use super::super::slot::{self, Slot};
use super::parts::{Kind, Parts};
use super::{Bits, Directory, Repair, one_more};
use crate::fs::error::FileError;
use crate::fs::inode::Visit;
use crate::hal::Cpu;

/// How often all directories are looked at.
pub(super) const MOST_PASSES: u32 = 8;
/// How many entries may lead to where others do. A cut leaves as many as [a batch](super::super::pending) renames.
pub(super) const MOST_DOUBLES: usize = 1024;

/// What is known of two names.
struct Survey {
    /// Where files and directories begin.
    files: Bits,
    directories: Bits,
    /// Where several of them do that were seen in the last pass; and in this one.
    wanted: Vec<u64>,
    twice: Vec<u64>,
    /// Entries that lead there.
    doubles: Vec<Double>,
    /// Places of entries that go in this pass; and in the next.
    going: Vec<u64>,
    next: Vec<u64>,
}

/// An entry that leads to where others do.
#[derive(Clone, Copy)]
struct Double {
    key: u64,
    place: u64,
    /// The index of the directory that it is in.
    directory: u32,
    size: u32,
    /// Date and time, and hundredths of a second.
    born: (u32, u8),
    /// Whether nothing of its name is missing.
    is_whole: bool,
}

/// What begins at a cluster: a file and a directory are not the same.
fn key(first: u32, is_directory: bool) -> u64 {
    u64::from(first) << 1 | u64::from(is_directory)
}

/// Puts a number into a list that is in order.
fn insert(list: &mut Vec<u64>, number: u64) -> Result<(), FileError> {
    if let Err(at) = list.binary_search(&number) {
        if list.len() >= MOST_DOUBLES {
            return Err(FileError::Damaged);
        }
        list.try_reserve(1).map_err(|_| FileError::OutOfMemory)?;
        list.insert(at, number);
    }
    Ok(())
}

impl Double {
    /// Whether this one stays rather than `other`, which was seen before it.
    fn beats(&self, other: &Self) -> bool {
        /// So many hundredths of a second an entry can tell.
        const CYCLE: u32 = 200;
        if self.is_whole != other.is_whole {
            return self.is_whole;
        }
        let later = u32::from(self.born.1).saturating_add(CYCLE).saturating_sub(other.born.1.into()) % CYCLE;
        if self.born.0 != other.born.0 || later == 0 {
            return self.size > other.size;
        }
        later < CYCLE / 2
    }
}

impl<C: Cpu> Repair<'_, C> {
    /// Finds all directories, each by one way; of two names for one thing, one goes.
    pub(super) fn survey(&mut self) -> Result<(), FileError> {
        let end = self.fs.geometry.end_cluster();
        let mut survey = Survey {
            files: Bits::new(end)?,
            directories: Bits::new(end)?,
            wanted: Vec::new(),
            twice: Vec::new(),
            doubles: Vec::new(),
            going: Vec::new(),
            next: Vec::new(),
        };
        for _ in 0..MOST_PASSES {
            self.pass(&mut survey)?;
            self.resolve(&mut survey)?;
            survey.going = core::mem::take(&mut survey.next);
            survey.wanted = core::mem::take(&mut survey.twice);
            if survey.going.is_empty() && survey.wanted.is_empty() {
                return Ok(());
            }
        }
        Err(FileError::Damaged)
    }

    fn pass(&mut self, survey: &mut Survey) -> Result<(), FileError> {
        for bits in [&mut self.owned, &mut survey.files, &mut survey.directories] {
            bits.clear();
        }
        self.directories.clear();
        survey.doubles.clear();
        let first = self.fs.first_cluster(Place::Root).unwrap_or(0);
        survey.directories.set(first);
        self.add(Directory { first, above: 0, place: 0 })?;
        let mut index = 0;
        while let Some(directory) = self.directories.get(index).copied() {
            self.scan(survey, u32::try_from(index).unwrap_or(0), directory)?;
            index = index.saturating_add(1);
        }
        Ok(())
    }

    fn add(&mut self, directory: Directory) -> Result<(), FileError> {
        self.directories.try_reserve(1).map_err(|_| FileError::OutOfMemory)?;
        self.directories.push(directory);
        Ok(())
    }

    fn scan(&mut self, survey: &mut Survey, index: u32, directory: Directory) -> Result<(), FileError> {
        let fs = self.fs;
        if directory.first != 0 && self.claim(directory.first, MOST_ENTRIES)? == 0 {
            if index == 0 {
                return Err(FileError::Damaged);
            }
            one_more(&mut self.found.directories);
            return insert(&mut survey.next, directory.place);
        }
        // What is no directory must not be taken for one: what its entries seem to lead to is others'.
        if index > 0 && !fs.has_dots(directory.first)? {
            return Err(FileError::Damaged);
        }
        let mut parts = Parts::new();
        let mut outcome = Ok(());
        fs.slots(directory.entries(), 0, &mut |seen| {
            match parts.take(seen.slot, seen.place).0 {
                Kind::End => return Visit::Enough,
                Kind::Nothing | Kind::Dots => {}
                Kind::File => outcome = self.take(survey, index, seen.slot, seen.place, &parts),
            }
            if outcome.is_ok() { Visit::More } else { Visit::Enough }
        })?;
        outcome
    }

    /// Takes the entry of a file, or of a directory.
    fn take(
        &mut self,
        survey: &mut Survey,
        index: u32,
        slot: &Slot,
        place: u64,
        parts: &Parts,
    ) -> Result<(), FileError> {
        let fs = self.fs;
        if survey.going.binary_search(&place).is_ok() {
            return self.erase_all(parts.places().iter().copied().chain([place]));
        }
        let first = slot::cluster(slot) & fs.geometry.width.cluster_mask();
        let is_directory = slot::attributes(slot) & slot::DIRECTORY != 0;
        if !fs.geometry.has(first) || is_directory && fs.first_cluster(Place::Root) == Some(first) {
            // A file's entry is put right later.
            return if is_directory { self.lose(survey, place) } else { Ok(()) };
        }
        if !is_directory && slot::size(slot) == 0 {
            return Ok(());
        }
        let key = key(first, is_directory);
        if survey.wanted.binary_search(&key).is_ok() {
            if survey.doubles.len() >= MOST_DOUBLES.saturating_mul(2) {
                return Err(FileError::Damaged);
            }
            survey.doubles.try_reserve(1).map_err(|_| FileError::OutOfMemory)?;
            survey.doubles.push(Double {
                key,
                place,
                directory: index,
                size: slot::size(slot),
                born: (u32::from(slot::half(slot, 16)) << 16 | u32::from(slot::half(slot, 14)), slot::byte(slot, 13)),
                is_whole: !parts.places().is_empty() || !slot.iter().take(8).any(|&letter| letter == b'~'),
            });
        }
        let starts = if is_directory { &mut survey.directories } else { &mut survey.files };
        if !starts.set(first) {
            insert(&mut survey.twice, key)
        } else if is_directory {
            self.add(Directory { first, above: index, place })
        } else {
            Ok(())
        }
    }

    /// A directory without clusters goes.
    fn lose(&mut self, survey: &mut Survey, place: u64) -> Result<(), FileError> {
        one_more(&mut self.found.directories);
        insert(&mut survey.next, place)
    }

    /// Of those that lead to one thing, all but one go.
    fn resolve(&mut self, survey: &mut Survey) -> Result<(), FileError> {
        for &key in &survey.wanted {
            let all = || survey.doubles.iter().filter(move |double| double.key == key);
            let first = u32::try_from(key >> 1).unwrap_or(0);
            let is_directory = key & 1 != 0;
            let mut best: Option<&Double> = None;
            for double in all() {
                let may_stay = !is_directory || !self.is_below(double.directory, first);
                if may_stay && best.is_none_or(|best| double.beats(best)) {
                    best = Some(double);
                }
            }
            let Some(best) = best else { continue };
            if is_directory && let Some(moved) = self.directories.iter_mut().find(|known| known.first == first) {
                moved.above = best.directory;
            }
            for other in all().filter(|other| other.place != best.place) {
                one_more(&mut self.found.names);
                insert(&mut survey.next, other.place)?;
            }
        }
        Ok(())
    }

    /// Whether the directory with this index is that which begins at `first`, or below it.
    fn is_below(&self, index: u32, first: u32) -> bool {
        let mut index = index;
        for _ in 0..self.directories.len() {
            let Some(directory) = self.directories.get(index as usize) else { return true };
            if directory.first == first {
                return true;
            }
            if index == 0 {
                return false;
            }
            index = directory.above;
        }
        true
    }
}
