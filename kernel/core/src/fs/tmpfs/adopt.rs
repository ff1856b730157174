//! What the initial archive has, as files of a file system in memory.

use alloc::sync::{Arc, Weak};

use super::Tmpfs;
use super::contents::Contents;
use super::directory::Directory;
use super::names::Name;
use super::node::{Beginning, Body, Node, Target};
use crate::fs::error::FileError;
use crate::fs::inode::Inode;
use crate::fs::metadata::{DeviceNumber, FileKind, Protection, Timestamp};
use crate::fs::pages::{PageSource, Pages};
use crate::hal::Cpu;
use crate::sync::atomic::Ordering;

/// A file that was adopted.
pub(in crate::fs) struct Adopted<C: Cpu> {
    node: Arc<Node<C>>,
}

/// What the archive says of a file.
pub(in crate::fs) struct Archived {
    pub(in crate::fs) protection: Protection,
    /// How many names it has; of a directory, none yet.
    pub(in crate::fs) names: u32,
    pub(in crate::fs) modified: Timestamp,
    /// A regular file's contents, or a link's target.
    pub(in crate::fs) bytes: &'static [u8],
    pub(in crate::fs) represents: DeviceNumber,
}

impl<C: Cpu> Tmpfs<C> {
    /// Where the archive's pages come from.
    pub(in crate::fs) const fn pages(&self) -> &Arc<dyn PageSource> {
        &self.needs.pages
    }

    /// Makes a file of what the archive says of it.
    pub(in crate::fs) fn adopt(self: &Arc<Self>, file: &Archived) -> Result<Adopted<C>, FileError> {
        let kind = file.protection.kind;
        let body = match kind {
            FileKind::Regular => {
                Body::regular(Contents::adopt(self, Pages::new(file.bytes, Arc::clone(self.pages()))?))
            }
            FileKind::Directory => Body::Directory(Directory::new(Weak::new())),
            FileKind::Symlink => Body::Symlink(Target::Archive(file.bytes)),
            FileKind::CharacterDevice | FileKind::BlockDevice => Body::Device(file.represents),
            FileKind::Fifo => Body::Fifo((self.needs.fifo)((file.protection.uid, file.protection.gid))),
            FileKind::Socket | FileKind::Nameless => Body::Socket,
        };
        let links = if kind == FileKind::Directory { 2 } else { file.names };
        let beginning = Beginning { protection: file.protection, links, time: file.modified, born: None };
        Ok(Adopted { node: Node::adopt(self, &beginning, body) })
    }
}

impl<C: Cpu> Adopted<C> {
    /// Puts `child` under `name`, which is not taken, into this directory. A directory comes into one only.
    pub(in crate::fs) fn put(&self, name: &'static [u8], child: &Self) {
        let Ok(directory) = self.node.directory() else { return };
        if let Ok(inner) = child.node.directory() {
            inner.set_parent(&self.node);
            self.node.links.fetch_add(1, Ordering::Relaxed);
        }
        let mut names = directory.names.lock();
        // Nothing is removed yet.
        let _counted = directory.count_name();
        names.insert(Name::Archive(name), Arc::clone(&child.node));
    }

    pub(in crate::fs) fn into_inode(self) -> Arc<dyn Inode> {
        self.node
    }
}
