//! rename(2).
//!
//! What gets a new name gets a new entry, or, where the name is taken, the entry that has it: so the old file of that name is
//! there until the new one is. The entry that it had goes from the disk after that, unless both are in one block, which is
//! written whole. Two files do not exchange their names: there would be a moment with one of them under both.

use ::alloc::sync::Arc;

use super::alloc::Changing;
use super::new_name::{NewName, trimmed};
use super::node::Node;
use super::slot::{self, Slot};
use crate::fs::block::BLOCK_SIZE;
use crate::fs::error::FileError;
use crate::fs::inode::{Fate, Inode, Renaming};
use crate::hal::Cpu;

const SLOT_LONG: u64 = slot::SLOT_BYTES as u64;
const SLOTS_PER_BLOCK: u64 = (BLOCK_SIZE / slot::SLOT_BYTES) as u64;

/// Who takes part. Both directories' entries are locked.
struct Cast<'a, C: Cpu> {
    from: &'a Arc<Node<C>>,
    to: &'a Arc<Node<C>>,
    what: Arc<Node<C>>,
    there: Option<Arc<Node<C>>>,
}

impl<C: Cpu> Node<C> {
    pub(super) fn rename_entry(self: Arc<Self>, renaming: &Renaming<'_>) -> Result<(), FileError> {
        let own = |inode: &Arc<dyn Inode>| self.beside(inode).ok_or(FileError::CrossDevice);
        let (to, what, there) = (own(renaming.to)?, own(renaming.what)?, renaming.there.map(own).transpose()?);
        self.fs.check_writable()?;
        if renaming.fate == Fate::Exchanged {
            return Err(FileError::Invalid);
        }
        let mut changing = self.fs.change()?;
        let cast = Cast { from: &self, to: &to, what, there };
        cast.check_ways()?;
        let _from = self.chain.lock();
        let _to = if cast.stays() { None } else { Some(to.chain.lock()) };
        let _there = match &cast.there {
            Some(there) if there.is_directory => Some(there.chain.lock()),
            _ => None,
        };
        match &cast.there {
            Some(there) => cast.replace(renaming, there),
            None => cast.add(renaming, &mut changing),
        }
    }

    /// Whether `other` is this one, or below it.
    fn is_above(&self, other: &Arc<Self>) -> bool {
        let mut at = Some(Arc::clone(other));
        while let Some(node) = at {
            if core::ptr::eq(&*node, self) {
                return true;
            }
            at = node.above();
        }
        false
    }
}

impl<C: Cpu> Cast<'_, C> {
    /// Whether both names are in one directory.
    fn stays(&self) -> bool {
        Arc::ptr_eq(self.from, self.to)
    }

    /// Nothing comes below itself, or takes the place of what it is in.
    fn check_ways(&self) -> Result<(), FileError> {
        if self.what.is_directory && self.what.is_above(self.to) {
            return Err(FileError::Invalid);
        }
        match &self.there {
            Some(there) if there.is_above(self.from) => Err(FileError::NotEmpty),
            _ => Ok(()),
        }
    }

    /// The name is not taken.
    fn add(&self, renaming: &Renaming<'_>, changing: &mut Changing) -> Result<(), FileError> {
        let fs = &self.from.fs;
        let directory = self.to.living_entries()?;
        let name = NewName::parse(renaming.new_name)?;
        if fs.find(directory, trimmed(renaming.new_name))?.is_some() {
            return Err(FileError::Stale);
        }
        // What waits may be written here, so this is first.
        let reserved = fs.reserve(changing, directory, &name)?;
        let old = self.old_places(renaming)?;
        let way_up = self.way_up()?;
        let slot = self.old_slot(&old)?;
        let now = fs.now();
        let place = fs.insert(reserved, &name, |short| slot::renamed(&slot, &slot::new(short, 0, 0, now)));
        self.finish(&old, place, way_up);
        Ok(())
    }

    /// It is that of `there`.
    fn replace(&self, renaming: &Renaming<'_>, there: &Arc<Node<C>>) -> Result<(), FileError> {
        let fs = &self.from.fs;
        let entry = self.to.entry_of(renaming.new_name, there)?;
        if there.is_directory && !fs.is_empty(there.entries()?)? {
            return Err(FileError::NotEmpty);
        }
        let old = self.old_places(renaming)?;
        let way_up = self.way_up()?;
        fs.hold_slot(entry.place)?;
        let (slot, named) = (self.old_slot(&old)?, fs.slot(entry.place)?);
        fs.freed.lock().expect()?;
        there.move_to(None, None);
        fs.put_slot(entry.place, &slot::renamed(&slot, &named));
        self.finish(&old, entry.place, way_up);
        Ok(())
    }

    /// Where the entries are that go.
    fn old_places(&self, renaming: &Renaming<'_>) -> Result<heapless::Vec<u64, 21>, FileError> {
        let entry = self.from.entry_of(renaming.name, &self.what)?;
        self.from.fs.places_of(self.from.living_entries()?, &entry)
    }

    fn old_slot(&self, old: &[u64]) -> Result<Slot, FileError> {
        self.from.fs.slot(*old.last().ok_or(FileError::Io)?)
    }

    /// Where a directory that goes elsewhere has its `..`, if it has one.
    fn way_up(&self) -> Result<Option<u64>, FileError> {
        if self.stays() || !self.what.is_directory {
            return Ok(None);
        }
        let fs = &self.from.fs;
        let first = self.what.state.lock().first_cluster;
        if !fs.geometry.has(first) {
            return Err(FileError::Io);
        }
        let place = (fs.geometry.place(first) / SLOT_LONG).saturating_add(1);
        fs.hold_slot(place)?;
        Ok(fs.slot(place)?.starts_with(b".. ").then_some(place))
    }

    /// The file has its new entry, at `place`: takes the old one away, and tells all who must know.
    fn finish(&self, old: &[u64], place: u64, way_up: Option<u64>) {
        let fs = &self.from.fs;
        if old.iter().all(|old| old / SLOTS_PER_BLOCK == place / SLOTS_PER_BLOCK) {
            fs.erase(old);
        } else {
            fs.erase_last(old);
        }
        if let Some(at) = way_up
            && let Ok(mut slot) = fs.slot(at)
        {
            slot::set_cluster(&mut slot, self.to.number_for_children());
            fs.put_slot(at, &slot);
        }
        self.what.move_to(Some(self.to), Some(place));
        for directory in [Some(self.from), Some(self.to), self.there.as_ref()].into_iter().flatten() {
            if directory.is_directory {
                directory.forget_names();
                directory.forget_directories();
            }
        }
        self.from.touch();
        if !self.stays() {
            self.to.touch();
        }
    }
}
