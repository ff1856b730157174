//! Whether anybody uses a file system's files.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Tmpfs;
use super::names::FIRST_COOKIE;
use super::node::Node;
use crate::fs::error::FileError;
use crate::fs::inode::Inode;
use crate::fs::metadata::FileKind;
use crate::hal::Cpu;
use crate::sync::atomic::Ordering;

impl<C: Cpu> Tmpfs<C> {
    /// Whether somebody holds a file beside the directories that have its names: a descriptor, a working directory, a mapping.
    /// Nobody counts users of the file system while it is used; this goes through all files once, when somebody asks.
    pub(super) fn is_used(&self, root: &Arc<dyn Inode>, own: usize) -> Result<bool, FileError> {
        let Some(top) = Node::<C>::of(root) else { return Ok(true) };
        // `top` is one more.
        if Arc::strong_count(&top) > own.saturating_add(1) {
            return Ok(true);
        }
        let push = |waiting: &mut Vec<_>, directory| {
            waiting.try_reserve(1).map_err(|_| FileError::OutOfMemory)?;
            waiting.push(directory);
            Ok::<_, FileError>(())
        };
        let (mut directories, mut several_names, mut files) = (Vec::new(), Vec::new(), 1_u64);
        push(&mut directories, top)?;
        while let Some(directory) = directories.pop() {
            let names = &directory.directory()?.names;
            let mut cookie = FIRST_COOKIE;
            loop {
                let next = names.lock().next_from(cookie);
                let Some((at, _, node)) = next else { break };
                cookie = at.saturating_add(1);
                let is_directory = node.kind == FileKind::Directory;
                let links = node.links.load(Ordering::Acquire);
                let holders = if is_directory { 1 } else { usize::try_from(links).unwrap_or(usize::MAX) };
                // `node` is one more.
                if Arc::strong_count(&node) > holders.saturating_add(1) {
                    return Ok(true);
                }
                if is_directory {
                    push(&mut directories, node)?;
                } else if links > 1 {
                    several_names.try_reserve(1).map_err(|_| FileError::OutOfMemory)?;
                    several_names.push(node.number());
                    continue;
                }
                files = files.saturating_add(1);
            }
        }
        several_names.sort_unstable();
        several_names.dedup();
        files = files.saturating_add(several_names.len() as u64);
        // What has no name any more is there because somebody has it open.
        Ok(self.files.used.load(Ordering::Relaxed) > files)
    }
}
