//! Which entries of an archive are one file.

use alloc::collections::BTreeMap;

use crate::boot::initramfs::Entry;
use crate::fs::metadata::FileKind;

/// Bytes from the start of an entry to its name.
const HEADER: usize = 110;
const TRAILER: &[u8] = b"TRAILER!!!\0";

/// The files with several links of the archive that is being read. Numbers mean nothing beyond it: an archive that
/// follows counts from the start.
pub(super) struct Links {
    nodes: BTreeMap<Key, usize>,
    /// Where the last entry ended.
    end: usize,
}

/// What entries of one file have in common.
pub(super) type Key = ((u32, u32), u32, u32);

impl Links {
    pub(super) const fn new() -> Self {
        Self { nodes: BTreeMap::new(), end: 0 }
    }

    /// Takes note of where `entry` stands in `archive`.
    pub(super) fn advance(&mut self, archive: &[u8], entry: &Entry<'_>) {
        let name = self.end.checked_next_multiple_of(4).and_then(|header| header.checked_add(HEADER));
        if name.and_then(|at| archive.get(at..)).is_some_and(|name| name.starts_with(TRAILER)) {
            self.nodes.clear();
        }
        self.end = entry.data.end;
    }

    /// The key of an entry that may have others beside it.
    pub(super) fn key(entry: &Entry<'_>, kind: FileKind) -> Option<Key> {
        let several = entry.links > 1 && !matches!(kind, FileKind::Directory | FileKind::Symlink);
        several.then_some((entry.device, entry.inode, kind.bits()))
    }

    pub(super) fn find(&self, key: Key) -> Option<usize> {
        self.nodes.get(&key).copied()
    }

    pub(super) fn add(&mut self, key: Key, node: usize) {
        self.nodes.insert(key, node);
    }
}
