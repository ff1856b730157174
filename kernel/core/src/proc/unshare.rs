//! What a process has in common with others and from now on has for itself: `unshare(2)`.

use alloc::sync::Arc;

use super::body::Belongings;
use super::system::System;
use super::thread::Thread;
use crate::sync::{Rank, SpinLock};

/// What is no longer shared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Parting {
    /// The table of file descriptors: `CLONE_FILES`.
    pub files: bool,
    /// Working directory, root and file mode mask: `CLONE_FS`.
    pub context: bool,
}

/// Why it stays so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UnshareError {
    /// The process has several threads, which share all of it always.
    Threads,
    /// There is no memory.
    OutOfMemory,
}

/// By a thread that holds no reference to either: gives its process its own. What nobody else has stays as it is.
///
/// # Errors
///
/// [`UnshareError`]; then nothing has changed.
pub fn unshare<S: System>(thread: &Arc<Thread<S>>, parting: Parting) -> Result<(), UnshareError> {
    let process = thread.process();
    // While it is the only one nobody else makes another.
    if process.body().threads.alone().is_none() {
        return Err(UnshareError::Threads);
    }
    if !S::has_room() {
        return Err(UnshareError::OutOfMemory);
    }
    let files = process.files().filter(|files| parting.files && is_shared(files));
    let context = process.context().filter(|context| parting.context && is_shared(context));
    let copied = files.map(|files| files.lock().copy()).transpose();
    let own_files = copied.map_err(|_| UnshareError::OutOfMemory)?;
    let own_context = context.map(|context| context.lock().clone());
    let own_files = own_files.map(|own| Arc::new(SpinLock::new(Rank::FileTable, own)));
    let own_context = own_context.map(|own| Arc::new(SpinLock::new(Rank::FileContext, own)));
    let shared = {
        let mut body = process.body();
        body.belongings.as_mut().map(|Belongings { files, context, .. }| {
            let files = own_files.map(|own| core::mem::replace(files, own));
            (files, own_context.map(|own| core::mem::replace(context, own)))
        })
    };
    // Without a lock: the others may have gone meanwhile, and files are closed with the last reference.
    drop(shared);
    Ok(())
}

/// Whether another process has it: one reference is the process's own, and one that of who asks.
fn is_shared<T>(thing: &Arc<T>) -> bool {
    Arc::strong_count(thing) > 2
}
