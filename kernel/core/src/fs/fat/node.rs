//! Files and directories, as the walk over names sees them.

use ::alloc::collections::BTreeMap;
use ::alloc::sync::{Arc, Weak};
use core::any::Any;

use super::Fat;
use super::alloc::Loose;
use super::contents::Chain;
use super::directory::{Entry, Place};
use super::new_name::trimmed;
use super::slot;
use super::time::Stamp;
use crate::addr::PhysFrame;
use crate::fs::error::FileError;
use crate::fs::flags::OpenFlags;
use crate::fs::inode::{Changeable, DirectoryEntry, Inode, Making, Renaming, Visit};
use crate::fs::metadata::{FileId, FileKind, FileSystemStatus, Metadata, Protection, Timestamp};
use crate::fs::mount::MountFlags;
use crate::fs::offset::Parked;
use crate::fs::operations::FileOperations;
use crate::fs::write_count::WriteCount;
use crate::hal::Cpu;
use crate::sync::atomic::Ordering;
use crate::sync::{Rank, SpinLock};

/// The number of the root. Others' are places on the volume, and behind it.
const ROOT: u64 = 1;
/// Cookies of `.` and `..`.
const DOTS: u64 = 2;
const ALL: u16 = 0o755;
const READ_ONLY: u16 = 0o555;
const SET_ID_AND_STICKY: u16 = 0o7000;

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
            permissions: ALL,
            born: none,
            accessed: none,
            modified: none,
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
            permissions: if entry.is_read_only && !entry.is_directory { READ_ONLY } else { ALL },
            born: entry.born,
            accessed: entry.accessed,
            modified: entry.modified,
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

    /// Permissions as Linux's vfat keeps them: all may read and execute; all that may write do, or nobody, and of a directory
    /// somebody always does. `None` for what cannot be kept.
    const fn kept_permissions(&self, wanted: u16) -> Option<u16> {
        const WRITE_MASK: u16 = 0o200;
        let wanted = wanted & ALL;
        if wanted & READ_ONLY != READ_ONLY || self.is_directory && wanted & WRITE_MASK == 0 {
            None
        } else {
            Some(wanted)
        }
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

impl<C: Cpu> Inode for Node<C> {
    fn mount_flags(&self) -> MountFlags {
        self.fs.flags()
    }

    fn id(&self) -> FileId {
        FileId { device: self.fs.device, inode: self.number }
    }

    fn protection(&self) -> Protection {
        let permissions = self.state.lock().permissions;
        Protection { kind: self.kind(), permissions, uid: 0, gid: 0 }
    }

    fn metadata(&self) -> Metadata {
        let cluster = self.fs.geometry.cluster_bytes;
        let protection = self.protection();
        let state = self.state.lock();
        let links = match (state.is_removed, self.is_directory) {
            (true, _) => 0,
            (false, true) => 2,
            (false, false) => 1,
        };
        let size = u64::from(if self.is_directory { cluster } else { state.size });
        Metadata {
            links,
            size,
            block_size: cluster,
            blocks: size.checked_next_multiple_of(cluster.into()).unwrap_or(size) / 512,
            accessed: state.accessed,
            born: Some(state.born),
            ..Metadata::without_contents(self.id(), protection, state.modified)
        }
    }

    fn is_read_only(&self) -> bool {
        self.fs.flags().contains(MountFlags::READ_ONLY)
    }

    fn begin_writing(&self) -> Result<(), FileError> {
        self.writes.begin_writing()?;
        self.fs.writers.fetch_add(1, Ordering::SeqCst);
        self.fs.check_writable().inspect_err(|_| self.end_writing())
    }

    fn end_writing(&self) {
        self.writes.end_writing();
        self.fs.writers.fetch_sub(1, Ordering::SeqCst);
    }

    fn deny_writing(&self) -> Result<(), FileError> {
        self.writes.deny_writing()
    }

    fn allow_writing(&self) {
        self.writes.allow_writing();
    }

    fn open(self: Arc<Self>, _flags: OpenFlags) -> Result<Arc<dyn FileOperations>, FileError> {
        Ok(self)
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>, FileError> {
        let _entries = self.chain.lock();
        let directory = self.living_entries()?;
        let search = || Ok::<_, FileError>(self.fs.find(directory, trimmed(name))?.map(|entry| entry.place));
        let place = self.fs.names.find(self.key(), name, search)?.ok_or(FileError::NotFound)?;
        let node = self.child(place)?;
        Ok(node)
    }

    fn parent(&self) -> Option<Arc<dyn Inode>> {
        match self.above() {
            Some(parent) => Some(parent),
            None if self.number != ROOT => None,
            None => self.fs.covered.get()?.parent(),
        }
    }

    fn number_above(&self) -> u64 {
        let covered = if self.number == ROOT { self.fs.covered.get() } else { None };
        covered.map_or(self.number, |covered| covered.number_above())
    }

    fn read_directory(&self, from: u64, visit: &mut dyn FnMut(DirectoryEntry<'_>) -> Visit) -> Result<(), FileError> {
        let entries = self.entries()?;
        let above = self.parent().map_or(self.number, |parent| parent.id().inode);
        let dots: [(u64, u64, &[u8]); 2] = [(0, self.number, b"."), (1, above, b"..")];
        for (cookie, inode, name) in dots.into_iter().filter(|(cookie, ..)| *cookie >= from) {
            let next = cookie.saturating_add(1);
            if visit(DirectoryEntry { inode, kind: FileKind::Directory, name, next }) == Visit::Enough {
                return Ok(());
            }
        }
        let mut from = from.saturating_sub(DOTS);
        // One at a time: the visitor may touch memory of programs, which may be files of this file system.
        while let Some((entry, inode)) = self.next_entry(entries, from)? {
            from = entry.next;
            let kind = if entry.is_directory { FileKind::Directory } else { FileKind::Regular };
            let next = entry.next.saturating_add(DOTS);
            if visit(DirectoryEntry { inode, kind, name: &entry.name, next }) == Visit::Enough {
                return Ok(());
            }
        }
        Ok(())
    }

    fn make(self: Arc<Self>, name: &[u8], making: &Making<'_>) -> Result<Arc<dyn Inode>, FileError> {
        let made: Arc<dyn Inode> = self.make_entry(name, making)?;
        Ok(made)
    }

    fn remove(&self, name: &[u8], what: &Arc<dyn Inode>) -> Result<(), FileError> {
        self.remove_entry(name, what)
    }

    /// There is one name for each file.
    fn add_name(&self, _name: &[u8], _what: &Arc<dyn Inode>) -> Result<(), FileError> {
        self.fs.check_writable()?;
        Err(FileError::NotPermitted)
    }

    fn rename(self: Arc<Self>, renaming: &Renaming<'_>) -> Result<(), FileError> {
        self.rename_entry(renaming)
    }

    fn change(&self, change: &mut dyn FnMut(&mut Changeable) -> Result<(), FileError>) -> Result<(), FileError> {
        let _changing = self.fs.change()?;
        let protection = self.protection();
        let (accessed, modified) = {
            let state = self.state.lock();
            (state.accessed, state.modified)
        };
        let mut changeable = Changeable { protection, accessed, modified, now: self.fs.now() };
        change(&mut changeable)?;
        let Protection { permissions, uid, gid, .. } = changeable.protection;
        if (uid, gid) != (0, 0) || permissions & SET_ID_AND_STICKY != 0 {
            return Err(FileError::NotPermitted);
        }
        // What cannot be kept is not, and, as on Linux, nobody is told.
        let permissions = self.kept_permissions(permissions).unwrap_or(protection.permissions);
        self.update_entry(|slot| {
            if !self.is_directory {
                let others = slot::attributes(slot) & !slot::READ_ONLY;
                slot::set_attributes(slot, if permissions == READ_ONLY { others | slot::READ_ONLY } else { others });
            }
            // What stays is not rounded again.
            if changeable.accessed != accessed {
                slot::set_accessed(slot, changeable.accessed);
            }
            if changeable.modified != modified {
                slot::set_modified(slot, changeable.modified);
            }
        })?;
        let mut state = self.state.lock();
        state.permissions = permissions;
        state.accessed = Stamp::of(changeable.accessed).accessed();
        state.modified = Stamp::of(changeable.modified).modified();
        Ok(())
    }

    /// An entry has the day only: so it changes once a day at most.
    fn note_access(&self) {
        if self.number == ROOT || self.fs.flags().keep_access_time(self.is_directory) {
            return;
        }
        let now = Stamp::of(self.fs.now()).accessed();
        if core::mem::replace(&mut self.state.lock().accessed, now) == now {
            return;
        }
        if let Ok(_changing) = self.fs.change() {
            // A time of access that is lost does no harm.
            let _noted = self.update_entry(|slot| slot::set_accessed(slot, now));
        }
    }

    fn file_system(&self) -> FileSystemStatus {
        self.fs.status()
    }
}

impl<C: Cpu> Node<C> {
    /// The entry at this index of the directory, or the next one behind it, with its file's number.
    fn next_entry(&self, entries: Place, from: u64) -> Result<Option<(Entry, u64)>, FileError> {
        let _entries = self.chain.lock();
        if self.state.lock().is_removed {
            return Ok(None);
        }
        let mut found = None;
        self.fs.entries(entries, from, &mut |entry| {
            found = Some(entry.clone());
            Visit::Enough
        })?;
        Ok(found.map(|entry| {
            // In a statement of its own: it may be the last reference.
            let node = self.fs.nodes.lock().get(entry.place);
            let number = node.map_or(entry.place, |node| node.number);
            (entry, number)
        }))
    }
}
