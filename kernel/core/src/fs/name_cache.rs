//! What names stand for in a file system that has to search its directories on a disk: a cache of directory entries.
//!
//! A file system in memory needs none, for its directories are sorted. On a disk a lookup reads the directory from its
//! beginning, through the pages of the disk's cache; here the next one for the same name is a hash, a comparison and a
//! number. Names that a directory does not have are kept as well: a shell asks for each program in every directory of its
//! path, and a loader for each library.
//!
//! It holds numbers and no inodes, so nothing is kept alive by it: whoever unmounts need not empty it. It is as large as it
//! is made, and each name can be in [`WAYS`] places: the one that was not asked for since the last look at it gives way.
//!
//! **Who changes names says so**: [`forget`](NameCache::forget) after the change is on its way to the disk, before the
//! directory's lock, if it has one, is given back. A search that had begun before does not get into the cache.

use alloc::vec::Vec;

use super::path::hash;
use crate::hal::Cpu;
use crate::sync::{Rank, SpinLock};

/// In how many places a name can be.
const WAYS: usize = 4;
/// How many names there are room for.
const PLACES: usize = 512;

/// What names in directories stand for: the directory's number and a name to a file's number, if there is one.
pub(super) struct NameCache<C: Cpu> {
    names: SpinLock<Names, C>,
}

struct Names {
    /// Of [`PLACES`], in sets of [`WAYS`]; empty until the first name comes.
    places: Vec<Option<Known>>,
    /// How often something has been forgotten.
    changes: u64,
}

struct Known {
    directory: u64,
    name: Vec<u8>,
    file: Option<u64>,
    /// Whether it was asked for since somebody looked for a place.
    is_used: bool,
}

impl<C: Cpu> NameCache<C> {
    /// With no name.
    pub(super) fn new() -> Self {
        Self { names: SpinLock::new(Rank::FileObject, Names { places: Vec::new(), changes: 0 }) }
    }

    /// What `name` stands for in `directory`: what is known of it, or what `search` finds; `None` if there is no such
    /// file. Where memory is short, nothing is kept.
    ///
    /// # Errors
    ///
    /// Those of `search`.
    pub(super) fn find<E>(
        &self,
        directory: u64,
        name: &[u8],
        search: impl FnOnce() -> Result<Option<u64>, E>,
    ) -> Result<Option<u64>, E> {
        let changes = {
            let mut names = self.names.lock();
            if let Some(known) = names.set(directory, name).iter_mut().flatten().find(|known| known.is(directory, name))
            {
                known.is_used = true;
                return Ok(known.file);
            }
            names.changes
        };
        let file = search()?;
        self.keep(changes, Known { directory, name: Vec::new(), file, is_used: false }, name);
        Ok(file)
    }

    /// Names in `directory` have changed.
    pub(super) fn forget(&self, directory: u64) {
        let mut names = self.names.lock();
        names.changes = names.changes.wrapping_add(1);
        for place in &mut names.places {
            if place.as_ref().is_some_and(|known| known.directory == directory) {
                *place = None;
            }
        }
    }

    /// All names may have changed.
    pub(super) fn forget_all(&self) {
        let mut names = self.names.lock();
        names.changes = names.changes.wrapping_add(1);
        names.places.fill_with(|| None);
    }

    /// Keeps what a search found, unless there were changes since it began.
    fn keep(&self, changes: u64, mut known: Known, name: &[u8]) {
        if known.name.try_reserve_exact(name.len()).is_err() {
            return;
        }
        known.name.extend_from_slice(name);
        let mut names = self.names.lock();
        if names.changes != changes || !names.make_room() {
            return;
        }
        let set = names.set(known.directory, name);
        let place = set
            .iter()
            .position(|place| place.as_ref().is_some_and(|other| other.is(known.directory, name)))
            .or_else(|| set.iter().position(|place| place.as_ref().is_none_or(|other| !other.is_used)));
        if place.is_none() {
            set.iter_mut().flatten().for_each(|other| other.is_used = false);
        }
        if let Some(place) = set.get_mut(place.unwrap_or(0)) {
            *place = Some(known);
        }
    }
}

impl Names {
    fn make_room(&mut self) -> bool {
        if self.places.is_empty() && self.places.try_reserve_exact(PLACES).is_ok() {
            self.places.resize_with(PLACES, || None);
        }
        !self.places.is_empty()
    }

    /// The places where a name can be.
    fn set(&mut self, directory: u64, name: &[u8]) -> &mut [Option<Known>] {
        /// The golden ratio, of 32 bits: neighbours are far from each other.
        const SPREAD: u64 = 0x9e37_79b9;
        let hash = u64::from(hash(name)) ^ (directory.wrapping_mul(SPREAD) & u64::from(u32::MAX));
        let (sets, _) = self.places.as_chunks_mut::<WAYS>();
        let count = sets.len();
        let index = usize::try_from(hash).unwrap_or(0).checked_rem(count).unwrap_or(0);
        sets.get_mut(index).map_or(&mut [], |set| set)
    }
}

impl Known {
    fn is(&self, directory: u64, name: &[u8]) -> bool {
        self.directory == directory && self.name == name
    }
}
