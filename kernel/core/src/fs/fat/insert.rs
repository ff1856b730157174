//! Entries, put into directories and taken out.

use heapless::Vec;

use super::Fat;
use super::alloc::Changing;
use super::directory::{Entry, MOST_ENTRIES, Place};
use super::name::same;
use super::new_name::{Fit, MOST_SLOTS, NewName, Short, TAILS, tail_of};
use super::slot::{self, Slot};
use crate::fs::error::FileError;
use crate::fs::inode::Visit;
use crate::hal::Cpu;

/// How many short names with sums are tried.
const SUMS: u32 = 64;
/// The places of a file's entries, and of the one behind them.
type Places = Vec<u64, { MOST_SLOTS + 1 }>;

/// What a directory has for a new name.
struct Survey {
    /// The index of the first of enough free entries in a row; or of those at its end, which are too few.
    free: u64,
    /// How many those are.
    count: u64,
    /// The index of the entry that ends it.
    end: Option<u64>,
    /// How many entries there is room for.
    room: u64,
    /// Whether the short name is taken.
    taken: bool,
    /// Which digits behind a `~` are: one bit each.
    tails: u16,
}

/// Where a new entry is going to be.
pub(super) struct Reserved {
    places: Places,
    short: Short,
    /// Whether what is behind it ends the directory.
    ends: bool,
}

impl<C: Cpu> Fat<C> {
    /// The file of this name, in whichever case, or by its short name.
    pub(super) fn find(&self, directory: Place, name: &[u8]) -> Result<Option<Entry>, FileError> {
        let mut found = None;
        self.entries(directory, 0, &mut |entry| {
            if same(&entry.name, name) || entry.short.as_ref().is_some_and(|short| same(short, name)) {
                found = Some(entry.clone());
                return Visit::Enough;
            }
            Visit::More
        })?;
        Ok(found)
    }

    /// Whether nothing but `.` and `..` is in a directory.
    pub(super) fn is_empty(&self, directory: Place) -> Result<bool, FileError> {
        let mut empty = true;
        self.entries(directory, 0, &mut |_| {
            empty = false;
            Visit::Enough
        })?;
        Ok(empty)
    }

    /// Makes room for a file of this name, which is not taken: what is left to do cannot fail. Between that nothing is
    /// allocated.
    ///
    /// # Errors
    ///
    /// [`NoSpace`](FileError::NoSpace), [`OutOfMemory`](FileError::OutOfMemory), [`Io`](FileError::Io)
    pub(super) fn reserve(
        &self,
        changing: &mut Changing,
        directory: Place,
        name: &NewName,
    ) -> Result<Reserved, FileError> {
        let was_here = self.pending.lock().gone.iter().any(|short| name.may_have(short));
        if was_here {
            self.commit(changing)?;
        }
        let survey = self.survey(directory, name)?;
        let short = self.choose_short(directory, name, &survey)?;
        let wanted = name.slots();
        let missing = wanted.saturating_sub(survey.count);
        if missing > 0 {
            if survey.room.saturating_add(missing) > MOST_ENTRIES {
                return Err(FileError::NoSpace);
            }
            self.extend(changing, directory, missing)?;
        }
        // One more than the file's, if there is one.
        let wanted = usize::try_from(wanted).unwrap_or(0);
        let mut places = Places::new();
        self.slots(directory, survey.free, &mut |seen| {
            let _fits = places.push(seen.place);
            if places.len() > wanted { Visit::Enough } else { Visit::More }
        })?;
        if places.len() < wanted {
            return Err(FileError::Io);
        }
        let end = survey.free.saturating_add(wanted as u64);
        // What is behind the end of a directory may be anything.
        let ends = survey.end.is_some_and(|at| at < end) && places.len() > wanted;
        if !ends {
            places.truncate(wanted);
        }
        places.iter().try_for_each(|place| self.hold_slot(*place))?;
        Ok(Reserved { places, short, ends })
    }

    /// Puts a file's entry where room was made; `make` is given its short name. Says where that is.
    pub(super) fn insert(&self, reserved: Reserved, name: &NewName, make: impl FnOnce(&Short) -> Slot) -> u64 {
        let Reserved { mut places, short, ends } = reserved;
        if ends && let Some(end) = places.pop() {
            self.put_slot(end, &[0; 32]);
        }
        let own = places.pop().unwrap_or_default();
        let parts = places.len() as u64;
        for (place, before) in places.iter().zip((1..=parts).rev()) {
            self.put_slot(*place, &name.part(before, &short));
        }
        self.put_slot(own, &make(&short));
        own
    }

    /// The places of a file's entries, its long name's among them, to be taken away.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`](FileError::OutOfMemory), [`Io`](FileError::Io)
    pub(super) fn places_of(&self, directory: Place, entry: &Entry) -> Result<Vec<u64, MOST_SLOTS>, FileError> {
        let first = entry.next.saturating_sub(1).saturating_sub(entry.parts);
        let mut places = Vec::new();
        self.slots(directory, first, &mut |seen| {
            let _fits = places.push(seen.place);
            if seen.place == entry.place { Visit::Enough } else { Visit::More }
        })?;
        places.iter().try_for_each(|place| self.hold_slot(*place))?;
        Ok(places)
    }

