//! From the table of nodes to files.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Problem;
use super::builder::{Builder, Content, Draft};
use crate::fs::error::FileError;
use crate::fs::inode::Inode;
use crate::fs::metadata::{DeviceNumber, FileKind, Protection};
use crate::fs::tmpfs::{Adopted, Archived, Tmpfs};
use crate::hal::Cpu;

impl<C: Cpu> Builder<'_, C> {
    /// Makes the files and returns the root.
    pub(super) fn finish(
        mut self,
        fs: &Arc<Tmpfs<C>>,
        report: &mut dyn FnMut(Problem<'_>),
    ) -> Result<Arc<dyn Inode>, FileError> {
        let mut made: Vec<Option<Adopted<C>>> = Vec::new();
        if made.try_reserve_exact(self.nodes.len()).is_err() {
            report(Problem::OutOfMemory);
            self.nodes.truncate(1);
            self.names.clear();
        }
        for draft in &self.nodes {
            made.push(adopt(fs, draft).unwrap_or_else(|_| {
                report(Problem::OutOfMemory);
                None
            }));
        }
        for (&(directory, name), &node) in &self.names {
            let both = (made.get(directory), made.get(node));
            if let (Some(Some(directory)), Some(Some(node))) = both {
                directory.put(name, node);
            }
        }
        match made.into_iter().next().flatten() {
            Some(root) => Ok(root.into_inode()),
            None => Err(FileError::OutOfMemory),
        }
    }
}

/// The file, if it still has a name. Of directories only the root may have none: others are below it.
fn adopt<C: Cpu>(fs: &Arc<Tmpfs<C>>, draft: &Draft) -> Result<Option<Adopted<C>>, FileError> {
    let kind = draft.content.kind();
    if draft.names == 0 && kind != FileKind::Directory {
        return Ok(None);
    }
    let represents = match draft.content {
        Content::Node(FileKind::CharacterDevice | FileKind::BlockDevice, number) => number,
        _ => DeviceNumber::NONE,
    };
    let &Draft { permissions, uid, gid, names, modified, .. } = draft;
    let protection = Protection { kind, permissions, uid, gid };
    fs.adopt(&Archived { protection, names, modified, bytes: draft.content.bytes(), represents }).map(Some)
}
