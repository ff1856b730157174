//! The way back: the path of a directory.

use alloc::sync::Arc;

use crate::fs::error::FileError;
use crate::fs::inode::{Inode, Visit, same_place};

/// The path of `directory` as seen from `root`, without a NUL, written to the end of `buffer`. It is found by asking each
/// directory for its parent, and the parent under which name it knows the directory, so renames and mounts need no
/// bookkeeping.
///
/// # Errors
///
/// [`TooSmall`](FileError::TooSmall) where it does not fit, [`NotFound`](FileError::NotFound) for a directory that
/// cannot be reached from `root`, because it was removed or `root` is elsewhere.
pub fn absolute_path<'b>(
    root: &Arc<dyn Inode>,
    directory: &Arc<dyn Inode>,
    buffer: &'b mut [u8],
) -> Result<&'b [u8], FileError> {
    let mut at = Arc::clone(directory);
    let mut start = buffer.len();
    while !same_place(&at, root) {
        let parent = at.parent().ok_or(FileError::NotFound)?;
        start = prepend_name(&*parent, &at, buffer, start)?;
        at = parent;
    }
    if start == buffer.len() {
        start = prepend(b"/", buffer, start)?;
    }
    buffer.get(start..).ok_or(FileError::TooSmall)
}

/// Writes a slash and the name of `child` before `end` and returns where it begins.
fn prepend_name(parent: &dyn Inode, child: &Arc<dyn Inode>, buffer: &mut [u8], end: usize) -> Result<usize, FileError> {
    let number = child.number_above();
    let mut found = Err(FileError::NotFound);
    parent.read_directory(0, &mut |entry| {
        if entry.inode != number || matches!(entry.name, b"." | b"..") {
            return Visit::More;
        }
        found = prepend(entry.name, buffer, end).and_then(|start| prepend(b"/", buffer, start));
        Visit::Enough
    })?;
    found
}

fn prepend(bytes: &[u8], buffer: &mut [u8], end: usize) -> Result<usize, FileError> {
    let start = end.checked_sub(bytes.len()).ok_or(FileError::TooSmall)?;
    buffer.get_mut(start..end).ok_or(FileError::TooSmall)?.copy_from_slice(bytes);
    Ok(start)
}
