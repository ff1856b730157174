//! Where processes of one test meet: words that they share.

use std::sync::atomic::{AtomicU32, Ordering};

use sys::memory::{Mapping, PAGE};
use sys::sync::{self, Scope};
use sys::{Errno, machine};

/// Words shared by a process and its children, all 0 at first.
#[derive(Debug)]
pub(crate) struct Meeting {
    words: Mapping,
}

impl Meeting {
    pub(crate) fn new() -> Result<Self, Errno> {
        Ok(Self { words: Mapping::shared(PAGE)? })
    }

    /// The word of this number.
    pub(crate) fn word(&self, number: usize) -> &AtomicU32 {
        self.words.word(4 * number)
    }

    /// What the word is now.
    pub(crate) fn get(&self, number: usize) -> u32 {
        self.word(number).load(Ordering::SeqCst)
    }

    /// Sets the word, and wakes who waits for it.
    pub(crate) fn set(&self, number: usize, value: u32) {
        sync::set(self.word(number), value, Scope::Shared);
    }

    /// Counts one more, and wakes who waits.
    pub(crate) fn arrive(&self, number: usize) {
        self.word(number).fetch_add(1, Ordering::SeqCst);
        let _ = sync::wake(self.word(number), u32::MAX >> 1, Scope::Shared);
    }

    /// Waits until the word is at least `value`.
    pub(crate) fn wait(&self, number: usize, value: u32) {
        loop {
            let now = self.get(number);
            if now >= value {
                return;
            }
            if sync::wait(self.word(number), now, None, Scope::Shared) == Err(Errno::NOSYS) {
                let _ = machine::yield_now();
            }
        }
    }
}
