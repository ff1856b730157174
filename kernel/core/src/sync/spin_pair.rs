//! Two spin locks of one rank at a time.

use lock_api::MutexGuard;

use super::cpu_state::NoPreempt;
use super::rank::Held;
use super::spin_lock::SpinLock;
use super::ticket::RawTicketLock;
use crate::hal::Cpu;

/// The right to the values of two [`SpinLock`]s, or of one if both are the same. Dropping it gives them back.
///
/// This is the one exception to the rule that two locks of one rank are never held together. It cannot deadlock: whoever
/// takes two, takes them in the order of their addresses, and nothing of that rank comes after.
#[must_use = "the locks are given back when the guard is dropped"]
pub struct SpinPair<'a, T, C: Cpu> {
    // Fields are dropped in this order.
    one: MutexGuard<'a, RawTicketLock<C>, T>,
    /// `None` if both are the same.
    other: Option<MutexGuard<'a, RawTicketLock<C>, T>>,
    _held: Held<C>,
    _preempt: NoPreempt<C>,
}

impl<'a, T, C: Cpu> SpinPair<'a, T, C> {
    /// Waits for its turns and takes both locks.
    ///
    /// # Panics
    ///
    /// In a debug build, when this breaks the lock order or the ranks differ.
    #[track_caller]
    pub fn lock(one: &'a SpinLock<T, C>, other: &'a SpinLock<T, C>) -> Self {
        debug_assert_eq!(one.rank(), other.rank(), "a pair of locks has one rank");
        let _preempt = NoPreempt::new();
        let _held = Held::note(one.rank());
        let address = |lock: &SpinLock<T, C>| core::ptr::from_ref(lock).addr();
        if core::ptr::eq(one, other) {
            return Self { one: one.inner.lock(), other: None, _held, _preempt };
        }
        let first = address(one) < address(other);
        let (low, high) = if first { (one, other) } else { (other, one) };
        let (low, high) = (low.inner.lock(), high.inner.lock());
        let (one, other) = if first { (low, high) } else { (high, low) };
        Self { one, other: Some(other), _held, _preempt }
    }

    /// The values, in the order that the locks were named; the second is `None` if both are the same lock.
    pub fn both(&mut self) -> (&mut T, Option<&mut T>) {
        (&mut self.one, self.other.as_deref_mut())
    }
}
