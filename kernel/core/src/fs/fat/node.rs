//! Files and directories.

mod inode;

use ::alloc::collections::BTreeMap;
use ::alloc::sync::{Arc, Weak};
use core::any::Any;

use super::Fat;
use super::alloc::Loose;
use super::contents::Chain;
use super::directory::Place;
use super::slot;
use super::time::Stamp;
use crate::addr::PhysFrame;
use crate::fs::error::FileError;
use crate::fs::inode::{Inode, Visit};
use crate::fs::metadata::{FileKind, Timestamp};
use crate::fs::offset::Parked;
use crate::fs::write_count::WriteCount;
use crate::hal::Cpu;
use crate::sync::{Rank, SpinLock};

/// The number of the root. Others' are places on the volume, and behind it.
const ROOT: u64 = 1;

/// A file or a directory.
pub(super) struct Node<C: Cpu> {
    pub(super) fs: Arc<Fat<C>>,
    itself: Weak<Self>,
    number: u64,
    pub(super) is_directory: bool,
    pub(super) state: SpinLock<State<C>, C>,
    /// Of a file: held by who changes contents or length.
    pub(super) writing: Parked<()>,
    /// Held by who looks at the clusters of a file, or at the entries of a directory.
    pub(super) chain: Parked<Chain>,
    writes: WriteCount,
    /// Pages that programs have mapped; they stay as long as the node.
    pub(super) mapped: SpinLock<BTreeMap<u64, PhysFrame>, C>,
    /// The number by which they are known.
    pub(super) object: u64,
}

/// What of a node changes.
pub(super) struct State<C: Cpu> {
    /// Where its entry is; none for the root, and for what was removed. Changes with `changing` and the directory's `chain`
    /// held.
    pub(super) place: Option<u64>,
    /// Whether it had a name and lost it.
    pub(super) is_removed: bool,
    parent: Option<Arc<Node<C>>>,
    /// Changes with `chain` held.
    pub(super) first_cluster: u32,
    /// The same.
    pub(super) size: u32,
    permissions: u16,
    born: Timestamp,
    accessed: Timestamp,
    modified: Timestamp,
    /// How many directories are in this one, once they were counted. Changes with `chain` held.
    directories: Option<u32>,
}

impl<C: Cpu> Node<C> {
    pub(super) fn root(fs: &Arc<Fat<C>>) -> Arc<Self> {
        let none = Timestamp::default();
        let state = State {
            place: None,
            is_removed: false,
            parent: None,
            first_cluster: 0,
            size: 0,
            permissions: fs.options.permissions(true, false),
            born: none,
            accessed: none,
            modified: none,
            directories: None,
        };
        Self::with(fs, ROOT, true, state)
    }

    fn with(fs: &Arc<Fat<C>>, number: u64, is_directory: bool, state: State<C>) -> Arc<Self> {
        Arc::new_cyclic(|itself| Self {
            fs: Arc::clone(fs),
            itself: Weak::clone(itself),
            number,
            is_directory,
            chain: Parked::new(fs.needs.parking, Chain::new(state.first_cluster)),
            state: SpinLock::new(Rank::FileObject, state),
            writing: Parked::new(fs.needs.parking, ()),
            writes: WriteCount::new(),
            mapped: SpinLock::new(Rank::SharedMemory, BTreeMap::new()),
            object: fs.new_object(),
        })
    }

    /// The node of the entry at this place in this directory, whose `chain` the caller has.
    pub(super) fn child(&self, place: u64) -> Result<Arc<Self>, FileError> {
        // In a statement of its own: the lock is given back behind it.
        let known = self.fs.nodes.lock().get(place);
        if let Some(node) = known {
            return Ok(node);
        }
        let entry = self.fs.entry_at(place)?;
        let number = self.fs.nodes.lock().number(place);
        if !self.fs.needs.pages.has_room() {
            self.fs.nodes.lock().remove(None, number, &Weak::new());
            return Err(FileError::OutOfMemory);
        }
        let state = State {
            place: Some(place),
            is_removed: false,
            parent: self.itself.upgrade(),
            first_cluster: entry.first_cluster,
            size: entry.size,
            permissions: self.fs.options.permissions(entry.is_directory, entry.is_read_only),
            born: entry.born,
            accessed: entry.accessed,
            modified: entry.modified,
            directories: None,
        };
        let node = Self::with(&self.fs, number, entry.is_directory, state);
        self.fs.nodes.lock().insert(place, &node);
        Ok(node)
    }

    /// What a directory's names are kept under: its first cluster, which no other has.
    pub(super) fn key(&self) -> u64 {
        if self.number == ROOT { u64::MAX } else { self.state.lock().first_cluster.into() }
    }

    /// Names in this directory have changed.
    pub(super) fn forget_names(&self) {
        self.fs.names.forget(self.key());
    }

    /// Directories have come to this one, or have left it.
    pub(super) fn forget_directories(&self) {
        self.state.lock().directories = None;
    }

