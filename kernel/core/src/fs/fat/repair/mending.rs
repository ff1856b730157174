//! What files and directories say of their clusters, once each cluster is to have one owner.

use super::super::Fat;
use super::super::directory::Place;
use super::super::geometry::Root;
use super::super::slot::{self, SLOT_BYTES, Slot};
use super::super::tree::{DOT, DOT_DOT};
use super::parts::{Kind, Parts};
use super::{Directory, Repair, one_more};
use crate::fs::error::FileError;
use crate::fs::inode::Visit;
use crate::hal::Cpu;

const SLOT_LONG: u64 = SLOT_BYTES as u64;

impl Directory {
    /// Where its entries are.
    pub(super) const fn entries(&self) -> Place {
        if self.place == 0 { Place::Root } else { Place::Chain(self.first) }
    }
}

impl<C: Cpu> Fat<C> {
    /// Whether a directory begins as one does that is not the root.
    pub(super) fn has_dots(&self, first: u32) -> Result<bool, FileError> {
        let place = self.geometry.place(first) / SLOT_LONG;
        let (own, above) = (self.slot(place)?, self.slot(place.saturating_add(1))?);
        Ok(own.starts_with(&DOT) && above.starts_with(&DOT_DOT))
    }
}

impl<C: Cpu> Repair<'_, C> {
    /// Goes through all directories that the survey has found.
    pub(super) fn mend(&mut self) -> Result<(), FileError> {
        let mut index = 0;
        while let Some(directory) = self.directories.get(index).copied() {
            if index > 0 {
                self.mend_dots(directory)?;
            }
            self.mend_entries(directory)?;
            index = index.saturating_add(1);
        }
        Ok(())
    }

    /// `.` and `..` lead where they should.
    fn mend_dots(&mut self, directory: Directory) -> Result<(), FileError> {
        let fs = self.fs;
        let above = self.directories.get(directory.above as usize).map_or(0, |above| match fs.geometry.root {
            // That of the root is none, wherever it is.
            Root::Chain(root) if root == above.first => 0,
            _ => above.first,
        });
        let place = fs.geometry.place(directory.first) / SLOT_LONG;
        for (place, cluster) in [(place, directory.first), (place.saturating_add(1), above)] {
            let mut slot = fs.slot(place)?;
            if slot::cluster(&slot) & fs.geometry.width.cluster_mask() != cluster {
                one_more(&mut self.found.dots);
                slot::set_cluster(&mut slot, cluster);
                self.put(place, &slot)?;
            }
        }
        Ok(())
    }

    fn mend_entries(&mut self, directory: Directory) -> Result<(), FileError> {
        let fs = self.fs;
        let mut parts = Parts::new();
        let mut outcome = Ok(());
        fs.slots(directory.entries(), 0, &mut |seen| {
            let (kind, others) = parts.take(seen.slot, seen.place);
            outcome = self.erase_parts(&others);
            if kind == Kind::File && outcome.is_ok() {
                outcome = self.mend_entry(seen.slot, seen.place);
            }
            if kind == Kind::End || outcome.is_err() { Visit::Enough } else { Visit::More }
        })?;
        outcome?;
        self.erase_parts(&parts.left())
    }

    /// What an entry says of its clusters.
    fn mend_entry(&mut self, slot: &Slot, place: u64) -> Result<(), FileError> {
        let fs = self.fs;
        let mut right = *slot;
        if slot::attributes(slot) & slot::DIRECTORY != 0 {
            if slot::size(slot) != 0 {
                one_more(&mut self.found.dots);
                slot::set_size(&mut right, 0);
            }
        } else {
            let first = slot::cluster(slot) & fs.geometry.width.cluster_mask();
            let size = slot::size(slot);
            let wanted = fs.geometry.clusters_of(size.into());
            let clusters = self.claim(first, wanted)?;
            if clusters < wanted {
                one_more(&mut self.found.shortened);
                let bytes = clusters.saturating_mul(fs.geometry.cluster_bytes.into());
                slot::set_size(&mut right, u32::try_from(bytes).unwrap_or(size).min(size));
            } else if size == 0 && first != 0 {
                one_more(&mut self.found.chains);
            }
            if clusters == 0 && first != 0 {
                slot::set_cluster(&mut right, 0);
            }
        }
        if right == *slot { Ok(()) } else { self.put(place, &right) }
    }

    fn erase_parts(&mut self, places: &[u64]) -> Result<(), FileError> {
        self.found.parts = self.found.parts.saturating_add(u32::try_from(places.len()).unwrap_or(0));
        self.erase_all(places.iter().copied())
    }

    /// Takes entries away.
    pub(super) fn erase_all(&self, places: impl Iterator<Item = u64>) -> Result<(), FileError> {
        for place in places {
            self.put(place, &slot::removed(&self.fs.slot(place)?))?;
        }
        Ok(())
    }

    fn put(&self, place: u64, slot: &Slot) -> Result<(), FileError> {
        self.fs.settle_some()?;
        self.fs.hold_slot(place)?;
        self.fs.put_slot(place, slot);
        Ok(())
    }
}
