//! Why a verb on an address space did not do it.

use super::commit::OverCommitted;
use super::system::OutOfMemory;
use crate::addr::UserAddr;
use crate::paging::OutOfFrames;

/// Why a range was not mapped, or not changed. Unless a verb says otherwise, nothing was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MapFailure {
    /// The request makes no sense: an address between pages, no length, ranges that overlap.
    Invalid,
    /// A part of the range is not mapped.
    NotMapped {
        /// The first such address.
        at: UserAddr,
    },
    /// Something is mapped where nothing may be.
    Occupied {
        /// The first such address.
        at: UserAddr,
    },
    /// The range begins where no program may map anything.
    TooLow,
    /// There is no gap of that size.
    NoGap,
    /// The space has as many areas as it may have.
    TooManyAreas,
    /// One of the program's [`Limits`](super::Limits) says no.
    Limit,
    /// More pages would be locked than the program may lock.
    LockLimit,
    /// The machine has promised too much already.
    OverCommit,
    /// There is no memory for tables or areas, or for pages that have to be there at once.
    OutOfMemory,
    /// Memory that is writable and executable at once.
    WriteAndExecute,
    /// The object does not allow this protection.
    Forbidden,
    /// Pages of the range are locked.
    Locked,
    /// This kind of memory cannot do that.
    Unsupported,
}

impl From<OutOfFrames> for MapFailure {
    fn from(_: OutOfFrames) -> Self {
        Self::OutOfMemory
    }
}

impl From<OutOfMemory> for MapFailure {
    fn from(_: OutOfMemory) -> Self {
        Self::OutOfMemory
    }
}

impl From<OverCommitted> for MapFailure {
    fn from(_: OverCommitted) -> Self {
        Self::OverCommit
    }
}