    /// How many directories are in this one: programs go by it to see how many are left to look into.
    ///
    /// # Errors
    ///
    /// [`Io`](FileError::Io)
    fn count_directories(&self) -> Result<u32, FileError> {
        let entries = self.entries()?;
        let _entries = self.chain.lock();
        let (counted, is_removed) = {
            let state = self.state.lock();
            (state.directories, state.is_removed)
        };
        if let Some(count) = counted {
            return Ok(count);
        }
        let mut count = 0_u32;
        if !is_removed {
            self.fs.entries(entries, 0, &mut |entry| {
                count = count.saturating_add(entry.is_directory.into());
                Visit::More
            })?;
        }
        self.state.lock().directories = Some(count);
        Ok(count)
    }

    /// The node that an inode is, if it is one of this file system.
    pub(super) fn beside(&self, inode: &Arc<dyn Inode>) -> Option<Arc<Self>> {
        let any: Arc<dyn Any + Send + Sync> = Arc::clone(inode) as Arc<dyn Any + Send + Sync>;
        any.downcast::<Self>().ok().filter(|node| Arc::ptr_eq(&node.fs, &self.fs))
    }

    const fn kind(&self) -> FileKind {
        if self.is_directory { FileKind::Directory } else { FileKind::Regular }
    }

    /// Where its entries are.
    pub(super) fn entries(&self) -> Result<Place, FileError> {
        if !self.is_directory {
            return Err(FileError::NotDirectory);
        }
        Ok(if self.number == ROOT { Place::Root } else { Place::Chain(self.state.lock().first_cluster) })
    }

    /// The same, of a directory that has not been removed.
    pub(super) fn living_entries(&self) -> Result<Place, FileError> {
        let entries = self.entries()?;
        if self.state.lock().is_removed { Err(FileError::NotFound) } else { Ok(entries) }
    }

    pub(super) fn size(&self) -> u32 {
        self.state.lock().size
    }

    pub(super) fn place(&self) -> Option<u64> {
        self.state.lock().place
    }

    /// The directory above, in this file system.
    pub(super) fn above(&self) -> Option<Arc<Self>> {
        self.state.lock().parent.clone()
    }

    /// It is in `parent` from now on, or nowhere; its entry at `to`. The caller may change the file system.
    pub(super) fn move_to(&self, parent: Option<&Arc<Self>>, to: Option<u64>) {
        let parent = parent.cloned();
        let (before, from) = {
            let mut state = self.state.lock();
            state.is_removed = parent.is_none();
            (core::mem::replace(&mut state.parent, parent), core::mem::replace(&mut state.place, to))
        };
        self.fs.nodes.lock().relocate(from, to, self.number, &self.itself);
        drop(before);
    }

    /// Writes what changed about it into its entry, if it has one, by `change`. The caller may change the file system.
    pub(super) fn update_entry(&self, change: impl FnOnce(&mut slot::Slot)) -> Result<(), FileError> {
        let Some(place) = self.place() else { return Ok(()) };
        self.fs.hold_slot(place)?;
        let mut slot = self.fs.slot(place)?;
        change(&mut slot);
        self.fs.put_slot(place, &slot);
        Ok(())
    }

    /// Its contents changed now. Nothing is lost where that cannot be noted.
    pub(super) fn touch(&self) {
        let now = self.fs.now();
        self.state.lock().modified = Stamp::of(now).modified();
        let _noted = self.update_entry(|slot| slot::set_modified(slot, now));
    }

    /// The same for a file, whose length and clusters may have changed, too.
    pub(super) fn note_contents(&self) -> Result<(), FileError> {
        let now = self.fs.now();
        let (first_cluster, size) = {
            let mut state = self.state.lock();
            state.modified = Stamp::of(now).modified();
            (state.first_cluster, state.size)
        };
        self.update_entry(|slot| {
            slot::set_modified(slot, now);
            slot::set_attributes(slot, slot::attributes(slot) | slot::ARCHIVE);
            slot::set_cluster(slot, first_cluster);
            slot::set_size(slot, size);
        })
    }
}

impl<C: Cpu> Drop for Node<C> {
    fn drop(&mut self) {
        for frame in self.mapped.get_mut().values() {
            self.fs.needs.pages.release(*frame);
        }
        let state = self.state.get_mut();
        let (place, removed, first) = (state.place, state.is_removed, state.first_cluster);
        self.fs.nodes.lock().remove(place, self.number, &self.itself);
        if removed {
            let mut freed = self.fs.freed.lock();
            if self.fs.geometry.has(first) {
                freed.push(Loose::Chain(first))
            } else {
                freed.forget()
            }
            drop(freed);
            (self.fs.needs.dirtied)();
        }
        // A way up may be long, so it is let go by a loop.
        let mut above = self.state.get_mut().parent.take();
        while let Some(mut node) = above.and_then(Arc::into_inner) {
            above = node.state.get_mut().parent.take();
        }
    }
}
