//! What the two random number generators share: the error.
//!
//! Both are sources of entropy, not generators to hand out: their drivers implement `rand_core::TryRng` and leave it to
//! the kernel to condition what they give.

use core::error::Error;
use core::fmt;

use crate::wait::Timeout;

/// Why there are no random numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EntropyError {
    /// No word became ready in time.
    Timeout,
    /// The hardware's own test of its noise failed, and failed again after a reset; here is its interrupt status.
    Failed {
        /// RNG200's `INT_STATUS`.
        status: u32,
    },
}

impl From<Timeout> for EntropyError {
    fn from(Timeout: Timeout) -> Self {
        Self::Timeout
    }
}

impl fmt::Display for EntropyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("the random number generator did not answer in time"),
            Self::Failed { status } => write!(f, "the random number generator failed its test, status {status:#010x}"),
        }
    }
}

impl Error for EntropyError {}
