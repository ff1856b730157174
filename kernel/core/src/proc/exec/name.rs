//! What a program is called.

use core::fmt;

use heapless::Vec;

/// The longest name, without a NUL: what `ps` shows and `prctl(PR_GET_NAME)` returns.
const MAX_BYTES: usize = 15;

/// What a program is called: the last part of its path, as much of it as fits.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct CommandName(Vec<u8, MAX_BYTES>);

impl CommandName {
    /// The name of what is executed by this path.
    #[must_use]
    pub fn of_path(path: &[u8]) -> Self {
        Self::new(path.rsplit(|&byte| byte == b'/').next().unwrap_or_default())
    }

    /// A name that was chosen. It ends before its first NUL.
    #[must_use]
    pub fn new(name: &[u8]) -> Self {
        Self(name.iter().copied().take_while(|&byte| byte != 0).take(MAX_BYTES).collect())
    }

    /// The name.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for CommandName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.escape_ascii().fmt(f)
    }
}

impl fmt::Debug for CommandName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CommandName({self})")
    }
}
