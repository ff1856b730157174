//! The right to what a lock guards.

use core::ops::{Deref, DerefMut};

use lock_api::{MutexGuard, RawMutex};

use super::rank::Held;
use crate::hal::Cpu;

/// The right to the value of a lock `R`, on a CPU in the state `S`. Dropping it gives the lock back, then puts the CPU into
/// the state that it was in before.
#[must_use = "the lock is given back when the guard is dropped"]
pub struct Guard<'a, T, R: RawMutex, C: Cpu, S> {
    // Fields are dropped in this order.
    value: MutexGuard<'a, R, T>,
    _held: Held<C>,
    _state: S,
}

impl<'a, T, R: RawMutex, C: Cpu, S> Guard<'a, T, R, C, S> {
    /// The lock was taken in this state, and its rank was noted before.
    #[inline]
    pub(super) const fn new(value: MutexGuard<'a, R, T>, held: Held<C>, state: S) -> Self {
        Self { value, _held: held, _state: state }
    }
}

impl<T, R: RawMutex, C: Cpu, S> Deref for Guard<'_, T, R, C, S> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T, R: RawMutex, C: Cpu, S> DerefMut for Guard<'_, T, R, C, S> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}
