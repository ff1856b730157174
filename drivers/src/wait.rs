//! Bounded waits: how long a driver keeps asking its hardware.
//!
//! A driver that waits takes a [`Patience`] and gives up with [`Timeout`] when it is exhausted. The caller chooses
//! what to spend: a number of [`Polls`], which needs no clock, or a closure over a clock of its own.

use core::error::Error;
use core::fmt;

/// A budget for waiting.
pub trait Patience {
    /// Asked after each unsuccessful poll: whether the driver shall give up.
    fn is_exhausted(&mut self) -> bool;
}

/// A closure is asked as it stands; typically it compares a clock with a deadline.
impl<F: FnMut() -> bool> Patience for F {
    fn is_exhausted(&mut self) -> bool {
        self()
    }
}

/// Patience for a number of polls. One poll is one register read, which takes some 100 ns on the boards.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Polls(u32);

impl Polls {
    /// Patience for `count` polls that find nothing.
    #[must_use]
    pub const fn new(count: u32) -> Self {
        Self(count)
    }
}

impl Patience for Polls {
    fn is_exhausted(&mut self) -> bool {
        let exhausted = self.0 == 0;
        self.0 = self.0.saturating_sub(1);
        exhausted
    }
}

/// The hardware did not do in time what was waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timeout;

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the device did not answer in time")
    }
}

impl Error for Timeout {}

/// Polls `ready` until it holds or `patience` is exhausted.
///
/// `ready` gets a last chance after that: a waiter that was held up between the poll and the look at its clock would
/// report a time-out of hardware that was ready long ago.
pub(crate) fn until(patience: &mut impl Patience, mut ready: impl FnMut() -> bool) -> Result<(), Timeout> {
    loop {
        if ready() {
            return Ok(());
        }
        if patience.is_exhausted() {
            return if ready() { Ok(()) } else { Err(Timeout) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ready_needs_no_patience() {
        assert_eq!(until(&mut Polls::new(0), || true), Ok(()));
    }

    #[test]
    fn a_wait_ends_when_its_polls_are_used_up() {
        let mut asked = 0;
        let outcome = until(&mut Polls::new(3), || {
            asked += 1;
            false
        });
        assert_eq!(outcome, Err(Timeout));
        assert_eq!(asked, 5);
    }

    #[test]
    fn a_waiter_that_was_held_up_looks_once_more() {
        let mut asked = 0;
        let outcome = until(&mut || true, || {
            asked += 1;
            asked == 2
        });
        assert_eq!(outcome, Ok(()));
    }
}
