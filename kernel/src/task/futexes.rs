//! All futexes of all programs.

use core::num::NonZeroU32;

use kcore::addr::UserAddr;
use kcore::futex::{EVERY_BIT, Futexes, Key};
use kcore::vm::FutexObject;

use super::switch::Kernel;
use super::{UserThread, with_current_user};

/// Who waits for which word.
pub(crate) static FUTEXES: Futexes<Kernel> = Futexes::new();

/// What names the word at `at`, in the memory of `thread`, to all who share it.
pub(crate) fn shared_key(thread: &UserThread, at: UserAddr) -> Option<Key> {
    let space = thread.space()?;
    let object = space.lock().futex_key(at)?;
    Some(match object {
        FutexObject::Private => Key::Private { space: space.id(), address: at },
        FutexObject::Shared { object, offset } => Key::Shared { object, offset },
    })
}

/// What names it to the threads of its own process.
pub(crate) fn private_key(thread: &UserThread, at: UserAddr) -> Option<Key> {
    Some(Key::Private { space: thread.space()?.id(), address: at })
}

/// Wakes one thread that waits for the word at `at` of the current program: the end of a thread that was to clear it.
pub(super) fn wake_one(at: UserAddr) {
    with_current_user(|me| {
        if let Some(key) = shared_key(me, at) {
            wake(key, 1, EVERY_BIT);
        }
    });
}

/// Wakes up to `most` who wait at `key` for one of `bits`; says how many.
pub(crate) fn wake(key: Key, most: usize, bits: NonZeroU32) -> usize {
    FUTEXES.wake(key, most, bits)
}
