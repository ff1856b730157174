//! What a word of memory is to those who wait on it.

use super::area::{Backing, Sharing};
use super::space::Space;
use crate::addr::UserAddr;

/// Which word a program means, in terms that all who can reach it share.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FutexObject {
    /// A word of this space alone.
    Private,
    /// A word of an object.
    Shared {
        /// The object's [identity](super::Pager::identity).
        object: u64,
        /// Where in it, in bytes.
        offset: u64,
    },
}

impl Space {
    /// What the word at `at` belongs to; `None` where nothing is mapped.
    #[must_use]
    pub fn futex_key(&self, at: UserAddr) -> Option<FutexObject> {
        let area = self.areas.find(at)?;
        Some(match (&area.backing, area.sharing) {
            (Backing::Object { pager, .. }, Sharing::Shared) => {
                FutexObject::Shared { object: pager.identity(), offset: area.offset_of(at) }
            }
            (Backing::Anonymous, _) | (Backing::Object { .. }, Sharing::Private) => FutexObject::Private,
        })
    }
}
