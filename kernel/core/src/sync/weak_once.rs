//! A weak reference that is set once.

use alloc::sync::{Arc, Weak};
use core::fmt;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ptr;

use super::atomic::{AtomicPtr, Ordering};

/// A [`Weak`] that is set once, by the one who made the thing, before those come who need it: whoever comes earlier finds
/// nothing. Unlike a [`Once`](super::Once) it has no state beside the reference, for there is nobody to wait for.
pub struct WeakOnce<T> {
    /// From `Weak::into_raw`, or null.
    pointer: AtomicPtr<T>,
    owns: PhantomData<Weak<T>>,
}

impl<T> WeakOnce<T> {
    /// Nothing yet.
    #[cfg(not(loom))]
    #[must_use]
    pub const fn new() -> Self {
        Self { pointer: AtomicPtr::new(ptr::null_mut()), owns: PhantomData }
    }

    /// Nothing yet.
    #[cfg(loom)]
    #[must_use]
    pub fn new() -> Self {
        Self { pointer: AtomicPtr::new(ptr::null_mut()), owns: PhantomData }
    }

    /// Sets it. A second time would leave the first reference behind, which is a mistake that a debug build does not let pass.
    #[inline]
    pub fn set(&self, target: &Arc<T>) {
        debug_assert!(self.pointer.load(Ordering::Relaxed).is_null(), "it is set once");
        // Release, and Acquire below: who finds the reference sees what it refers to.
        self.pointer.store(Arc::downgrade(target).into_raw().cast_mut(), Ordering::Release);
    }

    /// What it refers to, if it is set and that is still there.
    #[inline]
    #[must_use]
    pub fn get(&self) -> Option<Arc<T>> {
        let pointer = self.pointer.load(Ordering::Acquire);
        if pointer.is_null() {
            return None;
        }
        // SAFETY: the pointer came from `Weak::into_raw`, and only the drop of `self` gives its reference up; this one does
        // not.
        let weak = ManuallyDrop::new(unsafe { Weak::from_raw(pointer) });
        weak.upgrade()
    }
}

impl<T> Drop for WeakOnce<T> {
    fn drop(&mut self) {
        // Nobody else has it any more, and whoever had, has let go of it in a way that orders this.
        let pointer = self.pointer.load(Ordering::Relaxed);
        if !pointer.is_null() {
            // SAFETY: the pointer came from `Weak::into_raw`, and its reference is given up here alone, once.
            drop(unsafe { Weak::from_raw(pointer) });
        }
    }
}

impl<T> Default for WeakOnce<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for WeakOnce<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(WeakOnce)")
    }
}
