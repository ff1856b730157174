//! From the table of nodes to the tree of inodes.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::builder::{Builder, Content, Draft, ROOT};
use super::directory::{Directory, Entry as Named};
use super::file::File;
use super::node::{Node, Symlink};
use super::{Attributes, Problem};
use crate::fs::error::FileError;
use crate::fs::inode::Inode;
use crate::fs::metadata::{DeviceNumber, FileKind, Protection};
use crate::fs::pages::Pages;

/// A finished inode, of which a directory will yet be told where it is.
#[derive(Clone)]
enum Made {
    Directory(Arc<Directory>),
    Other(Arc<dyn Inode>),
}

impl Builder<'_> {
    /// Makes the tree and returns its root.
    pub(super) fn finish(mut self, report: &mut dyn FnMut(Problem<'_>)) -> Arc<dyn Inode> {
        let mut made: Vec<Option<Made>> = Vec::new();
        if made.try_reserve_exact(self.nodes.len()).is_err() {
            report(Problem::OutOfMemory);
            self.nodes.truncate(1);
            self.names.clear();
        }
        made.resize_with(self.nodes.len(), || None);
        for (number, place) in made.iter_mut().enumerate() {
            *place = self.leaf(number).unwrap_or_else(|_| {
                report(Problem::OutOfMemory);
                None
            });
        }
        // From the deepest directories up.
        for number in (0..self.nodes.len()).rev() {
            if let Some(directory) = self.directory(number, &made)
                && let Some(place) = made.get_mut(number)
            {
                *place = Some(Made::Directory(directory));
            }
        }
        match made.into_iter().next().flatten() {
            Some(Made::Directory(root)) => root,
            _ => Directory::new(self.attributes(ROOT, 2), Vec::new()),
        }
    }

    /// The inode of anything but a directory, if it still has a name.
    fn leaf(&self, number: usize) -> Result<Option<Made>, FileError> {
        let Some(draft) = self.nodes.get(number).filter(|draft| draft.names > 0) else {
            return Ok(None);
        };
        let attributes = self.attributes(number, draft.names);
        let inode: Arc<dyn Inode> = match draft.content {
            Content::Directory { .. } => return Ok(None),
            Content::Regular(bytes) => Arc::new(File::new(attributes, Pages::new(bytes, Arc::clone(self.source))?)),
            Content::Symlink(target) => Arc::new(Symlink::new(attributes, target)),
            Content::Node(..) => Arc::new(Node::new(attributes, Arc::clone(self.devices))),
        };
        Ok(Some(Made::Other(inode)))
    }

    /// The inode of a directory, once those of all that is in it are made.
    fn directory(&self, number: usize, made: &[Option<Made>]) -> Option<Arc<Directory>> {
        if self.kind(number) != Some(FileKind::Directory) {
            return None;
        }
        let inodes = || self.children(number).filter_map(|(name, node)| Some((name, made.get(node)?.as_ref()?)));
        let mut entries = Vec::new();
        // Without memory for its entries it is there all the same, but empty.
        let room = entries.try_reserve_exact(inodes().count()).is_ok();
        let mut links = 2_u32;
        for (name, inode) in inodes().filter(|_| room) {
            entries.push(match inode {
                Made::Directory(directory) => {
                    links = links.saturating_add(1);
                    Named::new(name, Arc::clone(directory) as Arc<dyn Inode>)
                }
                Made::Other(inode) => Named::new(name, Arc::clone(inode)),
            });
        }
        let directory = Directory::new(self.attributes(number, links), entries);
        for (_, inode) in inodes() {
            if let Made::Directory(child) = inode {
                child.set_parent(&directory);
            }
        }
        Some(directory)
    }

    fn attributes(&self, number: usize, links: u32) -> Attributes {
        let plain = Draft::plain(Content::Directory { parent: ROOT }, 0o755);
        let draft = self.nodes.get(number).unwrap_or(&plain);
        let represents = match draft.content {
            Content::Node(FileKind::CharacterDevice | FileKind::BlockDevice, number) => number,
            _ => DeviceNumber::NONE,
        };
        let protection =
            Protection { kind: draft.content.kind(), permissions: draft.permissions, uid: draft.uid, gid: draft.gid };
        Attributes {
            inode: (number as u64).saturating_add(1),
            protection,
            links,
            represents,
            size: draft.content.bytes().len() as u64,
            modified: draft.modified,
        }
    }
}
