//! What a worker may find.

use std::fmt;
use std::panic::Location;

use sys::Errno;

/// Something that should not be.
#[derive(Debug)]
pub(crate) struct Wrong {
    what: String,
    place: &'static Location<'static>,
}

pub(crate) type Checked = Result<(), Wrong>;

impl Wrong {
    #[track_caller]
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), place: Location::caller() }
    }
}

impl From<Errno> for Wrong {
    #[track_caller]
    fn from(errno: Errno) -> Self {
        Self::new(errno.to_string())
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.place.file().rsplit('/').next().unwrap_or("?");
        write!(f, "{file}:{}: {}", self.place.line(), self.what)
    }
}

/// `condition` holds; `what` says what is wrong if not.
#[track_caller]
pub(crate) fn ensure(condition: bool, what: &str) -> Checked {
    if condition { Ok(()) } else { Err(Wrong::new(what)) }
}

/// What may be refused when memory, processes or address space are short, or a call is unknown: then it was not done.
pub(crate) fn unless_short<T>(result: Result<T, Errno>) -> Result<Option<T>, Errno> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Errno::NOMEM | Errno::AGAIN | Errno::NOSYS | Errno::MFILE) => Ok(None),
        Err(errno) => Err(errno),
    }
}
