//! A file as the walk over names sees it.

use ::alloc::sync::Arc;

use super::super::directory::{Entry, Place};
use super::super::new_name::trimmed;
use super::super::slot;
use super::super::time::Stamp;
use super::{Node, ROOT};
use crate::fs::error::FileError;
use crate::fs::flags::OpenFlags;
use crate::fs::inode::{Changeable, DirectoryEntry, Inode, Making, Renaming, Visit};
use crate::fs::metadata::{FileId, FileKind, FileSystemStatus, Metadata, Protection};
use crate::fs::mount::MountFlags;
use crate::fs::operations::FileOperations;
use crate::hal::Cpu;

/// Cookies of `.` and `..`.
const DOTS: u64 = 2;
const SET_ID_AND_STICKY: u16 = 0o7000;

impl<C: Cpu> Inode for Node<C> {
    fn mount_flags(&self) -> MountFlags {
        self.fs.flags()
    }

    fn id(&self) -> FileId {
        FileId { device: self.fs.device, inode: self.number }
    }

    fn protection(&self) -> Protection {
        let permissions = self.state.lock().permissions;
        Protection { kind: self.kind(), permissions, uid: self.fs.options.uid, gid: self.fs.options.gid }
    }

    fn metadata(&self) -> Metadata {
        let cluster = self.fs.geometry.cluster_bytes;
        let protection = self.protection();
        // One for itself and one for each `..`; a directory that cannot be read shows when it is.
        let own = if self.is_directory { self.count_directories().unwrap_or(0).saturating_add(2) } else { 1 };
        let state = self.state.lock();
        let links = if state.is_removed { 0 } else { own };
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
        self.fs.state.begin_writing(&self.writes)
    }

    fn end_writing(&self) {
        self.fs.state.end_writing(&self.writes);
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
        let options = &self.fs.options;
        if (uid, gid) != (options.uid, options.gid) || permissions & SET_ID_AND_STICKY != 0 {
            return Err(FileError::NotPermitted);
        }
        // What cannot be kept is not, and, as on Linux, nobody is told.
        let permissions = options.kept(self.is_directory, permissions).unwrap_or(protection.permissions);
        self.update_entry(|slot| {
            if !self.is_directory
                && let Some(is_marked) = options.marks_read_only(permissions)
            {
                let others = slot::attributes(slot) & !slot::READ_ONLY;
                slot::set_attributes(slot, if is_marked { others | slot::READ_ONLY } else { others });
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

    /// An entry has the day only, so it changes once a day at most; not at all on a board that does not know the date.
    fn note_access(&self) {
        if self.number == ROOT || self.fs.flags().keep_access_time(self.is_directory) {
            return;
        }
        let now = Stamp::of(self.fs.now()).accessed();
        {
            let mut state = self.state.lock();
            if now <= state.accessed {
                return;
            }
            state.accessed = now;
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
