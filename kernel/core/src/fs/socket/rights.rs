//! Sockets in messages.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{Socket, SocketFile};
use crate::fs::error::FileError;
use crate::fs::open_file::OpenFile;
use crate::fs::surroundings::Surroundings;

/// Through more sockets than these nobody is followed: the others would wait too long.
const MOST_FOLLOWED: usize = 4096;

/// The socket that `file` is, if it is one.
fn socket_of<S: Surroundings>(file: &OpenFile) -> Option<Arc<Socket<S>>> {
    let file: Arc<SocketFile<S>> = Arc::clone(file.operations()?).as_any()?.downcast().ok()?;
    Some(Arc::clone(file.socket()))
}

/// Whether one of these files is a socket.
pub(super) fn are_sockets<S: Surroundings>(files: &[Arc<OpenFile>]) -> bool {
    files.iter().any(|file| socket_of::<S>(file).is_some())
}

/// Checks that `target`'s inbox cannot be reached from the sockets among `files`. Under the lock of those who send sockets.
pub(super) fn check<S: Surroundings>(target: &Socket<S>, files: &[Arc<OpenFile>]) -> Result<(), FileError> {
    let mut seen = BTreeSet::new();
    let mut rest: Vec<_> = files.iter().filter_map(|file| socket_of::<S>(file)).collect();
    while let Some(socket) = rest.pop() {
        if core::ptr::eq(Arc::as_ptr(&socket), target) {
            return Err(FileError::TooManyReferences);
        }
        if !seen.insert(Arc::as_ptr(&socket).addr()) {
            continue;
        }
        if seen.len() > MOST_FOLLOWED {
            return Err(FileError::TooManyReferences);
        }
        let (connections, held) = socket.inbox.lock().holds();
        rest.extend(connections);
        rest.extend(held.iter().filter_map(|file| socket_of::<S>(file)));
    }
    Ok(())
}
