//! What the root of a file system covers.

use alloc::sync::Arc;

use super::error::FileError;
use super::inode::Inode;
use crate::hal::Cpu;
use crate::sync::{Rank, SpinLock};

/// The directory or file that the root of a mounted file system covers: what is above the root follows from it.
pub struct Covered<C: Cpu>(SpinLock<Option<Arc<dyn Inode>>, C>);

impl<C: Cpu> Covered<C> {
    /// Nothing: the file system is not mounted, or is the first.
    #[must_use]
    pub fn nothing() -> Self {
        Self(SpinLock::new(Rank::FileObject, None))
    }

    /// What it is.
    #[must_use]
    pub fn get(&self) -> Option<Arc<dyn Inode>> {
        self.0.lock().clone()
    }

    /// It is `covered` from now on, or nothing.
    ///
    /// # Errors
    ///
    /// [`Busy`](FileError::Busy) if it covers something already.
    pub fn set(&self, covered: Option<&Arc<dyn Inode>>) -> Result<(), FileError> {
        let before = {
            let mut place = self.0.lock();
            if covered.is_some() && place.is_some() {
                return Err(FileError::Busy);
            }
            core::mem::replace(&mut *place, covered.cloned())
        };
        // Not under the lock: it may be the last reference.
        drop(before);
        Ok(())
    }
}
