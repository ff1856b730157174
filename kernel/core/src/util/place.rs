//! Values that are put together where they stay.

use alloc::sync::Arc;
use core::mem::MaybeUninit;

/// As `Arc::new(make())`, but the memory comes first: what `make` makes is written there and nowhere else. `Arc::new` gets
/// its value first, from the stack, and a large one is copied twice.
#[inline(always)]
#[expect(clippy::inline_always, reason = "only so does the compiler see where the value goes")]
pub fn arc_with<T>(make: impl FnOnce() -> T) -> Arc<T> {
    // Not `new_uninit`, which works the layout out anew each time.
    let arc = Arc::new(MaybeUninit::<T>::uninit());
    let place = Arc::as_ptr(&arc).cast_mut().cast::<T>();
    // SAFETY: the pointer is good for a `T`, and comes from the allocation, not from a reference; nobody else has the `Arc`
    // yet. If `make` panics there is nothing to drop.
    unsafe { place.write(make()) };
    // SAFETY: just written.
    unsafe { arc.assume_init() }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use std::panic;
    use std::string::String;

    use super::*;

    #[test]
    fn what_is_made_in_its_place_is_whole_and_dropped_once() {
        let counted = Arc::new(());
        let made = arc_with(|| (String::from("whole"), [7_u64; 40], Arc::clone(&counted)));
        let other = Arc::clone(&made);
        assert_eq!((made.0.as_str(), made.1), ("whole", [7; 40]));
        drop((made, other));
        assert_eq!(Arc::strong_count(&counted), 1);
    }

    #[test]
    fn nothing_is_dropped_where_the_making_fails() {
        let failed = panic::catch_unwind(|| arc_with(|| -> String { panic::resume_unwind(Box::new(())) }));
        assert!(failed.is_err());
    }
}
