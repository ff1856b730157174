//! The path of a file that is no directory, for who asks where an open file is.
//!
//! A file does not know its names. They are looked for, in its own file system, in the directories next to the root first:
//! that takes long where there are many, costs nothing as long as nobody asks, and is right after renames.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::absolute::absolute_path;
use super::{NAME_MAX, PATH_MAX};
use crate::fs::error::FileError;
use crate::fs::inode::{Inode, Visit};
use crate::fs::metadata::{FileId, FileKind};

/// So many directories are looked into.
const MAX_DIRECTORIES: usize = 65_536;

/// A path of `file` as seen from `root`, without a NUL. `start` is the root of its file system.
///
/// # Errors
///
/// [`NotFound`](FileError::NotFound) where it has no name, or none that was found, and those of [`absolute_path`];
/// [`OutOfMemory`](FileError::OutOfMemory).
pub fn path_of(root: &Arc<dyn Inode>, start: &Arc<dyn Inode>, file: &Arc<dyn Inode>) -> Result<Vec<u8>, FileError> {
    let mut path = room_for_path()?;
    if file.protection().kind == FileKind::Directory {
        let length = absolute_path(root, file, &mut path)?.len();
        path.drain(..PATH_MAX.saturating_sub(length));
        return Ok(path);
    }
    path_in(root, find(start, file.id())?, path)
}

/// The same of a file that is known only by what tells it from all others; no directory.
///
/// # Errors
///
/// Those of [`path_of`].
pub fn path_of_id(root: &Arc<dyn Inode>, start: &Arc<dyn Inode>, file: FileId) -> Result<Vec<u8>, FileError> {
    path_in(root, find(start, file)?, room_for_path()?)
}

/// `PATH_MAX` bytes to write a path to, and room for a name behind it.
fn room_for_path() -> Result<Vec<u8>, FileError> {
    let mut path = Vec::new();
    path.try_reserve_exact(PATH_MAX.saturating_add(NAME_MAX)).map_err(|_| FileError::OutOfMemory)?;
    path.resize(PATH_MAX, 0);
    Ok(path)
}

/// The path of what a directory has under a name, written to `path`, which has room.
fn path_in(
    root: &Arc<dyn Inode>,
    (directory, name): (Arc<dyn Inode>, Vec<u8>),
    mut path: Vec<u8>,
) -> Result<Vec<u8>, FileError> {
    let length = absolute_path(root, &directory, &mut path)?.len();
    path.drain(..PATH_MAX.saturating_sub(length));
    if path.as_slice() != b"/" {
        path.push(b'/');
    }
    path.extend_from_slice(&name);
    Ok(path)
}

/// A directory that has the file `wanted`, and under which name.
fn find(start: &Arc<dyn Inode>, wanted: FileId) -> Result<(Arc<dyn Inode>, Vec<u8>), FileError> {
    let mut waiting = VecDeque::new();
    let push = |waiting: &mut VecDeque<_>, directory| {
        waiting.try_reserve(1).map_err(|_| FileError::OutOfMemory)?;
        waiting.push_back(directory);
        Ok::<_, FileError>(())
    };
    push(&mut waiting, Arc::clone(start))?;
    for _ in 0..MAX_DIRECTORIES {
        let Some(directory) = waiting.pop_front() else { break };
        let mut from = 0;
        loop {
            // A name at a time: to look one up, or to keep it, may need memory and locks.
            let mut next = None;
            directory.read_directory(from, &mut |entry| {
                if matches!(entry.name, b"." | b"..") {
                    return Visit::More;
                }
                let interesting = entry.kind == FileKind::Directory || entry.inode == wanted.inode;
                from = entry.next;
                if !interesting {
                    return Visit::More;
                }
                next = Some(kept(entry.name));
                Visit::Enough
            })?;
            let Some(name) = next.transpose()? else { break };
            // It may be gone by now.
            let Ok(child) = directory.lookup(&name) else { continue };
            if child.id() == wanted {
                return Ok((directory, name));
            }
            if child.protection().kind == FileKind::Directory
                && child.id().device == wanted.device
                && child.mount() == start.mount()
            {
                push(&mut waiting, child)?;
            }
        }
    }
    Err(FileError::NotFound)
}

fn kept(name: &[u8]) -> Result<Vec<u8>, FileError> {
    let mut kept = Vec::new();
    kept.try_reserve_exact(name.len()).map_err(|_| FileError::OutOfMemory)?;
    kept.extend_from_slice(name);
    Ok(kept)
}
