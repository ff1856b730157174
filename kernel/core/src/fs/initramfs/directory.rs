//! Directories of the initial file system.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use super::Attributes;
use crate::fs::error::FileError;
use crate::fs::flags::OpenFlags;
use crate::fs::inode::{DirectoryEntry, Inode, Visit};
use crate::fs::metadata::FileKind;
use crate::fs::operations::{Blocking, FileOperations, Seeking};
use crate::fs::transfer::Sink;
use crate::sync::Once;

/// A directory. Entries are sorted by the hash of their name, then by the name: a lookup compares numbers, and one name.
pub(super) struct Directory {
    attributes: Attributes,
    entries: Vec<Entry>,
    /// Set when the directory above is made, which is after this one; never for the root.
    parent: Once<Weak<Self>>,
}

/// A name and what it stands for.
pub(super) struct Entry {
    hash: u32,
    name: &'static [u8],
    inode: Arc<dyn Inode>,
}

impl Entry {
    pub(super) fn new(name: &'static [u8], inode: Arc<dyn Inode>) -> Self {
        Self { hash: hash(name), name, inode }
    }
}

/// How many cookies `.` and `..` take.
const DOTS: u64 = 2;

impl Directory {
    /// With these entries, whose names differ.
    pub(super) fn new(attributes: Attributes, mut entries: Vec<Entry>) -> Arc<Self> {
        entries.sort_unstable_by_key(|entry| (entry.hash, entry.name));
        Arc::new(Self { attributes, entries, parent: Once::new() })
    }

    /// Says, once, where it is.
    pub(super) fn set_parent(&self, parent: &Arc<Self>) {
        self.parent.call_once(|| Arc::downgrade(parent));
    }

    fn dot(&self, cookie: u64) -> Option<DirectoryEntry<'_>> {
        let (inode, name): (_, &[u8]) = match cookie {
            0 => (self.attributes.inode, b"."),
            1 => (self.parent().map_or(self.attributes.inode, |parent| parent.id().inode), b".."),
            _ => return None,
        };
        Some(DirectoryEntry { inode, kind: FileKind::Directory, name, next: cookie.saturating_add(1) })
    }

    fn entry(&self, cookie: u64) -> Option<DirectoryEntry<'_>> {
        let index = usize::try_from(cookie.checked_sub(DOTS)?).ok()?;
        let entry = self.entries.get(index)?;
        Some(DirectoryEntry {
            inode: entry.inode.id().inode,
            kind: entry.inode.protection().kind,
            name: entry.name,
            next: cookie.saturating_add(1),
        })
    }
}

impl Inode for Directory {
    read_only_by_attributes!();

    fn open(self: Arc<Self>, _flags: OpenFlags) -> Result<Arc<dyn FileOperations>, FileError> {
        Ok(self)
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>, FileError> {
        let hash = hash(name);
        let found = self.entries.binary_search_by(|entry| entry.hash.cmp(&hash).then_with(|| entry.name.cmp(name)));
        let entry = found.ok().and_then(|index| self.entries.get(index)).ok_or(FileError::NotFound)?;
        Ok(Arc::clone(&entry.inode))
    }

    fn parent(&self) -> Option<Arc<dyn Inode>> {
        let parent: Arc<dyn Inode> = self.parent.get()?.upgrade()?;
        Some(parent)
    }

    fn read_directory(&self, from: u64, visit: &mut dyn FnMut(DirectoryEntry<'_>) -> Visit) -> Result<(), FileError> {
        let mut cookie = from;
        while let Some(entry) = self.dot(cookie).or_else(|| self.entry(cookie)) {
            cookie = entry.next;
            if visit(entry) == Visit::Enough {
                break;
            }
        }
        Ok(())
    }
}

impl FileOperations for Directory {
    fn read(&self, _at: u64, _blocking: Blocking, _sink: &mut dyn Sink) -> Result<usize, FileError> {
        Err(FileError::IsDirectory)
    }

    fn seeking(&self) -> Seeking {
        Seeking::Cookies
    }
}

/// FNV-1a: short names, and whoever makes names that collide gets the order of the names instead.
fn hash(name: &[u8]) -> u32 {
    name.iter().fold(0x811c_9dc5, |hash, &byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}