    /// Takes entries away whose blocks wait.
    pub(super) fn erase(&self, places: &[u64]) {
        for place in places {
            if let Ok(slot) = self.slot(*place) {
                self.note_gone(&slot);
                self.put_slot(*place, &slot::removed(&slot));
            }
        }
    }

    /// The same; but on the disk they go after all else that waits.
    pub(super) fn erase_last(&self, places: &[u64]) {
        for place in places {
            if let Ok(slot) = self.slot(*place) {
                self.note_gone(&slot);
                self.pending.lock().held.insert(*place, slot);
                self.put_slot(*place, &slot::removed(&slot));
            }
        }
    }

    fn note_gone(&self, slot: &Slot) {
        if let Some(short) = slot.first_chunk()
            && slot::attributes(slot) & slot::VOLUME_LABEL == 0
        {
            let _fits = self.pending.lock().gone.push(*short);
        }
    }

    fn survey(&self, directory: Place, name: &NewName) -> Result<Survey, FileError> {
        let wanted = name.slots();
        let mut survey = Survey { free: 0, count: 0, end: None, room: 0, taken: false, tails: 0 };
        self.slots(directory, 0, &mut |seen| {
            survey.room = seen.index.saturating_add(1);
            if slot::is_end(seen.slot) && survey.end.is_none() {
                survey.end = Some(seen.index);
            }
            let is_free = survey.end.is_some() || slot::is_free(seen.slot) && !self.is_held(seen.place);
            match (is_free, survey.count >= wanted) {
                (_, true) => {}
                (true, false) => {
                    if survey.count == 0 {
                        survey.free = seen.index;
                    }
                    survey.count = survey.count.saturating_add(1);
                }
                (false, false) => survey.count = 0,
            }
            if survey.end.is_some() {
                return if survey.count >= wanted { Visit::Enough } else { Visit::More };
            }
            if let Some(short) = seen.slot.first_chunk::<11>()
                && !slot::is_free(seen.slot)
                && slot::attributes(seen.slot) & slot::VOLUME_LABEL == 0
            {
                survey.taken |= short == name.short();
                survey.tails |= tail_of(short, name).map_or(0, |digit| 1 << digit);
            }
            Visit::More
        })?;
        if survey.count == 0 {
            survey.free = survey.room;
        }
        Ok(survey)
    }

    fn is_held(&self, place: u64) -> bool {
        self.pending.lock().held.contains_key(&place)
    }

    fn choose_short(&self, directory: Place, name: &NewName, survey: &Survey) -> Result<Short, FileError> {
        if name.fit() != Fit::Lossy && !survey.taken {
            return Ok(*name.short());
        }
        if let Some(digit) = (1..=TAILS).find(|digit| survey.tails & 1 << digit == 0) {
            return Ok(name.with_tail(digit));
        }
        for attempt in 0..SUMS {
            let short = name.with_sum(attempt);
            if !self.has_short(directory, &short)? {
                return Ok(short);
            }
        }
        Err(FileError::NoSpace)
    }

    fn has_short(&self, directory: Place, short: &Short) -> Result<bool, FileError> {
        let mut found = false;
        self.slots(directory, 0, &mut |seen| {
            if slot::is_end(seen.slot) {
                return Visit::Enough;
            }
            found |= seen.slot.starts_with(short) && slot::attributes(seen.slot) & slot::VOLUME_LABEL == 0;
            if found { Visit::Enough } else { Visit::More }
        })?;
        Ok(found)
    }

    /// Makes room for `missing` entries more behind those of a directory.
    fn extend(&self, changing: &mut Changing, directory: Place, missing: u64) -> Result<(), FileError> {
        let first = self.first_cluster(directory).ok_or(FileError::NoSpace)?;
        let per_cluster = u64::from(self.geometry.cluster_bytes / 32).max(1);
        let mut last = self.last_of(first)?;
        for _ in 0..missing.div_ceil(per_cluster) {
            // Zeroes are there before it is part of the directory: the table waits, contents do not.
            let next = self.allocate(changing, Some(last))?;
            let linked = self.clear_cluster(next).and_then(|()| self.link(last, next));
            linked.inspect_err(|_| self.unallocate(changing, next))?;
            last = next;
        }
        Ok(())
    }

    /// Fills a cluster with zeroes.
    pub(super) fn clear_cluster(&self, cluster: u32) -> Result<(), FileError> {
        const ZEROES: &[u8; 4096] = &[0; 4096];
        let start = self.geometry.place(cluster);
        let mut done = 0;
        let bytes = u64::from(self.geometry.cluster_bytes);
        while done < bytes {
            let count = bytes.saturating_sub(done).min(ZEROES.len() as u64);
            let zeroes = ZEROES.get(..usize::try_from(count).unwrap_or(0)).unwrap_or_default();
            self.volume.write_at(start.saturating_add(done), zeroes)?;
            done = done.saturating_add(count);
        }
        Ok(())
    }
}
